//! Versions that differ: a running fleet is upgraded and goes back, and a probe starts cold by what another version
//! left.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::path::Path;

use nines_shared::seal;
use nines_tests::fleet::Fleet;
use nines_tests::process::Process;
use nines_tests::seen::now;
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::until;
use nines_tests::world::checks;
use rusqlite::Connection;

/// The last version of the tables before probes shared regions …
const BEFORE: i64 = 11;
/// … and the columns that there are since. What a later migration adds is to be undone here too.
const SINCE: [(&str, &str); 5] = [
    ("probe", "assignment"),
    ("probe", "checks"),
    ("probe", "unread"),
    ("probe", "backlog_from"),
    ("invitation", "key_sha256"),
];

fn version(database: &Path) -> i64 {
    Connection::open(database).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn set_version(database: &Path, version: i64) {
    Connection::open(database).unwrap().pragma_update(None, "user_version", version).unwrap();
}

/// Makes `database` what an earlier version left.
fn as_it_was_before(database: &Path) {
    let connection = Connection::open(database).unwrap();
    for (table, column) in SINCE {
        connection.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).unwrap();
    }
    set_version(database, BEFORE);
}

#[test]
fn fault_41_a_fleet_is_upgraded_while_it_looks_and_who_goes_back_is_refused_and_nothing_is_lost() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &checks(&target), &sink);
    fleet.until_all_look(1);
    assert!(fleet.take_aggregator().terminate().0.success());
    let database = fleet.database();
    let today = version(&database);
    as_it_was_before(&database);
    fleet.start_aggregator();
    assert_eq!(version(&database), today, "it was brought forward");
    let upgraded = now();
    until("probes that were not restarted go on", || fleet.heard_after(upgraded, &["ap-south", "ap-tokyo"]));

    // A later version was here, and somebody starts this one again.
    assert!(fleet.take_aggregator().terminate().0.success());
    set_version(&database, today + 1);
    let mut serve = fleet.nines(&["serve", "--config", "nines.toml"]);
    let (status, log) = Process::start("nines serve", &mut serve).ended();
    let said = log.join("\n");
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(said.contains(&format!("version {}", today + 1)), "it names the version that it found: {said}");
    assert_eq!(version(&database), today + 1, "it left the file as it is");
    until("probes spool meanwhile", || (0 < fleet.spooled(0) && 0 < fleet.spooled(1)).then_some(()));
    set_version(&database, today);
    fleet.start_aggregator();
    let back = now();
    until("and go on", || fleet.heard_after(back, &["ap-south", "ap-tokyo"]));
    fleet.until_all_is_delivered();
}

#[test]
fn fault_41_a_probe_starts_cold_by_an_unsigned_assignment_of_before_and_by_no_signed_one_that_was_changed() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &checks(&target), &sink);
    fleet.until_all_look(1);
    assert!(fleet.take_probe(0).terminate().0.success());
    assert!(fleet.take_aggregator().terminate().0.success());
    let state = fleet.probe_state(0);
    let (file, mark) = (state.join("assignment.json"), state.join("assignment.signed"));
    let signed = std::fs::read(&file).unwrap();
    let unsigned = seal::open(&signed).unwrap().message[seal::PURPOSE.len()..].to_vec();
    assert!(mark.exists());

    let starts = |fleet: &mut Fleet, body: &[u8], says: &str| {
        std::fs::write(&file, body).unwrap();
        fleet.start_probe(0);
        fleet.probe(0).logged(says, |line| line.contains(says).then_some(()));
    };
    for body in [&String::from_utf8(signed.clone()).unwrap().replace("shop", "shoq").into_bytes(), &unsigned] {
        starts(&mut fleet, body, "assignment.cache_unusable");
        assert!(fleet.take_probe(0).terminate().0.success());
    }
    let asked = target.asked();
    starts(&mut fleet, &signed, "assignment.from_cache");
    until("it looks, by what is signed", || (asked < target.asked()).then_some(()));
    assert!(fleet.take_probe(0).terminate().0.success());

    // Nothing signed was there yet: the probe is new, and what it finds is of the version before.
    std::fs::remove_file(&mark).unwrap();
    let asked = target.asked();
    starts(&mut fleet, &unsigned, "assignment.from_cache");
    until("it looks, by what the version before left", || (asked < target.asked()).then_some(()));
    fleet.start_aggregator();
    fleet.until_all_is_delivered();
}
