//! The simulation: Nines under a virtual clock, with random faults and a truth that is known.
//!
//! Real are the probe's schedule and its doubt of its clock; of the aggregator ingest, acceptance, store, evaluator,
//! incidents, who shares which region's checks, the plan of letters and the life of reports. Modelled are what they
//! stand on: prober, spool, lines, channels, hosts. One seed decides everything: the fleet, the truth, the faults,
//! every delay. After each run every
//! [law](laws) is checked; what broke one is told with the seed, and the same seed breaks it again.
//!
//! What it does not see: sockets, TLS, bytes of the wire, disks, threads. For those there are tests with real
//! processes.

pub mod aggregator;
pub mod laws;
pub mod ledger;
mod log_cut;
pub mod plan;
pub mod probe;
pub mod story;
pub mod truth;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger::Sums;
use plan::Plan;
use world::World;

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// What happened, in columns.
    pub story: String,
    /// The first law that broke, and how.
    pub broken: Option<String>,
    /// How much happened.
    pub sums: Sums,
    /// How many samples were committed.
    pub samples: usize,
    /// How many outages there truly were.
    pub outages: usize,
    /// How many incidents of all kinds are on record.
    pub incidents: usize,
    /// How many letters were delivered, some more than once.
    pub letters: usize,
    /// How many revisions of reports were frozen.
    pub reports: usize,
}

impl Run {
    /// The figures in a line.
    pub fn told(&self) -> String {
        let Sums { batches, ticks, kills, undone, again, given } = self.sums;
        format!(
            "{} samples in {batches} batches ({again} again), {} outages, {ticks} looks, {kills} kills ({undone} undid a \
             commit), {} incidents, {} letters, {} reports, other work {given} times: {}",
            self.samples,
            self.outages,
            self.incidents,
            self.letters,
            self.reports,
            if self.broken.is_none() { "every invariant holds" } else { "an invariant is broken" }
        )
    }
}

/// Lives the world of `seed`, with faults for `days`; tells every batch too, where `trace`.
pub fn run(seed: u64, days: u32, trace: bool) -> Run {
    let mut world = World::new(Plan::drawn(seed, days), trace);
    // A panic is told like a law that broke: with the story that leads there.
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let broken = lived.unwrap_or_else(|_why| Err("it panicked; standard error says where".to_owned())).err();
    let incidents = laws::incidents(&world);
    Run {
        story: world.story.text().to_owned(),
        broken,
        sums: world.ledger.sums,
        samples: world.ledger.committed.len(),
        outages: world.plan.truth.down().len(),
        incidents,
        letters: world.ledger.delivered.len(),
        reports: world.ledger.kept.len(),
    }
}

/// The command that lives the world of `seed` again.
pub fn command(seed: u64, days: u32) -> String {
    format!("cargo run -p nines-tests --bin simulate -- --seed {seed} --days {days}")
}
