//! What is read of the present alone: it fails, it is good, or nobody can tell. A budget that burns, coverage under its
//! floor and the ailments of a probe have no timeline of their own; the record is their memory.

use nines_shared::time::{Span, Timestamp};

use super::episode::Episode;
use super::instants::Lead;
use super::signal::{Signal, State};
use super::transition::{Case, Transition, reconcile};
use super::{Incident, Kind, Scene, Subject};
use crate::definition::Severity;

/// The most failing spans that one such incident remembers: the first and the latest.
pub const MAX_SPANS: usize = 200;

/// What is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It fails, and did from then on at the latest.
    Fails(Timestamp),
    /// It does not, and did not from then on.
    Good(Timestamp),
    /// Nobody can tell: what is on record stays as it is.
    Unknown,
}

/// A reading, and all that decides what it changes.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The kind of incident.
    pub kind: Kind,
    /// Whom it is about.
    pub subject: &'a Subject,
    /// What is read.
    pub reading: Reading,
    /// How loud it is.
    pub severity: Severity,
    /// What is seen, where it fails.
    pub seen: &'a Scene,
    /// The last good instant before it began to fail, where one is known.
    pub last_good_at: Option<Timestamp>,
    /// The open incident, where there is one.
    pub open: Option<&'a Incident>,
    /// When failing spans began that incidents on record cover ([`super::flap`]).
    pub beginnings: &'a [Timestamp],
    /// When this is decided.
    pub now: Timestamp,
}

/// What is to change so that the record says what is read.
pub fn settle(standing: &Standing<'_>) -> Vec<Transition> {
    let now = standing.now;
    let (state, failing) = match standing.reading {
        Reading::Unknown => return Vec::new(),
        Reading::Fails(since) => (State::Failing, spans_until(standing.open, Some(since), now)),
        Reading::Good(since) => (State::Good, spans_until(standing.open, None, since.min(now))),
    };
    let Some(first) = failing.first() else { return Vec::new() };
    let lead = Lead { last_good_at: standing.last_good_at, first_failure_at: first.from };
    let good_ms = match state {
        State::Good => now.since(failing.last().map_or(now, |last| last.to)),
        State::Failing | State::Neutral => 0,
    };
    let episode = Episode { failing, fails_now: state == State::Failing, good_ms, lead };
    let signal = Signal::new([(Span::new(now.plus_ms(-1), now), state)]);
    reconcile(&Case {
        kind: standing.kind,
        subject: standing.subject,
        severity: standing.severity,
        signal: &signal,
        episodes: std::slice::from_ref(&episode),
        recorded: standing.open.map_or(&[], std::slice::from_ref),
        beginnings: standing.beginnings,
        seen_now: standing.seen,
        resolve_after_ms: 0,
        now,
    })
}

/// The failing spans of `open`, the last going on up to `until`, with one more from `fails_since` on where it had
/// ended.
fn spans_until(open: Option<&Incident>, fails_since: Option<Timestamp>, until: Timestamp) -> Vec<Span> {
    let known = open.map_or(&[][..], |incident| &incident.outages);
    let mut spans: Vec<Span> =
        known.iter().map(|outage| Span::new(outage.from, outage.to.unwrap_or(until).max(outage.from))).collect();
    let goes_on = known.last().is_some_and(|last| last.to.is_none());
    if let Some(since) = fails_since.filter(|_| !goes_on) {
        let from = spans.last().map_or(since, |last| since.max(last.to)).min(until);
        spans.push(Span::new(from, until));
    }
    if MAX_SPANS < spans.len() {
        spans.drain(1..=spans.len() - MAX_SPANS);
    }
    spans
}

#[cfg(test)]
mod tests;
