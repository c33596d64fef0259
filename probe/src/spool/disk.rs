//! The spool's file: its tables, its settings, one transaction for all that was gathered.

use std::path::Path;
use std::time::Duration;

use nines_shared::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Counts, FIRST_RETRY_MS, Load, NEXT_RETRY_MS, Row, SpoolError, Waiting};
use crate::identity::open_or_make;

/// The schema that this version writes.
const SCHEMA: i64 = 1;
/// How many rows go at a time where the file is full.
const DROP_ROWS: usize = 64;
/// Free pages beyond which an idle spool gives them back to the file system: 4 MiB.
const MANY_FREE_PAGES: i64 = 1_024;

const TABLES: &str = "
CREATE TABLE sample (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    check_id     TEXT    NOT NULL,
    region       TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    scheduled_at INTEGER NOT NULL,
    json         TEXT    NOT NULL,
    UNIQUE (check_id, scheduled_at, kind, region)
) STRICT;
CREATE TABLE refused (
    id       INTEGER PRIMARY KEY,
    why      TEXT    NOT NULL,
    retry_at INTEGER NOT NULL,
    json     TEXT    NOT NULL
) STRICT;
CREATE TABLE counter (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('committed', 0), ('dropped', 0);
PRAGMA user_version = 1;
";

/// The open file.
#[derive(Debug)]
pub(super) struct Disk {
    conn: Connection,
    max_bytes: u64,
}

/// A change to the file.
#[derive(Debug)]
pub(super) enum Write<'a> {
    Append(&'a [Row]),
    Acknowledge(&'a [i64]),
    Refuse {
        id: i64,
        why: &'a str,
        now: Timestamp,
    },
    /// Samples that were dropped before they reached the file.
    Lost(u64),
}

impl Disk {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self, SpoolError> {
        // SQLite gives the files beside it to its owner.
        open_or_make(path).map_err(|source| SpoolError::File { path: path.to_owned(), source })?;
        let unusable = |source| SpoolError::Unusable { path: path.to_owned(), source };
        let mut conn = Connection::open(path).map_err(unusable)?;
        settings(&conn).map_err(unusable)?;
        durable(&conn).map_err(unusable)?.map_err(SpoolError::Setting)?;
        let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(unusable)?;
        if SCHEMA < found {
            return Err(SpoolError::Newer { path: path.to_owned(), found });
        }
        if found < SCHEMA {
            make(&mut conn).map_err(unusable)?;
        }
        Ok(Self { conn, max_bytes })
    }

    pub(super) fn counts(&self) -> rusqlite::Result<Counts> {
        let count = |sql: &str| self.conn.query_row(sql, [], |row| row.get(0)).map(unsigned);
        Ok(Counts {
            committed: count("SELECT value FROM counter WHERE name = 'committed'")?,
            dropped: count("SELECT value FROM counter WHERE name = 'dropped'")?,
            waiting: count("SELECT count(*) FROM sample")?,
            refused: count("SELECT count(*) FROM refused")?,
            held: 0,
        })
    }

    /// Makes all `writes` in one synced commit, or none of them, and returns the counts then.
    pub(super) fn write(&mut self, writes: &[Write<'_>], before: Counts) -> rusqlite::Result<Counts> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut counts = before;
        for write in writes {
            match write {
                Write::Append(rows) => append(&tx, rows, &mut counts)?,
                Write::Acknowledge(ids) => acknowledge(&tx, ids, &mut counts)?,
                Write::Refuse { id, why, now } => refuse(&tx, *id, why, *now, &mut counts)?,
                Write::Lost(samples) => counts.dropped += samples,
            }
        }
        make_room(&tx, self.max_bytes, &mut counts)?;
        let mut keep = tx.prepare("UPDATE counter SET value = ?2 WHERE name = ?1 AND value <> ?2")?;
        keep.execute(params!["committed", signed(counts.committed)])?;
        keep.execute(params!["dropped", signed(counts.dropped)])?;
        drop(keep);
        tx.commit()?;
        Ok(counts)
    }

    pub(super) fn peek(&self, limit: usize, max_bytes: usize) -> rusqlite::Result<Load> {
        let (oldest, left) = self.some_from("ASC", limit, max_bytes)?;
        let Some(left) = left else { return Ok(Load { rows: oldest, behind: None }) };
        let (mut newest, _older) = self.some_from("DESC", limit / 2, max_bytes / 2)?;
        newest.reverse();
        let first_of_newest = newest.first().map_or(i64::MAX, |row| row.id);
        let mut rows = Vec::with_capacity(oldest.len());
        let mut bytes: usize = newest.iter().map(|row| row.json.len()).sum();
        let mut behind = None;
        for row in oldest.into_iter().chain([left]).take_while(|row| row.id < first_of_newest) {
            bytes += row.json.len();
            if limit <= rows.len() + newest.len() || max_bytes < bytes && !(rows.is_empty() && newest.is_empty()) {
                behind = Some(row.due);
                break;
            }
            rows.push(row);
        }
        rows.append(&mut newest);
        Ok(Load { rows, behind })
    }

    /// The rows at one end of the queue, from there on, within the limits; and the first that has no room, if one has
    /// none.
    fn some_from(
        &self,
        order: &str,
        limit: usize,
        max_bytes: usize,
    ) -> rusqlite::Result<(Vec<Waiting>, Option<Waiting>)> {
        let sql = format!("SELECT id, scheduled_at, json FROM sample ORDER BY id {order} LIMIT ?1");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query([signed((limit as u64).saturating_add(1))])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let row = waiting(row)?;
            bytes += row.json.len();
            if limit <= found.len() || max_bytes < bytes && !found.is_empty() {
                return Ok((found, Some(row)));
            }
            found.push(row);
        }
        Ok((found, None))
    }

    pub(super) fn peek_refused(&self, now: Timestamp) -> rusqlite::Result<Option<Waiting>> {
        // A time further away than any retry was set by a clock that has been put back since.
        let sql = "SELECT id, coalesce(json ->> 'scheduled_at', 0), json FROM refused \
                   WHERE retry_at NOT BETWEEN ?1 + 1 AND ?1 + ?2 ORDER BY id LIMIT 1";
        self.conn.query_row(sql, [now.as_ms(), NEXT_RETRY_MS], waiting).optional()
    }

    /// Gives free pages back to the file system where there are many.
    pub(super) fn shrink(&self) -> rusqlite::Result<()> {
        if MANY_FREE_PAGES < pragma(&self.conn, "freelist_count")? {
            self.conn.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }
}

fn waiting(row: &rusqlite::Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting { id: row.get(0)?, due: Timestamp::from_ms(row.get(1)?), json: row.get(2)? })
}

fn settings(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(5))?;
    // auto_vacuum must come before the first table. The cache and the log are small: this is an edge machine.
    conn.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -512;
         PRAGMA wal_autocheckpoint = 256;
         PRAGMA journal_size_limit = 4194304;
         PRAGMA mmap_size = 0;",
    )
}

