//! `nines report freeze`: makes a month final whose end no probe is left to bear out.

use nines_shared::id::CustomerId;

use crate::cli::{Failure, Global, progress};
use crate::control::{self, Answer, Command as Control};

/// Make the report of a month final by hand: three days after its end, where no probe reports any more
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  nines report freeze --customer acme --month 2026-10 --by ann

A month turns final by itself once every region has reported past its end, or 72 hours have gone by and the samples of two
regions bear that out. A fleet that is silent bears nothing out: then it is you who says that the clock is right. Who said
it is in the log.")]
pub(super) struct Args {
    /// Whose report
    #[arg(long, value_name = "ID")]
    customer: CustomerId,
    /// Which month, such as 2026-10
    #[arg(long, value_name = "YYYY-MM")]
    month: String,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

pub(super) fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let Args { customer, month, by } = args;
    let spinner = progress::working("reading samples");
    let command = Control::FreezeReport { customer: customer.clone(), month: month.clone(), by: Some(by) };
    let answer = control::carry_out(&fleet, command)?;
    spinner.finish_and_clear();
    let Answer::ReportKept { revision, new } = answer else { return Err(Failure::strange(&answer)) };
    if new {
        anstream::println!("revision {revision} of {month} for {customer} is made and frozen");
    } else {
        anstream::println!("{month} for {customer} is frozen already; revision {revision} stands");
    }
    Ok(())
}
