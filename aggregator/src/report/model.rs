//! The report as data: `nines.report/1`. Every format is a rendering of this, and JSON is its plain one.
//!
//! Times are UTC ms, durations ms, latencies µs, ratios parts per million, floored. Lists have a fixed order
//! and nothing is taken from a clock, so the same inputs give the same bytes (INV-7).

use nines_shared::id::{CheckId, CustomerId, RegionId, ServiceId};
use nines_shared::sample::{Phase, Reason};
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::basis::ServiceBasis;
use super::diff::Change;
use crate::definition::{Afterwards, Credit, DegradedIs, Method, Period, ServiceHours, UnknownIs, Weekly};
use crate::store::samples::days::Form;
use crate::uptime::Accounts;
use crate::uptime::percentile::Percentiles;
use crate::uptime::sla::Kept;
use crate::uptime::slo::{Budget, LatencyObjective};

/// The name and version of the format.
pub const SCHEMA: &str = "nines.report/1";

/// What was delivered to one customer in one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Grows with every restatement.
    pub revision: u32,
    /// Whether it is frozen.
    pub state: State,
    /// Whether nothing more is expected: every region has reported past all that the report uses, or 72 hours have
    /// gone by since the window's end and the fleet bears that out.
    pub complete: bool,
    /// As known when; absent where it is complete, since then it does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Why there is another revision, and what it changes; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restatement: Option<Restatement>,
    /// Where it is **not** what the contract says, but the same samples under another policy: which, and what the
    /// contract says. Absent in every other report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIf>,
    /// The window's first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// The customer's zone, IANA.
    pub timezone: String,
    /// The fleet's label.
    pub environment: String,
    /// Whose report it is.
    pub customer: CustomerId,
    /// As people call them.
    pub customer_name: String,
    /// Every service with life in the window, by id.
    pub services: Vec<ServiceReport>,
    /// All that was defined of these services, as far as the figures depend on it. With the samples it makes every
    /// figure again. Empty in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub basis: Vec<ServiceBasis>,
    /// SHA-256 of `basis`, one line of compact JSON.
    pub definitions: String,
    /// SHA-256 of every sample used, in the form that `samples_form` names.
    pub samples: String,
    /// `days`: of the list of days, one line for each UTC day of each check and region, in order. Absent, in reports
    /// of earlier versions: of all samples as one line of NDJSON each, in order of identity.
    #[serde(default, skip_serializing_if = "is_lines")]
    pub samples_form: Form,
    /// Samples used are those of the services' checks scheduled at or after this: the window and, on either side,
    /// what its edges depend on.
    pub samples_from: Timestamp,
    /// … and before this.
    pub samples_to: Timestamp,
    /// The public key that a frozen report is signed with, as minisign writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// Another policy than the contract's, and what the contract says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIf {
    /// What is otherwise, such as `unknown=down`.
    pub policy: Vec<String>,
    /// The frozen revision that it is compared with; null where that is preliminary.
    pub revision: Option<u32>,
    /// The digest of the samples that the contract's figures are of.
    pub samples: String,
    /// The contract's figures, in the order of `services`.
    pub contract: Vec<Said>,
}

/// What the contract says of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Which service.
    pub service: ServiceId,
    /// How the judged part was spent.
    pub accounts: Accounts,
    /// (up + degraded) / observed; null is no data.
    pub availability_ppm: Option<u32>,
    /// How the contract was kept.
    pub sla: Option<SlaReport>,
}

/// Why a report was restated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restatement {
    /// The revision that it replaces, which stays readable.
    pub of: u32,
    /// SHA-256 of that revision as JSON.
    pub of_digest: String,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What differs from that revision.
    pub changes: Vec<Change>,
    /// How many differences there are beyond those.
    pub further_changes: usize,
}

/// Whether a report can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The same request may be answered with other figures later.
    Preliminary,
    /// Frozen: only a restatement, a new revision with a reason, says otherwise (INV-8).
    Final,
}

