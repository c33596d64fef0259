//! `nines report restate`: a further revision of a frozen report, with a reason.

use nines_shared::id::CustomerId;

use crate::cli::{Failure, Global, progress};
use crate::control::{self, Answer, Command as Control};

/// Make a further revision of a frozen report: late samples and exclusions granted since are taken in
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  nines report restate --customer acme --month 2026-10 --reason \"a probe was cut off\" --by ann

The definitions are those of the frozen report. Every revision stays readable: nines report --month … --revision N. Where
nothing has changed, none is made.")]
pub(super) struct Args {
    /// Whose report
    #[arg(long, value_name = "ID")]
    customer: CustomerId,
    /// Which month, such as 2026-10
    #[arg(long, value_name = "YYYY-MM")]
    month: String,
    /// Why, for the report
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asks for it
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

pub(super) fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let Args { customer, month, reason, by } = args;
    let spinner = progress::working("reading samples");
    let command = Control::RestateReport { customer: customer.clone(), month: month.clone(), reason, by };
    let answer = control::carry_out(&fleet, command)?;
    spinner.finish_and_clear();
    if let Answer::ReportUnchanged { revision } = answer {
        anstream::println!("nothing has changed; revision {revision} of {month} for {customer} stands");
        return Ok(());
    }
    let Answer::ReportKept { revision, .. } = answer else { return Err(Failure::strange(&answer)) };
    anstream::println!("revision {revision} of {month} for {customer} is made and frozen");
    Ok(())
}
