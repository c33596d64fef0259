//! `nines serve`: the aggregator, until it is told to stop.

use std::sync::Arc;

use nines_probe::service_manager::ServiceManager;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Global, wait};
use crate::serve::{self, Options, ServeError};

/// Run the aggregator: the probes' door, the web side, judging and alerting
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  nines serve --config fleet.toml --log-format json

It stops cleanly on SIGTERM and SIGINT. The fleet file is read again on SIGHUP and when it changes;
one with errors is refused whole and the old one goes on.")]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// [`Failure`] where it can't start, or a part of it ends unasked.
pub fn run(_args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet_to_serve()?;
    let options = Options { fleet_file: Some(global.config.clone()), ..Options::default() };
    wait(async {
        // Before anything is up: a signal that comes while it starts is not lost.
        let told = told_to_stop()?;
        let mut served = serve::start(fleet, options).await?;
        let (counters, stop) = (Arc::clone(&served.running.counters), served.running.stop.clone());
        let manager = ServiceManager::of_environment();
        let accompanied = tokio::spawn(async move { manager.accompany(|| counters.rounds.get(), &stop).await });
        let ended = tokio::select! {
            () = told => Ok(()),
            ended = served.wait() => ended,
        };
        let stopped = served.stop().await;
        if let Err(error) = accompanied.await {
            tracing::warn!(%error, "serve.manager_not_told");
        }
        Ok(ended.and(stopped)?)
    })
}

/// Resolves on SIGTERM or SIGINT.
fn told_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::Unavailable(format!("signals can't be caught: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _told = terminate.recv() => tracing::info!(signal = "SIGTERM", "serve.stopping"),
            _told = interrupt.recv() => tracing::info!(signal = "SIGINT", "serve.stopping"),
        }
    })
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Store(error) => error.into(),
            ServeError::Refused(refused) => Self::Usage(refused.to_string()),
            ServeError::Authority(error) => Self::Io(error.to_string()),
            ServeError::ReportKey(error) => error.into(),
            ServeError::Listen { .. } | ServeError::PartEnded { .. } | ServeError::GraceOver => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}
