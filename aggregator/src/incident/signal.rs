//! When something was failing, good or not known: an assessment read as a signal that incidents follow.
//!
//! One signal for each kind of incident about a service. Inside maintenance nothing is failing: such time
//! neither opens an incident nor ends one, but good time there is good.

use nines_shared::time::{Span, Timestamp};

use super::Incident;
use crate::uptime::service::{CheckAssessment, ServiceAssessment};
use crate::uptime::{CheckRecord, ServiceRecord, Verdict};

/// How many intervals a check must be suspicious before anybody is told (`docs/METHOD.md`, detection).
pub const SUSPICIOUS_INTERVALS: i64 = 2;

/// How many intervals a service must be degraded before anybody is told (`docs/METHOD.md`, detection).
pub const DEGRADED_INTERVALS: i64 = 2;

/// What an incident of some kind makes of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// What the incident is about goes on.
    Failing,
    /// It does not.
    Good,
    /// Nobody can tell, or it does not count: neither opens nor resolves.
    Neutral,
}

/// A piecewise constant function of time: adjoining spans in order, neighbours different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signal(Vec<(Span, State)>);

impl Signal {
    /// The signal of these spans, which must adjoin and be in order. Empty ones are dropped, equal neighbours joined.
    pub fn new(spans: impl IntoIterator<Item = (Span, State)>) -> Self {
        let mut joined: Vec<(Span, State)> = Vec::new();
        for (span, state) in spans.into_iter().filter(|(span, _)| !span.is_empty()) {
            match joined.last_mut() {
                Some((last, before)) if *before == state => last.to = span.to,
                Some(_) | None => joined.push((span, state)),
            }
        }
        Self(joined)
    }

    /// The signal with one more span at its end, which must begin there.
    #[must_use]
    pub fn then(self, span: Span, state: State) -> Self {
        Self::new(self.0.into_iter().chain([(span, state)]))
    }

    /// The signal as `incident` remembers it up to where this one begins, and this one from there on: what is known of
    /// a kind without history is never read twice.
    #[must_use]
    pub fn after(self, incident: &Incident) -> Self {
        let Some(begins) = self.0.first().map(|(span, _)| span.from) else { return self };
        let mut remembered: Vec<(Span, State)> = Vec::new();
        for outage in incident.outages.iter().filter(|outage| outage.from < begins) {
            let to = outage.to.unwrap_or(begins).min(begins);
            let from = remembered.last().map_or(outage.from, |(last, _)| last.to);
            remembered.push((Span::new(from, outage.from), State::Neutral));
            remembered.push((Span::new(outage.from, to), State::Failing));
        }
        if let Some((last, _)) = remembered.last().copied() {
            remembered.push((Span::new(last.to, begins), State::Neutral));
        }
        Self::new(remembered.into_iter().chain(self.0))
    }

    /// Its spans, in order.
    pub fn spans(&self) -> &[(Span, State)] {
        &self.0
    }

    /// Whether it is failing from the first instant on, so that the true start may lie before it.
    pub fn starts_failing(&self) -> bool {
        self.0.first().is_some_and(|(_, state)| *state == State::Failing)
    }

    /// What it is at its end: the present, where it reaches up to now.
    pub fn last(&self) -> Option<State> {
        self.0.last().map(|(_, state)| *state)
    }
}

/// The signal of outages: failing where the service's verdict is `down`.
pub fn of_outages(assessment: &ServiceAssessment) -> Signal {
    let verdicts = assessment.timeline.spans().flat_map(|(span, verdict)| {
        let state = match verdict {
            Verdict::Down => State::Failing,
            Verdict::Up | Verdict::Degraded => State::Good,
            Verdict::Unknown => State::Neutral,
        };
        without(span, &assessment.excluded, state)
    });
    Signal::new(verdicts)
}

/// The signal of suspicion: failing where some check's verdict has been `unknown` for
/// [`SUSPICIOUS_INTERVALS`] while a region of it says `down`; good where the service's verdict is known.
pub fn of_suspicion(record: &ServiceRecord, assessment: &ServiceAssessment) -> Signal {
    let mut suspicious: Vec<Span> = Vec::new();
    for check in &assessment.checks {
        let interval_ms = interval_of(record, check);
        let lasting = suspicious_spans(check).into_iter();
        suspicious.extend(lasting.filter(|span| SUSPICIOUS_INTERVALS * interval_ms <= span.length_ms()));
    }
    let suspicious = union(suspicious);
    let spans = assessment.timeline.spans().flat_map(|(span, verdict)| {
        let rest = match verdict {
            Verdict::Up | Verdict::Degraded | Verdict::Down => State::Good,
            Verdict::Unknown => State::Neutral,
        };
        split(span, &suspicious).into_iter().flat_map(move |(part, inside)| {
            let state = if inside { State::Failing } else { rest };
            without(part, &assessment.excluded, state)
        })
    });
    Signal::new(spans)
}

