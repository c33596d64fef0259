//! What happens, told as it happens: samples, verdicts and alerts in, lines out. It remembers what it told,
//! so that only news is told. Pure: what time it is comes with what happened.

use std::collections::BTreeMap;

use nines_shared::id::{CheckId, RegionId, ServiceId};
use nines_shared::sample::{Outcome, Phase, Sample};
use nines_shared::time::Timestamp;

use super::sink::Alert;
use crate::definition::Fleet;
use crate::uptime::Verdict;
use crate::uptime::service::{CheckAssessment, ServiceAssessment};
use crate::words;

/// How a line is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A new scene.
    Scene,
    /// What one region saw.
    Seen(Outcome),
    /// What the fleet says.
    Verdict(Verdict),
    /// A notification.
    Letter,
    /// A remark.
    Remark,
}

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What kind of line it is.
    pub(super) mark: Mark,
    /// What it says.
    pub(super) text: String,
}

fn line(mark: Mark, text: String) -> Line {
    Line { mark, text }
}

/// What was told so far.
#[derive(Debug)]
pub(super) struct Story {
    regions: Vec<(RegionId, String)>,
    width: usize,
    seen: BTreeMap<(CheckId, RegionId), Seen>,
    verdicts: BTreeMap<ServiceId, (Verdict, Timestamp)>,
    remarked: bool,
    patience_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    outcome: Outcome,
}

