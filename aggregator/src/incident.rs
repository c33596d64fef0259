//! Incidents: (verdicts, recorded incidents, now) → transitions, by pure functions.
//!
//! An outage is a fact of the timeline; an incident is the record that people work with. This room keeps
//! the second true to the first: [`signal`] says from an assessment when something was failing, good or
//! not known, [`episode`] groups that into what one incident should tell, and [`transition`] compares it
//! with what is recorded. Nothing is remembered between two evaluations but the record itself, so a replay of the
//! same arrivals at the same ticks makes the same incidents, ids included (INV-7). What has no timeline of its own is
//! read of the present and [`standing`] compares it with the record in the same way.
//!
//! It never reads a clock or the store, never sends anything, and never lets one subject have two open
//! incidents of one kind (INV-6).

pub mod advice;
pub mod ailment;
pub mod certificate;
pub mod common;
pub mod course;
pub mod dependence;
pub mod episode;
pub mod evidence;
pub mod flap;
pub mod instants;
pub mod measured;
pub mod signal;
pub mod silence;
pub mod standing;
pub mod suspect;
pub mod transition;

use std::fmt;
use std::str::FromStr;

use nines_shared::id::{CheckId, ProbeId, RegionId, ServiceId};
use nines_shared::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::definition::Severity;
use crate::uptime::calendar;
use certificate::Notice;
use common::Finding;
use course::Course;
use measured::Measured;

/// The name of an incident, readable and stable: `shop-20261122T031207Z`. It is made when the incident is
/// recorded and never changes, whatever late results do to its start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// The longest, in bytes: a kind, a subject's id, an instant and a number.
    pub const MAX_LEN: usize = 128;

    /// The id of an incident of `kind` about `subject` that was recorded as starting at `started_at`.
    /// Outages, which people speak of most, go without their kind.
    pub fn of(kind: Kind, subject: &Subject, started_at: Timestamp) -> Self {
        let name = match subject {
            Subject::Service(service) => service.as_str(),
            Subject::Probe(probe) => probe.as_str(),
        };
        let instant = calendar::utc(started_at).replace(['-', ':'], "");
        match kind {
            Kind::Outage => Self(format!("{name}-{instant}")),
            Kind::Suspected | Kind::Degraded | Kind::BurnRate | Kind::Certificate | Kind::Coverage | Kind::Probe => {
                Self(format!("{name}-{}-{instant}", kind.code().replace('_', "-")))
            }
        }
    }

    /// This id with a number, where the plain one is taken.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        Self(format!("{}-{number}", self.0))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is not an incident's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an incident's id; `nines incident list` prints them")]
pub struct IncidentIdError(String);

impl FromStr for IncidentId {
    type Err = IncidentIdError;

    fn from_str(text: &str) -> Result<Self, IncidentIdError> {
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if clean && (1..=Self::MAX_LEN).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IncidentIdError(text.chars().take(Self::MAX_LEN).collect()))
        }
    }
}

/// What an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The fleet's verdict is `down`.
    Outage,
    /// Some region says `down`, and the verdict has been `unknown` for two intervals.
    Suspected,
    /// The verdict has been `degraded` for two intervals.
    Degraded,
    /// The error budget of the service's objective is spent too fast.
    BurnRate,
    /// A certificate ends soon, or another one than before is shown.
    Certificate,
    /// Too little of the last hour was observed. Ours, never the customer's.
    Coverage,
    /// A probe is silent, faulty or off the clock. Ours, never the customer's.
    Probe,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Outage, Self::Suspected, Self::Degraded, Self::BurnRate, Self::Certificate, Self::Coverage, Self::Probe];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Suspected => "suspected",
            Self::Degraded => "degraded",
            Self::BurnRate => "burn_rate",
            Self::Certificate => "certificate",
            Self::Coverage => "coverage",
            Self::Probe => "probe",
        }
    }

    /// How loud it is while it goes on, unless it says otherwise itself: a budget that burns fast pages, and a
    /// certificate that was merely replaced is for the record.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Outage => Severity::Page,
            Self::Suspected | Self::Degraded | Self::BurnRate | Self::Certificate | Self::Coverage | Self::Probe => {
                Severity::Ticket
            }
        }
    }

    /// Whether what is over is recorded and amended too. Only outages are history: of anything else that is over before
    /// we learned of it nobody can do anything any more.
    pub const fn has_history(self) -> bool {
        match self {
            Self::Outage => true,
            Self::Suspected | Self::Degraded | Self::BurnRate | Self::Certificate | Self::Coverage | Self::Probe => {
                false
            }
        }
    }

    /// What an incident's subject is while this goes on, unless what was measured says it better: "shop is …", "probe
    /// eu-west-1 was …".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Outage => "down",
            Self::Suspected => "suspected to be down",
            Self::Degraded => "degraded",
            Self::BurnRate => "spending its error budget too fast",
            Self::Certificate => "in need of a new certificate",
            Self::Coverage => "watched too little",
            Self::Probe => "silent",
        }
    }
}

/// Whom or what an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A customer's service.
    Service(ServiceId),
    /// A probe of ours.
    Probe(ProbeId),
}

impl Subject {
    /// The service, where it is one.
    pub fn service(&self) -> Option<&ServiceId> {
        match self {
            Self::Service(service) => Some(service),
            Self::Probe(_) => None,
        }
    }

    /// Its id as text.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(service) => service.as_str(),
            Self::Probe(probe) => probe.as_str(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Probe(probe) => write!(f, "probe {probe}"),
        }
    }
}

