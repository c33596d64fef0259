//! What pages, API and metrics print of a service: read and judged once, however many ask.
//!
//! Figures of a day are kept for a second, those of longer windows for ten. While one request computes, the
//! others that want the same wait for it, so a crowd costs what one reader costs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nines_shared::check::Check;
use nines_shared::id::ServiceId;
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;
use tokio::sync::OnceCell;

use super::latency::{Latency, latency};
use crate::definition::Service;
use crate::store::{Store, StoreError, definitions, samples};
use crate::uptime::calendar::local::Zone;
use crate::uptime::service::{CheckAssessment, ServiceAssessment, assess};

/// A day, in ms: the window of the strips.
pub(super) const DAY_MS: i64 = 86_400_000;
/// Thirty days, in ms: how far back the page of a service lists outages.
pub(super) const MONTH_MS: i64 = 30 * DAY_MS;

/// Entries that nobody asked for within this time are forgotten, in ms.
const FORGET_MS: i64 = 600_000;

/// One service over one window that ends at `now`.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// Its definition.
    pub(super) service: Service,
    /// The customer's zone.
    pub(super) zone: Zone,
    /// From when until when there is such a service.
    pub(super) life: Span,
    /// The window as asked for, which the life may cut.
    pub(super) window: Span,
    /// The verdicts and accounts.
    pub(super) assessment: ServiceAssessment,
    /// The checks that it has now, in order of their ids.
    pub(super) checks: Vec<CheckFigures>,
}

/// One check of a service.
#[derive(Clone, Debug)]
pub(super) struct CheckFigures {
    /// Its definition in force.
    pub(super) check: Check,
    /// Its verdicts and accounts.
    pub(super) assessment: CheckAssessment,
    /// How long it took.
    pub(super) latency: Latency,
    /// The newest sample of each region, sorted by region.
    pub(super) latest: Vec<Sample>,
}

impl Figures {
    /// The end of the window: the instant at which everything here was so.
    pub(super) fn now(&self) -> Timestamp {
        self.window.to
    }
}

/// Reads and judges `service` over the `window_ms` before `now`. `None` where there is no such service now.
fn compute(
    conn: &Connection,
    service: &ServiceId,
    window_ms: i64,
    now: Timestamp,
) -> Result<Option<Figures>, StoreError> {
    let window = Span::new(now.plus_ms(-window_ms), now);
    let Some(record) = definitions::service_record(conn, service, window)? else { return Ok(None) };
    if record.life.to <= now {
        return Ok(None);
    }
    let mut assessment = assess(&record, window, now);
    let mut judged: HashMap<_, _> =
        std::mem::take(&mut assessment.checks).into_iter().map(|check| (check.check.clone(), check)).collect();
    let mut checks = Vec::new();
    for check in record.checks.iter().filter(|check| now < check.removed_at) {
        let Some((_, current)) = check.in_force().last() else { continue };
        let Some(judged) = judged.remove(&current.id) else { continue };
        checks.push(CheckFigures {
            check: current.clone(),
            assessment: judged,
            latency: latency(check, window),
            latest: samples::latest_of(conn, &current.id)?,
        });
    }
    let zone = Zone::named(&record.timezone);
    Ok(Some(Figures { service: record.service, zone, life: record.life, window, assessment, checks }))
}

type Cell = Arc<OnceCell<Option<Arc<Figures>>>>;

/// The figures of the last moments.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<(ServiceId, i64), Entry>>);

#[derive(Debug)]
struct Entry {
    now: Timestamp,
    cell: Cell,
}

impl Cache {
    /// The figures of `service` over the `window_ms` before about `now`, or `None` where there is no such
    /// service.
    ///
    /// # Errors
    /// What the store says; the next request tries again.
    pub(super) async fn figures(
        &self,
        store: &Store,
        service: &ServiceId,
        window_ms: i64,
        now: Timestamp,
    ) -> Result<Option<Arc<Figures>>, StoreError> {
        let (now, cell) = self.entry(service, window_ms, now);
        let made = cell.get_or_try_init(async || {
            let service = service.clone();
            store.read(move |conn| Ok(compute(conn, &service, window_ms, now)?.map(Arc::new))).await
        });
        made.await.cloned()
    }

    /// The entry that is still fresh or still being made, else a new one.
    fn entry(&self, service: &ServiceId, window_ms: i64, now: Timestamp) -> (Timestamp, Cell) {
        let fresh_ms = if window_ms <= DAY_MS { 1_000 } else { 10_000 };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| now.since(entry.now).abs() < FORGET_MS);
        let key = (service.clone(), window_ms);
        if let Some(entry) = entries.get(&key) {
            let being_made = !entry.cell.initialized() && Arc::strong_count(&entry.cell) > 1;
            if being_made || now.since(entry.now).abs() < fresh_ms {
                return (entry.now, entry.cell.clone());
            }
        }
        let entry = Entry { now, cell: Cell::default() };
        let cell = entry.cell.clone();
        entries.insert(key, entry);
        (now, cell)
    }
}
