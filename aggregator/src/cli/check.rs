//! `nines check`: a check of the fleet, once and now, from this machine.
//!
//! Drawn by the probe's own code (`nines_probe::cli::check`); here is only the way from the fleet file to the check.
//! The operator asked for it at the keyboard, so every address may be contacted. Secrets are read as the server reads
//! them.

use std::process::ExitCode;
use std::sync::Arc;

use nines_probe::cli::check::{self, How};

use super::{Failure, Global, failure, wait};
use crate::secret_values;

/// Run a check of the fleet file once, now, from this machine, and draw what it saw
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines check shop-home
  nines check shop-home --repeat 20 --every 500ms
  nines check shop-cert --config fleet.toml --json

Exit codes: 0 up, 1 degraded, 2 down, 3 inconclusive, 64 usage, 74 I/O, 78 configuration")]
pub struct Args {
    /// The check's id
    check: String,
    #[command(flatten)]
    how: How,
}

/// Runs it. The exit code says the outcome: 0 up, 1 degraded, 2 down, 3 inconclusive.
///
/// # Errors
/// [`Failure::Usage`] where there is no such check, [`Failure::FleetFile`] with every error of the file,
/// [`Failure::Io`] where standard output fails.
pub fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let fleet = global.fleet()?;
    let id = args.check.as_str();
    let check = fleet
        .checks
        .iter()
        .find(|check| check.id.as_str() == id)
        .cloned()
        .ok_or_else(|| Failure::Usage(check::unknown(id, fleet.checks.iter().map(|check| check.id.as_str()))))?;
    let secrets = Arc::new(secret_values::of_checks(std::slice::from_ref(&check)));
    wait(async move {
        let outcome = check::look(check, check::anywhere(), secrets, &args.how).await.map_err(of_probe)?;
        Ok(check::exit_code(outcome))
    })
}

/// A failure of the probe's code, as one of ours.
fn of_probe(failed: nines_probe::cli::Failure) -> Failure {
    match failed.code {
        failure::USAGE => Failure::Usage(failed.message),
        failure::IO => Failure::Io(failed.message),
        failure::CONFIGURATION => Failure::Configuration(failed.message),
        _ => Failure::Unavailable(failed.message),
    }
}