impl Story {
    /// Nothing told yet of what `fleet` looks at.
    pub(super) fn new(fleet: &Fleet) -> Self {
        let regions: Vec<_> = fleet.regions.iter().map(|it| (it.id.clone(), it.name.clone())).collect();
        let width = regions.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0);
        let patience_ms = fleet.checks.iter().map(|check| 2 * check.interval_ms).max().unwrap_or(0);
        Self { regions, width, seen: BTreeMap::new(), verdicts: BTreeMap::new(), remarked: false, patience_ms }
    }

    /// The newest sample of a check from a region.
    pub(super) fn sample(&mut self, sample: &Sample) -> Option<Line> {
        let key = (sample.check.clone(), sample.region.clone());
        let known = self.seen.get(&key).copied();
        if known.is_some_and(|known| sample.started_at <= known.at) {
            return None;
        }
        let is_new_here = !self.seen.keys().any(|(_, region)| *region == sample.region);
        self.seen.insert(key, Seen { at: sample.started_at, outcome: sample.outcome });
        let before = known.map(|known| known.outcome);
        if before == Some(sample.outcome) || (before.is_none() && sample.outcome == Outcome::Up && !is_new_here) {
            return None;
        }
        let region = self.region(&sample.region);
        let says = says(sample, before);
        let text = format!("{region:<width$}  {:<9}  {says}", sample.check, width = self.width);
        Some(line(Mark::Seen(sample.outcome), text))
    }

    /// What the fleet says of a service now.
    pub(super) fn verdict(&mut self, name: &str, view: &View, now: Timestamp) -> Vec<Line> {
        let before = self.verdicts.get(&view.service).copied();
        let mut lines: Vec<Line> = self.remark(view, now).into_iter().collect();
        if before.is_some_and(|(verdict, _)| verdict == view.verdict) {
            return lines;
        }
        // Before the first look of a quorum there is nothing to tell.
        if before.is_none() && view.verdict == Verdict::Unknown {
            return lines;
        }
        self.verdicts.insert(view.service.clone(), (view.verdict, view.since));
        let regions = self.names(&view.failing);
        let text = match view.verdict {
            Verdict::Up => match before {
                Some((Verdict::Down, since)) => {
                    format!("{name} is up again: it was down for {}", seconds(view.since.since(since)))
                }
                Some((Verdict::Up | Verdict::Degraded | Verdict::Unknown, _)) => format!("{name} is up again"),
                None => format!("{name} is up: the regions agree"),
            },
            Verdict::Degraded => format!("{name} is degraded: it works, slower than promised"),
            Verdict::Unknown => {
                format!("{name} is unknown: too few regions say anything; that is not up, and not down")
            }
            Verdict::Down => format!("{name} is down: quorum reached, {regions} agree"),
        };
        lines.push(line(Mark::Verdict(view.verdict), text));
        lines
    }

    /// A notification that arrived.
    pub(super) fn alert(&self, alert: &Alert) -> Line {
        let signed = if alert.signed { "signed" } else { "NOT signed as it should be" };
        let what = match alert.event.as_str() {
            "opened" => format!("{} sent to the webhook, {signed}", alert.severity),
            event => format!(
                "{event}: {} sent to the webhook, {signed}",
                if event == "resolved" { "all clear" } else { "news" }
            ),
        };
        let delay = alert.first_failure_at.zip(alert.detected_at).filter(|_| alert.event == "opened");
        let delay = delay.map(|(first, detected)| format!(", {} after the first failure", seconds(detected - first)));
        let mut text = format!("{what}{}", delay.unwrap_or_default());
        for more in [&alert.summary, &alert.link].into_iter().flatten() {
            text += &format!("\n{more}");
        }
        line(Mark::Letter, text)
    }

    /// What is worth a remark once it has lasted: that one region alone is not believed, or that a check of a
    /// service that is down works from everywhere.
    fn remark(&mut self, view: &View, now: Timestamp) -> Option<Line> {
        // A region that is late to see the end of an outage accuses nobody either, but that is no news.
        let since = view.accused_since.filter(|since| view.verdict == Verdict::Down || view.since <= *since);
        let Some(since) = since else {
            self.remarked = false;
            return None;
        };
        if self.remarked || now.since(since.max(view.since)) < self.patience_ms {
            return None;
        }
        self.remarked = true;
        let text = match view.verdict {
            Verdict::Up | Verdict::Degraded => {
                let (regions, word) = (self.names(&view.failing), word(view.verdict));
                format!("{regions} alone accuses nobody: the verdict stays {word}, nobody is paged")
            }
            Verdict::Down if !view.working.is_empty() => {
                let checks: Vec<String> = view.working.iter().map(ToString::to_string).collect();
                format!("not the fault of {}: as good as ever, from everywhere", words::list(&checks))
            }
            Verdict::Down | Verdict::Unknown => return None,
        };
        Some(line(Mark::Remark, text))
    }

    fn region(&self, id: &RegionId) -> String {
        let found = self.regions.iter().find(|(region, _)| region == id);
        found.map_or_else(|| id.to_string(), |(_, name)| name.clone())
    }

    fn names(&self, ids: &[RegionId]) -> String {
        let named = self.regions.iter().filter(|(region, _)| ids.contains(region));
        words::list(&named.map(|(_, name)| name.clone()).collect::<Vec<_>>())
    }
}

/// What a region saw, in words.
fn says(sample: &Sample, before: Option<Outcome>) -> String {
    let took = sample.duration_us.map(words::latency).unwrap_or_default();
    match sample.outcome {
        Outcome::Up if before.is_none() => format!("up in {took}{}", phases(sample)),
        Outcome::Up => format!("up again, in {took}"),
        Outcome::Degraded => format!("slow: {took}{}", longest(sample)),
        Outcome::Down => {
            let reason = sample.reason.as_ref().map(|reason| words::code(reason.code())).unwrap_or_default();
            let phase = sample.phase.map(|phase| format!(" in {}", phase_word(phase))).unwrap_or_default();
            let detail = sample.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("down, {reason}{phase}{detail}")
        }
        Outcome::Inconclusive => {
            let reason = sample.reason.as_ref().map(|reason| words::code(reason.code())).unwrap_or_default();
            format!("no answer that counts, and the fault is ours: {reason}")
        }
    }
}