/// Whether what durability rests on was taken: SQLite answers a setting it can't keep with another.
fn durable(conn: &Connection) -> rusqlite::Result<Result<(), &'static str>> {
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Ok(Err("journal_mode = WAL"));
    }
    const FULL: i64 = 2;
    Ok(if pragma(conn, "synchronous")? == FULL { Ok(()) } else { Err("synchronous = FULL") })
}

fn make(conn: &mut Connection) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(TABLES)?;
    tx.commit()
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

/// A count from the file; one that is not negative.
fn unsigned(count: i64) -> u64 {
    count.unsigned_abs()
}

/// A count for the file, which holds signed numbers only.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn append(tx: &Transaction<'_>, rows: &[Row], counts: &mut Counts) -> rusqlite::Result<()> {
    let mut insert = tx.prepare(
        "INSERT INTO sample (check_id, region, kind, scheduled_at, json) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO NOTHING",
    )?;
    for row in rows {
        let new = insert.execute(params![row.check, row.region, row.kind.code(), row.scheduled_at, row.json])?;
        counts.committed += new as u64;
        counts.waiting += new as u64;
    }
    Ok(())
}

fn acknowledge(tx: &Transaction<'_>, ids: &[i64], counts: &mut Counts) -> rusqlite::Result<()> {
    let mut waiting = tx.prepare("DELETE FROM sample WHERE id = ?1")?;
    let mut refused = tx.prepare("DELETE FROM refused WHERE id = ?1")?;
    for id in ids {
        let gone = waiting.execute([id])? as u64;
        counts.waiting -= gone;
        if gone == 0 {
            counts.refused -= refused.execute([id])? as u64;
        }
    }
    Ok(())
}

fn refuse(tx: &Transaction<'_>, id: i64, why: &str, now: Timestamp, counts: &mut Counts) -> rusqlite::Result<()> {
    let first = now.plus_ms(FIRST_RETRY_MS).as_ms();
    let sql = "INSERT INTO refused (id, why, retry_at, json) SELECT id, ?2, ?3, json FROM sample WHERE id = ?1";
    if tx.execute(sql, params![id, why, first])? == 0 {
        let next = now.plus_ms(NEXT_RETRY_MS).as_ms();
        tx.execute("UPDATE refused SET why = ?2, retry_at = ?3 WHERE id = ?1", params![id, why, next])?;
        return Ok(());
    }
    tx.execute("DELETE FROM sample WHERE id = ?1", [id])?;
    counts.waiting -= 1;
    counts.refused += 1;
    Ok(())
}

/// Drops the oldest until the file is within `max_bytes`, and counts them.
fn make_room(tx: &Transaction<'_>, max_bytes: u64, counts: &mut Counts) -> rusqlite::Result<()> {
    let page = pragma(tx, "page_size")?;
    loop {
        let used = (pragma(tx, "page_count")? - pragma(tx, "freelist_count")?) * page;
        if unsigned(used) <= max_bytes || counts.waiting + counts.refused == 0 {
            return Ok(());
        }
        let sql = "SELECT id FROM (SELECT id FROM sample UNION ALL SELECT id FROM refused) ORDER BY id LIMIT ?1";
        let oldest: Vec<i64> = tx
            .prepare(sql)?
            .query_map([signed(DROP_ROWS as u64)], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        acknowledge(tx, &oldest, counts)?;
        counts.dropped += oldest.len() as u64;
    }
}
