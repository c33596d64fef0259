//! How soon an outage is a page: `cargo bench -p nines-tests --bench detection`.
//!
//! Real processes: an aggregator, five probes, scripted targets on loopback, a scripted webhook. Every service has
//! outages of a few seconds at times of its own. Once all probes are honest, and once one of them says the opposite of
//! what is so, one looks through a slow path and one is stopped. Prints Markdown for `docs/PERFORMANCE.md`; judges
//! nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::time::Duration;

use nines_shared::time::Timestamp;
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::sink::{Alert, Sink};
use nines_tests::target::{Mood, Target};
use nines_tests::wait::let_pass;
use rustix::process::Signal;

const SERVICES: usize = 20;
const ROUNDS: usize = 11;
const INTERVAL_MS: i64 = 5_000;
/// How much longer the slow path takes.
const SLOW_MS: u64 = 300;
/// A page may bear a start a little before the truth that the script noted, and none after the end was seen.
const SLACK_MS: i64 = 1_000;

/// What is wrong with the probes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probes {
    Honest,
    Faulty,
}

/// The source addresses of the probe that lies and of the slow one, and the number of the one that is stopped.
const LIAR: &str = REGIONS[3].1;
const SLOW: &str = REGIONS[2].1;
const STOPPED: usize = 4;

/// What a run came to.
struct Figures {
    outages: usize,
    missed: usize,
    mistaken: usize,
    /// From the first failing sample committed to the channel's acceptance, in ms, ascending.
    from_sample: Vec<i64>,
    /// From the truth to the channel's acceptance, in ms, ascending.
    from_truth: Vec<i64>,
    asks: String,
}

