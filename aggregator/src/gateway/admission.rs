//! Whether a batch may be stored: pure, batch × definitions × now. All of it or nothing.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::{Phase, Sample, SampleKind, detail};
use nines_shared::time::Timestamp;
use nines_shared::wire::{Batch, MAX_BATCH_SAMPLES, MAX_FUTURE_MS};

use super::answer::Refused;
use crate::uptime::CheckVersion;

/// How old a sample may be, in ms: thirteen months, which covers every contract's period.
pub const MAX_AGE_MS: i64 = 400 * 86_400_000;
/// The longest duration that a sample may claim, in µs: the longest interval there is.
pub const MAX_DURATION_US: u64 = 604_800_000_000;

/// Every version of every check there ever was.
pub type Definitions = BTreeMap<CheckId, Vec<CheckVersion>>;

/// The samples of `batch`, ready to be stored, where `probe` in `region` may send them all. Those that do
/// not say who took them are `probe`'s; details are made safe to print.
///
/// # Errors
/// Why the whole batch is refused, with the index of the first sample at fault where one is.
pub(super) fn admit(
    batch: Batch,
    (probe, region): (&ProbeId, &RegionId),
    definitions: &Definitions,
    now: Timestamp,
) -> Result<Vec<Sample>, Refused> {
    if batch.probe != *probe {
        let message = format!("the batch is {}'s and the certificate {probe}'s", batch.probe);
        return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_probe", message));
    }
    if MAX_BATCH_SAMPLES < batch.samples.len() {
        let message = format!("{} samples are too many; send at most {MAX_BATCH_SAMPLES}", batch.samples.len());
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_samples", message));
    }
    let mut samples = batch.samples;
    for (index, sample) in samples.iter_mut().enumerate() {
        sample_fault(sample, (probe, region), definitions, now).map_err(|fault| fault.of(index))?;
        sample.probe.get_or_insert_with(|| probe.clone());
        if let Some(text) = &mut sample.detail {
            *text = detail(text);
        }
    }
    Ok(samples)
}

/// What is wrong with one sample.
struct Fault {
    code: &'static str,
    message: String,
}

impl Fault {
    fn of(self, index: usize) -> Refused {
        let mut refused = Refused::new(StatusCode::UNPROCESSABLE_ENTITY, self.code, self.message);
        refused.refusal.sample = Some(index);
        refused
    }
}

fn fault(code: &'static str, message: String) -> Result<(), Fault> {
    Err(Fault { code, message })
}

fn sample_fault(
    sample: &Sample,
    (probe, region): (&ProbeId, &RegionId),
    definitions: &Definitions,
    now: Timestamp,
) -> Result<(), Fault> {
    if let Some(other) = sample.probe.as_ref().filter(|other| *other != probe) {
        return fault("foreign_probe", format!("the sample is {other}'s and the certificate {probe}'s"));
    }
    if sample.region != *region {
        return fault("foreign_region", format!("the sample is from {} and {probe} is in {region}", sample.region));
    }
    time_fault(sample, now)?;
    let Some(versions) = definitions.get(&sample.check) else {
        return fault("unknown_check", format!("there is no check {}, nor was there ever", sample.check));
    };
    let mut cadences = versions.iter().filter_map(|version| version.check.cadence(region)).peekable();
    if cadences.peek().is_none() {
        return fault("foreign_check", format!("{} is not asked from {region}, nor was it ever", sample.check));
    }
    if sample.kind == SampleKind::Planned && !cadences.any(|cadence| cadence.is_due(sample.scheduled_at)) {
        let message = format!("no version of {} has a slot at {} in {region}", sample.check, sample.scheduled_at);
        return fault("no_such_slot", message);
    }
    Ok(())
}