/// What was delivered of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Which service.
    pub service: ServiceId,
    /// As people call it.
    pub name: String,
    /// The judged part of the window: its life, up to the present.
    pub from: Timestamp,
    /// The first instant after that part.
    pub to: Timestamp,
    /// How it was spent.
    pub accounts: Accounts,
    /// (up + degraded) / observed; null is no data.
    pub availability_ppm: Option<u32>,
    /// observed / (window − excluded).
    pub coverage_ppm: Option<u32>,
    /// Availability with unknown time counted as down.
    pub worst_case_ppm: Option<u32>,
    /// Availability with unknown time counted as up.
    pub best_case_ppm: Option<u32>,
    /// The contract, where there is one.
    pub sla: Option<SlaReport>,
    /// The objective over the judged part, where there is one.
    pub slo: Option<Budget>,
    /// The objective over its own rolling window, which ends with the report. Absent where that reaches further back
    /// than the samples of a report that is shorter than a month, and in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo_window: Option<SloWindow>,
    /// The objective for latency, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_slo: Option<LatencyObjective>,
    /// Of planned up and degraded samples, all checks and regions together.
    pub latency_us: Option<Percentiles>,
    /// When it was down, maintenance clipped off.
    pub outages: Vec<OutageReport>,
    /// Maintenance in the judged part, announced or granted afterwards.
    pub maintenance: Vec<MaintenanceReport>,
    /// The judged part by days of the customer's zone; empty where there are more than [`super::MAX_DAYS`].
    pub days: Vec<DayReport>,
    /// Its checks, by id.
    pub checks: Vec<CheckReport>,
}

/// How an objective was kept over its own rolling window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloWindow {
    /// Its first instant in the service's life.
    pub from: Timestamp,
    /// The first instant after it: the report's end, or the present.
    pub to: Timestamp,
    /// How it was spent.
    pub accounts: Accounts,
    /// (up + degraded) / observed; null is no data.
    pub availability_ppm: Option<u32>,
    /// observed / (window − excluded).
    pub coverage_ppm: Option<u32>,
    /// Its error budget.
    pub budget: Budget,
    /// What can be said of the objective: `undetermined` where what is unknown decides.
    pub verdict: Kept,
}

/// How a contract was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaReport {
    /// What was promised.
    pub objective_ppm: u32,
    /// What was delivered, as the policy counts; null is no data.
    pub measured_ppm: Option<u32>,
    /// The same with all unknown time as bad, where the policy leaves it out.
    #[serde(default)]
    pub worst_case_ppm: Option<u32>,
    /// … and with all of it as good.
    #[serde(default)]
    pub best_case_ppm: Option<u32>,
    /// What can be said of the promise: `undetermined` where the worst case misses it and the best case meets it.
    pub verdict: Kept,
    /// `true` where it was met, `false` where it was breached, null where that is undetermined.
    pub met: Option<bool>,
    /// What the customer gets back by the measured figure, in per cent of the fee; null is no data.
    pub credit_percent: Option<u32>,
    /// … by the worst case.
    #[serde(default)]
    pub credit_worst_case_percent: Option<u32>,
    /// … and by the best.
    #[serde(default)]
    pub credit_best_case_percent: Option<u32>,
    /// The contract's window: the report's, or the rolling one that ends with it.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// What `good` and `bad` count.
    pub unit: Unit,
    /// Counted as delivered.
    pub good: i64,
    /// Counted as not delivered.
    pub bad: i64,
    /// How the contract counts.
    pub policy: PolicyReport,
}

/// What a contract's method counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Slices of time.
    Slices,
    /// Slots.
    Slots,
}

