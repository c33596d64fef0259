//! `nines config check FILE`: every error at once, each with file, line, key and how to mend it.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, Global};
use crate::definition::Fleet;
use crate::fleet_file::{self, finding};

/// Look at the fleet file without starting anything
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  nines config check fleet.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
}

/// Say everything that is wrong with a fleet file, at once; exit 78 where something is
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines config check fleet.toml && systemctl reload nines")]
struct Check {
    /// The fleet file [default: that of --config]
    file: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// [`Failure::FleetFile`] with every error of the file.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Command::Check(Check { file }) = args.command;
    let path = file.unwrap_or_else(|| global.config.clone());
    let (fleet, warnings) = fleet_file::load_to_serve(&path)?;
    anstream::print!("{}", finding::drawn_warnings(&warnings));
    let good = anstyle::AnsiColor::Green.on_default().bold();
    anstream::println!("{good}{}{good:#} is good: {}", path.display(), summary(&fleet));
    Ok(())
}

/// How many there are of each element.
fn summary(fleet: &Fleet) -> String {
    let counted = [
        (fleet.checks.len(), "check", "checks"),
        (fleet.services.len(), "service", "services"),
        (fleet.customers.len(), "customer", "customers"),
        (fleet.regions.len(), "region", "regions"),
        (fleet.maintenance.len(), "maintenance window", "maintenance windows"),
        (fleet.channels.len(), "channel", "channels"),
        (fleet.routes.len(), "route", "routes"),
    ];
    let words = counted.map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }));
    words.join(", ")
}
