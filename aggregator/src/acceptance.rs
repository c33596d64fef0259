//! Which samples may be stored, by whatever door they come: pure rules over the definitions there ever were.
//!
//! A sample that is refused here could never count, or would count as what it is not: of a stranger's
//! check, beside every slot, from a clock that is surely wrong. Who may deliver for a region is the gateway's to know.

use std::collections::BTreeMap;

use nines_shared::check::{MAX_INTERVAL_MS, MAX_RETRIES};
use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Sample, SampleKind};
use nines_shared::time::Timestamp;
use nines_shared::wire::MAX_FUTURE_MS;

use crate::confirm::ASK_MS;
use crate::uptime::CheckVersion;

/// How old a sample from a probe may be, in ms: 400 days. Its spool would long have overflowed.
pub const MAX_PROBE_AGE_MS: i64 = 400 * 86_400_000;
/// How old a sample of imported history may be, in ms: ten years. Beyond it, seconds were taken for ms.
pub const MAX_IMPORT_AGE_MS: i64 = 3_653 * 86_400_000;
/// How far apart `scheduled_at` and `started_at` may lie, in ms: no check is asked less often.
pub const MAX_LATENESS_MS: i64 = MAX_INTERVAL_MS;
/// The longest time that a check or one of its phases can have taken, in µs: no timeout is longer.
pub const MAX_DURATION_US: u64 = MAX_INTERVAL_MS.unsigned_abs() * 1_000;

/// The rules, with the definitions that they look at.
#[derive(Clone, Debug)]
pub struct Acceptance {
    checks: BTreeMap<CheckId, Vec<CheckVersion>>,
    max_age_ms: i64,
}

/// Why a sample is refused, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// No such check, now or ever.
    #[error("check {0} is not defined; add it to the fleet file first")]
    UnknownCheck(CheckId),
    /// The check is not asked from there, and never was.
    #[error("check {check} is not asked from region {region}; add the region to the check first")]
    ForeignRegion {
        /// Which check.
        check: CheckId,
        /// From where.
        region: RegionId,
    },
    /// It lies in the future.
    #[error("{key} {at} is {} ms in the future; at most {MAX_FUTURE_MS} are accepted, set the clock", at.since(*now))]
    Future {
        /// Which of its times.
        key: &'static str,
        /// The time.
        at: Timestamp,
        /// The clock here.
        now: Timestamp,
    },
    /// It is older than anything that could still count.
    #[error("scheduled_at {at} is older than {} days; times are milliseconds since 1970 or RFC 3339", max_age_ms / 86_400_000)]
    TooOld {
        /// When it was scheduled.
        at: Timestamp,
        /// How old a sample may be.
        max_age_ms: i64,
    },
    /// It started long before or after it was to.
    #[error("started_at {started_at} is more than {max_ms} ms from scheduled_at {scheduled_at}")]
    Lateness {
        /// When it was scheduled.
        scheduled_at: Timestamp,
        /// When it started.
        started_at: Timestamp,
        /// How far apart they may lie.
        max_ms: i64,
    },
    /// It is planned, but no version of the check plans it.
    #[error(
        "scheduled_at {at} is no slot of check {check} in region {region}; a sample beside the plan has kind \"extra\""
    )]
    NoSlot {
        /// Which check.
        check: CheckId,
        /// From where.
        region: RegionId,
        /// When it was scheduled.
        at: Timestamp,
    },
    /// It took longer than anything may.
    #[error("{0} µs is longer than any check may take, {limit} µs", limit = MAX_DURATION_US)]
    Duration(u64),
    /// An attempt that can't be.
    #[error("attempt {0} is out of range; use 1 to {limit}", limit = MAX_RETRIES + 1)]
    Attempt(u8),
}

impl Unacceptable {
    /// Its stable code, for the body of a refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownCheck(_) => "unknown_check",
            Self::ForeignRegion { .. } => "foreign_check",
            Self::Future { .. } => "future",
            Self::TooOld { .. } => "too_old",
            Self::Lateness { .. } => "lateness",
            Self::NoSlot { .. } => "no_such_slot",
            Self::Duration(_) => "duration",
            Self::Attempt(_) => "attempt",
        }
    }
}

impl Acceptance {
    /// The rules over `checks`, every version of every check there ever was
    /// ([`crate::store::definitions::all_check_versions`]), for samples up to `max_age_ms` old.
    pub fn new(checks: BTreeMap<CheckId, Vec<CheckVersion>>, max_age_ms: i64) -> Self {
        Self { checks, max_age_ms }
    }

