//! The fleet file: TOML → definitions, every error with its place.
//!
//! Owns the form of the file: its keys, their defaults, what is refused and how that is said. A file is
//! taken whole or refused whole, with every error at once; a [`Fleet`] that comes out of here is never
//! checked again. Secrets are named and never shown: a literal is refused without printing it.

mod advice;
mod aggregator;
mod ca;
mod channel;
mod check;
mod client_certificate;
mod customer;
mod dns;
pub mod finding;
mod grpc;
mod heartbeat;
mod hours;
mod http;
mod http_expect;
mod icmp;
mod ids;
mod maintenance;
mod notes;
mod number;
mod pace;
mod person;
mod provable;
mod proxy;
mod reach;
mod reader;
mod region;
mod report;
mod route;
mod secret;
mod secrets;
mod service;
mod sla;
mod slo;
mod tcp;
mod tls;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{fs, io};

pub use finding::{Finding, Warning};
use nines_shared::id::{ChannelId, CheckId, CustomerId, PersonId, RegionId, ServiceId};
use nines_shared::secret::Secrets;
use toml::de::DeTable;

use crate::definition::{Customer, Fleet, ReportSettings, Service};
use advice::Spots;
use ids::{Declared, Ids};
use notes::{Notes, Spot};
use reader::{Table, Value};

/// The largest fleet file that is read, in bytes: some 50,000 checks.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Why a fleet file is refused, all of it.
#[derive(Debug, thiserror::Error)]
pub enum FleetFileErrors {
    /// There is no such file, or it can't be read.
    #[error("can't read the fleet file {}: {source}; name another with --config FILE, or begin with config/fleet.example.toml", path.display())]
    Unreadable {
        /// As named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says things that make no sense.
    #[error("{}", finding::listed(errors))]
    Invalid {
        /// Every error, in the file's order; never empty.
        errors: Vec<Finding>,
        /// What is allowed but unwise, in the file's order.
        warnings: Vec<Warning>,
    },
}

impl FleetFileErrors {
    /// All of it as a terminal shows it: each line quoted, with a caret under what is meant.
    pub fn drawn(&self) -> String {
        match self {
            Self::Unreadable { .. } => format!("nines: {self}\n"),
            Self::Invalid { errors, warnings } => finding::drawn(errors, warnings),
        }
    }
}

/// The fleet that the file at `path` describes, with what is allowed but unwise. Relative paths in the
/// file are relative to the file.
///
/// # Errors
/// [`FleetFileErrors`] with every error at once.
pub fn load(path: &Path) -> Result<(Fleet, Vec<Warning>), FleetFileErrors> {
    parse(&text_of(path)?, path)
}

/// [`load`] for whoever is about to serve it: warns too of secrets that can't be had here.
///
/// # Errors
/// As [`load`].
pub fn load_to_serve(path: &Path) -> Result<(Fleet, Vec<Warning>), FleetFileErrors> {
    parse_and(&text_of(path)?, path, advice::of_secrets)
}

fn text_of(path: &Path) -> Result<String, FleetFileErrors> {
    let unreadable = |source| FleetFileErrors::Unreadable { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if MAX_FILE_BYTES < size {
        let what = format!("it has {size} bytes; at most {MAX_FILE_BYTES} are read");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, what)));
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// The fleet that `text` describes, as [`load`] does; `name` is the path that it has, for messages and for
/// what is relative to it.
///
/// # Errors
/// [`FleetFileErrors::Invalid`] with every error at once.
pub fn parse(text: &str, name: &Path) -> Result<(Fleet, Vec<Warning>), FleetFileErrors> {
    parse_and(text, name, |_, _, _| {})
}

/// [`parse`], with `advise` on top of the advice that the text alone gives rise to.
fn parse_and(text: &str, name: &Path, advise: Advise) -> Result<(Fleet, Vec<Warning>), FleetFileErrors> {
    let (tree, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        return Err(refused(broken(text, name, &syntax)));
    }
    let notes = Notes::new(text, name, secrets::of_tree(tree.get_ref()));
    let fleet = read(&Table::root(&notes, tree.get_ref()), advise);
    let (errors, warnings) = notes.into_findings();
    match fleet {
        Some(fleet) if errors.is_empty() => Ok((fleet, warnings)),
        Some(_) | None => Err(FleetFileErrors::Invalid { errors, warnings }),
    }
}

/// What the parser says where the file is no TOML. What it recovers is not looked at: half a file breaks
/// rules that the whole one keeps.
fn broken<'t>(text: &'t str, name: &Path, syntax: &[toml::de::Error]) -> Notes<'t> {
    let notes = Notes::new(text, name, secrets::of_text(text));
    let mut last_line = 0;
    for error in syntax {
        let span = error.span().unwrap_or(0..0);
        // After its first error the parser has lost the thread of a line.
        let line = notes.line_of(span.start);
        if std::mem::replace(&mut last_line, line) == line {
            continue;
        }
        let spot = Spot { span, key: String::new(), id: None };
        // The parser's words are about the form and quote nothing of the file.
        notes.error_in_form(&spot, error.message());
    }
    notes
}

