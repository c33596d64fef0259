//! A sample as its row, and back. The one place that knows the columns.

use std::collections::HashMap;

use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::{Evidence, Outcome, Phase, Phases, Reason, Sample, SampleKind, TraceId, TraceIds};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::names::{Names, parsed};
use crate::store::StoreError;
use crate::uptime::Observed;

/// Stores a row where its identity is not there yet.
pub(super) const INSERT: &str = "
INSERT INTO sample (check_no, region_no, scheduled_at, kind, late_ms, outcome, attempt, probe_no, duration_us,
  resolve_us, connect_us, tls_us, first_byte_us, transfer_us, received_ms, rest)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
ON CONFLICT DO NOTHING";

/// Stores a row in the place of the one that is there.
pub(super) const REPLACE: &str = "
REPLACE INTO sample (check_no, region_no, scheduled_at, kind, late_ms, outcome, attempt, probe_no, duration_us,
  resolve_us, connect_us, tls_us, first_byte_us, transfer_us, received_ms, rest)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

const SELECT: &str = "
SELECT scheduled_at, late_ms, kind, outcome, duration_us, attempt, probe_no,
  resolve_us, connect_us, tls_us, first_byte_us, transfer_us, rest
FROM sample WHERE check_no = ?1 AND region_no = ?2";

/// Whose samples: one check in one region, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub(super) check_no: i64,
    pub(super) region_no: i64,
}

/// A sample with the numbers of its names, ready to be stored.
#[derive(Debug)]
pub(super) struct New<'a> {
    pub(super) sample: &'a Sample,
    pub(super) series: Series,
    probe_no: Option<i64>,
    received_at: Timestamp,
}

impl<'a> New<'a> {
    pub(super) fn of(sample: &'a Sample, received_at: Timestamp, names: &mut Names<'_>) -> Result<Self, StoreError> {
        let series =
            Series { check_no: names.of(sample.check.as_str())?, region_no: names.of(sample.region.as_str())? };
        let probe_no = sample.probe.as_ref().map(|probe| names.of(probe.as_str())).transpose()?;
        Ok(Self { sample, series, probe_no, received_at })
    }

    /// Runs [`INSERT`] or [`REPLACE`]; tells whether a row was written.
    pub(super) fn put(&self, statement: &mut CachedStatement<'_>) -> Result<bool, StoreError> {
        let sample = self.sample;
        let phases = &sample.phases_us;
        let rest = Rest::of(sample);
        let written = statement.execute(params![
            self.series.check_no,
            self.series.region_no,
            sample.scheduled_at.as_ms(),
            kind_no(sample.kind),
            sample.lateness_ms(),
            outcome_no(sample.outcome),
            sample.attempt,
            self.probe_no,
            sample.duration_us.map(signed),
            phases.resolve.map(signed),
            phases.connect.map(signed),
            phases.tls.map(signed),
            phases.first_byte.map(signed),
            phases.transfer.map(signed),
            self.received_at.since(sample.scheduled_at),
            rest,
        ])?;
        Ok(written != 0)
    }
}

/// What only some samples have, as JSON.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Rest {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Only where it is not [`TraceId::of`] the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Box<Evidence>>,
}

impl Rest {
    fn of(sample: &Sample) -> Option<String> {
        let rest = Self {
            reason: sample.reason.clone(),
            phase: sample.phase,
            detail: sample.detail.clone(),
            trace_id: sample.trace_id.filter(|id| *id != derived_trace(sample)),
            evidence: sample.evidence.clone(),
        };
        (rest != Self::default()).then(|| serde_json::to_string(&rest).expect("text keys, written to memory"))
    }

    fn read(json: &str, of: &Sample) -> Result<Self, StoreError> {
        serde_json::from_str(json).map_err(|why| StoreError::Unreadable {
            what: format!("the sample of {} from {} at {}", of.check, of.region, of.scheduled_at),
            why: why.to_string(),
        })
    }
}

