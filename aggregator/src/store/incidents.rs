//! The tables of incidents: the record, its log, and the one rule that the database itself holds: at most one
//! open incident per subject and kind (INV-6).
//!
//! The evaluator writes what it judged through [`record`]; `notified_at` and the acknowledgement belong to
//! [`mark_notified`] and [`acknowledge`] alone, so that neither overwrites the other.

use std::fmt::Display;

use nines_shared::id::{ProbeId, ServiceId};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::incident::evidence::{MAX_SIGHTS, Sight};
use crate::incident::{Incident, IncidentId, Instants, Kind, Subject};

/// The longest note, in bytes; a longer one is cut.
pub const MAX_NOTE_BYTES: usize = 4_096;
/// The most notes that are read of one incident.
pub const MAX_NOTES: u32 = 1_000;

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "
CREATE TABLE incident (
  id               TEXT PRIMARY KEY,
  kind             TEXT NOT NULL,
  service          TEXT,
  probe            TEXT,
  severity         TEXT NOT NULL,
  last_good_at     INTEGER,
  first_failure_at INTEGER NOT NULL,
  started_at       INTEGER NOT NULL,
  detected_at      INTEGER NOT NULL,
  notified_at      INTEGER,
  acknowledged_at  INTEGER,
  acknowledged_by  TEXT,
  ended_at         INTEGER,
  resolved_at      INTEGER,
  withdrawn        INTEGER NOT NULL,
  revision         INTEGER NOT NULL,  -- how often it was told
  outages          TEXT NOT NULL,     -- JSON
  scene            TEXT NOT NULL,     -- JSON
  CHECK ((service IS NULL) <> (probe IS NULL))
) STRICT;

-- At most one open incident per subject and kind.
CREATE UNIQUE INDEX incident_open ON incident (kind, coalesce(service, probe)) WHERE resolved_at IS NULL;
CREATE INDEX incident_subject ON incident (kind, coalesce(service, probe), started_at);
CREATE INDEX incident_time ON incident (started_at);

-- What was said and done about an incident, by people and (without an author) by nines.
CREATE TABLE incident_note (
  no       INTEGER PRIMARY KEY,
  incident TEXT NOT NULL REFERENCES incident (id),
  at       INTEGER NOT NULL,
  author   TEXT,
  text     TEXT NOT NULL
) STRICT;
CREATE INDEX incident_note_of ON incident_note (incident, no);
";

/// SQL of the fifth migration.
pub(super) const ASSIGNED: &str = "ALTER TABLE incident ADD COLUMN assigned_to TEXT;";

/// SQL of a later migration: how an incident is told.
pub(super) const COURSE: &str = "ALTER TABLE incident ADD COLUMN course TEXT NOT NULL DEFAULT '{}' -- JSON
";

/// SQL of a later migration: what regions saw before an incident and at its beginning, kept when samples are gone.
pub(super) const SIGHTS: &str = "
CREATE TABLE incident_sight (
  incident TEXT NOT NULL REFERENCES incident (id),
  check_id TEXT NOT NULL,
  region   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  sight    TEXT NOT NULL,     -- JSON
  PRIMARY KEY (incident, check_id, region)
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "id, kind, service, probe, severity, last_good_at, first_failure_at, started_at, detected_at,
 notified_at, acknowledged_at, acknowledged_by, ended_at, resolved_at, withdrawn, revision, outages, scene, assigned_to,
 course";

/// A line of an incident's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it; `None` for what nines noted itself.
    pub author: Option<String>,
    /// What.
    pub text: String,
}

/// Which incidents to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those still open.
    pub open_only: bool,
    /// Only those about this service.
    pub service: Option<ServiceId>,
    /// Only those that share time with this span.
    pub span: Option<Span>,
}

