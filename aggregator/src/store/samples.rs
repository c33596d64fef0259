//! The table of samples: insert once, read back in order.
//!
//! Identity is (check, region, kind, scheduled_at), the primary key; where two samples claim the same
//! identity the one with the smaller (started_at, probe, content) stays, of those that began no earlier than they were
//! to. So any order and any repetition of the same batches ends in the same content (INV-3). When a sample was received
//! is kept for people, and is not content.
//!
//! The table is clustered by (check, region, time), so that a month of one check is read in one sweep. Names
//! are numbers from a dictionary, times after the first are differences, and what only a sample that is not
//! `up` has lies in one JSON column: a plain sample is some 50 bytes.

pub mod days;
mod fresh;
mod insert;
mod names;
mod read;
mod row;
pub mod sweep;
#[cfg(test)]
mod tests;

use nines_shared::sample::Sample;

pub use fresh::{Fresh, fresh, judged};
pub use insert::{Inserted, insert};
pub use read::{content_digest, count, digest, each_in_identity_order, first_of, latest_of, record_of};
pub use row::Series;

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

/// The sample as its line of NDJSON, without the line break.
pub fn canonical(sample: &Sample) -> String {
    serde_json::to_string(sample).expect("a sample has only text keys and writes to memory")
}

/// [`canonical`] with the line break, in the place of what `line` held.
pub fn canonical_line(sample: &Sample, line: &mut Vec<u8>) {
    line.clear();
    serde_json::to_writer(&mut *line, sample).expect("a sample has only text keys and writes to memory");
    line.push(b'\n');
}