/// The phases of a sample, in order.
fn phases(sample: &Sample) -> String {
    let timed = Phase::ALL.iter().filter_map(|phase| Some((*phase, sample.phases_us.get(*phase)?)));
    let parts: Vec<String> = timed.map(|(phase, us)| format!("{} {}", phase_word(phase), words::latency(us))).collect();
    if parts.len() < 2 { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Where most of the time went.
fn longest(sample: &Sample) -> String {
    let timed = Phase::ALL.iter().filter_map(|phase| Some((*phase, sample.phases_us.get(*phase)?)));
    let longest = timed.max_by_key(|(_, us)| *us);
    longest.map(|(phase, us)| format!(", of it {} {}", phase_word(phase), words::latency(us))).unwrap_or_default()
}

fn phase_word(phase: Phase) -> String {
    words::code(phase.code())
}

/// The word for a verdict.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Up => "up",
        Verdict::Degraded => "degraded",
        Verdict::Unknown => "unknown",
        Verdict::Down => "down",
    }
}

/// Milliseconds as seconds with one decimal, floored.
pub(super) fn seconds(ms: i64) -> String {
    format!("{}.{}\u{202f}s", ms / 1_000, ms % 1_000 / 100)
}

/// What the fleet says of a service at an instant, and who accuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Of which service.
    pub(super) service: ServiceId,
    /// What the fleet says.
    pub(super) verdict: Verdict,
    /// Since when.
    pub(super) since: Timestamp,
    /// The regions that say `down`, sorted.
    pub(super) failing: Vec<RegionId>,
    /// Since when the longest of them does.
    pub(super) accused_since: Option<Timestamp>,
    /// The checks that no region calls down or can't speak of.
    pub(super) working: Vec<CheckId>,
}

