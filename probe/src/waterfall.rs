//! The one-shot check, drawn: what was asked, where, how long each phase took, and what was expected.
//!
//! PURE: an observation in, text with colours out; whoever prints it strips the colours where they are not
//! wanted. Everything that a target wrote is cleaned before it gets here or here.

mod bar;
mod certificate;
mod marks;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use nines_shared::check::{HttpQuestion, Question};
use nines_shared::sample::{DnsEvidence, Outcome, Phase, Phases, TlsEvidence, detail};
use nines_shared::time::Timestamp;

use crate::prober::Observation;
use bar::Bar;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

const NOWHERE: &str = "no address was contacted";

/// Draws what `seen` says of `question`. `now` is for the days that certificates have left.
pub fn draw(question: &Question, seen: &Observation, now: Timestamp) -> String {
    let mut page = String::from("\n");
    title(&mut page, question, seen);
    phases(&mut page, question, seen);
    if let Some(tls) = &seen.evidence.tls {
        session(&mut page, tls, now);
    }
    if let Some(dns) = &seen.evidence.dns {
        answer(&mut page, dns);
    }
    page.push('\n');
    for mark in marks::of(question, seen) {
        line(&mut page, 2, &mark.to_string());
    }
    verdict(&mut page, seen);
    page
}

fn line(page: &mut String, indent: usize, text: &str) {
    // Writing to a string can't fail.
    let _written = writeln!(page, "{:indent$}{text}", "");
}

fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

fn title(page: &mut String, question: &Question, seen: &Observation) {
    let what = match question {
        Question::Http(http) => format!("{} {}", http.method, detail(&question.target())),
        Question::Dns(_) | Question::Tls(_) => detail(&question.target()),
    };
    line(page, 2, &styled(BOLD, what));
    if seen.evidence.hops.is_empty() {
        let from = seen.evidence.address.map(|address| address.to_string());
        line(page, 2, &styled(DIM, from.unwrap_or_else(|| NOWHERE.to_owned())));
    }
}

/// The phases of each hop as bars on one scale, and the total.
fn phases(page: &mut String, question: &Question, seen: &Observation) {
    let own = [(None, seen.phases_us)];
    let hops = seen.evidence.hops.iter().map(|hop| (Some(hop), hop.phases_us));
    let rows: Vec<_> = if seen.evidence.hops.is_empty() { own.into_iter().collect() } else { hops.collect() };
    let last = rows.len() - 1;
    let mut begins_us = 0;
    for (index, (hop, times)) in rows.into_iter().enumerate() {
        if let Some(hop) = hop {
            let parts = [
                hop.address.map(|address| address.to_string()),
                hop.version.clone(),
                hop.status.map(|status| status.to_string()),
            ];
            let mut known: Vec<String> = parts.into_iter().flatten().collect();
            if known.is_empty() {
                known.push(NOWHERE.to_owned());
            }
            let arrow = if index == 0 { String::new() } else { format!("→ {}  ", detail(&hop.url)) };
            line(page, 2, &styled(DIM, format!("{arrow}{}", known.join("  "))));
        }
        page.push('\n');
        let failed = seen.phase.filter(|_phase| index == last && seen.reason.is_some());
        begins_us = bars(page, question, times, Scale { begins_us, total_us: seen.duration_us, failed });
        page.push('\n');
    }
    line(page, 2, &format!("{:<12}{:width$}{:>12}", "total", "", millis(seen.duration_us), width = bar::WIDTH));
}

/// Where on the scale a hop's bars begin, and which of them failed.
#[derive(Clone, Copy)]
struct Scale {
    begins_us: u64,
    total_us: u64,
    failed: Option<Phase>,
}

/// Draws a hop's bars; returns where the next hop begins.
fn bars(page: &mut String, question: &Question, times: Phases, scale: Scale) -> u64 {
    let mut from_us = scale.begins_us;
    for phase in Phase::ALL {
        let Some(us) = times.get(phase) else { continue };
        let failed = scale.failed == Some(phase);
        let bar = Bar::of(from_us, us, scale.total_us);
        let colour = if failed { RED } else { colour(phase) };
        let name = if failed { styled(RED, name(question, phase)) } else { name(question, phase).to_owned() };
        let pad = 12 - self::name(question, phase).chars().count().min(12);
        let bar = format!("{}{}{}", " ".repeat(bar.before), styled(colour, &bar.drawn), " ".repeat(bar.after));
        line(page, 2, &format!("{name}{:pad$}{bar}{:>12}", "", millis(us)));
        from_us += us;
    }
    from_us
}

const fn colour(phase: Phase) -> Style {
    match phase {
        Phase::Resolve => AnsiColor::Cyan,
        Phase::Connect => AnsiColor::Blue,
        Phase::Tls => AnsiColor::Magenta,
        Phase::FirstByte => AnsiColor::Yellow,
        Phase::Transfer => AnsiColor::Green,
    }
    .on_default()
}

const fn name(question: &Question, phase: Phase) -> &'static str {
    match (phase, question) {
        (Phase::Resolve, Question::Dns(_)) => "exchange",
        (Phase::Resolve, Question::Http(_) | Question::Tls(_)) => "resolve",
        (Phase::Connect, _) => "connect",
        (Phase::Tls, _) => "tls",
        (Phase::FirstByte, _) => "first byte",
        (Phase::Transfer, _) => "transfer",
    }
}

