//! `nines report`: what was delivered to a customer, in a form that can be checked; frozen, restated, signed, verified.

mod all;
mod freeze;
mod key;
mod list;
mod make;
mod restate;
mod verify;

use nines_shared::id::CustomerId;

use super::{Failure, Global};
use crate::control::{Carrier, Command as Control};
use crate::report::ReportError;
use crate::report::life::Standing;

/// Write the report of a month, or of any window: what was promised, what was delivered, and how sure that is
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  nines report --month 2026-10 --out october.pdf
  nines report --month 2026-10 --table days --out days.csv
  nines report --month 2026-10 --format csv --out tables/
  nines report --service shop --from -24h
  nines report --customer acme --from 2026-10-01T00:00:00Z --to 2026-10-08T00:00:00Z | jq .services[].sla
  nines report --all-customers --month 2026-10 --out reports/
  nines report --month 2026-10 --policy unknown=down --policy quorum=1   what would have been, beside what is
  nines report verify acme-2026-10-r1.json --samples october.ndjson.zst

A month that is complete is frozen when its report is made first; from then on the very same bytes are given out. What
comes later makes a further revision, once somebody asks for it: nines report restate."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: make::Make,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Freeze(freeze::Args),
    Restate(restate::Args),
    Verify(verify::Args),
    Key(key::Args),
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] for a window, customer or service that makes no sense, [`Failure::Unavailable`] where there is
/// nothing to report, [`Failure::Io`] where a file can't be written, [`Failure::Differs`] where a report is not true.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.command {
        None => make::run(args.make, global),
        Some(Command::List(args)) => list::run(args, global),
        Some(Command::Freeze(args)) => freeze::run(args, global),
        Some(Command::Restate(args)) => restate::run(args, global),
        Some(Command::Verify(args)) => verify::run(args),
        Some(Command::Key(args)) => key::run(args, global),
    }
}

/// Freezes a month that is complete. Where that can't be done, its report is preliminary.
fn freeze(carrier: &Carrier<'_>, customer: CustomerId, month: &str) {
    let command = Control::FreezeReport { customer: customer.clone(), month: month.to_owned(), by: None };
    if let Err(error) = carrier.carry_out(command) {
        tracing::warn!(%error, %customer, month, "report.not_frozen");
    }
}

/// Tells whoever makes a report that a restatement is due.
fn tell_due(standing: &Standing, month: &str) {
    if let Some(due) = &standing.due {
        let customer = &standing.report.customer;
        anstream::eprintln!(
            "nines: a restatement of {month} for {customer} is due: {}\n       nines report restate --customer {customer} --month {month} --reason … --by …",
            nines_shared::sample::detail(&due.to_string())
        );
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            ReportError::NoService(_) | ReportError::NoRevision { .. } => Self::Unavailable(error.to_string()),
            ReportError::Basis(_) => Self::Io(error.to_string()),
            ReportError::Calendar(_)
            | ReportError::UnknownCustomer { .. }
            | ReportError::UnknownService { .. }
            | ReportError::WhoseReport { .. }
            | ReportError::Otherwise(_)
            | ReportError::EmptyWindow => Self::Usage(error.to_string()),
        }
    }
}

impl From<crate::report::sign::KeyError> for Failure {
    fn from(error: crate::report::sign::KeyError) -> Self {
        Self::Io(error.to_string())
    }
}
