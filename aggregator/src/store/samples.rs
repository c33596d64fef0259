//! The table of samples: insert once, read back in order.
//!
//! Identity is (check, region, kind, scheduled_at), the primary key; where two samples claim the same
//! identity the one with the smaller (started_at, probe, content) stays. So any order and any repetition of the same
//! batches ends in the same content (INV-3). When a sample was received is kept for people, and is not content.
//!
//! The table is clustered by (check, region, time), so that a month of one check is read in one sweep. Names
//! are numbers from a dictionary, times after the first are differences, and what only a sample that is not
//! `up` has lies in one JSON column: a plain sample is some 50 bytes.

mod row;

use std::collections::{BTreeMap, HashMap};

use nines_shared::id::{CheckId, IdError, ProbeId, RegionId};
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::reports::Late;
use super::{StoreError, definitions};
use crate::fingerprint;
use crate::uptime::{Observed, RegionSamples};
use row::{New, Series};

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "
-- Ids of checks, regions and probes as small numbers.
CREATE TABLE name (
  no   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE sample (
  check_no      INTEGER NOT NULL,
  region_no     INTEGER NOT NULL,
  scheduled_at  INTEGER NOT NULL,
  kind          INTEGER NOT NULL,  -- 0 planned, 1 extra
  late_ms       INTEGER NOT NULL,  -- started_at - scheduled_at
  outcome       INTEGER NOT NULL,  -- 0 up, 1 degraded, 2 down, 3 inconclusive
  attempt       INTEGER NOT NULL,
  probe_no      INTEGER,
  duration_us   INTEGER,
  resolve_us    INTEGER,
  connect_us    INTEGER,
  tls_us        INTEGER,
  first_byte_us INTEGER,
  transfer_us   INTEGER,
  received_ms   INTEGER NOT NULL,  -- received_at - scheduled_at; not content
  rest          TEXT,              -- JSON of reason, phase, detail, evidence, and a trace id that is not the derived one
  PRIMARY KEY (check_no, region_no, scheduled_at, kind)
) STRICT, WITHOUT ROWID;

-- Which checks got samples that the evaluator has not judged yet, and how far back.
CREATE TABLE fresh (
  check_no INTEGER PRIMARY KEY,
  arrival  INTEGER NOT NULL,       -- the last insert that touched the check
  first_at INTEGER NOT NULL,       -- the smallest started_at among them
  last_at  INTEGER NOT NULL        -- the largest
) STRICT;

CREATE TABLE arrival (last INTEGER NOT NULL) STRICT;
INSERT INTO arrival VALUES (0);
";

/// How an insert went. `stored + same` is the number of samples given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Samples that were new.
    pub stored: usize,
    /// Samples whose identity was there already.
    pub same: usize,
}

/// Stores `samples`; those that are there already change nothing. Marks their checks as [`fresh`].
///
/// # Errors
/// What SQLite says; then nothing of it is stored once the transaction is rolled back.
pub fn insert(tx: &Transaction<'_>, samples: &[Sample], received_at: Timestamp) -> Result<Inserted, StoreError> {
    let mut names = Names::new(tx);
    let mut touched = BTreeMap::new();
    let mut inserted = Inserted::default();
    let mut late = Late::new(tx)?;
    let mut statement = tx.prepare_cached(row::INSERT)?;
    for sample in samples {
        let new = New::of(sample, received_at, &mut names)?;
        let stored = new.put(&mut statement)?;
        if stored {
            inserted.stored += 1;
        } else {
            inserted.same += 1;
        }
        if stored || replace_if_smaller(tx, &new)? {
            let at = sample.started_at;
            let (first, last) = touched.entry(new.series.check_no).or_insert((at, at));
            (*first, *last) = (at.min(*first), at.max(*last));
            late.note(new.series.check_no, sample.scheduled_at);
        }
    }
    if let Some(arrival) = mark_fresh(tx, &touched)? {
        late.keep(tx, arrival)?;
    }
    Ok(inserted)
}

