//! The table of samples: insert once, read back in order.
//!
//! Identity is (check, region, kind, scheduled_at), the primary key; where two samples claim the same
//! identity the one with the smaller (started_at, probe, content) stays. So any order and any repetition of the same
//! batches ends in the same content (INV-3). When a sample was received is kept for people, and is not content.
//!
//! The table is clustered by (check, region, time), so that a month of one check is read in one sweep. Names
//! are numbers from a dictionary, times after the first are differences, and what only a sample that is not
//! `up` has lies in one JSON column: a plain sample is some 50 bytes.

mod row;

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::digest;
use nines_shared::id::{CheckId, IdError, ProbeId, RegionId};
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, definitions};
use crate::uptime::{Observed, RegionSamples};
use row::{New, Series};

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "
-- Ids of checks, regions and probes as small numbers.
CREATE TABLE name (
  no   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE sample (
  check_no      INTEGER NOT NULL,
  region_no     INTEGER NOT NULL,
  scheduled_at  INTEGER NOT NULL,
  kind          INTEGER NOT NULL,  -- 0 planned, 1 extra
  late_ms       INTEGER NOT NULL,  -- started_at - scheduled_at
  outcome       INTEGER NOT NULL,  -- 0 up, 1 degraded, 2 down, 3 inconclusive
  attempt       INTEGER NOT NULL,
  probe_no      INTEGER,
  duration_us   INTEGER,
  resolve_us    INTEGER,
  connect_us    INTEGER,
  tls_us        INTEGER,
  first_byte_us INTEGER,
  transfer_us   INTEGER,
  received_ms   INTEGER NOT NULL,  -- received_at - scheduled_at; not content
  rest          TEXT,              -- JSON of reason, phase, detail, evidence, and a trace id that is not the derived one
  PRIMARY KEY (check_no, region_no, scheduled_at, kind)
) STRICT, WITHOUT ROWID;

-- Which checks got samples that the evaluator has not judged yet, and how far back.
CREATE TABLE fresh (
  check_no INTEGER PRIMARY KEY,
  arrival  INTEGER NOT NULL,       -- the last insert that touched the check
  first_at INTEGER NOT NULL,       -- the smallest started_at among them
  last_at  INTEGER NOT NULL        -- the largest
) STRICT;

CREATE TABLE arrival (last INTEGER NOT NULL) STRICT;
INSERT INTO arrival VALUES (0);
";

/// How an insert went. `stored + same` is the number of samples given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Samples that were new.
    pub stored: usize,
    /// Samples whose identity was there already.
    pub same: usize,
}

/// Stores `samples`; those that are there already change nothing. Marks their checks as [`fresh`].
///
/// # Errors
/// What SQLite says; then nothing of it is stored once the transaction is rolled back.
pub fn insert(tx: &Transaction<'_>, samples: &[Sample], received_at: Timestamp) -> Result<Inserted, StoreError> {
    let mut names = Names::new(tx);
    let mut touched = BTreeMap::new();
    let mut inserted = Inserted::default();
    let mut statement = tx.prepare_cached(row::INSERT)?;
    for sample in samples {
        let new = New::of(sample, received_at, &mut names)?;
        let stored = new.put(&mut statement)?;
        if stored {
            inserted.stored += 1;
        } else {
            inserted.same += 1;
        }
        if stored || replace_if_smaller(tx, &new)? {
            let at = sample.started_at;
            let (first, last) = touched.entry(new.series.check_no).or_insert((at, at));
            (*first, *last) = (at.min(*first), at.max(*last));
        }
    }
    mark_fresh(tx, &touched)?;
    Ok(inserted)
}

/// Two probes of one region may both have taken a slot. Which of the two stays must not depend on who
/// came first: the smaller by (started_at, probe, content) does.
fn replace_if_smaller(tx: &Transaction<'_>, new: &New<'_>) -> Result<bool, StoreError> {
    let sample = row::normal(new.sample);
    let there = row::get(tx, new.series, &sample)?;
    if there == sample {
        return Ok(false);
    }
    let smaller = rank(&sample) < rank(&there);
    tracing::debug!(trace_id = ?sample.trace_id, replaces = smaller, "sample.claimed_twice");
    if smaller {
        new.put(&mut tx.prepare_cached(row::REPLACE)?)?;
    }
    Ok(smaller)
}

