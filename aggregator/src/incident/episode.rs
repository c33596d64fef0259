//! Episodes: what one incident should tell. Failing spans belong together until it has been good for
//! `resolve_after` between them; time that nobody can judge neither joins nor parts.

use nines_shared::time::{Span, Timestamp};

use super::instants::Lead;
use super::signal::{Signal, State};
use super::{Incident, flap};

/// Failing spans of a signal that one incident covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// In order, never empty.
    pub failing: Vec<Span>,
    /// Whether the last of them reaches the signal's end: it fails now.
    pub fails_now: bool,
    /// How long it has been good since the last of them, in ms. Unknown time does not count.
    pub good_ms: i64,
    /// What led to the first of them.
    pub lead: Lead,
}

impl Episode {
    /// The first failing instant.
    pub fn started_at(&self) -> Timestamp {
        self.failing.first().map_or(Timestamp::MIN, |span| span.from)
    }

    /// The end of the last failing span; `None` while it fails.
    pub fn ended_at(&self) -> Option<Timestamp> {
        if self.fails_now { None } else { self.failing.last().map(|span| span.to) }
    }

    /// Whether it has been good for long enough to call it over.
    pub fn is_over(&self, resolve_after_ms: i64) -> bool {
        !self.fails_now && resolve_after_ms <= self.good_ms
    }

    /// From its first failing instant to its last, open at the end while it fails.
    pub fn span(&self) -> Span {
        Span::new(self.started_at(), self.failing.last().map_or(Timestamp::MIN, |span| span.to))
    }
}

/// An open incident that flaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// When it started.
    pub since: Timestamp,
    /// How long it must be good before it is over, in ms.
    pub calm_ms: i64,
}

impl Flapping {
    /// The one among `recorded`, where there is one, by a `resolve_after` of so many ms.
    pub fn among(recorded: &[Incident], resolve_after_ms: i64) -> Option<Self> {
        let flaps = recorded.iter().find(|incident| incident.is_open() && incident.course.flapping)?;
        Some(Self { since: flaps.instants.started_at, calm_ms: flap::calm_ms(resolve_after_ms) })
    }
}

/// The episodes of `signal`, in order. `lead` says what led to a failure that starts at an instant.
pub fn episodes(signal: &Signal, resolve_after_ms: i64, lead: impl Fn(Timestamp) -> Lead) -> Vec<Episode> {
    episodes_with(signal, resolve_after_ms, None, lead)
}

/// [`episodes`], where an incident that flaps is open: what it has begun to tell stays one episode until it has been
/// calm for long enough.
pub fn episodes_with(
    signal: &Signal,
    resolve_after_ms: i64,
    flapping: Option<Flapping>,
    lead: impl Fn(Timestamp) -> Lead,
) -> Vec<Episode> {
    let mut found: Vec<Episode> = Vec::new();
    let over_after_ms = |episode: &Episode| {
        flapping.filter(|flaps| flaps.since < episode.span().to).map_or(resolve_after_ms, |flaps| flaps.calm_ms)
    };
    for (span, state) in signal.spans() {
        match (state, found.last_mut()) {
            (State::Failing, Some(last)) if last.good_ms < over_after_ms(last) => {
                last.failing.push(*span);
                last.good_ms = 0;
            }
            (State::Failing, _) => {
                let lead = lead(span.from);
                found.push(Episode { failing: vec![*span], fails_now: false, good_ms: 0, lead });
            }
            (State::Good, Some(last)) => last.good_ms = last.good_ms.saturating_add(span.length_ms()),
            (State::Good, None) | (State::Neutral, _) => {}
        }
    }
    if let Some(last) = found.last_mut() {
        last.fails_now = signal.last() == Some(State::Failing);
    }
    found
}

/// How long the signal has been good in all since `at`, in ms.
pub fn good_since_ms(signal: &Signal, at: Timestamp) -> i64 {
    let good = signal.spans().iter().filter(|(_, state)| *state == State::Good);
    good.map(|(span, _)| Span::new(span.from.max(at), span.to).length_ms()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn lead(at: Timestamp) -> Lead {
        Lead { last_good_at: None, first_failure_at: at }
    }

    /// `F` failing, `g` good, `.` neutral; ten ms each.
    fn signal(text: &str) -> Signal {
        Signal::new(text.chars().zip(0_i64..).map(|(c, n)| {
            let state = match c {
                'F' => State::Failing,
                'g' => State::Good,
                _ => State::Neutral,
            };
            (Span::new(at(n * 10), at(n * 10 + 10)), state)
        }))
    }

    /// Failing spans in ms, whether it fails now, ms of good time since.
    type Shape = (Vec<(i64, i64)>, bool, i64);

    fn shapes(text: &str) -> Vec<Shape> {
        let found = episodes(&signal(text), 30, lead);
        let spans = |e: &Episode| e.failing.iter().map(|s| (s.from.as_ms(), s.to.as_ms())).collect();
        found.iter().map(|e| (spans(e), e.fails_now, e.good_ms)).collect()
    }

    #[test]
    fn a_relapse_before_resolve_after_belongs_to_the_same_episode() {
        assert_eq!(shapes("gFFggFg"), [(vec![(10, 30), (50, 60)], false, 10)]);
    }

    #[test]
    fn a_failure_after_long_good_time_is_another_episode() {
        assert_eq!(shapes("gFgggF"), [(vec![(10, 20)], false, 30), (vec![(50, 60)], true, 0)]);
    }

    #[test]
    fn unknown_time_neither_parts_nor_counts_as_good() {
        assert_eq!(shapes("F.......gg"), [(vec![(0, 10)], false, 20)]);
        assert_eq!(shapes("Fg.....g.F"), [(vec![(0, 10), (90, 100)], true, 0)]);
        assert_eq!(shapes("F.g.g.gF"), [(vec![(0, 10)], false, 30), (vec![(70, 80)], true, 0)]);
    }

    #[test]
    fn an_episode_that_has_become_unknown_does_not_fail_now_and_is_not_over() {
        let found = episodes(&signal("gFF..."), 30, lead);
        assert_eq!(found[0].ended_at(), Some(at(30)));
        assert!(!found[0].is_over(30));
    }
}