/// A contract's policy, stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// SHA-256 of the contract's terms: equal versions, equal terms.
    pub version: String,
    /// Over which time it is judged.
    pub period: Period,
    /// What is counted.
    pub method: Method,
    /// The length of a slice, where slices are counted.
    pub slice_ms: Option<i64>,
    /// What unknown time is.
    pub unknown: UnknownIs,
    /// What degraded time is.
    pub degraded: DegradedIs,
    /// Shorter outages are not contractual downtime.
    pub min_outage_ms: i64,
    /// Hours agreed; null is always.
    pub service_hours: Option<Vec<ServiceHours>>,
    /// The tiers of credit.
    pub credits: Vec<Credit>,
    /// Who may grant exclusions; null where the contract names nobody.
    #[serde(default)]
    pub exclusions_by: Option<String>,
}

/// A span in which a service was down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageReport {
    /// When it began, as measured.
    pub from: Timestamp,
    /// When it ended, as measured.
    pub to: Timestamp,
    /// The least that it can have lasted.
    pub at_least_ms: i64,
    /// The most that it can have lasted.
    pub at_most_ms: i64,
    /// The regions that failed in it.
    pub regions: Vec<RegionId>,
    /// The reason that most of its failing samples gave.
    pub reason: Option<Reason>,
    /// The phase in which those failed.
    pub phase: Option<Phase>,
}

/// A span that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceReport {
    /// Its first instant in the judged part.
    pub from: Timestamp,
    /// The first instant after.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
    /// Who excluded it when its time had begun, and when; absent where it was announced before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Afterwards>,
    /// The rule of which it is an occurrence; absent where it came once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Weekly>,
}

/// One day of the customer's zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayReport {
    /// Its first instant in the judged part.
    pub from: Timestamp,
    /// The first instant after.
    pub to: Timestamp,
    /// How it was spent.
    pub accounts: Accounts,
}

/// What the fleet saw of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Which check.
    pub check: CheckId,
    /// What it asks, by its last version in the window; without secrets.
    pub target: String,
    /// How its time was spent.
    pub accounts: Accounts,
    /// (up + degraded) / observed; null is no data.
    pub availability_ppm: Option<u32>,
    /// observed / (window − excluded).
    pub coverage_ppm: Option<u32>,
    /// Slots that were due, over all regions.
    pub slots_expected: i64,
    /// Those with a conclusive planned sample.
    pub slots_answered: i64,
    /// Of planned up and degraded samples.
    pub latency_us: Option<Percentiles>,
    /// Its definitions in the window, in order.
    pub versions: Vec<VersionReport>,
    /// Its regions, by id.
    pub regions: Vec<RegionReport>,
}

/// A definition that was in force for a part of the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionReport {
    /// Its first instant in the judged part.
    pub from: Timestamp,
    /// Between two slots of a region.
    pub interval_ms: i64,
    /// Until a check that has not ended is down.
    pub timeout_ms: i64,
    /// How many regions must agree.
    pub quorum: u16,
    /// How many regions are asked.
    pub regions: usize,
}

/// What one region saw of one check, by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionReport {
    /// Which region.
    pub region: RegionId,
    /// As people call it.
    pub name: String,
    /// It said up.
    pub up_ms: i64,
    /// It said degraded.
    pub degraded_ms: i64,
    /// It said down.
    pub down_ms: i64,
    /// It said nothing.
    pub unknown_ms: i64,
    /// Maintenance.
    pub excluded_ms: i64,
    /// Slots that were due.
    pub slots_expected: i64,
    /// Those with a conclusive planned sample.
    pub slots_answered: i64,
    /// Of planned up and degraded samples.
    pub latency_us: Option<Percentiles>,
    /// The same by the service's days, in their order; null is no data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_days_us: Vec<Option<Percentiles>>,
    /// Its samples among those used; absent in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Series>,
}

/// The samples of one region of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// How many.
    pub count: u64,
    /// SHA-256 of their part of the list of days, or of their lines.
    pub digest: String,
}

fn is_lines(form: &Form) -> bool {
    *form == Form::Lines
}
