//! The table of the outbox: what is to be told, written in the transaction of the change it tells of.
//!
//! A row waits until its channel has accepted it or it was given up. Rows about one thing and channel are
//! delivered in the order in which they were written, so that nothing is resolved before it was opened (INV-6).

use nines_shared::id::{ChannelId, IdError};
use nines_shared::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{StoreError, incidents};
use crate::incident::{Event, Incident, IncidentId};

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "
CREATE TABLE outbox (
  no         INTEGER PRIMARY KEY AUTOINCREMENT,
  incident   TEXT NOT NULL REFERENCES incident (id),
  revision   INTEGER NOT NULL,
  event      TEXT NOT NULL,
  channel    TEXT NOT NULL,
  body       TEXT NOT NULL,              -- what is sent, byte for byte, at every attempt
  written_at INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  due_at     INTEGER NOT NULL,
  failure    TEXT,                       -- why the last attempt failed
  settled_at INTEGER,                    -- when a channel accepted it or it was given up
  delivered  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (incident, revision, channel)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (incident, channel, no) WHERE settled_at IS NULL;
";

/// SQL of the fourth migration: letters about reports, which are no incidents.
pub(super) const OF_REPORTS: &str = "
CREATE TABLE outbox_of_both (
  no         INTEGER PRIMARY KEY AUTOINCREMENT,
  about      TEXT NOT NULL,              -- an incident's id, or what a report is called
  incident   TEXT REFERENCES incident (id),
  revision   INTEGER NOT NULL,
  event      TEXT NOT NULL,
  channel    TEXT NOT NULL,
  body       TEXT NOT NULL,              -- what is sent, byte for byte, at every attempt
  written_at INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  due_at     INTEGER NOT NULL,
  failure    TEXT,                       -- why the last attempt failed
  settled_at INTEGER,                    -- when a channel accepted it or it was given up
  delivered  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (about, revision, channel)
) STRICT;
INSERT INTO outbox_of_both SELECT no, incident, incident, revision, event, channel, body, written_at, attempts,
  due_at, failure, settled_at, delivered FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_of_both RENAME TO outbox;
CREATE INDEX outbox_waiting ON outbox (about, channel, no) WHERE settled_at IS NULL;
";

/// SQL of the fifth migration: letters that no change of an incident wrote, such as one that tells again.
pub(super) const STEPS: &str = "
CREATE TABLE outbox_of_steps (
  no         INTEGER PRIMARY KEY AUTOINCREMENT,
  about      TEXT NOT NULL,              -- an incident's id, what a report is called, or a channel that fails
  incident   TEXT REFERENCES incident (id),
  revision   INTEGER NOT NULL,
  step       INTEGER NOT NULL,           -- 0: the change itself; then what was told without one, counted by incident
  event      TEXT NOT NULL,
  channel    TEXT NOT NULL,
  body       TEXT NOT NULL,              -- what is sent, byte for byte, at every attempt
  written_at INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  due_at     INTEGER NOT NULL,
  failure    TEXT,                       -- why the last attempt failed
  settled_at INTEGER,                    -- when a channel accepted it or it was given up
  delivered  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (about, revision, step, channel)
) STRICT;
INSERT INTO outbox_of_steps SELECT no, about, incident, revision, 0, event, channel, body, written_at, attempts,
  due_at, failure, settled_at, delivered FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_of_steps RENAME TO outbox;
CREATE INDEX outbox_waiting ON outbox (about, channel, no) WHERE settled_at IS NULL;
CREATE INDEX outbox_incident ON outbox (incident, no);
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE settled_at IS NOT NULL;
";

/// How long a settled letter is kept, in ms: long enough for whoever looks back at a year.
pub const KEPT_MS: i64 = 400 * 86_400_000;

/// How far back is looked for channels that were given up and incidents that nobody was told of, in ms.
pub const LOOK_BACK_MS: i64 = 7 * 86_400_000;

/// Something to tell one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number: letters are written in this order.
    pub no: i64,
    /// About what: an incident's id, or what a report is called.
    pub about: String,
    /// Which of its changes.
    pub revision: u32,
    /// 0 for the change itself; else which of the letters that were written without one.
    pub step: u32,
    /// What happened.
    pub event: String,
    /// Where to.
    pub channel: ChannelId,
    /// What is sent.
    pub body: String,
    /// When it was written.
    pub written_at: Timestamp,
    /// How many attempts failed.
    pub attempts: u32,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

impl Letter {
    /// The same for every attempt to deliver this letter, whatever happens to us in between.
    pub fn idempotency_key(&self) -> String {
        match self.step {
            0 => format!("{}.{}", self.about, self.revision),
            step => format!("{}.{}.{step}", self.about, self.revision),
        }
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The channel accepted it.
    Accepted,
    /// It did not; to be tried again.
    Failed {
        /// When.
        retry_at: Timestamp,
        /// Why it failed.
        failure: String,
    },
    /// It did not for so long that we stop trying; with it what came after it for the incident and channel.
    GaveUp {
        /// Why it failed last.
        failure: String,
    },
}

/// Writes one letter for each of `channels` about the change that `incident.revision` numbers.
///
/// # Errors
/// What SQLite says.
pub fn write(
    tx: &Transaction<'_>,
    incident: &Incident,
    event: Event,
    letters: &[(ChannelId, String)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = incident.id.as_str();
    put(tx, (id, Some(id)), (incident.revision, 0, event.code()), letters, now)
}

/// Writes one letter for each of `letters` although `incident` did not change.
///
/// # Errors
/// What SQLite says.
pub fn write_step(
    tx: &Transaction<'_>,
    incident: &Incident,
    event: Event,
    letters: &[(ChannelId, String)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = incident.id.as_str();
    let mut statement = tx.prepare_cached("SELECT coalesce(max(step), 0) + 1 FROM outbox WHERE incident = ?1")?;
    let step = statement.query_row([id], |row| row.get(0))?;
    put(tx, (id, Some(id)), (incident.revision, step, event.code()), letters, now)
}

/// Writes one letter for each of `letters` about a revision of `about`, which is no incident.
///
/// # Errors
/// What SQLite says.
pub fn write_notice(
    tx: &Transaction<'_>,
    (about, revision, event): (&str, u32, &str),
    letters: &[(ChannelId, String)],
    now: Timestamp,
) -> Result<(), StoreError> {
    put(tx, (about, None), (revision, 0, event), letters, now)
}

fn put(
    tx: &Transaction<'_>,
    (about, incident): (&str, Option<&str>),
    (revision, step, event): (u32, u32, &str),
    letters: &[(ChannelId, String)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO outbox (about, incident, revision, step, event, channel, body, written_at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
    )?;
    for (channel, body) in letters {
        statement.execute(params![about, incident, revision, step, event, channel.as_str(), body, now.as_ms()])?;
    }
    Ok(())
}

/// The letters that are next for what they are about and their channel, in the order in which they are due; at most
/// `per_channel` of each channel, so that one with a long queue hides no other. Those not yet due too: the first
/// tells how long to wait.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn next(conn: &Connection, per_channel: u32) -> Result<Vec<Letter>, StoreError> {
    let mut statement = conn.prepare_cached(
        "WITH head AS (
           SELECT *, row_number() OVER (PARTITION BY channel ORDER BY due_at, no) AS place FROM outbox
           WHERE no IN (SELECT min(no) FROM outbox WHERE settled_at IS NULL GROUP BY about, channel))
         SELECT no, about, revision, step, event, channel, body, written_at, attempts, due_at, failure
         FROM head WHERE place <= ?1 ORDER BY due_at, no",
    )?;
    let rows = statement.query_and_then([per_channel], read)?;
    rows.collect()
}

/// A letter without its text, for whoever decides what is to be told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where to.
    pub channel: ChannelId,
    /// What happened.
    pub event: String,
    /// When it was written.
    pub written_at: Timestamp,
    /// What became of it.
    pub settled: Settled,
}

impl Told {
    /// Whether it says that the incident opened.
    pub fn is_opening(&self) -> bool {
        self.event == Event::Opened.code()
    }

    /// Whether we stopped trying.
    pub fn is_given_up(&self) -> bool {
        matches!(self.settled, Settled::GivenUp(_))
    }
}

/// Every letter about `incident` in the order written, without its text.
///
/// # Errors
/// As [`next`].
pub fn told(conn: &Connection, incident: &IncidentId) -> Result<Vec<Told>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT no, channel, event, written_at, settled_at, delivered FROM outbox WHERE incident = ?1 ORDER BY no",
    )?;
    let rows = statement.query_and_then([incident.as_str()], |row| {
        let no = row.get(0)?;
        Ok(Told {
            channel: row.get::<_, String>(1)?.parse().map_err(|why: IdError| unreadable(no, &why))?,
            event: row.get(2)?,
            written_at: Timestamp::from_ms(row.get(3)?),
            settled: settled(row.get(4)?, row.get(5)?),
        })
    })?;
    rows.collect()
}

