//! Simulated worlds: months of faults without waiting for them, and every invariant checked at the end of each.
//!
//! `NINES_SIM_SEEDS=1000` lives as many more worlds, `NINES_SIM_DAYS` for how long; what breaks is told with the
//! command that tells its story.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use nines_tests::dice::from_environment;
use nines_tests::sim::{self, Run};

/// Worlds that are always lived.
const SEEDS: u64 = 8;
/// For how many days; a month ends after the first.
const DAYS: u64 = 2;

#[test]
fn inv_1_to_8_hold_in_every_simulated_world_whatever_strikes() {
    let (seeds, days) = (from_environment("NINES_SIM_SEEDS", SEEDS), from_environment("NINES_SIM_DAYS", DAYS));
    let days = u32::try_from(days).unwrap();
    let (next, broken) = (AtomicU64::new(1), Mutex::new(Vec::new()));
    let lived = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seeds < seed {
                        return;
                    }
                    let run = sim::run(seed, days, false);
                    if let Some(why) = &run.broken {
                        broken.lock().unwrap().push(format!("{why}\n{}", sim::command(seed, days)));
                    }
                    lived.lock().unwrap().push(run);
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{} of {seeds} worlds broke:\n{}", broken.len(), broken.join("\n\n"));
    much_happened(&lived.into_inner().unwrap());
}

/// A world in which nothing happens proves nothing.
fn much_happened(runs: &[Run]) {
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    let worlds = runs.len() as u64;
    for (what, happened, least) in [
        ("samples", sum(|run| run.samples as u64), 500 * worlds),
        ("outages", sum(|run| run.outages as u64), 3 * worlds),
        ("incidents", sum(|run| run.incidents as u64), 5 * worlds),
        ("letters", sum(|run| run.letters as u64), 20 * worlds),
        ("kills", sum(|run| run.sums.kills), worlds),
        ("commits undone", sum(|run| run.sums.undone), worlds / 4),
        ("batches again", sum(|run| run.sums.again), worlds),
        ("assignments", sum(|run| run.sums.given), 8 * worlds),
        ("reports", sum(|run| run.reports as u64), worlds / 4),
    ] {
        assert!(least <= happened, "{happened} {what} in {worlds} worlds");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let told = || sim::run(4, 1, true).story;
    let (one, other) = (told(), told());
    assert!(200 < one.lines().count(), "a story has something to tell");
    assert_eq!(one, other);
}
