//! The schema's versions: forward in one transaction, and a newer file is refused.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{StoreError, definitions, gaps, incidents, outbox, probes, reports, samples, silences};

/// Marks the file as ours: "Nine" in ASCII.
const APPLICATION_ID: i32 = 0x4e69_6e65;

/// Each migration is a list of SQL scripts; the number of migrations applied is the file's `user_version`.
/// Each room's file holds the tables it owns.
const MIGRATIONS: &[&[&str]] = &[
    &[samples::TABLES, definitions::TABLES, probes::TABLES, incidents::TABLES, outbox::TABLES],
    &[definitions::maintenance::AFTERWARDS],
    &[reports::TABLES],
    &[outbox::OF_REPORTS],
    &[outbox::STEPS, incidents::ASSIGNED, silences::TABLES],
    &[samples::days::TABLES, reports::BASES],
    &[definitions::maintenance::WEEKLY],
    &[gaps::TABLES],
    &[incidents::COURSE, incidents::SIGHTS, probes::AILING],
];

/// The version of this program's tables.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Brings the file forward to this version: all the way, or not at all.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction, path)?;
    for script in MIGRATIONS.iter().skip(found).copied().flatten() {
        transaction.execute_batch(script)?;
    }
    if found < VERSION {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i64::try_from(VERSION).unwrap_or(i64::MAX))?;
    }
    transaction.commit()?;
    Ok(())
}

/// Refuses a file whose tables are not those of this version.
pub(super) fn must_be_current(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let (found, known) = (version(connection, path)?, VERSION);
    if found < known { Err(StoreError::Older { path: path.to_owned(), found, known }) } else { Ok(()) }
}

/// The version of the file's tables, 0 for an empty file.
fn version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables != 0 && number("application_id")? != i64::from(APPLICATION_ID) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let (found, known) = (usize::try_from(number("user_version")?).unwrap_or(usize::MAX), VERSION);
    if known < found { Err(StoreError::Newer { path: path.to_owned(), found, known }) } else { Ok(found) }
}
