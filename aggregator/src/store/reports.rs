//! The tables of reports: every revision that was ever frozen, byte for byte, and what came too late for one.
//!
//! A row is written once. The database itself refuses to change or delete it (INV-8), and a body that is not what
//! its digest says is not given out. What a report means is none of this room's business: it keeps a text.

use std::collections::BTreeMap;

use nines_shared::id::{CheckId, CustomerId, IdError};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Row, Transaction, params};

use super::StoreError;
use crate::fingerprint;

/// SQL that makes them, in the third migration.
pub(super) const TABLES: &str = "
CREATE TABLE report (
  customer     TEXT    NOT NULL,
  month        TEXT    NOT NULL,  -- 2026-10, in the customer's zone
  revision     INTEGER NOT NULL,  -- 1, and one more with every restatement
  starts_at    INTEGER NOT NULL,
  ends_at      INTEGER NOT NULL,
  samples_from INTEGER NOT NULL,  -- the samples used were scheduled in this span
  samples_to   INTEGER NOT NULL,
  arrival      INTEGER NOT NULL,  -- the last insert of samples that it knows of
  made_at      INTEGER NOT NULL,
  reason       TEXT,              -- of a restatement
  asked_by     TEXT,
  definitions  TEXT    NOT NULL,  -- digests
  samples      TEXT    NOT NULL,
  digest       TEXT    NOT NULL,  -- of the body
  body         TEXT    NOT NULL,  -- JSON, its exact bytes
  PRIMARY KEY (customer, month, revision)
) STRICT;
CREATE INDEX report_samples ON report (samples_to);
CREATE TRIGGER report_is_never_changed BEFORE UPDATE ON report
BEGIN SELECT RAISE(ABORT, 'a frozen report never changes; restate it'); END;
CREATE TRIGGER report_is_never_deleted BEFORE DELETE ON report
BEGIN SELECT RAISE(ABORT, 'a frozen report stays readable for ever'); END;

-- Samples of a time that some report has frozen, that came when it was: counted by check, hour and insert.
CREATE TABLE late (
  check_no INTEGER NOT NULL,
  hour     INTEGER NOT NULL,      -- of scheduled_at, since 1970
  arrival  INTEGER NOT NULL,      -- the insert that brought them
  first_at INTEGER NOT NULL,      -- the smallest scheduled_at among them
  last_at  INTEGER NOT NULL,      -- the largest
  samples  INTEGER NOT NULL,
  PRIMARY KEY (check_no, hour, arrival)
) STRICT, WITHOUT ROWID;
";

const HOUR_MS: i64 = 3_600_000;

/// SQL that keeps apart what says whether a report is to be restated, in a later migration: the whole text of each need
/// not be read for it.
pub(super) const BASES: &str = "
CREATE TABLE report_basis (
  customer TEXT    NOT NULL,
  month    TEXT    NOT NULL,
  revision INTEGER NOT NULL,
  basis    TEXT    NOT NULL,      -- JSON, the part of the body that is called so
  PRIMARY KEY (customer, month, revision)
) STRICT, WITHOUT ROWID;
INSERT INTO report_basis SELECT customer, month, revision, coalesce(json_extract(body, '$.basis'), '[]') FROM report;
";

/// A frozen report, its text apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose it is.
    pub customer: CustomerId,
    /// Of which month: `2026-10`, in the customer's zone.
    pub month: String,
    /// Which revision, from 1.
    pub revision: u32,
    /// The month, as the zone had it then.
    pub window: Span,
    /// When the samples that it used were scheduled.
    pub samples_span: Span,
    /// The number of the last insert of samples that it knows of.
    pub arrival: i64,
    /// When it was frozen.
    pub made_at: Timestamp,
    /// Why and at whose wish, of a restatement.
    pub restated: Option<Restated>,
    /// The digest of the definitions in force.
    pub definitions: String,
    /// The digest of the samples used.
    pub samples: String,
    /// The digest of its text.
    pub digest: String,
}

/// Why there is another revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restated {
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: String,
}

const COLUMNS: &str = "customer, month, revision, starts_at, ends_at, samples_from, samples_to, arrival, made_at,
    reason, asked_by, definitions, samples, digest";

