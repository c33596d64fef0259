//! What the samples of a day come to: the digests that reports carry, and the days whose digests are kept.
//!
//! A *day* is a UTC day of one check and region. Its digest is the SHA-256 of the lines of its samples, as `nines
//! export` writes them. A report's digest is that of a list of days ([`push_lines`]), so it is composed of what was
//! worked out once. A day that is *sealed* has its digest in a table; a sample that is stored in such a day opens it
//! again in the same transaction, and so does whoever changes or deletes a row by hand. So what is kept never differs
//! from the rows.

use std::collections::BTreeSet;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::canonical_line;
use super::names::{self, parsed};
use super::row::{Reader, Series};
use crate::fingerprint::OfLines;
use crate::store::StoreError;

/// SQL that makes the table of sealed days, in a later migration than that of samples.
pub(in crate::store) const TABLES: &str = "
CREATE TABLE day (
  check_no  INTEGER NOT NULL,
  region_no INTEGER NOT NULL,
  day       INTEGER NOT NULL,  -- of scheduled_at, UTC, counted from 1970-01-01
  samples   INTEGER NOT NULL,
  digest    BLOB,              -- SHA-256 of their lines; NULL where it must be worked out again
  PRIMARY KEY (check_no, region_no, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_last ON day (day);
CREATE INDEX day_open ON day (day) WHERE digest IS NULL;

-- The program neither changes nor deletes a sample but by REPLACE, which it notes itself. People may.
CREATE TRIGGER sample_changed AFTER UPDATE ON sample
BEGIN
  UPDATE day SET digest = NULL WHERE check_no = old.check_no AND region_no = old.region_no
    AND abs(day * 86400000 - old.scheduled_at) <= 86400000;
  UPDATE day SET digest = NULL WHERE check_no = new.check_no AND region_no = new.region_no
    AND abs(day * 86400000 - new.scheduled_at) <= 86400000;
END;
CREATE TRIGGER sample_deleted AFTER DELETE ON sample
BEGIN
  UPDATE day SET digest = NULL WHERE check_no = old.check_no AND region_no = old.region_no
    AND abs(day * 86400000 - old.scheduled_at) <= 86400000;
END;
";

const DAY_MS: i64 = 86_400_000;

/// How the samples that a report uses are digested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// SHA-256 of all their lines, in order of identity. So it is in reports of earlier versions.
    #[default]
    Lines,
    /// SHA-256 of a list of days.
    Days,
}

/// What the samples of a day come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which UTC day, counted from 1970-01-01; 0 where the [`Form`] has no days.
    pub day: i64,
    /// How many samples.
    pub count: u64,
    /// SHA-256 of their lines.
    pub digest: [u8; 32],
}

/// The UTC day that `at` lies in.
pub fn day_of(at: Timestamp) -> i64 {
    at.as_ms().div_euclid(DAY_MS)
}

/// All of the UTC day number `day`.
pub fn span_of(day: i64) -> Span {
    let from = Timestamp::from_ms(day.saturating_mul(DAY_MS));
    Span { from, to: from.plus_ms(DAY_MS) }
}

/// Adds the lines of one check and region to a list of days, one a day in their order: `check region day count digest`,
/// where the day is told by its first instant in ms since 1970, and the digest is 64 hex digits.
pub fn push_lines(list: &mut OfLines, (check, region): (&CheckId, &RegionId), days: &[Day]) {
    for day in days {
        list.push(&line((check, region), day));
    }
}

/// A line of the list of days, without its line break.
pub fn line((check, region): (&CheckId, &RegionId), day: &Day) -> String {
    let digest = data_encoding::HEXLOWER.encode(&day.digest);
    format!("{check} {region} {} {} {digest}", span_of(day.day).from, day.count)
}

/// Samples of one check and region on their way to becoming days: they come in order of time.
pub struct Digesting {
    form: Form,
    current: Option<(i64, u64, OfLines)>,
    done: Vec<Day>,
    line: Vec<u8>,
}

impl Digesting {
    /// Of no sample yet. What is not cut into days is one.
    pub fn new(form: Form) -> Self {
        Self { form, current: None, done: Vec::new(), line: Vec::new() }
    }

    /// Takes the next sample in.
    pub fn push(&mut self, sample: &Sample) {
        let day = match self.form {
            Form::Lines => 0,
            Form::Days => day_of(sample.scheduled_at),
        };
        if self.current.as_ref().is_none_or(|(current, _, _)| *current != day) {
            self.end_day();
        }
        canonical_line(sample, &mut self.line);
        let (_, count, lines) = self.current.get_or_insert_with(|| (day, 0, OfLines::new()));
        *count += 1;
        lines.push_ended(&self.line);
    }

    /// Takes a whole day in that was digested before.
    pub fn push_day(&mut self, day: Day) {
        self.end_day();
        if day.count != 0 {
            self.done.push(day);
        }
    }

    fn end_day(&mut self) {
        if let Some((day, count, lines)) = self.current.take() {
            self.done.push(Day { day, count, digest: lines.finish_bytes() });
        }
    }

    /// Every day that has samples, in order.
    pub fn finish(mut self) -> Vec<Day> {
        self.end_day();
        self.done
    }
}

