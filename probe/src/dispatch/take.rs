//! One check from its due time to the spool.

use std::sync::Arc;
use std::time::Duration;

use nines_shared::sample::{Evidence, Outcome, Phases, Reason, Sample, SampleKind};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Kit;
use super::judge::{self, Doubt};
use super::pulse;
use crate::clock_watch::Reading;
use crate::prober::Observation;
use crate::schedule::Due;
use crate::spool::Kept;

/// Takes the sample of `due` and hands it to the spool. The permit is held until then, so that a slow disk
/// ends in `saturated` slots and not in memory.
pub(super) async fn take(kit: &Arc<Kit>, due: &Due, cut: &CancellationToken) -> Outcome {
    let permit = tokio::select! {
        permit = permit(kit, due) => permit,
        () = cut.cancelled() => return give_up(kit, due, Reason::Stopped).await,
    };
    let Some(_permit) = permit else {
        kit.tally.miss(u64::from(judge::is_owed(due.kind)));
        return give_up(kit, due, Reason::Saturated).await;
    };
    let (begun, lost_ms) = (kit.clock.read(), kit.pulse.lost_ms());
    if due.kind == SampleKind::Planned {
        kit.tally.late(Some(begun.now.since(due.scheduled_at)));
    }
    let seen = tokio::select! {
        seen = observe(kit, due) => seen,
        () = cut.cancelled() => return give_up(kit, due, Reason::Stopped).await,
    };
    let doubt = doubt(kit, due, (begun, lost_ms), &seen).await;
    let sample = judge::sample(kit, due, begun, seen, doubt);
    let outcome = sample.outcome;
    // The aggregator asks other regions, or is asked: each moment counts.
    keep(kit, &[sample], due.urgent || outcome == Outcome::Down).await;
    outcome
}

/// A permit, where there is one before the latest start.
async fn permit(kit: &Kit, due: &Due) -> Option<OwnedSemaphorePermit> {
    let left_ms = due.latest_start.since(kit.clock.read().now);
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
    // The semaphore is never closed.
    timeout(left, Arc::clone(&kit.permits).acquire_owned()).await.ok()?.ok()
}

/// Runs the check in a task of its own: a fault in it is a sample too, and ends with it where we are cut short.
async fn observe(kit: &Arc<Kit>, due: &Due) -> Observation {
    let (inside, asked, trace) = (Arc::clone(kit), Arc::clone(&due.check), judge::trace(kit, due));
    let running = AbortOnDropHandle::new(tokio::spawn(async move { inside.prober.run(&asked, trace).await }));
    running.await.unwrap_or_else(|error| {
        tracing::error!(check = %due.check.id, %error, "check.panicked");
        Observation {
            outcome: Outcome::Inconclusive,
            reason: Some(Reason::Internal),
            phase: None,
            detail: Some("the prober failed; its log says how".to_owned()),
            duration_us: 0,
            phases_us: Phases::default(),
            attempt: 1,
            evidence: Evidence::default(),
        }
    })
}

/// Whether we doubt ourselves after a sample that began with that reading, and that much lost before.
async fn doubt(kit: &Kit, due: &Due, (begun, lost_before_ms): (Reading, i64), seen: &Observation) -> Option<Doubt> {
    let ended = kit.clock.read();
    if !begun.trusted || !ended.trusted {
        return Some(Doubt::Clock);
    }
    let (lost_ms, took_ms) = (kit.pulse.lost_ms() - lost_before_ms, ended.uptime_ms - begun.uptime_ms);
    let must_fail = due.check.must_fail.is_some();
    if pulse::is_much(lost_ms, took_ms) && judge::hangs_on_time(seen, must_fail) {
        return Some(Doubt::Stalled { lost_ms, took_ms });
    }
    // A check that must fail is `up` because something failed, which may be our own way out.
    let by_failing = must_fail && seen.outcome != Outcome::Inconclusive;
    let alone = (seen.outcome == Outcome::Down || by_failing) && kit.canaries.answer().await == Some(false);
    alone.then_some(Doubt::Canary)
}

/// A slot that we could not look at is named; an extra sample is nobody's due.
async fn give_up(kit: &Kit, due: &Due, reason: Reason) -> Outcome {
    if judge::is_owed(due.kind) {
        keep(kit, &[judge::not_run(kit, due, kit.clock.read(), reason)], false).await;
    }
    Outcome::Inconclusive
}

/// Hands `samples` to the spool, which is when they are taken (INV-1); `urgent` ones are shipped at once.
pub(super) async fn keep(kit: &Kit, samples: &[Sample], urgent: bool) {
    match kit.spool.append(samples).await {
        Ok(Kept::Durable) => {
            if urgent {
                kit.hurry.notify_one();
            }
            samples.iter().for_each(|sample| tell(sample, "spool"));
        }
        Ok(Kept::Held) => samples.iter().for_each(|sample| tell(sample, "memory")),
        // The agent ends with its spool and says why; the slots stay missing.
        Err(error) => tracing::error!(samples = samples.len(), %error, "sample.not_kept"),
    }
}

fn tell(sample: &Sample, kept: &'static str) {
    let Sample { check, kind, scheduled_at, outcome, duration_us, .. } = sample;
    let (trace_id, kind) = (sample.trace_id.map(|id| id.to_string()), kind.code());
    let (reason, lateness_ms) = (sample.reason.as_ref().map(Reason::code), sample.lateness_ms());
    match outcome {
        Outcome::Up => tracing::debug!(
            trace_id, %check, kind, %scheduled_at, %outcome, duration_us, lateness_ms, kept, "sample.taken"
        ),
        Outcome::Degraded | Outcome::Down | Outcome::Inconclusive => tracing::info!(
            trace_id, %check, kind, %scheduled_at, %outcome, reason, duration_us, lateness_ms, kept, "sample.taken"
        ),
    }
}
