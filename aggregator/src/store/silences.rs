//! The tables of silences: spans in which the letters of some incidents are withheld, each with who, when and why.
//!
//! Nothing is changed or deleted: the end of a silence before its time is a row of its own, and the database itself
//! refuses anything else.

use std::fmt::Display;

use nines_shared::id::{CheckId, CustomerId, ProbeId, ServiceId};
use nines_shared::time::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::incident::Kind;

/// The longest silence, in ms. What is to be quiet for longer is silenced again, by somebody who still knows why.
pub const MAX_SILENCE_MS: i64 = 7 * 86_400_000;
/// The most silences that are listed.
pub const MAX_LISTED: u32 = 1_000;

/// SQL that makes them, in the fifth migration.
pub(super) const TABLES: &str = "
CREATE TABLE silence (
  no      INTEGER PRIMARY KEY AUTOINCREMENT,
  scope   TEXT NOT NULL,      -- service, customer, check or probe
  subject TEXT NOT NULL,      -- its id
  kind    TEXT,               -- only of this kind of incident
  from_at INTEGER NOT NULL,
  to_at   INTEGER NOT NULL,
  reason  TEXT NOT NULL,
  author  TEXT NOT NULL
) STRICT;
CREATE TABLE silence_end (
  no     INTEGER PRIMARY KEY REFERENCES silence (no),
  at     INTEGER NOT NULL,
  author TEXT NOT NULL
) STRICT;
CREATE INDEX silence_to ON silence (to_at);
CREATE TRIGGER silence_is_never_changed BEFORE UPDATE ON silence
BEGIN SELECT RAISE(ABORT, 'a silence stays on record as it was; end it'); END;
CREATE TRIGGER silence_is_never_deleted BEFORE DELETE ON silence
BEGIN SELECT RAISE(ABORT, 'a silence stays on record; end it'); END;
CREATE TRIGGER silence_end_is_never_changed BEFORE UPDATE ON silence_end
BEGIN SELECT RAISE(ABORT, 'the end of a silence stays on record'); END;
CREATE TRIGGER silence_end_is_never_deleted BEFORE DELETE ON silence_end
BEGIN SELECT RAISE(ABORT, 'the end of a silence stays on record'); END;
";

/// What is silenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What is about this service.
    Service(ServiceId),
    /// What is about any service of this customer.
    Customer(CustomerId),
    /// What is about nothing but this check, or nothing but checks that are all silenced.
    Check(CheckId),
    /// What is about this probe of ours.
    Probe(ProbeId),
}

impl Scope {
    /// Its stable name and the id that it names.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Service(id) => ("service", id.as_str()),
            Self::Customer(id) => ("customer", id.as_str()),
            Self::Check(id) => ("check", id.as_str()),
            Self::Probe(id) => ("probe", id.as_str()),
        }
    }
}

impl Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scope, id) = self.parts();
        write!(f, "{scope} {id}")
    }
}

/// A span in which letters are withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// By which it is ended.
    pub no: i64,
    /// What is silenced.
    pub scope: Scope,
    /// Only incidents of this kind.
    pub kind: Option<Kind>,
    /// When it was made.
    pub from: Timestamp,
    /// When it ends by itself.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// When and by whom it was ended before.
    pub ended: Option<(Timestamp, String)>,
}

impl Silence {
    /// Whether letters are withheld at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.to
    }
}

const COLUMNS: &str = "silence.no, scope, subject, kind, from_at, to_at, reason, silence.author, silence_end.at,
 silence_end.author FROM silence LEFT JOIN silence_end ON silence_end.no = silence.no";

/// Writes a silence that begins at `silence.from`; its number is given, whatever `silence.no` is.
///
/// # Errors
/// What SQLite says.
pub fn add(tx: &Transaction<'_>, silence: &Silence) -> Result<i64, StoreError> {
    let (scope, subject) = silence.scope.parts();
    let mut statement = tx.prepare_cached(
        "INSERT INTO silence (scope, subject, kind, from_at, to_at, reason, author) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let kind = silence.kind.map(Kind::code);
    let (from, to) = (silence.from.as_ms(), silence.to.as_ms());
    statement.execute(params![scope, subject, kind, from, to, silence.reason, silence.by])?;
    Ok(tx.last_insert_rowid())
}

/// Ends silence `no` at `now`. `None` where none of that number holds then, else the silence as it is now.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn end(tx: &Transaction<'_>, no: i64, by: &str, now: Timestamp) -> Result<Option<Silence>, StoreError> {
    let Some(silence) = holding(tx, now)?.into_iter().find(|silence| silence.no == no) else { return Ok(None) };
    let mut statement = tx.prepare_cached("INSERT INTO silence_end (no, at, author) VALUES (?1, ?2, ?3)")?;
    statement.execute(params![no, now.as_ms(), by])?;
    Ok(Some(Silence { ended: Some((now, by.to_owned())), ..silence }))
}

