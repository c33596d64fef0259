//! One walk over every sample that a report uses: its digest, and why what failed did.

use std::collections::BTreeMap;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Outcome, Phase, Reason, Sample};
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::model::Series;
use crate::fingerprint::OfLines;
use crate::store::{StoreError, samples};

/// What the samples tell beside their outcomes.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// SHA-256 of the samples' lines, as `nines export` writes them.
    pub(super) digest: String,
    series: BTreeMap<(CheckId, RegionId), Series>,
    failures: BTreeMap<CheckId, Vec<Failure>>,
}

/// Samples on their way to becoming evidence: they come in order of identity.
#[derive(Default)]
pub(super) struct Gathering {
    lines: OfLines,
    current: Option<((CheckId, RegionId), u64, OfLines)>,
    evidence: Evidence,
}

/// A sample that is `down`.
#[derive(Clone, Debug)]
struct Failure {
    region: RegionId,
    started_at: Timestamp,
    cause: Cause,
}

/// Why a sample failed, and in which phase.
pub(super) type Cause = (Option<Reason>, Option<Phase>);

/// Reads the samples of `checks` scheduled in `span`.
pub(super) fn gather(conn: &Connection, checks: &[CheckId], span: Span) -> Result<Evidence, StoreError> {
    let mut gathering = Gathering::default();
    samples::each_in_identity_order(conn, Some(checks), span, |sample| {
        gathering.push(sample);
        Ok::<_, StoreError>(())
    })?;
    Ok(gathering.finish())
}

impl Gathering {
    /// Takes the next sample in.
    pub(super) fn push(&mut self, sample: Sample) {
        let line = samples::canonical(&sample);
        self.lines.push(&line);
        match &mut self.current {
            Some(((check, region), count, lines)) if *check == sample.check && *region == sample.region => {
                *count += 1;
                lines.push(&line);
            }
            Some(_) | None => {
                self.end_series();
                let mut lines = OfLines::new();
                lines.push(&line);
                self.current = Some(((sample.check.clone(), sample.region.clone()), 1, lines));
            }
        }
        self.evidence.note(sample);
    }

    fn end_series(&mut self) {
        if let Some((key, count, lines)) = self.current.take() {
            self.evidence.series.insert(key, Series { count, digest: lines.finish() });
        }
    }

    /// All of it.
    pub(super) fn finish(mut self) -> Evidence {
        self.end_series();
        Evidence { digest: self.lines.finish(), ..self.evidence }
    }
}

impl Evidence {
    /// The samples of `region` of `check`.
    pub(super) fn series(&self, check: &CheckId, region: &RegionId) -> Series {
        let found = self.series.get(&(check.clone(), region.clone())).cloned();
        found.unwrap_or_else(|| Series { count: 0, digest: OfLines::new().finish() })
    }

    fn note(&mut self, sample: Sample) {
        if sample.outcome == Outcome::Down {
            let failure =
                Failure { region: sample.region, started_at: sample.started_at, cause: (sample.reason, sample.phase) };
            self.failures.entry(sample.check).or_default().push(failure);
        }
    }

    /// The cause that most of the failing samples of `checks` in `regions` gave during `outage`; of equals, the
    /// first in order. Where none began in it (maintenance cut those off), that of the last one before.
    pub(super) fn cause<'a>(
        &self,
        checks: impl Iterator<Item = &'a CheckId>,
        regions: &[RegionId],
        outage: Span,
    ) -> Cause {
        let failures = checks.filter_map(|check| self.failures.get(check)).flatten();
        let theirs: Vec<&Failure> =
            failures.filter(|failure| failure.started_at < outage.to && regions.contains(&failure.region)).collect();
        let mut counts: BTreeMap<&Cause, usize> = BTreeMap::new();
        for failure in theirs.iter().filter(|failure| outage.from <= failure.started_at) {
            *counts.entry(&failure.cause).or_default() += 1;
        }
        // `max_by_key` gives the last of equals, so the order is turned round.
        let most = counts.iter().rev().max_by_key(|(_, count)| **count).map(|(cause, _)| *cause);
        let last = || theirs.iter().max_by_key(|failure| failure.started_at).map(|failure| &failure.cause);
        most.or_else(last).cloned().unwrap_or_default()
    }
}