    /// Whether `sample` may be stored.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge(&self, sample: &Sample, now: Timestamp) -> Result<(), Unacceptable> {
        let (check, region) = (&sample.check, &sample.region);
        let versions = self.checks.get(check).ok_or_else(|| Unacceptable::UnknownCheck(check.clone()))?;
        let mut cadences = versions.iter().filter_map(|version| version.check.cadence(region)).peekable();
        if cadences.peek().is_none() {
            return Err(Unacceptable::ForeignRegion { check: check.clone(), region: region.clone() });
        }
        self.judge_times(sample, now)?;
        let at = sample.scheduled_at;
        // An extra sample fills no slot that it could be late for: it was to start now, or within an interval at most.
        let longest = versions.iter().map(|version| version.check.interval_ms).max().unwrap_or(0).max(ASK_MS);
        if sample.kind == SampleKind::Extra {
            judge_lateness(sample, longest)?;
        }
        if sample.kind == SampleKind::Planned && !cadences.any(|cadence| cadence.is_due(at)) {
            return Err(Unacceptable::NoSlot { check: check.clone(), region: region.clone(), at });
        }
        judge_content(sample)
    }

    fn judge_times(&self, sample: &Sample, now: Timestamp) -> Result<(), Unacceptable> {
        let (scheduled_at, started_at) = (sample.scheduled_at, sample.started_at);
        for (key, at) in [("started_at", started_at), ("scheduled_at", scheduled_at)] {
            if MAX_FUTURE_MS < at.since(now) {
                return Err(Unacceptable::Future { key, at, now });
            }
        }
        if self.max_age_ms < now.since(scheduled_at) {
            return Err(Unacceptable::TooOld { at: scheduled_at, max_age_ms: self.max_age_ms });
        }
        judge_lateness(sample, MAX_LATENESS_MS)
    }
}

fn judge_lateness(sample: &Sample, max_ms: i64) -> Result<(), Unacceptable> {
    let (scheduled_at, started_at) = (sample.scheduled_at, sample.started_at);
    let late = max_ms < sample.lateness_ms().saturating_abs();
    if late { Err(Unacceptable::Lateness { scheduled_at, started_at, max_ms }) } else { Ok(()) }
}

fn judge_content(sample: &Sample) -> Result<(), Unacceptable> {
    let phases = &sample.phases_us;
    let phases = [phases.resolve, phases.connect, phases.tls, phases.first_byte, phases.transfer];
    if let Some(us) = phases.into_iter().chain([sample.duration_us]).flatten().find(|us| MAX_DURATION_US < *us) {
        return Err(Unacceptable::Duration(us));
    }
    if !(1..=MAX_RETRIES + 1).contains(&sample.attempt) {
        return Err(Unacceptable::Attempt(sample.attempt));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{check, sample};

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn rules() -> Acceptance {
        let version = |check| CheckVersion { valid_from: Timestamp::MIN, check };
        let versions = vec![version(check("shop-home", 60_000, &["eu-west", "us-east"]))];
        Acceptance::new([("shop-home".parse().unwrap(), versions)].into(), MAX_PROBE_AGE_MS)
    }

    /// A sample on the last slot before now.
    fn good() -> Sample {
        let cadence = check("shop-home", 60_000, &["eu-west", "us-east"]).cadence(&"eu-west".parse().unwrap());
        sample("eu-west", cadence.unwrap().at_or_before(NOW).as_ms())
    }

    fn code(change: impl FnOnce(&mut Sample)) -> &'static str {
        let mut sample = good();
        change(&mut sample);
        rules().judge(&sample, NOW).map_or_else(|refused| refused.code(), |()| "accepted")
    }

    #[test]
    fn a_sample_on_a_slot_of_its_check_is_accepted() {
        assert_eq!(code(|_| {}), "accepted");
        assert_eq!(code(|sample| sample.attempt = 6), "accepted");
    }

    #[test]
    fn an_extra_sample_needs_no_slot_and_a_planned_one_does() {
        let off = |sample: &mut Sample| sample.scheduled_at = sample.scheduled_at.plus_ms(-7);
        assert_eq!(code(off), "no_such_slot");
        assert_eq!(
            code(|sample| {
                off(sample);
                sample.kind = SampleKind::Extra;
            }),
            "accepted"
        );
    }

    #[test]
    fn an_extra_sample_starts_within_an_interval_of_when_it_was_to() {
        let extra = |late_ms| {
            code(|sample| {
                sample.kind = SampleKind::Extra;
                sample.started_at = sample.scheduled_at.plus_ms(late_ms);
            })
        };
        assert_eq!([-60_000, -60_001].map(extra), ["accepted", "lateness"]);
        let planned = |late_ms| code(|sample| sample.started_at = sample.scheduled_at.plus_ms(late_ms));
        assert_eq!([-60_001].map(planned), ["accepted"]);
    }

    #[test]
    fn every_rule_refuses_by_its_own_name() {
        assert_eq!(code(|sample| sample.check = "other".parse().unwrap()), "unknown_check");
        assert_eq!(code(|sample| sample.region = "ap-south".parse().unwrap()), "foreign_check");
        assert_eq!(code(|sample| sample.started_at = NOW.plus_ms(10_001)), "future");
        assert_eq!(code(|sample| sample.scheduled_at = NOW.plus_ms(10_001)), "future");
        assert_eq!(code(|sample| sample.scheduled_at = Timestamp::from_ms(1_790_000_040)), "too_old");
        assert_eq!(code(|sample| sample.started_at = Timestamp::MIN), "lateness");
        assert_eq!(code(|sample| sample.duration_us = Some(u64::MAX)), "duration");
        assert_eq!(code(|sample| sample.phases_us.tls = Some(u64::MAX)), "duration");
        assert_eq!(code(|sample| sample.attempt = 0), "attempt");
    }

    #[test]
    fn a_slot_of_an_earlier_version_is_a_slot() {
        let mut rules = rules();
        let versions = rules.checks.values_mut().next().unwrap();
        versions.push(CheckVersion { valid_from: NOW, check: check("shop-home", 45_000, &["us-east"]) });
        assert_eq!(rules.judge(&good(), NOW), Ok(()));
    }
}