/// The silences that hold at `now`, in the order made.
///
/// # Errors
/// As [`end`].
pub fn holding(conn: &Connection, now: Timestamp) -> Result<Vec<Silence>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE ?1 < to_at AND silence_end.no IS NULL ORDER BY silence.no");
    conn.prepare_cached(&sql)?.query_and_then([now.as_ms()], read)?.collect()
}

/// Every silence, the newest first, at most [`MAX_LISTED`].
///
/// # Errors
/// As [`end`].
pub fn list(conn: &Connection) -> Result<Vec<Silence>, StoreError> {
    let sql = format!("SELECT {COLUMNS} ORDER BY silence.no DESC LIMIT ?1");
    conn.prepare_cached(&sql)?.query_and_then([MAX_LISTED], read)?.collect()
}

fn read(row: &Row<'_>) -> Result<Silence, StoreError> {
    let no: i64 = row.get(0)?;
    let bad = |why: &dyn Display| StoreError::Unreadable { what: format!("silence {no}"), why: why.to_string() };
    let (scope, subject): (String, String) = (row.get(1)?, row.get(2)?);
    let scope = match scope.as_str() {
        "service" => Scope::Service(subject.parse().map_err(|why: nines_shared::id::IdError| bad(&why))?),
        "customer" => Scope::Customer(subject.parse().map_err(|why: nines_shared::id::IdError| bad(&why))?),
        "check" => Scope::Check(subject.parse().map_err(|why: nines_shared::id::IdError| bad(&why))?),
        "probe" => Scope::Probe(subject.parse().map_err(|why: nines_shared::id::IdError| bad(&why))?),
        other => return Err(bad(&format!("there is no scope {other}"))),
    };
    let kind = match row.get::<_, Option<String>>(3)? {
        None => None,
        Some(code) => Some(
            Kind::ALL
                .into_iter()
                .find(|kind| kind.code() == code)
                .ok_or_else(|| bad(&format!("there is no kind {code}")))?,
        ),
    };
    let ended = match (row.get::<_, Option<i64>>(8)?, row.get::<_, Option<String>>(9)?) {
        (Some(at), Some(by)) => Some((Timestamp::from_ms(at), by)),
        (Some(_) | None, _) => None,
    };
    Ok(Silence {
        no,
        scope,
        kind,
        from: Timestamp::from_ms(row.get(4)?),
        to: Timestamp::from_ms(row.get(5)?),
        reason: row.get(6)?,
        by: row.get(7)?,
        ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000);

    fn silence(scope: Scope) -> Silence {
        Silence {
            no: 0,
            scope,
            kind: Some(Kind::Outage),
            from: NOW,
            to: NOW.plus_ms(1_000),
            reason: "moving".into(),
            by: "ann".into(),
            ended: None,
        }
    }

    #[test]
    fn a_silence_is_read_as_it_was_made_and_holds_until_its_end() {
        let (_folder, store) = store();
        let scopes = [
            Scope::Service("shop".parse().unwrap()),
            Scope::Customer("acme".parse().unwrap()),
            Scope::Check("shop-home".parse().unwrap()),
            Scope::Probe("eu-west-1".parse().unwrap()),
        ];
        for (scope, no) in scopes.into_iter().zip(1..) {
            let made = silence(scope);
            let written = made.clone();
            assert_eq!(store.write_blocking(move |tx| add(tx, &written)).unwrap(), no);
            let found = store.read_blocking(list).unwrap().remove(0);
            assert_eq!(found, Silence { no, ..made });
        }
        let held = |at| store.read_blocking(|conn| holding(conn, at)).unwrap().len();
        assert_eq!((held(NOW), held(NOW.plus_ms(999)), held(NOW.plus_ms(1_000))), (4, 4, 0));
    }

    #[test]
    fn a_silence_ends_once_and_stays_on_record_with_who_ended_it() {
        let (_folder, store) = store();
        store.write_blocking(|tx| add(tx, &silence(Scope::Service("shop".parse().unwrap())))).unwrap();
        let ended = |by: &'static str| store.write_blocking(move |tx| end(tx, 1, by, NOW.plus_ms(5))).unwrap();
        assert_eq!(ended("bob").unwrap().ended, Some((NOW.plus_ms(5), "bob".to_owned())));
        assert_eq!(ended("eve"), None);
        assert_eq!(store.read_blocking(list).unwrap()[0].ended, Some((NOW.plus_ms(5), "bob".to_owned())));
        assert_eq!(store.read_blocking(|conn| holding(conn, NOW.plus_ms(5))).unwrap(), []);
    }

    #[test]
    fn the_database_itself_refuses_to_change_or_delete_a_silence() {
        let (_folder, store) = store();
        store.write_blocking(|tx| add(tx, &silence(Scope::Service("shop".parse().unwrap())))).unwrap();
        store.write_blocking(|tx| end(tx, 1, "bob", NOW)).unwrap();
        for sql in [
            "UPDATE silence SET reason = ''",
            "DELETE FROM silence",
            "UPDATE silence_end SET author = ''",
            "DELETE FROM silence_end",
        ] {
            assert!(store.write_blocking(|tx| Ok(tx.execute_batch(sql)?)).is_err(), "{sql}");
        }
    }
}