/// Whether something was written about this revision of `about`.
///
/// # Errors
/// What SQLite says.
pub fn is_written(conn: &Connection, about: &str, revision: u32) -> Result<bool, StoreError> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM outbox WHERE about = ?1 AND revision = ?2")?;
    Ok(statement.exists(params![about, revision])?)
}

/// The channels whose letters were given up after `since`, when last and why.
///
/// # Errors
/// As [`next`].
pub fn given_up_since(
    conn: &Connection,
    since: Timestamp,
) -> Result<Vec<(ChannelId, Timestamp, Option<String>)>, StoreError> {
    // Of the bare columns beside max() SQLite takes those of the row that has it.
    let mut statement = conn.prepare_cached(
        "SELECT channel, max(settled_at), failure, no FROM outbox
         WHERE ?1 < settled_at AND NOT delivered GROUP BY channel ORDER BY channel",
    )?;
    let rows = statement.query_and_then([since.as_ms()], |row| {
        let no = row.get(3)?;
        let channel = row.get::<_, String>(0)?.parse().map_err(|why: IdError| unreadable(no, &why))?;
        Ok((channel, Timestamp::from_ms(row.get(1)?), row.get(2)?))
    })?;
    rows.collect()
}

/// What an incident's log says where no route took it when it was to be told.
pub const NO_ROUTE: &str = "nobody is told: no route takes it now";

