//! kill -9 at random moments under load: nothing acknowledged is lost, nothing is counted twice.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::path::Path;
use std::time::Duration;

use nines_tests::dice::{Dice, from_environment};
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::{let_pass, until};

const CHECKS: usize = 60;
const ROUNDS: u64 = 54;
/// Fixed, so that a failure can be looked at again; `NINES_KILL_SEED` and `NINES_KILL_ROUNDS` go further by hand.
const SEED: u64 = 20_261_122;

#[test]
fn inv_1_2_3_what_the_spools_committed_is_what_the_aggregator_has_after_any_number_of_kills() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &load(&target), &sink);
    fleet.until_all_look(CHECKS);
    let mut dice = Dice(from_environment("NINES_KILL_SEED", SEED));
    for round in 0..from_environment("NINES_KILL_ROUNDS", ROUNDS) {
        let_pass(Duration::from_millis(dice.below(400)));
        match dice.below(3) {
            0 => {
                fleet.take_aggregator().kill();
                let_pass(Duration::from_millis(dice.below(300)));
                fleet.start_aggregator();
            }
            probe => {
                let probe = usize::try_from(probe - 1).unwrap();
                fleet.take_probe(probe).kill();
                fleet.start_probe(probe);
            }
        }
        if round % 9 == 8 {
            // Now and then the fleet comes to rest, so that kills hit a long queue as well as a short one.
            let stored = fleet.stored();
            until("samples arrive again", || (stored < fleet.stored()).then_some(()));
        }
    }
    for probe in 0..2 {
        let (status, log) = fleet.take_probe(probe).terminate();
        assert!(status.success(), "probe {probe} ends cleanly: {status}\n{}", log.join("\n"));
    }
    let committed: Vec<i64> = (0..2).map(|probe| ever_committed(&fleet.probe_state(probe))).collect();
    // Whatever was still in a spool when its probe ended is delivered when it runs again.
    for probe in 0..2 {
        fleet.start_probe(probe);
    }
    let before = committed.iter().sum::<i64>();
    until("every spooled sample is delivered", || (before <= fleet.stored()).then_some(()));
    for probe in 0..2 {
        fleet.take_probe(probe).terminate();
    }
    for probe in 0..2 {
        assert_eq!(still_spooled(&fleet.probe_state(probe)), 0, "probe {probe} delivered all when it stopped");
    }
    let committed: i64 = (0..2).map(|probe| ever_committed(&fleet.probe_state(probe))).sum();
    let exported = fleet.export();
    assert_eq!(i64::try_from(exported.len()).unwrap(), committed, "as many samples as the spools ever committed");
    let mut identities: Vec<String> = exported.iter().map(identity).collect();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), exported.len(), "no sample twice");
    fleet.take_aggregator().terminate();
    let database = rusqlite::Connection::open(fleet.path("nines.db")).unwrap();
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

fn identity(sample: &serde_json::Value) -> String {
    format!("{} {} {} {}", sample["check"], sample["region"], sample["kind"], sample["scheduled_at"])
}

/// The spool counts in each commit what the commit adds.
fn ever_committed(state: &Path) -> i64 {
    number(state, "SELECT value FROM counter WHERE name = 'committed'")
}

fn still_spooled(state: &Path) -> i64 {
    number(state, "SELECT (SELECT count(*) FROM sample) + (SELECT count(*) FROM refused)")
}

fn number(state: &Path, sql: &str) -> i64 {
    let spool = rusqlite::Connection::open(state.join("spool.db")).unwrap();
    spool.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn load(target: &Target) -> String {
    let regions = format!("[\"{}\", \"{}\"]", REGIONS[0].0, REGIONS[1].0);
    let mut toml = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n".to_owned();
    for check in 0..CHECKS {
        toml.push_str(&format!(
            "\n[[check]]\nid = \"check-{check}\"\nservice = \"shop\"\ninterval = \"1s\"\ntimeout = \"900ms\"\nregions = {regions}\n\
             http = {{ url = \"{}\" }}\n",
            target.url()
        ));
    }
    toml
}