fn refused(notes: Notes<'_>) -> FleetFileErrors {
    let (errors, warnings) = notes.into_findings();
    FleetFileErrors::Invalid { errors, warnings }
}

/// The fleet, where every element is good. Every element is read whatever the ones before it were.
fn read(root: &Table<'_>, advise: Advise) -> Option<Fleet> {
    let environment = root.get_or("environment", "prod".to_owned(), Value::words);
    let aggregator = aggregator::read(root);
    let report = report::read(root);
    let elements = Elements::of(root);
    let declared = elements.declared();
    let spots = elements.spots();
    let regions = each(elements.regions, region::read);
    let mut logos = BTreeMap::new();
    let customers = each(elements.customers, |table| customer::read(table, &mut logos));
    let mut watch = watch::Reader::new(root);
    let mut services = each(elements.services, |table| {
        watch.service(&table);
        service::read(table, &declared)
    });
    let signed = each(elements.contracts, |table| sla::contract(table, &declared));
    sla::attach(root, &mut services, signed.iter().zip(&spots.contracts));
    let checks = each(elements.checks, |table| {
        watch.check(&table, &declared);
        check::read(table, &declared)
    });
    let watch = watch.finish(root, &checks);
    let zones = zones(&services, &customers);
    let maintenance = each(elements.maintenance, |table| maintenance::read(table, &declared, &zones));
    let channels = each(elements.channels, channel::read);
    let routes = each(elements.routes, |table| route::read(table, &declared));
    let people = each(elements.people, person::read);
    root.finish();
    let (aggregator, pace) = aggregator?;
    let fleet = Fleet {
        environment: environment?,
        aggregator,
        report: ReportSettings { logos, ..report? },
        regions: whole(regions)?,
        customers: whole(customers)?,
        services: whole(signed).and(whole(services))?,
        checks: whole(checks)?,
        maintenance: whole(maintenance)?,
        channels: whole(channels)?,
        routes: whole(routes)?,
        people: whole(people)?,
        watch: watch?,
        secrets: Secrets::default(),
    };
    pace::keep(root, &fleet, &spots, pace);
    advice::give(root, &fleet, &spots);
    provable::advise(root, &fleet, &spots);
    advise(root, &fleet, &spots);
    Some(fleet)
}

/// Notes what a good fleet makes likely to be a mistake.
type Advise = fn(&Table<'_>, &Fleet, &Spots);

/// The file's arrays of tables.
struct Elements<'a> {
    regions: Vec<Table<'a>>,
    customers: Vec<Table<'a>>,
    services: Vec<Table<'a>>,
    contracts: Vec<Table<'a>>,
    checks: Vec<Table<'a>>,
    maintenance: Vec<Table<'a>>,
    channels: Vec<Table<'a>>,
    routes: Vec<Table<'a>>,
    people: Vec<Table<'a>>,
}

impl<'a> Elements<'a> {
    fn of(root: &Table<'a>) -> Self {
        Self {
            regions: root.tables("region"),
            customers: root.tables("customer"),
            services: root.tables("service"),
            contracts: root.tables("sla"),
            checks: root.tables("check"),
            maintenance: root.tables("maintenance"),
            channels: root.tables("channel"),
            routes: root.tables("route"),
            people: root.tables("person"),
        }
    }

    /// The ids of all, each looked at once.
    fn declared(&self) -> Declared<'a> {
        // Nothing in the file refers to people, but their ids are unique too.
        let _unique = Ids::of::<PersonId>("person", &self.people);
        Declared {
            regions: Ids::of::<RegionId>("region", &self.regions),
            customers: Ids::of::<CustomerId>("customer", &self.customers),
            services: Ids::of::<ServiceId>("service", &self.services),
            checks: Ids::of::<CheckId>("check", &self.checks),
            channels: Ids::of::<ChannelId>("channel", &self.channels),
        }
    }

    fn spots(&self) -> Spots {
        let spots = |tables: &[Table<'a>]| tables.iter().map(|table| table.spot.clone()).collect();
        Spots {
            services: spots(&self.services),
            contracts: spots(&self.contracts),
            checks: spots(&self.checks),
            channels: spots(&self.channels),
            routes: spots(&self.routes),
        }
    }
}

fn each<'a, T>(tables: Vec<Table<'a>>, read: impl FnMut(Table<'a>) -> Option<T>) -> Vec<Option<T>> {
    tables.into_iter().map(read).collect()
}

fn whole<T>(read: Vec<Option<T>>) -> Option<Vec<T>> {
    read.into_iter().collect()
}

/// The zone of each service that is good and has a good customer.
fn zones(services: &[Option<Service>], customers: &[Option<Customer>]) -> HashMap<ServiceId, String> {
    let of = |id: &CustomerId| customers.iter().flatten().find(|customer| customer.id == *id);
    let zone = |service: &Service| Some((service.id.clone(), of(&service.customer)?.timezone.clone()));
    services.iter().flatten().filter_map(zone).collect()
}

#[cfg(test)]
mod tests;