/// The incidents detected after `since` that no route took and about which nothing was written since, the newest first.
/// Those that people silenced, or that another incident explains, are none of them.
///
/// # Errors
/// What SQLite says.
pub fn untold_since(conn: &Connection, since: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id FROM incident WHERE ?1 < detected_at
           AND EXISTS (SELECT 1 FROM incident_note AS note WHERE note.incident = incident.id AND note.text = ?2)
           AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.incident = incident.id)
         ORDER BY detected_at DESC, id LIMIT 100",
    )?;
    let rows = statement.query_and_then(params![since.as_ms(), NO_ROUTE], |row| Ok(row.get(0)?))?;
    rows.collect()
}

/// Forgets letters that were settled before `before`, but none about an incident that is open; says how many.
///
/// # Errors
/// What SQLite says.
pub fn prune(tx: &Transaction<'_>, before: Timestamp) -> Result<usize, StoreError> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM outbox WHERE settled_at < ?1
           AND (incident IS NULL OR incident NOT IN (SELECT id FROM incident WHERE resolved_at IS NULL))",
    )?;
    Ok(statement.execute([before.as_ms()])?)
}

/// How many letters wait to be delivered.
///
/// # Errors
/// What SQLite says.
pub fn waiting(conn: &Connection) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached("SELECT count(*) FROM outbox WHERE settled_at IS NULL")?;
    Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Every letter about `incident` in the order written, with whether it was settled and when: for people.
///
/// # Errors
/// As [`next`].
pub fn about(conn: &Connection, incident: &IncidentId) -> Result<Vec<(Letter, Settled)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT no, about, revision, step, event, channel, body, written_at, attempts, due_at, failure, settled_at,
           delivered FROM outbox WHERE incident = ?1 ORDER BY no",
    )?;
    let rows =
        statement.query_and_then([incident.as_str()], |row| Ok((read(row)?, settled(row.get(11)?, row.get(12)?))))?;
    rows.collect()
}

fn settled(at: Option<i64>, delivered: bool) -> Settled {
    match (at.map(Timestamp::from_ms), delivered) {
        (None, _) => Settled::Waiting,
        (Some(at), true) => Settled::Delivered(at),
        (Some(at), false) => Settled::GivenUp(at),
    }
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is still to be delivered.
    Waiting,
    /// The channel accepted it then.
    Delivered(Timestamp),
    /// We stopped trying then.
    GivenUp(Timestamp),
}

/// Keeps how an attempt to deliver letter number `no` went. The first acceptance is the incident's `notified_at`.
/// A letter that is settled already stays as it is.
///
/// # Errors
/// What SQLite says.
pub fn keep_attempt(tx: &Transaction<'_>, no: i64, attempt: &Attempt, now: Timestamp) -> Result<(), StoreError> {
    let waiting = "no = ?1 AND settled_at IS NULL";
    match attempt {
        Attempt::Accepted => {
            let sql = format!(
                "UPDATE outbox SET settled_at = ?2, delivered = 1, failure = NULL WHERE {waiting} RETURNING incident"
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let settled =
                statement.query_row(params![no, now.as_ms()], |row| row.get::<_, Option<String>>(0)).optional()?;
            if let Some(id) = settled.flatten() {
                incidents::mark_notified(tx, &id.parse().map_err(|e| unreadable(no, &e))?, now)?;
            }
        }
        Attempt::Failed { retry_at, failure } => {
            let sql = format!("UPDATE outbox SET attempts = attempts + 1, due_at = ?2, failure = ?3 WHERE {waiting}");
            tx.prepare_cached(&sql)?.execute(params![no, retry_at.as_ms(), failure])?;
        }
        Attempt::GaveUp { failure } => {
            let mut statement = tx.prepare_cached(
                "UPDATE outbox SET settled_at = ?2, failure = ?3, attempts = attempts + (no = ?1)
                 WHERE settled_at IS NULL AND ?1 <= no
                   AND (about, channel) = (SELECT about, channel FROM outbox WHERE no = ?1)",
            )?;
            statement.execute(params![no, now.as_ms(), failure])?;
        }
    }
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Letter, StoreError> {
    let no = row.get(0)?;
    Ok(Letter {
        no,
        about: row.get(1)?,
        revision: row.get(2)?,
        step: row.get(3)?,
        event: row.get(4)?,
        channel: row.get::<_, String>(5)?.parse().map_err(|e: IdError| unreadable(no, &e))?,
        body: row.get(6)?,
        written_at: Timestamp::from_ms(row.get(7)?),
        attempts: row.get(8)?,
        due_at: Timestamp::from_ms(row.get(9)?),
        failure: row.get(10)?,
    })
}

fn unreadable(no: i64, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: format!("outbox {no}"), why: why.to_string() }
}
