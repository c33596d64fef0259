//! SQLite alone, with the store's rows, key and commits: what the benchmarks hold ingest against. And the samples of
//! both.

use std::path::Path;

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Outcome, Phases, Sample, SampleKind, TraceId};
use nines_shared::time::Timestamp;
use rusqlite::{Connection, params};

/// A planned sample that is up, with all phases; its figures are drawn from its identity.
pub(crate) fn sample(check: CheckId, region: RegionId, scheduled_at: Timestamp) -> Sample {
    let wobble = nines_shared::hash::fnv1a64(format!("{scheduled_at}/{check}/{region}").as_bytes());
    let us = |base: u64, shift: u32| Some(base + (wobble >> shift) % base);
    let kind = SampleKind::Planned;
    Sample {
        trace_id: Some(TraceId::of(&check, &region, kind, scheduled_at)),
        check,
        region,
        probe: None,
        kind,
        scheduled_at,
        started_at: scheduled_at.plus_ms(i64::try_from(wobble % 4).unwrap_or(0)),
        outcome: Outcome::Up,
        reason: None,
        phase: None,
        detail: None,
        duration_us: us(60_000, 3),
        phases_us: Phases {
            resolve: us(400, 5),
            connect: us(9_000, 7),
            tls: us(20_000, 9),
            first_byte: us(25_000, 11),
            transfer: us(300, 13),
        },
        attempt: 1,
        evidence: None,
    }
}

/// A database with the store's table and settings and nothing else.
pub(crate) fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA cache_size = -32768;
             CREATE TABLE sample (check_no INTEGER, region_no INTEGER, scheduled_at INTEGER, kind INTEGER, late_ms INTEGER,
               outcome INTEGER, attempt INTEGER, probe_no INTEGER, duration_us INTEGER, resolve_us INTEGER,
               connect_us INTEGER, tls_us INTEGER, first_byte_us INTEGER, transfer_us INTEGER, received_ms INTEGER, rest TEXT,
               PRIMARY KEY (check_no, region_no, scheduled_at, kind)) STRICT, WITHOUT ROWID",
        )
        .expect("a table");
    connection
}

/// Inserts `samples` in one synced commit. The numbers of checks and regions are those that their ids end with.
pub(crate) fn insert(connection: &mut Connection, samples: &[Sample]) {
    let number = |id: &str| id.rsplit('-').next().and_then(|number| number.parse::<i64>().ok());
    let us = |us: Option<u64>| us.and_then(|us| i64::try_from(us).ok());
    let transaction = connection.transaction().expect("a transaction");
    let sql = "INSERT INTO sample VALUES (?1,?2,?3,0,?4,0,1,1,?5,?6,?7,?8,?9,?10,250,NULL)";
    let mut statement = transaction.prepare_cached(sql).expect("a statement");
    for sample in samples {
        let phases = &sample.phases_us;
        let row = params![
            number(sample.check.as_str()),
            number(sample.region.as_str()),
            sample.scheduled_at.as_ms(),
            sample.lateness_ms(),
            us(sample.duration_us),
            us(phases.resolve),
            us(phases.connect),
            us(phases.tls),
            us(phases.first_byte),
            us(phases.transfer)
        ];
        statement.execute(row).expect("a row");
    }
    drop(statement);
    transaction.commit().expect("a commit");
}
