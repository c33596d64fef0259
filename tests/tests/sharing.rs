//! Two probes share a region: each check is one's, moves without a missed slot, and is taken over from one that dies or
//! falls silent.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use nines_shared::time::Timestamp;
use nines_tests::binaries;
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::process::Process;
use nines_tests::seen::now;
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::until;
use rustix::process::Signal;
use serde_json::Value;

const CHECKS: usize = 12;
const INTERVAL_MS: i64 = 2_000;

fn load(target: &Target) -> String {
    let mut toml = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n".to_owned();
    for n in 0..CHECKS {
        write!(
            toml,
            "\n[[check]]\nid = \"shop-{n}\"\nservice = \"shop\"\ninterval = \"{INTERVAL_MS}ms\"\ntimeout = \"1900ms\"\n\
             quorum = 1\nregions = [\"{}\"]\nhttp = {{ url = \"{}\" }}\n",
            REGIONS[0].0,
            target.url()
        )
        .unwrap();
    }
    toml
}

/// Joins a probe called `second` in the first region, the way people do.
fn join_second(fleet: &Fleet) {
    let line = fleet.run(&["probe", "invite", "--region", REGIONS[0].0, "--name", "second"]);
    let words: Vec<&str> = line.split_whitespace().collect();
    let token = words[words.iter().position(|word| *word == "join").unwrap() + 2];
    let url = format!("https://{}", fleet.door);
    let mut join = Command::new(binaries::nines_probe());
    join.current_dir(fleet.path("")).args(["join", &url, token, "--config", "second.toml", "--state", "second"]);
    let joined = join.output().unwrap();
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    let toml = format!(
        "aggregator = \"{url}\"\nstate = \"second\"\nsource_address = \"127.0.0.31\"\ntargets = {{ allow = [\"127.0.0.0/8\"] }}\n"
    );
    std::fs::write(fleet.path("second.toml"), toml).unwrap();
}

fn start_second(fleet: &Fleet) -> Process {
    let mut run = Command::new(binaries::nines_probe());
    run.current_dir(fleet.path("")).env_remove("RUST_LOG");
    run.args(["--log-format", "json", "run", "--config", "second.toml"]);
    Process::start("nines-probe second", &mut run)
}

/// How many checks each probe says that it looks at.
fn shares(fleet: &Fleet) -> BTreeMap<String, u64> {
    let all: Value = serde_json::from_str(&fleet.run(&["probe", "list", "--json"])).unwrap();
    let share = |probe: &Value| Some((probe["probe"].as_str()?.to_owned(), probe["health"]["checks"].as_u64()?));
    all["probes"].as_array().unwrap().iter().filter_map(share).collect()
}

/// Each check's planned slots after `from`, with who looked.
fn slots(fleet: &Fleet, from: Timestamp) -> BTreeMap<String, Vec<(i64, String)>> {
    let mut all: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for sample in fleet.export().iter().filter(|sample| sample["kind"] == "planned") {
        let text = |key: &str| sample[key].as_str().unwrap().to_owned();
        let slot = sample["scheduled_at"].as_i64().unwrap();
        if from.as_ms() < slot {
            all.entry(text("check")).or_default().push((slot, text("probe")));
        }
    }
    all.values_mut().for_each(|slots| slots.sort());
    all
}

/// Until every check has been looked at `times` times after `from`.
fn until_looked_at(fleet: &Fleet, from: Timestamp, times: usize) -> BTreeMap<String, Vec<(i64, String)>> {
    until("every check is looked at again and again", || {
        let slots = slots(fleet, from);
        (slots.len() == CHECKS && slots.values().all(|slots| times <= slots.len())).then_some(slots)
    })
}

/// The first probe of a region and a second one, each with its share.
fn shared(target: &Target, sink: &Sink) -> (Fleet, Process) {
    let fleet = Fleet::start(1, &load(target), sink);
    fleet.until_all_look(CHECKS);
    join_second(&fleet);
    let second = start_second(&fleet);
    until("both have a share, and no check is of both", || {
        let shares = shares(&fleet);
        let whole = shares.values().sum::<u64>() == CHECKS as u64;
        (shares.len() == 2 && whole && shares.values().all(|share| 0 < *share)).then_some(())
    });
    (fleet, second)
}

/// Waits until the first one has everything, and what it has is looked at. Says how many slots in a row the region
/// missed at most, of any check, after `from`.
fn missed_until_the_first_has_all(fleet: &Fleet, from: Timestamp) -> i64 {
    until("the first one has taken over", || (shares(fleet)["probe-0"] == CHECKS as u64).then_some(()));
    for (check, slots) in until_looked_at(fleet, now(), 3) {
        assert!(slots.iter().all(|(_, probe)| probe == "probe-0"), "{check}: {slots:?}");
    }
    let missed =
        |slots: &Vec<(i64, String)>| slots.windows(2).map(|pair| (pair[1].0 - pair[0].0) / INTERVAL_MS - 1).max();
    slots(fleet, from).values().filter_map(missed).max().unwrap()
}

#[test]
fn a_second_probe_takes_a_share_without_a_missed_slot_and_its_death_is_made_up_for_within_three_intervals() {
    let (target, sink) = (Target::start(), Sink::start());
    let begun = now();
    let (mut fleet, second) = shared(&target, &sink);
    let (settled, asked) = (now(), target.asked());
    let after = until_looked_at(&fleet, settled, 4);
    for (check, slots) in &after {
        let lookers: BTreeSet<&String> = slots.iter().skip(1).map(|(_, probe)| probe).collect();
        assert_eq!(lookers.len(), 1, "{check} is one's: {slots:?}");
    }
    let stored: usize = slots(&fleet, settled).values().map(Vec::len).sum();
    let asked = usize::try_from(target.asked() - asked).unwrap();
    assert!(asked <= stored + 3 * CHECKS, "two probes ask no oftener than one: {asked} times for {stored} slots");
    for (check, slots) in slots(&fleet, begun) {
        for pair in slots.windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, INTERVAL_MS, "{check}: a slot was missed in the handover: {slots:?}");
        }
    }

    second.kill();
    let missed = missed_until_the_first_has_all(&fleet, settled);
    assert!((1..=3).contains(&missed), "{missed} slots in a row");
    assert!(fleet.take_probe(0).terminate().0.success());
}

#[test]
fn a_probe_that_falls_silent_with_its_connections_open_is_made_up_for_and_spoils_no_slot_when_it_goes_on() {
    let (target, sink) = (Target::start(), Sink::start());
    let (fleet, second) = shared(&target, &sink);
    let settled = now();
    until_looked_at(&fleet, settled, 3);
    second.signal(Signal::STOP);
    let missed = missed_until_the_first_has_all(&fleet, settled);
    // Three, and one for a machine that is busy with other tests.
    assert!((1..=4).contains(&missed), "{missed} slots in a row");
    let seen = slots(&fleet, settled);

    second.signal(Signal::CONT);
    until("the second one is told to let go", || (shares(&fleet)["second"] == 0).then_some(()));
    let back = now();
    until_looked_at(&fleet, back, 2);
    let after = slots(&fleet, settled);
    for (check, seen) in &seen {
        let lost: Vec<_> = seen.iter().filter(|slot| !after[check].contains(slot)).collect();
        assert!(lost.is_empty(), "{check}: what the first one saw was taken for what the second one missed: {lost:?}");
    }
    fleet.books(settled, back);
}
