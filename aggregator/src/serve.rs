//! `nines serve`: wires the rooms together, and takes them down in order.

use std::net::SocketAddr;
use std::path::PathBuf;

use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Clock;

use crate::definition::Fleet;
use crate::running::Running;

/// What an aggregator is started with, beside its fleet.
#[derive(Clone, Debug)]
pub struct Options {
    /// What time it is.
    pub clock: Clock,
    /// Re-read on SIGHUP and on change; `None`: the fleet changes only by [`Served::reload`].
    pub fleet_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::system(), fleet_file: None }
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
}

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
        source: std::io::Error,
    },
}

/// A probe may join: what it has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its name.
    pub probe: ProbeId,
    /// Its region.
    pub region: RegionId,
    /// Where it reaches the aggregator, such as `https://127.0.0.1:7443`.
    pub url: String,
    /// `SECRET.CA_SHA256`; good once, for a day.
    pub token: String,
}

/// Starts an aggregator in this process: opens the store, loads `fleet` into it, binds both addresses (port 0
/// is the kernel's choice) and starts every part. Runs until [`Served::stop`].
///
/// # Errors
/// [`ServeError`] where the store, the definitions, the authority or an address can't be had.
pub async fn start(fleet: Fleet, options: Options) -> Result<Served, ServeError> {
    let (_fleet, _options) = (fleet, options);
    unreachable!("wired as soon as the store is there")
}

impl Served {
    /// Lets a probe join `region`, under `name` or the region's next free name.
    ///
    /// # Errors
    /// [`ServeError`] where the region is unknown, the name taken, or the store fails.
    pub async fn invite(&self, region: RegionId, name: Option<ProbeId>) -> Result<Invitation, ServeError> {
        unreachable!("{region} {name:?}")
    }

    /// Puts `fleet` in force.
    ///
    /// # Errors
    /// [`ServeError`] where the store does not take it; then the old one goes on.
    pub async fn reload(&self, fleet: Fleet) -> Result<(), ServeError> {
        unreachable!("{}", fleet.environment)
    }

    /// Waits until the aggregator stops: told to, or because a part of it ended.
    pub async fn wait(&self) {
        self.running.stop.cancelled().await;
    }

    /// Stops accepting, drains, commits what is left, within a grace.
    pub async fn stop(self) {
        self.running.stop.cancel();
    }
}
