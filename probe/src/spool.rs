//! Durable, bounded queue (SQLite): append, peek, acknowledge, what was dropped.
//!
//! Owns the samples between the moment they are taken and the moment the aggregator says that it has
//! committed them. One thread owns the file and commits for all who wait at once.
//!
//! - **INV-1** [`Spool::append`] returns once the sample is committed and synced. What must go because the
//!   spool is full goes oldest first, and is counted in the same commit.
//! - **INV-3** (check, region, kind, scheduled_at) is unique here too: the same sample twice is one.
//! - While the disk takes nothing, samples are held in a bounded ring in memory, counted and loud, and
//!   committed as soon as it takes them. An error that may mean lost writes breaks the spool for good: a
//!   failed sync is never tried again on the same file, the process must start anew.

mod disk;
mod keeper;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nines_shared::sample::{Sample, SampleKind};
use nines_shared::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use disk::Disk;
use keeper::{Command, Keeper};

use crate::identity::open_or_make;

/// The spool's file in the state directory.
pub const SPOOL_FILE: &str = "spool.db";
/// Held while the spool is open, so that two agents never share one.
const LOCK_FILE: &str = "spool.lock";
/// The most commands that wait for the spool's thread; more wait in their callers.
const MAX_COMMANDS: usize = 1_024;
/// The most samples held in memory while the disk takes none; then the oldest are dropped and counted.
pub const MAX_HELD: usize = 4_096;
/// A refused sample is offered again after this long, in ms: definitions may have been behind …
pub const FIRST_RETRY_MS: i64 = 60_000;
/// … and from then on this often, in ms: somebody may have mended what refused it.
pub const NEXT_RETRY_MS: i64 = 3_600_000;
/// SQLite before this can corrupt a WAL database (<https://sqlite.org/wal.html>).
const OLDEST_SQLITE: i32 = 3_051_003;

/// The spool; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    counts: watch::Receiver<Counts>,
}

/// What the spool holds and what became of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples ever committed here.
    pub committed: u64,
    /// Samples that wait to be delivered.
    pub waiting: u64,
    /// Samples that the aggregator refuses and that are kept.
    pub refused: u64,
    /// Samples ever dropped because the spool, or the memory that stood in for it, was full.
    pub dropped: u64,
    /// Samples in memory that the disk does not take.
    pub held: u64,
}

/// Where a sample is after [`Spool::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Committed and synced: it is taken.
    Durable,
    /// In memory until the disk takes it: it is not taken yet.
    Held,
}

/// A committed sample on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number in the spool; never used twice.
    pub id: i64,
    /// Its slot.
    pub due: Timestamp,
    /// The sample, JSON.
    pub json: String,
}

/// What is to be delivered next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Committed samples, in the order in which they were committed.
    pub rows: Vec<Waiting>,
    /// The slot of the sample that was committed first of those that wait and are not among them.
    pub behind: Option<Timestamp>,
}

/// Why the spool can't do something.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The state directory or a file in it can't be used.
    #[error("can't open {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another agent uses this state directory.
    #[error("{0} is locked: another nines-probe runs with this state; each needs a state directory of its own")]
    InUse(PathBuf),
    /// The file is there and is no spool, or a broken one.
    #[error(
        "can't use the spool {path}: {source}; move it away (it holds samples not yet delivered) to start a new one"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A later version made the file.
    #[error("the spool {path} was made by a later version (schema {found}); run that one, or let it deliver first")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// The SQLite linked in is one that can corrupt.
    #[error("SQLite {0} can corrupt its file; build with 3.51.3 or later")]
    OldSqlite(String),
    /// A database setting does not hold.
    #[error("SQLite does not keep {0} on this file system; put the state directory on a local disk")]
    Setting(&'static str),
    /// The disk is full; nothing was changed.
    #[error("the disk is full")]
    Full,
    /// The spool is closed, or broke.
    #[error("the spool is closed")]
    Closed,
}

