//! From samples to numbers, by pure functions: region_state → verdict → timeline → accounts, bounds.
//!
//! `docs/METHOD.md` says what the words mean. Nothing here reads a clock, a file or a socket; `now`
//! comes in as an argument, so any figure can be recomputed by whoever holds the samples (INV-7).
//!
//! The way of the data: [`region_state`] turns one region's samples into what it says through time, under
//! three hold rules at once ([`bounds`]); [`verdict`] counts the regions' voices; [`service`] puts the checks
//! together and [`accounts`] adds up milliseconds beside [`maintenance`]. [`sla`], [`slo`] and [`percentile`]
//! read the result, [`minutes`] and [`burn_rate`] its latest part; [`calendar`] alone knows time zones.

pub mod accounts;
pub mod bounds;
pub mod burn_rate;
pub mod calendar;
pub mod maintenance;
pub mod minutes;
pub mod outage;
pub mod percentile;
pub mod region_state;
pub mod service;
pub mod sla;
pub mod slo;
pub mod timeline;
pub mod verdict;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod model;

pub use accounts::Accounts;
pub use outage::Outage;
pub use service::{CheckAssessment, RegionAssessment, ServiceAssessment};
pub use timeline::Timeline;

use nines_shared::check::Check;
use nines_shared::id::RegionId;
use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::time::{Span, Timestamp};

use crate::definition::Service;

/// One observation, as much of a sample as verdicts need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When it was to start.
    pub scheduled_at: Timestamp,
    /// When it did.
    pub started_at: Timestamp,
    /// Whether it fills a slot.
    pub kind: SampleKind,
    /// What it saw.
    pub outcome: Outcome,
    /// How long it took, in µs; 0 where nothing was tried.
    pub duration_us: u32,
}

/// The observations of one region of one check, in order of `started_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSamples {
    /// Whose they are.
    pub region: RegionId,
    /// Sorted by `started_at`, then `scheduled_at`, then kind.
    pub samples: Vec<Observed>,
}

/// One version of a check, in force from `valid_from` until the next one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckVersion {
    /// The first instant it is in force; [`Timestamp::MIN`] for the first version, which also covers all earlier time.
    pub valid_from: Timestamp,
    /// The definition.
    pub check: Check,
}

/// A check through time and what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRecord {
    /// In order of `valid_from`, never empty, the first at [`Timestamp::MIN`].
    pub versions: Vec<CheckVersion>,
    /// When it was removed; [`Timestamp::MAX`] while it is there.
    pub removed_at: Timestamp,
    /// By region, sorted; every region of every version that has samples. To judge a window they must reach
    /// back two intervals before it and, for `at most` and `at least`, one sample past it where there is one.
    pub regions: Vec<RegionSamples>,
}

impl CheckRecord {
    /// The spans in which each version is in force, in order, up to the check's removal.
    pub fn in_force(&self) -> impl Iterator<Item = (Span, &Check)> {
        self.versions.iter().enumerate().filter_map(|(index, version)| {
            let next = self.versions.get(index + 1).map_or(Timestamp::MAX, |next| next.valid_from);
            let span = Span::new(version.valid_from, next.min(self.removed_at));
            (!span.is_empty()).then_some((span, &version.check))
        })
    }
}

/// A service through time, and what was seen of it: all that its figures depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The definition in force at the window's end.
    pub service: Service,
    /// The customer's zone, IANA.
    pub timezone: String,
    /// From `since` until it is removed.
    pub life: Span,
    /// Its checks.
    pub checks: Vec<CheckRecord>,
    /// Maintenance windows, sorted, which may overlap.
    pub maintenance: Vec<crate::definition::Maintenance>,
}

impl ServiceRecord {
    /// The record as it stands in the contract with `customer`: their terms, their zone.
    pub fn seen_by(mut self, customer: &crate::definition::Customer) -> Self {
        if self.service.customer != customer.id {
            self.service.sla = self.service.sla_with(&customer.id).cloned();
            self.timezone.clone_from(&customer.timezone);
        }
        self
    }
}

/// What the fleet says of a check or a service at an instant; also what one region says.
///
/// The order is that of a service's worst: up < degraded < unknown < down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Up,
    /// It works, but slower than `degraded_after`.
    Degraded,
    /// We do not know: silence, our own faults, or too few voices.
    Unknown,
    /// It fails.
    Down,
}

impl Verdict {
    /// All of them, from best to worst.
    pub const ALL: [Self; 4] = [Self::Up, Self::Degraded, Self::Unknown, Self::Down];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }

    /// What a sample of this outcome says of its region; `None` where it says nothing.
    pub const fn of_outcome(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Up => Some(Self::Up),
            Outcome::Degraded => Some(Self::Degraded),
            Outcome::Down => Some(Self::Down),
            Outcome::Inconclusive => None,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.code())
    }
}
