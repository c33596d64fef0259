//! `nines report list`: every frozen revision.

use nines_shared::id::CustomerId;

use crate::cli::table::{self, Align};
use crate::cli::{Failure, Global};
use crate::store::Store;
use crate::store::reports::{self, Kept};
use crate::uptime::calendar;

/// Show every frozen report, all revisions of each
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines report list --customer acme")]
pub(super) struct Args {
    /// Only this customer's
    #[arg(long, value_name = "ID")]
    customer: Option<CustomerId>,
}

pub(super) fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let kept = store.read_blocking(|conn| reports::list(conn, args.customer.as_ref()))?;
    if kept.is_empty() {
        anstream::println!("no frozen reports");
        return Ok(());
    }
    let columns = [
        ("CUSTOMER", Align::Left),
        ("MONTH", Align::Left),
        ("REVISION", Align::Right),
        ("FROZEN", Align::Left),
        ("DIGEST", Align::Left),
        ("WHY", Align::Left),
    ];
    let rows: Vec<[String; 6]> = kept.iter().map(row).collect();
    anstream::print!("{}", table::drawn(columns, &rows));
    Ok(())
}

fn row(kept: &Kept) -> [String; 6] {
    let why = kept.restated.as_ref().map_or_else(
        || "final".to_owned(),
        |restated| nines_shared::sample::detail(&format!("restated by {}: {}", restated.by, restated.reason)),
    );
    [
        kept.customer.to_string(),
        kept.month.clone(),
        kept.revision.to_string(),
        calendar::utc(kept.made_at),
        kept.digest.clone(),
        why,
    ]
}
