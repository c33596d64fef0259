//! Samples on their way out: in order of identity, or as much of them as verdicts need.

use nines_shared::id::CheckId;
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::canonical_line;
use super::names::{self, number, regions};
use super::row::{self, Series};
use crate::fingerprint;
use crate::store::{StoreError, definitions};
use crate::uptime::{Observed, RegionSamples};

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
    mut each: impl FnMut(&Sample) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = row::Reader::new(conn);
    for (check, check_no) in names::checks(conn, checks)? {
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
    let (mut lines, mut line) = (fingerprint::OfLines::new(), Vec::new());
    each_in_identity_order(conn, checks, span, |sample| {
        canonical_line(sample, &mut line);
        lines.push_ended(&line);
        Ok::<_, StoreError>(())
    })?;
    Ok(lines.finish())
}

/// [`digest()`] of every sample there is: equal digests, equal content.
///
/// # Errors
/// As [`digest()`].
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

/// How many samples there are. Reads the whole table.
///
/// # Errors
/// What SQLite says.
pub fn count(conn: &Connection) -> Result<u64, StoreError> {
    let count: i64 = conn.prepare_cached("SELECT count(*) FROM sample")?.query_one([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}
