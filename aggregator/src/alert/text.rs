//! What people read: a first line that says what, since when, where from and why; facts; a link. Made of a body alone,
//! so that it is the same at every attempt. Pure.
//!
//! All of it is text without markup. A target's words are in it, so each channel writes it in a form that takes no
//! markup, or escapes it ([`fitted`]).

use nines_shared::sample::clean;
use url::Url;

use super::message::{Message, Standing};
use crate::definition::channel::Texts;
use crate::definition::template::{Placeholder, Template};
use crate::incident::Kind;
use crate::incident::measured::Measured;
use crate::uptime::calendar;
use crate::words;

/// The longest title, in UTF-16 units: what a phone shows before one has to look.
pub const MAX_TITLE: usize = 400;
/// The longest value of a fact, in UTF-16 units.
pub const MAX_FACT: usize = 700;
/// The longest body of a template, in UTF-16 units; shorter than any service's limit.
pub const MAX_BODY: usize = 1_800;
/// The most bytes of one value before it is fitted in.
const MAX_VALUE_BYTES: usize = 4 << 10;

/// A message as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line, never empty; at most [`MAX_TITLE`].
    pub title: String,
    /// What follows; lines, at most [`MAX_BODY`]. Empty where the facts are told.
    pub body: String,
    /// Name and value, in the order of reading; empty where a template says the body.
    pub facts: Vec<(&'static str, String)>,
    /// Where people read on, and what a button to it says.
    pub link: Option<(&'static str, String)>,
}

/// The text of `message`, with the operator's templates in the place of the defaults.
pub fn of(message: &Message, texts: &Texts) -> Text {
    let filled = |template: &Template| template.filled(|placeholder| value(message, placeholder));
    let title = texts.title.as_ref().map_or_else(|| title(message), |template| one_line(&filled(template)));
    let title = if title.trim().is_empty() { self::title(message) } else { title };
    let body = texts.body.as_ref().map(|template| lines(&filled(template))).unwrap_or_default();
    Text {
        title: fitted(&title, MAX_TITLE, plain),
        facts: if body.is_empty() { facts(message) } else { Vec::new() },
        body: fitted(&body, MAX_BODY, plain),
        link: link(message),
    }
}

/// The default first line.
fn title(message: &Message) -> String {
    let by = message.acknowledged_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let state = match message.standing() {
        Standing::Open if message.event == "updated" => "Update: ".to_owned(),
        Standing::Open | Standing::Notice => String::new(),
        Standing::Acknowledged => format!("Acknowledged{by}: "),
        Standing::Over => "Resolved: ".to_owned(),
        Standing::Withdrawn => "Withdrawn: ".to_owned(),
    };
    let test = if message.test { "TEST, nothing is wrong: " } else { "" };
    // Of a summary that can't be seen nothing is left.
    let summary = Some(one_line(&message.summary)).filter(|summary| !summary.trim().is_empty());
    let summary = summary.unwrap_or_else(|| one_line(message.subject()));
    format!("{test}{state}{summary}")
}

/// What a reader asks next. What is not known is left out.
fn facts(message: &Message) -> Vec<(&'static str, String)> {
    let regions = &message.regions;
    let texts = [
        ("Service", message.service.clone()),
        ("Probe", message.probe.clone()),
        ("Customer", message.customer.clone()),
        ("Month", message.month.clone()),
        ("Environment", Some(message.environment.clone())),
        ("Severity", Some(value(message, Placeholder::Severity))),
        ("Started", Some(value(message, Placeholder::Since))),
        ("Ended", message.ended_at.map(calendar::utc)),
        ("Lasted", Some(value(message, Placeholder::Lasted))),
        ("Down from", Some(listed(&regions.failing))),
        ("Unknown from", Some(listed(&regions.unknown))),
        ("Up from", Some(listed(&regions.up))),
        ("Checks", Some(message.checks.join(", "))),
        ("Affected", Some(affected(message))),
        ("Days left", message.days_left.map(|days| days.to_string())),
        ("Budget", message.burn.map(|burn| Measured::Burn(burn).words())),
        ("Observed", message.coverage_ppm.map(words::percent)),
        ("Flapping", message.flapping.then(|| "yes: told seldom until it is calm".to_owned())),
        ("Reason", message.reason.clone()),
        ("Detail", message.detail.clone()),
        ("Note", message.note.clone()),
        ("Acknowledged by", message.acknowledged_by.clone()),
        ("Assigned to", message.assigned_to.clone()),
        ("Incident", message.incident.clone()),
    ];
    let cleaned = texts.into_iter().filter_map(|(name, value)| Some((name, one_line(&value?))));
    let known = cleaned.filter(|(_, value)| !value.trim().is_empty());
    known.map(|(name, value)| (name, fitted(&value, MAX_FACT, plain))).collect()
}

fn link(message: &Message) -> Option<(&'static str, String)> {
    let url = message.link.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let label = if message.incident.is_some() { "Open the incident" } else { "Open" };
    Some((label, url.into()))
}

/// What stands in the place of a placeholder: one line.
fn value(message: &Message, placeholder: Placeholder) -> String {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let text = match placeholder {
        Placeholder::Summary => message.summary.clone(),
        Placeholder::Subject => message.subject().to_owned(),
        Placeholder::State => state(message).to_owned(),
        Placeholder::Event => message.event.clone(),
        Placeholder::Severity => message.severity.map(|severity| severity.code().to_owned()).unwrap_or_default(),
        Placeholder::Kind => message.kind.clone(),
        Placeholder::Incident => or_empty(&message.incident),
        Placeholder::Customer => or_empty(&message.customer),
        Placeholder::Environment => message.environment.clone(),
        Placeholder::Checks => message.checks.join(", "),
        Placeholder::Regions => listed(&message.regions.failing),
        Placeholder::Reason => or_empty(&message.reason),
        Placeholder::Detail => or_empty(&message.detail),
        Placeholder::Since => message.started_at.map(calendar::utc).unwrap_or_default(),
        Placeholder::Lasted => {
            let span = message.started_at.zip(message.ended_at);
            span.map(|(from, to)| words::length(to.since(from))).unwrap_or_default()
        }
        Placeholder::AcknowledgedBy => or_empty(&message.acknowledged_by),
        Placeholder::Note => or_empty(&message.note),
        Placeholder::Link => message.link.clone(),
    };
    one_line(&text)
}

fn state(message: &Message) -> &str {
    match message.standing() {
        Standing::Open => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.code() == message.kind);
            kind.map_or(message.kind.as_str(), |kind| kind.words())
        }
        Standing::Acknowledged => "acknowledged",
        Standing::Over => "resolved",
        Standing::Withdrawn => "withdrawn",
        Standing::Notice => &message.event,
    }
}

