//! Verdicts: counting voices. Regions make a check's verdict by a three-valued quorum, checks make a
//! service's by the worst or the best of them.
//!
//! Silence is never up and never down: a region that says nothing is counted as what it is.

use nines_shared::time::{Span, Timestamp};

use super::timeline::Builder;
use super::{Timeline, Verdict};
use crate::definition::ServiceRule;

/// How many voices say what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Voices that say up.
    pub up: u32,
    /// Voices that say degraded.
    pub degraded: u32,
    /// Voices that say nothing.
    pub unknown: u32,
    /// Voices that say down.
    pub down: u32,
}

impl Tally {
    /// The count of those who say `verdict`.
    pub fn of(&mut self, verdict: Verdict) -> &mut u32 {
        match verdict {
            Verdict::Up => &mut self.up,
            Verdict::Degraded => &mut self.degraded,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Down => &mut self.down,
        }
    }
}

/// What the fleet says of a check where its regions say this.
///
/// With F down, B down or degraded, K unknown and the quorum q: F ≥ q is down; F + K ≥ q is unknown, since what
/// we do not know could make it down; B ≥ q is degraded; otherwise up.
pub fn of_check(regions: Tally, quorum: u16) -> Verdict {
    let quorum = u32::from(quorum);
    if quorum <= regions.down {
        Verdict::Down
    } else if quorum <= regions.down + regions.unknown {
        Verdict::Unknown
    } else if quorum <= regions.down + regions.degraded {
        Verdict::Degraded
    } else {
        Verdict::Up
    }
}

/// What is said of a service where its checks say this: the worst of them or, by [`ServiceRule::Any`], the
/// best, in the order down > unknown > degraded > up. A service without checks is unknown.
pub fn of_service(mut checks: Tally, rule: ServiceRule) -> Verdict {
    let mut said = Verdict::ALL.into_iter().filter(|verdict| 0 < *checks.of(*verdict));
    let found = match rule {
        ServiceRule::All => said.next_back(),
        ServiceRule::Any => said.next(),
    };
    found.unwrap_or(Verdict::Unknown)
}

/// The timeline of `window` that `decide` makes of what `voices` say at each instant. A voice counts only
/// inside its own window.
pub fn sweep<'a>(
    window: Span,
    voices: impl IntoIterator<Item = &'a Timeline>,
    decide: impl Fn(Tally) -> Verdict,
) -> Timeline {
    // What a voice stops saying at an instant, and what it says from then on.
    let mut changes: Vec<(Timestamp, Option<Verdict>, Option<Verdict>)> = Vec::new();
    for voice in voices {
        let mut said = None;
        for (span, verdict) in voice.within(window) {
            changes.push((span.from, said, Some(verdict)));
            said = Some(verdict);
        }
        changes.push((voice.window().to, said, None));
    }
    changes.sort_unstable();
    let mut tally = Tally::default();
    let mut builder = Builder::new(window, decide(tally));
    for instant in changes.chunk_by(|left, right| left.0 == right.0) {
        for (_, _, starts) in instant {
            count(&mut tally, *starts, 1);
        }
        for (_, stops, _) in instant {
            count(&mut tally, *stops, -1);
        }
        builder.push(instant[0].0, decide(tally));
    }
    builder.build()
}

fn count(tally: &mut Tally, verdict: Option<Verdict>, by: i32) {
    if let Some(verdict) = verdict {
        let voices = tally.of(verdict);
        *voices = voices.saturating_add_signed(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Degraded, Down, Unknown, Up};

    fn tally(up: u32, degraded: u32, unknown: u32, down: u32) -> Tally {
        Tally { up, degraded, unknown, down }
    }

    #[test]
    fn a_quorum_of_three_regions_needs_two() {
        assert_eq!(of_check(tally(3, 0, 0, 0), 2), Up);
        assert_eq!(of_check(tally(2, 0, 0, 1), 2), Up);
        assert_eq!(of_check(tally(1, 0, 0, 2), 2), Down);
        assert_eq!(of_check(tally(1, 0, 1, 1), 2), Unknown);
        assert_eq!(of_check(tally(2, 0, 1, 0), 2), Up);
        assert_eq!(of_check(tally(1, 0, 2, 0), 2), Unknown);
        assert_eq!(of_check(tally(1, 2, 0, 0), 2), Degraded);
        assert_eq!(of_check(tally(1, 1, 0, 1), 2), Degraded);
    }

    #[test]
    fn more_failures_never_make_a_verdict_better() {
        for (up, degraded, unknown, down) in (0..256_u32).map(|n| (n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3)) {
            let regions = up + degraded + unknown + down;
            for quorum in 1..=u16::try_from(regions).unwrap() {
                let before = of_check(tally(up, degraded, unknown, down), quorum);
                if 0 < up {
                    let after = of_check(tally(up - 1, degraded, unknown, down + 1), quorum);
                    assert!(before != Down || after == Down);
                    assert!(before == after || after != Up);
                }
            }
        }
    }

    #[test]
    fn a_service_is_as_bad_as_its_worst_check_or_as_good_as_its_best() {
        assert_eq!(of_service(tally(2, 1, 0, 0), ServiceRule::All), Degraded);
        assert_eq!(of_service(tally(2, 1, 1, 0), ServiceRule::All), Unknown);
        assert_eq!(of_service(tally(2, 1, 1, 1), ServiceRule::All), Down);
        assert_eq!(of_service(tally(0, 1, 1, 1), ServiceRule::Any), Degraded);
        assert_eq!(of_service(tally(0, 0, 1, 1), ServiceRule::Any), Unknown);
        assert_eq!(of_service(Tally::default(), ServiceRule::All), Unknown);
    }
}
