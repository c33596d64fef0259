//! Maintenance windows, announced by the file or by a person, and cancelled by either.
//!
//! A window that is cancelled while it lasts ends there: what had passed stays excluded. One that is over stays
//! as it was, whether it leaves the file or a person would cancel it: neither may rewrite the past.

use nines_shared::id::ServiceId;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Row, Transaction, params};

use super::Changes;
use crate::definition::Maintenance;
use crate::store::StoreError;

/// A window with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its number, by which it is cancelled.
    pub no: i64,
    /// As it was announced.
    pub window: Maintenance,
    /// When it ends as it counts: as announced, or earlier where it was cancelled.
    pub until: Timestamp,
    /// Whether the fleet file announced it.
    pub from_file: bool,
    /// When it was announced.
    pub granted_at: Timestamp,
    /// By whom.
    pub granted_by: String,
    /// When it was cancelled, where it was.
    pub cancelled_at: Option<Timestamp>,
}

const COLUMNS: &str = "no, service, starts_at, ends_at, until, reason, origin, granted_at, granted_by, cancelled_at";

/// Announces a window on behalf of `by`; returns its number.
///
/// # Errors
/// What SQLite says.
pub fn add(tx: &Transaction<'_>, window: &Maintenance, by: &str, now: Timestamp) -> Result<i64, StoreError> {
    announce(tx, window, ("command", by), now)
}

/// Cancels window number `no`: one that lasts ends at `now`, one to come never begins. `None` where there is no
/// such window, where it is cancelled already, and where it is over: what was excluded stays on record.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn cancel(tx: &Transaction<'_>, no: i64, now: Timestamp) -> Result<Option<Announced>, StoreError> {
    tx.prepare_cached(
        "UPDATE maintenance SET cancelled_at = ?2, until = max(?2, starts_at)
         WHERE no = ?1 AND cancelled_at IS NULL AND ?2 < ends_at
         RETURNING no, service, starts_at, ends_at, until, reason, origin, granted_at, granted_by, cancelled_at",
    )?
    .query_and_then(params![no, now.as_ms()], announced)?
    .next()
    .transpose()
}

/// Every window, cancelled ones too, in order of time.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn list(conn: &Connection) -> Result<Vec<Announced>, StoreError> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM maintenance ORDER BY starts_at, ends_at, no"))?;
    statement.query_and_then([], announced)?.collect()
}

/// The windows of `service` that count and touch `window`, as they count, in order of time.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn of_service(conn: &Connection, service: &ServiceId, window: Span) -> Result<Vec<Maintenance>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM maintenance
         WHERE service = ?1 AND starts_at < ?3 AND ?2 < until AND starts_at < until ORDER BY starts_at, until, reason"
    ))?;
    let rows =
        statement.query_and_then(params![service.as_str(), window.from.as_ms(), window.to.as_ms()], announced)?;
    rows.map(|row| {
        let Announced { mut window, until, .. } = row?;
        window.span.to = until;
        Ok(window)
    })
    .collect()
}

/// Makes the file's windows those of `wanted`.
pub(super) fn load(
    tx: &Transaction<'_>,
    wanted: &[Maintenance],
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let there = list(tx)?.into_iter().filter(|known| known.from_file && known.cancelled_at.is_none());
    let mut there: Vec<Announced> = there.collect();
    for window in wanted {
        match there.iter().position(|known| known.window == *window) {
            Some(index) => drop(there.swap_remove(index)),
            None => {
                announce(tx, window, ("file", "fleet file"), now)?;
                changes.added.push(named(window));
            }
        }
    }
    for gone in there.into_iter().filter(|gone| now < gone.window.span.to) {
        cancel(tx, gone.no, now)?;
        changes.removed.push(named(&gone.window));
    }
    Ok(())
}

fn named(window: &Maintenance) -> String {
    format!("maintenance of {} from {}", window.service, window.span.from)
}

fn announce(
    tx: &Transaction<'_>,
    window: &Maintenance,
    (origin, by): (&str, &str),
    now: Timestamp,
) -> Result<i64, StoreError> {
    let Span { from, to } = window.span;
    tx.prepare_cached(
        "INSERT INTO maintenance (service, starts_at, ends_at, until, reason, origin, granted_at, granted_by)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        window.service.as_str(),
        from.as_ms(),
        to.as_ms(),
        window.reason,
        origin,
        now.as_ms(),
        by
    ])?;
    Ok(tx.last_insert_rowid())
}