impl Spool {
    /// Opens the spool in the directory `state`, which may grow to `max_bytes`, and starts its thread.
    ///
    /// # Errors
    /// [`SpoolError`] where it can't be used.
    pub fn open(state: &Path, max_bytes: u64) -> Result<Self, SpoolError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(SpoolError::OldSqlite(rusqlite::version().to_owned()));
        }
        let lock = lock(&state.join(LOCK_FILE))?;
        let path = state.join(SPOOL_FILE);
        let disk = Disk::open(&path, max_bytes)?;
        let counts = disk.counts().map_err(|source| SpoolError::Unusable { path: path.clone(), source })?;
        let (commands, inbox) = mpsc::channel(MAX_COMMANDS);
        let (telling, counts) = watch::channel(counts);
        let keeper = Keeper::new(disk, inbox, telling);
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || {
            keeper.run();
            drop(lock);
        });
        thread.map_err(|source| SpoolError::File { path, source })?;
        Ok(Self { commands, counts })
    }

    /// Commits `samples`, and returns once they are synced (or held, where the disk takes nothing).
    ///
    /// # Errors
    /// [`SpoolError::Closed`]: they are not kept.
    pub async fn append(&self, samples: &[Sample]) -> Result<Kept, SpoolError> {
        let rows = samples.iter().map(Row::of).collect();
        self.ask(|reply| Command::Append { rows, reply }).await?
    }

    /// What waits, at most `limit` and at most about `max_bytes` of JSON, but at least one. Where that is not all, half
    /// of it is the newest, for whoever is to know how it stands now, and half the oldest: a backlog never keeps the
    /// present waiting.
    ///
    /// # Errors
    /// [`SpoolError::Closed`].
    pub async fn peek(&self, limit: usize, max_bytes: usize) -> Result<Load, SpoolError> {
        self.ask(|reply| Command::Peek { limit, max_bytes, reply }).await?
    }

    /// A refused sample that it is time to offer again.
    ///
    /// # Errors
    /// [`SpoolError::Closed`].
    pub async fn peek_refused(&self, now: Timestamp) -> Result<Option<Waiting>, SpoolError> {
        self.ask(|reply| Command::PeekRefused { now, reply }).await?
    }

    /// Forgets samples that the aggregator has committed.
    ///
    /// # Errors
    /// [`SpoolError::Full`]: they are still here, and delivering them again does no harm.
    pub async fn acknowledge(&self, ids: Vec<i64>) -> Result<(), SpoolError> {
        self.ask(|reply| Command::Acknowledge { ids, reply }).await?
    }

    /// Puts a sample that the aggregator refuses aside, out of the others' way.
    ///
    /// # Errors
    /// [`SpoolError::Full`]: it is where it was.
    pub async fn refuse(&self, id: i64, why: String, now: Timestamp) -> Result<(), SpoolError> {
        self.ask(|reply| Command::Refuse { id, why, now, reply }).await?
    }

    /// What the spool holds, as of its last commit.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// To wait for changes of [`Spool::counts`].
    pub fn changes(&self) -> watch::Receiver<Counts> {
        self.counts.clone()
    }

    /// Resolves once the spool is closed or has broken; nothing is kept from then on.
    pub async fn ended(&self) {
        let mut counts = self.counts.clone();
        while counts.changed().await.is_ok() {}
    }

    /// Commits what is still under way and closes the file. Other handles get [`SpoolError::Closed`].
    pub async fn close(self) {
        // Where the thread has ended before, there is nothing left to close.
        let _closed = self.ask(|reply| Command::Close { reply }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, SpoolError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)
    }
}

/// A sample as the file keeps it.
#[derive(Clone, Debug)]
struct Row {
    check: String,
    region: String,
    kind: SampleKind,
    scheduled_at: i64,
    json: String,
}

impl Row {
    fn of(sample: &Sample) -> Self {
        Self {
            check: sample.check.as_str().to_owned(),
            region: sample.region.as_str().to_owned(),
            kind: sample.kind,
            scheduled_at: sample.scheduled_at.as_ms(),
            json: serde_json::to_string(sample).expect("a sample has only text keys"),
        }
    }
}

fn lock(path: &Path) -> Result<File, SpoolError> {
    let file = |source| SpoolError::File { path: path.to_owned(), source };
    let lock = open_or_make(path).map_err(file)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(SpoolError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(file(source)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
