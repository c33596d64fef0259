//! Probes and the aggregator that die or freeze: silence is unknown, never up and never an outage.

use std::time::Duration;

use nines_tests::seen::{now, of_region};
use nines_tests::target::Mood;
use nines_tests::wait::{let_pass, until};
use nines_tests::world::{INTERVAL_MS, SERVICE, World};
use rustix::process::Signal;

/// A little longer than a probe may be silent before it is missed.
const LONG_ENOUGH: Duration = Duration::from_secs(33);

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_12_two_of_three_probes_dead_and_the_third_says_down_is_a_suspicion_and_no_outage() {
    let mut world = World::start(3);
    let begun = now();
    for dead in 0..2 {
        world.fleet.take_probe(dead).kill();
    }
    world.target.for_source(&world.fleet.source(2), Mood::Status(500));
    until("the fleet says that it does not know", || (world.fleet.verdict(SERVICE)? == "unknown").then_some(()));
    until("it is told as a suspicion", || {
        let told = world.sink.of("suspected", "opened");
        told.iter().any(|alert| alert.text("severity") == "ticket").then_some(())
    });
    world.pages_nobody("one region cannot accuse, and two have no voice");

    for dead in 0..2 {
        world.fleet.start_probe(dead);
    }
    until("two of three say that it is up", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    until("the suspicion is over", || (!world.sink.of("suspected", "resolved").is_empty()).then_some(()));
    let report = world.fleet.books(begun, now());
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    world.pages_nobody("it was a suspicion");
}

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_13_26_frozen_probes_are_missed_and_do_not_make_up_for_lost_time_when_they_go_on() {
    let mut world = World::start(3);
    let regions = world.regions();
    for probe in 0..regions.len() {
        world.fleet.probe(probe).signal(Signal::STOP);
    }
    let (frozen, asked) = (now(), world.target.asked());
    until("the fleet says that it does not know", || (world.fleet.verdict(SERVICE)? == "unknown").then_some(()));
    until("each probe is missed", || (regions.len() <= world.sink.of("probe", "opened").len()).then_some(()));
    world.pages_nobody("silence of ours is no outage of theirs");
    let thawed = now();
    assert_eq!(world.target.asked(), asked, "a frozen probe asks nothing");

    for probe in 0..regions.len() {
        world.fleet.probe(probe).signal(Signal::CONT);
    }
    until("the fleet knows again", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    until("each probe is missed no more", || (regions.len() <= world.sink.of("probe", "resolved").len()).then_some(()));
    until("each goes on", || world.fleet.heard_after(thawed.plus_ms(3 * INTERVAL_MS), &regions));
    let (asked, ended) = (world.target.asked() - asked, now());
    let slots = (ended.since(thawed) / INTERVAL_MS + 2).unsigned_abs() * regions.len() as u64;
    assert!(asked <= slots, "no burst: {asked} requests where {slots} slots were due");
    for region in &regions {
        for sample in world.fleet.planned(region, frozen.plus_ms(INTERVAL_MS), thawed.plus_ms(-INTERVAL_MS)) {
            assert_eq!(
                (&sample["outcome"], &sample["reason"]),
                (&"inconclusive".into(), &"overrun".into()),
                "{sample}"
            );
        }
    }
    world.fleet.until_all_is_delivered();
    let report = world.fleet.books(frozen, ended);
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    let silent = thawed.since(frozen) - 3 * INTERVAL_MS;
    for region in &regions {
        let unknown = of_region(&report, region, "unknown_ms");
        assert!(silent <= unknown, "nobody saw anything for {silent} ms, and {unknown} ms are unknown");
    }
    world.pages_nobody("nothing was down");
}

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_27_a_frozen_aggregator_is_not_stormed_blames_no_probe_and_gets_everything_later() {
    let mut world = World::start(5);
    let regions = world.regions();
    let dialled = world.dials();
    world.fleet.aggregator().signal(Signal::STOP);
    let frozen = now();
    let_pass(LONG_ENOUGH);
    let thawed = now();
    world.fleet.aggregator().signal(Signal::CONT);
    until("every region is heard", || world.fleet.heard_after(thawed.plus_ms(INTERVAL_MS), &regions));
    let dialled = world.dials() - dialled;
    // Two lines a probe, each of which gives up after at least 10 s; the kernel may repeat a dial.
    let few = 20 * regions.len() as u64;
    assert!(dialled <= few, "{dialled} dials in {} ms are a storm", now().since(frozen));
    world.fleet.until_all_is_delivered();
    until("the fleet knows again", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    let report = world.fleet.books(frozen, thawed);
    for region in &regions {
        let slots = world.fleet.planned(region, frozen, thawed);
        assert_eq!(Some(slots.len()), usize::try_from(of_region(&report, region, "slots_expected")).ok(), "{region}");
    }
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    assert!(world.sink.of("probe", "opened").is_empty(), "who could not hear blames nobody for silence");
    world.pages_nobody("nothing was down");
}
