//! Truth: what is measured against a target whose outages are known, with real processes in five regions.
//!
//! Five regions with quorum three (n = 2k − 1) look every two seconds, staggered: an effective step of 400 ms.
//! An outage's measured length must lie within one step of the truth, each edge within quorum × step (plus a
//! timeout where failing means hanging), the truth within the bounds with the same allowance, and the pages must
//! be exactly those of the outages that several regions saw.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::time::Duration;

use nines_shared::time::Timestamp;
use nines_tests::fleet::{Fleet, REGIONS, rfc3339};
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::{let_pass, until};
use serde_json::Value;

const INTERVAL_MS: i64 = 2_000;
const TIMEOUT_MS: i64 = 700;
const STEP_MS: i64 = INTERVAL_MS / 5;
const QUORUM: i64 = 3;
/// What a busy machine with two cores may add to the start of a sample, and a request to its end.
const LATENESS_MS: i64 = 150;
const OUTAGES_S: [u64; 4] = [3, 4, 7, 5];

/// A way to fail, and what must come of it.
struct Scenario {
    id: &'static str,
    fail: fn(&Target) -> Timestamp,
    mend: fn(&Target) -> Timestamp,
    seen: Seen,
    /// How much later than its start a sample of this kind says that it failed.
    hangs_ms: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    AsOutages,
    AsDegraded,
    NotAtAll,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        id: "status",
        fail: |t| t.all(Mood::Status(503)),
        mend: |t| t.all(Mood::Well),
        seen: Seen::AsOutages,
        hangs_ms: 0,
    },
    Scenario { id: "refused", fail: Target::refuse, mend: Target::listen, seen: Seen::AsOutages, hangs_ms: 0 },
    Scenario {
        id: "mute",
        fail: |t| t.all(Mood::Mute),
        mend: |t| t.all(Mood::Well),
        seen: Seen::AsOutages,
        hangs_ms: TIMEOUT_MS,
    },
    Scenario {
        id: "slow",
        fail: |t| t.all(Mood::Slow(400)),
        mend: |t| t.all(Mood::Well),
        seen: Seen::AsDegraded,
        hangs_ms: 400,
    },
    Scenario {
        id: "one-region",
        fail: |t| t.for_source(REGIONS[2].1, Mood::Status(500)),
        mend: |t| t.all(Mood::Well),
        seen: Seen::NotAtAll,
        hangs_ms: 0,
    },
];

#[test]
fn measured_outages_are_the_true_ones_within_a_step_and_pages_are_exactly_those() {
    let sink = Sink::start();
    let targets: Vec<Target> = SCENARIOS.iter().map(|_| Target::start()).collect();
    let fleet = Fleet::start(5, &checks(&targets), &sink);
    fleet.until_all_look(SCENARIOS.len());
    let_pass(Duration::from_secs(3));
    let from = targets[0].all(Mood::Well);

    let mut truth: Vec<Vec<(Timestamp, Timestamp)>> = SCENARIOS.iter().map(|_| Vec::new()).collect();
    for length in OUTAGES_S {
        let begun: Vec<Timestamp> =
            SCENARIOS.iter().zip(&targets).map(|(scenario, target)| (scenario.fail)(target)).collect();
        let_pass(Duration::from_secs(length));
        for (index, (scenario, target)) in SCENARIOS.iter().zip(&targets).enumerate() {
            truth[index].push((begun[index], (scenario.mend)(target)));
        }
        let_pass(Duration::from_secs(5));
    }
    let to = targets[0].all(Mood::Well);
    until("the last samples have arrived", || {
        let last = fleet.export().iter().map(|sample| sample["started_at"].as_i64().unwrap()).max()?;
        (to.as_ms() + 2 * INTERVAL_MS < last).then_some(())
    });

    let report = report(&fleet, from, to);
    for (scenario, truth) in SCENARIOS.iter().zip(&truth) {
        let service =
            report["services"].as_array().unwrap().iter().find(|service| service["service"] == scenario.id).unwrap();
        match scenario.seen {
            Seen::AsOutages => outages_are_true(scenario, service, truth),
            Seen::AsDegraded => degraded_is_true(scenario, service, truth),
            Seen::NotAtAll => assert_eq!(service["accounts"]["down_ms"], 0, "{}: {service:#}", scenario.id),
        }
    }
    for scenario in &SCENARIOS {
        let wanted = if scenario.seen == Seen::AsOutages { OUTAGES_S.len() } else { 0 };
        let pages = || sink.of("outage", "opened").iter().filter(|alert| alert.text("service") == scenario.id).count();
        until(&format!("{wanted} pages of {} have come", scenario.id), || (wanted <= pages()).then_some(()));
        assert_eq!(pages(), wanted, "{}: none missed, none false", scenario.id);
    }
}

