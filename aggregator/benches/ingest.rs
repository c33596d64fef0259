//! What storing samples costs: samples per second through the store, every answer after a synced commit,
//! against SQLite alone with the same rows, the same key and the same commits; and bytes a sample.
//!
//! `cargo bench -p nines --bench ingest [-- SAMPLES]`; prints a table for `docs/PERFORMANCE.md`.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod reference;

use std::path::Path;
use std::time::Duration;

use nines::store::{Store, samples};
use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use tokio::time::Instant;

const BATCH: usize = 500;
const START_MS: i64 = 1_790_000_000_000;
const INTERVAL_MS: i64 = 30_000;
const REGIONS: usize = 5;

fn main() {
    let wanted = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(300_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads");
    println!("| samples in batches of {BATCH} | series | samples/s | commits/s | B/sample |");
    println!("|---|--:|--:|--:|--:|");
    for checks in [10, 1_000, 20_000] {
        let batches = batches(checks, wanted);
        let series = checks * REGIONS;
        let alone = alone(&batches);
        alone.print("SQLite alone, one commit a batch", series);
        for senders in [1, 8, 64] {
            let stored = runtime.block_on(through_the_store(batches.clone(), senders));
            stored.print(&format!("the store, {senders} at once"), series);
        }
    }
}

/// How a run went.
struct Run {
    samples: usize,
    commits: usize,
    took: Duration,
    bytes: u64,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn print(&self, what: &str, series: usize) {
        let seconds = self.took.as_secs_f64();
        let (rate, bytes) = (self.samples as f64 / seconds, self.bytes as f64 / self.samples as f64);
        println!("| {what} | {series} | {rate:.0} | {:.0} | {bytes:.1} |", self.commits as f64 / seconds);
    }
}

/// Samples in the order in which they would come: slot after slot, from all checks and regions.
fn batches(checks: usize, wanted: usize) -> Vec<Vec<Sample>> {
    let slots = (0_i64..)
        .flat_map(|slot| (0..checks).flat_map(move |check| (0..REGIONS).map(move |region| (slot, check, region))));
    let all: Vec<Sample> = slots.take(wanted).map(|(slot, check, region)| sample(slot, check, region)).collect();
    all.chunks(BATCH).map(<[Sample]>::to_vec).collect()
}

fn sample(slot: i64, check: usize, region: usize) -> Sample {
    let scheduled_at = Timestamp::from_ms(START_MS + slot * INTERVAL_MS + i64::try_from(region).unwrap_or(0) * 6_000);
    let id = |kind: &str, number: usize| format!("{kind}-{number}");
    let (check, of_region) = (id("check", check).parse().expect("an id"), id("region", region).parse().expect("an id"));
    let probe = Some(format!("region-{region}-1").parse().expect("an id"));
    Sample { probe, ..reference::sample(check, of_region, scheduled_at) }
}

async fn through_the_store(batches: Vec<Vec<Sample>>, senders: usize) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nines.db");
    let store = Store::open(&path).expect("a database");
    let (samples, commits) = (batches.iter().map(Vec::len).sum(), batches.len());
    let mut shares: Vec<Vec<Vec<Sample>>> = vec![Vec::new(); senders];
    for (index, batch) in batches.into_iter().enumerate() {
        shares[index % senders].push(batch);
    }
    let began = Instant::now();
    let sending = shares.into_iter().map(|share| {
        let store = store.clone();
        tokio::spawn(async move {
            for batch in share {
                let received_at = batch.last().map_or(Timestamp::MIN, |sample| sample.started_at.plus_ms(250));
                store.write(move |tx| samples::insert(tx, &batch, received_at)).await.expect("stored");
            }
        })
    });
    for sender in sending.collect::<Vec<_>>() {
        sender.await.expect("a sender");
    }
    let took = began.elapsed();
    drop(store);
    Run { samples, commits, took, bytes: size(&path) }
}

/// The same rows into the same table by a bare loop: no queue, no dictionary, no identity rule.
fn alone(batches: &[Vec<Sample>]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("alone.db");
    let mut connection = reference::open(&path);
    let began = Instant::now();
    for batch in batches {
        reference::insert(&mut connection, batch);
    }
    let took = began.elapsed();
    drop(connection);
    Run { samples: batches.iter().map(Vec::len).sum(), commits: batches.len(), took, bytes: size(&path) }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}
