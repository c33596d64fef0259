//! Lines between hosts break, one way or both: nothing is lost or counted twice, and nobody's silence becomes
//! somebody's outage. The numbers are those of the table in `docs/RELIABILITY.md`.

use nines_tests::seen::{now, of_region};
use nines_tests::wait::until;
use nines_tests::world::{INTERVAL_MS, SERVICE, World};

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
