//! Fetched, verified, cached: a cold start works while the aggregator is away.
//!
//! Owns what this probe is to do: asked for with a long poll, kept in the state directory as it came, where
//! only the probe may read it, since the secrets that checks name come with them. A check that this version can't read is left out and told, not taken for another; the others go on.

mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::StatusCode;
use nines_shared::check::Check;
use nines_shared::id::{CheckId, RegionId};
use nines_shared::secret::Secrets;
use nines_shared::wire::{ASSIGNMENT_PATH, MAX_ANSWER_BYTES};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock_watch::ClockWatch;
use crate::identity::write_atomically;
use crate::link::backoff::Backoff;
use crate::link::{Answer, Link, LinkError, MIN_POLL_PACE, Query};

pub use told::AssignmentError;

/// The last assignment, in the state directory.
pub const ASSIGNMENT_FILE: &str = "assignment.json";

/// What this probe is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The aggregator's name for it; empty where there is none yet.
    pub digest: String,
    /// The aggregator's number for it; 0 where there is none.
    pub version: u64,
    /// The checks, those of our region only.
    pub checks: Vec<Arc<Check>>,
    /// What was assigned and can't be read by this version.
    pub unread: Vec<CheckId>,
    /// The values of the secrets that they name, as far as the aggregator has them.
    pub secrets: Arc<Secrets>,
}

/// The assignment in the state directory, where there is one for `region`.
pub fn cached(state: &Path, region: &RegionId) -> Option<Work> {
    let path = state.join(ASSIGNMENT_FILE);
    let body = std::fs::read(&path).ok()?;
    match told::work(&body, region) {
        Ok((work, _now)) => {
            tracing::info!(checks = work.checks.len(), digest = work.digest, "assignment.from_cache");
            Some(work)
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "assignment.cache_unusable");
            None
        }
    }
}

/// Why the state directory gives no assignment.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The agent has kept none yet.
    #[error("{0} is not there: this probe has not been told yet what to do")]
    Missing(PathBuf),
    /// It is there and can't be read.
    #[error("can't read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not what this version writes.
    #[error("{path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: AssignmentError,
    },
}

/// What the agent keeps in the state directory, for whoever looks beside it.
///
/// # Errors
/// [`KeptError`].
pub fn kept(state: &Path) -> Result<Work, KeptError> {
    let path = state.join(ASSIGNMENT_FILE);
    let body = match std::fs::read(&path) {
        Ok(body) => body,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeptError::Missing(path)),
        Err(source) => return Err(KeptError::Unreadable { path, source }),
    };
    told::any_work(&body).map_err(|source| KeptError::Malformed { path, source })
}

/// Asks for the assignment for as long as the agent runs.
#[derive(Debug)]
pub struct Poll {
    /// Its own connection: a poll waits.
    pub link: Link,
    /// Where the assignment is cached.
    pub state: PathBuf,
    /// Our region.
    pub region: RegionId,
    /// Learns the aggregator's time.
    pub clock: Arc<ClockWatch>,
    /// Who is told what to do.
    pub telling: watch::Sender<Arc<Work>>,
}

/// Why a poll brought nothing.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the aggregator answered {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
}

impl Poll {
    /// Polls for ever.
    pub async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut failing = false;
        loop {
            let pace = Instant::now() + MIN_POLL_PACE;
            match self.once().await {
                Ok(()) => {
                    backoff.reset();
                    if std::mem::take(&mut failing) {
                        tracing::info!("assignment.polled_again");
                    }
                    sleep_until(pace).await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "assignment.not_polled");
                    }
                    sleep(backoff.after_failure()).await;
                }
            }
        }
    }

    async fn once(&mut self) -> Result<(), PollError> {
        let have = self.telling.borrow().digest.clone();
        let answer = self.link.ask(Query::poll(ASSIGNMENT_PATH, &have, MAX_ANSWER_BYTES)).await?;
        match answer.status {
            StatusCode::OK => self.take(&answer, &have).await,
            StatusCode::NOT_MODIFIED => Ok(()),
            status => Err(PollError::Status(status)),
        }
    }

    async fn take(&self, answer: &Answer, have: &str) -> Result<(), PollError> {
        let (work, now) = told::work(&answer.body, &self.region)?;
        self.clock.exchanged(answer.sent, now);
        if work.digest == have {
            return Ok(());
        }
        tracing::info!(checks = work.checks.len(), digest = work.digest, "assignment.new");
        let (path, body) = (self.state.join(ASSIGNMENT_FILE), answer.body.clone());
        let written = tokio::task::spawn_blocking(move || write_atomically(&path, &body)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!(error = ?written, "assignment.not_cached");
        }
        self.telling.send_replace(Arc::new(work));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
