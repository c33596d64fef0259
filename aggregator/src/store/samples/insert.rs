//! Samples on their way in: the one that stays where two claim one identity, and whom it concerns.

use std::collections::BTreeMap;

use nines_shared::id::ProbeId;
use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use rusqlite::Transaction;

use super::canonical;
use super::days::Touched;
use super::fresh::mark_fresh;
use super::names::Names;
use super::row::{self, New};
use crate::store::StoreError;
use crate::store::reports::Late;

/// How an insert went. `stored + same` is the number of samples given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Samples that were new.
    pub stored: usize,
    /// Samples whose identity was there already.
    pub same: usize,
}

/// Stores `samples`; those that are there already change nothing. Marks their checks as [`fresh`](super::fresh()), and
/// opens the days that were worked out before they came.
///
/// # Errors
/// What SQLite says; then nothing of it is stored once the transaction is rolled back.
pub fn insert(tx: &Transaction<'_>, samples: &[Sample], received_at: Timestamp) -> Result<Inserted, StoreError> {
    let mut names = Names::new(tx);
    let mut touched = BTreeMap::new();
    let mut inserted = Inserted::default();
    let mut late = Late::new(tx)?;
    let mut days = Touched::new(tx, received_at)?;
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
            days.note(new.series, sample.scheduled_at);
        }
    }
    if let Some(arrival) = mark_fresh(tx, &touched)? {
        late.keep(tx, arrival)?;
    }
    days.open_again(tx)?;
    Ok(inserted)
}

/// Two probes of one region may both have taken a slot. Which of the two stays must not depend on who
/// came first: the smaller by (started_at, probe, content) does, and one that claims to have begun before it was to, of
/// which an honest clock gives no reason, only where no other does better.
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

fn rank(sample: &Sample) -> (bool, Timestamp, Option<&str>, String) {
    (sample.lateness_ms() < 0, sample.started_at, sample.probe.as_ref().map(ProbeId::as_str), canonical(sample))
}
