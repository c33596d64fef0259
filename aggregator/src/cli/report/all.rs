//! `nines report --all-customers`: the reports of a month, all of them, with an index.

use std::fs;
use std::path::Path;

use nines_shared::id::CustomerId;
use nines_shared::time::Timestamp;
use serde::Serialize;

use crate::cli::{Failure, Global, progress};
use crate::report::files::{self, Written};
use crate::report::life::{self, Month};
use crate::report::model::State;
use crate::report::sign::Key;
use crate::report::{ReportError, json};
use crate::store::{Store, definitions};

/// Names the form of the index; another form is another name.
const SCHEMA: &str = "nines.reports/1";

/// What was written of a month.
#[derive(Debug, Serialize)]
struct Index<'a> {
    schema: &'static str,
    month: &'a str,
    reports: Vec<Entry>,
    /// Customers without a service in that month.
    without_service: Vec<CustomerId>,
}

#[derive(Debug, Serialize)]
struct Entry {
    customer: CustomerId,
    name: String,
    revision: u32,
    state: State,
    files: Vec<Written>,
}

/// Writes them into `folder`, the index last: what it names is there.
pub(super) fn run(month: &str, folder: &Path, global: &Global, now: Timestamp) -> Result<(), Failure> {
    if crate::archive::is_stdio(folder) {
        return Err(Failure::Usage("the reports of all customers go into a folder: --out DIR".to_owned()));
    }
    let fleet = global.fleet()?;
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let key = Key::at(&fleet.report.key(&fleet.aggregator))?;
    let failed = |error: std::io::Error| Failure::Io(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let customers = store.read_blocking(definitions::customers)?;
    let bar = progress::steps(customers.len());
    let mut index = Index { schema: SCHEMA, month, reports: Vec::new(), without_service: Vec::new() };
    for customer in customers {
        let of = Month { environment: fleet.environment.clone(), customer: customer.id, month: month.to_owned() };
        let made = || store.read_blocking(|conn| Ok(life::standing(conn, &of.request(), None, now)));
        let mut standing = match made()? {
            Ok(standing) => standing,
            Err(ReportError::NoService(customer)) => {
                index.without_service.push(customer);
                bar.inc(1);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if standing.kept.is_none() && standing.report.complete && super::freeze(&fleet, &of.customer, month) {
            standing = made()??;
        }
        let files =
            files::publish(folder, &standing, month, (&key, &fleet.report.look(&of.customer))).map_err(failed)?;
        bar.suspend(|| super::tell_due(&standing, month));
        let (revision, state) = (standing.report.revision, standing.report.state);
        index.reports.push(Entry { customer: of.customer, name: customer.name, revision, state, files });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let comment = format!("nines reports of {month}");
    files::write_signed(&folder.join(format!("index-{month}.json")), json::pretty(&index).as_bytes(), &comment, &key)
        .map_err(failed)?;
    let preliminary = index.reports.iter().filter(|entry| entry.state == State::Preliminary).count();
    anstream::println!(
        "{} in {}, {preliminary} of them preliminary",
        crate::words::count(index.reports.len(), "report"),
        folder.display()
    );
    Ok(())
}
