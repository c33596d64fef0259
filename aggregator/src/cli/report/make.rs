//! `nines report` itself: one report, or those of all customers.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nines_shared::id::{CustomerId, ServiceId};
use nines_shared::time::{Clock, Span, Timestamp};

use crate::cli::when::When;
use crate::cli::{Failure, Global, progress};
use crate::control::Carrier;
use crate::report::csv::{self, Table};
use crate::report::life::{self, Standing};
use crate::report::sign::Key;
use crate::report::what_if::{self, Otherwise};
use crate::report::{Format, Report, ReportRequest, Time, files};
use crate::store::Store;
use crate::uptime::calendar;

#[derive(Debug, clap::Args)]
pub(super) struct Make {
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
    /// This frozen revision of the month, instead of the last one
    #[arg(long, value_name = "N", requires = "month", conflicts_with = "service")]
    revision: Option<u32>,
    /// The reports of all customers, in every format, into the folder --out
    #[arg(long, requires = "month", conflicts_with_all = ["customer", "service", "format", "revision"])]
    all_customers: bool,
    /// What if: the same samples under another policy, beside what the contract says. quorum=N, method=…, slice=…,
    /// unknown=…, degraded=…, min_outage=…
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "all_customers")]
    policy: Vec<Otherwise>,
    /// How it is written [default: what the ending of --out says, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Of a report as CSV, which table [default: services]
    #[arg(long, value_enum, value_name = "TABLE", conflicts_with = "all_customers")]
    table: Option<Table>,
    /// The file to write, with its signature beside it; - for stdout. With --format csv a folder, which gets every
    /// table
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

pub(super) fn run(args: Make, global: &Global) -> Result<(), Failure> {
    let now = Clock::system().now();
    if let (true, Some(month)) = (args.all_customers, &args.month) {
        return super::all::run(month, &args.out, global, now);
    }
    let (format, time) = (args.format()?, args.time(now)?);
    let label = args.label(&time);
    let fleet = global.fleet()?;
    let environment = fleet.environment.clone();
    let request = ReportRequest { environment, time, customer: args.customer, service: args.service };
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let spinner = progress::working("reading samples");
    if let Time::Month(month) = &request.time
        && let Some(customer) = store.read_blocking(|conn| Ok(life::to_be_frozen(conn, &request, now)))??
    {
        super::freeze(&Carrier::new(&fleet), customer, month);
    }
    let mut standing = store.read_blocking(|conn| Ok(life::standing(conn, &request, args.revision, now)))??;
    if let (Time::Month(month), None) = (&request.time, &request.service) {
        super::tell_due(&standing, month);
    }
    if !args.policy.is_empty() {
        let report = store.read_blocking(|conn| Ok(what_if::build(conn, &standing.report, &args.policy)))??;
        // It is nobody's contract: it has no bytes on record.
        standing = Standing { report, kept: None, due: None };
    }
    spinner.finish_and_clear();
    let report = &standing.report;
    // It is nobody's contract: it has no signature.
    let key = || report.what_if.is_none().then(|| Key::at(&fleet.report.key(&fleet.aggregator))).transpose();
    if is_folder(&args.out) {
        return tables(&args.out, &files::stem(report, &label), report, key()?.as_ref());
    }
    let bytes = match args.table {
        Some(table) => csv::render(&standing.report, table).into_bytes(),
        None => standing.written(format, &fleet.report.look(&standing.report.customer)),
    };
    if crate::archive::is_stdio(&args.out) {
        return print(&bytes).map_err(|error| Failure::Io(format!("stdout: {error}")));
    }
    let written = match key()? {
        Some(key) => files::write_signed(&args.out, &bytes, &files::comment(report), &key),
        None => files::write(&args.out, &bytes),
    };
    written.map_err(|error| Failure::Io(format!("{}: {error}", args.out.display())))
}

impl Make {
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

    /// Of which time and service the tables in a folder are, for their names.
    fn label(&self, time: &Time) -> String {
        let of = match time {
            Time::Month(month) => month.clone(),
            Time::Window(Span { from, to }) => format!("{}-{}", compact(*from), compact(*to)),
        };
        let of = self.service.as_ref().map_or(of.clone(), |service| format!("{service}-{of}"));
        if self.policy.is_empty() { of } else { format!("{of}-what-if") }
    }

    /// As asked for, else as the file's ending says. An ending that says something else is not written over with
    /// what it does not say.
    fn format(&self) -> Result<Format, Failure> {
        if is_folder(&self.out) {
            return match (self.format, self.table) {
                (Some(Format::Csv), None) => Ok(Format::Csv),
                (Some(Format::Json | Format::Html | Format::Pdf | Format::Csv | Format::Md) | None, _) => {
                    let message = "--out is a folder: add --format csv for every table, or name a file in it";
                    Err(Failure::Usage(message.to_owned()))
                }
            };
        }
        let said = self.format.or_else(|| Format::of_ending(&self.out));
        match (said, self.out.extension()) {
            (Some(format), _) if self.table.is_some() && format != Format::Csv => {
                Err(Failure::Usage("--table is for CSV: --format csv, or --out FILE.csv".to_owned()))
            }
            (Some(format), _) => Ok(format),
            (None, None) if self.table.is_some() => Ok(Format::Csv),
            (None, None) => Ok(Format::default()),
            (None, Some(ending)) => Err(Failure::Usage(format!(
                "a report is not written as {}: --out FILE.json, .html, .pdf, .csv or .md, or say which with --format",
                ending.display()
            ))),
        }
    }
}

/// Whether `path` names a folder: one that is there, or one that ends as folders do.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// `20261101T000000Z`.
fn compact(at: Timestamp) -> String {
    calendar::utc(at).replace(['-', ':'], "")
}

/// Writes every table into `folder`.
fn tables(folder: &Path, stem: &str, report: &Report, key: Option<&Key>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Io(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    for written in files::write_tables(folder, stem, report, key).map_err(failed)? {
        anstream::println!("{}", folder.join(written.file).display());
    }
    Ok(())
}

fn print(bytes: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(bytes) {
        // Whoever reads has seen enough: `nines report … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run_with;

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
        for ending in ["docx", "xlsx", "txt"] {
            let file = folder.path().join(format!("x.{ending}"));
            let message = refused(&["--from", "-1h", "--out", file.to_str().unwrap()]);
            assert!(message.contains(ending) && message.contains("json") && message.contains("html"), "{message}");
            assert!(!file.exists());
        }
    }

    #[test]
    fn a_table_is_asked_of_csv_alone() {
        let message = refused(&["--from", "-1h", "--table", "days", "--out", "days.pdf"]);
        assert!(message.contains("--table") && message.contains("csv"), "{message}");
    }

    #[test]
    fn a_folder_takes_tables_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        for more in [&["--format", "pdf"][..], &[], &["--format", "csv", "--table", "days"]] {
            let message = refused(&[&["--from", "-1h", "--out", folder], more].concat());
            assert!(message.contains("--format csv"), "{message}");
        }
    }

    #[test]
    fn without_a_window_both_ways_to_name_one_are_told() {
        let message = refused(&[]);
        assert!(["--month", "--from", "--to"].iter().all(|way| message.contains(way)), "{message}");
    }

    #[test]
    fn reports_of_all_customers_need_a_month_and_a_folder() {
        assert!(refused(&["--all-customers"]).contains("--month"));
        assert!(refused(&["--all-customers", "--month", "2026-10"]).contains("--out"));
    }
}
