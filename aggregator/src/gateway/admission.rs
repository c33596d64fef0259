//! Whether a batch may be stored: pure, batch × definitions × now. All of it or nothing.

use axum::http::StatusCode;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::sample::{Sample, SampleKind, detail};
use nines_shared::time::Timestamp;
use nines_shared::wire::{Batch, Health, MAX_BATCH_SAMPLES, MAX_CLOCK_OFFSET_MS};

use super::answer::Refused;
use crate::acceptance::Acceptance;

/// The samples of `batch`, ready to be stored, where `probe` in `region` may send them all, and how the probe is.
/// Samples that do not say who took them are `probe`'s; what targets wrote is made safe to print, and evidence bounded.
///
/// # Errors
/// Why the whole batch is refused, with the index of the first sample at fault where one is.
pub(super) fn admit(
    batch: Batch,
    (probe, region): (&ProbeId, &RegionId),
    rules: &Acceptance,
    now: Timestamp,
) -> Result<(Vec<Sample>, Health), Refused> {
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
        own(sample, (probe, region)).map_err(|refused| refused.of_sample(index))?;
        rules.judge(sample, now).map_err(|fault| {
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, fault.code(), fault.to_string()).of_sample(index)
        })?;
        in_its_slot(sample).map_err(|refused| refused.of_sample(index))?;
        if let Some(text) = &mut sample.detail {
            *text = detail(text);
        }
        if let Some(evidence) = &mut sample.evidence {
            evidence.bound();
            evidence.clean();
        }
    }
    let mut health = batch.health;
    health.unread.sort_unstable();
    health.unread.dedup();
    Ok((samples, health))
}

/// Whether `sample` began when its slot had come, by a clock that may be believed. Of two that claim one slot the
/// earlier stays: nobody may take slots of its siblings by claiming to have looked before there was anything to look
/// at. What is in an archive was let in once, and is not asked.
fn in_its_slot(sample: &Sample) -> Result<(), Refused> {
    let early_ms = -sample.lateness_ms();
    if sample.kind == SampleKind::Extra || early_ms <= MAX_CLOCK_OFFSET_MS {
        return Ok(());
    }
    let message =
        format!("it began {early_ms} ms before its slot; at most {MAX_CLOCK_OFFSET_MS} are accepted, set the clock");
    Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "early", message))
}

