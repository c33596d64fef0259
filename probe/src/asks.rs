//! Asks in: what the aggregator wants looked at now, because another region saw it change.
//!
//! Owns the request that waits for asks, and how long each still stands. Runs nothing: an ask names a check, and the
//! dispatch runs it as one of its own where the assignment has it (INV-10). An aggregator of before there were asks
//! answers 404; then the probe goes without, and tries again now and then. A lost ask costs nothing but its haste.

use std::time::Duration;

use hyper::StatusCode;
use nines_shared::id::CheckId;
use nines_shared::time::Timestamp;
use nines_shared::wire::{ASKS_PATH, Ask, Asks, MAX_ASKS, MAX_ASKS_BYTES};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::link::backoff::Backoff;
use crate::link::{Answer, Link, LinkError, MIN_POLL_PACE, Query};

/// How long an aggregator that knows no asks is left alone: it may have been replaced by a later one.
const WITHOUT: Duration = Duration::from_secs(300);
/// The longest that an ask stands, whatever it says: a clock may have been set between its two times.
const MAX_STANDS: Duration = Duration::from_secs(60);

/// How soon after the beginning of a poll that brought asks the next one begins: whoever sends them without end sends
/// at most this often.
const MIN_ASKS_PACE: Duration = Duration::from_millis(50);

/// An ask on its way to the dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which check.
    pub check: CheckId,
    /// What the extra sample is to bear as its `scheduled_at`.
    pub at: Timestamp,
    /// The sample is not wanted if it has not begun by then.
    pub until: Instant,
}

/// Listens for asks for as long as the agent runs.
#[derive(Debug)]
pub struct Listen {
    /// Its own connection: a poll waits.
    pub link: Link,
    /// Who runs them. What it has no room for is dropped, and told.
    pub handing: mpsc::Sender<Asked>,
}

/// Why a poll brought nothing.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the aggregator answered {status}")]
    Status { status: StatusCode, again: Option<Duration> },
    #[error("the asks can't be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl ListenError {
    /// How long the aggregator asks to be left alone.
    fn again(&self) -> Option<Duration> {
        if let Self::Status { again, .. } = self { *again } else { None }
    }
}

/// What a poll brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Asks up to this number.
    UpTo(u64),
    /// Nothing in all the time.
    Nothing,
    /// This aggregator knows no asks.
    Without,
}

impl Listen {
    /// Listens for ever.
    pub async fn run(mut self) {
        let (mut backoff, mut have, mut failing) = (Backoff::default(), 0, false);
        loop {
            let begun = Instant::now();
            match self.once(have).await {
                Ok(heard) => {
                    backoff.reset();
                    if std::mem::take(&mut failing) {
                        tracing::info!("asks.heard_again");
                    }
                    match heard {
                        Heard::UpTo(no) => {
                            have = no;
                            sleep_until(begun + MIN_ASKS_PACE).await;
                        }
                        Heard::Nothing => sleep_until(begun + MIN_POLL_PACE).await,
                        Heard::Without => sleep(WITHOUT).await,
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "asks.not_heard");
                    }
                    sleep(backoff.after_refusal(error.again())).await;
                }
            }
        }
    }

    async fn once(&mut self, have: u64) -> Result<Heard, ListenError> {
        let answer = self.link.ask(Query::poll(ASKS_PATH, &have.to_string(), MAX_ASKS_BYTES)).await?;
        match answer.status {
            StatusCode::OK => Ok(self.hand_on(&answer, have)?),
            StatusCode::NO_CONTENT => Ok(Heard::Nothing),
            StatusCode::NOT_FOUND => {
                tracing::info!("asks.unknown_to_the_aggregator");
                Ok(Heard::Without)
            }
            status => Err(ListenError::Status { status, again: answer.retry_after }),
        }
    }

    fn hand_on(&self, answer: &Answer, have: u64) -> Result<Heard, serde_json::Error> {
        let told: Asks = serde_json::from_slice(&answer.body)?;
        let arrived = Instant::now();
        let last = told.asks.iter().take(MAX_ASKS).map(|ask| ask.no).max();
        let mut dropped = 0_usize;
        for ask in told.asks.into_iter().take(MAX_ASKS).filter(|ask| ask.no != have) {
            let until = arrived + stands(&ask, told.now);
            if self.handing.try_send(Asked { check: ask.check, at: ask.at, until }).is_err() {
                dropped += 1;
            }
        }
        if 0 < dropped {
            tracing::warn!(asks = dropped, "asks.too_many");
        }
        Ok(last.filter(|last| *last != have).map_or(Heard::Nothing, Heard::UpTo))
    }
}

/// How long `ask` stands from the aggregator's `now` on. Only its own clock tells, and ours has no say.
fn stands(ask: &Ask, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(ask.until.since(now)).unwrap_or(0)).min(MAX_STANDS)
}

#[cfg(test)]
mod tests;