/// Keeps a report for ever. Its digest is that of `body`, which is JSON.
///
/// # Errors
/// What SQLite says; so where there is such a revision already.
pub fn keep(tx: &Transaction<'_>, kept: &Kept, body: &str) -> Result<(), StoreError> {
    let restated = kept.restated.as_ref();
    tx.prepare_cached(
        "INSERT INTO report (customer, month, revision, starts_at, ends_at, samples_from, samples_to, arrival, made_at,
           reason, asked_by, definitions, samples, digest, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        kept.customer.as_str(),
        kept.month,
        kept.revision,
        kept.window.from.as_ms(),
        kept.window.to.as_ms(),
        kept.samples_span.from.as_ms(),
        kept.samples_span.to.as_ms(),
        kept.arrival,
        kept.made_at.as_ms(),
        restated.map(|restated| &restated.reason),
        restated.map(|restated| &restated.by),
        kept.definitions,
        kept.samples,
        kept.digest,
        body,
    ])?;
    tx.prepare_cached(
        "INSERT INTO report_basis (customer, month, revision, basis)
         VALUES (?1, ?2, ?3, coalesce(json_extract(?4, '$.basis'), '[]'))",
    )?
    .execute(params![kept.customer.as_str(), kept.month, kept.revision, body])?;
    Ok(())
}

/// The last revision of every report, with the part of its text that is called `basis`, as JSON.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn last_bases(conn: &Connection) -> Result<Vec<(Kept, String)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, basis FROM report JOIN report_basis USING (customer, month, revision)
         WHERE (customer, month, revision) IN (SELECT customer, month, max(revision) FROM report GROUP BY customer, month)
         ORDER BY customer, month"
    ))?;
    let rows = statement.query_and_then([], |row| Ok::<_, StoreError>((read(row)?, row.get::<_, String>(14)?)))?;
    rows.collect()
}

/// The number of the last revision of `month` of `customer`; `None` where nothing is frozen.
///
/// # Errors
/// What SQLite says.
pub fn last_revision(conn: &Connection, customer: &CustomerId, month: &str) -> Result<Option<u32>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT max(revision) FROM report WHERE customer = ?1 AND month = ?2")?;
    Ok(statement.query_row([customer.as_str(), month], |row| row.get(0))?)
}

/// Every frozen report of `customer`, or of all: by customer, month and revision.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn list(conn: &Connection, customer: Option<&CustomerId>) -> Result<Vec<Kept>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM report WHERE ?1 IS NULL OR customer = ?1 ORDER BY customer, month, revision"
    ))?;
    let rows = statement.query_and_then([customer.map(CustomerId::as_str)], read)?;
    rows.collect()
}

/// One frozen report with its text: `revision`, or the last one. `None` where there is none.
///
/// # Errors
/// What SQLite says; [`StoreError::Unreadable`] where the text is not the one that was frozen.
pub fn find(
    conn: &Connection,
    customer: &CustomerId,
    month: &str,
    revision: Option<u32>,
) -> Result<Option<(Kept, String)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, body FROM report
         WHERE customer = ?1 AND month = ?2 AND (?3 IS NULL OR revision = ?3) ORDER BY revision DESC LIMIT 1"
    ))?;
    let mut rows = statement.query_and_then(params![customer.as_str(), month, revision], |row| {
        Ok::<_, StoreError>((read(row)?, row.get::<_, String>(14)?))
    })?;
    let Some((kept, body)) = rows.next().transpose()? else { return Ok(None) };
    let digest = fingerprint::of(body.as_bytes());
    if digest != kept.digest {
        let what = format!("report {customer} {month} revision {}", kept.revision);
        let why = format!("its digest is {digest} although {} was frozen", kept.digest);
        return Err(StoreError::Unreadable { what, why });
    }
    Ok(Some((kept, body)))
}

/// How many samples of `checks` scheduled in `span` came after the insert number `arrival`. Where one insert brought
/// samples on both sides of an edge of `span` within an hour, all of them count.
///
/// # Errors
/// What SQLite says.
pub fn late(conn: &Connection, checks: &[CheckId], span: Span, arrival: i64) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT coalesce(sum(samples), 0) FROM late JOIN name ON no = check_no
         WHERE text = ?1 AND hour BETWEEN ?2 AND ?3 AND ?4 < arrival AND ?5 <= last_at AND first_at < ?6",
    )?;
    let (from, to) = (span.from.as_ms(), span.to.as_ms());
    let mut total = 0_u64;
    for check in checks {
        let hours = (from.div_euclid(HOUR_MS), to.div_euclid(HOUR_MS));
        let count = statement
            .query_row(params![check.as_str(), hours.0, hours.1, arrival, from, to], |row| row.get::<_, i64>(0))?;
        total = total.saturating_add(count.unsigned_abs());
    }
    Ok(total)
}