/// The list of days of the samples of `checks` (of all where it is not given) that are scheduled in `span`: each line
/// goes to `each`, which ends it where it fails. Worked out from the rows, whatever is sealed.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`], and whatever `each` answers.
pub fn each_line<E: From<StoreError>>(
    conn: &Connection,
    checks: Option<&[CheckId]>,
    span: Span,
    mut each: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = Reader::new(conn);
    for (check, check_no) in names::checks(conn, checks)? {
        for (region, region_no) in names::regions(conn, check_no)? {
            let mut digesting = Digesting::new(Form::Days);
            reader.each((&check, &region, Series { check_no, region_no }), span, &mut |sample| {
                digesting.push(sample);
                Ok::<_, StoreError>(())
            })?;
            for day in digesting.finish() {
                each(&line((&check, &region), &day))?;
            }
        }
    }
    Ok(())
}

/// The sealed days of `series` that lie in `span` with all of their time, in order.
pub(super) fn sealed(conn: &Connection, series: Series, span: Span) -> Result<Vec<Day>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT day, samples, digest FROM day
         WHERE check_no = ?1 AND region_no = ?2 AND ?3 <= day AND day < ?4 AND digest IS NOT NULL ORDER BY day",
    )?;
    let (whole_from, whole_to) = (span.from.as_ms().saturating_add(DAY_MS - 1), span.to.as_ms());
    let key = params![series.check_no, series.region_no, whole_from.div_euclid(DAY_MS), whole_to.div_euclid(DAY_MS)];
    let rows = statement.query_map(key, |row| {
        Ok(Day { day: row.get(0)?, count: row.get::<_, i64>(1)?.unsigned_abs(), digest: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A day that is to be sealed.
pub type Open = (Series, i64);

/// Every check and region that has samples at any time, but whose `day` nobody ever sealed.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn never_sealed(conn: &Connection, day: i64) -> Result<Vec<Open>, StoreError> {
    let mut known =
        conn.prepare_cached("SELECT count(*) FROM day WHERE check_no = ?1 AND region_no = ?2 AND day = ?3")?;
    let mut open = Vec::new();
    for (_check, check_no) in names::checks(conn, None)? {
        for (_region, region_no) in names::regions(conn, check_no)? {
            let known: i64 = known.query_row([check_no, region_no, day], |row| row.get(0))?;
            if known == 0 {
                open.push((Series { check_no, region_no }, day));
            }
        }
    }
    Ok(open)
}

/// At most `limit` days that got a sample after they were over or sealed, the oldest first.
///
/// # Errors
/// What SQLite says.
pub fn opened_again(conn: &Connection, limit: u32) -> Result<Vec<Open>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT check_no, region_no, day FROM day INDEXED BY day_open WHERE digest IS NULL ORDER BY day LIMIT ?1",
    )?;
    let rows = statement
        .query_map([limit], |row| Ok((Series { check_no: row.get(0)?, region_no: row.get(1)? }, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Works out what the rows of each of `days` come to, and keeps it. It has the writer, so that no sample comes in
/// between.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn seal(tx: &Transaction<'_>, days: &[Open]) -> Result<(), StoreError> {
    let mut name = tx.prepare_cached("SELECT text FROM name WHERE no = ?1")?;
    let mut keep = tx.prepare_cached(
        "INSERT INTO day (check_no, region_no, day, samples, digest) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (check_no, region_no, day) DO UPDATE SET samples = excluded.samples, digest = excluded.digest",
    )?;
    let mut reader = Reader::new(tx);
    for (series, day) in days {
        let mut text = |no: i64| name.query_row([no], |row| row.get::<_, String>(0));
        let (check, region) = (parsed(&text(series.check_no)?)?, parsed(&text(series.region_no)?)?);
        let mut digesting = Digesting::new(Form::Days);
        reader.each((&check, &region, *series), span_of(*day), &mut |sample| {
            digesting.push(sample);
            Ok::<_, StoreError>(())
        })?;
        let nothing = Day { day: *day, count: 0, digest: OfLines::new().finish_bytes() };
        let Day { count, digest, .. } = digesting.finish().first().copied().unwrap_or(nothing);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        keep.execute(params![series.check_no, series.region_no, day, count, digest])?;
    }
    Ok(())
}

/// The days in which an insert stored something that is late: where a day may be sealed, or should have been.
#[derive(Debug)]
pub(super) struct Touched {
    /// The last day that anybody sealed, or the last that was surely over when the samples came.
    last: i64,
    found: BTreeSet<Open>,
}

impl Touched {
    /// None yet. One look at an index: an insert of the present costs no more.
    pub(super) fn new(tx: &Transaction<'_>, received_at: Timestamp) -> Result<Self, StoreError> {
        let sealed: Option<i64> = tx.prepare_cached("SELECT max(day) FROM day")?.query_row([], |row| row.get(0))?;
        let over = day_of(received_at) - 2;
        Ok(Self { last: sealed.map_or(over, |sealed| sealed.max(over)), found: BTreeSet::new() })
    }

    /// A sample of `series` was stored.
    pub(super) fn note(&mut self, series: Series, scheduled_at: Timestamp) {
        let day = day_of(scheduled_at);
        if day <= self.last {
            self.found.insert((series, day));
        }
    }

    /// What was sealed of them is so no more, and all of them are to be.
    pub(super) fn open_again(self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut statement = tx.prepare_cached(
            "INSERT INTO day (check_no, region_no, day, samples, digest) VALUES (?1, ?2, ?3, 0, NULL)
             ON CONFLICT (check_no, region_no, day) DO UPDATE SET digest = NULL WHERE digest IS NOT NULL",
        )?;
        for (series, day) in self.found {
            statement.execute([series.check_no, series.region_no, day])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
