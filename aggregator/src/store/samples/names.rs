//! The dictionary of names, and which of them have samples.

use std::collections::HashMap;

use nines_shared::id::{CheckId, IdError, RegionId};
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::store::StoreError;

/// The checks that may have samples, sorted by id, with their numbers.
pub(super) fn checks(conn: &Connection, only: Option<&[CheckId]>) -> Result<Vec<(CheckId, i64)>, StoreError> {
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
pub(super) fn regions(conn: &Connection, check_no: i64) -> Result<Vec<(RegionId, i64)>, StoreError> {
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
pub(super) fn number(conn: &Connection, text: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn.prepare_cached("SELECT no FROM name WHERE text = ?1")?.query_one([text], |row| row.get(0)).optional()?)
}

/// The numbers of names, given out as they are needed, looked up once a batch.
pub(super) struct Names<'a> {
    tx: &'a Transaction<'a>,
    known: HashMap<String, i64>,
}

impl<'a> Names<'a> {
    pub(super) fn new(tx: &'a Transaction<'_>) -> Self {
        Self { tx, known: HashMap::new() }
    }

    pub(super) fn of(&mut self, text: &str) -> Result<i64, StoreError> {
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
pub(super) fn parsed<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|why: IdError| StoreError::Unreadable { what: "a name".to_owned(), why: why.to_string() })
}
