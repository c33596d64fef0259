//! Regions that are alone with what they say: for one check a matter of the way there, for many a probe to look at.
//!
//! A probe that lies, or whose network lies to it, fails where nobody else does, or sees well where everyone else
//! fails. One check says little: the target may treat that region differently. So it takes several, for long.

use std::collections::BTreeMap;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::time::Timestamp;

use crate::uptime::Verdict;
use crate::uptime::service::{CheckAssessment, ServiceAssessment};

/// How long a region must be alone, in ms.
pub const SUSPECT_AFTER_MS: i64 = 600_000;
/// With so many checks at least, and at least half of those that it is asked.
pub const SUSPECT_CHECKS: usize = 2;
/// So many other regions at least must say the contrary, and none the same.
pub const WITNESSES: usize = 2;

/// Since when which region has been alone with what it says of which check.
pub type Alone = BTreeMap<(RegionId, CheckId), Timestamp>;

/// The regions that are alone at the end of what was assessed.
pub fn alone(assessment: &ServiceAssessment) -> Alone {
    let of_check = |check: &CheckAssessment| {
        let id = check.check.clone();
        lonely(check).map(move |(region, since)| ((region, id), since))
    };
    assessment.checks.iter().filter_map(of_check).collect()
}

/// The one region of `check` whose word is against that of all others, and since when.
fn lonely(check: &CheckAssessment) -> Option<(RegionId, Timestamp)> {
    let mut said = Vec::new();
    for region in &check.regions {
        let (span, verdict) = region.timeline.last()?;
        let fails = match verdict {
            Verdict::Down => true,
            Verdict::Up | Verdict::Degraded => false,
            Verdict::Unknown => continue,
        };
        said.push((region.region.clone(), fails, span.from));
    }
    let since = said.iter().map(|(.., since)| *since).max()?;
    let failing = said.iter().filter(|(_, fails, _)| *fails).count();
    let odd = match (failing, said.len() - failing) {
        (1, others) if WITNESSES <= others => true,
        (others, 1) if WITNESSES <= others => false,
        _ => return None,
    };
    said.into_iter().find(|(_, fails, _)| *fails == odd).map(|(region, ..)| (region, since))
}

/// Since when `region` is suspect, where `asked` checks are asked there and it is `alone` with some: the instant from
/// which on it has been alone with enough of them.
pub fn suspect_since<'a>(
    region: &RegionId,
    asked: usize,
    alone: impl Iterator<Item = (&'a (RegionId, CheckId), &'a Timestamp)>,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut since: Vec<Timestamp> = alone.filter(|((of, _), _)| of == region).map(|(_, since)| *since).collect();
    since.sort_unstable();
    let enough = SUSPECT_CHECKS.max(asked.div_ceil(2));
    since.get(enough - 1).copied().filter(|since| SUSPECT_AFTER_MS <= now.since(*since))
}

#[cfg(test)]
mod tests {
    use nines_shared::time::Span;

    use super::*;
    use crate::uptime::service::RegionAssessment;
    use crate::uptime::{Accounts, Timeline};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + minutes * 60_000)
    }

    fn check(said: &[(&str, Verdict)]) -> CheckAssessment {
        let window = Span::new(at(0), at(10));
        let regions = said.iter().map(|(region, verdict)| RegionAssessment {
            region: region.parse().unwrap(),
            timeline: Timeline::constant(window, *verdict),
            slots_expected: 0,
            slots_answered: 0,
        });
        CheckAssessment {
            check: "shop-home".parse().unwrap(),
            timeline: Timeline::constant(window, Verdict::Up),
            accounts: Accounts::default(),
            outages: Vec::new(),
            slots_expected: 0,
            slots_answered: 0,
            regions: regions.collect(),
        }
    }

    #[test]
    fn one_against_two_or_more_is_alone_whichever_way_and_the_silent_do_not_count() {
        use Verdict::{Degraded, Down, Unknown, Up};
        let who = |said: &[(&str, Verdict)]| lonely(&check(said)).map(|(region, _)| region.to_string());
        assert_eq!(who(&[("a", Down), ("b", Up), ("c", Degraded)]).as_deref(), Some("a"));
        assert_eq!(who(&[("a", Down), ("b", Up), ("c", Down)]).as_deref(), Some("b"));
        assert_eq!(who(&[("a", Down), ("b", Up), ("c", Unknown)]), None);
        assert_eq!(who(&[("a", Down), ("b", Up)]), None);
        assert_eq!(who(&[("a", Down), ("b", Down), ("c", Up), ("d", Up)]), None);
        assert_eq!(who(&[("a", Up), ("b", Up), ("c", Up)]), None);
    }

    #[test]
    fn a_region_is_suspect_once_it_has_been_alone_with_half_of_its_checks_for_long() {
        let region: RegionId = "eu-west".parse().unwrap();
        let alone = |minutes: &[i64]| -> Alone {
            let checks = minutes.iter().zip(0..);
            checks.map(|(m, n)| ((region.clone(), format!("c{n}").parse().unwrap()), at(*m))).collect()
        };
        let since = |minutes: &[i64], asked, now| suspect_since(&region, asked, alone(minutes).iter(), at(now));
        assert_eq!(since(&[0, 3], 3, 13), Some(at(3)));
        assert_eq!(since(&[0, 3], 3, 12), None, "not for long enough");
        assert_eq!(since(&[0], 1, 60), None, "one check says little");
        assert_eq!(since(&[0, 3], 5, 60), None, "less than half");
        assert_eq!(since(&[0, 3, 7], 5, 60), Some(at(7)));
    }
}
