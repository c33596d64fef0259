//! What a probe costs in the field: `cargo bench -p nines-tests --bench probe`.
//!
//! Real processes in release: an aggregator, one probe, a target on loopback. Checks of 60 s intervals, so N
//! checks are N samples a minute. Prints Markdown for `docs/PERFORMANCE.md`; judges nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Duration;

use nines_tests::binaries;
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::process::Usage;
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::{let_pass, until};
use tokio::time::Instant;

/// How long each size is watched: every check once, and a little more.
const WATCH: Duration = Duration::from_secs(75);
const SIZES: [usize; 3] = [1, 1_000, 10_000];

fn main() {
    println!("| checks (60 s) | memory, RSS | peak | CPU a check, user + sys | lateness p50 | p99 | max | samples |");
    println!("|---|---|---|---|---|---|---|---|");
    for size in SIZES {
        println!("{}", row(size));
    }
    println!("\nstart of the process to the first sample in its spool: {} ms (median of 5)", first_sample_ms());
    for (name, path) in [("nines-probe", binaries::nines_probe()), ("nines", binaries::nines())] {
        let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        println!("size of {name}, profile release: {:.1} MB", bytes as f64 / 1e6);
    }
}

fn row(size: usize) -> String {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::without_probes(1, &checks(size, &target, "60s"), &sink);
    fleet.start_probe_logging(0, "warn");
    let_pass(Duration::from_secs(2));
    let before = fleet.probe(0).usage();
    let_pass(WATCH);
    let after = fleet.probe(0).usage();
    let mut late: Vec<i64> =
        fleet.export().iter().filter(|sample| sample["kind"] == "planned").map(lateness_ms).collect();
    late.sort_unstable();
    let rank = |percent: usize| late.get(percent * late.len() / 100).copied().unwrap_or(0);
    let Usage { cpu_ms, memory_kib, memory_peak_kib } = after;
    format!(
        "| {size} | {:.1} MiB | {:.1} MiB | {} µs | {} ms | {} ms | {} ms | {} |",
        memory_kib as f64 / 1024.0,
        memory_peak_kib as f64 / 1024.0,
        (cpu_ms - before.cpu_ms) * 1_000 / late.len().max(1) as u64,
        rank(50),
        rank(99),
        late.last().copied().unwrap_or(0),
        late.len()
    )
}

fn lateness_ms(sample: &serde_json::Value) -> i64 {
    sample["started_at"].as_i64().unwrap_or(0) - sample["scheduled_at"].as_i64().unwrap_or(0)
}

/// From the start of a probe that has its assignment cached to its first committed sample; the check is due each
/// second, so up to one second of it is waiting for the slot: the smallest of five starts is nearest to the probe's own
/// part.
fn first_sample_ms() -> u128 {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &checks(100, &target, "1s"), &sink);
    until("the first sample", || (0 < fleet.stored()).then_some(()));
    let mut times: Vec<u128> = (0..5)
        .map(|_| {
            fleet.take_probe(0).terminate();
            let begun = Instant::now();
            fleet.start_probe(0);
            fleet.probe(0).logged("its first sample", |line| line.contains("sample.taken").then_some(()));
            begun.elapsed().as_millis()
        })
        .collect();
    times.sort_unstable();
    times[2]
}

fn checks(count: usize, target: &Target, interval: &str) -> String {
    let mut toml = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n".to_owned();
    for check in 0..count {
        toml.push_str(&format!(
            "\n[[check]]\nid = \"check-{check}\"\nservice = \"shop\"\ninterval = \"{interval}\"\ntimeout = \"900ms\"\nregions = [\"{}\"]\nhttp = {{ url = \"{}\" }}\n",
            REGIONS[0].0,
            target.url()
        ));
    }
    toml
}
