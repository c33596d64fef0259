//! The agent: assignment, schedule, dispatch, spool and uplink, wired together.
//!
//! Owns their lives and their order: what makes samples ends first, then what ships them, then the spool.
//! No globals: many agents may run in one process, each with a state directory of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use nines_shared::time::Clock;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::assignment::{self, Poll};
use crate::canary::{CANARY_EVERY, Canaries};
use crate::clock_watch::ClockWatch;
use crate::dispatch::{self, FINISH_GRACE, Kit, Tally};
use crate::identity::{Identity, IdentityError};
use crate::link::Link;
use crate::probe_file::Settings;
use crate::prober::Prober;
use crate::spool::{Spool, SpoolError};
use crate::uplink::{DRAIN_GRACE, Uplink, Vitals};

/// How long the agent takes to end, at most, apart from a disk that is slow to sync.
pub const SHUTDOWN_GRACE: Duration = FINISH_GRACE.saturating_add(DRAIN_GRACE);

/// Why the agent can't run, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// This machine has not joined, or what it has is of no use.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The spool can't be opened.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The spool's file failed while the agent ran; a new start reads it afresh.
    #[error("the spool in {0} broke; start again, and look at the disk if it breaks again")]
    Broken(PathBuf),
    /// A part of the agent ended that never should.
    #[error("the {0} ended by a fault of its own; the log says which")]
    Fault(&'static str),
}

/// Runs the agent until `stop` is cancelled, then ends within [`SHUTDOWN_GRACE`].
///
/// # Errors
/// [`AgentError`] where it can't start or its spool breaks; never for what the network does.
pub async fn run(settings: Settings, clock: Clock, stop: CancellationToken) -> Result<(), AgentError> {
    let identity = Identity::load(&settings.state)?;
    let spool = Spool::open(&settings.state, settings.spool_max_bytes)?;
    let clock = Arc::new(ClockWatch::new(clock));
    let canaries = Arc::new(Canaries::new(settings.canaries.clone(), settings.vantage.source));
    let tally = Arc::new(Tally::default());
    tracing::info!(
        probe = %identity.probe, region = %identity.region, aggregator = %settings.aggregator,
        spooled = spool.counts().waiting, version = env!("CARGO_PKG_VERSION"), "agent.started"
    );

    let cached = assignment::cached(&settings.state, &identity.region).unwrap_or_default();
    let (telling, work) = watch::channel(Arc::new(cached));
    let poll = Poll {
        link: Link::new(&settings.aggregator, Arc::clone(&identity.tls)),
        state: settings.state.clone(),
        region: identity.region.clone(),
        clock: Arc::clone(&clock),
        telling,
    };
    let vitals = Vitals { boot_id: boot_id(), tally: tally.clone(), clock: clock.clone(), canaries: canaries.clone() };
    let link = Link::new(&settings.aggregator, identity.tls);
    let uplink = Uplink { link, spool: spool.clone(), probe: identity.probe.clone(), vitals };
    let kit = Kit {
        probe: identity.probe,
        region: identity.region,
        prober: Prober::new(settings.vantage),
        spool: spool.clone(),
        clock,
        canaries: Arc::clone(&canaries),
        tally,
        permits: Arc::new(Semaphore::new(dispatch::permits())),
    };

    let delivered = CancellationToken::new();
    let mut polling = AbortOnDropHandle::new(tokio::spawn(poll.run()));
    let mut shipping = AbortOnDropHandle::new(tokio::spawn(uplink.run(delivered.clone())));
    let _minding = AbortOnDropHandle::new(tokio::spawn(mind(canaries)));
    let ended = tokio::select! {
        () = dispatch::run(Arc::new(kit), work, stop) => Ok(()),
        () = spool.ended() => Err(AgentError::Broken(settings.state)),
        _ = &mut polling => Err(AgentError::Fault("assignment poll")),
        _ = &mut shipping => Err(AgentError::Fault("uplink")),
    };
    if ended.is_ok() {
        delivered.cancel();
        // A fault in the uplink's last words changes nothing: what it did not deliver is in the spool.
        let _drained = shipping.await;
    }
    let counts = spool.counts();
    spool.close().await;
    tracing::info!(waiting = counts.waiting, committed = counts.committed, "agent.stopped");
    ended
}

/// Asks the canaries now and then, so that the probe's health is known before anything fails.
async fn mind(canaries: Arc<Canaries>) {
    while canaries.answer().await.is_some() {
        tokio::time::sleep(CANARY_EVERY).await;
    }
}

fn boot_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness all starts look alike, which costs a detail of the health page.
    let _drawn = aws_lc_rs::rand::fill(&mut bytes);
    HEXLOWER.encode(&bytes)
}

#[cfg(test)]
mod tests;
