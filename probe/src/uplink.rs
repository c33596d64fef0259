//! Batches out, acks in, backoff with jitter.
//!
//! Owns the way from the spool to the aggregator. Only a 200 with an [`Ack`] of as many samples as were
//! sent is a delivery (INV-2); the spool forgets those and no others. A refused batch is halved until the
//! poisoned sample is alone and can be put aside, so it never blocks the queue. Where there is nothing to
//! ship an empty batch says that we live.

mod batch;
mod delivery;

use std::sync::Arc;
use std::time::Duration;

use nines_shared::id::ProbeId;
use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use nines_shared::wire::{Ack, DRAIN_PACE, Health, MAX_BATCH_SAMPLES, MAX_UNREAD};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::assignment::Work;
use crate::canary::Canaries;
use crate::clock_watch::ClockWatch;
use crate::dispatch::Tally;
use crate::link::Link;
use crate::link::backoff::Backoff;
use crate::spool::{Counts, Load, Spool, SpoolError, Waiting};
use delivery::{Delivery, Failed, Refused};

/// How long a sample waits for others to share its batch.
pub const GATHER: Duration = Duration::from_millis(250);
/// The aggregator hears from us at least this often.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often while our clock is in doubt: only an exchange can clear it.
const DOUBTED_HEARTBEAT: Duration = Duration::from_secs(1);
/// The most JSON in one batch, in bytes; well below what the aggregator would decompress.
const MAX_BATCH_JSON: usize = 4 << 20;
/// The most refused samples offered again between two batches.
const MAX_RETRIES: usize = 100;
/// How long a stopping agent may go on delivering; what is left stays in the spool.
pub const DRAIN_GRACE: Duration = Duration::from_secs(3);

/// Ships what the spool holds.
#[derive(Debug)]
pub struct Uplink {
    /// Its own connection.
    pub link: Link,
    /// Where samples wait.
    pub spool: Spool,
    /// Told when one is in the spool that should not wait for others.
    pub hurry: Arc<Notify>,
    /// Who we are.
    pub probe: ProbeId,
    /// How we are.
    pub vitals: Vitals,
}

/// Where the probe's health is read from.
#[derive(Debug)]
pub struct Vitals {
    /// Drawn at each start.
    pub boot_id: String,
    /// Missed slots and lateness.
    pub tally: Arc<Tally>,
    /// The clock's offset; learns from every ack.
    pub clock: Arc<ClockWatch>,
    /// Whether canaries answer.
    pub canaries: Arc<Canaries>,
    /// What we are to do.
    pub work: watch::Receiver<Arc<Work>>,
}