fn time_fault(sample: &Sample, now: Timestamp) -> Result<(), Fault> {
    let latest = now.plus_ms(MAX_FUTURE_MS);
    if latest < sample.started_at || latest < sample.scheduled_at {
        let message = format!("the sample is from {}, and it is {now} here; set the clock", sample.started_at);
        return fault("future", message);
    }
    let earliest = now.plus_ms(-MAX_AGE_MS);
    if sample.started_at < earliest || sample.scheduled_at < earliest {
        return fault("too_old", format!("the sample is from {}, more than 400 days ago", sample.started_at));
    }
    let phases = Phase::ALL.into_iter().filter_map(|phase| sample.phases_us.get(phase));
    if let Some(us) = phases.chain(sample.duration_us).find(|us| MAX_DURATION_US < *us) {
        return fault("duration", format!("no check takes {us} µs"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::check::{Check, Draft, HttpQuestion, Question};
    use nines_shared::sample::Outcome;
    use nines_shared::wire::Health;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_040_000);

    fn check(interval_ms: i64) -> Check {
        let url = "https://shop.example/".parse().unwrap();
        let regions = vec!["eu-west".parse().unwrap(), "us-east".parse().unwrap()];
        let question = Question::Http(Box::new(HttpQuestion::get(url)));
        let draft = Draft::new("shop-home".parse().unwrap(), "shop".parse().unwrap(), regions, question);
        Check::new(Draft { interval_ms, recheck_ms: 5_000, ..draft }).unwrap()
    }

    /// `shop-home` at 60 s until NOW − 1 h and at 30 s since.
    fn definitions() -> Definitions {
        let version = |valid_from, interval_ms| CheckVersion { valid_from, check: check(interval_ms) };
        let versions = vec![version(Timestamp::MIN, 60_000), version(NOW.plus_ms(-3_600_000), 30_000)];
        Definitions::from([("shop-home".parse().unwrap(), versions)])
    }

    fn slot_before(at: Timestamp, interval_ms: i64) -> Timestamp {
        check(interval_ms).cadence(&"eu-west".parse().unwrap()).unwrap().at_or_before(at)
    }

    fn sample() -> Sample {
        let due = slot_before(NOW, 30_000);
        Sample {
            check: "shop-home".parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            probe: None,
            kind: SampleKind::Planned,
            scheduled_at: due,
            started_at: due.plus_ms(3),
            outcome: Outcome::Up,
            reason: None,
            phase: None,
            detail: None,
            duration_us: Some(1_234),
            phases_us: nines_shared::sample::Phases::default(),
            attempt: 1,
            trace_id: None,
            evidence: None,
        }
    }

    fn judge(batch: Batch) -> Result<Vec<Sample>, Refused> {
        let who = ("eu-west-1".parse().unwrap(), "eu-west".parse().unwrap());
        admit(batch, (&who.0, &who.1), &definitions(), NOW)
    }

    fn batch(samples: Vec<Sample>) -> Batch {
        Batch { probe: "eu-west-1".parse().unwrap(), samples, health: Health::default() }
    }

    /// The code of the refusal of a batch whose second sample is `sample()` after `change`.
    fn code(change: impl FnOnce(&mut Sample)) -> String {
        let mut bad = sample();
        change(&mut bad);
        let refused = judge(batch(vec![sample(), bad])).unwrap_err();
        assert_eq!(refused.refusal.sample, Some(1), "{refused:?}");
        assert!(refused.status.is_client_error());
        refused.refusal.error
    }

    #[test]
    fn a_good_sample_is_taken_and_gets_its_probes_name() {
        let taken = judge(batch(vec![sample()])).unwrap();
        assert_eq!(taken[0].probe, Some("eu-west-1".parse().unwrap()));
        assert!(judge(batch(Vec::new())).unwrap().is_empty());
    }

    #[test]
    fn each_rule_refuses_the_whole_batch_and_names_the_sample() {
        assert_eq!(code(|s| s.probe = Some("us-east-1".parse().unwrap())), "foreign_probe");
        assert_eq!(code(|s| s.region = "us-east".parse().unwrap()), "foreign_region");
        assert_eq!(code(|s| s.check = "shop-hom".parse().unwrap()), "unknown_check");
        assert_eq!(code(|s| s.started_at = NOW.plus_ms(MAX_FUTURE_MS + 1)), "future");
        assert_eq!(code(|s| s.scheduled_at = s.scheduled_at.plus_ms(60_000)), "future");
        assert_eq!(code(|s| s.scheduled_at = s.scheduled_at.plus_ms(1)), "no_such_slot");
        assert_eq!(code(|s| s.scheduled_at = Timestamp::MIN), "too_old");
        assert_eq!(code(|s| s.started_at = NOW.plus_ms(-MAX_AGE_MS - 1)), "too_old");
        assert_eq!(code(|s| s.duration_us = Some(u64::MAX)), "duration");
        assert_eq!(code(|s| s.phases_us.tls = Some(u64::MAX)), "duration");
    }

    #[test]
    fn a_region_that_never_was_asked_may_not_speak() {
        let who = ("ap-south-1".parse().unwrap(), "ap-south".parse().unwrap());
        let mut foreign = sample();
        foreign.region = "ap-south".parse().unwrap();
        let batch = Batch { probe: "ap-south-1".parse().unwrap(), ..batch(vec![foreign]) };
        let refused = admit(batch, (&who.0, &who.1), &definitions(), NOW).unwrap_err();
        assert_eq!(refused.refusal.error, "foreign_check");
    }

    #[test]
    fn another_probes_batch_and_too_many_samples_are_refused_as_a_whole() {
        let other = Batch { probe: "eu-west-2".parse().unwrap(), ..batch(Vec::new()) };
        assert_eq!(judge(other).unwrap_err().status, StatusCode::FORBIDDEN);
        let many = batch(vec![sample(); MAX_BATCH_SAMPLES + 1]);
        assert_eq!(judge(many).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_slot_of_an_older_version_is_still_a_slot() {
        let mut old = sample();
        old.scheduled_at = slot_before(NOW.plus_ms(-7_200_000), 60_000);
        old.started_at = old.scheduled_at;
        assert!(judge(batch(vec![old])).is_ok());
    }

    #[test]
    fn an_extra_sample_needs_no_slot() {
        let mut extra = sample();
        extra.kind = SampleKind::Extra;
        extra.scheduled_at = extra.scheduled_at.plus_ms(1);
        assert!(judge(batch(vec![extra])).is_ok());
    }

    #[test]
    fn what_a_target_wrote_can_not_draw_on_a_terminal() {
        let mut loud = sample();
        loud.detail = Some("\u{1b}[2Jgone".to_owned());
        assert_eq!(judge(batch(vec![loud])).unwrap()[0].detail.as_deref(), Some(" [2Jgone"));
    }

    proptest! {
        #[test]
        fn what_is_admitted_can_be_told_in_whole_numbers(scheduled in any::<i64>(), started in any::<i64>(), us in any::<u64>()) {
            let mut any = sample();
            any.kind = SampleKind::Extra;
            (any.scheduled_at, any.started_at) = (Timestamp::from_ms(scheduled), Timestamp::from_ms(started));
            any.duration_us = Some(us);
            if let Ok(taken) = judge(batch(vec![any])) {
                prop_assert!(taken[0].lateness_ms().abs() <= MAX_AGE_MS + 2 * MAX_FUTURE_MS);
                prop_assert!(i64::try_from(us).is_ok());
            }
        }
    }
}
