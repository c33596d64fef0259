//! Maintenance windows, announced by the file or by a person, and cancelled by either.
//!
//! A window that is cancelled while it lasts ends there: what had passed stays excluded. One that is over stays
//! as it was, whether it leaves the file or a person would cancel it: neither may rewrite the past.
//!
//! A window that was granted when its time had begun is another matter: it is an exclusion *afterwards*, is shown as
//! such wherever it counts, and whoever granted it may take it back, which is recorded likewise. No row is ever
//! deleted, and who granted what, when and why never changes.
//!
//! A weekly rule is one row, and its occurrences are made of it where windows are read. It excludes only what comes
//! after its announcement, unless its service came with it; one that is cancelled keeps the occurrences that it had.

use nines_shared::id::ServiceId;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Row, Transaction, params};

use super::Changes;
use crate::definition::{Afterwards, Maintenance, Weekly};
use crate::store::StoreError;
use crate::uptime::maintenance::occurrences;

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

/// SQL of a later migration: windows that come every week.
pub(in crate::store) const WEEKLY: &str = "
ALTER TABLE maintenance ADD COLUMN weekly TEXT;         -- JSON; NULL: once. starts_at and ends_at say how long the rule holds
ALTER TABLE maintenance ADD COLUMN counts_from INTEGER; -- of a rule: what lies before is not excluded
CREATE TRIGGER weekly_is_never_rewritten BEFORE UPDATE OF weekly, counts_from ON maintenance
BEGIN SELECT RAISE(ABORT, 'what was granted stays as it was'); END;
";

/// A window with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its number, by which it is cancelled.
    pub no: i64,
    /// As it was announced.
    pub window: Maintenance,
    /// Since when it counts: from its start, or of a rule that was announced later from then on.
    pub counts_from: Timestamp,
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

impl Announced {
    /// When it counts.
    pub fn counts(&self) -> Span {
        Span::new(self.counts_from, self.until.max(self.counts_from))
    }

    /// What of it shares time with `window`, as it counts, in order: itself, or occurrences of its rule.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn within(&self, window: Span) -> Result<Vec<Maintenance>, StoreError> {
        occurrences(&self.window, self.counts(), window).map_err(|error| unreadable(&error))
    }

    /// What of it began last before `now`; `None` where nothing has begun, or not for more than a week.
    fn begun(&self, now: Timestamp) -> Result<Option<Begun>, StoreError> {
        let (no, service) = (self.no, self.window.service.clone());
        if self.window.weekly.is_none() {
            let begun = Begun { no, service, span: self.window.span, until: self.until };
            return Ok((begun.span.from < now).then_some(begun));
        }
        let week = Span { from: now.plus_ms(-WEEK_MS), to: now };
        let last = self.within(week)?.pop();
        Ok(last.map(|Maintenance { span, .. }| Begun { no, service, span, until: span.to }))
    }
}

/// A window that has begun, or the last occurrence of a rule that has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The number of the window or the rule.
    pub no: i64,
    /// Whose time it is.
    pub service: ServiceId,
    /// As announced.
    pub span: Span,
    /// When it ends as it counts.
    pub until: Timestamp,
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
const WEEK_MS: i64 = 7 * 86_400_000;

const COLUMNS: &str = "no, service, starts_at, ends_at, until, reason, origin, granted_at, granted_by, afterwards,
    cancelled_at, cancelled_by, cancelled_why, weekly, coalesce(counts_from, starts_at) AS since";

/// Announces a window on behalf of `by`; returns its number. Whether it is granted afterwards is told by `now` and
/// its beginning; a rule counts from `now` on.
///
/// # Errors
/// What SQLite says.
pub fn add(tx: &Transaction<'_>, window: &Maintenance, by: &str, now: Timestamp) -> Result<i64, StoreError> {
    announce(tx, window, ("command", by), true, now)
}

