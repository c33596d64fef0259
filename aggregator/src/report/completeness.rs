//! Whether anything more is expected that a report would use.
//!
//! A report uses samples beyond its window's end: what an edge depends on is seen only after it. So it is complete once
//! every region that is asked at the end has been heard past all of them, and no probe there may still have some: each
//! that was heard in the window has been heard after it, and tells of no backlog that reaches back before. A probe
//! delivers the present beside the past, and where one is cut off its siblings look in its place.
//!
//! Nobody waits for ever for a region that is gone, or a probe. But that so much time has passed the aggregator's clock
//! does not decide alone: the fleet has to bear it out, with samples that probes began as late by clocks of their own.

use std::collections::BTreeSet;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::Reason;
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::basis::{CheckBasis, ServiceBasis};
use crate::store::{StoreError, definitions, probes, samples};
use crate::uptime::region_state::SETTLE_MS;

/// So long after a window's end a report of it is complete, whoever has not reported, in ms.
pub const COMPLETE_AFTER_MS: i64 = 72 * 3_600_000;
/// So many regions have to bear that time out, or all where there are fewer: one probe may share a machine, and so a
/// wrong clock, with the aggregator.
const WITNESSES: usize = 2;

/// Whether a report of `window` that uses samples of `used` is complete at `now`.
pub(super) fn is_complete(
    conn: &Connection,
    basis: &[ServiceBasis],
    (window, used): (Span, Span),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let over = window.to.plus_ms(COMPLETE_AFTER_MS);
    if now < window.to {
        return Ok(false);
    }
    Ok(all_have_reported(conn, basis, (window, used), now)? || over <= now && is_borne_out(conn, over)?)
}

/// Whether nothing is to come any more of what a report uses.
fn all_have_reported(
    conn: &Connection,
    basis: &[ServiceBasis],
    (window, used): (Span, Span),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let versions = basis.iter().flat_map(|service| &service.checks).flat_map(|check| &check.versions);
    let patience_ms = SETTLE_MS + versions.map(|version| version.timeout_ms).max().unwrap_or(0);
    let over = used.to.plus_ms(patience_ms);
    if now < over {
        return Ok(false);
    }
    let behind = probes::regions_behind(conn, window.from, (used.to, over))?;
    for (check, regions) in asked_at(basis, window.to) {
        let latest = samples::latest_of(conn, check)?;
        let heard =
            |region: &RegionId| latest.iter().any(|last| last.region == *region && used.to <= last.scheduled_at);
        if !regions.iter().all(|region| heard(region) && !behind.contains(region)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the fleet has seen `at` go by: enough regions have taken samples since, of whatever check, by clocks that
/// they believed.
fn is_borne_out(conn: &Connection, at: Timestamp) -> Result<bool, StoreError> {
    let wanted = WITNESSES.min(definitions::regions(conn)?.len());
    let mut witnesses = BTreeSet::new();
    for check in definitions::all_check_versions(conn)?.keys() {
        let latest = samples::latest_of(conn, check)?.into_iter();
        let later = latest.filter(|sample| at <= sample.started_at && sample.reason != Some(Reason::Clock));
        witnesses.extend(later.map(|sample| sample.region));
        if wanted <= witnesses.len() {
            return Ok(true);
        }
    }
    Ok(false)
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
