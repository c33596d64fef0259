//! The tables of definitions: what the fleet file said, from when until when.
//!
//! A definition is never changed, a later version follows it; so the past keeps its own expected slots. The
//! first version covers all earlier time too. What is taken out of the file gets a tombstone and keeps its history, and
//! an id that returns goes on with it.

use std::collections::BTreeMap;

use nines_shared::check::Check;
use nines_shared::id::{CheckId, CustomerId, RegionId, ServiceId};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, samples};
use crate::definition::{Customer, Fleet, Region, Service};
use crate::uptime::{CheckRecord, CheckVersion, ServiceRecord};

pub mod maintenance;

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "
CREATE TABLE definition (
  kind       TEXT    NOT NULL,  -- region, customer, service, check
  id         TEXT    NOT NULL,
  valid_from INTEGER NOT NULL,  -- in force from here until the next one's; the smallest number for the first
  loaded_at  INTEGER NOT NULL,  -- when the file that says so was loaded
  service    TEXT,              -- of a check: the service that it is a part of
  body       TEXT,              -- JSON; NULL: removed from here on
  PRIMARY KEY (kind, id, valid_from)
) STRICT, WITHOUT ROWID;
CREATE INDEX definition_service ON definition (service) WHERE service IS NOT NULL;

-- Windows that the file or a person announced. A cancelled one ends where it was cancelled.
CREATE TABLE maintenance (
  no           INTEGER PRIMARY KEY,
  service      TEXT    NOT NULL,
  starts_at    INTEGER NOT NULL,
  ends_at      INTEGER NOT NULL,  -- as announced
  until        INTEGER NOT NULL,  -- as it counts: ends_at, or when it was cancelled before
  reason       TEXT    NOT NULL,
  origin       TEXT    NOT NULL,  -- file, command
  granted_at   INTEGER NOT NULL,
  granted_by   TEXT    NOT NULL,
  cancelled_at INTEGER
) STRICT;
CREATE INDEX maintenance_service ON maintenance (service, starts_at);
";

/// What a load changed, each as `check shop-home`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Definitions that were not there, or were removed before.
    pub added: Vec<String>,
    /// Definitions that got a new version.
    pub changed: Vec<String>,
    /// Definitions that are gone from the file.
    pub removed: Vec<String>,
}

impl Changes {
    /// Whether the file said nothing new.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Makes the definitions those of `fleet` from `now` on: new versions only for what changed, tombstones for
/// what is gone. The same fleet again changes nothing.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn load(tx: &Transaction<'_>, fleet: &Fleet, now: Timestamp) -> Result<Changes, StoreError> {
    let mut changes = Changes::default();
    load_kind(tx, &fleet.regions, now, &mut changes)?;
    load_kind(tx, &fleet.customers, now, &mut changes)?;
    load_kind(tx, &fleet.services, now, &mut changes)?;
    load_kind(tx, &fleet.checks, now, &mut changes)?;
    maintenance::load(tx, &fleet.maintenance, now, &mut changes)?;
    Ok(changes)
}

/// Something with versions.
trait Defined: Serialize + DeserializeOwned + PartialEq {
    const KIND: &'static str;
    fn id(&self) -> &str;
    fn service(&self) -> Option<&ServiceId> {
        None
    }
}

impl Defined for Region {
    const KIND: &'static str = "region";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Defined for Customer {
    const KIND: &'static str = "customer";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Defined for Service {
    const KIND: &'static str = "service";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Defined for Check {
    const KIND: &'static str = "check";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn service(&self) -> Option<&ServiceId> {
        Some(&self.service)
    }
}

fn load_kind<T: Defined>(
    tx: &Transaction<'_>,
    wanted: &[T],
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let mut there: BTreeMap<String, History<T>> = histories::<T>(tx)?.into_iter().collect();
    for new in wanted {
        let name = format!("{} {}", T::KIND, new.id());
        let valid_from = match there.remove(new.id()) {
            None => {
                changes.added.push(name);
                Timestamp::MIN
            }
            Some(history) if history.removed_at != Timestamp::MAX => {
                changes.added.push(name);
                now.max(history.removed_at.plus_ms(1))
            }
            Some(history) if history.last() == new => continue,
            Some(history) => {
                changes.changed.push(name);
                now.max(history.last_from().plus_ms(1))
            }
        };
        append(tx, (T::KIND, new.id()), valid_from, now, Some(new))?;
    }
    for (id, history) in there.into_iter().filter(|(_id, history)| history.removed_at == Timestamp::MAX) {
        let removed_at = now.max(history.last_from().plus_ms(1));
        append::<T>(tx, (T::KIND, &id), removed_at, now, None)?;
        changes.removed.push(format!("{} {id}", T::KIND));
    }
    Ok(())
}