/// The sample as it is read back: a trace id is derived where there is none, and times that no clock could have
/// measured stop at the largest number that the table holds.
pub(super) fn normal(sample: &Sample) -> Sample {
    let held = |us: u64| signed(us).unsigned_abs();
    let mut normal = sample.clone();
    normal.trace_id = normal.trace_id.or_else(|| Some(derived_trace(sample)));
    normal.duration_us = normal.duration_us.map(held);
    let phases = sample.phases_us;
    normal.phases_us = Phases {
        resolve: phases.resolve.map(held),
        connect: phases.connect.map(held),
        tls: phases.tls.map(held),
        first_byte: phases.first_byte.map(held),
        transfer: phases.transfer.map(held),
    };
    normal
}

fn derived_trace(sample: &Sample) -> TraceId {
    TraceId::of(&sample.check, &sample.region, sample.kind, sample.scheduled_at)
}

/// The stored sample with the identity of `like`.
pub(super) fn get(tx: &Transaction<'_>, series: Series, like: &Sample) -> Result<Sample, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} AND scheduled_at = ?3 AND kind = ?4"))?;
    let key = params![series.check_no, series.region_no, like.scheduled_at.as_ms(), kind_no(like.kind)];
    let mut rows = statement.query(key)?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let mut scratch = Scratch::new(&like.check, &like.region);
    Reader::new(tx).fill(&mut scratch, row)?;
    Ok(scratch.sample)
}

/// A sample that is filled anew from every row: what all rows of a series share is made once.
struct Scratch {
    sample: Sample,
    probe_no: Option<i64>,
    traces: [TraceIds; 2],
}

impl Scratch {
    fn new(check: &CheckId, region: &RegionId) -> Self {
        let sample = Sample {
            check: check.clone(),
            region: region.clone(),
            probe: None,
            kind: SampleKind::Planned,
            scheduled_at: Timestamp::MIN,
            started_at: Timestamp::MIN,
            outcome: Outcome::Inconclusive,
            reason: None,
            phase: None,
            detail: None,
            duration_us: None,
            phases_us: Phases::default(),
            attempt: 1,
            trace_id: None,
            evidence: None,
        };
        let traces = [SampleKind::Planned, SampleKind::Extra].map(|kind| TraceIds::of(check, region, kind));
        Self { sample, probe_no: None, traces }
    }

    fn derived_trace(&self) -> TraceId {
        let [planned, extra] = &self.traces;
        let of = match self.sample.kind {
            SampleKind::Planned => planned,
            SampleKind::Extra => extra,
        };
        of.at(self.sample.scheduled_at)
    }
}

