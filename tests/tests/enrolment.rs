//! How a probe becomes one, stays one, and ceases to be one: real processes, certificates that live for seconds.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::path::Path;
use std::process::Command;

use nines_shared::time::Clock;
use nines_tests::binaries;
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::process::Process;
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::until;
use serde_json::Value;

fn checks(target: &Target, regions: usize) -> String {
    let regions: Vec<String> = REGIONS[..regions].iter().map(|(id, _)| format!("\"{id}\"")).collect();
    format!(
        "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"shop-home\"\nservice = \"shop\"\n\
         interval = \"1s\"\ntimeout = \"900ms\"\nquorum = 1\nregions = [{}]\nhttp = {{ url = \"{}\" }}\n",
        regions.join(", "),
        target.url()
    )
}

fn identity(fleet: &Fleet, probe: usize) -> String {
    std::fs::read_to_string(fleet.probe_state(probe).join("identity.pem")).unwrap()
}

/// The key's block of an identity.
fn key(identity: &str) -> &str {
    identity.split_inclusive("-----END PRIVATE KEY-----").next().unwrap()
}

/// What `nines probe list --json` says of the probe number `index`.
fn listed(fleet: &Fleet, index: usize) -> Value {
    let all: Value = serde_json::from_str(&fleet.run(&["probe", "list", "--json"])).unwrap();
    let name = format!("probe-{index}");
    all["probes"].as_array().unwrap().iter().find(|probe| probe["probe"] == name.as_str()).unwrap().clone()
}

fn until_more_is_stored(fleet: &Fleet, why: &str) {
    let stored = fleet.stored();
    until(why, || (stored < fleet.stored()).then_some(()));
}

fn logged(line: &str, message: &str, part: &str) -> Option<()> {
    let json: Value = serde_json::from_str(line).ok()?;
    (json["message"].as_str()?.starts_with(message) && line.contains(part)).then_some(())
}

#[test]
fn a_probe_renews_its_certificate_by_itself_with_another_key_and_delivers_all_the_while() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::set(1, &checks(&target, 1), &sink, "probe_certificates = \"30s\"");
    let first = identity(&fleet, 0);
    let until_first = listed(&fleet, 0)["certificate_until"].as_i64().unwrap();
    fleet.start_probe(0);
    until_more_is_stored(&fleet, "the probe delivers");
    until("the probe has another certificate, and it counts", || {
        (until_first < listed(&fleet, 0)["certificate_until"].as_i64()?).then_some(())
    });
    let second = identity(&fleet, 0);
    assert_ne!(key(&first), key(&second), "each certificate has a key of its own");
    until_more_is_stored(&fleet, "the probe delivers with the next certificate");
    let log = fleet.probe(0).log();
    let refused: Vec<&String> = log.iter().filter(|line| line.contains("not_delivered")).collect();
    assert!(refused.is_empty(), "there is no gap: {refused:?}");
    fleet.take_aggregator().terminate();
    let database = std::fs::read(fleet.path("nines.db")).unwrap();
    for identity in [&first, &second] {
        let line = key(identity).lines().nth(1).unwrap().as_bytes();
        assert!(!database.windows(line.len()).any(|bytes| bytes == line), "a key never leaves its probe");
    }
}

#[test]
fn one_authority_follows_another_and_nobody_is_shut_out_unasked() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::set(2, &checks(&target, 2), &sink, "probe_certificates = \"5m\"");
    fleet.start_probe(0);
    until_more_is_stored(&fleet, "the first probe delivers");
    fleet.run(&["ca", "rotate"]);
    until("the first probe knows the second authority", || {
        (listed(&fleet, 0)["knows_newest_authority"] == true).then_some(())
    });
    let refused = fleet.nines(&["ca", "retire", "1"]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(64), "{told}");
    assert!(told.contains("probe-1") && !told.contains("probe-0"), "{told}");
    let list = fleet.run(&["ca", "list"]);
    assert!(list.contains("presented") && list.contains("signs") && list.contains("probe-1"), "{list}");

    // It was away when they changed, and is let in by the one that it knows.
    fleet.start_probe(1);
    until("the first authority is not needed any more", || {
        fleet.nines(&["ca", "retire", "1"]).output().unwrap().status.success().then_some(())
    });
    until_more_is_stored(&fleet, "the probes deliver by the second authority");
    // Neither an aggregator nor a probe that starts anew misses the first.
    fleet.take_aggregator().terminate();
    fleet.start_aggregator();
    until_more_is_stored(&fleet, "the probes come back");
    for probe in 0..2 {
        until("both forget the first authority", || {
            (identity(&fleet, probe).matches("BEGIN CERTIFICATE").count() == 2).then_some(())
        });
    }
    let known = identity(&fleet, 0);
    fleet.take_probe(0).terminate();
    fleet.start_probe(0);
    until_more_is_stored(&fleet, "a probe starts with the second authority alone");
    assert!(known.contains("BEGIN PRIVATE KEY"));
}

#[test]
fn a_revoked_probe_is_refused_at_once_keeps_what_it_saw_and_joins_anew_while_it_runs() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &checks(&target, 1), &sink);
    until_more_is_stored(&fleet, "the probe delivers");
    fleet.run(&["probe", "revoke", "probe-0"]);
    let stored = fleet.stored();
    fleet.probe(0).logged("that it was revoked", |line| logged(line, "uplink.not_delivered", "revoked"));
    assert_eq!(fleet.stored(), stored, "nothing is taken from it");
    assert_eq!(listed(&fleet, 0)["state"], "revoked");
    fleet.join(0);
    fleet.probe(0).logged("that it is let in again", |line| logged(line, "uplink.delivers_again", ""));
    until("what it saw meanwhile is delivered", || {
        let exported = fleet.export();
        let mut due: Vec<i64> = exported.iter().map(|sample| sample["scheduled_at"].as_i64().unwrap()).collect();
        due.sort_unstable();
        let planned = due.windows(2).all(|pair| pair[1] - pair[0] <= 1_000);
        (usize::try_from(stored).unwrap() + 2 < due.len() && planned).then_some(())
    });
}