fn append<T: Defined>(
    tx: &Transaction<'_>,
    (kind, id): (&str, &str),
    valid_from: Timestamp,
    loaded_at: Timestamp,
    body: Option<&T>,
) -> Result<(), StoreError> {
    let service = body.and_then(T::service).map(ServiceId::as_str);
    let body = body.map(|body| serde_json::to_string(body).expect("text keys, written to memory"));
    tx.prepare_cached(
        "INSERT INTO definition (kind, id, valid_from, loaded_at, service, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![kind, id, valid_from.as_ms(), loaded_at.as_ms(), service, body])?;
    Ok(())
}

/// All versions of one definition.
struct History<T> {
    /// In order, never empty; the first at [`Timestamp::MIN`].
    versions: Vec<(Timestamp, T)>,
    first_loaded: Timestamp,
    /// [`Timestamp::MAX`] while it is there.
    removed_at: Timestamp,
}

impl<T> History<T> {
    fn last(&self) -> &T {
        &self.versions.last().expect("a history begins with a version").1
    }

    fn last_from(&self) -> Timestamp {
        self.versions.last().expect("a history begins with a version").0
    }

    /// The version in force just before `end`; the first where all are later.
    fn before(&self, end: Timestamp) -> &T {
        let later = self.versions.partition_point(|(from, _)| *from < end);
        &self.versions[later.saturating_sub(1)].1
    }

    fn in_force_at(&self, at: Timestamp) -> Option<&T> {
        (at < self.removed_at).then(|| self.before(at.plus_ms(1)))
    }
}

/// Every history of a kind, sorted by id.
fn histories<T: Defined>(conn: &Connection) -> Result<Vec<(String, History<T>)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, valid_from, loaded_at, body FROM definition WHERE kind = ?1 ORDER BY id, valid_from",
    )?;
    let mut rows = statement.query([T::KIND])?;
    let mut all: Vec<(String, History<T>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        match all.last_mut() {
            Some((last, history)) if *last == id => follow(history, row)?,
            Some(_) | None => all.push((id, begin(row)?)),
        }
    }
    Ok(all)
}

/// The history of one definition, where there ever was one.
fn history<T: Defined>(conn: &Connection, id: &str) -> Result<Option<History<T>>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, valid_from, loaded_at, body FROM definition WHERE kind = ?1 AND id = ?2 ORDER BY valid_from",
    )?;
    let mut rows = statement.query([T::KIND, id])?;
    let Some(first) = rows.next()? else { return Ok(None) };
    let mut history = begin(first)?;
    while let Some(row) = rows.next()? {
        follow(&mut history, row)?;
    }
    Ok(Some(history))
}

fn begin<T: Defined>(row: &Row<'_>) -> Result<History<T>, StoreError> {
    let first_loaded = Timestamp::from_ms(row.get(2)?);
    let mut history = History { versions: Vec::new(), first_loaded, removed_at: Timestamp::MAX };
    follow(&mut history, row)?;
    if history.versions.is_empty() {
        return Err(unreadable::<T>(row, "its first version is a tombstone"));
    }
    Ok(history)
}

fn follow<T: Defined>(history: &mut History<T>, row: &Row<'_>) -> Result<(), StoreError> {
    let valid_from = Timestamp::from_ms(row.get(1)?);
    match row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        None => history.removed_at = valid_from,
        Some(json) => {
            let body = serde_json::from_str(json).map_err(|why| unreadable::<T>(row, &why.to_string()))?;
            history.versions.push((valid_from, body));
            history.removed_at = Timestamp::MAX;
        }
    }
    Ok(())
}

fn unreadable<T: Defined>(row: &Row<'_>, why: &str) -> StoreError {
    let id = row.get::<_, String>(0).unwrap_or_default();
    StoreError::Unreadable { what: format!("the definition of {} {id}", T::KIND), why: why.to_owned() }
}

/// The definitions of a kind that are there now, sorted by id.
fn present<T: Defined>(conn: &Connection) -> Result<Vec<T>, StoreError> {
    let there = histories::<T>(conn)?.into_iter().filter(|(_id, history)| history.removed_at == Timestamp::MAX);
    Ok(there.filter_map(|(_id, mut history)| history.versions.pop()).map(|(_from, body)| body).collect())
}

/// The services of the file last loaded, sorted by id.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn services(conn: &Connection) -> Result<Vec<Service>, StoreError> {
    present(conn)
}

