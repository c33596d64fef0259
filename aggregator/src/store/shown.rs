//! The table of certificates that targets show: which chain each check's target showed in each region, first and last.
//!
//! It is what samples showed, kept apart because samples that show nothing new do not carry it.

use nines_shared::id::CheckId;
use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};

use super::StoreError;
use crate::incident::certificate::{Leaf, Shown};

/// The most certificates that are kept of one check in one region; those shown last are.
pub const MAX_KEPT: usize = 8;

/// SQL that makes it, in a later migration.
pub(super) const TABLES: &str = "
CREATE TABLE shown_certificate (
  check_id      TEXT NOT NULL,
  region        TEXT NOT NULL,
  sha256        TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  seen_at       INTEGER NOT NULL,
  leaf          TEXT NOT NULL,     -- JSON
  PRIMARY KEY (check_id, region, sha256)
) STRICT, WITHOUT ROWID;
";

/// Keeps what `samples` show, whatever the order in which they come. Nothing is touched where none shows a chain.
///
/// # Errors
/// What SQLite says.
pub fn note(tx: &Transaction<'_>, samples: &[Sample]) -> Result<(), StoreError> {
    for sample in samples {
        let Some(leaf) = Leaf::of(sample) else { continue };
        let (check, region, at) = (sample.check.as_str(), sample.region.as_str(), sample.started_at.as_ms());
        let json = serde_json::to_string(&leaf).expect("plain data with text keys, written to memory");
        tx.prepare_cached(
            "INSERT INTO shown_certificate (check_id, region, sha256, first_seen_at, seen_at, leaf)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5)
             ON CONFLICT DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at),
               seen_at = max(seen_at, excluded.seen_at)",
        )?
        .execute(params![check, region, leaf.sha256, at, json])?;
        tx.prepare_cached(
            "DELETE FROM shown_certificate WHERE check_id = ?1 AND region = ?2 AND sha256 IN (
               SELECT sha256 FROM shown_certificate WHERE check_id = ?1 AND region = ?2
               ORDER BY seen_at DESC, sha256 LIMIT -1 OFFSET ?3)",
        )?
        .execute(params![check, region, i64::try_from(MAX_KEPT).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

/// What the target of `check` showed, region by region.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn of_check(conn: &Connection, check: &CheckId) -> Result<Vec<Shown>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT region, first_seen_at, seen_at, leaf FROM shown_certificate WHERE check_id = ?1 ORDER BY region, sha256",
    )?;
    statement.query_and_then([check.as_str()], |row| read(check, row))?.collect()
}

fn read(check: &CheckId, row: &Row<'_>) -> Result<Shown, StoreError> {
    let unreadable = |why: String| StoreError::Unreadable { what: format!("a certificate of check {check}"), why };
    let region = row.get::<_, String>("region")?.parse();
    Ok(Shown {
        check: check.clone(),
        region: region.map_err(|error: nines_shared::id::IdError| unreadable(error.to_string()))?,
        leaf: serde_json::from_str(&row.get::<_, String>("leaf")?).map_err(|error| unreadable(error.to_string()))?,
        first_seen_at: Timestamp::from_ms(row.get("first_seen_at")?),
        seen_at: Timestamp::from_ms(row.get("seen_at")?),
    })
}