/// Whether a window that is granted at `now` is granted afterwards. Who says "from now on" has a moment to say it. A
/// rule never is: it does not reach back.
pub fn is_afterwards(window: &Maintenance, now: Timestamp) -> bool {
    window.weekly.is_none() && window.span.from.plus_ms(MOMENT_MS) < now
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

/// The windows of `service` that count and touch `window`, as they count, in order of time; of a rule, its occurrences.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn of_service(conn: &Connection, service: &ServiceId, window: Span) -> Result<Vec<Maintenance>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM maintenance
         WHERE service = ?1 AND starts_at < ?3 AND ?2 < until AND since < until ORDER BY starts_at, until, reason"
    ))?;
    let rows =
        statement.query_and_then(params![service.as_str(), window.from.as_ms(), window.to.as_ms()], announced)?;
    let mut windows = Vec::new();
    for row in rows {
        windows.extend(row?.within(window)?);
    }
    windows.sort_by(|one, other| (one.span, &one.reason).cmp(&(other.span, &other.reason)));
    Ok(windows)
}

/// Every window that has begun by `now`, and the last occurrence of every rule.
///
/// # Errors
/// As [`list`].
pub fn begun(conn: &Connection, now: Timestamp) -> Result<Vec<Begun>, StoreError> {
    list(conn)?.iter().filter_map(|known| known.begun(now).transpose()).collect()
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
                let known = was_known(tx, &window.service, now)?;
                announce(tx, window, ("file", "fleet file"), known, now)?;
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
    match &window.weekly {
        None => format!("maintenance of {} from {}", window.service, window.span.from),
        Some(weekly) => {
            let hours: Vec<String> = weekly.hours.iter().map(ToString::to_string).collect();
            format!("weekly maintenance of {}, {}", window.service, hours.join(", "))
        }
    }
}

/// `known` says whether the service was there before: then what has passed is excluded afterwards, or by a rule not at
/// all.
fn announce(
    tx: &Transaction<'_>,
    window: &Maintenance,
    (origin, by): (&str, &str),
    known: bool,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let Span { from, to } = window.span;
    let weekly = window
        .weekly
        .as_ref()
        .map(|weekly| serde_json::to_string(weekly).expect("a rule has only text keys and is written to memory"));
    let counts_from = weekly.is_some().then(|| if known { from.max(now) } else { from }.as_ms());
    tx.prepare_cached(
        "INSERT INTO maintenance
           (service, starts_at, ends_at, until, reason, origin, granted_at, granted_by, afterwards, weekly, counts_from)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        window.service.as_str(),
        from.as_ms(),
        to.as_ms(),
        window.reason,
        origin,
        now.as_ms(),
        by,
        known && is_afterwards(window, now),
        weekly,
        counts_from
    ])?;
    Ok(tx.last_insert_rowid())
}

fn announced(row: &Row<'_>) -> Result<Announced, StoreError> {
    let at = |column| row.get::<_, i64>(column).map(Timestamp::from_ms);
    let service = row.get::<_, String>(1)?.parse().map_err(|why: nines_shared::id::IdError| unreadable(&why))?;
    let (granted_at, granted_by): (Timestamp, String) = (at(7)?, row.get(8)?);
    let afterwards = row.get::<_, bool>(9)?.then(|| Afterwards { at: granted_at, by: granted_by.clone() });
    let cancelled = match row.get::<_, Option<i64>>(10)? {
        Some(at) => Some(Cancelled { at: Timestamp::from_ms(at), by: row.get(11)?, why: row.get(12)? }),
        None => None,
    };
    let weekly = match row.get::<_, Option<String>>(13)? {
        Some(text) => Some(serde_json::from_str::<Weekly>(&text).map_err(|why| unreadable(&why))?),
        None => None,
    };
    Ok(Announced {
        no: row.get(0)?,
        window: Maintenance {
            service,
            span: Span { from: at(2)?, to: at(3)? },
            reason: row.get(5)?,
            afterwards,
            weekly,
        },
        counts_from: at(14)?,
        until: at(4)?,
        from_file: row.get::<_, String>(6)? == "file",
        granted_at,
        granted_by,
        cancelled,
    })
}