/// Two probes of one region may both have taken a slot. Which of the two stays must not depend on who
/// came first: the smaller by (started_at, probe, content) does.
fn replace_if_smaller(tx: &Transaction<'_>, new: &New<'_>) -> Result<bool, StoreError> {
    let sample = row::normal(new.sample);
    let there = row::get(tx, new.series, &sample)?;
    if there == sample {
        return Ok(false);
    }
    let smaller = rank(&sample) < rank(&there);
    tracing::debug!(trace_id = ?sample.trace_id, replaces = smaller, "sample.claimed_twice");
    if smaller {
        new.put(&mut tx.prepare_cached(row::REPLACE)?)?;
    }
    Ok(smaller)
}

fn rank(sample: &Sample) -> (Timestamp, Option<&str>, String) {
    (sample.started_at, sample.probe.as_ref().map(ProbeId::as_str), canonical(sample))
}

/// The sample as its line of NDJSON, without the line break.
pub fn canonical(sample: &Sample) -> String {
    serde_json::to_string(sample).expect("a sample has only text keys and writes to memory")
}

/// That a check got samples which nobody has judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Which check.
    pub check: CheckId,
    /// The number of the last insert that brought some. It grows with every insert.
    pub arrival: i64,
    /// From the earliest `started_at` among them to just after the latest.
    pub started: Span,
}

/// The checks with samples that [`judged`] has not been told of, in order of their arrival. At most one a check, however
/// many samples came, so that it is cheap after a long absence too.
///
/// # Errors
/// What SQLite says.
pub fn fresh(conn: &Connection) -> Result<Vec<Fresh>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT text, arrival, first_at, last_at FROM fresh JOIN name ON no = check_no ORDER BY arrival, text",
    )?;
    let rows = statement.query_and_then([], |row| {
        let (first, last) = (Timestamp::from_ms(row.get(2)?), Timestamp::from_ms(row.get(3)?));
        Ok(Fresh {
            check: parsed(&row.get::<_, String>(0)?)?,
            arrival: row.get(1)?,
            started: Span::new(first, last.plus_ms(1)),
        })
    })?;
    rows.collect()
}

/// Forgets what is [`fresh`] up to and including the insert number `arrival`. Called in the transaction that
/// stores the judgement; a check that got more since stays fresh, with all of its span.
///
/// # Errors
/// What SQLite says.
pub fn judged(tx: &Transaction<'_>, arrival: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM fresh WHERE arrival <= ?1")?.execute([arrival])?;
    Ok(())
}

/// The number of the insert; `None` where nothing was stored.
fn mark_fresh(
    tx: &Transaction<'_>,
    touched: &BTreeMap<i64, (Timestamp, Timestamp)>,
) -> Result<Option<i64>, StoreError> {
    if touched.is_empty() {
        return Ok(None);
    }
    let mut count = tx.prepare_cached("UPDATE arrival SET last = last + 1 RETURNING last")?;
    let arrival: i64 = count.query_one([], |row| row.get(0))?;
    let mut mark = tx.prepare_cached(
        "INSERT INTO fresh (check_no, arrival, first_at, last_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (check_no) DO UPDATE SET arrival = excluded.arrival,
           first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)",
    )?;
    for (check_no, (first, last)) in touched {
        mark.execute(params![check_no, arrival, first.as_ms(), last.as_ms()])?;
    }
    Ok(Some(arrival))
}

/// What judging `check` in `span` needs, by region: the samples whose time lies in it, those of two intervals
/// on either side, and the last one before those where an older definition may let it hold so long.
///
/// Empty where the check has no definition.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn record_of(conn: &Connection, check: &CheckId, span: Span) -> Result<Vec<RegionSamples>, StoreError> {
    let versions = definitions::check_versions(conn, check)?;
    let longest = versions.iter().map(|version| version.check.interval_ms).max();
    let (Some(longest), Some(check_no)) = (longest, number(conn, check.as_str())?) else { return Ok(Vec::new()) };
    let reach = Span::new(span.from.plus_ms(-2 * longest), span.to.plus_ms(2 * longest));
    let mut record = Vec::new();
    for (region, region_no) in regions(conn, check_no)? {
        let from = match versions.len() {
            1 => None,
            _several => last_before(conn, check_no, region_no, reach.from)?,
        };
        let samples = observed(conn, (check_no, region_no), Span { from: from.unwrap_or(reach.from), ..reach })?;
        if !samples.is_empty() {
            record.push(RegionSamples { region, samples });
        }
    }
    Ok(record)
}

