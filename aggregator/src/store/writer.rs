//! The one writer: a thread that drains its queue into one transaction, commits, syncs, and then answers.
//!
//! A sync costs milliseconds whatever is in it, so jobs that come together share one. Each job has its own
//! savepoint: one that fails is rolled back alone. Nobody gets an answer before the commit is synced, and
//! where the commit fails everyone in it is told so (INV-2).

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// How many jobs may wait. When the queue is full, whoever comes next waits for a place in it, and so do
/// the probes behind: their spools are the buffer.
const QUEUE: usize = 256;
/// The most jobs in one commit, so that the first of them does not wait for ever.
const JOBS_PER_COMMIT: usize = 64;
/// How long the end waits for another process that reads, before it leaves the log beside the file.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only while the writer is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn Work>;

impl Writer {
    /// Starts the thread. It holds `lock` until it ends.
    pub(super) fn start(connection: Connection, lock: File) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let path = connection.path().unwrap_or_default().into();
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                serve(connection, receiver);
                drop(lock);
            })
            .map_err(|source| StoreError::Open { path, source })?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    pub(super) async fn run<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (task, answer) = Task::pair(job);
        self.queue()?.send(task).await.map_err(|_ended| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(super) fn run_blocking<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (task, answer) = Task::pair(job);
        self.queue()?.blocking_send(task).map_err(|_ended| StoreError::Closed)?;
        answer.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }

    fn queue(&self) -> Result<&mpsc::Sender<Job>, StoreError> {
        self.jobs.as_ref().ok_or(StoreError::Closed)
    }
}

impl Drop for Writer {
    /// Waits until the queue is done, so that the file is closed and unlocked when the store is gone.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("store.writer_panicked");
        }
    }
}

/// A job and whoever waits for it, whatever the type of its answer.
trait Work: Send {
    /// Does the work; tells whether it is to be kept.
    fn run(&mut self, transaction: &Transaction<'_>) -> bool;
    /// Answers, once it is known how the commit went.
    fn answer(self: Box<Self>, commit: Result<(), Arc<rusqlite::Error>>);
}

struct Task<T, F> {
    job: Option<F>,
    result: Result<T, StoreError>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn pair(job: F) -> (Job, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, waiting) = oneshot::channel();
        (Box::new(Self { job: Some(job), result: Err(StoreError::Closed), answer }), waiting)
    }
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> bool {
        if let Some(job) = self.job.take() {
            // What the job leaves half done is rolled back, so nobody sees it broken.
            self.result = catch_unwind(AssertUnwindSafe(|| job(transaction))).unwrap_or(Err(StoreError::Panicked));
        }
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, commit: Result<(), Arc<rusqlite::Error>>) {
        let answer = match (self.job, commit) {
            // Never run: the transaction did not even begin.
            (Some(_), Err(error)) => Err(StoreError::NotCommitted(error)),
            (Some(_), Ok(())) => Err(StoreError::Closed),
            (None, Ok(())) => self.result,
            (None, Err(error)) => self.result.and(Err(StoreError::NotCommitted(error))),
        };
        // Whoever asked may have stopped waiting; the work is done all the same.
        let _not_waiting = self.answer.send(answer);
    }
}

/// Commits group after group until nobody can send any more; then leaves all of it in the one file.
fn serve(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = Vec::with_capacity(JOBS_PER_COMMIT);
        let commit = commit_group(&mut connection, first, &mut jobs, &mut group).map_err(Arc::new);
        if let Err(error) = &commit {
            tracing::error!(%error, jobs = group.len(), "store.not_committed");
        }
        for job in group {
            job.answer(commit.clone());
        }
    }
    if let Err(error) = empty_log(&connection) {
        tracing::warn!(%error, "store.log_left");
    }
}

/// Copies the write-ahead log into the file and empties it, so that a copy of the file is a copy of the database.
/// What is in a log that can't be emptied is no less safe: whoever opens the file next reads both.
fn empty_log(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(CLOSING_WAIT)?;
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        tracing::info!("store.log_left: another process reads the database");
    }
    Ok(())
}

/// Runs `first` and whatever else is waiting in one transaction; `group` holds all that were in it.
fn commit_group(
    connection: &mut Connection,
    first: Job,
    jobs: &mut mpsc::Receiver<Job>,
    group: &mut Vec<Job>,
) -> Result<(), rusqlite::Error> {
    group.push(first);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut next = 0;
    while let Some(job) = group.get_mut(next) {
        run_in_savepoint(job, &transaction)?;
        next += 1;
        if group.len() < JOBS_PER_COMMIT
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
    }
    transaction.commit()
}

/// Runs one job so that its failure undoes nothing but its own. An error here is the whole group's: on a
/// full disk, for one, SQLite ends the transaction by itself, and the savepoints are gone with it.
fn run_in_savepoint(job: &mut Job, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.execute_batch("SAVEPOINT job")?;
    if !job.run(transaction) {
        transaction.execute_batch("ROLLBACK TO job")?;
    }
    transaction.execute_batch("RELEASE job")
}
