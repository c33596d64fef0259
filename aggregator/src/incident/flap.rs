//! Flapping: what comes and goes is one incident, which stays open until it is calm and is told seldom.
//!
//! A rule of its own beside `resolve_after`: that one joins a relapse to what was hardly over, this one sees what comes
//! again and again after it was over.

use std::collections::BTreeSet;

use nines_shared::time::Timestamp;

use super::Incident;

/// So many beginnings within the span make it flap.
pub const FLAP_OPENINGS: usize = 4;
/// The span in which beginnings are counted, in ms; longer for slow checks.
pub const FLAP_SPAN_MS: i64 = 3_600_000;
/// How long what flaps must be good before it is over, in ms; longer for slow checks.
pub const FLAP_CALM_MS: i64 = 600_000;
/// While it flaps people are told at most once in so many ms.
pub const FLAP_QUIET_MS: i64 = 600_000;
/// The span is at least so many times `resolve_after`.
const SPAN_RESOLVES: i64 = 20;
/// Calm is at least so many times `resolve_after`.
const CALM_RESOLVES: i64 = 3;

/// The span in which the beginnings of what is over after `resolve_after_ms` of good time are counted, in ms.
pub fn span_ms(resolve_after_ms: i64) -> i64 {
    FLAP_SPAN_MS.max(resolve_after_ms.saturating_mul(SPAN_RESOLVES))
}

/// How long what flaps must be good before it is over, in ms.
pub fn calm_ms(resolve_after_ms: i64) -> i64 {
    FLAP_CALM_MS.max(resolve_after_ms.saturating_mul(CALM_RESOLVES))
}

/// How long `incident` must be good before it is over, in ms.
pub fn over_after_ms(incident: &Incident, resolve_after_ms: i64) -> i64 {
    if incident.course.flapping { calm_ms(resolve_after_ms) } else { resolve_after_ms }
}

/// When failing spans began that `incidents` cover, those apart that did not happen.
pub fn beginnings<'a>(incidents: impl IntoIterator<Item = &'a Incident>) -> Vec<Timestamp> {
    let standing = incidents.into_iter().filter(|incident| !incident.withdrawn);
    standing.flat_map(|incident| incident.outages.iter().map(|outage| outage.from)).collect()
}

/// Whether what began at `instants`, each counted once, flaps at `now`.
pub fn flaps(instants: impl IntoIterator<Item = Timestamp>, resolve_after_ms: i64, now: Timestamp) -> bool {
    let since = now.plus_ms(-span_ms(resolve_after_ms));
    let recent: BTreeSet<Timestamp> = instants.into_iter().filter(|at| since < *at && *at <= now).collect();
    FLAP_OPENINGS <= recent.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn four_beginnings_within_an_hour_flap_and_one_is_counted_once() {
        let flap = |minutes: &[i64], now| flaps(minutes.iter().map(|m| at(*m)), 30_000, at(now));
        assert!(flap(&[0, 10, 20, 30], 30));
        assert!(!flap(&[0, 10, 20, 20], 30));
        assert!(flap(&[0, 10, 20, 59], 59));
        assert!(!flap(&[0, 10, 20, 60], 60), "the first is out of the span");
        assert!(!flap(&[0, 10, 20, 61], 60), "what is not yet does not count");
    }

    #[test]
    fn slow_checks_are_given_more_time() {
        assert_eq!((span_ms(30_000), calm_ms(30_000)), (3_600_000, 600_000));
        assert_eq!((span_ms(600_000), calm_ms(600_000)), (12_000_000, 1_800_000));
    }
}