/// The number of the last insert of samples.
///
/// # Errors
/// What SQLite says.
pub fn arrival(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn.prepare_cached("SELECT last FROM arrival")?.query_row([], |row| row.get(0))?)
}

/// What one insert brought of a time that is frozen.
#[derive(Debug)]
pub(super) struct Late {
    /// Where frozen time ends; before all time where nothing is frozen.
    until: i64,
    /// By check and hour: the first, the last, how many.
    found: BTreeMap<(i64, i64), (i64, i64, i64)>,
}

impl Late {
    /// Nothing yet. One look at an index: an insert of nothing late costs no more.
    pub(super) fn new(tx: &Transaction<'_>) -> Result<Self, StoreError> {
        let until: Option<i64> =
            tx.prepare_cached("SELECT max(samples_to) FROM report")?.query_row([], |row| row.get(0))?;
        Ok(Self { until: until.unwrap_or(i64::MIN), found: BTreeMap::new() })
    }

    /// A sample of check number `check_no` was stored.
    pub(super) fn note(&mut self, check_no: i64, scheduled_at: Timestamp) {
        let at = scheduled_at.as_ms();
        if at < self.until {
            let (first, last, count) = self.found.entry((check_no, at.div_euclid(HOUR_MS))).or_insert((at, at, 0));
            (*first, *last, *count) = (at.min(*first), at.max(*last), *count + 1);
        }
    }

