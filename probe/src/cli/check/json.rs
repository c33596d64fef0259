//! What was seen as JSON: the keys of a sample, and a few more. `docs/CHECK.md` says what each means; keys are added,
//! never changed.

use nines_shared::check::Check;
use nines_shared::id::CheckId;
use nines_shared::sample::{Evidence, Outcome, Phase, Phases, Reason, TraceId};
use nines_shared::time::Timestamp;
use serde::Serialize;

use crate::prober::Observation;
use crate::waterfall::runs::{Cause, Contact, Figures, Tally};

/// The form of a run's object.
const RUN: &str = "nines.check/1";
/// The form of the summary's object.
const SUMMARY: &str = "nines.check.summary/1";

/// A run, and what is known of it beside its check.
pub(super) struct Run<'r> {
    /// Its number from 1, where there may be more.
    pub(super) number: Option<u32>,
    pub(super) started_at: Timestamp,
    pub(super) trace: TraceId,
    pub(super) seen: &'r Observation,
}

#[derive(Serialize)]
struct Shown<'s> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'s CheckId>,
    target: String,
    started_at: Timestamp,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'s str>,
    duration_us: u64,
    phases_us: Phases,
    attempt: u8,
    trace_id: TraceId,
    evidence: &'s Evidence,
}

/// One run of `check`, as one line.
pub(super) fn of_run(check: &Check, run: &Run<'_>) -> String {
    let seen = run.seen;
    line(&Shown {
        schema: RUN,
        run: run.number,
        check: Some(&check.id).filter(|id| id.as_str() != super::ONE_SHOT),
        target: check.question.target(),
        started_at: run.started_at,
        outcome: seen.outcome,
        reason: seen.reason.as_ref(),
        phase: seen.phase,
        detail: seen.detail.as_deref(),
        duration_us: seen.duration_us,
        phases_us: seen.phases_us,
        attempt: seen.attempt,
        trace_id: run.trace,
        evidence: &seen.evidence,
    })
}

#[derive(Serialize)]
struct Summary<'s> {
    schema: &'static str,
    target: String,
    runs: u32,
    elapsed_ms: i64,
    up: u32,
    degraded: u32,
    down: u32,
    inconclusive: u32,
    total_us: Option<Figures>,
    phases_us: PhaseFigures,
    causes: Vec<Cause>,
    addresses: &'s [Contact],
    further_changes: u32,
}

/// The keys of [`Phases`].
#[derive(Serialize)]
struct PhaseFigures {
    resolve: Option<Figures>,
    connect: Option<Figures>,
    tls: Option<Figures>,
    first_byte: Option<Figures>,
    transfer: Option<Figures>,
}

/// What all the runs of `check` amount to, as one line.
pub(super) fn of_summary(check: &Check, tally: &Tally, elapsed_ms: i64) -> String {
    let phase = |phase| tally.phase_us(phase);
    line(&Summary {
        schema: SUMMARY,
        target: check.question.target(),
        runs: tally.runs(),
        elapsed_ms,
        up: tally.with(Outcome::Up),
        degraded: tally.with(Outcome::Degraded),
        down: tally.with(Outcome::Down),
        inconclusive: tally.with(Outcome::Inconclusive),
        total_us: tally.total_us(),
        phases_us: PhaseFigures {
            resolve: phase(Phase::Resolve),
            connect: phase(Phase::Connect),
            tls: phase(Phase::Tls),
            first_byte: phase(Phase::FirstByte),
            transfer: phase(Phase::Transfer),
        },
        causes: tally.causes(),
        addresses: tally.addresses(),
        further_changes: tally.further_changes(),
    })
}

fn line(object: &impl Serialize) -> String {
    let mut json = serde_json::to_string(object).expect("strings and numbers are always JSON");
    json.push('\n');
    json
}