impl View {
    /// The view at the end of what was assessed; `None` where nothing was.
    pub(super) fn of(service: &ServiceId, assessment: &ServiceAssessment) -> Option<Self> {
        let (span, verdict) = assessment.timeline.last()?;
        let regions = assessment.checks.iter().flat_map(|check| &check.regions);
        let accusing = regions.filter_map(|region| match region.timeline.last()? {
            (span, Verdict::Down) => Some((region.region.clone(), span.from)),
            (_, Verdict::Up | Verdict::Degraded | Verdict::Unknown) => None,
        });
        let accusing: Vec<_> = accusing.collect();
        let mut failing: Vec<RegionId> = accusing.iter().map(|(region, _)| region.clone()).collect();
        failing.sort();
        failing.dedup();
        let accused_since = accusing.iter().map(|(_, since)| *since).min();
        let works = |check: &&CheckAssessment| {
            let last = check.regions.iter().map(|region| region.timeline.last());
            last.into_iter().all(|last| matches!(last, Some((_, Verdict::Up | Verdict::Degraded))))
        };
        let working = assessment.checks.iter().filter(works).map(|check| check.check.clone()).collect();
        Some(Self { service: service.clone(), verdict, since: span.from, failing, accused_since, working })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn fleet() -> Fleet {
        let text = "[[region]]\nid = 'a'\nname = 'Ireland'\n[[region]]\nid = 'b'\nname = 'Mumbai'\n[[region]]\nid = 'c'\n\
                    [[customer]]\nid = 'acme'\ntimezone = 'UTC'\n[[service]]\nid = 'shop'\ncustomer = 'acme'\n\
                    [[check]]\nid = 'home'\nservice = 'shop'\ninterval = '2s'\nhttp = { url = 'https://shop.example/' }";
        crate::fleet_file::parse(text, Path::new("nines.toml")).unwrap().0
    }

    fn sample(region: &str, at: i64, outcome: &str, more: &str) -> Sample {
        let text = format!(
            r#"{{"check":"home","region":"{region}","kind":"planned","scheduled_at":{at},"started_at":{at},"outcome":"{outcome}","duration_us":12000{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn view(verdict: Verdict, since: i64, failing: &[&str]) -> View {
        let failing: Vec<RegionId> = failing.iter().map(|id| id.parse().unwrap()).collect();
        let accused_since = (!failing.is_empty()).then_some(Timestamp::from_ms(since));
        let since = if verdict == Verdict::Up && !failing.is_empty() { 0 } else { since };
        let (service, since) = ("shop".parse().unwrap(), Timestamp::from_ms(since));
        View { service, verdict, since, failing, accused_since, working: Vec::new() }
    }

    #[test]
    fn a_region_is_told_of_when_it_changes_its_mind_and_not_before() {
        let mut story = Story::new(&fleet());
        assert!(story.sample(&sample("a", 1_000, "up", "")).is_some());
        assert!(story.sample(&sample("a", 3_000, "up", "")).is_none());
        let why = r#","reason":"http_status","phase":"first_byte","detail":"503 instead of 2xx""#;
        let told = story.sample(&sample("a", 5_000, "down", why)).unwrap().text;
        assert!(told.contains("Ireland") && told.contains("http status in first byte: 503 instead of 2xx"), "{told}");
        assert!(story.sample(&sample("a", 4_000, "up", "")).is_none(), "what is older is not news");
        assert!(story.sample(&sample("a", 7_000, "up", "")).unwrap().text.contains("up again"));
    }

    #[test]
    fn a_verdict_is_told_with_who_agrees_and_how_long_it_was_down() {
        let (mut story, now) = (Story::new(&fleet()), Timestamp::from_ms(0));
        assert_eq!(story.verdict("Shop", &view(Verdict::Unknown, 0, &[]), now), []);
        assert_eq!(story.verdict("Shop", &view(Verdict::Up, 0, &[]), now).len(), 1);
        assert_eq!(story.verdict("Shop", &view(Verdict::Up, 0, &[]), now).len(), 0);
        let down = story.verdict("Shop", &view(Verdict::Down, 10_000, &["a", "b"]), now);
        assert!(down[0].text.contains("quorum reached, Ireland and Mumbai agree"), "{down:?}");
        let up = story.verdict("Shop", &view(Verdict::Up, 33_960, &[]), now);
        assert!(up[0].text.contains("down for 23.9\u{202f}s"), "{up:?}");
    }

    #[test]
    fn that_one_region_accuses_nobody_is_said_once_it_has_lasted() {
        let mut story = Story::new(&fleet());
        let alone = view(Verdict::Up, 10_000, &["b"]);
        let told = |story: &mut Story, now| story.verdict("Shop", &alone, Timestamp::from_ms(now));
        assert!(!told(&mut story, 11_000).iter().any(|line| line.mark == Mark::Remark));
        assert!(told(&mut story, 14_000).iter().any(|line| line.text.contains("Mumbai alone accuses nobody")));
        assert!(told(&mut story, 16_000).is_empty());
    }

    #[test]
    fn what_works_while_a_service_is_down_is_said_once_it_has_lasted() {
        let mut story = Story::new(&fleet());
        let down = View { working: vec!["dns".parse().unwrap()], ..view(Verdict::Down, 10_000, &["a", "b"]) };
        assert_eq!(story.verdict("Shop", &down, Timestamp::from_ms(11_000)).len(), 1);
        let told = story.verdict("Shop", &down, Timestamp::from_ms(15_000));
        assert!(told[0].text.contains("not the fault of dns"), "{told:?}");
    }

    #[test]
    fn a_region_that_sees_the_end_of_an_outage_late_is_no_news() {
        let mut story = Story::new(&fleet());
        story.verdict("Shop", &view(Verdict::Down, 10_000, &["a", "b"]), Timestamp::from_ms(11_000));
        let late = View { since: Timestamp::from_ms(30_000), ..view(Verdict::Up, 10_000, &["b"]) };
        let told = story.verdict("Shop", &late, Timestamp::from_ms(30_100));
        assert!(matches!(&told[..], [Line { mark: Mark::Verdict(Verdict::Up), .. }]), "{told:?}");
    }
}