fn observed(conn: &Connection, (check_no, region_no): (i64, i64), span: Span) -> Result<Vec<Observed>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT scheduled_at, late_ms, kind, outcome, duration_us FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND ?3 <= scheduled_at AND scheduled_at < ?4",
    )?;
    let rows =
        statement.query_and_then(params![check_no, region_no, span.from.as_ms(), span.to.as_ms()], row::observed)?;
    let mut samples = rows.collect::<Result<Vec<Observed>, StoreError>>()?;
    samples.sort_by_key(|sample| (sample.started_at, sample.scheduled_at, sample.kind));
    Ok(samples)
}

/// When the last sample that says something was scheduled before `at`.
fn last_before(
    conn: &Connection,
    check_no: i64,
    region_no: i64,
    at: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT scheduled_at FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND scheduled_at < ?3 AND outcome <> 3
         ORDER BY scheduled_at DESC LIMIT 1",
    )?;
    let found = statement.query_one(params![check_no, region_no, at.as_ms()], |row| row.get(0)).optional()?;
    Ok(found.map(Timestamp::from_ms))
}

/// Hands every sample scheduled in `span` to `each`, in order of identity: check, region, scheduled time, kind.
/// Only those of `checks` where it is given. Memory does not grow with their number.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`], and whatever `each` answers, which ends it.
pub fn each_in_identity_order<E: From<StoreError>>(
    conn: &Connection,
    checks: Option<&[CheckId]>,
    span: Span,
    mut each: impl FnMut(Sample) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = row::Reader::new(conn);
    for (check, check_no) in self::checks(conn, checks)? {
        for (region, region_no) in regions(conn, check_no)? {
            reader.each((&check, &region, Series { check_no, region_no }), span, &mut each)?;
        }
    }
    Ok(())
}

/// SHA-256 of the samples scheduled in `span`, as NDJSON in order of identity: of the very bytes that `nines
/// export` writes. As `sha256:` and 64 hex digits.
///
/// # Errors
/// As [`each_in_identity_order`].
pub fn digest(conn: &Connection, checks: Option<&[CheckId]>, span: Span) -> Result<String, StoreError> {
    let mut lines = fingerprint::OfLines::new();
    each_in_identity_order(conn, checks, span, |sample| {
        lines.push(&canonical(&sample));
        Ok::<_, StoreError>(())
    })?;
    Ok(lines.finish())
}

/// [`digest()`] of every sample there is: equal digests, equal content.
///
/// # Errors
/// As [`digest()`].
pub fn content_digest(conn: &Connection) -> Result<String, StoreError> {
    digest(conn, None, Span { from: Timestamp::MIN, to: Timestamp::MAX })
}

/// The newest sample of each region of `check`, sorted by region.
///
/// # Errors
/// What SQLite says, [`StoreError::Unreadable`].
pub fn latest_of(conn: &Connection, check: &CheckId) -> Result<Vec<Sample>, StoreError> {
    let Some(check_no) = number(conn, check.as_str())? else { return Ok(Vec::new()) };
    let mut reader = row::Reader::new(conn);
    let mut newest = Vec::new();
    for (region, region_no) in regions(conn, check_no)? {
        newest.extend(reader.last(check, &region, Series { check_no, region_no })?);
    }
    Ok(newest)
}

/// When the first sample of `check` was scheduled, in any region.
///
/// # Errors
/// What SQLite says.
pub fn first_of(conn: &Connection, check: &CheckId) -> Result<Option<Timestamp>, StoreError> {
    let Some(check_no) = number(conn, check.as_str())? else { return Ok(None) };
    let mut statement =
        conn.prepare_cached("SELECT min(scheduled_at) FROM sample WHERE check_no = ?1 AND region_no = ?2")?;
    let mut first: Option<i64> = None;
    for (_region, region_no) in regions(conn, check_no)? {
        let at: Option<i64> = statement.query_one(params![check_no, region_no], |row| row.get(0))?;
        first = first.into_iter().chain(at).min();
    }
    Ok(first.map(Timestamp::from_ms))
}

