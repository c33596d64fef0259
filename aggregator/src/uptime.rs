//! From samples to numbers, by pure functions: region_state → verdict → timeline → accounts, bounds.
//!
//! `docs/METHOD.md` says what the words mean. Nothing here reads a clock, a file or a socket; `now`
//! comes in as an argument, so any figure can be recomputed by whoever holds the samples (INV-7).

pub mod calendar;

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