fn affected(message: &Message) -> String {
    message.affected.iter().map(|one| one.check.as_str()).collect::<Vec<_>>().join(", ")
}

fn listed(regions: &[nines_shared::id::RegionId]) -> String {
    regions.iter().map(nines_shared::id::RegionId::as_str).collect::<Vec<_>>().join(", ")
}

/// `text` as one line, without what draws.
fn one_line(text: &str) -> String {
    clean(text, MAX_VALUE_BYTES)
}

/// `text` with its line breaks and nothing else that draws. A value has none, so each is the template's.
fn lines(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// `text` with every character as `escaped` writes it, and at most `limit` UTF-16 units long, which is how the services
/// count or less; what is too long ends in `…`, and no escape is cut in two.
pub fn fitted(text: &str, limit: usize, escaped: fn(char, &mut String)) -> String {
    let (mut out, mut units) = (String::with_capacity(text.len()), 0);
    // Where the text is cut, if it must be: the last place that leaves room for the mark.
    let mut cut = 0;
    for c in text.chars() {
        let before = out.len();
        escaped(c, &mut out);
        units += out[before..].encode_utf16().count();
        if limit < units {
            out.truncate(cut);
            out.push('…');
            return out;
        }
        if units < limit {
            cut = out.len();
        }
    }
    out
}

/// Escapes nothing.
pub fn plain(c: char, out: &mut String) {
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::time::Timestamp;
    use proptest::prelude::*;

    fn outage() -> Message {
        Message {
            event: "opened".to_owned(),
            kind: "outage".to_owned(),
            incident: Some("shop-20261122T031207Z".to_owned()),
            service: Some("shop".to_owned()),
            summary: "shop is down since 2026-11-22T03:12:07Z, seen from eu-west: connect_refused in connect"
                .to_owned(),
            started_at: Some(Timestamp::from_ms(1_795_317_127_000)),
            link: "https://status.example/incident/shop-20261122T031207Z".to_owned(),
            ..Message::default()
        }
    }

    #[test]
    fn the_first_line_says_what_since_when_where_from_and_why_and_how_it_stands() {
        let title = |message: &Message| of(message, &Texts::default()).title;
        assert_eq!(title(&outage()), outage().summary);
        let known = Message { acknowledged_at: Some(Timestamp::from_ms(1)), event: "updated".into(), ..outage() };
        let known = Message { acknowledged_by: Some("ann".into()), ..known };
        assert!(title(&known).starts_with("Acknowledged by ann: shop is down since"));
        let over = Message { event: "resolved".into(), ..outage() };
        assert!(title(&over).starts_with("Resolved: shop"));
        assert!(title(&Message { withdrawn: true, ..over }).starts_with("Withdrawn: shop"));
        assert!(title(&Message { test: true, ..outage() }).starts_with("TEST, nothing is wrong: shop"));
        assert_eq!(title(&Message::default()), "nines", "an empty body still has a first line");
    }

    #[test]
    fn a_template_takes_the_place_of_the_default_and_values_bring_no_lines_of_their_own() {
        let texts = Texts {
            title: Some("{subject} is {state}".parse().unwrap()),
            body: Some("since {since}\n\n{detail}".parse().unwrap()),
        };
        let hostile = Message { detail: Some("one\ntwo\u{202e}\u{1b}[31m".to_owned()), ..outage() };
        let text = of(&hostile, &texts);
        assert_eq!(text.title, "shop is down");
        assert_eq!(text.body, "since 2026-11-22T03:12:07Z\n\none two  [31m");
        assert_eq!(text.facts, []);
        let empty = Texts { title: Some("{note}".parse().unwrap()), body: Some("{note}".parse().unwrap()) };
        let text = of(&outage(), &empty);
        assert_eq!(text.title, outage().summary, "nobody is told nothing");
        assert!(!text.facts.is_empty());
    }

    #[test]
    fn figures_are_facts_where_there_are_any() {
        let fact = |message: &Message, name: &str| {
            let facts = of(message, &Texts::default()).facts;
            facts.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        let body = r#"{"incident":"shop-1","flapping":true,"days_left":-2,"coverage_ppm":875000,
            "affected":[{"service":"cart","check":"cart-home"},{"service":"pay","check":"pay-api"}],
            "burn":{"long_ms":3600000,"short_ms":300000,"factor_tenths":144,"long_milli":14500,"short_milli":20000,"budget_ms":1000,
                "remaining_ms":-60000,"ends_at":null}}"#;
        let message = Message::read(body).unwrap();
        assert_eq!(fact(&message, "Days left").unwrap(), "-2");
        assert_eq!(fact(&message, "Affected").unwrap(), "cart-home, pay-api");
        assert!(fact(&message, "Observed").unwrap().starts_with("87.5"));
        assert!(fact(&message, "Budget").unwrap().starts_with("14.5 times"));
        assert!(fact(&message, "Flapping").is_some());
        for name in ["Days left", "Affected", "Observed", "Budget", "Flapping"] {
            assert_eq!(fact(&outage(), name), None);
        }
    }

    #[test]
    fn a_link_is_a_web_address_or_none() {
        assert!(of(&outage(), &Texts::default()).link.is_some());
        let odd = Message { link: "javascript:alert(1)".to_owned(), ..outage() };
        assert_eq!(of(&odd, &Texts::default()).link, None);
    }

    #[test]
    fn a_summary_that_cannot_be_seen_is_replaced_by_what_it_is_about() {
        let unseen = Message { summary: "\u{200b}".to_owned(), ..outage() };
        assert!(of(&unseen, &Texts::default()).title.contains(outage().subject()));
    }

    fn doubled(c: char, out: &mut String) {
        out.extend([c, c]);
    }

    proptest! {
        #[test]
        fn what_is_fitted_in_is_as_long_as_it_may_be_and_no_escape_is_cut(text in "\\PC{0,40}", limit in 1_usize..40) {
            let fit = fitted(&text, limit, doubled);
            let units = fit.encode_utf16().count();
            prop_assert!(units <= limit, "{fit:?}");
            let kept = fit.strip_suffix('…').unwrap_or(&fit);
            let whole: Vec<char> = kept.chars().collect();
            prop_assert!(whole.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]) || text.contains('…'), "{fit:?}");
            prop_assert_eq!(fit.ends_with('…') || text.contains('…'), 2 * text.encode_utf16().count() > limit || text.contains('…'));
        }

        #[test]
        fn no_message_makes_a_line_that_draws(summary in ".{0,600}", detail in ".{0,600}") {
            let message = Message { summary, detail: Some(detail), ..outage() };
            let text = of(&message, &Texts::default());
            let draws = |text: &str| text.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
            prop_assert!(!draws(&text.title) && text.facts.iter().all(|(_, value)| !draws(value)));
            prop_assert!(text.title.encode_utf16().count() <= MAX_TITLE && !text.title.trim().is_empty());
        }
    }
}
