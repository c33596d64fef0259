//! Whether anything more is expected that a report would use.
//!
//! A report uses samples beyond its window's end: what an edge depends on is seen only after it. So it is complete once
//! every region that is asked at the end has been heard past all of them. Probes deliver in order, so what they
//! took before has come.

use nines_shared::id::{CheckId, RegionId};
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::basis::{CheckBasis, ServiceBasis};
use crate::store::{StoreError, samples};
use crate::uptime::region_state::SETTLE_MS;

/// So long after a window's end a report of it is complete, whoever has not reported, in ms.
pub const COMPLETE_AFTER_MS: i64 = 72 * 3_600_000;

/// Whether a report of `window` that uses samples of `used` is complete at `now`.
pub(super) fn is_complete(
    conn: &Connection,
    basis: &[ServiceBasis],
    (window, used): (Span, Span),
    now: Timestamp,
) -> Result<bool, StoreError> {
    if now < window.to || window.to.plus_ms(COMPLETE_AFTER_MS) <= now {
        return Ok(window.to <= now);
    }
    let versions = basis.iter().flat_map(|service| &service.checks).flat_map(|check| &check.versions);
    let patience_ms = SETTLE_MS + versions.map(|version| version.timeout_ms).max().unwrap_or(0);
    if now < used.to.plus_ms(patience_ms) {
        return Ok(false);
    }
    for (check, regions) in asked_at(basis, window.to) {
        let latest = samples::latest_of(conn, check)?;
        let heard =
            |region: &RegionId| latest.iter().any(|last| last.region == *region && used.to <= last.scheduled_at);
        if !regions.iter().all(heard) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The checks that are asked at `end`, and from where.
fn asked_at(basis: &[ServiceBasis], end: Timestamp) -> impl Iterator<Item = (&CheckId, &[RegionId])> {
    let alive = basis.iter().filter(move |service| end < service.life.to);
    let there = move |check: &&CheckBasis| check.removed_at.is_none_or(|removed_at| end < removed_at);
    let checks = alive.flat_map(|service| &service.checks).filter(there);
    checks.filter_map(move |check| {
        let later = check.versions.partition_point(|version| version.from <= end);
        let version = check.versions.get(later.checked_sub(1)?)?;
        Some((&check.check, &version.regions[..]))
    })
}
