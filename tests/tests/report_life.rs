//! The life of a month's report with real processes: frozen, late samples noticed, restated, signed and verified.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs;
use std::process::{Command, Output};

use jiff::ToSpan as _;
use jiff::civil::Date;
use nines_shared::time::Timestamp;
use nines_tests::fleet::Fleet;
use nines_tests::sink::Sink;
use nines_tests::wait::until;
use serde_json::Value;

const ZONE: &str = "Europe/Berlin";
const REGIONS: [&str; 3] = ["ap-south", "ap-tokyo", "eu-west"];
const MINUTE: i64 = 60_000;

/// A month that ended more than three days ago: what it is called, and when it ended.
fn past_month() -> (String, Timestamp) {
    let today = jiff::Zoned::now().date();
    let first = Date::new(today.year(), today.month(), 1).unwrap();
    let end = if today.day() < 6 { first.checked_sub(1.month()).unwrap() } else { first };
    let month = end.yesterday().unwrap().strftime("%Y-%m").to_string();
    (month, Timestamp::from_ms(end.in_tz(ZONE).unwrap().timestamp().as_millisecond()))
}

/// A fleet whose one service lives from two hours before the month's end on.
fn fleet(sink: &Sink, end: Timestamp) -> Fleet {
    let since = nines_tests::fleet::rfc3339(end.plus_ms(-120 * MINUTE));
    let toml = format!(
        "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\nsince = \"{since}\"\n\
         sla = {{ availability = 99.9, credits = [{{ below = 99.9, percent = 10 }}] }}\n\
         [[check]]\nid = \"shop-home\"\nservice = \"shop\"\ninterval = \"60s\"\nhttp = {{ url = \"https://shop.example/\" }}\n"
    );
    Fleet::without_probes(3, &toml, sink)
}

/// Samples of the two hours and what their edges depend on, as NDJSON; down in all regions for some minutes. Those of
/// one region in the outage apart.
fn samples(fleet: &Fleet, end: Timestamp) -> (String, String) {
    let file = fleet.path("nines.toml");
    let (fleet, _) = nines::fleet_file::load(&file).unwrap();
    let check = &fleet.checks[0];
    let span = nines_shared::time::Span::new(end.plus_ms(-125 * MINUTE), end.plus_ms(5 * MINUTE));
    let (mut there, mut late) = (String::new(), String::new());
    for region in REGIONS {
        for slot in check.cadence(&region.parse().unwrap()).unwrap().slots_in(span) {
            let minute = slot.since(span.from) / MINUTE;
            let down = (60..70).contains(&minute) && region != "ap-south";
            let mut line = serde_json::json!({
                "check": "shop-home", "region": region, "kind": "planned", "scheduled_at": slot, "started_at": slot.plus_ms(2),
                "outcome": if down { "down" } else { "up" }, "duration_us": 900,
            });
            if down {
                line["reason"] = "connect_refused".into();
                line["phase"] = "connect".into();
            }
            let held_back = region == "eu-west" && (55..75).contains(&minute);
            let text = if held_back { &mut late } else { &mut there };
            text.push_str(&format!("{line}\n"));
        }
    }
    (there, late)
}

fn report<'a>(month: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["report", "--config", "nines.toml", "--month", month], more].concat()
}

