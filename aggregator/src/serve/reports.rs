//! Months that turn final are frozen by the server itself, put into the folder of reports, and told of; and days that
//! are over are sealed, so that their samples need not be digested again for every report.
//!
//! What is to be done is a pure function of the time, the customers and what is frozen; so it does not matter when the
//! loop looks, how often, or whether the server was away. A month that ended before its customer was known here is left
//! to people: its samples may be still to be imported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nines_shared::id::CustomerId;
use nines_shared::time::Timestamp;
use rusqlite::Connection;
use tokio::time::sleep;

use crate::control::{self, Command, Context};
use crate::definition::look::Look;
use crate::report::life::{self, Month};
use crate::report::sign::Key;
use crate::report::{ReportError, files};
use crate::running::Running;
use crate::store::reports::Kept;
use crate::store::samples::days;
use crate::store::{StoreError, definitions, reports};
use crate::uptime::calendar;

/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// How many months back are looked at.
const MAX_MONTHS: usize = 24;
/// So long after its end a day is sealed, in ms: most of what comes late has come.
const SEAL_AFTER_MS: i64 = 6 * 3_600_000;
/// How many days back are sealed: a month, and what its edges and a contract of 30 days reach back for.
const MAX_SEALED_DAYS: i64 = 65;
/// How many days of one check and region are sealed at once. It keeps the writer for some 2 ms a day of 30 s.
const SEALED_AT_ONCE: usize = 25;

