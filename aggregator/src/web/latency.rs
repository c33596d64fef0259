//! Latency of a check in a window, from its samples: percentiles of all of them, and of each part of the window.

use nines_shared::time::{Span, Timestamp};

use crate::uptime::CheckRecord;
use crate::uptime::percentile::{Percentiles, measured, percentiles};

/// Parts of a window: twenty minutes each over a day.
pub(super) const PARTS: usize = 72;

/// What the planned `up` and `degraded` samples of a window took, in µs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    /// Of the whole window; `None` where nothing worked in it.
    pub(super) whole: Option<Percentiles>,
    /// Of each of [`PARTS`] equal parts.
    pub(super) parts: Vec<Option<Percentiles>>,
}

/// The latency of `check` in `window`, all regions together.
pub(super) fn latency(check: &CheckRecord, window: Span) -> Latency {
    let mut parts = vec![Vec::new(); PARTS];
    for sample in check.regions.iter().flat_map(|region| measured(&region.samples, window)) {
        parts[part_of(window, sample.scheduled_at)].push(sample.duration_us);
    }
    let mut all = parts.concat();
    Latency { whole: percentiles(&mut all), parts: parts.iter_mut().map(|part| percentiles(part)).collect() }
}

/// The part in which `at` lies; it must lie in `window`.
fn part_of(window: Span, at: Timestamp) -> usize {
    let part = i128::from(at.since(window.from)) * PARTS as i128 / i128::from(window.length_ms());
    usize::try_from(part).map_or(0, |part| part.min(PARTS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uptime::{Observed, RegionSamples};
    use nines_shared::sample::{Outcome, SampleKind};

    fn observed(at: i64, kind: SampleKind, outcome: Outcome) -> Observed {
        let at = Timestamp::from_ms(at);
        Observed { scheduled_at: at, started_at: at, kind, outcome, duration_us: 1_000 }
    }

    #[test]
    fn only_planned_samples_that_worked_count_and_each_in_its_part() {
        let samples = vec![
            observed(-1, SampleKind::Planned, Outcome::Up),
            observed(0, SampleKind::Planned, Outcome::Up),
            observed(719, SampleKind::Planned, Outcome::Degraded),
            observed(300, SampleKind::Extra, Outcome::Up),
            observed(301, SampleKind::Planned, Outcome::Down),
            observed(302, SampleKind::Planned, Outcome::Inconclusive),
        ];
        let regions = vec![RegionSamples { region: "eu-west".parse().unwrap(), samples }];
        let check = CheckRecord { versions: Vec::new(), removed_at: Timestamp::MAX, regions };
        let window = Span::new(Timestamp::from_ms(0), Timestamp::from_ms(720));
        let parts = latency(&check, window).parts;
        let filled: Vec<usize> = (0..PARTS).filter(|part| parts[*part].is_some()).collect();
        assert_eq!(filled, [0, PARTS - 1]);
    }
}
