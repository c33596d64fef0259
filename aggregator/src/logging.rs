//! Logging: readable on a terminal, one JSON object a line on request, always to stderr.
//!
//! stdout belongs to what a command answers, so that it can be piped. Messages are constant, dotted and
//! event-like (`sample.taken`); everything else is a field. A sample's `trace_id` is a field wherever one
//! sample is handled, so one `grep` follows it from slot to report.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The filter is not of the form `LEVEL` or `TARGET=LEVEL,…`.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log {filter:?} is not a filter: {source}; write a level such as debug, or levels by room such as info,nines::gateway=debug"
)]
pub struct FilterError {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging for the rest of the process. A second call changes nothing.
///
/// # Errors
/// [`FilterError`] where `filter` can't be read.
pub fn start(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| FilterError { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(io::stderr);
    // Only tests, which share a process, come here twice; the first subscriber serves them all.
    let _started_before = match format {
        LogFormat::Text => lines.with_ansi(colours()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    Ok(())
}

/// Colour for people who look at it, and not for those who asked for none (<https://no-color.org>).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_with_an_example() {
        let error = start(LogFormat::Json, "nines=loudest").unwrap_err().to_string();
        assert!(error.contains("nines=loudest") && error.contains("info,nines::gateway=debug"), "{error}");
    }
}
