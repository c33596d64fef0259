//! The agent: assignment, asks, schedule, dispatch, spool and uplink, wired together.
//!
//! Owns their lives and their order: what makes samples ends first, then what ships them, then the spool.
//! No globals: many agents may run in one process, each with a state directory of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use nines_shared::time::Clock;
use nines_shared::wire::LEAVE_PATH;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::asks::Listen;
use crate::assignment::{self, Poll, Work};
use crate::canary::{CANARY_EVERY, Canaries};
use crate::clock_watch::ClockWatch;
use crate::dispatch::{self, FINISH_GRACE, Kit, MAX_ASKED};
use crate::identity::{Credentials, Identity, IdentityError, Renewal};
use crate::link::{Link, Query};
use crate::probe_file::Settings;
use crate::prober::Prober;
use crate::service_manager::ServiceManager;
use crate::spool::{Spool, SpoolError};
use crate::uplink::{DRAIN_GRACE, Uplink, Vitals};

/// How long the agent takes to end, at most, apart from a disk that is slow to sync.
pub const SHUTDOWN_GRACE: Duration = FINISH_GRACE.saturating_add(DRAIN_GRACE).saturating_add(LEAVE_GRACE);
/// How long the aggregator may take to hear that we end.
const LEAVE_GRACE: Duration = Duration::from_secs(1);
/// The most bytes of what it says to that.
const MAX_LEAVE_ANSWER_BYTES: usize = 4 << 10;

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
    run_for(&ServiceManager::default(), settings, clock, stop).await
}

/// [`run`] for the service manager that started this process: it is told when the agent is up and when it ends, and
/// its watchdog is fed while the dispatch loop turns.
///
/// # Errors
/// As [`run`].
pub async fn run_for(
    manager: &ServiceManager,
    settings: Settings,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let identity = Identity::load(&settings.state)?;
    let spool = Spool::open(&settings.state, settings.spool_max_bytes)?;
    tracing::info!(
        probe = %identity.probe, region = %identity.region, aggregator = %settings.aggregator,
        spooled = spool.counts().waiting, version = env!("CARGO_PKG_VERSION"), "agent.started"
    );
    let kit = Arc::new(kit(&settings, &identity, &spool, clock));
    let ended = live(&settings, identity, kit, manager, stop).await;
    let counts = spool.counts();
    spool.close().await;
    tracing::info!(waiting = counts.waiting, committed = counts.committed, "agent.stopped");
    ended
}

/// All that goes on between the opening and the closing of the spool.
async fn live(
    settings: &Settings,
    identity: Identity,
    kit: Arc<Kit>,
    manager: &ServiceManager,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let (spool, tally) = (kit.spool.clone(), Arc::clone(&kit.tally));
    let cached = assignment::cached(&settings.state, &identity).unwrap_or_default();
    let (telling, work) = watch::channel(Arc::new(cached));
    let delivered = CancellationToken::new();
    let poll = poll(settings, &identity, &kit, telling);
    let (handing, asks) = mpsc::channel(MAX_ASKED);
    let listen = Listen { link: Link::new(&settings.aggregator, Arc::clone(&identity.tls)), handing };
    let renewal = renewal(settings, &identity, &kit);
    let tls = Arc::clone(&identity.tls);
    let uplink = uplink(settings, identity, &kit, work.clone());
    let mut polling = AbortOnDropHandle::new(tokio::spawn(poll.run()));
    let mut listening = AbortOnDropHandle::new(tokio::spawn(listen.run()));
    let mut shipping = AbortOnDropHandle::new(tokio::spawn(uplink.run(delivered.clone())));
    let mut renewing = AbortOnDropHandle::new(tokio::spawn(renewal.run()));
    let _minding = AbortOnDropHandle::new(tokio::spawn(mind(Arc::clone(&kit.canaries))));
    let accompanied = manager.accompany(|| tally.turns(), &stop);
    let dispatched = dispatch::run(kit, work, asks, stop.clone());
    tokio::select! {
        ((), ()) = async { tokio::join!(dispatched, accompanied) } => {}
        () = spool.ended() => return Err(AgentError::Broken(settings.state.clone())),
        _ = &mut polling => return Err(AgentError::Fault("assignment poll")),
        _ = &mut listening => return Err(AgentError::Fault("asks")),
        _ = &mut shipping => return Err(AgentError::Fault("uplink")),
        _ = &mut renewing => return Err(AgentError::Fault("renewal of the certificate")),
    }
    // Whoever asks after we have left would be let in again.
    polling.abort();
    listening.abort();
    renewing.abort();
    delivered.cancel();
    // A fault in the uplink's last words changes nothing: what it did not deliver is in the spool.
    let _drained = shipping.await;
    leave(settings, tls).await;
    Ok(())
}