fn verified(fleet: &Fleet, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = fleet.nines(&[&["report", "verify"], arguments].concat()).output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn import(fleet: &Fleet, lines: &str) {
    fs::write(fleet.path("in.ndjson"), lines).unwrap();
    fleet.run(&["import", "in.ndjson", "--config", "nines.toml"]);
}

#[test]
fn a_month_is_frozen_late_samples_are_noticed_and_a_restatement_stands_beside_what_was_said_before() {
    let (sink, (month, end)) = (Sink::start(), past_month());
    let mut fleet = fleet(&sink, end);
    let (there, late) = samples(&fleet, end);
    import(&fleet, &there);

    fleet.run(&report(&month, &["--out", "one.json"]));
    let first = fs::read_to_string(fleet.path("one.json")).unwrap();
    let read: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&read["state"], &read["revision"]), (&"final".into(), &1.into()));
    until("the channel is told that it is final", || (sink.of("report", "final").len() == 1).then_some(()));
    assert_eq!(sink.of("report", "final")[0].key, format!("report-acme-{month}.1"));

    import(&fleet, &late);
    let again = fleet.nines(&report(&month, &[])).output().unwrap();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), first, "inv_8: what is final does not change");
    let due = format!("a restatement of {month} for acme is due: 20 samples arrived late");
    assert!(String::from_utf8_lossy(&again.stderr).contains(&due));
    assert!(fleet.run(&["status", "--config", "nines.toml"]).contains(&due));
    fleet.aggregator().logged("what is due", |line| line.contains("report.restatement_due").then_some(()));

    let restate = ["report", "restate", "--config", "nines.toml", "--customer", "acme", "--month", &month];
    let why = ["--reason", "a probe was cut off", "--by", "ann"];
    assert!(fleet.run(&[&restate[..], &why].concat()).contains("revision 2"));
    assert!(fleet.run(&[&restate[..], &why].concat()).contains("nothing has changed"));
    fleet.run(&report(&month, &["--out", "two.json"]));
    let second: Value = serde_json::from_slice(&fs::read(fleet.path("two.json")).unwrap()).unwrap();
    assert_eq!((&second["revision"], &second["restatement"]["by"]), (&2.into(), &"ann".into()));
    let paths: Vec<&str> =
        second["restatement"]["changes"].as_array().unwrap().iter().map(|c| c["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"services[shop].accounts.down_ms"), "{paths:?}");
    assert_eq!(fleet.run(&report(&month, &["--revision", "1"])), first);
    until("the channel is told of it", || (sink.of("report", "restated").len() == 1).then_some(()));

    let (status, _) = fleet.take_aggregator().terminate();
    assert!(status.success());
    assert_eq!(fleet.run(&report(&month, &["--revision", "1"])), first, "without a server too");
    assert_eq!(fleet.run(&["report", "list", "--config", "nines.toml"]).matches(&month).count(), 2);

    fleet.run(&report(&month, &["--all-customers", "--out", "all"]));
    let index: Value =
        serde_json::from_slice(&fs::read(fleet.path(&format!("all/index-{month}.json"))).unwrap()).unwrap();
    let files = index["reports"][0]["files"].as_array().unwrap();
    assert!(2 <= files.len(), "{index:#}");
    for file in files {
        let path = fleet.path(&format!("all/{}", file["file"].as_str().unwrap()));
        let (code, said) = verified(
            &fleet,
            &[path.to_str().unwrap(), "--key", &fleet.run(&["report", "key", "--config", "nines.toml"])],
        );
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_report_is_verified_by_whoever_holds_it_and_the_samples_and_says_where_it_was_bent() {
    let (sink, (month, end)) = (Sink::start(), past_month());
    let fleet = fleet(&sink, end);
    let (there, late) = samples(&fleet, end);
    import(&fleet, &there);
    fleet.run(&report(&month, &["--out", "one.json"]));
    fleet.run(&["export", "used.ndjson.zst", "--config", "nines.toml"]);
    import(&fleet, &late);
    fleet.run(&["export", "more.ndjson", "--config", "nines.toml"]);
    let key = fleet.run(&["report", "key", "--config", "nines.toml"]);

    // Whoever checks it has no fleet file and no database.
    fs::remove_file(fleet.path("nines.toml")).unwrap();
    let (code, said) = verified(&fleet, &["one.json", "--samples", "used.ndjson.zst", "--key", key.trim()]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("good").count(), 3, "signature, arithmetic, samples: {said}");

    let (code, said) = verified(&fleet, &["one.json", "--samples", "more.ndjson"]);
    assert_eq!(code, Some(1), "{said}");
    let place = "services[shop].checks[shop-home].regions[eu-west].samples.count";
    assert!(said.contains(place) && said.contains("services[shop].accounts.down_ms"), "{said}");

    let text = fs::read_to_string(fleet.path("one.json")).unwrap();
    fs::write(fleet.path("bent.json"), text.replacen("\"credit_percent\": 0", "\"credit_percent\": 25", 1)).unwrap();
    fs::copy(fleet.path("one.json.minisig"), fleet.path("bent.json.minisig")).unwrap();
    let (code, said) = verified(&fleet, &["bent.json", "--samples", "used.ndjson.zst"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the file is not the one that was signed"), "{said}");
    assert!(said.contains("services[shop].sla.credit_percent: the report says 25"), "{said}");

    assert_eq!(verified(&fleet, &["none.json"]).0, Some(74));
    assert_eq!(verified(&fleet, &["one.json", "--key", "nonsense"]).0, Some(64));
    fs::remove_file(fleet.path("one.json.minisig")).unwrap();
    assert_eq!(verified(&fleet, &["one.json"]).0, Some(1), "a frozen report is signed");
}

#[test]
#[ignore = "needs minisign"]
fn minisign_itself_vouches_for_our_signatures_and_for_no_changed_byte() {
    let (sink, (month, end)) = (Sink::start(), past_month());
    let fleet = fleet(&sink, end);
    import(&fleet, &samples(&fleet, end).0);
    let key = fleet.run(&["report", "key", "--config", "nines.toml"]);
    let minisign = |file: &str| {
        Command::new("minisign").args(["-V", "-P", key.trim(), "-m"]).arg(fleet.path(file)).output().unwrap()
    };
    for file in ["one.json", "one.html"] {
        fleet.run(&report(&month, &["--out", file]));
        let said = minisign(file);
        assert!(said.status.success(), "{said:?}");
        assert!(String::from_utf8_lossy(&said.stdout).contains("nines report of acme"), "{said:?}");
        let mut bytes = fs::read(fleet.path(file)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(fleet.path(file), bytes).unwrap();
        assert!(!minisign(file).status.success());
    }
}
