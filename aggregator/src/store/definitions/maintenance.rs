//! Maintenance windows, announced by the file or by a person, and cancelled by either.
//!
//! A window that is cancelled while it lasts ends there: what had passed stays excluded. One that is over stays
//! as it was, whether it leaves the file or a person would cancel it: neither may rewrite the past.
//!
//! A window that was granted when its time had begun is another matter: it is an exclusion *afterwards*, is shown as
//! such wherever it counts, and whoever granted it may take it back, which is recorded likewise. No row is ever
//! deleted, and who granted what, when and why never changes.

use nines_shared::id::ServiceId;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Row, Transaction, params};

use super::Changes;
use crate::definition::{Afterwards, Maintenance};
use crate::store::StoreError;

/// SQL of the second migration: what was granted afterwards, and a history that nobody rewrites.
pub(in crate::store) const AFTERWARDS: &str = "
ALTER TABLE maintenance ADD COLUMN afterwards INTEGER NOT NULL DEFAULT 0;  -- granted when its time had begun
ALTER TABLE maintenance ADD COLUMN cancelled_by TEXT;
ALTER TABLE maintenance ADD COLUMN cancelled_why TEXT;
CREATE TRIGGER maintenance_is_never_deleted BEFORE DELETE ON maintenance
BEGIN SELECT RAISE(ABORT, 'a maintenance window stays on record'); END;
CREATE TRIGGER maintenance_is_never_rewritten
BEFORE UPDATE OF no, service, starts_at, ends_at, reason, origin, granted_at, granted_by, afterwards ON maintenance
BEGIN SELECT RAISE(ABORT, 'what was granted stays as it was'); END;
CREATE TRIGGER maintenance_is_cancelled_once BEFORE UPDATE ON maintenance WHEN OLD.cancelled_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what was cancelled stays cancelled'); END;
";

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
    /// When, by whom and why it was cancelled, where it was.
    pub cancelled: Option<Cancelled>,
}

/// That a window was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// When.
    pub at: Timestamp,
    /// By whom, where that was recorded.
    pub by: Option<String>,
    /// Why, where somebody said so.
    pub why: Option<String>,
}

/// So long after its beginning a window still counts as announced in time, in ms.
const MOMENT_MS: i64 = 60_000;

const COLUMNS: &str = "no, service, starts_at, ends_at, until, reason, origin, granted_at, granted_by, afterwards,
    cancelled_at, cancelled_by, cancelled_why";

/// Announces a window on behalf of `by`; returns its number. Whether it is granted afterwards is told by `now` and
/// its beginning.
///
/// # Errors
/// What SQLite says.
pub fn add(tx: &Transaction<'_>, window: &Maintenance, by: &str, now: Timestamp) -> Result<i64, StoreError> {
    announce(tx, window, ("command", by), is_afterwards(window, now), now)
}

/// Whether a window that is granted at `now` is granted afterwards. Who says "from now on" has a moment to say it.
pub fn is_afterwards(window: &Maintenance, now: Timestamp) -> bool {
    window.span.from.plus_ms(MOMENT_MS) < now
}

/// Cancels window number `no` on behalf of `by`: one that lasts ends at `now`, one to come never begins, one that was
/// granted afterwards counts no more. `None` where there is no such window, where it is cancelled already, and
/// where it was announced and is over: what was excluded stays on record.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn cancel(
    tx: &Transaction<'_>,
    no: i64,
    (by, why): (&str, Option<&str>),
    now: Timestamp,
) -> Result<Option<Announced>, StoreError> {
    let sql = format!(
        "UPDATE maintenance SET cancelled_at = ?2, cancelled_by = ?3, cancelled_why = ?4,
           until = iif(afterwards, starts_at, max(?2, starts_at))
         WHERE no = ?1 AND cancelled_at IS NULL AND (afterwards OR ?2 < ends_at) RETURNING {COLUMNS}"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    statement.query_and_then(params![no, now.as_ms(), by, why], announced)?.next().transpose()
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
    let there = list(tx)?.into_iter().filter(|known| known.from_file && known.cancelled.is_none());
    let mut there: Vec<Announced> = there.collect();
    for window in wanted {
        match there.iter().position(|known| Maintenance { afterwards: None, ..known.window.clone() } == *window) {
            Some(index) => drop(there.swap_remove(index)),
            None => {
                // A file that brings the service too tells of a time before ours: what it says was so then.
                let afterwards = is_afterwards(window, now) && was_known(tx, &window.service, now)?;
                announce(tx, window, ("file", "fleet file"), afterwards, now)?;
                changes.added.push(named(window));
            }
        }
    }
    for gone in there.into_iter().filter(|gone| now < gone.window.span.to) {
        cancel(tx, gone.no, ("fleet file", None), now)?;
        changes.removed.push(named(&gone.window));
    }
    Ok(())
}

/// Whether `service` was defined before `now`.
fn was_known(tx: &Transaction<'_>, service: &ServiceId, now: Timestamp) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM definition WHERE kind = 'service' AND id = ?1 AND loaded_at < ?2)",
    )?;
    Ok(statement.query_row(params![service.as_str(), now.as_ms()], |row| row.get(0))?)
}