/// When what happened, in the order of `docs/METHOD.md`: `last_good_at ≤ first_failure_at ≤ started_at ≤
/// detected_at ≤ notified_at ≤ acknowledged_at`, and `started_at ≤ ended_at ≤ resolved_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instants {
    /// The last good sample before the first failure; `None` where we have seen none.
    pub last_good_at: Option<Timestamp>,
    /// The first failing sample of those that made the verdict.
    pub first_failure_at: Timestamp,
    /// When the verdict became `down`: the measured start.
    pub started_at: Timestamp,
    /// When the aggregator knew.
    pub detected_at: Timestamp,
    /// When a channel first accepted a notification.
    pub notified_at: Option<Timestamp>,
    /// When a person said that they know.
    pub acknowledged_at: Option<Timestamp>,
    /// The measured end; `None` while it fails.
    pub ended_at: Option<Timestamp>,
    /// When the aggregator took it for over; `None` while the incident is open.
    pub resolved_at: Option<Timestamp>,
}

impl Instants {
    /// detected − first failure, in ms: how long it took us.
    pub fn time_to_detect_ms(&self) -> i64 {
        self.detected_at.since(self.first_failure_at)
    }
}

/// The record that people work with: what fails, since when, seen from where, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// What it is about.
    pub kind: Kind,
    /// Whom it is about.
    pub subject: Subject,
    /// How loud it was at its loudest: `info` for an outage that was over before we learned of it.
    pub severity: Severity,
    /// When what happened.
    pub instants: Instants,
    /// What it covers, in order; a relapse before the incident is resolved adds one.
    pub outages: Vec<Outage>,
    /// Late results show that it did not happen, or not as an incident of its own.
    pub withdrawn: bool,
    /// How often it was told; with the id it names one change.
    pub revision: u32,
    /// Who sees what, and what the failures have in common.
    pub scene: Scene,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// Whose it is to mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// How it is told.
    pub course: Course,
}

impl Incident {
    /// Whether it is still to be resolved.
    pub fn is_open(&self) -> bool {
        self.instants.resolved_at.is_none()
    }

    /// What its subject is, or was: "down", "degraded", "off the clock".
    pub fn words(&self) -> &'static str {
        match &self.scene.measured {
            Some(Measured::Probe(ailments)) => ailments.first().map_or(self.kind.words(), |worst| worst.sign.words()),
            Some(Measured::Certificate(Notice { before: Some(_), .. })) => "showing another certificate",
            Some(Measured::Certificate(_) | Measured::Burn(_) | Measured::Coverage { .. }) | None => self.kind.words(),
        }
    }

    /// The code of what it is about: what the failures have in common, the first by name where they differ; of a probe
    /// its worst sign, of a certificate what is with it.
    pub fn reason(&self) -> Option<&str> {
        if let Some(Measured::Probe(ailments)) = &self.scene.measured {
            return ailments.first().map(|worst| worst.sign.code());
        }
        if let Some(Measured::Certificate(notice)) = &self.scene.measured {
            return Some(if notice.before.is_some() { certificate::CHANGED } else { certificate::ENDS_SOON });
        }
        let reasons = self.scene.findings.iter().find(|finding| finding.aspect == common::Aspect::Reason)?;
        reasons.values.first().map(|shows| shows.value.as_str())
    }

    /// What it covers as recorded: from its start to its measured end, or to `now` while it fails.
    pub fn span(&self, now: Timestamp) -> Span {
        Span::new(self.instants.started_at, self.instants.ended_at.unwrap_or(now))
    }
}

/// One failing span of the timeline, as an incident remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after; `None` while it goes on.
    pub to: Option<Timestamp>,
}

/// Who sees what, and what the failures have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scene {
    /// The checks that fail, sorted.
    pub checks: Vec<CheckId>,
    /// What each region says.
    pub regions: RegionViews,
    /// What the failing samples say, aspect by aspect.
    pub findings: Vec<Finding>,
    /// The words of one failing sample, for people.
    pub detail: Option<String>,
    /// What was measured, where it is not about failing samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

impl Scene {
    /// Adds the checks and regions that fail in `seen` and are not known to; says whether there were any. Who was
    /// seen failing stays so for the incident's life: it was seen.
    pub fn grow(&mut self, seen: &Self) -> bool {
        let known = (self.checks.len(), self.regions.failing.len());
        self.checks.extend_from_slice(&seen.checks);
        self.checks.sort_unstable();
        self.checks.dedup();
        let regions = &mut self.regions;
        regions.failing.extend_from_slice(&seen.regions.failing);
        regions.failing.sort_unstable();
        regions.failing.dedup();
        let grown = known != (self.checks.len(), regions.failing.len());
        if grown {
            let failing = regions.failing.clone();
            let others = |of: &[RegionId]| of.iter().filter(|region| !failing.contains(region)).cloned().collect();
            regions.unknown = others(&seen.regions.unknown);
            regions.up = others(&seen.regions.up);
        }
        grown
    }
}

/// What each region says of the failing checks: its worst word counts. All sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegionViews {
    /// Those that say `down`.
    pub failing: Vec<RegionId>,
    /// Those that say nothing.
    pub unknown: Vec<RegionId>,
    /// Those that say `up` or `degraded`.
    pub up: Vec<RegionId>,
}

/// What people are told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It fails now.
    Opened,
    /// What we know of it changed, or it is history.
    Updated,
    /// It is over.
    Resolved,
}

impl Event {
    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Resolved => "resolved",
        }
    }
}
