//! Import where no server runs: one thread reads and judges, the writer's thread stores, in one transaction.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use rusqlite::Transaction;

use super::{Imported, Terms, judge_each};
use crate::archive::Reader;
use crate::cli::Failure;
use crate::store::samples::{self, Inserted};
use crate::store::{Store, StoreError};

/// Samples in one insert.
const BATCH: usize = 1_000;
/// Batches between the thread that reads and the one that writes; the reader waits when they are full.
const QUEUED: usize = 8;

/// Takes in all of `reader` in one transaction: nothing of it is stored where reading fails, or where there are
/// bad lines and the terms do not let them be left out. Must not be called from async code.
///
/// # Errors
/// Where reading or storing fails.
pub fn import(store: &Store, reader: &mut Reader<'_>, terms: &Terms) -> Result<Imported, Failure> {
    let (sender, receiver) = sync_channel(QUEUED);
    let received_at = terms.now;
    thread::scope(|scope| {
        let writing = scope.spawn(move || store.write_blocking(move |tx| store_all(tx, &receiver, received_at)));
        let read = read_all(reader, terms, &sender);
        drop(sender);
        let written = writing.join().unwrap_or(Err(StoreError::Panicked));
        let mut imported = read?;
        match written {
            Ok(inserted) => imported.inserted = inserted,
            Err(StoreError::Abandoned) => imported.refused = true,
            Err(error) => return Err(error.into()),
        }
        Ok(imported)
    })
}

/// What the thread that reads tells the one that writes. Where it goes without `Keep`, all is undone.
enum Step {
    Store(Vec<Sample>),
    Keep,
}

fn store_all(tx: &Transaction<'_>, steps: &Receiver<Step>, received_at: Timestamp) -> Result<Inserted, StoreError> {
    let mut total = Inserted::default();
    loop {
        match steps.recv() {
            Ok(Step::Store(batch)) => {
                let Inserted { stored, same } = samples::insert(tx, &batch, received_at)?;
                total.stored += stored;
                total.same += same;
            }
            Ok(Step::Keep) => return Ok(total),
            Err(_gone) => return Err(StoreError::Abandoned),
        }
    }
}

fn read_all(reader: &mut Reader<'_>, terms: &Terms, steps: &SyncSender<Step>) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    let mut batch = Vec::with_capacity(BATCH);
    judge_each(reader, terms, &mut imported, |sample| {
        batch.push(sample);
        // The other end goes only with an error of its own, which is then told.
        batch.len() < BATCH || steps.send(Step::Store(std::mem::take(&mut batch))).is_ok()
    })?;
    if imported.bad_count == 0 || terms.skip_bad {
        let _its_error_is_told = steps.send(Step::Store(batch)).and_then(|()| steps.send(Step::Keep));
    }
    Ok(imported)
}
