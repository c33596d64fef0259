//! All that a report takes from the samples of a check, in one sweep: verdicts, causes, latencies and digests.

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Outcome, Phase, Reason, Sample};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, params};

use super::days::{self, Day, Digesting, Form};
use super::names::{number, regions};
use super::row::{self, Cause, Reader, Series};
use crate::store::StoreError;
use crate::uptime::Observed;

/// What was taken from the samples of one region of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The region.
    pub region: RegionId,
    /// The samples, sorted by `started_at`, then `scheduled_at`, then kind.
    pub samples: Vec<Observed>,
    /// Why those that are `down` are, in order of `started_at`.
    pub failures: Vec<Failure>,
    /// What they come to, day by day.
    pub days: Vec<Day>,
}

/// A sample that is `down`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it was taken.
    pub started_at: Timestamp,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// … and in which phase.
    pub phase: Option<Phase>,
}

/// A sweep under way: samples of one region of one check come in order of time and kind.
pub struct Sweeping {
    region: RegionId,
    samples: Vec<Observed>,
    failures: Vec<Failure>,
    digesting: Digesting,
}

impl Sweeping {
    /// Of no sample yet.
    pub fn new(region: RegionId, form: Form) -> Self {
        Self { region, samples: Vec::new(), failures: Vec::new(), digesting: Digesting::new(form) }
    }

    /// Takes the next sample in.
    pub fn push(&mut self, sample: &Sample) {
        let observed = Observed {
            scheduled_at: sample.scheduled_at,
            started_at: sample.started_at,
            kind: sample.kind,
            outcome: sample.outcome,
            duration_us: sample.duration_us.map_or(0, |us| u32::try_from(us).unwrap_or(u32::MAX)),
        };
        if sample.outcome == Outcome::Down {
            self.failed(observed, sample.reason.clone(), sample.phase);
        }
        self.samples.push(observed);
        self.digesting.push(sample);
    }

    fn failed(&mut self, observed: Observed, reason: Option<Reason>, phase: Option<Phase>) {
        self.failures.push(Failure { started_at: observed.started_at, reason, phase });
    }

    /// All of it; `None` where there was no sample.
    pub fn finish(self) -> Option<Swept> {
        let Self { region, mut samples, mut failures, digesting } = self;
        samples.sort_by_key(|sample| (sample.started_at, sample.scheduled_at, sample.kind));
        failures.sort_by_key(|failure| failure.started_at);
        (!samples.is_empty()).then(|| Swept { region, samples, failures, days: digesting.finish() })
    }
}

/// Sweeps the samples of `check` that are scheduled in `span`, region by region in their order. Days that are sealed
/// are not digested again, where `form` has days.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn sweep(conn: &Connection, check: &CheckId, span: Span, form: Form) -> Result<Vec<Swept>, StoreError> {
    let Some(check_no) = number(conn, check.as_str())? else { return Ok(Vec::new()) };
    let mut reader = Reader::new(conn);
    let mut all = Vec::new();
    for (region, region_no) in regions(conn, check_no)? {
        let series = Series { check_no, region_no };
        let mut sweeping = Sweeping::new(region.clone(), form);
        let sealed = match form {
            Form::Lines => Vec::new(),
            Form::Days => days::sealed(conn, series, span)?,
        };
        let mut wide = |sweeping: &mut Sweeping, span: Span| {
            reader.each((check, &region, series), span, &mut |sample| {
                sweeping.push(sample);
                Ok::<_, StoreError>(())
            })
        };
        let mut from = span.from;
        for day in sealed {
            let of_day = days::span_of(day.day);
            if from < of_day.from {
                wide(&mut sweeping, Span { from, to: of_day.from })?;
            }
            narrow(conn, series, of_day, &mut sweeping)?;
            sweeping.digesting.push_day(day);
            from = of_day.to;
        }
        wide(&mut sweeping, Span { from, to: span.to })?;
        all.extend(sweeping.finish());
    }
    Ok(all)
}

/// Reads what is not in a digest.
fn narrow(conn: &Connection, series: Series, span: Span, sweeping: &mut Sweeping) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT scheduled_at, late_ms, kind, outcome, duration_us, CASE outcome WHEN 2 THEN rest END FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND ?3 <= scheduled_at AND scheduled_at < ?4
         ORDER BY scheduled_at, kind",
    )?;
    let mut rows = statement.query(params![series.check_no, series.region_no, span.from.as_ms(), span.to.as_ms()])?;
    while let Some(row) = rows.next()? {
        let observed = row::observed(row)?;
        if observed.outcome == Outcome::Down {
            let rest = row.get_ref(5)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            let Cause { reason, phase } = Cause::read(rest)?;
            sweeping.failed(observed, reason, phase);
        }
        sweeping.samples.push(observed);
    }
    Ok(())
}
