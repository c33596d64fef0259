//! `nines serve`: wires the rooms together, and takes them down in order.
//!
//! Up: both addresses are bound before anything is written, then the store, the definitions, the authority,
//! and last the parts that talk. Down: the parts stop accepting and finish what they are at, then the
//! store commits what is left and closes. A part that ends unasked takes all down: an aggregator that
//! does half of its work would be taken for one that does all of it.

mod life;
mod look;
mod reload;
mod reports;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::control::{self, Command, Context, Socket};
use crate::counters::Counters;
use crate::definition::Fleet;
use crate::gateway::authority::{Authority, AuthorityError};
use crate::gateway::{self, Limits};
use crate::report::sign::{Key, KeyError};
use crate::running::Running;
use crate::store::{Store, StoreError, definitions, soundness};
use crate::{alert, evaluator, web};

pub use crate::control::Invitation;
use reload::Reloader;

/// How long the parts may take to finish when the aggregator stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// What an aggregator is started with, beside its fleet.
#[derive(Clone, Debug)]
pub struct Options {
    /// What time it is.
    pub clock: Clock,
    /// Re-read on SIGHUP and on change; `None`: the fleet changes only by [`Served::reload`].
    pub fleet_file: Option<PathBuf>,
    /// The limits of the probes' door.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::system(), fleet_file: None, limits: Limits::default() }
    }
}

/// An aggregator that runs in this process.
#[derive(Debug)]
pub struct Served {
    /// What its parts hold.
    pub running: Running,
    /// Where probes reach it: the address bound, which tells the port where the fleet says 0.
    pub probes_addr: SocketAddr,
    /// Where people reach it.
    pub web_addr: SocketAddr,
    authority: Arc<Authority>,
    reloader: Arc<Reloader>,
    parts: JoinSet<Ended>,
}

