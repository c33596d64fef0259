//! `nines report`: what was delivered to a customer, in a form that can be checked.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nines_shared::id::{CustomerId, ServiceId};
use nines_shared::time::{Clock, Span, Timestamp};

use super::when::When;
use super::{Failure, Global, progress};
use crate::report::{self, Format, ReportError, ReportRequest, Time};
use crate::store::Store;

/// Write the report of a month, or of any window: what was promised, what was delivered, and how sure that is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines report --month 2026-10 --format html --out october.html
  nines report --service shop --from -24h
  nines report --customer acme --from 2026-10-01T00:00:00Z --to 2026-10-08T00:00:00Z | jq .services[].sla")]
pub struct Args {
    /// A calendar month in the customer's time zone, such as 2026-10
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    /// From then on: RFC 3339, or how long ago, such as -24h
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    from: Option<When>,
    /// Up to then [default: now]
    #[arg(long, value_name = "T", allow_hyphen_values = true, requires = "from")]
    to: Option<When>,
    /// Whose report; may be left out where there is one customer only
    #[arg(long, value_name = "ID")]
    customer: Option<CustomerId>,
    /// Only this service
    #[arg(long, value_name = "ID")]
    service: Option<ServiceId>,
    /// How it is written [default: what the ending of --out says, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// The file to write; - for stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] for a window, customer or service that makes no sense, [`Failure::Unavailable`] where there is
/// nothing to report, [`Failure::Io`] where the file can't be written.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let now = Clock::system().now();
    let (format, time) = (args.format()?, args.time(now)?);
    let fleet = global.fleet()?;
    let request =
        ReportRequest { environment: fleet.environment, time, customer: args.customer, service: args.service };
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let spinner = progress::working("reading samples");
    let report = store.read_blocking(|conn| Ok(report::build(conn, &request, now)))??;
    spinner.finish_and_clear();
    write(&args.out, &report::render(&report, format))
        .map_err(|error| Failure::Io(format!("{}: {error}", args.out.display())))
}

impl Args {
    fn time(&self, now: Timestamp) -> Result<Time, Failure> {
        match (&self.month, self.from) {
            (Some(month), _) => Ok(Time::Month(month.clone())),
            (None, Some(from)) => {
                Ok(Time::Window(Span { from: from.at(now), to: self.to.map_or(now, |to| to.at(now)) }))
            }
            (None, None) => {
                let message = "a report of when? --month YYYY-MM, or --from T [--to T], such as --from -24h";
                Err(Failure::Usage(message.to_owned()))
            }
        }
    }

    /// As asked for, else as the file's ending says. An ending that says something else is not written over with
    /// what it does not say.
    fn format(&self) -> Result<Format, Failure> {
        let said = self.format.or_else(|| Format::of_ending(&self.out));
        match (said, self.out.extension()) {
            (Some(format), _) => Ok(format),
            (None, None) => Ok(Format::default()),
            (None, Some(ending)) => Err(Failure::Usage(format!(
                "a report is not written as {}: --out FILE.json or FILE.html, or say which with --format",
                ending.display()
            ))),
        }
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if !crate::archive::is_stdio(path) {
        return fs::write(path, text);
    }
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough: `nines report … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            ReportError::NoService(_) => Self::Unavailable(error.to_string()),
            ReportError::Basis(_) => Self::Io(error.to_string()),
            ReportError::Calendar(_)
            | ReportError::UnknownCustomer { .. }
            | ReportError::UnknownService { .. }
            | ReportError::WhoseReport { .. }
            | ReportError::NoRevision { .. }
            | ReportError::EmptyWindow => Self::Usage(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_with;
    use super::*;

    fn refused(arguments: &[&str]) -> String {
        let typed = ["nines", "report"].iter().chain(arguments);
        match run_with(typed) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_ending_that_is_not_written_is_wrong_usage() {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["pdf", "csv", "md"] {
            let file = folder.path().join(format!("x.{ending}"));
            let message = refused(&["--from", "-1h", "--out", file.to_str().unwrap()]);
            assert!(message.contains(ending) && message.contains("json") && message.contains("html"), "{message}");
            assert!(!file.exists());
        }
    }

    #[test]
    fn without_a_window_both_ways_to_name_one_are_told() {
        let message = refused(&[]);
        assert!(["--month", "--from", "--to"].iter().all(|way| message.contains(way)), "{message}");
    }
}
