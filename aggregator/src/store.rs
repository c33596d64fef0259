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
use writer::Writer;

pub mod definitions;
pub mod incidents;
mod open;
pub mod outbox;
pub mod probes;
mod readers;
pub mod samples;
mod schema;
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
    /// `None` where the store was opened to be read only.
    writer: Option<Writer>,
    readers: Readers,
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
    /// The writer has ended: the process is going down.
    #[error("the database is closed")]
    Closed,
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
        let mut connection = open::read_write(&path)?;
        schema::migrate(&mut connection, &path)?;
        let writer = Writer::start(connection, lock)?;
        Ok(Self(Arc::new(Inner { readers: Readers::new(path.clone()), writer: Some(writer), path })))
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
        readers.run(|connection| schema::must_be_current(connection, path))?;
        Ok(Self(Arc::new(Inner { path: path.to_owned(), writer: None, readers })))
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.0.path
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
        self.writer()?.run(job).await
    }

    /// [`Store::write`] for threads that may wait. Must not be called from async code.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer()?.run_blocking(job)
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
        run.await.unwrap_or(Err(StoreError::Panicked))
    }

    /// [`Store::read`] for threads that may wait; the job may borrow.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T>(&self, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.0.readers.run(job)
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.0.writer.as_ref().ok_or(StoreError::ReadOnly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::sample::{Outcome, Phases, Sample, SampleKind};
    use nines_shared::time::Timestamp;

    fn sample(at: i64) -> Sample {
        Sample {
            check: "shop-home".parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            probe: Some("eu-west-1".parse().unwrap()),
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

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("nines.db")).unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let (_folder, store) = store();
        let now = Timestamp::from_ms(2_000);
        let inserted = store.write(move |tx| samples::insert(tx, &[sample(1_000), sample(2_000)], now)).await.unwrap();
        assert_eq!(inserted, samples::Inserted { stored: 2, same: 0 });
        let again = store.write(move |tx| samples::insert(tx, &[sample(1_000)], now)).await.unwrap();
        assert_eq!(again, samples::Inserted { stored: 0, same: 1 });
        assert_eq!(store.read(samples::count).await.unwrap(), 2);
    }
}
