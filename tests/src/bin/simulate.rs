//! Lives a simulated world again, by its seed, and tells its story: what struck whom, who was told, and which invariant
//! broke first, if one did.

#![expect(clippy::print_stdout, reason = "telling is what it is for")]

use std::process::ExitCode;

use clap::Parser;
use nines_tests::sim;
use tokio::time::Instant;

/// Lives simulated worlds and checks every invariant at the end of each.
#[derive(Debug, Parser)]
struct Arguments {
    /// The world; the same seed and days give the same story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many days faults strike; some hours of calm follow.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// How many worlds to live, from this seed on. Of several only those that break are told.
    #[arg(long, default_value_t = 1)]
    worlds: u64,
    /// Tells every sample and every batch too.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let Arguments { seed, days, worlds, trace } = Arguments::parse();
    let mut failed = false;
    for seed in seed..seed.saturating_add(worlds) {
        let begun = Instant::now();
        let run = sim::run(seed, days, trace);
        if worlds == 1 || run.broken.is_some() {
            println!("{}", run.story);
        }
        println!("seed {seed}, {days} days in {:.1} s: {}", begun.elapsed().as_secs_f64(), run.told());
        if let Some(broken) = &run.broken {
            failed = true;
            println!("{broken}\n\nagain: {}", sim::command(seed, days));
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