/// Makes `sample` the probe's own where it does not say whose it is.
fn own(sample: &mut Sample, (probe, region): (&ProbeId, &RegionId)) -> Result<(), Refused> {
    let author = sample.probe.get_or_insert_with(|| probe.clone());
    if author != probe {
        let message = format!("the sample is {author}'s and the certificate {probe}'s");
        return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_probe", message));
    }
    if sample.region != *region {
        let message = format!("the sample is from {} and {probe} looks from {region}", sample.region);
        return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_region", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceptance::MAX_PROBE_AGE_MS;
    use crate::store::tests::{check, sample};
    use crate::uptime::CheckVersion;
    use nines_shared::sample::{Certificate, Evidence, MAX_EVIDENCE_BYTES, TlsEvidence};
    use nines_shared::wire::MAX_FUTURE_MS;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_040_000);

    /// `shop-home` from two regions, every minute.
    fn rules() -> Acceptance {
        let check = check("shop-home", 60_000, &["eu-west", "us-east"]);
        let versions = vec![CheckVersion { valid_from: Timestamp::MIN, check }];
        Acceptance::new([("shop-home".parse().unwrap(), versions)].into(), MAX_PROBE_AGE_MS)
    }

    /// A sample of the last slot before NOW, by nobody yet.
    fn good() -> Sample {
        let cadence = check("shop-home", 60_000, &["eu-west", "us-east"]).cadence(&"eu-west".parse().unwrap()).unwrap();
        let due = cadence.at_or_before(NOW);
        Sample { probe: None, ..sample("eu-west", due.as_ms()) }
    }

    fn judge(batch: Batch) -> Result<Vec<Sample>, Refused> {
        let who = ("eu-west-1".parse().unwrap(), "eu-west".parse().unwrap());
        admit(batch, (&who.0, &who.1), &rules(), NOW).map(|(samples, _health)| samples)
    }

    fn batch(samples: Vec<Sample>) -> Batch {
        Batch { probe: "eu-west-1".parse().unwrap(), samples, health: Health::default() }
    }

    /// The code of the refusal of a batch whose second sample is a good one after `change`.
    fn code(change: impl FnOnce(&mut Sample)) -> String {
        let mut bad = good();
        change(&mut bad);
        let refused = judge(batch(vec![good(), bad])).unwrap_err();
        assert_eq!(refused.refusal.sample, Some(1), "{refused:?}");
        assert!(refused.status.is_client_error());
        refused.refusal.error
    }

    #[test]
    fn a_good_sample_is_taken_and_gets_its_probes_name() {
        let taken = judge(batch(vec![good()])).unwrap();
        assert_eq!(taken[0].probe, Some("eu-west-1".parse().unwrap()));
        assert!(judge(batch(Vec::new())).unwrap().is_empty(), "a sign of life");
    }

    #[test]
    fn one_sample_that_breaks_a_rule_refuses_the_whole_batch_and_is_named() {
        assert_eq!(code(|s| s.probe = Some("us-east-1".parse().unwrap())), "foreign_probe");
        assert_eq!(code(|s| s.region = "us-east".parse().unwrap()), "foreign_region");
        assert_eq!(code(|s| s.check = "shop-hom".parse().unwrap()), "unknown_check");
        assert_eq!(code(|s| s.started_at = NOW.plus_ms(MAX_FUTURE_MS + 1)), "future");
        assert_eq!(code(|s| s.scheduled_at = s.scheduled_at.plus_ms(1)), "no_such_slot");
        assert_eq!(code(|s| s.scheduled_at = Timestamp::MIN), "too_old");
        assert_eq!(code(|s| s.duration_us = Some(u64::MAX)), "duration");
    }

    #[test]
    fn a_planned_sample_that_began_before_its_slot_is_refused_but_for_what_a_clock_may_be_off() {
        let started = |kind, early_ms: i64| {
            let good = good();
            judge(batch(vec![Sample { kind, started_at: good.scheduled_at.plus_ms(-early_ms), ..good }]))
        };
        assert!(started(SampleKind::Planned, MAX_CLOCK_OFFSET_MS).is_ok());
        let refused = started(SampleKind::Planned, MAX_CLOCK_OFFSET_MS + 1).unwrap_err();
        assert_eq!((refused.refusal.error.as_str(), refused.refusal.sample), ("early", Some(0)));
        assert!(started(SampleKind::Extra, MAX_CLOCK_OFFSET_MS + 1).is_ok(), "it has no slot");
    }

    #[test]
    fn what_a_target_wrote_can_not_draw_on_a_terminal() {
        let loud = Sample { detail: Some("\u{1b}[2Jgone".to_owned()), ..good() };
        assert_eq!(judge(batch(vec![loud])).unwrap()[0].detail.as_deref(), Some(" [2Jgone"));
    }

    #[test]
    fn inv_9_evidence_is_bounded_and_cleaned_here_too_whatever_a_probe_makes_of_it() {
        let loud = "\u{1b}]0;gone\u{7}";
        let shown = Certificate { sha256: loud.to_owned(), ..Certificate::default() };
        let tls = |chain| Some(TlsEvidence { chain, ..TlsEvidence::default() });
        let with = |evidence| batch(vec![Sample { evidence: Some(Box::new(evidence)), ..good() }]);
        let taken = judge(with(Evidence { tls: tls(vec![shown.clone()]), ..Evidence::default() })).unwrap();
        let tls_taken = taken[0].evidence.as_ref().unwrap().tls.as_ref().unwrap();
        assert_eq!(tls_taken.chain[0].sha256, " ]0;gone ");
        let heap = Evidence { tls: tls(vec![shown; MAX_EVIDENCE_BYTES]), ..Evidence::default() };
        let taken = judge(with(heap)).unwrap();
        assert!(serde_json::to_vec(&taken[0].evidence).unwrap().len() <= MAX_EVIDENCE_BYTES);
    }

    #[test]
    fn what_a_probe_can_not_read_is_told_in_order_and_once() {
        let unread = ["shop-b", "shop-a", "shop-b"].map(|id| id.parse().unwrap()).to_vec();
        let told = Batch { health: Health { unread, ..Health::default() }, ..batch(Vec::new()) };
        let who = ("eu-west-1".parse().unwrap(), "eu-west".parse().unwrap());
        let (_samples, health) = admit(told, (&who.0, &who.1), &rules(), NOW).unwrap();
        assert_eq!(health.unread, ["shop-a".parse().unwrap(), "shop-b".parse().unwrap()]);
    }

    #[test]
    fn another_probes_batch_and_too_many_samples_are_refused_as_a_whole() {
        let other = Batch { probe: "eu-west-2".parse().unwrap(), ..batch(Vec::new()) };
        assert_eq!(judge(other).unwrap_err().status, StatusCode::FORBIDDEN);
        let many = batch(vec![good(); MAX_BATCH_SAMPLES + 1]);
        assert_eq!(judge(many).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