fn unreadable(why: &impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: "a maintenance window".to_owned(), why: why.to_string() }
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
        Maintenance {
            service: "shop".parse().unwrap(),
            span,
            reason: "upgrade".to_owned(),
            afterwards: None,
            weekly: None,
        }
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

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    /// Thursdays from two to four in UTC; time began on one.
    fn thursdays(from: Timestamp, to: Timestamp) -> Maintenance {
        let weekly = Weekly { hours: vec!["thu 02:00-04:00".parse().unwrap()], timezone: "UTC".to_owned() };
        Maintenance { span: Span { from, to }, weekly: Some(weekly), ..upgrade(0, 1) }
    }

    /// What counts of the first five weeks, in hours since their beginning.
    fn counting_hours(store: &Store) -> Vec<(i64, i64)> {
        let (shop, weeks) = ("shop".parse().unwrap(), Span::new(ms(0), ms(35 * DAY)));
        let windows = store.read_blocking(|conn| of_service(conn, &shop, weeks)).unwrap();
        windows.iter().map(|window| (window.span.from.as_ms() / HOUR, window.span.to.as_ms() / HOUR)).collect()
    }

    #[test]
    fn a_rule_excludes_nothing_before_it_was_announced_and_keeps_what_it_excluded() {
        let (_folder, store) = store();
        loaded(&store, &[], 1);
        let rule = thursdays(Timestamp::MIN, Timestamp::MAX);
        // Announced at three on the second Thursday, in the middle of an occurrence.
        assert_eq!(loaded(&store, std::slice::from_ref(&rule), 7 * DAY + 3 * HOUR).added.len(), 1);
        assert!(loaded(&store, &[rule], 8 * DAY).is_empty(), "the same rule is no news");
        assert_eq!(counting_hours(&store), [(171, 172), (338, 340), (506, 508), (674, 676)]);
        // Taken out of the file at three on the fourth Thursday.
        assert_eq!(loaded(&store, &[], 21 * DAY + 3 * HOUR).removed, ["weekly maintenance of shop, thu 02:00-04:00"]);
        assert_eq!(counting_hours(&store), [(171, 172), (338, 340), (506, 507)]);
    }

    #[test]
    fn a_rule_that_came_with_its_service_tells_of_time_before_us_too() {
        let (_folder, store) = store();
        loaded(&store, &[thursdays(ms(DAY), ms(15 * DAY))], 30 * DAY);
        assert_eq!(counting_hours(&store), [(170, 172), (338, 340)], "within the days from and until which it holds");
        assert!(store.read_blocking(list).unwrap().iter().all(|known| known.window.afterwards.is_none()));
    }

    #[test]
    fn a_rule_of_a_person_begins_with_them_and_ends_with_a_number() {
        let (_folder, store) = store();
        loaded(&store, &[], 1);
        let rule = thursdays(Timestamp::MIN, Timestamp::MAX);
        let no = store.write_blocking(move |tx| add(tx, &rule, "ann", ms(DAY))).unwrap();
        assert_eq!(counting_hours(&store)[0], (170, 172));
        let cancelled = store.write_blocking(move |tx| cancel(tx, no, ("bob", None), ms(8 * DAY))).unwrap().unwrap();
        assert_eq!(cancelled.until, ms(8 * DAY));
        assert_eq!(counting_hours(&store), [(170, 172)]);
    }

    #[test]
    fn the_last_occurrence_that_began_is_told_with_the_end_that_it_counts_to() {
        let (_folder, store) = store();
        loaded(&store, &[thursdays(ms(DAY), Timestamp::MAX)], 1);
        let begun = |at: i64| {
            let begun = store.read_blocking(|conn| begun(conn, ms(at))).unwrap();
            begun.iter().map(|known| (known.span.from.as_ms() / HOUR, known.until.as_ms() / HOUR)).collect::<Vec<_>>()
        };
        assert_eq!(begun(7 * DAY + 2 * HOUR), [], "its first instant is not behind it");
        assert_eq!(begun(7 * DAY + 3 * HOUR), [(170, 172)]);
        assert_eq!(begun(14 * DAY + HOUR), [(170, 172)]);
        assert_eq!(begun(14 * DAY + 5 * HOUR), [(338, 340)]);
        loaded(&store, &[], 21 * DAY + 3 * HOUR);
        assert_eq!(begun(22 * DAY), [(506, 507)]);
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
            "UPDATE maintenance SET weekly = NULL, counts_from = 0",
            "UPDATE maintenance SET cancelled_at = NULL, until = ends_at",
        ] {
            let error = store.write_blocking(move |tx| Ok(tx.execute(sql, [])?)).unwrap_err();
            assert!(error.to_string().contains("stays"), "{sql}: {error}");
        }
    }
}