#[test]
fn a_probe_whose_certificate_has_ended_says_what_to_do_and_loses_nothing() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::set(1, &checks(&target, 1), &sink, "probe_certificates = \"10s\"");
    fleet.start_probe(0);
    until_more_is_stored(&fleet, "the probe delivers");
    fleet.take_probe(0).terminate();
    // The second that a certificate names is its last, so it is good for up to that much longer than its life.
    let ended = listed(&fleet, 0)["certificate_until"].as_i64().unwrap() + 1_000;
    until("its certificate ends", || (ended < Clock::system().now().as_ms()).then_some(()));
    assert_eq!(listed(&fleet, 0)["state"], "ended");
    let stored = fleet.stored();
    fleet.start_probe(0);
    fleet.probe(0).logged("what to do", |line| logged(line, "identity.ended", "nines probe invite --region"));
    fleet.probe(0).logged("that it is refused", |line| logged(line, "uplink.not_delivered", ""));
    fleet.join(0);
    fleet.probe(0).logged("that it delivers again", |line| logged(line, "uplink.delivers_again", ""));
    until("what it saw meanwhile is delivered", || (stored < fleet.stored()).then_some(()));
}

/// A second process with a copy of the first one's state.
fn clone(fleet: &Fleet) -> Process {
    let (state, copy) = (fleet.probe_state(0), fleet.path("copy"));
    std::fs::create_dir(&copy).unwrap();
    for file in ["identity.pem", "assignment.json"] {
        std::fs::copy(state.join(file), copy.join(file)).unwrap();
    }
    let text = std::fs::read_to_string(fleet.path("probe-0.toml")).unwrap();
    let text = text.replace(state.to_str().unwrap(), copy.to_str().unwrap());
    std::fs::write(fleet.path("copy.toml"), text).unwrap();
    start_copy(&fleet.path("copy.toml"))
}

fn start_copy(config: &Path) -> Process {
    let mut command = Command::new(binaries::nines_probe());
    command.env_remove("RUST_LOG").args(["--log-format", "json", "run", "--config"]).arg(config);
    Process::start("the copy", &mut command)
}

#[test]
fn a_cloned_machine_is_refused_and_told_of_and_takes_over_when_the_original_dies() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &checks(&target, 1), &sink);
    until_more_is_stored(&fleet, "the original delivers");
    until("the original keeps its work", || fleet.probe_state(0).join("assignment.json").exists().then_some(()));
    let mut copy = clone(&fleet);
    copy.logged("that it is the second", |line| logged(line, "uplink.not_delivered", "another process is probe-0"));
    until("people see it", || (listed(&fleet, 0)["state"] == "cloned").then_some(()));
    let told = until("those who run the fleet are told", || sink.of("probe", "opened").pop());
    assert_eq!((told.text("reason"), told.text("probe")), ("cloned", "probe-0"));
    until_more_is_stored(&fleet, "the original goes on");
    assert!(!copy.log().iter().any(|line| line.contains("delivers_again")), "the copy never got in");

    fleet.take_probe(0).kill();
    copy.logged("that it is the probe now", |line| logged(line, "uplink.delivers_again", ""));
    until_more_is_stored(&fleet, "the copy delivers");
}

#[test]
fn a_probe_that_is_killed_and_started_again_is_no_clone() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &checks(&target, 1), &sink);
    until_more_is_stored(&fleet, "the probe delivers");
    fleet.take_probe(0).kill();
    fleet.start_probe(0);
    until_more_is_stored(&fleet, "it is let in again");
    assert_eq!(listed(&fleet, 0)["cloned"], Value::Null);
    let (status, _log) = fleet.take_probe(0).terminate();
    assert!(status.success());
    fleet.start_probe(0);
    until_more_is_stored(&fleet, "after an orderly end too");
    let log = fleet.probe(0).log();
    assert!(!log.iter().any(|line| line.contains("another process")), "without a wait: {}", log.join("\n"));
}

#[test]
fn a_join_line_lets_in_one_machine_once_and_its_secret_is_nowhere() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::without_probes(1, &checks(&target, 1), &sink);
    let line = fleet.run(&["probe", "invite", "--region", REGIONS[0].0]);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((line.lines().count(), words[0], words[1]), (1, "nines-probe", "join"), "{line}");
    let (url, token) = (words[2], words[3]);
    let join = |token: &str, name: &str| {
        let mut command = Command::new(binaries::nines_probe());
        command.current_dir(fleet.path("")).args(["join", url, token, "--config"]).arg(format!("{name}.toml"));
        command.args(["--state", name]).output().unwrap()
    };
    let (secret, fingerprint) = token.split_once('.').unwrap();
    let turned = fingerprint.chars().rev().collect::<String>();
    let impostor = join(&format!("{secret}.{turned}"), "a");
    assert!(String::from_utf8_lossy(&impostor.stderr).contains("another fingerprint"), "{impostor:?}");
    assert!(join(token, "b").status.success(), "the secret was not spent on the wrong aggregator");
    let again = join(token, "c");
    assert_eq!(again.status.code(), Some(64), "it need not try again");
    assert!(String::from_utf8_lossy(&again.stderr).contains("good once"), "{again:?}");
    fleet.take_aggregator().terminate();
    let database = std::fs::read(fleet.path("nines.db")).unwrap();
    assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
}