fn outages_are_true(scenario: &Scenario, service: &Value, truth: &[(Timestamp, Timestamp)]) {
    let outages = service["outages"].as_array().unwrap();
    assert_eq!(outages.len(), truth.len(), "{}: {service:#}", scenario.id);
    for (outage, (began, ended)) in outages.iter().zip(truth) {
        let ms = |key: &str| outage[key].as_i64().unwrap();
        let said = format!("{}: {outage} of truth {began}..{ended}", scenario.id);
        let (from, to, length) = (ms("from"), ms("to"), ended.since(*began));
        let edge = QUORUM * STEP_MS + LATENESS_MS + scenario.hangs_ms;
        assert!((-LATENESS_MS - scenario.hangs_ms..=edge).contains(&(from - began.as_ms())), "start: {said}");
        assert!((-LATENESS_MS - scenario.hangs_ms..=edge).contains(&(to - ended.as_ms())), "end: {said}");
        let slack = STEP_MS + LATENESS_MS + scenario.hangs_ms;
        assert!((to - from - length).abs() <= slack, "length {} of {length}: {said}", to - from);
        assert!(ms("at_least_ms") <= to - from && to - from <= ms("at_most_ms"), "bounds: {said}");
        assert!(ms("at_least_ms") - slack <= length && length <= ms("at_most_ms") + slack, "truth in bounds: {said}");
    }
}

fn degraded_is_true(scenario: &Scenario, service: &Value, truth: &[(Timestamp, Timestamp)]) {
    let accounts = &service["accounts"];
    assert_eq!(accounts["down_ms"], 0, "{}: {service:#}", scenario.id);
    let (measured, length): (i64, i64) =
        (accounts["degraded_ms"].as_i64().unwrap(), truth.iter().map(|(from, to)| to.since(*from)).sum());
    let slack = i64::try_from(truth.len()).unwrap() * (STEP_MS + LATENESS_MS + scenario.hangs_ms);
    assert!((measured - length).abs() <= slack, "{}: {measured} ms of {length} ms", scenario.id);
}

fn report(fleet: &Fleet, from: Timestamp, to: Timestamp) -> Value {
    let (from, to) = (rfc3339(from), rfc3339(to));
    serde_json::from_str(&fleet.run(&["report", "--config", "nines.toml", "--from", &from, "--to", &to])).unwrap()
}

fn checks(targets: &[Target]) -> String {
    let regions: Vec<String> = REGIONS.iter().map(|(region, _)| format!("\"{region}\"")).collect();
    let regions = regions.join(", ");
    let mut toml = String::new();
    for (scenario, target) in SCENARIOS.iter().zip(targets) {
        let id = scenario.id;
        toml.push_str(&format!(
            "\n[[service]]\nid = \"{id}\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"{id}\"\nservice = \"{id}\"\ninterval = \"{INTERVAL_MS}ms\"\n\
             timeout = \"{TIMEOUT_MS}ms\"\ndegraded_after = \"200ms\"\nregions = [{regions}]\nquorum = {QUORUM}\n\
             http = {{ url = \"{}\" }}\n",
            target.url()
        ));
    }
    toml
}
