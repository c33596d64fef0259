//! The aggregator is away for many intervals: checks go on, the backlog arrives, and nothing is paged that was
//! over before we learned of it.

use std::time::Duration;

use nines_tests::fleet::{Fleet, REGIONS, rfc3339};
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::{let_pass, until};

fn checks(target: &Target) -> String {
    let regions: Vec<String> = REGIONS[..3].iter().map(|(region, _)| format!("\"{region}\"")).collect();
    format!(
        "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"shop-home\"\nservice = \"shop\"\ninterval = \"1s\"\n\
         timeout = \"500ms\"\nregions = [{}]\nhttp = {{ url = \"{}\" }}\n",
        regions.join(", "),
        target.url()
    )
}

#[test]
fn an_outage_during_a_partition_is_counted_and_told_as_history_and_not_paged() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(3, &checks(&target), &sink);
    fleet.until_all_look(1);

    fleet.take_aggregator().kill();
    let away = nines_shared::time::Clock::system().now();
    let_pass(Duration::from_secs(3));
    let began = target.all(Mood::Status(500));
    let_pass(Duration::from_secs(6));
    let ended = target.all(Mood::Well);
    let_pass(Duration::from_secs(4));
    let back = nines_shared::time::Clock::system().now();
    fleet.start_aggregator();

    // The backlog holds every slot of the partition, and its samples say what was true.
    let expected = back.since(away) / 1_000 - 1;
    for (region, _) in &REGIONS[..3] {
        until("the backlog has arrived", || {
            let inside = fleet.export().into_iter().filter(|sample| {
                let at = sample["scheduled_at"].as_i64().unwrap();
                sample["region"] == *region && sample["kind"] == "planned" && away.as_ms() <= at && at < back.as_ms()
            });
            (expected <= i64::try_from(inside.count()).unwrap()).then_some(())
        });
    }
    let report = |fleet: &Fleet| -> serde_json::Value {
        let (from, to) = (rfc3339(began.plus_ms(-2_000)), rfc3339(ended.plus_ms(3_000)));
        serde_json::from_str(&fleet.run(&["report", "--config", "nines.toml", "--from", &from, "--to", &to])).unwrap()
    };
    let first = report(&fleet);
    let accounts = &first["services"][0]["accounts"];
    assert_eq!(accounts["unknown_ms"], 0, "the silence was filled: {first:#}");
    let (down, truth) = (accounts["down_ms"].as_i64().unwrap(), ended.since(began));
    assert!((down - truth).abs() <= 1_000, "measured {down} ms of {truth} ms");

    // Undisturbed: the same samples in a fleet that never lost sight of them give the same accounts.
    let export = fleet.path("export.ndjson");
    fleet.run(&["export", "--config", "nines.toml", export.to_str().unwrap()]);
    let other = Fleet::without_probes(3, &checks(&target), &sink);
    other.run(&["import", "--config", "nines.toml", export.to_str().unwrap()]);
    let second = report(&other);
    assert_eq!(first["services"][0]["accounts"], second["services"][0]["accounts"]);
    assert_eq!(first["samples"], second["samples"], "the same samples");

    until("the outage is on record", || {
        let incidents: serde_json::Value = fleet.get("/api/v1/incidents")?.json();
        incidents.to_string().contains("outage").then_some(())
    });
    let pages: Vec<_> = sink.alerts().into_iter().filter(|alert| alert.text("severity") == "page").collect();
    assert!(pages.is_empty(), "nothing to page about an outage that is over: {pages:?}");
}