/// The customers of the file last loaded, sorted by id.
///
/// # Errors
/// As [`services`].
pub fn customers(conn: &Connection) -> Result<Vec<Customer>, StoreError> {
    present(conn)
}

/// The customers of the file last loaded, and since when each is known here: sorted by id.
///
/// # Errors
/// As [`services`].
pub fn customers_known(conn: &Connection) -> Result<Vec<(Customer, Timestamp)>, StoreError> {
    let there = histories::<Customer>(conn)?.into_iter().filter(|(_id, history)| history.removed_at == Timestamp::MAX);
    Ok(there.map(|(_id, history)| (history.last().clone(), history.first_loaded)).collect())
}

/// The regions of the file last loaded, sorted by id.
///
/// # Errors
/// As [`services`].
pub fn regions(conn: &Connection) -> Result<Vec<Region>, StoreError> {
    present(conn)
}

/// The checks of the file last loaded, sorted by id.
///
/// # Errors
/// As [`services`].
pub fn checks(conn: &Connection) -> Result<Vec<Check>, StoreError> {
    present(conn)
}

/// Every check there ever was, with all its versions, sorted by id: what samples may be of.
///
/// # Errors
/// As [`services`].
pub fn all_check_versions(conn: &Connection) -> Result<BTreeMap<CheckId, Vec<CheckVersion>>, StoreError> {
    let all = histories::<Check>(conn)?.into_iter();
    Ok(all.map(|(_id, history)| (history.last().id.clone(), versions(history))).collect())
}

/// Every version of `check`, in order; none where there never was such a check.
///
/// # Errors
/// As [`services`].
pub fn check_versions(conn: &Connection, check: &CheckId) -> Result<Vec<CheckVersion>, StoreError> {
    Ok(history(conn, check.as_str())?.map(versions).unwrap_or_default())
}

fn versions(history: History<Check>) -> Vec<CheckVersion> {
    let versions = history.versions.into_iter();
    versions.map(|(valid_from, check)| CheckVersion { valid_from, check }).collect()
}

/// The checks that are asked from `region` at `now`, sorted by id.
///
/// # Errors
/// As [`services`].
pub fn checks_of_region(conn: &Connection, region: &RegionId, now: Timestamp) -> Result<Vec<Check>, StoreError> {
    let all = histories::<Check>(conn)?;
    let in_force = all.iter().filter_map(|(_id, history)| history.in_force_at(now));
    Ok(in_force.filter(|check| check.region_index(region).is_some()).cloned().collect())
}

/// The services that `customer` sees (their own, and those of a contract with them) and that have any life in
/// `window`, removed ones too, sorted by id.
///
/// # Errors
/// As [`services`].
pub fn services_of(conn: &Connection, customer: &CustomerId, window: Span) -> Result<Vec<ServiceId>, StoreError> {
    let all = histories::<Service>(conn)?.into_iter().filter(|(_id, history)| window.from < history.removed_at);
    let theirs = all.filter(|(_id, history)| history.before(window.to).is_seen_by(customer));
    Ok(theirs.map(|(_id, history)| history.last().id.clone()).collect())
}

/// Whose `service` is, by its last definition, even if it was removed. `None` where there never was such a service.
///
/// # Errors
/// As [`services`].
pub fn owner(conn: &Connection, service: &ServiceId) -> Result<Option<CustomerId>, StoreError> {
    Ok(history::<Service>(conn, service.as_str())?.map(|found| found.last().customer.clone()))
}

/// All that the figures of `service` in `window` depend on: definitions, maintenance, and samples with the
/// margins of [`samples::record_of`]. `None` where there never was such a service.
///
/// A check is the service's if it was so by the last definition before the window's end.
///
/// # Errors
/// As [`services`].
pub fn service_record(
    conn: &Connection,
    service: &ServiceId,
    window: Span,
) -> Result<Option<ServiceRecord>, StoreError> {
    let Some(mut record) = outline(conn, service, window)? else { return Ok(None) };
    for check in &mut record.checks {
        let id = &check.versions.first().expect("a check has a version").check.id;
        check.regions = samples::record_of(conn, id, window)?;
    }
    Ok(Some(record))
}

/// The [`service_record`] without samples.
///
/// # Errors
/// As [`services`].
pub fn outline(conn: &Connection, service: &ServiceId, window: Span) -> Result<Option<ServiceRecord>, StoreError> {
    let Some(found) = history::<Service>(conn, service.as_str())? else { return Ok(None) };
    let (first_loaded, removed_at) = (found.first_loaded, found.removed_at);
    let definition = found.before(window.to).clone();
    let checks = check_records(conn, service, window)?;
    let from = match definition.since {
        Some(since) => since,
        None => first_sample(conn, &checks)?.map_or(first_loaded, |first| first.min(first_loaded)),
    };
    Ok(Some(ServiceRecord {
        timezone: timezone(conn, &definition.customer, window.to)?,
        life: Span::new(from, removed_at),
        maintenance: maintenance::of_service(conn, service, window)?,
        service: definition,
        checks,
    }))
}

