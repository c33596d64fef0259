//! The only SQL: one writer thread with group commit, readers beside it.
//!
//! A write is answered only after it is committed and synced (INV-2). A read sees one snapshot. The file is
//! its owner's alone (mode 0600), and at most one process writes to it: `<database>.lock` is held for as long.
//!
//! SQL lives in the files below as functions over a connection; each owns the tables in its `TABLES`. Nothing
//! here knows what a verdict is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction};

use readers::Readers;
use soundness::Damage;
use writer::Writer;

pub mod authorities;
pub mod backup;
pub mod certificates;
pub mod definitions;
pub mod gaps;
pub mod incidents;
mod open;
pub mod outbox;
pub mod probes;
mod readers;
pub mod reports;
pub mod samples;
mod schema;
pub mod shown;
pub mod silences;
pub mod soundness;
mod writer;

/// The oldest SQLite that the database is trusted to, as its version number: earlier ones can corrupt a
/// write-ahead log when two connections checkpoint at once.
pub const OLDEST_SQLITE: i32 = 3_051_003;

/// The database of the aggregator. Clones share the writer and the readers; the last one to go waits for
/// the writer to finish what it was given.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    // Before the writer, so that they are closed before it: the last connection to go takes the write-ahead log
    // with it, and one that only reads can't.
    readers: Readers,
    /// `None` where the store was opened to be read only.
    writer: Option<Writer>,
    damage: Damage,
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be made, opened or locked.
    #[error("database {}: {source}", path.display())]
    Open {
        /// The database's file, or the lock beside it.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// SQLite can't use the file.
    #[error("database {}: {source}", path.display())]
    Unusable {
        /// The database's file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is not what SQLite wrote.
    #[error("database {} is damaged: {why}; it is left as it is: {}", path.display(), soundness::MEND)]
    Damaged {
        /// The database's file.
        path: PathBuf,
        /// What SQLite found.
        why: String,
    },
    /// There is no database to read.
    #[error("there is no database at {}; `nines serve` or `nines import` makes it", .0.display())]
    Missing(PathBuf),
    /// Another process writes to the same file.
    #[error("another nines writes to {} ({holder}); stop it, or let it do this", path.display())]
    Taken {
        /// The database's file.
        path: PathBuf,
        /// Who holds the lock, as far as the lock file tells.
        holder: String,
    },
    /// The file is a database of something else.
    #[error("{} is not a database of nines; name another file as aggregator.database", .0.display())]
    Foreign(PathBuf),
    /// A later version of nines wrote the file.
    #[error(
        "database {} has version {found} and this nines knows versions up to {known}; use the nines that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The version of its tables.
        found: usize,
        /// The latest version this program knows.
        known: usize,
    },
    /// An earlier version of nines wrote the file, and it was opened to be read only.
    #[error(
        "database {} has version {found} and this nines reads version {known}; start `nines serve` once, which brings it forward",
        path.display()
    )]
    Older {
        /// The database's file.
        path: PathBuf,
        /// The version of its tables.
        found: usize,
        /// The version this program reads.
        known: usize,
    },
    /// The SQLite library is one that can corrupt the file.
    #[error("SQLite {found} is too old, its write-ahead log can be corrupted; at least 3.51.3 is needed")]
    OldLibrary {
        /// The library's version.
        found: &'static str,
    },
    /// A setting that durability rests on did not take.
    #[error("database {}: {setting} is {found:?} although {wanted:?} was asked for", path.display())]
    Setting {
        /// The database's file.
        path: PathBuf,
        /// The pragma.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The store was opened to be read only.
    #[error("the database was opened to be read only")]
    ReadOnly,
    /// SQLite refused a statement.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction that the write was part of did not commit; nothing of it is stored.
    #[error("database: not committed: {0}")]
    NotCommitted(Arc<rusqlite::Error>),
    /// A row holds what this program can't have written.
    #[error("database: {what} can't be read: {why}")]
    Unreadable {
        /// Which row.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The job that was given to the store panicked; nothing of it is stored.
    #[error("database: the work given to it panicked")]
    Panicked,
    /// Whoever gave the job changed their mind; nothing of it is stored.
    #[error("database: the work was given up; nothing of it is stored")]
    Abandoned,
    /// The writer has ended: the process is going down.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// This error with the file that SQLite could not use.
    fn of(self, path: &Path) -> Self {
        let path = || path.to_owned();
        match soundness::damage_of(&self) {
            Some(why) => Self::Damaged { path: path(), why },
            None => {
                if let Self::Sqlite(source) = self {
                    Self::Unusable { path: path(), source }
                } else {
                    self
                }
            }
        }
    }
}

impl Store {
    /// Opens the database at `path` for reading and writing, makes it where there is none, and brings an
    /// older one forward. Takes the lock that keeps other processes from writing, and starts the writer's thread.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where another process writes to it, [`StoreError::Newer`] where a later
    /// version wrote it, [`StoreError::Foreign`] where it is something else's; and what the system says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        open::refuse_old_library()?;
        let path = open::make_private(path)?;
        let lock = open::lock(&path)?;
        let connection = open::read_write(&path).and_then(|mut connection| {
            schema::migrate(&mut connection, &path)?;
            Ok(connection)
        });
        let connection = connection.map_err(|error| error.of(&path))?;
        let writer = Writer::start(connection, lock)?;
        let (readers, damage) = (Readers::new(path.clone()), Damage::default());
        Ok(Self(Arc::new(Inner { path, readers, writer: Some(writer), damage })))
    }

    /// Opens the database at `path` to be read, beside a running server or without one.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none, [`StoreError::Newer`] or [`StoreError::Older`] where its
    /// tables are not those of this version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        open::refuse_old_library()?;
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let readers = Readers::new(path.to_owned());
        readers.run(|connection| schema::must_be_current(connection, path)).map_err(|error| error.of(path))?;
        Ok(Self(Arc::new(Inner { path: path.to_owned(), readers, writer: None, damage: Damage::default() })))
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What of the file is damaged, where anybody has found something since it was opened.
    pub fn damage(&self) -> Option<&str> {
        self.0.damage.known()
    }

    /// `error`, with the file's name where it is of damage. Whoever has the file for writing makes that known: in the
    /// log, and in a note beside it.
    pub fn damaged(&self, error: StoreError) -> StoreError {
        let Some(why) = soundness::damage_of(&error) else { return error };
        if self.0.writer.is_some() {
            self.0.damage.found(self.path(), &why);
        }
        StoreError::Damaged { path: self.path().to_owned(), why }
    }

    /// Runs `job` in the writer's next transaction and answers once that is committed and synced. Where
    /// `job` fails nothing of it is stored, and the jobs that share its transaction are not touched.
    ///
    /// The job runs on even where the caller stops waiting for it.
    ///
    /// # Errors
    /// The job's own, or why its transaction did not commit.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.writer()?.run(job).await;
        written.map_err(|error| self.damaged(error))
    }

    /// [`Store::write`] for threads that may wait. Must not be called from async code.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let written = self.writer()?.run_blocking(job);
        written.map_err(|error| self.damaged(error))
    }

    /// Runs `job` on a read connection, in one transaction: everything it reads is of one snapshot.
    ///
    /// # Errors
    /// The job's own, or why there is no connection.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.0.readers.permit().await;
        let inner = Arc::clone(&self.0);
        let run = tokio::task::spawn_blocking(move || inner.readers.run(job));
        let read = run.await.unwrap_or(Err(StoreError::Panicked));
        read.map_err(|error| self.damaged(error))
    }

    /// [`Store::read`] for threads that may wait; the job may borrow.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T>(&self, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.0.readers.run(job).map_err(|error| self.damaged(error))
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.0.writer.as_ref().ok_or(StoreError::ReadOnly)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::mpsc;

    use super::*;
    use crate::definition::{AggregatorSettings, Customer, Fleet, Region, ReportSettings, Service, ServiceRule};
    use nines_shared::check::{Check, Draft, HttpQuestion, Question};
    use nines_shared::sample::{Outcome, Phases, Sample, SampleKind};
    use nines_shared::time::Timestamp;

    /// A plain planned sample of `shop-home`.
    pub(crate) fn sample(region: &str, at: i64) -> Sample {
        Sample {
            check: "shop-home".parse().unwrap(),
            region: region.parse().unwrap(),
            probe: Some(format!("{region}-1").parse().unwrap()),
            kind: SampleKind::Planned,
            scheduled_at: Timestamp::from_ms(at),
            started_at: Timestamp::from_ms(at + 3),
            outcome: Outcome::Up,
            reason: None,
            phase: None,
            detail: None,
            duration_us: Some(81_234),
            phases_us: Phases { connect: Some(900), ..Phases::default() },
            attempt: 1,
            trace_id: None,
            evidence: None,
        }
    }

    /// An HTTP check of the service `shop`.
    pub(crate) fn check(id: &str, interval_ms: i64, regions: &[&str]) -> Check {
        let question = HttpQuestion::get("https://shop.example/".parse().unwrap());
        let regions = regions.iter().map(|region| region.parse().unwrap()).collect();
        let draft =
            Draft::new(id.parse().unwrap(), "shop".parse().unwrap(), regions, Question::Http(Box::new(question)));
        Check::new(Draft {
            interval_ms,
            timeout_ms: 1_000.min(interval_ms / 2),
            recheck_ms: 1_000.max(interval_ms / 6),
            ..draft
        })
        .unwrap()
    }

    /// A fleet of one customer in Berlin with the service `shop` and these checks.
    pub(crate) fn fleet(checks: Vec<Check>) -> Fleet {
        let region = |id: &str| Region { id: id.parse().unwrap(), name: id.to_owned() };
        let customer = Customer {
            id: "acme".parse().unwrap(),
            name: "Acme GmbH".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
        };
        let service = Service {
            id: "shop".parse().unwrap(),
            name: "Shop".to_owned(),
            customer: customer.id.clone(),
            since: None,
            rule: ServiceRule::All,
            slo: None,
            sla: None,
            contracts: Vec::new(),
        };
        Fleet {
            environment: "test".to_owned(),
            aggregator: AggregatorSettings {
                probes: "127.0.0.1:0".parse().unwrap(),
                web: "127.0.0.1:0".parse().unwrap(),
                database: "nines.db".into(),
                public_url: None,
                probes_url: None,
                webhook_allow: Vec::new(),
                heartbeat: None,
                probe_certificates_ms: 30 * 86_400_000,
            },
            report: ReportSettings::default(),
            regions: vec![region("eu-west"), region("us-east")],
            customers: vec![customer],
            services: vec![service],
            checks,
            maintenance: Vec::new(),
            channels: Vec::new(),
            routes: Vec::new(),
            people: Vec::new(),
            watch: crate::definition::Watch::default(),
            secrets: nines_shared::secret::Secrets::default(),
        }
    }

    /// An empty database in a folder that goes with the test.
    pub(crate) fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("nines.db")).unwrap();
        (folder, store)
    }

    fn put(store: &Store, at: i64) -> Result<samples::Inserted, StoreError> {
        store.write_blocking(move |tx| samples::insert(tx, &[sample("eu-west", at)], Timestamp::from_ms(at)))
    }

    fn count(store: &Store) -> u64 {
        store.read_blocking(samples::count).unwrap()
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_writing_it_again_changes_nothing() {
        let (_folder, store) = store();
        let now = Timestamp::from_ms(2_000);
        let both = [sample("eu-west", 1_000), sample("eu-west", 2_000)];
        let inserted = store.write(move |tx| samples::insert(tx, &both, now)).await.unwrap();
        assert_eq!(inserted, samples::Inserted { stored: 2, same: 0 });
        let again = store.write(move |tx| samples::insert(tx, &[sample("eu-west", 1_000)], now)).await.unwrap();
        assert_eq!(again, samples::Inserted { stored: 0, same: 1 });
        assert_eq!(store.read(samples::count).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_job_that_fails_or_panics_undoes_nothing_but_its_own() {
        let (_folder, store) = store();
        let (go, wait) = mpsc::channel::<()>();
        let now = Timestamp::from_ms(0);
        // The first job holds the writer until the others are in the queue, so that all share its transaction.
        let first = store.write(move |tx| {
            wait.recv().unwrap();
            samples::insert(tx, &[sample("eu-west", 1)], now)
        });
        let second = store.write(move |tx| {
            samples::insert(tx, &[sample("eu-west", 2)], now)?;
            Err::<(), _>(StoreError::Closed)
        });
        let third = store.write(move |tx| -> Result<(), StoreError> {
            samples::insert(tx, &[sample("eu-west", 3)], now)?;
            panic!("a fault in a job");
        });
        let fourth = store.write(move |tx| samples::insert(tx, &[sample("eu-west", 4)], now));
        let release = async { go.send(()).unwrap() };
        let (first, second, third, fourth, ()) = tokio::join!(first, second, third, fourth, release);
        assert!(first.is_ok() && fourth.is_ok());
        assert!(matches!(second, Err(StoreError::Closed)));
        assert!(matches!(third, Err(StoreError::Panicked)));
        assert_eq!(count(&store), 2);
    }

    #[tokio::test]
    async fn inv_2_where_the_commit_fails_nobody_in_it_is_told_that_it_is_stored() {
        let (_folder, store) = store();
        store
            .write(|tx| {
                let child = "CREATE TABLE child (p INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)";
                Ok(tx.execute_batch(&format!("CREATE TABLE parent (id INTEGER PRIMARY KEY); {child}"))?)
            })
            .await
            .unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let good = store.write(move |tx| {
            wait.recv().unwrap();
            samples::insert(tx, &[sample("eu-west", 1)], Timestamp::from_ms(0))
        });
        // A broken reference that is only found when the transaction commits.
        let bad = store.write(|tx| Ok(tx.execute("INSERT INTO child VALUES (1)", [])?));
        let release = async { go.send(()).unwrap() };
        let (good, bad, ()) = tokio::join!(good, bad, release);
        assert!(matches!(good, Err(StoreError::NotCommitted(_))), "{good:?}");
        assert!(matches!(bad, Err(StoreError::NotCommitted(_))), "{bad:?}");
        assert_eq!(count(&store), 0);
        let next = store.write(|tx| samples::insert(tx, &[sample("eu-west", 2)], Timestamp::from_ms(0))).await;
        assert!(next.is_ok(), "the writer goes on");
    }

    #[tokio::test]
    async fn inv_2_where_the_transaction_is_lost_under_a_job_everyone_in_it_is_told() {
        let (_folder, store) = store();
        let (go, wait) = mpsc::channel::<()>();
        let before = store.write(move |tx| {
            wait.recv().unwrap();
            samples::insert(tx, &[sample("eu-west", 1)], Timestamp::from_ms(0))
        });
        // What SQLite does by itself when the disk is full.
        let culprit = store.write(|tx| Ok(tx.execute_batch("ROLLBACK")?));
        let after = store.write(|tx| samples::insert(tx, &[sample("eu-west", 2)], Timestamp::from_ms(0)));
        let release = async { go.send(()).unwrap() };
        let (before, culprit, after, ()) = tokio::join!(before, culprit, after, release);
        assert!(before.is_err() && culprit.is_err());
        assert_eq!(count(&store), u64::from(after.is_ok()));
    }

    #[test]
    fn a_read_sees_one_snapshot() {
        let (_folder, store) = store();
        put(&store, 1).unwrap();
        store
            .read_blocking(|conn| {
                let before = samples::count(conn)?;
                put(&store, 2)?;
                assert_eq!(samples::count(conn)?, before);
                Ok(())
            })
            .unwrap();
        assert_eq!(count(&store), 2);
    }

    #[test]
    fn a_statement_is_prepared_once_whatever_is_bound_to_it() {
        let (_folder, store) = store();
        let prepared_again = |conn: &Connection| {
            let mut statement = conn.prepare("SELECT no FROM gap WHERE why = ?1 AND from_at < ?1 LIMIT ?1")?;
            for bound in [0, 7, 1] {
                assert!(!statement.exists([bound])?);
                statement.clear_bindings();
            }
            Ok(statement.get_status(rusqlite::StatementStatus::RePrepare))
        };
        assert_eq!(store.read_blocking(prepared_again).unwrap(), 0);
        assert_eq!(store.write_blocking(move |tx| prepared_again(tx)).unwrap(), 0);
    }

    #[test]
    fn only_one_process_at_a_time_writes() {
        let (folder, store) = store();
        let path = folder.path().join("nines.db");
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Taken { .. }));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert!(Store::open_read_only(&path).is_ok());
        drop(store);
        assert!(Store::open(&path).is_ok());
    }

    #[test]
    fn the_file_and_those_beside_it_are_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nines.db");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let store = Store::open(&path).unwrap();
        put(&store, 1).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?} is readable to others", file.file_name());
        }
    }

    #[test]
    fn a_file_of_a_later_version_is_refused_and_both_versions_are_named() {
        let (folder, store) = store();
        store.write_blocking(|tx| Ok(tx.pragma_update(None, "user_version", 99)?)).unwrap();
        drop(store);
        for error in
            [Store::open(&folder.path().join("nines.db")), Store::open_read_only(&folder.path().join("nines.db"))]
        {
            let message = error.unwrap_err().to_string();
            let known = format!("versions up to {}", schema::VERSION);
            assert!(message.contains("version 99") && message.contains(&known), "{message}");
        }
    }

    #[test]
    fn a_database_of_something_else_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Foreign(_))));
        let tables: i64 = other.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }

    #[test]
    fn a_store_opened_to_be_read_only_writes_nothing_and_makes_nothing() {
        let (folder, store) = store();
        let reader = Store::open_read_only(store.path()).unwrap();
        assert!(matches!(put(&reader, 1), Err(StoreError::ReadOnly)));
        assert!(reader.read_blocking(|conn| Ok(conn.execute("DELETE FROM sample", [])?)).is_err());
        let nowhere = folder.path().join("nowhere.db");
        assert!(matches!(Store::open_read_only(&nowhere), Err(StoreError::Missing(_))));
        assert!(!nowhere.exists());
    }

    #[test]
    fn a_store_that_is_gone_leaves_one_file_and_its_lock() {
        let (folder, store) = store();
        put(&store, 1).unwrap();
        assert_eq!(count(&store), 1, "there is a reader to be closed");
        drop(store);
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["nines.db", "nines.db.lock"]);
    }

    #[test]
    fn the_log_is_empty_even_where_another_still_has_the_file_open() {
        let (folder, store) = store();
        let reader = Store::open_read_only(store.path()).unwrap();
        put(&store, 1).unwrap();
        drop(store);
        let log = std::fs::metadata(folder.path().join("nines.db-wal")).map_or(0, |it| it.len());
        assert_eq!((log, count(&reader)), (0, 1));
    }

    #[test]
    fn a_file_that_is_not_a_database_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "shopping list ".repeat(100)).unwrap();
        let message = Store::open(&path).unwrap_err().to_string();
        assert!(message.contains("notes.txt"), "{message}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("shopping"));
    }
}
