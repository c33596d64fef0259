//! How far back to look: far enough that nothing which may have changed, and nothing that goes on, is cut.

use nines_shared::check::Check;
use nines_shared::time::{Span, Timestamp};

use crate::uptime::ServiceRecord;
use crate::uptime::region_state::SETTLE_MS;

/// The farthest that anything is looked for, in ms: what ingest takes, 400 days.
pub const FARTHEST_MS: i64 = 400 * 86_400_000;
/// By how much a window that cuts a failure is widened first, in ms; twice as much each time after.
pub const WIDEN_MS: i64 = 3_600_000;
/// How far back the first failing sample of an outage is looked for, in ms.
pub const LEAD_MS: i64 = 24 * 3_600_000;

/// What the checks of a service take, at their slowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The longest interval, in ms.
    pub interval_ms: i64,
    /// The longest timeout, in ms.
    pub timeout_ms: i64,
}

impl Pace {
    /// The slowest of `checks`; that of a check with defaults where there is none.
    pub fn of<'a>(checks: impl Iterator<Item = &'a Check>) -> Self {
        let default = Self {
            interval_ms: nines_shared::check::DEFAULT_INTERVAL_MS,
            timeout_ms: nines_shared::check::DEFAULT_TIMEOUT_MS,
        };
        let slower = |pace: Option<Self>, check: &Check| {
            let pace = pace.unwrap_or(Self { interval_ms: 0, timeout_ms: 0 });
            Some(Self {
                interval_ms: pace.interval_ms.max(check.interval_ms),
                timeout_ms: pace.timeout_ms.max(check.timeout_ms),
            })
        };
        checks.fold(None, slower).unwrap_or(default)
    }

    /// How long it must be good before an incident is over, in ms: one interval of the slowest check.
    pub fn resolve_after_ms(self) -> i64 {
        self.interval_ms
    }

    /// What lies this far before a change, in ms, decides how the change is read: two intervals for the hold, one for
    /// `resolve_after`, and a slot that is still pending.
    pub fn margin_ms(self) -> i64 {
        3 * self.interval_ms + self.timeout_ms + SETTLE_MS + self.resolve_after_ms()
    }
}

/// The window to judge at `now`, where something changed from `changed_from` on.
pub fn window(pace: Pace, changed_from: Option<Timestamp>, now: Timestamp) -> Span {
    let from = changed_from.unwrap_or(now).min(now).plus_ms(-pace.margin_ms());
    Span::new(from.max(now.plus_ms(-FARTHEST_MS)), now)
}

/// When the service is to be judged again although nothing arrives: when the next slot that stays without a sample is
/// missing, a maintenance window begins or ends. Always after `now`.
pub fn next_look(record: &ServiceRecord, now: Timestamp) -> Timestamp {
    let checks = record.checks.iter().filter(|check| now < check.removed_at);
    let settles = checks.filter_map(|check| check.versions.last()).flat_map(|version| {
        let check = &version.check;
        let patience_ms = check.timeout_ms + SETTLE_MS;
        let cadences = check.regions.iter().filter_map(|region| check.cadence(region));
        cadences.map(move |cadence| cadence.after(now.plus_ms(-patience_ms)).plus_ms(patience_ms))
    });
    let edges = record.maintenance.iter().flat_map(|window| [window.span.from, window.span.to]);
    settles.chain(edges.filter(|edge| now < *edge)).min().unwrap_or(Timestamp::MAX)
}