/// Which part ended, and why where it says so.
type Ended = (&'static str, Result<(), String>);

/// Why an aggregator can't start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address can't be listened on.
    #[error("can't listen on {address} for {whom}: {source}; set another address in [aggregator]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Who was to talk there.
        whom: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The database can't be opened or does not take what it is given.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The private authority can't be made or read.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The key of reports can't be made or read.
    #[error(transparent)]
    ReportKey(#[from] KeyError),
    /// A command makes no sense.
    #[error(transparent)]
    Refused(#[from] control::Refused),
    /// A part ended although it was not to.
    #[error("{part} ended unasked: {why}")]
    PartEnded {
        /// Which.
        part: &'static str,
        /// Why.
        why: String,
    },
    /// The parts did not finish in time; what they were at is cut off. Nothing acknowledged is lost.
    #[error("not everything finished within {} s; it was cut off", SHUTDOWN_GRACE.as_secs())]
    GraceOver,
}

/// Starts an aggregator in this process: opens the store, loads `fleet` into it, binds both addresses (port 0
/// is the kernel's choice) and starts every part. Runs until [`Served::stop`].
///
/// # Errors
/// [`ServeError`] where the store, the definitions, the authority or an address can't be had.
pub async fn start(fleet: Fleet, options: Options) -> Result<Served, ServeError> {
    let (probes, probes_addr) = listen(fleet.aggregator.probes, "probes").await?;
    let (web, web_addr) = listen(fleet.aggregator.web, "people").await?;
    let (store, looked) = open(&fleet).await?;
    let now = options.clock.now();
    let authority = Arc::new(Authority::open(&store, now).await?);
    let loading = fleet.clone();
    let changes = store.write(move |tx| definitions::load(tx, &loading, now)).await?;
    tracing::info!(
        added = changes.added.len(),
        changed = changes.changed.len(),
        removed = changes.removed.len(),
        "fleet.loaded"
    );
    let key = fleet.report.key(&fleet.aggregator);
    let key = tokio::task::spawn_blocking(move || Key::at(&key)).await.map_err(|_panicked| StoreError::Panicked)??;
    tracing::info!(key = %key.public(), "reports.signed_with");
    let (fleet_in_force, fleet) = watch::channel(Arc::new(reload::with_secrets(fleet).await));
    let running = Running {
        store,
        fleet,
        clock: options.clock,
        arrivals: Arc::new(watch::Sender::new(0)),
        news: Arc::new(watch::Sender::new(0)),
        counters: Arc::new(Counters::default()),
        stop: CancellationToken::new(),
    };
    let reloader = Arc::new(Reloader::new(running.clone(), fleet_in_force));
    let mut served = Served { running, probes_addr, web_addr, authority, reloader, parts: JoinSet::new() };
    served.start_parts((probes, web), options.limits, options.fleet_file);
    served.start_look(looked);
    tracing::info!(probes = %probes_addr, web = %web_addr, "serve.listening");
    Ok(served)
}

async fn listen(address: SocketAddr, whom: &'static str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, whom, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Opening may wait for the disk, and brings an older database forward; a small one is looked through before. Tells
/// whether it was.
async fn open(fleet: &Fleet) -> Result<(Store, bool), StoreError> {
    let path = fleet.aggregator.database.clone();
    let open = move || {
        let looked = soundness::look_first(&path)?;
        Ok((Store::open(&path)?, looked))
    };
    tokio::task::spawn_blocking(open).await.unwrap_or(Err(StoreError::Panicked))
}

impl Served {
    fn start_parts(&mut self, (probes, web): (TcpListener, TcpListener), limits: Limits, fleet_file: Option<PathBuf>) {
        let (running, authority) = (self.running.clone(), self.authority.clone());
        self.part("the probes' door", async move {
            gateway::run(probes, running, authority, limits).await.map_err(|error| error.to_string())
        });
        let running = self.running.clone();
        self.part("the web side", async move { web::run(web, running).await.map_err(|error| error.to_string()) });
        let running = self.running.clone();
        self.part("the evaluator", async move {
            evaluator::run(running).await;
            Ok(())
        });
        let running = self.running.clone();
        self.part("the outbox", async move {
            alert::outbox::run(running).await;
            Ok(())
        });
        let running = self.running.clone();
        self.part("the follower of incidents", async move {
            alert::follow::run(running).await;
            Ok(())
        });
        self.start_life();
        self.start_control();
        self.start_reports();
        if let Some(file) = fleet_file {
            let reloader = self.reloader.clone();
            self.part("the fleet file's watch", async move { reload::watch(&reloader, &file).await });
        }
    }

    /// A large database is looked through while it is served.
    fn start_look(&mut self, looked: bool) {
        let running = self.running.clone();
        self.part("the look through the database", async move {
            look::through(running, looked).await;
            Ok(())
        });
    }

    /// Signs of life, for ourselves and for others.
    fn start_life(&mut self) {
        let running = self.running.clone();
        self.part("the sign of life", async move {
            life::beat(running).await;
            Ok(())
        });
        let (running, authority, probes_addr) = (self.running.clone(), self.authority.clone(), self.probes_addr);
        self.part("the heartbeat", async move {
            life::heartbeat(running, authority, probes_addr).await;
            Ok(())
        });
    }

    /// Months turn final by themselves.
    fn start_reports(&mut self) {
        let (running, authority, probes_addr) = (self.running.clone(), self.authority.clone(), self.probes_addr);
        let context = {
            let running = running.clone();
            move || context(&running, &authority, probes_addr)
        };
        self.part("the reports", async move {
            reports::run(running, context).await;
            Ok(())
        });
    }

    /// Commands reach a running aggregator only here; without it they say so, and probes and people go on.
    fn start_control(&mut self) {
        let socket = match Socket::bind(self.running.store.path()) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "control.not_listening"),
        };
        let (running, authority, probes_addr) = (self.running.clone(), self.authority.clone(), self.probes_addr);
        let context = {
            let running = running.clone();
            move || context(&running, &authority, probes_addr)
        };
        self.part("the control socket", async move {
            socket.serve(running, context).await;
            Ok(())
        });
    }

    fn part(&mut self, name: &'static str, part: impl Future<Output = Result<(), String>> + Send + 'static) {
        self.parts.spawn(async move { (name, part.await) });
    }

    /// Lets a probe join `region`, under `name` or the region's next free name.
    ///
    /// # Errors
    /// [`ServeError`] where the region is unknown, the name taken, or the store fails.
    pub async fn invite(&self, region: RegionId, name: Option<ProbeId>) -> Result<Invitation, ServeError> {
        let context = context(&self.running, &self.authority, self.probes_addr);
        let answer = control::done(Command::Invite { region, name }, &self.running, context).await??;
        let control::Answer::Invited(invitation) = answer else {
            unreachable!("an invitation is answered with an invitation")
        };
        Ok(invitation)
    }

    /// Puts `fleet` in force. What it says of addresses and of the database counts from the next start on.
    ///
    /// # Errors
    /// [`ServeError`] where the store does not take it; then the old one goes on.
    pub async fn reload(&self, fleet: Fleet) -> Result<(), ServeError> {
        Ok(self.reloader.reload(fleet).await?)
    }

    /// Waits until the aggregator is to stop: it was told to, or a part of it ended.
    ///
    /// # Errors
    /// [`ServeError::PartEnded`]; [`Served::stop`] takes the others down.
    pub async fn wait(&mut self) -> Result<(), ServeError> {
        tokio::select! {
            () = self.running.stop.cancelled() => Ok(()),
            ended = self.parts.join_next() => unasked(ended, &self.running.stop),
        }
    }

    /// Stops accepting, finishes what is under way within [`SHUTDOWN_GRACE`], commits what is left.
    ///
    /// # Errors
    /// [`ServeError::GraceOver`] where not everything finished, [`ServeError::PartEnded`] where a part failed.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        self.running.stop.cancel();
        let finished = timeout(SHUTDOWN_GRACE, async {
            let mut result = Ok(());
            while let Some(ended) = self.parts.join_next().await {
                result = result.and(failed(ended));
            }
            result
        });
        let result = finished.await.unwrap_or(Err(ServeError::GraceOver));
        self.parts.shutdown().await;
        // The last of the store waits for the writer's last commit.
        let closing = tokio::task::spawn_blocking(move || drop(self));
        if closing.await.is_err() {
            tracing::error!("serve.closing_panicked");
        }
        tracing::info!("serve.stopped");
        result
    }
}

fn context(running: &Running, authority: &Arc<Authority>, probes_addr: SocketAddr) -> Context {
    let fleet = running.fleet.borrow().clone();
    Context { fleet, probes_addr, authority: authority.clone(), now: running.clock.now() }
}

/// A part that ended before it was told to is an error, however it ended.
fn unasked(ended: Option<Result<Ended, JoinError>>, stop: &CancellationToken) -> Result<(), ServeError> {
    let part = match &ended {
        Some(Ok((part, Ok(())))) if !stop.is_cancelled() => part,
        Some(Ok(_) | Err(_)) | None => return ended.map_or(Ok(()), failed),
    };
    Err(ServeError::PartEnded { part, why: "it gave no reason".to_owned() })
}

fn failed(ended: Result<Ended, JoinError>) -> Result<(), ServeError> {
    match ended {
        Ok((_part, Ok(()))) => Ok(()),
        Ok((part, Err(why))) => Err(ServeError::PartEnded { part, why }),
        Err(panicked) => Err(ServeError::PartEnded { part: "a part", why: panicked.to_string() }),
    }
}
