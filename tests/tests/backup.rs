//! A backup is taken beside a server that works, and what is restored from it prints the same figures.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::os::unix::fs::PermissionsExt as _;

use nines_shared::time::{Clock, Timestamp};
use nines_tests::fleet::{Fleet, REGIONS, rfc3339};
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::until;

const CHECKS: usize = 20;

fn load(target: &Target) -> String {
    let mut toml = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n".to_owned();
    for check in 0..CHECKS {
        toml.push_str(&format!(
            "\n[[check]]\nid = \"check-{check}\"\nservice = \"shop\"\ninterval = \"1s\"\ntimeout = \"900ms\"\n\
             regions = [\"{}\"]\nhttp = {{ url = \"{}\" }}\n",
            REGIONS[0].0,
            target.url()
        ));
    }
    toml
}

/// Waits until every check has a sample of two seconds after `at`: then all those before it have come.
fn until_all_is_stored(fleet: &Fleet, at: Timestamp) {
    until("samples of a while later are stored", || {
        let from = rfc3339(at.plus_ms(2_000));
        let text = fleet.run(&["export", "--from", &from, "--to", &rfc3339(Clock::system().now().plus_ms(9_000))]);
        (0..CHECKS).all(|check| text.contains(&format!("\"check-{check}\""))).then_some(())
    });
}

/// What a report of `[from, to)` says of its services, and the digest of its samples.
fn figures(fleet: &Fleet, from: Timestamp, to: Timestamp) -> (serde_json::Value, serde_json::Value) {
    let (from, to) = (rfc3339(from), rfc3339(to));
    let text = fleet.run(&["report", "--customer", "acme", "--from", &from, "--to", &to, "--format", "json"]);
    let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
    (report["services"].take(), report["samples"].take())
}

/// Stops the server, puts `copy.db` where its database is, and starts it again.
fn restore(fleet: &mut Fleet) {
    fleet.take_aggregator().terminate();
    for ending in ["", "-wal", "-shm", ".report-key"] {
        // The write-ahead log goes with a clean end.
        let _there_or_not = std::fs::remove_file(fleet.path(&format!("nines.db{ending}")));
    }
    for ending in ["", ".report-key"] {
        std::fs::copy(fleet.path(&format!("copy.db{ending}")), fleet.path(&format!("nines.db{ending}"))).unwrap();
    }
    fleet.start_aggregator();
}

/// Waits until probe number `index` has said `message` once more than it had when `said` was counted.
fn until_said(fleet: &mut Fleet, index: usize, (message, part): (&str, &str), said: usize) {
    until(&format!("probe {index} says {message} {part}"), || {
        (said < times(fleet, index, message, part)).then_some(())
    });
}

fn times(fleet: &mut Fleet, index: usize, message: &str, part: &str) -> usize {
    let log = fleet.probe(index).log();
    log.iter().filter(|line| line.contains(message) && line.contains(part)).count()
}

#[test]
fn what_a_backup_does_not_know_is_undone_by_its_restore_until_it_is_done_again() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &load(&target), &sink);
    fleet.until_all_look(1);
    fleet.run(&["backup", "copy.db"]);
    // One has another certificate since, as after a renewal; the other is shut out.
    fleet.join(0);
    fleet.run(&["probe", "revoke", "probe-1"]);
    until_said(&mut fleet, 1, ("uplink.not_delivered", "was revoked"), 0);
    fleet.probe(0).logged("that it has it", |line| line.contains("identity.joined_anew").then_some(()));

    restore(&mut fleet);
    until_said(&mut fleet, 0, ("uplink.not_delivered", "not the certificate that"), 0);
    until_said(&mut fleet, 1, ("uplink.delivers_again", ""), 0);
    let (delivering, revoked) = (
        times(&mut fleet, 0, "uplink.delivers_again", ""),
        times(&mut fleet, 1, "uplink.not_delivered", "was revoked"),
    );
    fleet.join(0);
    fleet.run(&["probe", "revoke", "probe-1"]);
    until_said(&mut fleet, 0, ("uplink.delivers_again", ""), delivering);
    until_said(&mut fleet, 1, ("uplink.not_delivered", "was revoked"), revoked);
}

#[test]
fn a_backup_under_load_restores_the_same_figures_and_what_came_after_it_is_unknown_and_not_up() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &load(&target), &sink);
    fleet.until_all_look(CHECKS);
    let from = Clock::system().now();
    until_all_is_stored(&fleet, from);
    let to = Clock::system().now();
    until_all_is_stored(&fleet, to);
    let before = figures(&fleet, from, to);

    let told = fleet.run(&["backup", "copy.db"]);
    assert!(told.contains("checked") && told.contains("copy.db.report-key"), "{told}");
    for name in ["copy.db", "copy.db.report-key"] {
        assert_eq!(std::fs::metadata(fleet.path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let key = fleet.run(&["report", "key"]);
    let again = fleet.nines(&["backup", "copy.db"]).output().unwrap();
    assert_eq!(again.status.code(), Some(74), "a backup is never written over: {again:?}");

    let lost_from = Clock::system().now();
    until_all_is_stored(&fleet, lost_from);
    let lost_to = Clock::system().now();
    until_all_is_stored(&fleet, lost_to);
    restore(&mut fleet);
    let stored = fleet.stored();
    until("the probes go on with the restored server", || (stored < fleet.stored()).then_some(()));
    assert_eq!(fleet.run(&["report", "key"]), key);
    assert_eq!(figures(&fleet, from, to), before);
    let (services, _) = figures(&fleet, lost_from.plus_ms(1_000), lost_to);
    let accounts = &services[0]["accounts"];
    assert_eq!(accounts["up_ms"], 0, "{accounts}");
    assert!(0 < accounts["unknown_ms"].as_i64().unwrap(), "{accounts}");
}

#[test]
fn an_older_program_refuses_a_newer_database_and_leaves_it_as_it_is() {
    let sink = Sink::start();
    let mut fleet = Fleet::without_probes(1, "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n", &sink);
    fleet.take_aggregator().terminate();
    let newer = rusqlite::Connection::open(fleet.path("nines.db")).unwrap();
    newer.pragma_update(None, "user_version", 999).unwrap();
    drop(newer);
    let bytes = std::fs::read(fleet.path("nines.db")).unwrap();
    for arguments in [["serve", "--config", "nines.toml"], ["backup", "copy.db", "--config=nines.toml"]] {
        let refused = fleet.nines(&arguments).output().unwrap();
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(69), "{told}");
        assert!(told.contains("version 999") && told.contains("use the nines that wrote it"), "{told}");
    }
    assert_eq!(std::fs::read(fleet.path("nines.db")).unwrap(), bytes);
    assert!(!fleet.path("copy.db").exists() && !fleet.path("copy.db.report-key").exists());
}