/// The signal of slowness: failing where the service's verdict has been `degraded` for [`DEGRADED_INTERVALS`]; good
/// where it is up. What is down or unknown meanwhile is another kind's business.
pub fn of_slowness(record: &ServiceRecord, assessment: &ServiceAssessment) -> Signal {
    let lasting_ms = DEGRADED_INTERVALS * slowest_interval(record);
    let spans = assessment.timeline.spans().flat_map(|(span, verdict)| {
        let state = match verdict {
            Verdict::Degraded if lasting_ms <= span.length_ms() => State::Failing,
            Verdict::Up => State::Good,
            Verdict::Degraded | Verdict::Down | Verdict::Unknown => State::Neutral,
        };
        without(span, &assessment.excluded, state)
    });
    Signal::new(spans)
}

/// When slowness that goes on will have lasted long enough to be told; `None` where there is none, or it has.
pub fn slowness_due(record: &ServiceRecord, assessment: &ServiceAssessment) -> Option<Timestamp> {
    let (span, verdict) = assessment.timeline.last()?;
    let due = span.from.plus_ms(DEGRADED_INTERVALS * slowest_interval(record));
    (verdict == Verdict::Degraded && assessment.window.to < due).then_some(due)
}

/// The longest interval in force now; one hour where there is no check.
fn slowest_interval(record: &ServiceRecord) -> i64 {
    record.checks.iter().filter_map(current).map(|check| check.interval_ms).max().unwrap_or(3_600_000)
}

/// When a suspicion that goes on will have lasted long enough to be told; `None` where there is none, or it has.
pub fn suspicion_due(record: &ServiceRecord, assessment: &ServiceAssessment) -> Option<Timestamp> {
    let now = assessment.window.to;
    let growing = assessment.checks.iter().filter_map(|check| {
        let last = suspicious_spans(check).last().copied().filter(|span| span.to == now)?;
        Some(last.from.plus_ms(SUSPICIOUS_INTERVALS * interval_of(record, check)))
    });
    growing.filter(|due| now < *due).min()
}

/// Where the check's verdict is `unknown` and at least one of its regions says `down`.
fn suspicious_spans(check: &CheckAssessment) -> Vec<Span> {
    let down =
        check.regions.iter().flat_map(|region| region.timeline.spans().filter(|(_, said)| *said == Verdict::Down));
    let down = union(down.map(|(span, _)| span).collect());
    let unknown = check.timeline.spans().filter(|(_, verdict)| *verdict == Verdict::Unknown);
    union(unknown.flat_map(|(span, _)| down.iter().filter_map(move |d| d.intersection(span))).collect())
}

/// The interval in force now; one hour for a check that the record does not know, which can't be.
fn interval_of(record: &ServiceRecord, check: &CheckAssessment) -> i64 {
    record
        .checks
        .iter()
        .find_map(|found| current(found).filter(|now| now.id == check.check))
        .map_or(3_600_000, |c| c.interval_ms)
}

/// The version of a check that is in force last.
pub fn current(check: &CheckRecord) -> Option<&nines_shared::check::Check> {
    check.versions.last().map(|version| &version.check)
}

/// Sorted, disjoint, and not even touching spans that cover what `spans` do.
fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            Some(_) | None => joined.push(span),
        }
    }
    joined
}

/// `span` cut at the edges of `parts` (sorted, disjoint), each piece with whether it lies inside one.
fn split(span: Span, parts: &[Span]) -> Vec<(Span, bool)> {
    let mut pieces = Vec::new();
    let mut at = span.from;
    let first = parts.partition_point(|part| part.to <= span.from);
    for inside in parts[first..].iter().map_while(|part| part.intersection(span)) {
        pieces.push((Span::new(at, inside.from), false));
        pieces.push((inside, true));
        at = inside.to;
    }
    pieces.push((Span::new(at, span.to), false));
    pieces
}

/// `span` in `state`, but never failing inside the excluded time.
fn without(span: Span, excluded: &[Span], state: State) -> Vec<(Span, State)> {
    if state != State::Failing {
        return vec![(span, state)];
    }
    let pieces = split(span, excluded).into_iter();
    pieces.map(|(part, inside)| (part, if inside { State::Neutral } else { state })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to))
    }

    #[test]
    fn a_failure_inside_excluded_time_does_not_count_and_good_time_there_does() {
        let excluded = [span(10, 20), span(30, 40)];
        let pieces = without(span(0, 50), &excluded, State::Failing);
        let failing = Signal::new(pieces);
        assert_eq!(
            failing.spans(),
            [
                (span(0, 10), State::Failing),
                (span(10, 20), State::Neutral),
                (span(20, 30), State::Failing),
                (span(30, 40), State::Neutral),
                (span(40, 50), State::Failing),
            ]
        );
        assert_eq!(without(span(0, 50), &excluded, State::Good), [(span(0, 50), State::Good)]);
    }

    #[test]
    fn spans_that_touch_or_overlap_are_one() {
        assert_eq!(union(vec![span(20, 30), span(0, 10), span(10, 15), span(22, 25)]), [span(0, 15), span(20, 30)]);
    }

    #[test]
    fn equal_neighbours_are_joined_and_empty_spans_dropped() {
        let signal = Signal::new([(span(0, 1), State::Good), (span(1, 1), State::Failing), (span(1, 2), State::Good)]);
        assert_eq!(signal.spans(), [(span(0, 2), State::Good)]);
        assert!(!signal.starts_failing());
    }
}
