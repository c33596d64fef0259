//! `nines report --all-customers`: the reports of a month, all of them, with an index.
//!
//! Customers are shared out among threads; each holds the samples of one service at a time. What is written does not
//! depend on how many there are.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::ProgressBar;
use nines_shared::id::CustomerId;
use nines_shared::time::Timestamp;
use serde::Serialize;

use crate::cli::{Failure, Global, progress};
use crate::control::Carrier;
use crate::definition::{Customer, Fleet};
use crate::report::files::{self, Written};
use crate::report::life::{self, Month, Standing};
use crate::report::model::State;
use crate::report::sign::Key;
use crate::report::{ReportError, json};
use crate::store::{Store, definitions};

/// Names the form of the index; another form is another name.
const SCHEMA: &str = "nines.reports/1";
/// How many customers' reports are made at once, where the machine has as many cores.
const MAX_THREADS: usize = 8;

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
    let press = Press { store: &store, fleet: &fleet, carrier: Carrier::new(&fleet), key: &key, month, folder, now };
    let bar = progress::steps(customers.len());
    let made = press.all(&customers, &bar)?;
    bar.finish_and_clear();
    let mut index = Index { schema: SCHEMA, month, reports: Vec::new(), without_service: Vec::new() };
    for (customer, made) in customers.into_iter().zip(made) {
        match made {
            Some(entry) => index.reports.push(entry),
            None => index.without_service.push(customer.id),
        }
    }
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

/// What one thread wrote, by the index of its customer.
type Share = Vec<(usize, Option<Entry>)>;

/// All that the report of any customer is made with.
struct Press<'a> {
    store: &'a Store,
    fleet: &'a Fleet,
    carrier: Carrier<'a>,
    key: &'a Key,
    month: &'a str,
    folder: &'a Path,
    now: Timestamp,
}

impl Press<'_> {
    /// What was written for each of `customers`, in their order; `None` for one without a service in the month. After
    /// the first failure nobody begins another.
    fn all(&self, customers: &[Customer], bar: &ProgressBar) -> Result<Vec<Option<Entry>>, Failure> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut made = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(customer) = customers.get(index) else { return Ok(made) };
                let entry = self.of(customer, bar).inspect_err(|_told| next.store(customers.len(), Ordering::Relaxed));
                made.push((index, entry?));
                bar.inc(1);
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(customers.len());
        let shares: Vec<Result<Share, Failure>> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
                .collect()
        });
        let mut made: Share = Vec::with_capacity(customers.len());
        for share in shares {
            made.extend(share?);
        }
        made.sort_by_key(|(index, _)| *index);
        Ok(made.into_iter().map(|(_, entry)| entry).collect())
    }

    fn of(&self, customer: &Customer, bar: &ProgressBar) -> Result<Option<Entry>, Failure> {
        let environment = self.fleet.environment.clone();
        let of = Month { environment, customer: customer.id.clone(), month: self.month.to_owned() };
        match self.standing(&of) {
            Ok(standing) => {
                bar.suspend(|| super::tell_due(&standing, self.month));
                self.published(customer, &standing).map(Some)
            }
            Err(ReportError::NoService(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The report that stands; a month that is complete is frozen first.
    fn standing(&self, of: &Month) -> Result<Standing, ReportError> {
        let request = of.request();
        if let Some(customer) = self.store.read_blocking(|conn| Ok(life::to_be_frozen(conn, &request, self.now)))?? {
            super::freeze(&self.carrier, customer, self.month);
        }
        self.store.read_blocking(|conn| Ok(life::standing(conn, &request, None, self.now)))?
    }

    fn published(&self, customer: &Customer, standing: &Standing) -> Result<Entry, Failure> {
        let look = self.fleet.report.look(&customer.id);
        let files = files::publish(self.folder, standing, self.month, (self.key, &look))
            .map_err(|error| Failure::Io(format!("{}: {error}", self.folder.display())))?;
        let (revision, state) = (standing.report.revision, standing.report.state);
        Ok(Entry { customer: customer.id.clone(), name: customer.name.clone(), revision, state, files })
    }
}