fn rank(sample: &Sample) -> (Timestamp, Option<&str>, String) {
    (sample.started_at, sample.probe.as_ref().map(ProbeId::as_str), canonical(sample))
}

/// The sample as its line of NDJSON, without the line break.
pub fn canonical(sample: &Sample) -> String {
    serde_json::to_string(sample).expect("a sample has only text keys and writes to memory")
}

/// That a check got samples which nobody has judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Which check.
    pub check: CheckId,
    /// The number of the last insert that brought some. It grows with every insert.
    pub arrival: i64,
    /// From the earliest `started_at` among them to just after the latest.
    pub started: Span,
}

/// The checks with samples that [`judged`] has not been told of, in order of their arrival. At most one a check, however
/// many samples came, so that it is cheap after a long absence too.
///
/// # Errors
/// What SQLite says.
pub fn fresh(conn: &Connection) -> Result<Vec<Fresh>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT text, arrival, first_at, last_at FROM fresh JOIN name ON no = check_no ORDER BY arrival, text",
    )?;
    let rows = statement.query_and_then([], |row| {
        let (first, last) = (Timestamp::from_ms(row.get(2)?), Timestamp::from_ms(row.get(3)?));
        Ok(Fresh {
            check: parsed(&row.get::<_, String>(0)?)?,
            arrival: row.get(1)?,
            started: Span::new(first, last.plus_ms(1)),
        })
    })?;
    rows.collect()
}

/// Forgets what is [`fresh`] up to and including the insert number `arrival`. Called in the transaction that
/// stores the judgement; a check that got more since stays fresh, with all of its span.
///
/// # Errors
/// What SQLite says.
pub fn judged(tx: &Transaction<'_>, arrival: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM fresh WHERE arrival <= ?1")?.execute([arrival])?;
    Ok(())
}

fn mark_fresh(tx: &Transaction<'_>, touched: &BTreeMap<i64, (Timestamp, Timestamp)>) -> Result<(), StoreError> {
    if touched.is_empty() {
        return Ok(());
    }
    let mut count = tx.prepare_cached("UPDATE arrival SET last = last + 1 RETURNING last")?;
    let arrival: i64 = count.query_one([], |row| row.get(0))?;
    let mut mark = tx.prepare_cached(
        "INSERT INTO fresh (check_no, arrival, first_at, last_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (check_no) DO UPDATE SET arrival = excluded.arrival,
           first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
    )?;
    for (check_no, (first, last)) in touched {
        mark.execute(params![check_no, arrival, first.as_ms(), last.as_ms()])?;
    }
    Ok(())
}

/// What judging `check` in `span` needs, by region: the samples whose time lies in it, those of two intervals
/// on either side, and the last one before those where an older definition may let it hold so long.
///
/// Empty where the check has no definition.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn record_of(conn: &Connection, check: &CheckId, span: Span) -> Result<Vec<RegionSamples>, StoreError> {
    let versions = definitions::check_versions(conn, check)?;
    let longest = versions.iter().map(|version| version.check.interval_ms).max();
    let (Some(longest), Some(check_no)) = (longest, number(conn, check.as_str())?) else { return Ok(Vec::new()) };
    let reach = Span::new(span.from.plus_ms(-2 * longest), span.to.plus_ms(2 * longest));
    let mut record = Vec::new();
    for (region, region_no) in regions(conn, check_no)? {
        let from = match versions.len() {
            1 => None,
            _several => last_before(conn, check_no, region_no, reach.from)?,
        };
        let samples = observed(conn, (check_no, region_no), Span { from: from.unwrap_or(reach.from), ..reach })?;
        if !samples.is_empty() {
            record.push(RegionSamples { region, samples });
        }
    }
    Ok(record)
}

