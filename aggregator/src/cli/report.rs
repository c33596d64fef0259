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
    #[arg(long, value_name = "YYYY-MM", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
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
    let fleet = global.fleet()?;
    let now = Clock::system().now();
    let format = args.format.or_else(|| Format::of_ending(&args.out)).unwrap_or_default();
    let request = ReportRequest {
        environment: fleet.environment,
        time: args.time(now),
        customer: args.customer,
        service: args.service,
    };
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let spinner = progress::working("reading samples");
    let report = store.read_blocking(|conn| Ok(report::build(conn, &request, now)))??;
    spinner.finish_and_clear();
    write(&args.out, &report::render(&report, format))
        .map_err(|error| Failure::Io(format!("{}: {error}", args.out.display())))
}

impl Args {
    fn time(&self, now: Timestamp) -> Time {
        match (&self.month, self.from) {
            (Some(month), _) => Time::Month(month.clone()),
            (None, from) => {
                let from = from.map_or(now, |from| from.at(now));
                Time::Window(Span { from, to: self.to.map_or(now, |to| to.at(now)) })
            }
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
            ReportError::Calendar(_)
            | ReportError::UnknownCustomer { .. }
            | ReportError::UnknownService { .. }
            | ReportError::WhoseReport { .. }
            | ReportError::EmptyWindow => Self::Usage(error.to_string()),
        }
    }
}
