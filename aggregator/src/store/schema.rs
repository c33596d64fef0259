//! The schema's versions: forward in one transaction, and a newer file is refused.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{
    StoreError, authorities, certificates, definitions, gaps, incidents, outbox, probes, reports, samples, shown,
    silences,
};

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
    &[authorities::SEVERAL, certificates::TABLE, probes::CLONES],
    &[shown::TABLES],
    &[probes::ASSIGNED],
    &[probes::BACKLOG],
    &[probes::JOINED],
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

#[cfg(test)]
mod tests {
    use nines_shared::time::Timestamp;

    use super::*;
    use crate::store::certificates::Standing;
    use crate::store::{Store, authorities};

    /// A database as the version before certificates were counted left it: one authority, a probe, one that was shut
    /// out, and an open invitation.
    fn before_certificates(path: &Path) {
        let old = Connection::open(path).unwrap();
        let migrations = MIGRATIONS.iter().position(|scripts| scripts.contains(&certificates::TABLE)).unwrap();
        for script in MIGRATIONS.iter().take(migrations).copied().flatten() {
            old.execute_batch(script).unwrap();
        }
        old.execute_batch(
            "INSERT INTO authority VALUES (1, 'certificate', 'key', 5);
             INSERT INTO probe (id, region, joined_at, certificate_sha256, certificate_until, revoked_at, seen_at)
               VALUES ('eu-west-1', 'eu-west', 10, zeroblob(32), 1000, NULL, 20),
                      ('eu-west-2', 'eu-west', 10, randomblob(32), 1000, 30, 20);
             INSERT INTO invitation VALUES (zeroblob(32), 'eu-west-3', 'eu-west', 500, NULL);",
        )
        .unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", i64::try_from(migrations).unwrap()).unwrap();
    }

    #[test]
    fn a_database_of_before_keeps_its_authority_its_probes_and_its_invitations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nines.db");
        before_certificates(&path);
        let store = Store::open(&path).unwrap();
        let (authorities, probes, invited) = store
            .read_blocking(|conn| Ok((authorities::all(conn)?, probes::list(conn)?, probes::invitations(conn)?)))
            .unwrap();
        assert_eq!((authorities.len(), authorities[0].no, authorities[0].retired_at), (1, 1, None));
        assert_eq!(authorities[0].key_pem.as_ref().map(|key| key.0.as_str()), Some("key"));
        let at = Timestamp::from_ms;
        let told: Vec<_> = probes.iter().map(|probe| (probe.certificate_until, probe.authority)).collect();
        assert_eq!(told, [(at(1_000), 1), (at(1_000), 1)]);
        assert_eq!((invited[0].probe.as_str(), invited[0].authority), ("eu-west-3", 1));
        let id = "eu-west-1".parse().unwrap();
        let standing = store.read_blocking(|conn| certificates::standing(conn, &id, &[0; 32], at(50))).unwrap();
        assert_eq!(standing, Standing::Good);
    }
}