/// Reads samples back, and remembers the names of probes.
pub(super) struct Reader<'a> {
    conn: &'a Connection,
    probes: HashMap<i64, ProbeId>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, probes: HashMap::new() }
    }

    /// Hands the samples of `series` that are scheduled in `span` to `each`, in order of time and kind.
    pub(super) fn each<E: From<StoreError>>(
        &mut self,
        (check, region, series): (&CheckId, &RegionId, Series),
        span: Span,
        each: &mut impl FnMut(&Sample) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error: rusqlite::Error| E::from(StoreError::from(error));
        let sql = format!("{SELECT} AND ?3 <= scheduled_at AND scheduled_at < ?4 ORDER BY scheduled_at, kind");
        let mut statement = self.conn.prepare_cached(&sql).map_err(failed)?;
        let key = params![series.check_no, series.region_no, span.from.as_ms(), span.to.as_ms()];
        let mut rows = statement.query(key).map_err(failed)?;
        let mut scratch = Scratch::new(check, region);
        while let Some(row) = rows.next().map_err(failed)? {
            self.fill(&mut scratch, row)?;
            each(&scratch.sample)?;
        }
        Ok(())
    }

    /// The newest sample of `series`.
    pub(super) fn last(
        &mut self,
        check: &CheckId,
        region: &RegionId,
        series: Series,
    ) -> Result<Option<Sample>, StoreError> {
        let sql = format!("{SELECT} ORDER BY scheduled_at DESC, kind DESC LIMIT 1");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params![series.check_no, series.region_no])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut scratch = Scratch::new(check, region);
        self.fill(&mut scratch, row)?;
        Ok(Some(scratch.sample))
    }

    fn fill(&mut self, scratch: &mut Scratch, row: &Row<'_>) -> Result<(), StoreError> {
        let observed = observed(row)?;
        let unsigned = |column| row.get::<_, Option<i64>>(column).map(|us| us.map(i64::unsigned_abs));
        let probe_no: Option<i64> = row.get(6)?;
        if probe_no != scratch.probe_no {
            scratch.sample.probe = probe_no.map(|no| self.probe(no)).transpose()?;
            scratch.probe_no = probe_no;
        }
        let sample = &mut scratch.sample;
        (sample.kind, sample.outcome) = (observed.kind, observed.outcome);
        (sample.scheduled_at, sample.started_at) = (observed.scheduled_at, observed.started_at);
        (sample.duration_us, sample.attempt) = (unsigned(4)?, row.get(5)?);
        sample.phases_us = Phases {
            resolve: unsigned(7)?,
            connect: unsigned(8)?,
            tls: unsigned(9)?,
            first_byte: unsigned(10)?,
            transfer: unsigned(11)?,
        };
        let rest = match row.get_ref(12)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            Some(json) => Rest::read(json, sample)?,
            None => Rest::default(),
        };
        (sample.reason, sample.phase, sample.detail) = (rest.reason, rest.phase, rest.detail);
        sample.evidence = rest.evidence;
        scratch.sample.trace_id = rest.trace_id.or_else(|| Some(scratch.derived_trace()));
        Ok(())
    }

    fn probe(&mut self, no: i64) -> Result<ProbeId, StoreError> {
        if let Some(probe) = self.probes.get(&no) {
            return Ok(probe.clone());
        }
        let mut statement = self.conn.prepare_cached("SELECT text FROM name WHERE no = ?1")?;
        let text: Option<String> = statement.query_one([no], |row| row.get(0)).optional()?;
        let probe: ProbeId = parsed(&text.unwrap_or_default())?;
        self.probes.insert(no, probe.clone());
        Ok(probe)
    }
}

/// Why a sample that is `down` is so, by the `rest` of its row.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    pub(super) reason: Option<Reason>,
    pub(super) phase: Option<Phase>,
}

impl Cause {
    pub(super) fn read(rest: Option<&str>) -> Result<Self, StoreError> {
        let Some(json) = rest else { return Ok(Self::default()) };
        serde_json::from_str(json)
            .map_err(|why| StoreError::Unreadable { what: "a sample that is down".to_owned(), why: why.to_string() })
    }
}

/// The first five columns of a row.
pub(super) fn observed(row: &Row<'_>) -> Result<Observed, StoreError> {
    let scheduled_at = Timestamp::from_ms(row.get(0)?);
    let duration: Option<i64> = row.get(4)?;
    Ok(Observed {
        scheduled_at,
        started_at: scheduled_at.plus_ms(row.get(1)?),
        kind: kind(row.get(2)?)?,
        outcome: outcome(row.get(3)?)?,
        duration_us: duration.map_or(0, |us| u32::try_from(us).unwrap_or(u32::MAX)),
    })
}

const fn kind_no(kind: SampleKind) -> i64 {
    match kind {
        SampleKind::Planned => 0,
        SampleKind::Extra => 1,
    }
}

fn kind(no: i64) -> Result<SampleKind, StoreError> {
    match no {
        0 => Ok(SampleKind::Planned),
        1 => Ok(SampleKind::Extra),
        stranger => Err(stranger_in("kind", stranger)),
    }
}

const fn outcome_no(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Up => 0,
        Outcome::Degraded => 1,
        Outcome::Down => 2,
        Outcome::Inconclusive => 3,
    }
}

fn outcome(no: i64) -> Result<Outcome, StoreError> {
    let known = usize::try_from(no).ok().and_then(|index| Outcome::ALL.get(index));
    known.copied().ok_or_else(|| stranger_in("outcome", no))
}

/// SQLite's integers are signed; no duration comes near the difference.
fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

fn stranger_in(column: &str, number: i64) -> StoreError {
    StoreError::Unreadable { what: format!("the {column} of a sample"), why: format!("{number} stands for nothing") }
}