fn named(window: &Maintenance) -> String {
    format!("maintenance of {} from {}", window.service, window.span.from)
}

fn announce(
    tx: &Transaction<'_>,
    window: &Maintenance,
    (origin, by): (&str, &str),
    afterwards: bool,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let Span { from, to } = window.span;
    tx.prepare_cached(
        "INSERT INTO maintenance (service, starts_at, ends_at, until, reason, origin, granted_at, granted_by, afterwards)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        window.service.as_str(),
        from.as_ms(),
        to.as_ms(),
        window.reason,
        origin,
        now.as_ms(),
        by,
        afterwards
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
    let (granted_at, granted_by): (Timestamp, String) = (at(7)?, row.get(8)?);
    let afterwards = row.get::<_, bool>(9)?.then(|| Afterwards { at: granted_at, by: granted_by.clone() });
    let cancelled = match row.get::<_, Option<i64>>(10)? {
        Some(at) => Some(Cancelled { at: Timestamp::from_ms(at), by: row.get(11)?, why: row.get(12)? }),
        None => None,
    };
    Ok(Announced {
        no: row.get(0)?,
        window: Maintenance { service, span: Span::new(at(2)?, at(3)?), reason: row.get(5)?, afterwards },
        until: at(4)?,
        from_file: row.get::<_, String>(6)? == "file",
        granted_at,
        granted_by,
        cancelled,
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
        Maintenance { service: "shop".parse().unwrap(), span, reason: "upgrade".to_owned(), afterwards: None }
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
        let cancel = |no, at| store.write_blocking(move |tx| cancel(tx, no, ("bob", None), ms(at))).unwrap();
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
        let cancelled: Vec<_> = listed.iter().map(|known| Some(known.cancelled.as_ref()?.at)).collect();
        assert_eq!(cancelled, [None, Some(ms(100)), Some(ms(100))]);
    }

    #[test]
    fn what_is_granted_afterwards_says_so_and_may_be_taken_back_on_record() {
        let (_folder, store) = store();
        let day = 86_400_000;
        loaded(&store, &[], 1);
        let add = |window: Maintenance, at| store.write_blocking(move |tx| add(tx, &window, "ann", ms(at))).unwrap();
        let no = add(upgrade(0, day), 10 * day);
        add(upgrade(20 * day, 21 * day), 10 * day);
        let of_all = || {
            let (shop, ever) = ("shop".parse().unwrap(), Span { from: Timestamp::MIN, to: Timestamp::MAX });
            store.read_blocking(|conn| of_service(conn, &shop, ever)).unwrap()
        };
        let grants: Vec<_> = of_all().into_iter().map(|window| window.afterwards).collect();
        assert_eq!(grants, [Some(Afterwards { at: ms(10 * day), by: "ann".to_owned() }), None]);
        let why = ("bob", Some("the customer objects"));
        let taken_back = store.write_blocking(move |tx| cancel(tx, no, why, ms(12 * day))).unwrap().unwrap();
        let cancelled =
            Cancelled { at: ms(12 * day), by: Some("bob".to_owned()), why: Some("the customer objects".to_owned()) };
        assert_eq!((taken_back.until, taken_back.cancelled), (ms(0), Some(cancelled)));
        assert_eq!(counting(&store), [(20 * day, 21 * day)]);
        assert_eq!(store.read_blocking(list).unwrap().len(), 2);
    }

    #[test]
    fn a_past_window_that_comes_into_the_file_of_a_known_service_is_granted_afterwards() {
        let (_folder, store) = store();
        let day = 86_400_000;
        let grants = || {
            store.read_blocking(list).unwrap().iter().map(|known| known.window.afterwards.is_some()).collect::<Vec<_>>()
        };
        loaded(&store, &[upgrade(0, 10)], 10 * day);
        assert_eq!(grants(), [false], "the first file tells of a time before ours");
        loaded(&store, &[upgrade(0, 10), upgrade(20, 30)], 11 * day);
        assert_eq!(grants(), [false, true]);
        assert!(loaded(&store, &[upgrade(0, 10), upgrade(20, 30)], 12 * day).is_empty());
    }

    #[test]
    fn no_window_is_deleted_or_rewritten() {
        let (_folder, store) = store();
        let no = store.write_blocking(|tx| add(tx, &upgrade(0, 10), "ann", ms(1_000_000))).unwrap();
        store.write_blocking(move |tx| cancel(tx, no, ("bob", None), ms(2_000_000))).unwrap().unwrap();
        for sql in [
            "DELETE FROM maintenance",
            "UPDATE maintenance SET granted_by = 'nobody'",
            "UPDATE maintenance SET ends_at = 99",
            "UPDATE maintenance SET cancelled_at = NULL, until = ends_at",
        ] {
            let error = store.write_blocking(move |tx| Ok(tx.execute(sql, [])?)).unwrap_err();
            assert!(error.to_string().contains("stays"), "{sql}: {error}");
        }
    }
}
