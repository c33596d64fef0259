//! PURE: an observation into a sample; and where we doubt ourselves, into one that accuses nobody (INV-5).

use nines_shared::sample::{Evidence, Outcome, Phases, Reason, Sample, SampleKind, TraceId, detail};

use super::Kit;
use crate::clock_watch::Reading;
use crate::prober::Observation;
use crate::schedule::Due;

/// Why an observation says nothing about the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Our clock is off.
    Clock,
    /// Our canaries are silent.
    Canary,
    /// We stood still for `lost_ms` of the `took_ms` that it took.
    Stalled { lost_ms: i64, took_ms: i64 },
}

impl Doubt {
    fn reason(self) -> Reason {
        match self {
            Self::Clock => Reason::Clock,
            Self::Canary => Reason::Canary,
            Self::Stalled { .. } => Reason::Stalled,
        }
    }
}

/// Whether what was `seen` hangs on how long the target took: had the probe run on, the target might have been in time.
/// What a check that must fail takes for right may hang on it too.
pub(super) fn hangs_on_time(seen: &Observation, must_fail: bool) -> bool {
    match seen.outcome {
        Outcome::Up => must_fail,
        Outcome::Degraded => true,
        Outcome::Inconclusive => false,
        Outcome::Down => seen.reason.as_ref().is_some_and(is_of_time),
    }
}

/// Whether a target is blamed by this reason for the time that it took.
fn is_of_time(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::DnsTimeout
            | Reason::ConnectTimeout
            | Reason::TlsTimeout
            | Reason::HttpTimeout
            | Reason::BodyTimeout
            | Reason::TcpTimeout
            | Reason::IcmpTimeout
            | Reason::GrpcTimeout
            | Reason::Latency
            // Also of a server that did not answer, or was not heard to, in time.
            | Reason::DnsLame
            | Reason::DnsWrongId
    )
}

/// The sample of `due`, begun at `begun`, that saw `seen`.
pub(super) fn sample(kit: &Kit, due: &Due, begun: Reading, seen: Observation, doubt: Option<Doubt>) -> Sample {
    let mut sample = blank(kit, due, begun);
    // Of what is up only a chain is told, where it is news.
    let told = seen.outcome != Outcome::Up || seen.evidence.tls.is_some();
    let evidence = (told && seen.evidence != Evidence::default()).then_some(seen.evidence);
    sample.evidence = evidence.map(Box::new);
    sample.duration_us = Some(seen.duration_us);
    sample.phases_us = seen.phases_us;
    sample.attempt = seen.attempt;
    (sample.outcome, sample.reason, sample.phase, sample.detail) = (seen.outcome, seen.reason, seen.phase, seen.detail);
    if let Some(doubt) = doubt {
        sample.detail = Some(what_was_seen(&sample, doubt));
        (sample.outcome, sample.reason) = (Outcome::Inconclusive, Some(doubt.reason()));
    }
    sample
}

/// The sample of a slot that was not run, or not to its end, for a `reason` of ours.
pub(super) fn not_run(kit: &Kit, due: &Due, now: Reading, reason: Reason) -> Sample {
    Sample { outcome: Outcome::Inconclusive, reason: Some(reason), ..blank(kit, due, now) }
}

/// What follows the sample of `due` everywhere.
pub(super) fn trace(kit: &Kit, due: &Due) -> TraceId {
    TraceId::of(&due.check.id, &kit.region, due.kind, due.scheduled_at)
}

fn blank(kit: &Kit, due: &Due, begun: Reading) -> Sample {
    let (check, kind, scheduled_at) = (&due.check.id, due.kind, due.scheduled_at);
    Sample {
        check: check.clone(),
        region: kit.region.clone(),
        probe: Some(kit.probe.clone()),
        kind,
        scheduled_at,
        started_at: begun.now,
        outcome: Outcome::Inconclusive,
        reason: None,
        phase: None,
        detail: None,
        duration_us: None,
        phases_us: Phases::default(),
        attempt: 1,
        trace_id: Some(trace(kit, due)),
        evidence: None,
    }
}

/// The outcome that is doubted, kept for the record: `seen: down connect_refused in connect: …`.
fn what_was_seen(sample: &Sample, doubt: Doubt) -> String {
    let mut text = match doubt {
        Doubt::Clock | Doubt::Canary => String::new(),
        Doubt::Stalled { lost_ms, took_ms } => format!("the probe stood still for {lost_ms} of {took_ms} ms; "),
    };
    text.push_str(&format!("seen: {}", sample.outcome));
    if let Some(reason) = &sample.reason {
        text.push_str(&format!(" {reason}"));
    }
    if let Some(phase) = sample.phase {
        text.push_str(&format!(" in {phase}"));
    }
    if let Some(said) = &sample.detail {
        text.push_str(&format!(": {said}"));
    }
    detail(&text)
}

/// Whether an extra sample that was not run is owed to anybody: only slots are.
pub(super) fn is_owed(kind: SampleKind) -> bool {
    match kind {
        SampleKind::Planned => true,
        SampleKind::Extra => false,
    }
}