/// Writes `incident` as the evaluator judged it, new or again. Who was notified and who acknowledged it stays as it is.
///
/// # Errors
/// What SQLite says; a second open incident of one kind and subject breaks the unique index.
pub fn record(tx: &Transaction<'_>, incident: &Incident) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO incident (id, kind, service, probe, severity, last_good_at, first_failure_at, started_at,
           detected_at, ended_at, resolved_at, withdrawn, revision, outages, scene, course)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, last_good_at = excluded.last_good_at,
           first_failure_at = excluded.first_failure_at, started_at = excluded.started_at,
           detected_at = excluded.detected_at, ended_at = excluded.ended_at, resolved_at = excluded.resolved_at,
           withdrawn = excluded.withdrawn, revision = excluded.revision, outages = excluded.outages,
           scene = excluded.scene, course = excluded.course",
    )?;
    let (service, probe) = match &incident.subject {
        Subject::Service(service) => (Some(service.as_str()), None),
        Subject::Probe(probe) => (None, Some(probe.as_str())),
    };
    let Instants { last_good_at, first_failure_at, started_at, detected_at, ended_at, resolved_at, .. } =
        incident.instants;
    statement.execute(params![
        incident.id.as_str(),
        incident.kind.code(),
        service,
        probe,
        word(&incident.severity),
        last_good_at.map(Timestamp::as_ms),
        first_failure_at.as_ms(),
        started_at.as_ms(),
        detected_at.as_ms(),
        ended_at.map(Timestamp::as_ms),
        resolved_at.map(Timestamp::as_ms),
        incident.withdrawn,
        incident.revision,
        json(&incident.outages),
        json(&incident.scene),
        json(&incident.course),
    ])?;
    Ok(())
}

/// Keeps what regions saw, beside what is kept already: the first sight of a region stays, and there are at most
/// [`MAX_SIGHTS`].
///
/// # Errors
/// What SQLite says.
pub fn keep_sights(tx: &Transaction<'_>, id: &IncidentId, sights: &[Sight]) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO incident_sight (incident, check_id, region, at, sight)
         SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM incident_sight WHERE incident = ?1) < ?6
         ON CONFLICT DO NOTHING",
    )?;
    for sight in sights {
        let (check, region, at) = (sight.check.as_str(), sight.region.as_str(), sight.first_bad.started_at.as_ms());
        statement.execute(params![
            id.as_str(),
            check,
            region,
            at,
            json(sight),
            i64::try_from(MAX_SIGHTS).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

/// What regions saw before the incident and at its beginning, by check, in order of what they saw.
///
/// # Errors
/// As [`get`].
pub fn sights(conn: &Connection, id: &IncidentId) -> Result<Vec<Sight>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT sight FROM incident_sight WHERE incident = ?1 ORDER BY check_id, at, region")?;
    let unreadable = |why: serde_json::Error| StoreError::Unreadable {
        what: format!("the evidence of incident {id}"),
        why: why.to_string(),
    };
    statement
        .query_and_then([id.as_str()], |row| parsed(&row.get::<_, String>("sight")?).map_err(unreadable))?
        .collect()
}

/// `wanted`, or the first of `wanted-2`, `wanted-3`, … that no incident has.
///
/// # Errors
/// What SQLite says.
pub fn free_id(conn: &Connection, wanted: &IncidentId) -> Result<IncidentId, StoreError> {
    let mut taken = conn.prepare_cached("SELECT 1 FROM incident WHERE id = ?1")?;
    let (mut id, mut number) = (wanted.clone(), 1);
    while taken.exists([id.as_str()])? {
        number += 1;
        id = wanted.numbered(number);
    }
    Ok(id)
}

/// The incident of that id.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn get(conn: &Connection, id: &IncidentId) -> Result<Option<Incident>, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM incident WHERE id = ?1"))?;
    let found = statement.query_row([id.as_str()], |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// Every open incident, the oldest first.
///
/// # Errors
/// As [`get`].
pub fn open(conn: &Connection) -> Result<Vec<Incident>, StoreError> {
    // By the index of what is open: the evaluator asks with every tick, however long the history is.
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident INDEXED BY incident_open WHERE resolved_at IS NULL ORDER BY started_at, id DESC"
    ))?;
    statement.query_and_then([], read)?.collect()
}

/// The incidents that `filter` lets through, the newest first, at most `limit`.
///
/// # Errors
/// As [`get`].
pub fn list(conn: &Connection, filter: &Filter, limit: u32) -> Result<Vec<Incident>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident
         WHERE (resolved_at IS NULL OR NOT ?1) AND (?2 IS NULL OR service = ?2)
           AND started_at < ?4 AND (ended_at IS NULL OR ?3 < ended_at OR ?3 <= started_at)
         ORDER BY started_at DESC, id LIMIT ?5"
    ))?;
    let span = filter.span.unwrap_or(Span { from: Timestamp::MIN, to: Timestamp::MAX });
    let service = filter.service.as_ref().map(ServiceId::as_str);
    let arguments = params![filter.open_only, service, span.from.as_ms(), span.to.as_ms(), limit];
    statement.query_and_then(arguments, read)?.collect()
}