/// Says that this process is the probe no longer, so that the next one need not wait. Where that is not heard it waits
/// a little.
async fn leave(settings: &Settings, tls: Arc<Credentials>) {
    let query = Query {
        method: Method::POST,
        path: LEAVE_PATH.to_owned(),
        encoding: None,
        body: Bytes::new(),
        patience: LEAVE_GRACE,
        max_answer: MAX_LEAVE_ANSWER_BYTES,
    };
    let mut link = Link::new(&settings.aggregator, tls);
    match timeout(LEAVE_GRACE, link.ask(query)).await {
        Ok(Ok(_answer)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "agent.left_unheard"),
        Err(_elapsed) => tracing::debug!("agent.left_unheard"),
    }
}

fn kit(settings: &Settings, identity: &Identity, spool: &Spool, clock: Clock) -> Kit {
    Kit {
        probe: identity.probe.clone(),
        region: identity.region.clone(),
        prober: Prober::new(settings.vantage.clone()).terse(),
        spool: spool.clone(),
        clock: Arc::new(ClockWatch::new(clock)),
        canaries: Arc::new(Canaries::new(settings.canaries.clone(), settings.vantage.source)),
        tally: Arc::default(),
        pulse: Arc::default(),
        pace: settings.pace,
        permits: Arc::new(Semaphore::new(dispatch::permits())),
        hurry: Arc::default(),
    }
}

fn poll(settings: &Settings, identity: &Identity, kit: &Kit, telling: watch::Sender<Arc<Work>>) -> Poll {
    Poll {
        link: Link::new(&settings.aggregator, Arc::clone(&identity.tls)),
        state: settings.state.clone(),
        us: identity.clone(),
        clock: Arc::clone(&kit.clock),
        telling,
        kept_under: identity.tls.authorities(),
    }
}

fn uplink(settings: &Settings, identity: Identity, kit: &Kit, work: watch::Receiver<Arc<Work>>) -> Uplink {
    Uplink {
        link: Link::new(&settings.aggregator, Arc::clone(&identity.tls)),
        spool: kit.spool.clone(),
        hurry: Arc::clone(&kit.hurry),
        probe: identity.probe,
        vitals: Vitals {
            boot_id: identity.tls.boot_id().to_owned(),
            tally: Arc::clone(&kit.tally),
            clock: Arc::clone(&kit.clock),
            canaries: Arc::clone(&kit.canaries),
            work,
        },
    }
}

fn renewal(settings: &Settings, identity: &Identity, kit: &Kit) -> Renewal {
    Renewal {
        aggregator: settings.aggregator.clone(),
        state: settings.state.clone(),
        papers: identity.papers.clone(),
        tls: Arc::clone(&identity.tls),
        clock: Arc::clone(&kit.clock),
    }
}

/// Asks the canaries now and then, so that the probe's health is known before anything fails.
async fn mind(canaries: Arc<Canaries>) {
    while canaries.answer().await.is_some() {
        tokio::time::sleep(CANARY_EVERY).await;
    }
}

#[cfg(test)]
mod tests;