/// Looks until `running.stop`.
pub(super) async fn run(running: Running, context: impl Fn() -> Context + Send) {
    let (mut told, mut sealed) = (BTreeMap::new(), i64::MIN);
    while !running.stop.is_cancelled() {
        if let Err(error) = look(&running, &context, &mut told).await {
            tracing::error!(%error, "reports.failed: tried again within seconds");
        }
        if let Err(error) = seal(&running, &mut sealed).await {
            tracing::error!(%error, "days.not_sealed: tried again within seconds");
        }
        tokio::select! {
            () = running.stop.cancelled() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// What was logged of each report that is to be restated, so that it is logged once.
type Told = BTreeMap<(CustomerId, String), String>;

async fn look(running: &Running, context: &impl Fn() -> Context, told: &mut Told) -> Result<(), StoreError> {
    let (now, environment) = (running.clock.now(), running.fleet.borrow().environment.clone());
    let ready = running.store.read(move |conn| ready(conn, &environment, now)).await?;
    for Month { customer, month, .. } in ready {
        let command = Command::FreezeReport { customer, month, by: None };
        if let Err(refused) = control::done(command, running, context()).await? {
            tracing::warn!(%refused, "report.not_frozen");
        }
    }
    publish(running).await?;
    tell_due(running, told).await
}

/// The months that are complete and not frozen.
fn ready(conn: &Connection, environment: &str, now: Timestamp) -> Result<Vec<Month>, StoreError> {
    let mut frozen: BTreeMap<CustomerId, BTreeSet<String>> = BTreeMap::new();
    for Kept { customer, month, .. } in reports::list(conn, None)? {
        frozen.entry(customer).or_default().insert(month);
    }
    let nothing = BTreeSet::new();
    let mut ready = Vec::new();
    for (customer, known_since) in definitions::customers_known(conn)? {
        for month in ended(&customer.timezone, known_since, frozen.get(&customer.id).unwrap_or(&nothing), now) {
            let month = Month { environment: environment.to_owned(), customer: customer.id.clone(), month };
            match life::is_complete(conn, &month, now) {
                Ok(true) => ready.push(month),
                // Nothing lived in it, so there is nothing to report.
                Ok(false) | Err(ReportError::NoService(_)) => {}
                Err(ReportError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(customer = %month.customer, month = month.month, %error, "report.not_made")
                }
            }
        }
    }
    Ok(ready)
}

/// The months of `zone` that ended after `known_since` and up to `now`, and are not `frozen`: the oldest first.
fn ended(zone: &str, known_since: Timestamp, frozen: &BTreeSet<String>, now: Timestamp) -> Vec<String> {
    let mut months = Vec::new();
    let mut at = now;
    for _ in 0..=MAX_MONTHS {
        let Ok(name) = calendar::shown(at, zone, "%Y-%m") else { break };
        let Ok(month) = calendar::month(&name, zone) else { break };
        if month.to <= known_since {
            break;
        }
        if month.to <= now && !frozen.contains(&name) {
            months.push(name);
        }
        at = month.from.plus_ms(-1);
    }
    months.reverse();
    months
}

/// Puts every frozen revision that is not in the folder there. The folder is read for the names of JSON files, which
/// are written last.
async fn publish(running: &Running) -> Result<(), StoreError> {
    let fleet = running.fleet.borrow().clone();
    let Some(folder) = fleet.report.folder.clone() else { return Ok(()) };
    let key = fleet.report.key(&fleet.aggregator);
    let missing = move |conn: &Connection| {
        let kept = reports::list(conn, None)?;
        Ok::<_, StoreError>(
            kept.into_iter().filter(|kept| !there(&folder, kept)).map(|kept| (folder.clone(), kept)).collect(),
        )
    };
    let missing: Vec<(PathBuf, Kept)> = running.store.read(missing).await?;
    for (folder, kept) in missing {
        let (key, look) = (key.clone(), fleet.report.look(&kept.customer));
        let written = running.store.read(move |conn| Ok(put(conn, &folder, &kept, (&key, &look)))).await?;
        match written {
            Ok(files) => tracing::info!(files, "report.published"),
            Err(error) => tracing::error!(error, "report.not_published: tried again within seconds"),
        }
    }
    Ok(())
}

fn there(folder: &Path, kept: &Kept) -> bool {
    folder.join(files::name_of_index(&kept.customer, &kept.month, kept.revision)).exists()
}

/// Writes one revision in all formats; says their names, or what went wrong.
fn put(conn: &Connection, folder: &Path, kept: &Kept, (key, look): (&Path, &Look)) -> Result<String, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    let key = Key::at(key).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(folder).map_err(|error| told(&error))?;
    let standing = life::revision(conn, kept).map_err(|error| error.to_string())?;
    let written = files::publish(folder, &standing, &kept.month, (&key, look)).map_err(|error| told(&error))?;
    Ok(written.into_iter().map(|written| written.file).collect::<Vec<_>>().join(", "))
}

/// Seals the days that are over and not sealed, and those that got samples since. `done` is the last day that this
/// process has been through.
async fn seal(running: &Running, done: &mut i64) -> Result<(), StoreError> {
    let last = days::day_of(running.clock.now().plus_ms(-SEAL_AFTER_MS)) - 1;
    for day in (*done).saturating_add(1).max(last - MAX_SEALED_DAYS)..=last {
        let open = running.store.read(move |conn| days::never_sealed(conn, day)).await?;
        for some in open.chunks(SEALED_AT_ONCE) {
            if running.stop.is_cancelled() {
                return Ok(());
            }
            let some = some.to_vec();
            running.store.write(move |tx| days::seal(tx, &some)).await?;
        }
        *done = day;
    }
    loop {
        let limit = u32::try_from(SEALED_AT_ONCE).unwrap_or(u32::MAX);
        let open = running.store.read(move |conn| days::opened_again(conn, limit)).await?;
        if open.is_empty() || running.stop.is_cancelled() {
            return Ok(());
        }
        running.store.write(move |tx| days::seal(tx, &open)).await?;
    }
}

/// Logs, once, what is to be restated.
async fn tell_due(running: &Running, told: &mut Told) -> Result<(), StoreError> {
    let due = running.store.read(life::all_due).await?;
    let mut now = Told::new();
    for (kept, due) in due {
        let (key, text) = ((kept.customer, kept.month), nines_shared::sample::detail(&due.to_string()));
        if told.get(&key) != Some(&text) {
            tracing::warn!(customer = %key.0, month = key.1, due = text, "report.restatement_due");
        }
        now.insert(key, text);
    }
    *told = now;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        calendar::instant(text).unwrap()
    }

    #[test]
    fn months_are_to_be_frozen_that_ended_while_the_customer_was_known_in_the_customers_zone() {
        let frozen = BTreeSet::from(["2026-09".to_owned()]);
        let ended = |now: &str| ended("Europe/Berlin", at("2026-07-31T21:59:59Z"), &frozen, at(now));
        assert_eq!(ended("2026-10-31T22:59:59Z"), ["2026-07", "2026-08"]);
        assert_eq!(ended("2026-10-31T23:00:00Z"), ["2026-07", "2026-08", "2026-10"], "midnight in Berlin");
        let known_later =
            super::ended("Europe/Berlin", at("2026-07-31T22:00:00Z"), &frozen, at("2026-09-15T00:00:00Z"));
        assert_eq!(known_later, ["2026-08"], "july had ended when the customer came");
        assert_eq!(super::ended("UTC", Timestamp::MIN, &frozen, at("2026-09-15T00:00:00Z")).len(), MAX_MONTHS);
    }
}
