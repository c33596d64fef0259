//! What the fleet file defines, once it makes sense: customers, services, promises, maintenance, channels.
//!
//! Plain data, valid ever after; `fleet_file` makes it, `store` keeps its versions, pure code reads it.
//! Checks and their rules are [`nines_shared::check`], since probes know them too.

pub mod channel;
pub mod hours;
pub mod look;
mod route;
pub mod template;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use nines_shared::check::{Check, Question};
use nines_shared::id::{CheckId, CustomerId, PersonId, RegionId, ServiceId};
use nines_shared::secret::{Secret, Secrets};
use nines_shared::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

pub use channel::{Channel, ChannelKind};
pub use route::{Escalation, Route, WeeklyHours};

use crate::incident::certificate::DEFAULT_WARN_MS;
use look::{Colour, Logo, Look};

/// Everything that a fleet file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// A label on everything: results, alerts, reports.
    pub environment: String,
    /// Where the aggregator listens and keeps its data.
    pub aggregator: AggregatorSettings,
    /// How reports look, and what becomes of them.
    pub report: ReportSettings,
    /// In the file's order.
    pub regions: Vec<Region>,
    /// In the file's order.
    pub customers: Vec<Customer>,
    /// In the file's order.
    pub services: Vec<Service>,
    /// In the file's order.
    pub checks: Vec<Check>,
    /// In the file's order.
    pub maintenance: Vec<Maintenance>,
    /// In the file's order.
    pub channels: Vec<Channel>,
    /// In the file's order, which decides.
    pub routes: Vec<Route>,
    /// In the file's order.
    pub people: Vec<Person>,
    /// What is watched beside verdicts, and what is told because of what.
    pub watch: Watch,
    /// The values of the secrets that the checks name, as they were when this was put in force; empty before. They
    /// are nothing that a file says, and are in no store.
    pub secrets: Secrets,
}

/// What is watched beside verdicts, and what is told because of what. Alerts alone hang on it: no account does, and no
/// probe knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The least coverage of the last hour, in parts per million; 0 watches none.
    pub coverage_floor_ppm: u32,
    /// The same of services that have their own.
    pub coverage_floors: BTreeMap<ServiceId, u32>,
    /// The checks that each check depends on; no check depends on itself, by whatever way.
    pub depends_on: BTreeMap<CheckId, Vec<CheckId>>,
    /// How long before its end a certificate is to be renewed, in ms, of checks that name it; 0 watches none.
    pub certificates: BTreeMap<CheckId, i64>,
}

impl Watch {
    /// Those of `checks` whose certificates are watched, with how many ms before its end one is to be renewed.
    pub fn certificates_of<'a>(&self, checks: impl Iterator<Item = &'a Check>) -> Vec<(CheckId, i64)> {
        let shown = checks.filter(|check| shows_certificates(check));
        let warn_ms = |check: &Check| self.certificates.get(&check.id).copied().unwrap_or(DEFAULT_WARN_MS);
        shown.map(|check| (check.id.clone(), warn_ms(check))).filter(|(_, warn_ms)| 0 < *warn_ms).collect()
    }

    /// The least coverage of the last hour of `service`, in parts per million.
    pub fn coverage_floor_of(&self, service: &ServiceId) -> u32 {
        self.coverage_floors.get(service).copied().unwrap_or(self.coverage_floor_ppm)
    }
}

/// Whether the target of `check` shows certificates.
pub fn shows_certificates(check: &Check) -> bool {
    match &check.question {
        Question::Tls(_) => true,
        Question::Http(http) => http.url.scheme() == "https",
        Question::Dns(_) | Question::Tcp(_) | Question::Icmp(_) | Question::Grpc(_) => false,
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            coverage_floor_ppm: 900_000,
            coverage_floors: BTreeMap::new(),
            depends_on: BTreeMap::new(),
            certificates: BTreeMap::new(),
        }
    }
}

/// Where the aggregator listens and keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregatorSettings {
    /// Probes talk here, mutual TLS.
    pub probes: SocketAddr,
    /// People, API, /metrics.
    pub web: SocketAddr,
    /// The database's file.
    pub database: PathBuf,
    /// How people reach this aggregator from outside, for links, where it is not `web`.
    pub public_url: Option<url::Url>,
    /// How probes reach it from outside, for join lines; `https`, with a host and no path.
    pub probes_url: Option<url::Url>,
    /// Addresses that alerts may go to although they are not public.
    pub webhook_allow: Vec<ipnet::IpNet>,
    /// Whom we tell that we live.
    pub heartbeat: Option<Heartbeat>,
    /// How long the certificates of probes are good, in ms; they are renewed at two thirds of it.
    pub probe_certificates_ms: i64,
}

/// Whom we tell that we live, so that they raise the alarm when we don't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// What is asked for; where it is a secret, whoever knows it can speak for us.
    pub url: channel::Address,
    /// How often, in ms.
    pub every_ms: i64,
}

/// How reports look, and what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportSettings {
    /// The file of the key that they are signed with; `None`: beside the database.
    pub key: Option<PathBuf>,
    /// Where the server puts reports that it has frozen.
    pub folder: Option<PathBuf>,
    /// The colour of rules and curves.
    pub accent: Option<Colour>,
    /// The operator's logo.
    pub logo: Option<Logo>,
    /// Logos of customers, which stand in its place.
    pub logos: BTreeMap<CustomerId, Logo>,
}

impl ReportSettings {
    /// How a report for `customer` looks.
    pub fn look(&self, customer: &CustomerId) -> Look {
        Look { accent: self.accent, logo: self.logos.get(customer).or(self.logo.as_ref()).cloned() }
    }

