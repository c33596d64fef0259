//! Definitions that change in the middle of an outage.

use std::time::Duration;

use nines_tests::fleet::Fleet;
use nines_tests::seen::now;
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::{let_pass, until};
use nines_tests::world::{SERVICE, checks};
use rustix::process::Signal;

#[test]
fn fault_40_a_check_that_changes_or_goes_in_its_outage_keeps_one_incident_and_what_was_down() {
    let (target, other, sink) = (Target::start(), Target::start(), Sink::start());
    let second = checks(&other).split_once("[[check]]").map(|(_, check)| check.replace("shop-home", "shop-cart"));
    let file = format!("{}\n[[check]]{}", checks(&target), second.unwrap());
    let mut fleet = Fleet::start(2, &file, &sink);
    fleet.until_all_look(2);
    let begun = now();
    target.all(Mood::Status(500));
    until("the outage is paged", || (!sink.of("outage", "opened").is_empty()).then_some(()));

    let slower = file.replacen("interval = \"2000ms\"", "interval = \"3s\"", 1);
    assert_ne!(slower, file);
    fleet.write_config(&slower, &sink);
    fleet.aggregator().signal(Signal::HUP);
    let changed = now();
    until("it is asked by the new interval", || {
        let slots = fleet.planned("ap-south", changed, now());
        let slots = slots.iter().filter(|sample| sample["check"] == "shop-home");
        let mut slots: Vec<i64> = slots.filter_map(|sample| sample["scheduled_at"].as_i64()).collect();
        slots.sort_unstable();
        slots.windows(2).any(|pair| pair[1] - pair[0] == 3_000).then_some(())
    });
    let outages = fleet.incidents_of("outage");
    assert_eq!(outages.len(), 1, "INV-6: {outages:#?}");

    let (service, rest) = file.split_once("[[check]]").unwrap();
    let gone = format!("{service}[[check]]{}", rest.split_once("[[check]]").unwrap().1);
    fleet.write_config(&gone, &sink);
    fleet.aggregator().signal(Signal::HUP);
    until("its incident ends with it", || (!sink.of("outage", "resolved").is_empty()).then_some(()));
    let_pass(Duration::from_secs(2));
    let outages = fleet.incidents_of("outage");
    assert_eq!((outages.len(), sink.of("outage", "opened").len()), (1, 1), "INV-6: {outages:#?}");
    let report = fleet.books(begun, now());
    let down = report["services"][0]["accounts"]["down_ms"].as_i64().unwrap();
    let known = outages[0]["instants"]["detected_at"].as_i64().unwrap();
    let started = outages[0]["instants"]["started_at"].as_i64().unwrap();
    assert!(known - started <= down, "{SERVICE} was down for at least {} ms: {report:#}", known - started);
}