/// The incidents of `kind` about `subject` that share time with `span` or touch it, and whenever they started the open
/// one and those that ended after `untold_since` and nobody was told of though nothing held them back; in order of
/// their start.
///
/// # Errors
/// As [`get`].
pub fn touching(
    conn: &Connection,
    kind: Kind,
    subject: &Subject,
    span: Span,
    untold_since: Timestamp,
) -> Result<Vec<Incident>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident
         WHERE kind = ?1 AND coalesce(service, probe) = ?2
           AND (resolved_at IS NULL OR (started_at <= ?4 AND ?3 <= ended_at)
                OR (revision = 0 AND NOT withdrawn AND NOT coalesce(course ->> 'held', 0) AND ?5 <= ended_at))
         ORDER BY started_at, id"
    ))?;
    let (from, to, untold_since) = (span.from.as_ms(), span.to.as_ms(), untold_since.as_ms());
    let arguments = params![kind.code(), subject.name(), from, to, untold_since];
    statement.query_and_then(arguments, read)?.collect()
}

/// The incidents of `kind` about `subject` that go on or ended after `since`, in order of their start.
///
/// # Errors
/// As [`get`].
pub fn recent(conn: &Connection, kind: Kind, subject: &Subject, since: Timestamp) -> Result<Vec<Incident>, StoreError> {
    touching(conn, kind, subject, Span { from: since, to: Timestamp::MAX }, Timestamp::MAX)
}

/// A channel accepted a notification at `at`; only the first counts.
///
/// # Errors
/// What SQLite says.
pub fn mark_notified(tx: &Transaction<'_>, id: &IncidentId, at: Timestamp) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE incident SET notified_at = max(?2, detected_at) WHERE id = ?1 AND notified_at IS NULL",
    )?;
    statement.execute(params![id.as_str(), at.as_ms()])?;
    Ok(())
}

/// Somebody knows. The first who says so stays; who knows has been notified, however they were.
/// `None` where there is no such incident, else the incident as it is now.
///
/// # Errors
/// As [`get`].
pub fn acknowledge(
    tx: &Transaction<'_>,
    id: &IncidentId,
    by: &str,
    now: Timestamp,
) -> Result<Option<Incident>, StoreError> {
    let by = clean(by);
    let mut statement = tx.prepare_cached(
        "UPDATE incident SET notified_at = coalesce(notified_at, max(?3, detected_at)), acknowledged_by = ?2,
           acknowledged_at = max(?3, detected_at, coalesce(notified_at, ?3))
         WHERE id = ?1 AND acknowledged_at IS NULL",
    )?;
    if 0 < statement.execute(params![id.as_str(), by, now.as_ms()])? {
        log(tx, id, &Note { at: now, author: Some(by), text: "acknowledged".to_owned() })?;
    }
    get(tx, id)
}

/// Gives the incident to `person`. `None` where there is no such incident, else the incident as it is now.
///
/// # Errors
/// As [`get`].
pub fn assign(
    tx: &Transaction<'_>,
    id: &IncidentId,
    (person, by): (&str, &str),
    now: Timestamp,
) -> Result<Option<Incident>, StoreError> {
    let (person, by) = (clean(person), clean(by));
    let mut statement =
        tx.prepare_cached("UPDATE incident SET assigned_to = ?2 WHERE id = ?1 AND assigned_to IS NOT ?2")?;
    if 0 < statement.execute(params![id.as_str(), person])? {
        log(tx, id, &Note { at: now, author: Some(by), text: format!("assigned to {person}") })?;
    }
    get(tx, id)
}

