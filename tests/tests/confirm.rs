//! Confirmations, with real processes: what one region sees makes the others look at once, and one that lies makes
//! them look once and no more.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::collections::BTreeSet;

use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::until;
use serde_json::Value;

/// Five regions look every six seconds: by their slots alone, a quorum of three needs twelve more.
const INTERVAL_MS: i64 = 30_000;
const STEP_MS: i64 = INTERVAL_MS / 5;

fn checks(targets: &[(&str, &Target)]) -> String {
    let regions: Vec<String> = REGIONS.iter().map(|(region, _)| format!("\"{region}\"")).collect();
    let regions = regions.join(", ");
    let check = |(id, target): &(&str, &Target)| {
        format!(
            "\n[[service]]\nid = \"{id}\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"{id}\"\nservice = \"{id}\"\n\
             interval = \"{INTERVAL_MS}ms\"\ntimeout = \"5s\"\nregions = [{regions}]\nhttp = {{ url = \"{}\" }}\n",
            target.url()
        )
    };
    targets.iter().map(check).collect()
}

/// The extra samples of `check` with `outcome`: when they were asked for, and from where.
fn answers(fleet: &Fleet, check: &str, outcome: &str) -> Vec<(i64, String)> {
    let exported = fleet.export();
    let wanted =
        |sample: &&Value| sample["check"] == check && sample["kind"] == "extra" && sample["outcome"] == outcome;
    let of = |sample: &Value| (sample["scheduled_at"].as_i64().unwrap(), sample["region"].as_str().unwrap().to_owned());
    exported.iter().filter(wanted).map(of).collect()
}

#[test]
fn what_one_region_sees_the_others_look_at_once_and_a_single_liar_is_not_believed() {
    let (shop, lied_of, sink) = (Target::start(), Target::start(), Sink::start());
    lied_of.for_source(REGIONS[2].1, Mood::Status(500));
    let fleet = Fleet::start(5, &checks(&[("shop", &shop), ("lied-of", &lied_of)]), &sink);
    fleet.until_all_look(2);

    // The page comes within a step of the first failing sample, where slots would take two more.
    let began = shop.all(Mood::Status(503));
    let page = until("the page has come", || sink.of("outage", "opened").into_iter().next());
    assert_eq!(page.text("service"), "shop");
    let down = until("every other region has confirmed", || {
        let down = answers(&fleet, "shop", "down");
        (down.len() == 4).then_some(down)
    });
    let asked_at = down[0].0;
    assert!(down.iter().all(|(at, _)| *at == asked_at), "one ask of each, at one instant: {down:?}");
    assert_eq!(down.iter().map(|(_, region)| region).collect::<BTreeSet<_>>().len(), 4, "{down:?}");
    let outage_at = page.ms("started_at") - began.as_ms();
    assert!(outage_at < 2 * STEP_MS, "by the quorum's slots it would have begun two steps after the first: {page:?}");

    // The end as well: the first good look makes those look again that failed.
    let ended = shop.all(Mood::Well);
    let up = until("every other region has confirmed the end", || {
        let up = answers(&fleet, "shop", "up");
        (up.len() == 4).then_some(up)
    });
    assert!(up.iter().all(|(at, _)| *at == up[0].0 && *at < ended.as_ms() + 2 * STEP_MS), "{up:?} after {ended}");
    until("the outage is over", || (!sink.of("outage", "resolved").is_empty()).then_some(()));

    // One region has lied all along: the others were asked once, and nobody was paged.
    let contradicted = answers(&fleet, "lied-of", "up");
    let times: BTreeSet<i64> = contradicted.iter().map(|(at, _)| *at).collect();
    assert!(contradicted.len() <= 4 && times.len() <= 1, "{contradicted:?}");
    assert_eq!(answers(&fleet, "lied-of", "down"), [], "nobody asks the liar");
    assert!(sink.of("outage", "opened").iter().all(|alert| alert.text("service") == "shop"));
    let metrics = fleet.get("/metrics").unwrap().body;
    let counted = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let asked = (8 + contradicted.len()) as u64;
    assert_eq!([counted("asks_made_total "), counted("asks_answered_total ")], [asked, asked]);
    assert_eq!([counted("asks_refused_total "), counted("asks_expired_total ")], [0, 0]);
}
