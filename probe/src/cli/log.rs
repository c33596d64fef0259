//! Logging: readable on a terminal, one JSON object a line on request, always to stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::{Failure, USAGE};

/// How and what is logged.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How log lines are written to stderr
    #[arg(long = "log-format", global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Which log lines: a level, or levels by room such as info,nines_probe::uplink=debug [default: info for run, else
    /// warn]
    #[arg(long = "log", global = true, value_name = "FILTER", env = "NINES_LOG")]
    pub filter: Option<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the rest of the process; `otherwise` is the filter where nobody says.
///
/// # Errors
/// Usage, where the filter is none.
pub fn start(options: &Options, otherwise: &str) -> Result<(), Failure> {
    let filter = options.filter.as_deref().unwrap_or(otherwise);
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        let mend = "write a level such as debug, or levels by room such as info,nines_probe::uplink=debug";
        Failure::new(USAGE, format!("--log {filter:?} is not a filter: {error}; {mend}"))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Only tests, which share a process, come here twice; the first subscriber serves them all.
    let _started_before = match options.format {
        Format::Text => lines.with_ansi(colours).try_init(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    Ok(())
}