/// Why something was not delivered; it is still in the spool.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error(transparent)]
    Failed(#[from] Failed),
    #[error("the aggregator refuses this probe, not only its samples ({0})")]
    Unwelcome(Refused),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl Undelivered {
    /// How long the aggregator asks to be left alone.
    fn again(&self) -> Option<Duration> {
        match self {
            Self::Failed(failed) => failed.again,
            Self::Unwelcome(_) | Self::Spool(_) => None,
        }
    }
}

impl Uplink {
    /// Ships until `stop`, then delivers what it can within [`DRAIN_GRACE`].
    pub async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        tokio::select! {
            () = self.serve() => {}
            () = stop.cancelled() => {}
        }
        match timeout(DRAIN_GRACE, self.drain()).await {
            Ok(Ok(())) => tracing::info!("uplink.drained"),
            Ok(Err(error)) => tracing::warn!(waiting = self.spool.counts().waiting, %error, "uplink.not_drained"),
            Err(_elapsed) => tracing::warn!(waiting = self.spool.counts().waiting, "uplink.not_drained"),
        }
    }

    async fn serve(&mut self) {
        let mut backoff = Backoff::default();
        let mut failing = false;
        loop {
            let begun = Instant::now();
            match self.turn().await {
                Ok(()) => {
                    backoff.reset();
                    if std::mem::take(&mut failing) {
                        tracing::info!(waiting = self.spool.counts().waiting, "uplink.delivers_again");
                    }
                    self.idle(begun).await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(waiting = self.spool.counts().waiting, %error, "uplink.not_delivered");
                    }
                    tracing::debug!(%error, "uplink.not_delivered");
                    sleep(backoff.after_refusal(error.again())).await;
                }
            }
        }
    }

    /// Waits until there is something to ship, for as long as a batch gathers or a heartbeat is not due.
    async fn idle(&self, last: Instant) {
        let trusted = self.vitals.clock.read().trusted;
        let heartbeat = sleep_until(last + if trusted { HEARTBEAT } else { DOUBTED_HEARTBEAT });
        tokio::select! {
            () = heartbeat => {}
            () = self.gathered(last) => {}
        }
    }

    /// Resolves [`GATHER`] after there is a sample, or once there is a whole batch, [`DRAIN_PACE`] after the `last` one
    /// began, or one in a hurry; never where the spool is closed.
    async fn gathered(&self, last: Instant) {
        let is_whole = |counts: &Counts| MAX_BATCH_SAMPLES as u64 <= counts.waiting;
        let mut changes = self.spool.changes();
        let open = changes.wait_for(|counts| 0 < counts.waiting).await.is_ok();
        // A backlog takes the newest along with every batch: its pace is haste enough.
        let backlog = is_whole(&self.spool.counts());
        let full = async {
            let whole = changes.wait_for(is_whole).await.is_ok();
            sleep_until(last + DRAIN_PACE).await;
            whole
        };
        let whole = tokio::select! {
            whole = timeout(GATHER, full) => whole.unwrap_or(true),
            () = self.hurry.notified(), if !backlog => true,
        };
        if !open || !whole {
            std::future::pending().await
        }
    }

    async fn turn(&mut self) -> Result<(), Undelivered> {
        let load = self.spool.peek(MAX_BATCH_SAMPLES, MAX_BATCH_JSON).await?;
        self.ship(&load).await?;
        self.retry_refused(load.behind).await
    }

    async fn drain(&mut self) -> Result<(), Undelivered> {
        loop {
            let load = self.spool.peek(MAX_BATCH_SAMPLES, MAX_BATCH_JSON).await?;
            if load.rows.is_empty() {
                return Ok(());
            }
            self.ship(&load).await?;
        }
    }

    /// Delivers `load`, or puts those aside that the aggregator refuses. None is a heartbeat.
    async fn ship(&mut self, load: &Load) -> Result<(), Undelivered> {
        let mut welcome = false;
        let mut parts = vec![&load.rows[..]];
        // Of a load that goes in pieces nothing has surely come before all of it has.
        let in_pieces = load.rows.first().map(|first| first.due).into_iter().chain(load.behind).min();
        while let Some(part) = parts.pop() {
            let behind = if part.len() == load.rows.len() { load.behind } else { in_pieces };
            match self.post(part, behind).await {
                Delivery::Acked(_ack) => self.spool.acknowledge(ids(part)).await?,
                Delivery::Failed(failed) => return Err(failed.into()),
                Delivery::Refused(refused) if part.is_empty() => return Err(Undelivered::Unwelcome(refused)),
                Delivery::Refused(refused) => {
                    if !std::mem::replace(&mut welcome, true) {
                        self.greet(in_pieces).await?;
                    }
                    match part {
                        [row] => self.put_aside(row, &refused).await?,
                        _ => batch::split(part, refused.sample, &mut parts),
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether it is the samples that the aggregator refuses, or us: an empty batch has no fault of its own.
    async fn greet(&mut self, behind: Option<Timestamp>) -> Result<(), Undelivered> {
        match self.post(&[], behind).await {
            Delivery::Acked(_ack) => Ok(()),
            Delivery::Refused(refused) => Err(Undelivered::Unwelcome(refused)),
            Delivery::Failed(failed) => Err(failed.into()),
        }
    }

    async fn put_aside(&self, row: &Waiting, refused: &Refused) -> Result<(), Undelivered> {
        let sample: Option<Sample> = serde_json::from_str(&row.json).ok();
        let trace_id = sample.and_then(|sample| sample.trace_id).map(|id| id.to_string());
        tracing::error!(trace_id, %refused, "sample.refused");
        let now = self.vitals.clock.read().now;
        Ok(self.spool.refuse(row.id, refused.to_string(), now).await?)
    }

    /// Offers refused samples again whose time has come, for as long as they are taken now.
    async fn retry_refused(&mut self, behind: Option<Timestamp>) -> Result<(), Undelivered> {
        for _ in 0..MAX_RETRIES {
            if self.spool.counts().refused == 0 {
                return Ok(());
            }
            let now = self.vitals.clock.read().now;
            let Some(row) = self.spool.peek_refused(now).await? else { return Ok(()) };
            match self.post(std::slice::from_ref(&row), behind).await {
                Delivery::Acked(_ack) => self.spool.acknowledge(vec![row.id]).await?,
                Delivery::Refused(refused) => return self.put_aside(&row, &refused).await,
                Delivery::Failed(failed) => return Err(failed.into()),
            }
        }
        Ok(())
    }

    /// Sends `rows`, `behind` which samples wait that were taken from then on.
    async fn post(&mut self, rows: &[Waiting], behind: Option<Timestamp>) -> Delivery {
        let (health, lateness) = self.health(behind).await;
        let query = match batch::query(&self.probe, rows, &health) {
            Ok(query) => query,
            Err(refused) => return Delivery::Refused(refused),
        };
        let answer = self.link.ask(query).await;
        let delivery = match &answer {
            Ok(answer) => delivery::of(answer, rows.len()),
            Err(error) => Delivery::Failed(Failed::because(error.to_string())),
        };
        match (&delivery, answer) {
            (Delivery::Acked(Ack { now, .. }), Ok(answer)) => self.vitals.clock.exchanged(answer.sent, *now),
            // Nobody has heard of it: it is told with the next batch.
            _ => self.vitals.tally.late(lateness),
        }
        delivery
    }

    async fn health(&self, behind: Option<Timestamp>) -> (Health, Option<i64>) {
        let (vitals, counts, offset) = (&self.vitals, self.spool.counts(), self.vitals.clock.offset());
        let lateness_max_ms = vitals.tally.take_lateness_max();
        let work = vitals.work.borrow().clone();
        let health = Health {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: vitals.boot_id.clone(),
            spooled: counts.waiting,
            backlog_from: behind,
            dropped: counts.dropped,
            held: counts.held,
            refused: counts.refused,
            missed: vitals.tally.missed(),
            clock_offset_ms: offset.map(|offset| offset.offset_ms),
            clock_uncertainty_ms: offset.map(|offset| offset.uncertainty_ms),
            lateness_max_ms,
            canaries_ok: vitals.canaries.last().await,
            assignment: work.version,
            checks: Some(work.checks.len() as u64),
            unread: work.unread.iter().take(MAX_UNREAD).cloned().collect(),
        };
        (health, lateness_max_ms)
    }
}

fn ids(rows: &[Waiting]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[cfg(test)]
mod tests;
