//! Evidence: what each region saw last while it was good, beside what it saw first when it was not.
//!
//! It is kept with the incident, so that it can be read when samples are gone. Bounded: [`MAX_SIGHTS`] of them, each of
//! two samples without their bodies and headers. What a good sample does not carry, such as its certificate, is not
//! compared.

use std::collections::BTreeMap;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Outcome, Phase, Phases, Reason, Sample, SampleKind, TraceId, detail};
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::common::Aspect;

/// The most pairs of a check and a region of which one incident keeps what they saw; the first by time are.
pub const MAX_SIGHTS: usize = 32;
/// The most answers of one DNS sample that are kept.
pub const MAX_ANSWERS: usize = 8;
/// A phase is told as slower from so many times as long on …
const SLOWER_TIMES: u64 = 2;
/// … if it took so much longer, in µs.
const SLOWER_BY_US: u64 = 50_000;

/// What one region saw of one check before it failed, and when it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Of which check.
    pub check: CheckId,
    /// From where.
    pub region: RegionId,
    /// The last good sample before; `None` where none was near.
    pub last_good: Option<Glimpse>,
    /// The first sample that was not good.
    pub first_bad: Glimpse,
    /// When the check's definition changed between the two, or within an interval before, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redefined_at: Option<Timestamp>,
}

/// What is kept of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glimpse {
    /// Planned or extra; with check, region and `scheduled_at` it names the sample.
    pub kind: SampleKind,
    /// When it was to start.
    pub scheduled_at: Timestamp,
    /// When it did.
    pub started_at: Timestamp,
    /// What it saw.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<Reason>,
    /// The phase that it failed in.
    pub phase: Option<Phase>,
    /// Details, cleaned.
    pub detail: Option<String>,
    /// How long it took, in µs.
    pub duration_us: Option<u64>,
    /// How long each phase took.
    pub phases_us: Phases,
    /// What it showed, aspect by aspect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shows: BTreeMap<Aspect, String>,
    /// The answers of a DNS check, at most [`MAX_ANSWERS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// What follows it through the logs.
    pub trace_id: Option<TraceId>,
}

impl Glimpse {
    /// What is kept of `sample`.
    pub fn of(sample: &Sample) -> Self {
        let kept = [Aspect::Address, Aspect::Status, Aspect::Certificate];
        let dns = sample.evidence.as_ref().and_then(|seen| seen.dns.as_ref());
        Self {
            kind: sample.kind,
            scheduled_at: sample.scheduled_at,
            started_at: sample.started_at,
            outcome: sample.outcome,
            reason: sample.reason.clone(),
            phase: sample.phase,
            detail: sample.detail.as_deref().map(detail),
            duration_us: sample.duration_us,
            phases_us: sample.phases_us,
            shows: kept.into_iter().filter_map(|aspect| Some((aspect, aspect.of(sample)?))).collect(),
            answers: dns
                .map_or(&[][..], |dns| &dns.answers)
                .iter()
                .take(MAX_ANSWERS)
                .map(|text| detail(text))
                .collect(),
            trace_id: sample.trace_id,
        }
    }
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What: an aspect, a phase, `answers`, `definition`.
    pub what: &'static str,
    /// What it was.
    pub was: String,
    /// What it is.
    pub is: String,
}

impl Sight {
    /// What changed between the last good sample and the first that was not.
    pub fn differences(&self) -> Vec<Difference> {
        let mut found: Vec<Difference> = Vec::new();
        if let Some(at) = self.redefined_at {
            let at = crate::uptime::calendar::utc(at);
            found.push(Difference { what: "definition", was: String::new(), is: format!("changed at {at}") });
        }
        let Some(good) = &self.last_good else { return found };
        let bad = &self.first_bad;
        for (aspect, was) in &good.shows {
            if let Some(is) = bad.shows.get(aspect).filter(|is| *is != was) {
                found.push(Difference { what: aspect.code(), was: was.clone(), is: is.clone() });
            }
        }
        if !good.answers.is_empty() && !bad.answers.is_empty() && good.answers != bad.answers {
            let (was, is) = (good.answers.join(", "), bad.answers.join(", "));
            found.push(Difference { what: "answers", was, is });
        }
        for phase in Phase::ALL {
            let (Some(was), Some(is)) = (good.phases_us.get(phase), bad.phases_us.get(phase)) else { continue };
            if was.saturating_mul(SLOWER_TIMES) <= is && SLOWER_BY_US <= is - was {
                let ms = |us: u64| format!("{} ms", us / 1_000);
                found.push(Difference { what: phase.code(), was: ms(was), is: ms(is) });
            }
        }
        found
    }
}

/// What each region saw of each check, from `samples` in order of identity: the first sample at or after `from` that is
/// `bad`, beside the last good one before it. The earliest failures first, at most [`MAX_SIGHTS`].
pub fn sights(samples: &[Sample], bad: Outcome, from: Timestamp) -> Vec<Sight> {
    let mut found: Vec<Sight> = Vec::new();
    for series in samples.chunk_by(|left, right| left.check == right.check && left.region == right.region) {
        let failing = series.iter().filter(|sample| sample.outcome == bad && from <= sample.started_at);
        let Some(first_bad) = failing.min_by_key(|sample| sample.started_at) else { continue };
        let good = |sample: &&Sample| match sample.outcome {
            Outcome::Up => true,
            Outcome::Degraded => bad == Outcome::Down,
            Outcome::Down | Outcome::Inconclusive => false,
        };
        let before = series.iter().filter(|sample| sample.started_at < first_bad.started_at);
        found.push(Sight {
            check: first_bad.check.clone(),
            region: first_bad.region.clone(),
            last_good: before.filter(good).max_by_key(|sample| sample.started_at).map(Glimpse::of),
            first_bad: Glimpse::of(first_bad),
            redefined_at: None,
        });
    }
    found.sort_by_key(|sight| sight.first_bad.started_at);
    found.truncate(MAX_SIGHTS);
    found
}

#[cfg(test)]
mod tests;