fn check_records(conn: &Connection, service: &ServiceId, window: Span) -> Result<Vec<CheckRecord>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT DISTINCT id FROM definition WHERE service = ?1 AND kind = 'check' ORDER BY id")?;
    let ids = statement.query_map([service.as_str()], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(found) = history::<Check>(conn, &id)? else { continue };
        if window.from < found.removed_at && found.before(window.to).service == *service {
            let removed_at = found.removed_at;
            records.push(CheckRecord { versions: versions(found), removed_at, regions: Vec::new() });
        }
    }
    Ok(records)
}

fn first_sample(conn: &Connection, checks: &[CheckRecord]) -> Result<Option<Timestamp>, StoreError> {
    let mut first: Option<Timestamp> = None;
    for check in checks {
        let id = &check.versions.first().expect("a check has a version").check.id;
        first = first.into_iter().chain(samples::first_of(conn, id)?).min();
    }
    Ok(first)
}

fn timezone(conn: &Connection, customer: &CustomerId, end: Timestamp) -> Result<String, StoreError> {
    let found = history::<Customer>(conn, customer.as_str())?;
    Ok(found.map_or_else(|| "UTC".to_owned(), |history| history.before(end).timezone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::tests::{check, fleet, sample, store};

    const REGIONS: &[&str] = &["eu-west", "us-east"];

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn shop() -> ServiceId {
        "shop".parse().unwrap()
    }

    fn window(from: i64, to: i64) -> Span {
        Span::new(ms(from), ms(to))
    }

    fn loaded(store: &Store, fleet: &Fleet, at: i64) -> Changes {
        let fleet = fleet.clone();
        store.write_blocking(move |tx| load(tx, &fleet, ms(at))).unwrap()
    }

    fn outlined(store: &Store, window: Span) -> ServiceRecord {
        store.read_blocking(|conn| outline(conn, &shop(), window)).unwrap().unwrap()
    }

    fn intervals(store: &Store, id: &str) -> Vec<(i64, i64)> {
        let id = id.parse().unwrap();
        let versions = store.read_blocking(|conn| check_versions(conn, &id)).unwrap();
        versions.iter().map(|version| (version.valid_from.as_ms(), version.check.interval_ms)).collect()
    }

    #[test]
    fn the_same_fleet_again_changes_nothing_and_a_change_makes_one_version() {
        let (_folder, store) = store();
        let mut fleet = fleet(vec![check("shop-home", 60_000, REGIONS), check("shop-dns", 60_000, REGIONS)]);
        let first = loaded(&store, &fleet, 1_000);
        assert_eq!(first.added.len(), 6, "{first:?}");
        assert!(loaded(&store, &fleet, 2_000).is_empty());
        fleet.checks[0] = check("shop-home", 30_000, REGIONS);
        let second = loaded(&store, &fleet, 3_000);
        assert_eq!(second, Changes { changed: vec!["check shop-home".to_owned()], ..Changes::default() });
        assert_eq!(intervals(&store, "shop-home"), [(i64::MIN, 60_000), (3_000, 30_000)]);
        assert_eq!(intervals(&store, "shop-dns"), [(i64::MIN, 60_000)]);
        assert_eq!(intervals(&store, "shop-tls"), []);
    }

    #[test]
    fn a_version_that_comes_while_the_clock_stands_still_or_steps_back_is_later_all_the_same() {
        let (_folder, store) = store();
        for (interval, at) in [(60_000, 5_000), (30_000, 5_000), (20_000, 5_000), (10_000, 1_000)] {
            loaded(&store, &fleet(vec![check("shop-home", interval, REGIONS)]), at);
        }
        let expected = [(i64::MIN, 60_000), (5_000, 30_000), (5_001, 20_000), (5_002, 10_000)];
        assert_eq!(intervals(&store, "shop-home"), expected);
    }

    #[test]
    fn what_is_taken_out_keeps_its_history_and_what_returns_goes_on_with_it() {
        let (_folder, store) = store();
        let with = fleet(vec![check("shop-home", 60_000, REGIONS)]);
        loaded(&store, &with, 1_000);
        let removed = loaded(&store, &fleet(Vec::new()), 2_000);
        assert_eq!(removed.removed, ["check shop-home"]);
        assert_eq!(store.read_blocking(checks).unwrap(), []);
        assert_eq!(intervals(&store, "shop-home"), [(i64::MIN, 60_000)]);
        assert_eq!(outlined(&store, window(0, 5_000)).checks[0].removed_at, ms(2_000));
        assert!(outlined(&store, window(2_000, 5_000)).checks.is_empty(), "it was gone before the window");
        assert_eq!(loaded(&store, &with, 3_000).added, ["check shop-home"]);
        assert_eq!(intervals(&store, "shop-home"), [(i64::MIN, 60_000), (3_000, 60_000)]);
        assert_eq!(outlined(&store, window(0, 5_000)).checks[0].removed_at, Timestamp::MAX);
    }

    #[test]
    fn a_region_is_told_the_checks_in_force() {
        let (_folder, store) = store();
        let of = |region: &str, at| {
            let region = region.parse().unwrap();
            let checks = store.read_blocking(|conn| checks_of_region(conn, &region, ms(at))).unwrap();
            checks.iter().map(|check| check.id.to_string()).collect::<Vec<_>>()
        };
        loaded(
            &store,
            &fleet(vec![check("shop-home", 60_000, REGIONS), check("shop-dns", 60_000, &["eu-west"])]),
            1_000,
        );
        assert_eq!(of("eu-west", 1_500), ["shop-dns", "shop-home"]);
        assert_eq!(of("us-east", 1_500), ["shop-home"]);
        loaded(&store, &fleet(vec![check("shop-home", 60_000, &["eu-west"])]), 2_000);
        assert_eq!(of("eu-west", 2_000), ["shop-home"]);
        assert_eq!(of("us-east", 2_000), Vec::<String>::new());
    }

    #[test]
    fn life_begins_as_written_or_when_first_loaded_or_with_an_earlier_sample() {
        let (_folder, store) = store();
        let mut fleet = fleet(vec![check("shop-home", 60_000, REGIONS)]);
        loaded(&store, &fleet, 9_000);
        assert_eq!(outlined(&store, window(0, 10_000)).life, Span { from: ms(9_000), to: Timestamp::MAX });
        store.write_blocking(|tx| samples::insert(tx, &[sample("us-east", 4_000)], ms(9_000))).unwrap();
        assert_eq!(outlined(&store, window(0, 10_000)).life.from, ms(4_000));
        fleet.services[0].since = Some(ms(7_000));
        loaded(&store, &fleet, 10_000);
        assert_eq!(outlined(&store, window(0, 11_000)).life.from, ms(7_000));
        (fleet.services, fleet.checks) = (Vec::new(), Vec::new());
        loaded(&store, &fleet, 12_000);
        assert_eq!(outlined(&store, window(0, 20_000)).life, Span { from: ms(7_000), to: ms(12_000) });
        assert_eq!(store.read_blocking(services).unwrap(), []);
    }

    #[test]
    fn a_record_has_the_definition_of_the_windows_end_and_the_samples() {
        let (_folder, store) = store();
        let mut fleet = fleet(vec![check("shop-home", 60_000, REGIONS)]);
        loaded(&store, &fleet, 1_000);
        fleet.services[0].name = "The new shop".to_owned();
        fleet.customers[0].timezone = "UTC".to_owned();
        loaded(&store, &fleet, 5_000);
        store.write_blocking(|tx| samples::insert(tx, &[sample("us-east", 4_000)], ms(9_000))).unwrap();
        let record = |window| store.read_blocking(|conn| service_record(conn, &shop(), window)).unwrap().unwrap();
        let (before, after) = (record(window(0, 5_000)), record(window(0, 5_001)));
        assert_eq!((before.service.name.as_str(), before.timezone.as_str()), ("Shop", "Europe/Berlin"));
        assert_eq!((after.service.name.as_str(), after.timezone.as_str()), ("The new shop", "UTC"));
        assert_eq!(before.checks[0].regions[0].region.as_str(), "us-east");
        let nobody = "nobody".parse().unwrap();
        assert_eq!(store.read_blocking(|conn| service_record(conn, &nobody, window(0, 1))).unwrap(), None);
    }

    #[test]
    fn the_services_of_a_customer_are_those_alive_in_the_window() {
        let (_folder, store) = store();
        let mut fleet = fleet(Vec::new());
        loaded(&store, &fleet, 1_000);
        fleet.services.clear();
        loaded(&store, &fleet, 2_000);
        let acme = "acme".parse().unwrap();
        let theirs = |window| store.read_blocking(|conn| services_of(conn, &acme, window)).unwrap();
        assert_eq!(theirs(window(0, 1_500)), [shop()]);
        assert_eq!(theirs(window(2_000, 3_000)), []);
    }
}
