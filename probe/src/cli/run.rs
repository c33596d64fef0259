//! `nines-probe run`: the agent, until SIGTERM or SIGINT.

use std::path::PathBuf;
use std::process::ExitCode;

use nines_shared::time::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CONFIGURATION, Failure, IO, UNAVAILABLE};
use crate::agent::{self, AgentError};
use crate::probe_file::{self, ProbeFileError};
use crate::service_manager::ServiceManager;
use crate::spool::SpoolError;

/// What `nines-probe run` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The probe's file [default: /etc/nines/probe.toml for root, else probe.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// [`Failure`]: the file is wrong or this machine has not joined (78), another agent uses the state (69),
/// the disk fails (74).
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = args.config.unwrap_or_else(|| super::default_config(super::is_root()));
    let settings = probe_file::read(&config).map_err(|error| match &error {
        ProbeFileError::Unreadable { .. } | ProbeFileError::Wrong(_) => Failure::new(CONFIGURATION, error),
    })?;
    if settings.canaries.is_empty() {
        let mend = "name `canaries` in the probe's file: without them a lost uplink looks like targets that are down";
        tracing::warn!(mend, "canary.none");
    }
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone()).map_err(|error| Failure::new(UNAVAILABLE, format!("no signals: {error}")))?;
    let manager = ServiceManager::of_environment();
    let ended = agent::run_for(&manager, settings, Clock::system(), stop).await;
    ended.map_err(|error| Failure::new(code(&error), error))?;
    Ok(ExitCode::SUCCESS)
}

fn code(error: &AgentError) -> u8 {
    match error {
        AgentError::Identity(_) => CONFIGURATION,
        AgentError::Spool(SpoolError::InUse(_)) | AgentError::Fault(_) => UNAVAILABLE,
        AgentError::Spool(_) | AgentError::Broken(_) => IO,
    }
}

/// The first signal asks the agent to end; a second one, from somebody who will not wait, ends the process.
fn stop_on_signals(stop: CancellationToken) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut received = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let first = received().await;
        tracing::info!(signal = first, "agent.stopping");
        stop.cancel();
        let second = received().await;
        tracing::warn!(signal = second, "agent.killed");
        std::process::exit(i32::from(UNAVAILABLE));
    });
    Ok(())
}