    /// Writes it under the insert's number.
    pub(super) fn keep(self, tx: &Transaction<'_>, arrival: i64) -> Result<(), StoreError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut statement = tx.prepare_cached(
            "INSERT INTO late (check_no, hour, arrival, first_at, last_at, samples) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for ((check_no, hour), (first, last, count)) in self.found {
            statement.execute([check_no, hour, arrival, first, last, count])?;
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> Result<Kept, StoreError> {
    let at = |column| row.get::<_, i64>(column).map(Timestamp::from_ms);
    let customer: String = row.get(0)?;
    let customer = customer.parse().map_err(|why: IdError| StoreError::Unreadable {
        what: format!("the report of {customer}"),
        why: why.to_string(),
    })?;
    let restated = match (row.get(9)?, row.get(10)?) {
        (Some(reason), Some(by)) => Some(Restated { reason, by }),
        _first => None,
    };
    Ok(Kept {
        customer,
        month: row.get(1)?,
        revision: row.get(2)?,
        window: Span::new(at(3)?, at(4)?),
        samples_span: Span::new(at(5)?, at(6)?),
        arrival: row.get(7)?,
        made_at: at(8)?,
        restated,
        definitions: row.get(11)?,
        samples: row.get(12)?,
        digest: row.get(13)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;
    use crate::store::tests::{sample, store};

    fn kept(revision: u32, samples_to: i64, arrival: i64, body: &str) -> Kept {
        let span = Span::new(Timestamp::from_ms(0), Timestamp::from_ms(samples_to));
        Kept {
            customer: "acme".parse().unwrap(),
            month: "2026-10".to_owned(),
            revision,
            window: span,
            samples_span: span,
            arrival,
            made_at: Timestamp::from_ms(samples_to),
            restated: (1 < revision).then(|| Restated { reason: "late".to_owned(), by: "ann".to_owned() }),
            definitions: "sha256:d".to_owned(),
            samples: "sha256:s".to_owned(),
            digest: fingerprint::of(body.as_bytes()),
        }
    }

    #[test]
    fn inv_8_what_is_kept_is_read_back_byte_for_byte_and_never_changed_or_deleted() {
        let (_folder, store) = store();
        for (revision, body) in [(1, "{ \"basis\": [1]}\n"), (2, "{}")] {
            let kept = kept(revision, 10, 0, body);
            store.write_blocking(move |tx| keep(tx, &kept, body)).unwrap();
        }
        let acme: CustomerId = "acme".parse().unwrap();
        let found = |revision| store.read_blocking(|conn| find(conn, &acme, "2026-10", revision)).unwrap();
        let body = "{ \"basis\": [1]}\n";
        assert_eq!(found(Some(1)), Some((kept(1, 10, 0, body), body.to_owned())));
        assert_eq!(found(None).unwrap().0.revision, 2);
        assert_eq!(found(Some(3)), None);
        assert_eq!(store.read_blocking(|conn| list(conn, Some(&acme))).unwrap().len(), 2);
        let again = kept(2, 10, 0, "[]");
        assert!(store.write_blocking(move |tx| keep(tx, &again, "[]")).is_err(), "a revision is there once");
        for sql in ["UPDATE report SET body = '{}'", "DELETE FROM report", "UPDATE report SET digest = ''"] {
            let error = store.write_blocking(move |tx| Ok(tx.execute(sql, [])?)).unwrap_err();
            assert!(error.to_string().contains("a frozen report"), "{sql}: {error}");
        }
    }

    #[test]
    fn the_basis_of_the_last_revision_is_kept_apart_and_so_is_that_of_texts_from_before_it_was() {
        let (_folder, store) = store();
        let put = |month: &'static str, revision, body: &'static str| {
            let kept = Kept { month: month.to_owned(), ..kept(revision, 10, 0, body) };
            store.write_blocking(move |tx| keep(tx, &kept, body)).unwrap();
        };
        put("2026-10", 1, "{\"basis\": [{\"service\": \"old\"}]}");
        put("2026-10", 2, "{\"basis\": [{\"service\":  \"shop\"}]}");
        put("2026-09", 1, "{}");
        let bases = || {
            let found = store.read_blocking(last_bases).unwrap();
            let told = found.into_iter().map(|(kept, basis)| (kept.month, kept.revision, basis));
            told.collect::<Vec<_>>()
        };
        let expected = [
            ("2026-09".to_owned(), 1, "[]".to_owned()),
            ("2026-10".to_owned(), 2, "[{\"service\":\"shop\"}]".to_owned()),
        ];
        assert_eq!(bases(), expected);
        store
            .write_blocking(|tx| {
                tx.execute_batch("DROP TABLE report_basis")?;
                Ok(tx.execute_batch(BASES)?)
            })
            .unwrap();
        assert_eq!(bases(), expected, "the migration takes them from the texts");
        let acme = "acme".parse().unwrap();
        let last = |month| store.read_blocking(|conn| last_revision(conn, &acme, month)).unwrap();
        assert_eq!((last("2026-10"), last("2026-09"), last("2026-08")), (Some(2), Some(1), None));
    }

    #[test]
    fn a_text_that_somebody_tampered_with_is_not_given_out() {
        let (_folder, store) = store();
        let kept = kept(1, 10, 0, "{}");
        store.write_blocking(move |tx| keep(tx, &kept, "{\"a\": 1}")).unwrap();
        let acme = "acme".parse().unwrap();
        let error = store.read_blocking(|conn| find(conn, &acme, "2026-10", None)).unwrap_err();
        assert!(error.to_string().contains("acme 2026-10 revision 1"), "{error}");
    }

    #[test]
    fn samples_of_frozen_time_are_counted_from_its_freezing_on_and_others_never() {
        let (_folder, store) = store();
        let put = |times: &[i64]| {
            let samples: Vec<_> = times.iter().map(|at| sample("eu-west", *at)).collect();
            store.write_blocking(move |tx| samples::insert(tx, &samples, Timestamp::from_ms(0))).unwrap();
        };
        let counted = |from, to, since| {
            let (checks, span) =
                (["shop-home".parse().unwrap()], Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to)));
            store.read_blocking(|conn| late(conn, &checks, span, since)).unwrap()
        };
        put(&[1_000, 2_000]);
        let arrival = store.read_blocking(arrival).unwrap();
        let frozen = kept(1, 10 * HOUR_MS, arrival, "{}");
        store.write_blocking(move |tx| keep(tx, &frozen, "{}")).unwrap();
        put(&[10 * HOUR_MS, 11 * HOUR_MS]);
        put(&[1_000]);
        assert_eq!(counted(0, 10 * HOUR_MS, arrival), 0, "what is later, or was there, is not late");
        put(&[3_000, 9 * HOUR_MS]);
        assert_eq!(counted(0, 10 * HOUR_MS, arrival), 2);
        assert_eq!(counted(0, 9 * HOUR_MS, arrival), 1);
        assert_eq!(counted(0, 10 * HOUR_MS, arrival + 3), 0, "a restatement knows of it");
    }
}