fn observed(conn: &Connection, (check_no, region_no): (i64, i64), span: Span) -> Result<Vec<Observed>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT scheduled_at, late_ms, kind, outcome, duration_us FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND ?3 <= scheduled_at AND scheduled_at < ?4",
    )?;
    let rows =
        statement.query_and_then(params![check_no, region_no, span.from.as_ms(), span.to.as_ms()], row::observed)?;
    let mut samples = rows.collect::<Result<Vec<Observed>, StoreError>>()?;
    samples.sort_by_key(|sample| (sample.started_at, sample.scheduled_at, sample.kind));
    Ok(samples)
}

/// When the last sample that says something was scheduled before `at`.
fn last_before(
    conn: &Connection,
    check_no: i64,
    region_no: i64,
    at: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT scheduled_at FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND scheduled_at < ?3 AND outcome <> 3
         ORDER BY scheduled_at DESC LIMIT 1",
    )?;
    let found = statement.query_one(params![check_no, region_no, at.as_ms()], |row| row.get(0)).optional()?;
    Ok(found.map(Timestamp::from_ms))
}

/// Hands every sample scheduled in `span` to `each`, in order of identity: check, region, scheduled time, kind.
/// Only those of `checks` where it is given. Memory does not grow with their number.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`], and whatever `each` answers, which ends it.
pub fn each_in_identity_order<E: From<StoreError>>(
    conn: &Connection,
    checks: Option<&[CheckId]>,
    span: Span,
    mut each: impl FnMut(Sample) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = row::Reader::new(conn);
    for (check, check_no) in self::checks(conn, checks)? {
        for (region, region_no) in regions(conn, check_no)? {
            reader.each((&check, &region, Series { check_no, region_no }), span, &mut each)?;
        }
    }
    Ok(())
}

/// SHA-256 of the samples scheduled in `span`, as NDJSON in order of identity: of the very bytes that `nines
/// export` writes. As `sha256:` and 64 hex digits.
///
/// # Errors
/// As [`each_in_identity_order`].
pub fn digest(conn: &Connection, checks: Option<&[CheckId]>, span: Span) -> Result<String, StoreError> {
    let mut context = digest::Context::new(&digest::SHA256);
    each_in_identity_order(conn, checks, span, |sample| {
        context.update(canonical(&sample).as_bytes());
        context.update(b"\n");
        Ok::<_, StoreError>(())
    })?;
    Ok(format!("sha256:{}", data_encoding::HEXLOWER.encode(context.finish().as_ref())))
}

/// [`digest`] of every sample there is: equal digests, equal content.
///
/// # Errors
/// As [`digest`].
pub fn content_digest(conn: &Connection) -> Result<String, StoreError> {
    digest(conn, None, Span { from: Timestamp::MIN, to: Timestamp::MAX })
}

/// The newest sample of each region of `check`, sorted by region.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn latest_of(conn: &Connection, check: &CheckId) -> Result<Vec<Sample>, StoreError> {
    let Some(check_no) = number(conn, check.as_str())? else { return Ok(Vec::new()) };
    let mut reader = row::Reader::new(conn);
    let mut newest = Vec::new();
    for (region, region_no) in regions(conn, check_no)? {
        newest.extend(reader.last(check, &region, Series { check_no, region_no })?);
    }
    Ok(newest)
}

/// When the first sample of `check` was scheduled, in any region.
///
/// # Errors
/// What SQLite says.
pub fn first_of(conn: &Connection, check: &CheckId) -> Result<Option<Timestamp>, StoreError> {
    let Some(check_no) = number(conn, check.as_str())? else { return Ok(None) };
    let mut statement =
        conn.prepare_cached("SELECT min(scheduled_at) FROM sample WHERE check_no = ?1 AND region_no = ?2")?;
    let mut first: Option<i64> = None;
    for (_region, region_no) in regions(conn, check_no)? {
        let at: Option<i64> = statement.query_one(params![check_no, region_no], |row| row.get(0))?;
        first = first.into_iter().chain(at).min();
    }
    Ok(first.map(Timestamp::from_ms))
}

