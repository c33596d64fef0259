//! The report made again from the samples that somebody holds, and where that differs from what it says.

use std::collections::BTreeMap;
use std::io;

use nines_shared::id::CheckId;
use nines_shared::sample::Sample;
use nines_shared::time::Span;
use serde_json::Value;

use super::Finding;
use crate::archive::Reader;
use crate::fingerprint::OfLines;
use crate::report::model::Report;
use crate::report::{ReportError, diff, json, life};
use crate::store::samples::canonical_line;
use crate::store::samples::days::Form;
use crate::store::samples::sweep::{Sweeping, Swept};

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
    let Held { mut swept, lines } = read(reader, (&checks, used), report.samples_form)?;
    let again = plan.made(lines, |check| Ok(swept.remove(check).unwrap_or_default()))?;
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
    swept: BTreeMap<CheckId, Vec<Swept>>,
    /// The digest of all of them, in the form of earlier versions.
    lines: Option<String>,
}

fn read(reader: &mut Reader<'_>, (checks, used): (&[CheckId], Span), form: Form) -> Result<Held, SamplesError> {
    let mut swept: BTreeMap<CheckId, Vec<Swept>> = BTreeMap::new();
    let mut lines = (form == Form::Lines).then(|| (OfLines::new(), Vec::new()));
    let mut last: Option<(Sample, Sweeping)> = None;
    while let Some(line) = reader.next_line()? {
        let (number, sample) = line.map_err(|bad| SamplesError::Line { number: bad.number, why: bad.why })?;
        if !checks.contains(&sample.check) || !used.contains(sample.scheduled_at) {
            continue;
        }
        if last.as_ref().is_some_and(|(last, _)| sample.identity() <= last.identity()) {
            let why = "the samples are not in order of identity, or one is there twice; `nines export` writes them so";
            return Err(SamplesError::Line { number, why: why.to_owned() });
        }
        if let Some((lines, line)) = &mut lines {
            canonical_line(&sample, line);
            lines.push_ended(line);
        }
        let mut sweeping = match last.take() {
            Some((last, sweeping)) if (&last.check, &last.region) == (&sample.check, &sample.region) => sweeping,
            other => {
                keep(&mut swept, other);
                Sweeping::new(sample.region.clone(), form)
            }
        };
        sweeping.push(&sample);
        last = Some((sample, sweeping));
    }
    keep(&mut swept, last);
    Ok(Held { swept, lines: lines.map(|(lines, _)| lines.finish()) })
}

fn keep(swept: &mut BTreeMap<CheckId, Vec<Swept>>, ended: Option<(Sample, Sweeping)>) {
    if let Some((last, sweeping)) = ended {
        swept.entry(last.check).or_default().extend(sweeping.finish());
    }
}