    /// The file of the key that reports are signed with.
    pub fn key(&self, aggregator: &AggregatorSettings) -> PathBuf {
        self.key.clone().unwrap_or_else(|| {
            let mut name = aggregator.database.as_os_str().to_owned();
            name.push(".report-key");
            name.into()
        })
    }
}

/// Where we look from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its id.
    pub id: RegionId,
    /// As people call it.
    pub name: String,
}

/// Who an SLA is with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// As people call it.
    pub name: String,
    /// IANA name; known to exist.
    pub timezone: String,
}

/// What the customer sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// As people call it; its id where the file gives no name.
    pub name: String,
    /// Whom the SLA is with.
    pub customer: CustomerId,
    /// When its life begins; `None`: when it was first loaded, or its first sample if that is earlier.
    pub since: Option<Timestamp>,
    /// How its checks make its timeline.
    pub rule: ServiceRule,
    /// What we aim for.
    pub slo: Option<Slo>,
    /// What we signed.
    pub sla: Option<Sla>,
    /// What we signed with others over the same service: one contract each, sorted by customer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
}

impl Service {
    /// Whether `customer` sees it: it is theirs, or there is a contract with them.
    pub fn is_seen_by(&self, customer: &CustomerId) -> bool {
        self.customer == *customer || self.contracts.iter().any(|contract| contract.customer == *customer)
    }

    /// The contract with `customer`.
    pub fn sla_with(&self, customer: &CustomerId) -> Option<&Sla> {
        if self.customer == *customer {
            return self.sla.as_ref();
        }
        self.contracts.iter().find(|contract| contract.customer == *customer).map(|contract| &contract.sla)
    }
}

/// A contract over a service with another customer than its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// With whom.
    pub customer: CustomerId,
    /// What was signed.
    pub sla: Sla,
}

/// How the timelines of a service's checks make its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceRule {
    /// All must work: the worst of them, in the order down > unknown > degraded > up.
    #[default]
    All,
    /// One suffices (redundant endpoints): the best of them.
    Any,
}

/// What we aim for. Ours, stricter than the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slo {
    /// The objective for availability, in parts per million.
    pub availability_ppm: u32,
    /// The objective for the 95th percentile of latency, in ms.
    pub latency_p95_ms: Option<i64>,
    /// The rolling window, in ms.
    pub window_ms: i64,
}

/// What we signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sla {
    /// The promised availability, in parts per million.
    pub objective_ppm: u32,
    /// Over which time it is judged.
    pub period: Period,
    /// How the contract counts.
    pub policy: Policy,
    /// What the customer gets back; the lowest tier whose `below` the figure is under counts.
    pub credits: Vec<Credit>,
    /// Who may grant exclusions, as the contract names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusions_by: Option<String>,
}

/// Over which time an SLA is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The calendar month in the customer's zone.
    Month,
    /// The last so many ms.
    Rolling(i64),
}

/// How a contract counts: stated in every report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What is counted.
    pub method: Method,
    /// The length of a slice, in ms, where the method counts slices.
    pub slice_ms: i64,
    /// What unknown time is.
    pub unknown: UnknownIs,
    /// What degraded time is.
    pub degraded: DegradedIs,
    /// Outages shorter than this are not contractual downtime, in ms.
    pub min_outage_ms: i64,
    /// Weekly hours in the customer's zone; time outside is excluded. `None`: always.
    pub service_hours: Option<Vec<ServiceHours>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            method: Method::Time,
            slice_ms: 60_000,
            unknown: UnknownIs::Exclude,
            degraded: DegradedIs::Up,
            min_outage_ms: 0,
            service_hours: None,
        }
    }
}

/// What an SLA counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Milliseconds.
    Time,
    /// Slices of time; one is bad if more than half of its observed time is down.
    Timeslices,
    /// Planned samples.
    Occurrences,
}

/// What a contract takes unknown time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownIs {
    /// Neither good nor bad.
    Exclude,
    /// Bad.
    Down,
    /// Good.
    Up,
}

/// What a contract takes degraded time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DegradedIs {
    /// Good.
    Up,
    /// Bad.
    Down,
}

/// Hours of some days of the week, in the customer's zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceHours {
    /// Days, Monday = 1 to Sunday = 7, sorted.
    pub days: Vec<u8>,
    /// Minutes after midnight at which they begin.
    pub from_minute: u16,
    /// Minutes after midnight at which they end; up to 1440.
    pub to_minute: u16,
}

/// A credit tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Due where the measured figure is below this, in parts per million.
    pub below_ppm: u32,
    /// Per cent of the fee.
    pub percent: u32,
}

/// An announced span that is excluded from the accounts: neither good nor bad. Where it is weekly, only those hours of
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// The service that it is for.
    pub service: ServiceId,
    /// When; of a weekly one how long the rule holds, which may be all time, and of one of its occurrences when that
    /// was.
    pub span: Span,
    /// Why, for the report.
    pub reason: String,
    /// Who granted it when its time had begun already; `None` where it was announced before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Afterwards>,
    /// The rule by which it comes again every week; `None` where it comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Weekly>,
}

/// Hours of every week on the clocks of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weekly {
    /// The hours, at least one entry.
    pub hours: Vec<ServiceHours>,
    /// The customer's zone when it was announced, IANA; known to exist.
    pub timezone: String,
}

/// That time was excluded only when it had begun: whoever reads a report is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Afterwards {
    /// When it was granted.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Somebody who may act on the page and through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their id, which is what records hold.
    pub id: PersonId,
    /// As people call them.
    pub name: String,
    /// By which they are known.
    pub token: Secret,
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// For working hours.
    Ticket,
    /// Now.
    Page,
}

impl Severity {
    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}
