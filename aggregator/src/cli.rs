//! The commands of `nines`, one file a command; here the options they share and the way to them.
//!
//! A command is an `Args` and a `run(args, &Global) -> Result<(), Failure>`. It prints its answer to
//! stdout through `anstream`, which drops colour in a pipe and for `NO_COLOR`, and everything else to
//! stderr. A command that waits asks [`wait`] for a runtime; one that only computes never sees one.

pub mod backup;
pub mod ca;
pub mod channel;
pub mod check;
pub mod config;
pub mod export;
pub mod failure;
pub mod import;
pub mod incident;
pub mod maintenance;
pub mod probe;
mod progress;
pub mod quickstart;
pub mod report;
pub mod serve;
pub mod silence;
pub mod status;
mod table;
pub mod when;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::Failure;

use crate::definition::Fleet;
use crate::fleet_file::{self, Warning};
use crate::logging::{self, LogFormat};

#[derive(Debug, Parser)]
#[command(name = "nines", version, about, propagate_version = true, arg_required_else_help = true)]
#[command(
    about = "Uptime you can defend: probes look from many regions, nines says what was seen and how sure that is"
)]
#[command(after_help = "\
Examples:
  nines quickstart                       the whole of it on this machine, with a demo outage
  nines config check fleet.toml          every error at once, with its line
  nines check shop-home                  one check of nines.toml, now, drawn
  nines serve --config fleet.toml        the aggregator

Exit codes: 0 good, 64 usage, 69 unavailable, 74 I/O, 78 configuration; check: 0 up, 1 degraded, 2 down, 3 inconclusive")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// The fleet file
    #[arg(long, global = true, value_name = "FILE", default_value = "nines.toml")]
    pub config: PathBuf,
    /// How log lines are written to stderr
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Which log lines: a level, or levels by room such as info,nines::gateway=debug [default: info for serve, else
    /// warn]
    #[arg(long, global = true, value_name = "FILTER", env = "NINES_LOG")]
    pub log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Args),
    Backup(backup::Args),
    Serve(serve::Args),
    Check(check::Args),
    Channel(channel::Args),
    Config(config::Args),
    Status(status::Args),
    Incident(incident::Args),
    Report(report::Args),
    Maintenance(maintenance::Args),
    Silence(silence::Args),
    Probe(probe::Args),
    Ca(ca::Args),
    Export(export::Args),
    Import(import::Args),
}

impl Command {
    /// What is logged where nobody says: a server tells of its life, a command only of trouble.
    fn default_log(&self) -> &'static str {
        match self {
            Self::Quickstart(_) => "error",
            Self::Serve(_) => "info",
            Self::Backup(_)
            | Self::Ca(_)
            | Self::Channel(_)
            | Self::Check(_)
            | Self::Config(_)
            | Self::Export(_)
            | Self::Import(_)
            | Self::Incident(_)
            | Self::Maintenance(_)
            | Self::Probe(_)
            | Self::Report(_)
            | Self::Silence(_)
            | Self::Status(_) => "warn",
        }
    }

    fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(args) => return check::run(args, global),
            Self::Ca(args) => ca::run(args, global),
            Self::Quickstart(args) => quickstart::run(args, global),
            Self::Backup(args) => backup::run(args, global),
            Self::Channel(args) => channel::run(args, global),
            Self::Config(args) => config::run(args, global),
            Self::Export(args) => export::run(args, global),
            Self::Import(args) => import::run(args, global),
            Self::Incident(args) => incident::run(args, global),
            Self::Maintenance(args) => maintenance::run(args, global),
            Self::Probe(args) => probe::run(args, global),
            Self::Report(args) => report::run(args, global),
            Self::Serve(args) => serve::run(args, global),
            Self::Silence(args) => silence::run(args, global),
            Self::Status(args) => status::run(args, global),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// Reads the command line, runs the command, says what went wrong and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return refuse(&answer),
    };
    match start(cli) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn start(cli: Cli) -> Result<ExitCode, Failure> {
    let filter = cli.global.log.clone().unwrap_or_else(|| cli.command.default_log().to_owned());
    logging::start(cli.global.log_format, &filter).map_err(|error| Failure::Usage(error.to_string()))?;
    cli.command.run(&cli.global)
}

/// Prints clap's answer: help and version are good and go to stdout, the rest is wrong usage.
fn refuse(answer: &clap::Error) -> ExitCode {
    // A closed stdout (`nines --help | head -1`) is no reason to complain.
    let _closed = answer.print();
    if answer.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS }
}

impl Global {
    /// The fleet that `--config` describes; its warnings are logged.
    ///
    /// # Errors
    /// [`Failure::FleetFile`] with every error of the file.
    pub fn fleet(&self) -> Result<Fleet, Failure> {
        Ok(told(fleet_file::load(&self.config)?))
    }

    /// [`Global::fleet`] for whoever serves it: secrets that can't be had here are warned of too.
    ///
    /// # Errors
    /// As [`Global::fleet`].
    pub fn fleet_to_serve(&self) -> Result<Fleet, Failure> {
        Ok(told(fleet_file::load_to_serve(&self.config)?))
    }
}

/// The fleet, once its warnings are logged.
fn told((fleet, warnings): (Fleet, Vec<Warning>)) -> Fleet {
    for warning in &warnings {
        tracing::warn!(place = %warning.place(), key = warning.key, "fleet_file.warning: {}", warning.message);
    }
    fleet
}

/// Prints `value` to stdout as JSON, for programs.
///
/// # Errors
/// [`Failure::Io`] where it can't be written as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Io(error.to_string()))?;
    anstream::println!("{text}");
    Ok(())
}

/// Runs what waits to its end, on a runtime of its own.
///
/// # Errors
/// What `future` gives; [`Failure::Unavailable`] where the machine gives no threads.
pub fn wait<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unavailable(format!("can't start the runtime: {error}")))?;
    runtime.block_on(future)
}

/// Runs `nines` with `arguments` as if typed, for tests that need no process of their own.
///
/// # Errors
/// As the command's; [`Failure::Usage`] where clap refuses the arguments.
pub fn run_with(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<(), Failure> {
    start(Cli::try_parse_from(arguments).map_err(|error| Failure::Usage(error.to_string()))?).map(|_code| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// `command` and every one below it, with its path.
    fn all(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
        let path = format!("{path} {}", command.get_name());
        let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        let below: Vec<_> = below.flat_map(|sub| all(sub, &path)).collect();
        std::iter::once((path, command.clone())).chain(below).collect()
    }

    #[test]
    fn the_commands_make_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_and_group_shows_an_example() {
        for (path, mut command) in all(&Cli::command(), "") {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{path} has no example in its help");
        }
    }

    #[test]
    fn wrong_usage_is_told_from_a_wish_for_help() {
        let wrong = Cli::try_parse_from(["nines", "confg"]).unwrap_err();
        assert_eq!(format!("{:?}", refuse(&wrong)), format!("{:?}", ExitCode::from(64)));
        let help = Cli::try_parse_from(["nines", "--help"]).unwrap_err();
        assert_eq!(format!("{:?}", refuse(&help)), format!("{:?}", ExitCode::SUCCESS));
    }
}