/// How long the planned `up` and `degraded` samples scheduled in `span` took, in µs, in order of time: what
/// percentiles are made of.
///
/// # Errors
/// What SQLite says.
pub fn latencies(conn: &Connection, check: &CheckId, region: &RegionId, span: Span) -> Result<Vec<u64>, StoreError> {
    let (Some(check_no), Some(region_no)) = (number(conn, check.as_str())?, number(conn, region.as_str())?) else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(
        "SELECT duration_us FROM sample
         WHERE check_no = ?1 AND region_no = ?2 AND ?3 <= scheduled_at AND scheduled_at < ?4
           AND kind = 0 AND outcome <= 1 AND duration_us IS NOT NULL",
    )?;
    let rows = statement.query_map(params![check_no, region_no, span.from.as_ms(), span.to.as_ms()], |row| {
        row.get::<_, i64>(0).map(i64::unsigned_abs)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many samples there are. Reads the whole table.
///
/// # Errors
/// What SQLite says.
pub fn count(conn: &Connection) -> Result<u64, StoreError> {
    let count: i64 = conn.prepare_cached("SELECT count(*) FROM sample")?.query_one([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The checks that may have samples, sorted by id, with their numbers.
fn checks(conn: &Connection, only: Option<&[CheckId]>) -> Result<Vec<(CheckId, i64)>, StoreError> {
    // A loose index scan: one seek a check, not one step a sample.
    let mut statement = conn.prepare_cached(
        "WITH RECURSIVE found(no) AS (
           SELECT min(check_no) FROM sample UNION ALL
           SELECT (SELECT min(check_no) FROM sample WHERE found.no < check_no) FROM found WHERE no IS NOT NULL)
         SELECT text, name.no FROM found JOIN name USING (no) ORDER BY text",
    )?;
    let rows = statement.query_and_then([], |row| Ok((parsed(&row.get::<_, String>(0)?)?, row.get(1)?)))?;
    let wanted = |found: &Result<(CheckId, i64), StoreError>| match (found, only) {
        (Ok((check, _no)), Some(only)) => only.contains(check),
        (Ok(_) | Err(_), _) => true,
    };
    rows.filter(wanted).collect()
}

/// The regions that `check_no` has samples from, sorted by id, with their numbers.
fn regions(conn: &Connection, check_no: i64) -> Result<Vec<(RegionId, i64)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "WITH RECURSIVE found(no) AS (
           SELECT min(region_no) FROM sample WHERE check_no = ?1 UNION ALL
           SELECT (SELECT min(region_no) FROM sample WHERE check_no = ?1 AND found.no < region_no)
           FROM found WHERE no IS NOT NULL)
         SELECT text, name.no FROM found JOIN name USING (no) ORDER BY text",
    )?;
    let rows = statement.query_and_then([check_no], |row| Ok((parsed(&row.get::<_, String>(0)?)?, row.get(1)?)))?;
    rows.collect()
}

/// The number of a name, where it has one.
fn number(conn: &Connection, text: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn.prepare_cached("SELECT no FROM name WHERE text = ?1")?.query_one([text], |row| row.get(0)).optional()?)
}

/// The numbers of names, given out as they are needed, looked up once a batch.
struct Names<'a> {
    tx: &'a Transaction<'a>,
    known: HashMap<String, i64>,
}

impl<'a> Names<'a> {
    fn new(tx: &'a Transaction<'_>) -> Self {
        Self { tx, known: HashMap::new() }
    }

    fn of(&mut self, text: &str) -> Result<i64, StoreError> {
        if let Some(no) = self.known.get(text) {
            return Ok(*no);
        }
        let no = match number(self.tx, text)? {
            Some(no) => no,
            None => {
                self.tx.prepare_cached("INSERT INTO name (text) VALUES (?1)")?.execute([text])?;
                self.tx.last_insert_rowid()
            }
        };
        self.known.insert(text.to_owned(), no);
        Ok(no)
    }
}

