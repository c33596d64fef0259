//! `nines report key`: what customers check signatures with.

use crate::cli::{Failure, Global};
use crate::report::sign::Key;

/// Show the public key that reports are signed with, as minisign takes it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  minisign -V -P $(nines report key) -m acme-2026-10-r1.html

The secret key lies beside the database, or where [report] key says: keep a copy of it, and keep it secret.")]
pub(super) struct Args {}

pub(super) fn run(_args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let key = Key::at(&fleet.report.key(&fleet.aggregator))?;
    anstream::println!("{}", key.public());
    Ok(())
}
