//! Fetched, verified, cached: a cold start works while the aggregator is away.
//!
//! Owns what this probe is to do: asked for with a long poll, kept in the state directory as it came, where
//! only the probe may read it, since the secrets that checks name come with them. A check that this version can't read
//! is left out and told, not taken for another; the others go on.
//!
//! - What comes over our line from an aggregator of before there were signatures is obeyed: the line itself is vouched
//!   for. What is signed, wherever it comes from, is obeyed only where one whom we know signed it, and for us.
//! - What lies on the disk without a signature is obeyed only where nothing signed was kept before
//!   ([`SIGNED_FILE`]): a probe that was just upgraded starts cold, and nobody can take a signature off.
//! - This guards against files that are damaged, mixed up or edited, not against one who has the whole state directory:
//!   he has our key.

mod seal;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::StatusCode;
use nines_shared::check::Check;
use nines_shared::id::CheckId;
use nines_shared::secret::Secrets;
use nines_shared::wire::{ASSIGNMENT_PATH, MAX_ANSWER_BYTES};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock_watch::ClockWatch;
use crate::identity::{Identity, write_atomically};
use crate::link::backoff::Backoff;
use crate::link::{Answer, Link, LinkError, MIN_POLL_PACE, Query};

pub use told::AssignmentError;

/// The last assignment, in the state directory.
pub const ASSIGNMENT_FILE: &str = "assignment.json";
/// Lies beside it, empty, while the last one was signed.
pub const SIGNED_FILE: &str = "assignment.signed";

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

/// The assignment in the state directory, where there is one for `us` that can be believed.
pub fn cached(state: &Path, us: &Identity) -> Option<Work> {
    let path = state.join(ASSIGNMENT_FILE);
    let body = std::fs::read(&path).ok()?;
    match believed(state, &body, us) {
        Ok(work) => {
            let (checks, version) = (work.checks.len(), work.version);
            tracing::info!(checks, version, digest = work.digest, "assignment.from_cache");
            Some(work)
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "assignment.cache_unusable");
            None
        }
    }
}

fn believed(state: &Path, body: &[u8], us: &Identity) -> Result<Work, AssignmentError> {
    if !seal::is_sealed(body, &us.tls.authorities())? && state.join(SIGNED_FILE).exists() {
        return Err(AssignmentError::Unsigned);
    }
    Ok(told::work(body, (&us.probe, &us.region))?.0)
}

/// Puts `body` into the state directory, and notes whether it is signed. Wherever this is cut off, what is signed is
/// believed or not by its signature.
fn keep(state: &Path, body: &[u8], is_signed: bool) -> std::io::Result<()> {
    let mark = state.join(SIGNED_FILE);
    if is_signed {
        write_atomically(&state.join(ASSIGNMENT_FILE), body)?;
        return if mark.exists() { Ok(()) } else { write_atomically(&mark, b"") };
    }
    match std::fs::remove_file(mark) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    write_atomically(&state.join(ASSIGNMENT_FILE), body)
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

/// What the agent keeps in the state directory, for whoever looks beside it; whether it is signed is not asked.
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
    /// Who we are, and who vouches for the fleet.
    pub us: Identity,
    /// Learns the aggregator's time.
    pub clock: Arc<ClockWatch>,
    /// Who is told what to do.
    pub telling: watch::Sender<Arc<Work>>,
    /// Who vouched for the fleet when what is in the cache was judged last.
    pub kept_under: Arc<[CertificateDer<'static>]>,
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
        // What is kept may be signed by one who vouches no more: then it is fetched anew, or it would be of no use to a
        // cold start.
        let judged = self.us.tls.authorities();
        let have = if judged == self.kept_under { self.telling.borrow().digest.clone() } else { String::new() };
        let answer = self.link.ask(Query::poll(ASSIGNMENT_PATH, &have, MAX_ANSWER_BYTES)).await?;
        match answer.status {
            StatusCode::OK => {
                self.take(&answer, &have).await?;
                self.kept_under = judged;
                Ok(())
            }
            StatusCode::NOT_MODIFIED => Ok(()),
            status => Err(PollError::Status(status)),
        }
    }

    async fn take(&self, answer: &Answer, have: &str) -> Result<(), PollError> {
        let is_signed = seal::is_sealed(&answer.body, &self.us.tls.authorities())?;
        let (work, now) = told::work(&answer.body, (&self.us.probe, &self.us.region))?;
        self.clock.exchanged(answer.sent, now);
        if work.digest == have {
            return Ok(());
        }
        let (checks, version) = (work.checks.len(), work.version);
        tracing::info!(checks, version, is_signed, digest = work.digest, "assignment.new");
        let (state, body) = (self.state.clone(), answer.body.clone());
        let written = tokio::task::spawn_blocking(move || keep(&state, &body, is_signed)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!(error = ?written, "assignment.not_cached");
        }
        self.telling.send_replace(Arc::new(work));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
