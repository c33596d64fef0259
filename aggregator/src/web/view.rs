//! What a page shows, as plain data made by pure functions: figures and now in, words and shapes out.
//!
//! Templates only lay out; what is said, in which words and how it is rounded is decided here. Every text is
//! escaped by the template that prints it.

pub(super) mod actions;
pub(super) mod incident;
pub(super) mod overview;
pub(super) mod probe;
pub(super) mod service;
mod sight;
pub(super) mod strip;

use std::collections::BTreeMap;

use nines_shared::id::RegionId;
use nines_shared::sample::Phase;
use nines_shared::time::{Span, Timestamp};

use super::figures::DAY_MS;
use super::shade::Shade;
use crate::definition::Region;
use crate::uptime::calendar::local::Zone;
use crate::uptime::{Accounts, Timeline, calendar};
use crate::words;

/// How people call the regions.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<RegionId, String>);

impl Names {
    pub(super) fn of(regions: &[Region]) -> Self {
        Self(regions.iter().map(|region| (region.id.clone(), region.name.clone())).collect())
    }

    /// The name of `region`; its id where the fleet file knows it no more.
    pub(super) fn region(&self, region: &RegionId) -> String {
        self.0.get(region).map_or_else(|| region.to_string(), Clone::clone)
    }

    /// The names of `regions` as part of a sentence.
    pub(super) fn list(&self, regions: &[RegionId]) -> String {
        words::list(&regions.iter().map(|region| self.region(region)).collect::<Vec<_>>())
    }
}

/// An instant, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// In the customer's zone.
    pub(super) words: String,
    /// RFC 3339 in UTC.
    pub(super) iso: String,
}

impl Moment {
    /// `at` as told at `now` under a heading that names the zone.
    pub(super) fn of(at: Timestamp, zone: &Zone, now: Timestamp) -> Self {
        Self { words: zone.moment(at, now), iso: calendar::utc(at) }
    }

    /// `at` as told at `now`, with the zone.
    pub(super) fn named(at: Timestamp, zone: &Zone, now: Timestamp) -> Self {
        Self { words: zone.moment_named(at, now), iso: calendar::utc(at) }
    }
}

/// What is so at the end of a timeline, and for how long it has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) shade: Shade,
    /// "for 12 min 4 s", "for more than 24 h"; empty where there is nothing to tell.
    pub(super) since: String,
    /// The first instant it is known to be so.
    pub(super) from: Option<Timestamp>,
}

impl Standing {
    /// Of a timeline that was cut at `life` on its left, with maintenance in `excluded`.
    pub(super) fn of(timeline: &Timeline, excluded: &[Span], life: Span) -> Self {
        let Some((span, verdict)) = timeline.last() else {
            return Self { shade: Shade::Blank, since: String::new(), from: None };
        };
        let last = span.to.plus_ms(-1);
        let (span, shade) = match excluded.iter().find(|hole| hole.contains(last)) {
            Some(hole) => (*hole, Shade::Maintenance),
            None => (span, Shade::from(verdict)),
        };
        let cut = span.from == timeline.window().from && span.from != life.from;
        let length_ms = Span::new(span.from, timeline.window().to).length_ms();
        let since = if cut {
            format!("for more than {}", window_length(length_ms))
        } else {
            format!("for {}", words::duration(length_ms))
        };
        Self { shade, since, from: Some(span.from) }
    }
}

/// An availability, which is never shown without its coverage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Availability {
    /// "99.987 %", or "no data".
    pub(super) value: String,
    /// "coverage 99.1 %".
    pub(super) coverage: String,
    /// Worst and best case, where something is unknown.
    pub(super) between: Option<(String, String)>,
}

impl Availability {
    pub(super) fn of(accounts: &Accounts) -> Self {
        let value = accounts.availability_ppm().map_or_else(|| "no data".to_owned(), words::percent);
        let coverage = accounts.coverage_ppm();
        let complete = accounts.unknown_ms == 0;
        let between = match (accounts.worst_case_ppm(), accounts.best_case_ppm()) {
            (Some(worst), Some(best)) if !complete => Some((words::percent(worst), words::percent(best))),
            (Some(_) | None, _) => None,
        };
        let coverage = match coverage {
            Some(coverage) => format!("coverage {}", words::percent(coverage)),
            None => "nothing to cover".to_owned(),
        };
        Self { value, coverage, between }
    }
}

/// A reason's code as words: "connect refused", "HTTP status".
pub(super) fn reason_words(code: &str) -> String {
    let words = words::code(code);
    for (start, name) in [("http ", "HTTP "), ("dns ", "DNS "), ("tls ", "TLS ")] {
        if let Some(rest) = words.strip_prefix(start) {
            return format!("{name}{rest}");
        }
    }
    words
}

/// In which phase something failed, as part of a sentence; the code itself where this version does not know it.
pub(super) fn phase_words(code: &str) -> String {
    match Phase::ALL.into_iter().find(|phase| phase.code() == code) {
        Some(Phase::Resolve) => "while resolving the name".to_owned(),
        Some(Phase::Connect) => "while connecting".to_owned(),
        Some(Phase::Tls) => "in the TLS handshake".to_owned(),
        Some(Phase::FirstByte) => "while waiting for the first byte".to_owned(),
        Some(Phase::Transfer) => "while reading the body".to_owned(),
        None => format!("in {}", words::code(code)),
    }
}

/// With a capital letter at its start.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The window in words: "last 24 hours", or "first 8 min" of a life that is shorter.
pub(super) fn window_words(asked: Span, judged: Span) -> String {
    if asked.from < judged.from {
        return format!("first {}", words::duration(judged.length_ms()));
    }
    format!("last {}", window_length(asked.length_ms()))
}

/// A window's length as people call it: "24 hours", "30 days", else as [`words::duration`] says.
pub(super) fn window_length(ms: i64) -> String {
    match (ms / DAY_MS, ms % DAY_MS) {
        (1, 0) => "24 hours".to_owned(),
        (days @ 2.., 0) => format!("{days} days"),
        _ => words::duration(ms),
    }
}