fn main() {
    println!(
        "| probes | outages | missed | false | first failing sample → accepted, p50 | p99 | truth → accepted, p50 | p99 | of the interval, p50 | p99 |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (what, probes) in
        [("five honest ones", Probes::Honest), ("one lies, one is slow, one is stopped", Probes::Faulty)]
    {
        let figures = run(probes);
        let at = |values: &[i64], percent| rank(values, percent);
        let part = |ms: i64| ms as f64 / INTERVAL_MS as f64;
        println!(
            "| {what} | {} | {} | {} | {} ms | {} ms | {} ms | {} ms | {:.2} | {:.2} |",
            figures.outages,
            figures.missed,
            figures.mistaken,
            at(&figures.from_sample, 50),
            at(&figures.from_sample, 99),
            at(&figures.from_truth, 50),
            at(&figures.from_truth, 99),
            part(at(&figures.from_truth, 50)),
            part(at(&figures.from_truth, 99)),
        );
        println!("<!-- {} -->", figures.asks);
    }
}

fn rank(ascending: &[i64], percent: usize) -> i64 {
    ascending.get((percent * ascending.len() / 100).min(ascending.len().saturating_sub(1))).copied().unwrap_or(0)
}

fn run(probes: Probes) -> Figures {
    let sink = Sink::start();
    let targets: Vec<Target> = (0..SERVICES).map(|_| Target::start()).collect();
    for target in &targets {
        well(target, probes);
    }
    let mut fleet = Fleet::without_probes(5, &checks(&targets), &sink);
    (0..5).for_each(|index| fleet.start_probe_logging(index, "warn"));
    fleet.until_all_look(SERVICES);
    if probes == Probes::Faulty {
        fleet.probe(STOPPED).signal(Signal::STOP);
    }
    let_pass(Duration::from_secs(15));
    let truth = scripted(&targets, probes);
    let_pass(Duration::from_secs(15));
    figures(&fleet, &sink, &truth)
}

/// All is well, as far as each region can see. Returns since when.
fn well(target: &Target, probes: Probes) -> Timestamp {
    let at = target.all(Mood::Well);
    if probes == Probes::Faulty {
        target.for_source(LIAR, Mood::Status(500));
        target.for_source(SLOW, Mood::Slow(SLOW_MS));
    }
    at
}

/// Nothing is. Returns since when.
fn broken(target: &Target, probes: Probes) -> Timestamp {
    let at = target.all(Mood::Status(503));
    if probes == Probes::Faulty {
        target.for_source(LIAR, Mood::Well);
        target.for_source(SLOW, Mood::SlowStatus(SLOW_MS, 503));
    }
    at
}

/// Lets every target fail and recover at times of its own. Returns the outages of each.
fn scripted(targets: &[Target], probes: Probes) -> Vec<Vec<(Timestamp, Timestamp)>> {
    std::thread::scope(|scope| {
        let scripts = targets.iter().enumerate().map(|(index, target)| {
            scope.spawn(move || {
                let mut dice = index as u64 + 1;
                let mut below = |n: u64| {
                    // Knuth's MMIX constants: the same script for the same service.
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (dice >> 33) % n
                };
                let mut outages = Vec::new();
                for _round in 0..ROUNDS {
                    let_pass(Duration::from_millis(12_000 + below(4_000)));
                    let began = broken(target, probes);
                    let_pass(Duration::from_millis(5_000 + below(2_000)));
                    outages.push((began, well(target, probes)));
                }
                outages
            })
        });
        let scripts: Vec<_> = scripts.collect();
        scripts.into_iter().map(|script| script.join().expect("a script does not panic")).collect()
    })
}

fn figures(fleet: &Fleet, sink: &Sink, truth: &[Vec<(Timestamp, Timestamp)>]) -> Figures {
    let asked = asked(fleet);
    let metrics = fleet.get("/metrics").map(|answer| answer.body).unwrap_or_default();
    let asks: Vec<&str> = metrics.lines().filter(|line| line.starts_with("asks_")).collect();
    let (mut from_sample, mut from_truth, mut missed, mut mistaken) = (Vec::new(), Vec::new(), 0, 0);
    for (index, outages) in truth.iter().enumerate() {
        let service = format!("service-{index}");
        let mut pages: Vec<Alert> =
            sink.of("outage", "opened").into_iter().filter(|alert| alert.text("service") == service).collect();
        for (began, ended) in outages {
            let span = began.as_ms() - SLACK_MS..ended.as_ms() + SLACK_MS;
            let Some(place) = pages.iter().position(|page| span.contains(&page.ms("started_at"))) else {
                missed += 1;
                continue;
            };
            let accepted = pages.remove(place).at;
            from_truth.push(accepted.since(*began));
            let first = asked[&service].iter().find(|at| began <= *at && **at <= accepted);
            // Where no region had to be asked, the slots have made the verdict alone.
            from_sample.extend(first.map(|first| accepted.since(*first)));
        }
        mistaken += pages.len();
    }
    from_sample.sort_unstable();
    from_truth.sort_unstable();
    let outages = truth.iter().map(Vec::len).sum();
    Figures { outages, missed, mistaken, from_sample, from_truth, asks: asks.join(", ") }
}

/// When the regions of each check were asked to confirm: the instant at which the sample that changed was committed.
fn asked(fleet: &Fleet) -> BTreeMap<String, Vec<Timestamp>> {
    let mut asked: BTreeMap<String, Vec<Timestamp>> =
        (0..SERVICES).map(|index| (format!("service-{index}"), Vec::new())).collect();
    for sample in fleet.export().iter().filter(|sample| sample["kind"] == "extra") {
        if let (Some(check), Some(at)) = (sample["check"].as_str(), sample["scheduled_at"].as_i64()) {
            asked.entry(check.to_owned()).or_default().push(Timestamp::from_ms(at));
        }
    }
    asked.values_mut().for_each(|instants| instants.sort_unstable());
    asked
}

fn checks(targets: &[Target]) -> String {
    let regions: Vec<String> = REGIONS.iter().map(|(region, _)| format!("\"{region}\"")).collect();
    let regions = regions.join(", ");
    let check = |(index, target): (usize, &Target)| {
        format!(
            "\n[[service]]\nid = \"service-{index}\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"service-{index}\"\n\
             service = \"service-{index}\"\ninterval = \"{INTERVAL_MS}ms\"\ntimeout = \"2s\"\nregions = [{regions}]\nhttp = {{ url = \"{}\" }}\n",
            target.url()
        )
    };
    targets.iter().enumerate().map(check).collect()
}