/// How long the planned `up` and `degraded` samples scheduled in `span` took, in µs, in order of time: what
/// percentiles are made of.
///
/// # Errors
/// What SQLite says.
pub fn latencies(conn: &Connection, check: &CheckId, region: &RegionId, span: Span) -> Result<Vec<u64>, StoreError> {
    let (Some(check_no), Some(region_no)) = (number(conn, check.as_str())?, number(conn, region.as_str())?) else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(
        "SELECT duration_us FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND ?3 <= scheduled_at AND scheduled_at < ?4
           AND kind = 0 AND outcome <= 1 AND duration_us IS NOT NULL",
    )?;
    let rows = statement.query_map(params![check_no, region_no, span.from.as_ms(), span.to.as_ms()], |row| {
        row.get::<_, i64>(0).map(i64::unsigned_abs)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many samples there are. Reads the whole table.
///
/// # Errors
/// What SQLite says.
pub fn count(conn: &Connection) -> Result<u64, StoreError> {
    let count: i64 = conn.prepare_cached("SELECT count(*) FROM sample")?.query_one([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The checks that may have samples, sorted by id, with their numbers.
fn checks(conn: &Connection, only: Option<&[CheckId]>) -> Result<Vec<(CheckId, i64)>, StoreError> {
    // A loose index scan: one seek a check, not one step a sample.
    let mut statement = conn.prepare_cached(
        "WITH RECURSIVE found(no) AS (
           SELECT min(check_no) FROM sample UNION ALL
           SELECT (SELECT min(check_no) FROM sample WHERE found.no < check_no) FROM found WHERE no IS NOT NULL)
         SELECT text, name.no FROM found JOIN name USING (no) ORDER BY text",
    )?;
    let rows = statement.query_and_then([], |row| Ok((parsed(&row.get::<_, String>(0)?)?, row.get(1)?)))?;
    let wanted = |found: &Result<(CheckId, i64), StoreError>| match (found, only) {
        (Ok((check, _no)), Some(only)) => only.contains(check),
        (Ok(_) | Err(_), _) => true,
    };
    rows.filter(wanted).collect()
}

/// The regions that `check_no` has samples from, sorted by id, with their numbers.
fn regions(conn: &Connection, check_no: i64) -> Result<Vec<(RegionId, i64)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "WITH RECURSIVE found(no) AS (
           SELECT min(region_no) FROM sample WHERE check_no = ?1 UNION ALL
           SELECT (SELECT min(region_no) FROM sample WHERE check_no = ?1 AND found.no < region_no)
           FROM found WHERE no IS NOT NULL)
         SELECT text, name.no FROM found JOIN name USING (no) ORDER BY text",
    )?;
    let rows = statement.query_and_then([check_no], |row| Ok((parsed(&row.get::<_, String>(0)?)?, row.get(1)?)))?;
    rows.collect()
}

/// The number of a name, where it has one.
fn number(conn: &Connection, text: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn.prepare_cached("SELECT no FROM name WHERE text = ?1")?.query_one([text], |row| row.get(0)).optional()?)
}

/// The numbers of names, given out as they are needed, looked up once a batch.
struct Names<'a> {
    tx: &'a Transaction<'a>,
    known: HashMap<String, i64>,
}

impl<'a> Names<'a> {
    fn new(tx: &'a Transaction<'_>) -> Self {
        Self { tx, known: HashMap::new() }
    }

    fn of(&mut self, text: &str) -> Result<i64, StoreError> {
        if let Some(no) = self.known.get(text) {
            return Ok(*no);
        }
        let no = match number(self.tx, text)? {
            Some(no) => no,
            None => {
                self.tx.prepare_cached("INSERT INTO name (text) VALUES (?1)")?.execute([text])?;
                self.tx.last_insert_rowid()
            }
        };
        self.known.insert(text.to_owned(), no);
        Ok(no)
    }
}

/// An id out of the dictionary, which holds only what was one.
fn parsed<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|why: IdError| StoreError::Unreadable { what: "a name".to_owned(), why: why.to_string() })
}
