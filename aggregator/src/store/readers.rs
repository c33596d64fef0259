//! Read connections: made when they are needed, kept for the next read.
//!
//! Each job runs in one deferred transaction, so that all it reads is of one snapshot; the write-ahead
//! log lets it run beside the writer. At most [`AT_ONCE`] async reads run at once; more wait their turn.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{StoreError, open};

/// How many async reads run at once, and how many connections are kept.
const AT_ONCE: usize = 8;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), permits: Semaphore::new(AT_ONCE) }
    }

    /// A place among the async reads.
    pub(super) async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// Runs `job` in a transaction that ends with it. A connection whose job panics is not used again.
    pub(super) fn run<T>(&self, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.take()?;
        let transaction = connection.transaction()?;
        let result = job(&transaction);
        transaction.rollback()?;
        self.give_back(connection);
        result
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => open::read_only(&self.path),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < AT_ONCE {
            idle.push(connection);
        }
    }
}