fn announced(row: &Row<'_>) -> Result<Announced, StoreError> {
    let at = |column| row.get::<_, i64>(column).map(Timestamp::from_ms);
    let service: String = row.get(1)?;
    let service = service.parse().map_err(|why: nines_shared::id::IdError| StoreError::Unreadable {
        what: "a maintenance window".to_owned(),
        why: why.to_string(),
    })?;
    Ok(Announced {
        no: row.get(0)?,
        window: Maintenance { service, span: Span::new(at(2)?, at(3)?), reason: row.get(5)? },
        until: at(4)?,
        from_file: row.get::<_, String>(6)? == "file",
        granted_at: at(7)?,
        granted_by: row.get(8)?,
        cancelled_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Fleet;
    use crate::store::Store;
    use crate::store::definitions;
    use crate::store::tests::{fleet, store};

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn upgrade(from: i64, to: i64) -> Maintenance {
        let span = Span::new(ms(from), ms(to));
        Maintenance { service: "shop".parse().unwrap(), span, reason: "upgrade".to_owned() }
    }

    fn with(windows: &[Maintenance]) -> Fleet {
        Fleet { maintenance: windows.to_vec(), ..fleet(Vec::new()) }
    }

    fn loaded(store: &Store, windows: &[Maintenance], at: i64) -> Changes {
        let fleet = with(windows);
        store.write_blocking(move |tx| definitions::load(tx, &fleet, ms(at))).unwrap()
    }

    /// The windows that count, of all time.
    fn counting(store: &Store) -> Vec<(i64, i64)> {
        let (shop, ever) = ("shop".parse().unwrap(), Span { from: Timestamp::MIN, to: Timestamp::MAX });
        let windows = store.read_blocking(|conn| of_service(conn, &shop, ever)).unwrap();
        windows.iter().map(|window| (window.span.from.as_ms(), window.span.to.as_ms())).collect()
    }

    #[test]
    fn the_files_windows_come_and_go_with_it_and_tidying_it_does_not_rewrite_the_past() {
        let (_folder, store) = store();
        let (past, now, soon) = (upgrade(0, 10), upgrade(50, 150), upgrade(200, 300));
        assert_eq!(loaded(&store, &[past.clone(), now.clone(), soon.clone()], 5).added.len(), 7);
        assert!(loaded(&store, &[soon.clone(), past.clone(), now.clone()], 6).is_empty());
        assert_eq!(counting(&store), [(0, 10), (50, 150), (200, 300)]);
        assert_eq!(loaded(&store, &[], 100).removed.len(), 2);
        assert_eq!(counting(&store), [(0, 10), (50, 100)], "what had passed stays excluded");
        assert!(loaded(&store, &[], 101).is_empty());
    }

    #[test]
    fn a_window_of_a_person_lives_beside_the_files_and_is_cancelled_by_number() {
        let (_folder, store) = store();
        let add = |window: Maintenance| store.write_blocking(move |tx| add(tx, &window, "ann", ms(1))).unwrap();
        let cancel = |no, at| store.write_blocking(move |tx| cancel(tx, no, ms(at))).unwrap();
        let (over, lasting, to_come) = (add(upgrade(0, 10)), add(upgrade(50, 150)), add(upgrade(200, 300)));
        loaded(&store, &[], 2);
        assert_eq!(counting(&store).len(), 3, "the file has no say in them");
        assert_eq!(cancel(over, 100), None, "what is over stays excluded");
        assert_eq!(cancel(lasting, 150), None, "and so it does from its very end");
        assert_eq!(cancel(lasting, 100).unwrap().until, ms(100));
        assert_eq!(cancel(to_come, 100).unwrap().until, ms(200));
        assert_eq!(counting(&store), [(0, 10), (50, 100)]);
        assert_eq!(cancel(lasting, 120), None, "cancelled once is cancelled");
        assert_eq!(cancel(99, 120), None);
        let listed = store.read_blocking(list).unwrap();
        assert_eq!(listed.len(), 3);
        assert!(listed.iter().all(|known| known.granted_by == "ann"));
        let cancelled: Vec<_> = listed.iter().map(|known| known.cancelled_at).collect();
        assert_eq!(cancelled, [None, Some(ms(100)), Some(ms(100))]);
    }
}