/// An id out of the dictionary, which holds only what was one.
fn parsed<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|why: IdError| StoreError::Unreadable { what: "a name".to_owned(), why: why.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Fleet;
    use crate::store::Store;
    use crate::store::tests::{check, fleet, sample, store};
    use nines_shared::sample::{
        Certificate, DnsEvidence, Evidence, Hop, Outcome, Phase, Phases, Reason, SampleKind, TlsEvidence, TraceId,
    };
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn span(from: i64, to: i64) -> Span {
        Span::new(ms(from), ms(to))
    }

    fn put(store: &Store, samples: Vec<Sample>) -> Inserted {
        store.write_blocking(move |tx| insert(tx, &samples, NOW)).unwrap()
    }

    fn all(store: &Store) -> Vec<Sample> {
        let mut all = Vec::new();
        let forever = Span { from: Timestamp::MIN, to: Timestamp::MAX };
        let read = store.read_blocking(|conn| {
            each_in_identity_order(conn, None, forever, |sample| {
                all.push(sample);
                Ok(())
            })
        });
        read.unwrap();
        all
    }

    /// A sample with something in every field.
    fn full() -> Sample {
        let phases_us =
            Phases { resolve: Some(1), connect: Some(2), tls: Some(3), first_byte: Some(4), transfer: Some(5) };
        let hop = Hop {
            url: "https://shop.example/".to_owned(),
            proxy: None,
            address: Some("192.0.2.1:443".parse().unwrap()),
            status: Some(503),
            version: Some("HTTP/2".to_owned()),
            phases_us,
        };
        let certificate = Certificate {
            subject: "CN=shop.example".to_owned(),
            issuer: "CN=someone".to_owned(),
            names: vec!["shop.example".to_owned()],
            not_before: ms(1),
            not_after: ms(2),
            sha256: "ab".repeat(32),
            pin: "sha256/q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=".to_owned(),
            serial: "07".to_owned(),
            key: "EC P-256".to_owned(),
            signature: "ECDSA-SHA256".to_owned(),
            is_ca: true,
        };
        let tls = TlsEvidence {
            version: Some("TLSv1.3".to_owned()),
            chain: vec![certificate],
            path: vec!["CN=shop.example".to_owned(), "CN=someone".to_owned()],
            ..TlsEvidence::default()
        };
        let dns = DnsEvidence {
            transport: "udp".to_owned(),
            rcode: "NOERROR".to_owned(),
            answers: vec!["192.0.2.10".to_owned()],
            ttl_s: Some(60),
            ..DnsEvidence::default()
        };
        let address = Some("[2001:db8::1]:443".parse().unwrap());
        Sample {
            kind: SampleKind::Extra,
            outcome: Outcome::Down,
            reason: Some(Reason::HttpStatus),
            phase: Some(Phase::FirstByte),
            detail: Some("503 \"Service Unavailable\"".to_owned()),
            phases_us,
            attempt: 2,
            trace_id: Some(TraceId(7)),
            evidence: Some(Box::new(Evidence {
                address,
                hops: vec![hop],
                tls: Some(tls),
                dns: Some(dns),
                ..Evidence::default()
            })),
            ..sample("eu-west", 1_000)
        }
    }

    #[test]
    fn every_field_of_a_sample_comes_back() {
        let (_folder, store) = store();
        put(&store, vec![full()]);
        assert_eq!(all(&store), [full()]);
    }

    #[test]
    fn every_reason_phase_and_outcome_comes_back_and_so_do_strangers() {
        let (_folder, store) = store();
        let reasons = Reason::ALL.iter().cloned().chain([Reason::Other("quic_blocked".into())]).enumerate();
        let mut given: Vec<Sample> = reasons
            .map(|(n, reason)| Sample {
                reason: Some(reason),
                phase: Some(Phase::ALL[n % 5]),
                outcome: Outcome::ALL[n % 4],
                trace_id: Some(TraceId(n as u128)),
                ..sample("eu-west", i64::try_from(n).unwrap())
            })
            .collect();
        put(&store, given.clone());
        given.sort_by(|a, b| a.identity().cmp(&b.identity()));
        assert_eq!(all(&store), given);
    }

    #[test]
    fn a_sample_without_a_trace_id_gets_the_derived_one() {
        let (_folder, store) = store();
        let given = sample("eu-west", 1_000);
        put(&store, vec![given.clone()]);
        let derived = TraceId::of(&given.check, &given.region, given.kind, given.scheduled_at);
        assert_eq!(all(&store)[0].trace_id, Some(derived));
        assert_eq!(put(&store, vec![Sample { trace_id: Some(derived), ..given }]), Inserted { stored: 0, same: 1 });
    }

    #[test]
    fn numbers_that_no_clock_could_measure_are_held_at_the_largest() {
        let (_folder, store) = store();
        let absurd = Sample { duration_us: Some(u64::MAX), started_at: Timestamp::MAX, ..sample("eu-west", 1_000) };
        put(&store, vec![absurd.clone()]);
        assert_eq!(put(&store, vec![absurd]), Inserted { stored: 0, same: 1 });
        assert_eq!(all(&store)[0].duration_us, Some(i64::MAX.unsigned_abs()));
    }

    #[test]
    fn of_two_samples_with_one_identity_the_earlier_start_stays_then_the_smaller_probe() {
        let early = sample("eu-west", 1_000);
        let late = Sample { started_at: ms(1_009), outcome: Outcome::Down, ..early.clone() };
        let other = Sample { probe: Some("eu-west-0".parse().unwrap()), ..early.clone() };
        for order in [[&early, &late, &other], [&other, &late, &early], [&late, &early, &other]] {
            let (_folder, store) = store();
            for sample in order {
                put(&store, vec![sample.clone()]);
            }
            let kept = all(&store);
            assert_eq!((kept.len(), &kept[0].probe, kept[0].started_at), (1, &other.probe, other.started_at));
        }
    }

    #[test]
    fn samples_come_in_order_of_their_identity_whatever_order_they_came_in() {
        let (_folder, store) = store();
        let mut given = Vec::new();
        for check in ["b", "a", "shop-home"] {
            for region in ["us-east", "eu-west"] {
                for at in [3_000, 1_000] {
                    for kind in [SampleKind::Extra, SampleKind::Planned] {
                        let check = check.parse().unwrap();
                        given.push(row::normal(&Sample { check, kind, ..sample(region, at) }));
                    }
                }
            }
        }
        put(&store, given.clone());
        given.sort_by(|a, b| a.identity().cmp(&b.identity()));
        assert_eq!(all(&store), given);
        let only: Vec<CheckId> = vec!["a".parse().unwrap()];
        let mut count = 0;
        let read = store.read_blocking(|conn| {
            each_in_identity_order(conn, Some(&only), span(1_000, 3_000), |sample| {
                assert_eq!((sample.check.as_str(), sample.scheduled_at), ("a", ms(1_000)));
                count += 1;
                Ok(())
            })
        });
        read.unwrap();
        assert_eq!(count, 4);
    }

    #[test]
    fn what_is_fresh_is_so_until_it_is_judged_and_what_came_meanwhile_stays_fresh() {
        let (_folder, store) = store();
        let fresh = || store.read_blocking(fresh).unwrap();
        assert_eq!(fresh(), []);
        put(&store, vec![sample("eu-west", 5_000), sample("eu-west", 9_000)]);
        put(&store, vec![Sample { check: "a".parse().unwrap(), ..sample("eu-west", 7_000) }]);
        let seen = fresh();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].started, span(5_003, 9_004));
        // Late samples of the first check arrive while both are being judged.
        put(&store, vec![sample("us-east", 1_000)]);
        let judged_to = seen[1].arrival;
        store.write_blocking(move |tx| judged(tx, judged_to)).unwrap();
        let left = fresh();
        assert_eq!((left.len(), left[0].check.as_str(), left[0].started), (1, "shop-home", span(1_003, 9_004)));
        assert!(judged_to < left[0].arrival);
        // A replay brings nothing to judge.
        store.write_blocking(move |tx| judged(tx, i64::MAX)).unwrap();
        put(&store, vec![sample("us-east", 1_000)]);
        assert_eq!(fresh(), []);
        put(&store, vec![sample("us-east", 2_000)]);
        assert!(left[0].arrival < fresh()[0].arrival, "numbers are never used again");
    }

    #[test]
    fn the_newest_sample_of_each_region_and_the_first_of_all_are_found() {
        let (_folder, store) = store();
        put(&store, vec![sample("us-east", 1_000), sample("eu-west", 2_000), sample("eu-west", 3_000)]);
        let id: CheckId = "shop-home".parse().unwrap();
        let latest = store.read_blocking(|conn| latest_of(conn, &id)).unwrap();
        let latest: Vec<(&str, i64)> =
            latest.iter().map(|sample| (sample.region.as_str(), sample.scheduled_at.as_ms())).collect();
        assert_eq!(latest, [("eu-west", 3_000), ("us-east", 1_000)]);
        assert_eq!(store.read_blocking(|conn| first_of(conn, &id)).unwrap(), Some(ms(1_000)));
        let stranger: CheckId = "other".parse().unwrap();
        assert_eq!(store.read_blocking(|conn| latest_of(conn, &stranger)).unwrap(), []);
        assert_eq!(store.read_blocking(|conn| first_of(conn, &stranger)).unwrap(), None);
    }

    #[test]
    fn a_plain_sample_takes_less_than_seventy_bytes() {
        let (_folder, store) = store();
        let (slots, series) = (200_i64, 100_i64);
        let plain = |slot: i64, n: i64| {
            let wobble = nines_shared::hash::fnv1a64(format!("{slot}/{n}").as_bytes());
            let us = |base: u64, shift: u32| Some(base + (wobble >> shift) % base);
            let mut sample =
                sample(["eu-west", "us-east"][usize::try_from(n % 2).unwrap()], NOW.as_ms() + slot * 30_000);
            sample.check = format!("check-{}", n / 2).parse().unwrap();
            sample.duration_us = us(60_000, 3);
            let (resolve, connect, tls) = (us(400, 5), us(9_000, 7), us(20_000, 9));
            sample.phases_us = Phases { resolve, connect, tls, first_byte: us(25_000, 11), transfer: us(300, 13) };
            sample
        };
        for slot in 0..slots {
            put(&store, (0..series).map(|n| plain(slot, n)).collect());
        }
        let path = store.path().to_owned();
        drop(store);
        let bytes = path.metadata().unwrap().len() / u64::try_from(slots * series).unwrap();
        assert!(bytes < 70, "{bytes} bytes a sample");
    }

    #[test]
    fn latencies_are_those_of_planned_samples_that_worked() {
        let (_folder, store) = store();
        let with = |at, us, kind, outcome| Sample { duration_us: us, kind, outcome, ..sample("eu-west", at) };
        use SampleKind::{Extra, Planned};
        put(
            &store,
            vec![
                with(1, Some(10), Planned, Outcome::Up),
                with(2, Some(20), Planned, Outcome::Degraded),
                with(3, Some(30), Planned, Outcome::Down),
                with(4, Some(40), Planned, Outcome::Inconclusive),
                with(5, Some(50), Extra, Outcome::Up),
                with(6, None, Planned, Outcome::Up),
                with(9, Some(90), Planned, Outcome::Up),
            ],
        );
        let (check, region) = ("shop-home".parse().unwrap(), "eu-west".parse().unwrap());
        assert_eq!(store.read_blocking(|conn| latencies(conn, &check, &region, span(0, 9))).unwrap(), [10, 20]);
    }

    fn defined(store: &Store, fleet: Fleet, at: i64) {
        store.write_blocking(move |tx| definitions::load(tx, &fleet, ms(at))).unwrap();
    }

    fn scheduled(store: &Store, window: Span) -> Vec<i64> {
        let id = "shop-home".parse().unwrap();
        let record = store.read_blocking(|conn| record_of(conn, &id, window)).unwrap();
        record.iter().flat_map(|region| &region.samples).map(|sample| sample.scheduled_at.as_ms()).collect()
    }

    #[test]
    fn a_record_reaches_two_intervals_out_of_its_span() {
        let (_folder, store) = store();
        defined(&store, fleet(vec![check("shop-home", 10_000, &["eu-west"])]), 0);
        put(&store, (0..30).map(|n| sample("eu-west", n * 10_000)).collect());
        let expected: Vec<i64> = (8..14).map(|n| n * 10_000).collect();
        assert_eq!(scheduled(&store, span(100_000, 120_000)), expected);
    }

    #[test]
    fn where_a_definition_changed_the_last_word_before_the_margin_is_there_too() {
        let (_folder, store) = store();
        defined(&store, fleet(vec![check("shop-home", 10_000, &["eu-west"])]), 0);
        put(&store, vec![sample("eu-west", 0), sample("eu-west", 10_000)]);
        let silent = Sample { outcome: Outcome::Inconclusive, ..sample("eu-west", 20_000) };
        put(&store, vec![silent, sample("eu-west", 100_000)]);
        assert_eq!(scheduled(&store, span(100_000, 110_000)), [100_000]);
        defined(&store, fleet(vec![check("shop-home", 5_000, &["eu-west"])]), 90_000);
        assert_eq!(scheduled(&store, span(100_000, 110_000)), [10_000, 20_000, 100_000]);
    }

    #[test]
    fn a_record_is_sorted_by_the_start_though_rows_are_sorted_by_the_plan() {
        let (_folder, store) = store();
        defined(&store, fleet(vec![check("shop-home", 10_000, &["eu-west"])]), 0);
        let overrun = Sample { started_at: ms(12_000), ..sample("eu-west", 10_000) };
        let extra = Sample { kind: SampleKind::Extra, started_at: ms(11_000), ..sample("eu-west", 11_000) };
        put(&store, vec![overrun, extra]);
        assert_eq!(scheduled(&store, span(0, 20_000)), [11_000, 10_000]);
    }

    /// Batches with repetitions and contradictions: few identities, so that they meet often.
    fn batches() -> impl Strategy<Value = Vec<Vec<Sample>>> {
        let one = (0..2_usize, 0..2_usize, 0..4_i64, any::<bool>(), 0..3_i64, 0..3_usize, 0..4_usize).prop_map(
            |(check, region, slot, extra, late, probe, outcome)| {
                let mut sample = sample(["eu-west", "us-east"][region], slot * 1_000);
                sample.check = ["shop-home", "shop-dns"][check].parse().unwrap();
                sample.kind = if extra { SampleKind::Extra } else { SampleKind::Planned };
                sample.started_at = sample.scheduled_at.plus_ms(late);
                sample.probe = [None, Some("p-1"), Some("p-2")][probe].map(|probe| probe.parse().unwrap());
                sample.outcome = Outcome::ALL[outcome];
                sample.reason = (outcome == 2).then_some(Reason::ConnectRefused);
                sample
            },
        );
        prop::collection::vec(prop::collection::vec(one, 0..12), 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn inv_3_any_order_and_any_repetition_of_batches_give_the_same_content(
            batches in batches(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..12), shuffle in any::<u64>(),
        ) {
            let digest_of = |batches: Vec<Vec<Sample>>| {
                let (_folder, store) = store();
                for batch in batches {
                    put(&store, batch);
                }
                store.read_blocking(content_digest).unwrap()
            };
            let mut again = batches.clone();
            again.extend(order.iter().map(|index| index.get(&batches).clone()));
            again.sort_by_key(|batch| nines_shared::hash::fnv1a64(format!("{shuffle}{batch:?}").as_bytes()));
            again.iter_mut().for_each(|batch| batch.reverse());
            prop_assert_eq!(digest_of(batches), digest_of(again));
        }

        #[test]
        fn what_was_stored_before_is_counted_as_there(batches in batches()) {
            let (_folder, store) = store();
            let given: usize = batches.iter().map(Vec::len).sum();
            let mut total = Inserted::default();
            for batch in batches {
                let Inserted { stored, same } = put(&store, batch);
                total = Inserted { stored: total.stored + stored, same: total.same + same };
            }
            prop_assert_eq!(total.stored + total.same, given);
            prop_assert_eq!(store.read_blocking(count).unwrap(), total.stored as u64);
        }
    }
}