/// Writes a person's note. `None` where there is no such incident, else the incident.
///
/// # Errors
/// As [`get`].
pub fn add_note(tx: &Transaction<'_>, id: &IncidentId, note: &Note) -> Result<Option<Incident>, StoreError> {
    let Some(incident) = get(tx, id)? else { return Ok(None) };
    let note = Note { at: note.at, author: note.author.as_deref().map(clean), text: clean(&note.text) };
    log(tx, id, &note)?;
    Ok(Some(incident))
}

/// Adds a line to the incident's log as it stands.
pub(crate) fn log(tx: &Transaction<'_>, id: &IncidentId, note: &Note) -> Result<(), StoreError> {
    let mut statement =
        tx.prepare_cached("INSERT INTO incident_note (incident, at, author, text) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![id.as_str(), note.at.as_ms(), note.author, note.text])?;
    Ok(())
}

/// The incident's log in the order it was written, at most [`MAX_NOTES`] lines.
///
/// # Errors
/// What SQLite says.
pub fn notes(conn: &Connection, id: &IncidentId) -> Result<Vec<Note>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT at, author, text FROM incident_note WHERE incident = ?1 ORDER BY no LIMIT ?2")?;
    let rows = statement.query_and_then(params![id.as_str(), MAX_NOTES], |row| {
        Ok(Note { at: Timestamp::from_ms(row.get(0)?), author: row.get(1)?, text: row.get(2)? })
    })?;
    rows.collect()
}

fn read(row: &Row<'_>) -> Result<Incident, StoreError> {
    let id: String = row.get("id")?;
    let bad = |why: &dyn Display| StoreError::Unreadable { what: format!("incident {id}"), why: why.to_string() };
    let instant = |column: &str| Ok::<_, StoreError>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_ms));
    let needed = |column: &str| Ok::<_, StoreError>(Timestamp::from_ms(row.get(column)?));
    let subject = match (row.get::<_, Option<String>>("service")?, row.get::<_, Option<String>>("probe")?) {
        (Some(service), _) => Subject::Service(service.parse::<ServiceId>().map_err(|e| bad(&e))?),
        (None, Some(probe)) => Subject::Probe(probe.parse::<ProbeId>().map_err(|e| bad(&e))?),
        (None, None) => return Err(bad(&"it is about nothing")),
    };
    Ok(Incident {
        kind: parsed(&quoted(row, "kind")?).map_err(|e| bad(&e))?,
        subject,
        severity: parsed(&quoted(row, "severity")?).map_err(|e| bad(&e))?,
        instants: Instants {
            last_good_at: instant("last_good_at")?,
            first_failure_at: needed("first_failure_at")?,
            started_at: needed("started_at")?,
            detected_at: needed("detected_at")?,
            notified_at: instant("notified_at")?,
            acknowledged_at: instant("acknowledged_at")?,
            ended_at: instant("ended_at")?,
            resolved_at: instant("resolved_at")?,
        },
        outages: parsed(&row.get::<_, String>("outages")?).map_err(|e| bad(&e))?,
        withdrawn: row.get("withdrawn")?,
        revision: row.get("revision")?,
        scene: parsed(&row.get::<_, String>("scene")?).map_err(|e| bad(&e))?,
        acknowledged_by: row.get("acknowledged_by")?,
        assigned_to: row.get("assigned_to")?,
        course: parsed(&row.get::<_, String>("course")?).map_err(|e| bad(&e))?,
        id: id.parse().map_err(|e| bad(&e))?,
    })
}

/// A word of SQL as the JSON string that serde reads an enum from: one set of names for wire and table.
fn quoted(row: &Row<'_>, column: &str) -> Result<String, StoreError> {
    Ok(format!("\"{}\"", row.get::<_, String>(column)?))
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys, written to memory")
}

fn word<T: Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

/// A person's text without control characters but line breaks, cut to [`MAX_NOTE_BYTES`].
fn clean(text: &str) -> String {
    let mut kept = String::new();
    for c in text.trim().chars().filter(|c| !c.is_control() || *c == '\n') {
        if MAX_NOTE_BYTES < kept.len() + c.len_utf8() {
            break;
        }
        kept.push(c);
    }
    kept
}
