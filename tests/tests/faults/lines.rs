//! Lines between hosts break, one way or both: nothing is lost or counted twice, and nobody's silence becomes
//! somebody's outage.

use nines_tests::net::Line;
use nines_tests::seen::{now, of_region};
use nines_tests::target::Mood;
use nines_tests::wait::until;
use nines_tests::world::{INTERVAL_MS, SERVICE, World};

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_5_9_batches_whose_answers_are_lost_come_again_and_count_once() {
    let mut world = World::start(3);
    let regions = world.regions();
    let (probe, aggregator) = (world.probes[0].clone(), world.aggregator.clone());
    world.net.worsen(Line::Broken, &aggregator, &probe);
    let begun = now();
    until("a batch arrives whose answer does not", || world.fleet.heard_after(begun, &regions[..1]));
    assert_eq!(world.fleet.metric("results_duplicate_total"), Some(0.0), "nothing has come twice yet");
    until("the region is silent for all that the fleet knows", || {
        (world.fleet.region_says(SERVICE, regions[0])? == "unknown").then_some(())
    });
    until("the others are enough", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    world.net.worsen(Line::Resetting, &probe, &aggregator);
    world
        .fleet
        .probe(0)
        .logged("that it was not delivered", |line| line.contains("uplink.not_delivered").then_some(()));

    world.mend(0);
    until("what was stored comes again", || (0.0 < world.fleet.metric("results_duplicate_total")?).then_some(()));
    let mended = now();
    until("the region is heard", || world.fleet.heard_after(mended, &regions));
    world.fleet.until_all_is_delivered();
    let report = world.fleet.books(begun, mended);
    let slots = world.fleet.planned(regions[0], begun, mended);
    assert_eq!(Some(slots.len()), usize::try_from(of_region(&report, regions[0], "slots_expected")).ok(), "INV-1");
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "{report:#}");
    world.pages_nobody("nothing was down");
}

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_7_11_a_region_cut_off_counts_as_unknown_until_its_backlog_says_what_it_saw() {
    let mut world = World::start(3);
    let regions = world.regions();
    world.cut_off(0);
    let begun = now();
    until("the region is silent for all that the fleet knows", || {
        (world.fleet.region_says(SERVICE, regions[0])? == "unknown").then_some(())
    });
    until("the others are enough", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));

    // One down, one silent, one up: the silent one decides, and it is not heard.
    world.target.for_source(&world.fleet.source(1), Mood::Status(500));
    until("the fleet says that it does not know", || (world.fleet.verdict(SERVICE)? == "unknown").then_some(()));
    until("it is told as a suspicion", || (!world.sink.of("suspected", "opened").is_empty()).then_some(()));
    world.pages_nobody("silence is not down");
    let spooled = world.fleet.planned(regions[0], begun.plus_ms(INTERVAL_MS), now());
    assert!(spooled.is_empty(), "nothing comes through a line that is cut: {spooled:?}");

    world.target.all(Mood::Well);
    world.mend(0);
    let mended = now();
    until("the region is heard", || world.fleet.heard_after(mended, &regions));
    world.fleet.until_all_is_delivered();
    until("the fleet knows again", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    let report = world.fleet.books(begun, mended);
    let slots = world.fleet.planned(regions[0], begun, mended);
    assert_eq!(Some(slots.len()), usize::try_from(of_region(&report, regions[0], "slots_expected")).ok(), "INV-1");
    let up = slots.iter().filter(|sample| sample["outcome"] == "up").count();
    assert_eq!(Some(up), usize::try_from(of_region(&report, regions[0], "slots_answered")).ok(), "what it saw counts");
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "one region of three: {report:#}");
    world.pages_nobody("it was up all the time");
}

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn fault_10_regions_without_internet_say_unknown_and_page_nobody() {
    let mut world = World::start(3);
    let regions = world.regions();
    world.take_internet(0);
    let begun = now();
    until("the region says that it is its own fault", || {
        let seen = world.fleet.planned(regions[0], begun, now());
        seen.iter().any(|sample| sample["reason"] == "canary").then_some(())
    });
    until("two of three regions are enough", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    world.take_internet(1);
    let two = now();
    until("the fleet says that it does not know", || (world.fleet.verdict(SERVICE)? == "unknown").then_some(()));
    until("both have been heard", || world.fleet.heard_after(two.plus_ms(3 * INTERVAL_MS), &regions));
    let ended = now();
    for region in &regions[..2] {
        let seen = world.fleet.planned(region, two.plus_ms(INTERVAL_MS), ended);
        assert!(!seen.is_empty(), "the aggregator still hears {region}");
        for sample in seen {
            assert_eq!((&sample["outcome"], &sample["reason"]), (&"inconclusive".into(), &"canary".into()), "{sample}");
        }
    }
    let report = world.fleet.books(begun, ended);
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    assert!(0 < of_region(&report, regions[0], "unknown_ms"), "{report:#}");
    world.mend(0);
    until("the fleet knows again", || (world.fleet.verdict(SERVICE)? == "up").then_some(()));
    assert_eq!(world.fleet.incidents_of("outage"), [] as [serde_json::Value; 0]);
    let pages = world.sink.alerts().into_iter().filter(|alert| alert.text("severity") == "page");
    assert_eq!(pages.count(), 0, "nobody is paged for our own lines");
}
