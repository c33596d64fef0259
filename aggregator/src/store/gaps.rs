//! The tables of our own life: when the aggregator last gave a sign of it, the gaps between two signs, and how its
//! heartbeat to others went.
//!
//! A gap is time in which nobody judged and nobody was told. It is never counted as up: what was so then comes from the
//! samples that the probes kept, when they arrive.

use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Signs of life farther apart than this, in ms, have a gap between them.
pub const MIN_GAP_MS: i64 = 20_000;
/// The most gaps that are listed.
pub const MAX_LISTED: u32 = 1_000;

/// SQL that makes them, in the eighth migration.
pub(super) const TABLES: &str = "
CREATE TABLE life (
  id              INTEGER PRIMARY KEY CHECK (id = 1),
  beat_at         INTEGER NOT NULL,  -- the last sign of life
  heartbeat_at    INTEGER,           -- when the last heartbeat to others was accepted
  heartbeat_fault TEXT               -- why there was none since
) STRICT;
CREATE TABLE gap (
  no      INTEGER PRIMARY KEY AUTOINCREMENT,
  from_at INTEGER NOT NULL,
  to_at   INTEGER NOT NULL,
  why     TEXT    NOT NULL           -- stopped or stalled
) STRICT;
CREATE INDEX gap_to ON gap (to_at);
";

/// Why there was no sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The process did not run.
    Stopped,
    /// It ran and did nothing, the machine slept, or its clock was set forward.
    Stalled,
}

impl Why {
    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
        }
    }

    /// As people read it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Stopped => "the aggregator did not run",
            Self::Stalled => "the aggregator stood still, or its clock was set forward",
        }
    }
}

/// Time in which the aggregator gave no sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// From the last sign before to the first after.
    pub span: Span,
    /// Why.
    pub why: Why,
}

/// How the aggregator lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// Its last sign.
    pub beat_at: Timestamp,
    /// When its last heartbeat to others was accepted.
    pub heartbeat_at: Option<Timestamp>,
    /// Why there was none since.
    pub heartbeat_fault: Option<String>,
}

/// Gives a sign of life at `now`; `starting`, where it is the first of the process. Says what gap that ends.
///
/// # Errors
/// What SQLite says.
pub fn beat(tx: &Transaction<'_>, starting: bool, now: Timestamp) -> Result<Option<Gap>, StoreError> {
    let last = life(tx)?.map(|life| life.beat_at);
    let mut statement = tx.prepare_cached(
        "INSERT INTO life (id, beat_at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at",
    )?;
    statement.execute([now.as_ms()])?;
    let Some(from) = last.filter(|last| MIN_GAP_MS < now.since(*last)) else { return Ok(None) };
    let gap = Gap { span: Span::new(from, now), why: if starting { Why::Stopped } else { Why::Stalled } };
    let mut statement = tx.prepare_cached("INSERT INTO gap (from_at, to_at, why) VALUES (?1, ?2, ?3)")?;
    statement.execute(params![from.as_ms(), now.as_ms(), gap.why.code()])?;
    Ok(Some(gap))
}

/// Keeps how a heartbeat to others went: when it was accepted, or why there was none.
///
/// # Errors
/// What SQLite says.
pub fn keep_heartbeat(tx: &Transaction<'_>, went: &Result<Timestamp, String>) -> Result<(), StoreError> {
    match went {
        Ok(at) => {
            let sql = "UPDATE life SET heartbeat_at = ?1, heartbeat_fault = NULL";
            tx.prepare_cached(sql)?.execute([at.as_ms()])?;
        }
        Err(why) => {
            tx.prepare_cached("UPDATE life SET heartbeat_fault = ?1")?.execute([why])?;
        }
    }
    Ok(())
}

/// How the aggregator lives; `None` before it ever ran.
///
/// # Errors
/// What SQLite says.
pub fn life(conn: &Connection) -> Result<Option<Life>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT beat_at, heartbeat_at, heartbeat_fault FROM life")?;
    let found = statement.query_row([], |row| {
        Ok(Life {
            beat_at: Timestamp::from_ms(row.get(0)?),
            heartbeat_at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_ms),
            heartbeat_fault: row.get(2)?,
        })
    });
    Ok(found.optional()?)
}

/// The gaps that share time with `span`, the newest first, at most [`MAX_LISTED`].
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn within(conn: &Connection, span: Span) -> Result<Vec<Gap>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT no, from_at, to_at, why FROM gap WHERE ?1 < to_at AND from_at < ?2 ORDER BY no DESC LIMIT ?3",
    )?;
    statement.query_and_then(params![span.from.as_ms(), span.to.as_ms(), MAX_LISTED], read)?.collect()
}

fn read(row: &Row<'_>) -> Result<Gap, StoreError> {
    let code: String = row.get(3)?;
    let Some(why) = [Why::Stopped, Why::Stalled].into_iter().find(|why| why.code() == code) else {
        let what = format!("gap {}", row.get::<_, i64>(0)?);
        return Err(StoreError::Unreadable { what, why: format!("there is no reason {code}") });
    };
    Ok(Gap { span: Span::new(Timestamp::from_ms(row.get(1)?), Timestamp::from_ms(row.get(2)?)), why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_000_000 + ms)
    }

    #[test]
    fn what_lies_between_two_signs_of_life_is_a_gap_where_it_is_long() {
        let (_folder, store) = store();
        let beat = |starting, now| store.write_blocking(move |tx| beat(tx, starting, now)).unwrap();
        assert_eq!(beat(true, at(0)), None, "there was nothing before");
        assert_eq!(beat(false, at(MIN_GAP_MS)), None);
        let stalled = Gap { span: Span::new(at(MIN_GAP_MS), at(3 * MIN_GAP_MS)), why: Why::Stalled };
        assert_eq!(beat(false, at(3 * MIN_GAP_MS)), Some(stalled));
        let stopped = Gap { span: Span::new(at(3 * MIN_GAP_MS), at(90_000)), why: Why::Stopped };
        assert_eq!(beat(true, at(90_000)), Some(stopped));
        assert_eq!(beat(true, at(10)), None, "the clock was set back");
        let found = |from, to| store.read_blocking(|conn| within(conn, Span::new(at(from), at(to)))).unwrap();
        assert_eq!(found(0, 100_000), [stopped, stalled]);
        assert_eq!(found(89_999, 100_000), [stopped]);
        assert_eq!(found(90_000, 100_000), []);
    }

    #[test]
    fn how_heartbeats_went_is_kept_with_the_last_that_was_accepted() {
        let (_folder, store) = store();
        store.write_blocking(|tx| beat(tx, true, at(0))).unwrap();
        for went in [Ok(at(5)), Err("the evaluator stands still".to_owned())] {
            store.write_blocking(move |tx| keep_heartbeat(tx, &went)).unwrap();
        }
        let life = store.read_blocking(life).unwrap().unwrap();
        assert_eq!(life.heartbeat_at, Some(at(5)));
        assert_eq!(life.heartbeat_fault.as_deref(), Some("the evaluator stands still"));
    }
}