/// `1234567` µs as `1,234.6 ms`; two digits after the point where one would say too little.
fn millis(us: u64) -> String {
    if us < 10_000 {
        let hundredths = (us + 5) / 10;
        return format!("{}.{:02} ms", hundredths / 100, hundredths % 100);
    }
    let tenths = us.saturating_add(50) / 100;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole < 1_000 {
        return format!("{whole}.{tenth} ms");
    }
    format!("{},{:03}.{tenth} ms", whole / 1_000, whole % 1_000)
}

fn session(page: &mut String, tls: &TlsEvidence, now: Timestamp) {
    let parts = [&tls.version, &tls.cipher, &tls.alpn].map(|part| part.as_deref().map(detail));
    let known: Vec<String> = parts.into_iter().flatten().collect();
    if known.is_empty() && tls.chain.is_empty() {
        return;
    }
    page.push('\n');
    if !known.is_empty() {
        line(page, 2, &format!("{:<12}{}", "session", known.join("  ")));
    }
    for (index, shown) in tls.chain.iter().enumerate() {
        let label = if index == 0 { "certificate" } else { "" };
        line(page, 2, &format!("{label:<12}{}  {}", shown.subject, certificate::left(shown, now)));
        if index == 0 && !shown.names.is_empty() {
            line(page, 14, &styled(DIM, certificate::names(shown)));
        }
        line(page, 14, &styled(DIM, format!("issued by {}", shown.issuer)));
    }
}

fn answer(page: &mut String, dns: &DnsEvidence) {
    page.push('\n');
    let ttl = dns.ttl_s.map(|seconds| format!("  for {seconds} s")).unwrap_or_default();
    line(page, 2, &format!("{:<12}{} over {}{ttl}", "answer", dns.rcode, dns.transport));
    for record in &dns.answers {
        line(page, 14, &detail(record));
    }
}

fn verdict(page: &mut String, seen: &Observation) {
    let colour = match seen.outcome {
        Outcome::Up => GREEN,
        Outcome::Degraded => YELLOW,
        Outcome::Down => RED,
        Outcome::Inconclusive => AnsiColor::Magenta.on_default(),
    };
    let mut text = styled(colour.bold(), seen.outcome.code().to_uppercase());
    if let Some(reason) = &seen.reason {
        text = format!("{text}  {}", styled(colour, reason));
    }
    if let Some(phase) = seen.phase {
        text = format!("{text} in {phase}");
    }
    if seen.reason.is_none() {
        text = format!("{text}  in {}", millis(seen.duration_us));
    }
    page.push('\n');
    line(page, 2, &text);
    if let Some(why) = &seen.detail {
        line(page, 2, why);
    }
    page.push('\n');
}

/// What the request of a question expects, for the marks.
pub(crate) fn expectations(http: &HttpQuestion) -> impl Iterator<Item = String> + '_ {
    crate::prober::expect::each(&http.expect).map(|expectation| detail(&expectation.to_string()))
}

#[cfg(test)]
mod tests {
    use nines_shared::check::HttpQuestion;
    use nines_shared::sample::{Evidence, Hop, Reason};

    use super::*;

    fn seen() -> Observation {
        let phases =
            |connect, first_byte| Phases { connect: Some(connect), first_byte: Some(first_byte), ..Phases::default() };
        let hop = |url: &str, status, phases_us| Hop {
            url: url.into(),
            address: Some("192.0.2.1:80".parse().unwrap()),
            status: Some(status),
            version: Some("HTTP/1.1".into()),
            phases_us,
        };
        let hops = vec![hop("http://a/", 301, phases(10_000, 30_000)), hop("http://b/", 500, phases(20_000, 40_000))];
        Observation {
            outcome: Outcome::Down,
            reason: Some(Reason::HttpStatus),
            phase: Some(Phase::FirstByte),
            detail: Some("expected: status is 2xx; it is 500".into()),
            duration_us: 100_000,
            phases_us: phases(30_000, 70_000),
            attempt: 1,
            evidence: Evidence { hops, ..Evidence::default() },
        }
    }

    fn plain(page: &str) -> String {
        anstream::adapter::strip_str(page).to_string()
    }

    #[test]
    fn bars_of_all_hops_lie_on_one_scale_each_where_the_last_one_ended() {
        let question = Question::Http(Box::new(HttpQuestion::get("http://a/".parse().unwrap())));
        let page = plain(&draw(&question, &seen(), Timestamp::from_ms(0)));
        let starts: Vec<usize> = page
            .lines()
            .filter(|line| line.contains('█'))
            .map(|line| line.chars().position(|c| c == '█').unwrap())
            .collect();
        assert_eq!(starts.len(), 4, "{page}");
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{page}");
        assert!(page.contains("→ http://b/") && page.contains("100.0 ms"), "{page}");
        assert!(page.contains("✗ status is 2xx") && page.contains("DOWN  http_status in first_byte"), "{page}");
    }

    #[test]
    fn nothing_that_a_target_wrote_can_draw_on_the_terminal() {
        let mut seen = seen();
        seen.evidence.hops[1].url = "http://b/\u{1b}[2J".into();
        let question = Question::Http(Box::new(HttpQuestion::get("http://a/".parse().unwrap())));
        assert!(!draw(&question, &seen, Timestamp::from_ms(0)).contains("\u{1b}[2J"));
    }

    #[test]
    fn times_are_shown_in_milliseconds_with_as_many_digits_as_say_something() {
        let shown = [0, 13, 9_994, 9_995, 10_000, 1_234_567].map(millis);
        assert_eq!(shown, ["0.00 ms", "0.01 ms", "9.99 ms", "10.00 ms", "10.0 ms", "1,234.6 ms"]);
    }
}
