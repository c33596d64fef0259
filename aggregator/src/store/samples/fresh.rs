//! What nobody has judged yet: one row a check, however many samples came.

use std::collections::BTreeMap;

use nines_shared::id::CheckId;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Transaction, params};

use super::names::parsed;
use crate::store::StoreError;

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

/// The checks with samples that [`judged`] has not been told of, in order of their arrival. At most one a check,
/// however many samples came, so that it is cheap after a long absence too.
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

/// The number of the insert; `None` where nothing was stored.
pub(super) fn mark_fresh(
    tx: &Transaction<'_>,
    touched: &BTreeMap<i64, (Timestamp, Timestamp)>,
) -> Result<Option<i64>, StoreError> {
    if touched.is_empty() {
        return Ok(None);
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
    Ok(Some(arrival))
}
