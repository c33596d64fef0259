//! The commands of `nines-probe`, one file a command; here the options they share and the way to them.
//!
//! stdout belongs to what a command answers; logs and complaints go to stderr. Exit codes are an interface:
//! 0 good, 64 usage, 69 unavailable, 74 I/O, 78 configuration; `check` has its own.

pub mod check;
pub mod join;
pub mod log;
pub mod run;

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::identity::ROOT;

/// Wrong usage: `EX_USAGE` of `sysexits.h`.
pub const USAGE: u8 = 64;
/// Something that is needed does not answer: `EX_UNAVAILABLE`.
pub const UNAVAILABLE: u8 = 69;
/// Reading or writing failed: `EX_IOERR`.
pub const IO: u8 = 74;
/// The configuration is wrong: `EX_CONFIG`.
pub const CONFIGURATION: u8 = 78;

/// The probe's file of the packaged service, which runs only where it is there.
pub const SERVICE_FILE: &str = "/etc/nines/probe.toml";

/// How many threads the agent's tasks share: one that works, and one that keeps slots in time meanwhile.
const WORKERS: usize = 2;
/// How many threads may wait for what only blocks: names of the aggregator, the assignment's file.
const BLOCKING_THREADS: usize = 4;

#[derive(Debug, Parser)]
#[command(name = "nines-probe", version, propagate_version = true, arg_required_else_help = true)]
#[command(about = "Looks at targets when they are due and never loses what it saw")]
#[command(after_help = "\
Examples:
  nines-probe join https://aggregator.example:7443 TOKEN
  nines-probe run --config probe.toml
  nines-probe check https://shop.example/

Exit codes: 0 good, 64 usage, 69 unavailable, 74 I/O, 78 configuration; check: 0 up, 1 degraded, 2 down, 3 inconclusive")]
struct Cli {
    #[command(flatten)]
    log: log::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The agent: runs every slot, keeps every sample until the aggregator has it
    #[command(after_help = "Example:\n  nines-probe run --config /etc/nines/probe.toml --log-format json")]
    Run(run::Args),
    /// Enrol this machine, once: makes its key, gets its certificate, writes the probe's file
    #[command(
        after_help = "Example:\n  sudo nines-probe join https://aggregator.example:7443 TOKEN --canary dns://192.0.2.53 --canary tcp://192.0.2.1:443\n\n`nines probe invite --region REGION` prints the line; canaries are told for this machine, so that it knows when a failure is its own."
    )]
    Join(join::Args),
    /// One check now, drawn as a waterfall of its phases
    #[command(
        disable_help_flag = true,
        after_help = "Examples:\n  nines-probe check shop.example\n  nines-probe check https://shop.example/cart -H 'Accept: text/html' --expect-status 200\n  nines-probe check dns:shop.example/MX --server udp://192.0.2.53\n  nines-probe check tls:mail.example:993 --json\n  nines-probe check shop.example --every 1s                  until Ctrl-C, then a summary\n  nines-probe check --from /etc/nines/probe.toml shop-home   as this probe runs it\n\nExit codes: 0 up, 1 degraded, 2 down, 3 inconclusive, 64 usage, 74 I/O, 78 configuration"
    )]
    Check(Box<check::Args>),
}

/// The probe's file where nobody names one.
fn default_config(is_root: bool) -> PathBuf {
    PathBuf::from(if is_root { SERVICE_FILE } else { "probe.toml" })
}

/// Whose process this is, without a call that the standard library does not have.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == ROOT)
}

/// Why a command did not do what it was asked: the message, which carries path or id and the mend, and the
/// exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Failure {
    /// `error`, with the exit code `code`.
    pub fn new(code: u8, error: impl fmt::Display) -> Self {
        Self { code, message: error.to_string() }
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
        Err(failure) => {
            anstream::eprintln!("nines-probe: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, Failure> {
    let quiet = matches!(cli.command, Command::Check(_) | Command::Join(_));
    log::start(&cli.log, if quiet { "warn" } else { "info" })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(UNAVAILABLE, format!("can't start the runtime: {error}")))?;
    let code = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(args).await,
            Command::Join(args) => join::run(args).await,
            Command::Check(args) => check::run(&args).await,
        }
    });
    // A look-up that hangs must not keep a stopped agent alive.
    runtime.shutdown_background();
    code
}

/// Prints clap's answer: help and version are good and go to stdout, the rest is wrong usage.
fn refuse(answer: &clap::Error) -> ExitCode {
    // A closed stdout (`nines-probe --help | head -1`) is no reason to complain.
    let _closed = answer.print();
    if answer.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_make_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_shows_an_example() {
        let mut cli = Cli::command();
        cli.build();
        let mut commands = vec![cli.clone()];
        commands.extend(cli.get_subcommands().filter(|sub| sub.get_name() != "help").cloned());
        assert_eq!(commands.len(), 4);
        for mut command in commands {
            let help = command.render_long_help().to_string();
            assert!(help.contains("nines-probe ") && help.contains("Example"), "{help}");
        }
    }

    #[test]
    fn logging_options_may_stand_before_and_after_the_command() {
        for line in [["--log-format", "json", "run"], ["run", "--log-format", "json"]] {
            let cli = Cli::try_parse_from([["nines-probe"].as_slice(), &line].concat()).unwrap();
            assert_eq!(cli.log.format, log::Format::Json);
        }
    }
}
