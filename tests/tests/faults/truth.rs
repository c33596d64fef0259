//! A true outage, seen through lines that lose packets and lines that are long, is paged once and measured; what
//! a bad line makes of a good target is not.

use std::time::Duration;

use nines_shared::time::Timestamp;
use nines_tests::net::Line;
use nines_tests::relay;
use nines_tests::seen::now;
use nines_tests::wait::until;
use nines_tests::world::{INTERVAL_MS, TIMEOUT_MS, World};
use serde_json::Value;

/// Half the round trip, longer than the offset of a clock may be: too long to judge clocks by, and no more.
const FAR: Duration = Duration::from_millis(1_200);

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_15_16_an_outage_is_paged_once_with_its_phase_through_bad_lines_and_a_bad_line_is_no_outage() {
    let mut world = World::start(5);
    let regions = world.regions();
    // Two of five have a bad line to the aggregator, one a long one, and one a bad line to the target.
    for probe in [0, 1] {
        world.net.worsen_both_ways(Line::Lossy, &world.probes[probe], &world.aggregator);
    }
    let relay = relay::start(&world.net.host(), world.fleet.door, FAR);
    let ended = world.fleet.take_probe(2).terminate();
    assert!(ended.0.success(), "{ended:?}");
    world.fleet.reach_through(2, relay);
    world.fleet.start_probe(2);
    world.net.worsen_both_ways(Line::Lossy, &world.probes[3], &world.shop);
    let begun = now();
    until("the bad line makes a good target look bad", || {
        let seen = world.fleet.planned(regions[3], begun, now());
        seen.iter().any(|sample| sample["outcome"] == "down").then_some(())
    });
    until("all are heard", || world.fleet.heard_after(begun.plus_ms(2 * INTERVAL_MS), &regions));
    world.pages_nobody("one region of five, and the target is well");

    let dark = now();
    for probe in world.probes.clone() {
        world.net.worsen_both_ways(Line::Broken, &probe, &world.shop);
    }
    until("the outage is paged", || (!world.sink.of("outage", "opened").is_empty()).then_some(()));
    let paged = now();
    let light = now();
    world.net.mend(&world.shop);
    until("the outage is over", || (!world.sink.of("outage", "resolved").is_empty()).then_some(()));
    let over = now();
    until("all are heard", || world.fleet.heard_after(over.plus_ms(INTERVAL_MS), &regions));
    world.fleet.until_all_is_delivered();

    let incidents = world.fleet.incidents_of("outage");
    assert_eq!((incidents.len(), world.sink.of("outage", "opened").len()), (1, 1), "INV-6: {incidents:#?}");
    tells_how_it_failed(&incidents[0]);
    in_order(&incidents[0]["instants"]);
    let report = world.fleet.books(begun, over);
    let outages = report["services"][0]["outages"].as_array().unwrap();
    assert_eq!(outages.len(), 1, "{outages:#?}");
    let (from, to) = (at(&outages[0]["from"]), at(&outages[0]["to"]));
    assert!(dark.plus_ms(-INTERVAL_MS) <= from && from <= paged, "{from} is when it began, {dark} to {paged}");
    assert!(light.plus_ms(-INTERVAL_MS) <= to && to <= over, "{to} is when it ended, {light} to {over}");
    assert_eq!(outages[0]["phase"], "connect", "{outages:#?}");
    let (least, most) = (&outages[0]["at_least_ms"], &outages[0]["at_most_ms"]);
    let length = to.since(from);
    assert!(least.as_i64().unwrap() <= length && length <= most.as_i64().unwrap(), "{outages:#?}");
    assert_eq!(report["services"][0]["accounts"]["down_ms"], length, "INV-4: no other time is down");
}

/// That the incident says what the failing regions have in common.
fn tells_how_it_failed(incident: &Value) {
    let findings = incident["scene"]["findings"].to_string();
    assert!(findings.contains("connect"), "the phase is told: {incident:#}");
    let failing = incident["scene"]["regions"]["failing"].as_array().map(Vec::len);
    assert!(Some(3) <= failing, "a quorum of regions is named: {incident:#}");
    let first = at(&incident["instants"]["first_failure_at"]);
    let started = at(&incident["instants"]["started_at"]);
    assert!(started.since(first) <= 3 * (INTERVAL_MS + TIMEOUT_MS), "it began with its first failures: {incident:#}");
}

/// That the instants are in the order that `docs/METHOD.md` gives.
fn in_order(instants: &Value) {
    let orders: [&[&str]; 2] = [
        &["last_good_at", "first_failure_at", "started_at", "detected_at", "notified_at"],
        &["started_at", "ended_at", "resolved_at"],
    ];
    for order in orders {
        let told: Vec<Timestamp> = order.iter().map(|key| at(&instants[key])).collect();
        assert!(told.is_sorted(), "{order:?} are in order: {instants:#}");
    }
}

fn at(value: &Value) -> Timestamp {
    Timestamp::from_ms(value.as_i64().unwrap_or_else(|| panic!("{value} is no instant")))
}
