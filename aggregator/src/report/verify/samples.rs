//! The report made again from the samples that somebody holds, and where that differs from what it says.

use std::collections::BTreeMap;
use std::io;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::Sample;
use nines_shared::time::Span;
use serde_json::Value;

use super::Finding;
use crate::archive::Reader;
use crate::report::evidence::{Evidence, Gathering};
use crate::report::model::Report;
use crate::report::{ReportError, diff, json, life};
use crate::uptime::{Observed, RegionSamples};

/// Why a report can't be made again.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// The samples can't be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A line is no sample, or not where it belongs.
    #[error("line {number}: {why}")]
    Line {
        /// Its number, from 1.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The definitions in the report make no sense.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The report is of an earlier version.
    #[error("this report holds no definitions (basis), so nothing can be made again from it")]
    NoBasis,
    /// The report is no JSON.
    #[error("the report is no JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Where `report`, whose JSON is `text`, differs from what the samples give. Samples that it does not use are left out;
/// the others come in order of identity, as `nines export` writes them.
///
/// # Errors
/// [`SamplesError`].
pub fn against_samples(
    report: &Report,
    text: &str,
    reader: &mut Reader<'_>,
) -> Result<(Vec<Finding>, usize), SamplesError> {
    if report.basis.is_empty() {
        return Err(SamplesError::NoBasis);
    }
    let plan = life::plan_of(report);
    let checks: Vec<CheckId> = crate::report::checks(&report.basis).cloned().collect();
    let used = Span { from: report.samples_from, to: report.samples_to };
    let Held { mut observed, evidence } = read(reader, &checks, used)?;
    let again = plan.made(&evidence, |record| {
        for check in &mut record.checks {
            let id = &check.versions.first().expect("a check has a version").check.id;
            let regions = observed.remove(id).unwrap_or_default().into_iter();
            check.regions = regions.map(|(region, samples)| RegionSamples { region, samples }).collect();
        }
        Ok(())
    })?;
    let (says, must): (Value, Value) = (serde_json::from_str(text)?, serde_json::from_str(&json::render(&again))?);
    let difference = diff::between(&says, &must, &life::NOT_FIGURES);
    let finding = |change: diff::Change| Finding {
        path: change.path,
        says: change.before,
        must: change.after,
        why: "the same made from the samples",
    };
    Ok((difference.changes.into_iter().map(finding).collect(), difference.further))
}

/// The samples that a report uses.
struct Held {
    observed: BTreeMap<CheckId, BTreeMap<RegionId, Vec<Observed>>>,
    evidence: Evidence,
}

fn read(reader: &mut Reader<'_>, checks: &[CheckId], used: Span) -> Result<Held, SamplesError> {
    let mut observed: BTreeMap<CheckId, BTreeMap<RegionId, Vec<Observed>>> = BTreeMap::new();
    let mut gathering = Gathering::default();
    let mut last: Option<Sample> = None;
    while let Some(line) = reader.next_line()? {
        let (number, sample) = line.map_err(|bad| SamplesError::Line { number: bad.number, why: bad.why })?;
        if !checks.contains(&sample.check) || !used.contains(sample.scheduled_at) {
            continue;
        }
        if last.as_ref().is_some_and(|last| sample.identity() <= last.identity()) {
            let why = "the samples are not in order of identity, or one is there twice; `nines export` writes them so";
            return Err(SamplesError::Line { number, why: why.to_owned() });
        }
        let seen = Observed {
            scheduled_at: sample.scheduled_at,
            started_at: sample.started_at,
            kind: sample.kind,
            outcome: sample.outcome,
            duration_us: sample.duration_us.map_or(0, |us| u32::try_from(us).unwrap_or(u32::MAX)),
        };
        observed.entry(sample.check.clone()).or_default().entry(sample.region.clone()).or_default().push(seen);
        last = Some(sample.clone());
        gathering.push(sample);
    }
    for samples in observed.values_mut().flat_map(BTreeMap::values_mut) {
        samples.sort_by_key(|sample| (sample.started_at, sample.scheduled_at, sample.kind));
    }
    Ok(Held { observed, evidence: gathering.finish() })
}
