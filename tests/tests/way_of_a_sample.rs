//! The whole way of a sample with real processes: from a slot to the page, the alert and the report.

use std::time::Duration;

use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::{let_pass, until};
use nines_tests::{dns_target, tls_target};

const SHOP: &str = r#"
[[service]]
id = "shop"
name = "The shop"
customer = "acme"
slo = { availability = 99.95, window = "30d" }
sla = { availability = 99.9, period = "month", credits = [{ below = 99.9, percent = 10 }, { below = 99.0, percent = 25 }] }
"#;

fn http_check(target: &Target, regions: usize, extra: &str) -> String {
    let names: Vec<String> = REGIONS[..regions].iter().map(|(region, _)| format!("\"{region}\"")).collect();
    format!(
        "{SHOP}\n[[check]]\nid = \"shop-home\"\nservice = \"shop\"\ninterval = \"1s\"\ntimeout = \"500ms\"\nregions = [{}]\n{extra}\n\
         http = {{ url = \"{}\" }}\n",
        names.join(", "),
        target.url()
    )
}

#[test]
fn http_dns_and_tls_samples_walk_from_the_slot_to_the_report() {
    let (target, sink) = (Target::start(), Sink::start());
    let (dns, tls) = (dns_target::start(), tls_target::start());
    let mut checks = http_check(&target, 3, "");
    checks.push_str(&format!(
        r#"
[[check]]
id = "shop-dns"
service = "shop"
interval = "1s"
timeout = "500ms"
regions = ["ap-south", "ap-tokyo", "eu-west"]
dns = {{ name = "shop.example", type = "A", server = "udp://{dns}", expect = {{ answers = ["192.0.2.10"] }} }}

[[check]]
id = "shop-cert"
service = "shop"
interval = "1s"
timeout = "500ms"
regions = ["ap-south", "ap-tokyo", "eu-west"]
tls = {{ address = "{}", ca = {{ file = "ca.pem" }}, expect = {{ valid_for = "14d" }} }}
"#,
        tls.address
    ));
    let mut fleet = Fleet::without_probes(3, &http_check(&target, 3, ""), &sink);
    std::fs::write(fleet.path("ca.pem"), &tls.ca_pem).unwrap();
    fleet.write_config(&checks, &sink);
    fleet.aggregator().signal(rustix::process::Signal::HUP);
    for index in 0..3 {
        fleet.start_probe(index);
    }
    fleet.until_all_look(3);

    let samples = fleet.export();
    for sample in samples.iter().filter(|sample| sample["scheduled_at"] != sample["started_at"]) {
        let lateness = sample["started_at"].as_i64().unwrap() - sample["scheduled_at"].as_i64().unwrap();
        assert!((0..1_000).contains(&lateness), "{sample}");
    }
    assert!(samples.iter().all(|sample| sample["outcome"] == "up"), "{samples:#?}");
    let of = |check: &str| samples.iter().find(|sample| sample["check"] == check).unwrap().clone();
    assert!(of("shop-home")["phases_us"]["first_byte"].is_u64());
    assert!(of("shop-dns")["phases_us"]["resolve"].is_u64());
    assert!(of("shop-cert")["phases_us"]["tls"].is_u64());

    let page = until("the page shows the service up", || fleet.get("/").filter(|page| page.body.contains("The shop")));
    assert_eq!(page.status, 200);
    assert!(fleet.get("/healthz").is_some_and(|answer| answer.status == 200));
    let metrics = fleet.get("/metrics").unwrap();
    assert!(metrics.body.contains("# TYPE"), "{}", metrics.body);

    let report: serde_json::Value =
        serde_json::from_str(&fleet.run(&["report", "--config", "nines.toml", "--from", "-1h", "--to", "-0s"]))
            .unwrap();
    assert_eq!(report["schema"], "nines.report/1");
    let service = &report["services"][0];
    let accounts = &service["accounts"];
    let sum: i64 = ["up_ms", "degraded_ms", "down_ms", "unknown_ms", "excluded_ms"]
        .map(|key| accounts[key].as_i64().unwrap())
        .iter()
        .sum();
    assert!(0 < sum, "{report:#}");
    assert_eq!(accounts["down_ms"], 0, "{report:#}");
    assert_eq!(service["availability_ppm"], 1_000_000, "{report:#}");
    assert_eq!(service["checks"].as_array().unwrap().len(), 3);
}

#[test]
fn a_trace_id_follows_a_sample_from_slot_to_store() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &http_check(&target, 1, ""), &sink);
    let trace = fleet.probe(0).logged("a sample's trace id", |line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["message"] == "sample.taken").then(|| line["trace_id"].as_str().map(str::to_owned))?
    });
    until("the sample with that trace id is exported", || {
        fleet.export().iter().any(|sample| sample["trace_id"] == trace.as_str()).then_some(())
    });
}

#[test]
fn an_outage_in_all_regions_is_paged_once_and_resolved_and_one_region_alone_is_not() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(3, &http_check(&target, 3, ""), &sink);
    fleet.until_all_look(1);

    // One region of three: recorded, never paged.
    target.for_source(REGIONS[0].1, Mood::Status(503));
    until("a failing sample of one region is stored", || {
        fleet
            .export()
            .iter()
            .any(|sample| sample["outcome"] == "down" && sample["reason"] == "http_status")
            .then_some(())
    });
    let_pass(Duration::from_secs(4));
    assert!(sink.of("outage", "opened").is_empty(), "{:?}", sink.alerts());
    target.all(Mood::Well);
    until("that region sees it well again", || {
        let of_region = fleet.export().into_iter().filter(|sample| sample["region"] == REGIONS[0].0);
        let last = of_region.max_by_key(|sample| sample["scheduled_at"].as_i64())?;
        (last["outcome"] == "up").then_some(())
    });

    let began = target.all(Mood::Status(503));
    let opened = until("the page is sent", || sink.of("outage", "opened").first().cloned());
    assert_eq!(opened.text("schema"), "nines.alert/1");
    assert_eq!(opened.text("severity"), "page");
    assert_eq!(opened.text("service"), "shop");
    assert!(opened.text("reason").contains("503") || opened.text("reason").contains("http_status"), "{opened:?}");
    assert!(2 <= opened.body["regions"]["failing"].as_array().unwrap().len(), "{opened:?}");
    let (first, started, detected) = (opened.ms("first_failure_at"), opened.ms("started_at"), opened.ms("detected_at"));
    assert!(began.as_ms() <= first && first <= started && started <= detected, "{began} {opened:?}");
    assert!(detected - began.as_ms() < 5_000, "detected after {} ms", detected - began.as_ms());

    let link = opened.text("link").strip_prefix(&format!("http://{}", fleet.web)).unwrap_or("");
    assert!(
        fleet.get(link).is_some_and(|page| page.status == 200),
        "the page's link leads to the incident: {opened:?}"
    );

    target.all(Mood::Well);
    let resolved = until("the outage is resolved", || sink.of("outage", "resolved").first().cloned());
    assert_eq!(resolved.text("incident"), opened.text("incident"));
    assert_ne!(resolved.key, opened.key);
    assert_eq!(sink.of("outage", "opened").len(), 1, "one outage, one page: {:?}", sink.alerts());
    let (status, log) = fleet.take_aggregator().terminate();
    assert!(status.success(), "a clean end on SIGTERM: {status}\n{}", log.join("\n"));
}

#[test]
fn a_silent_probe_is_unknown_and_an_alert_of_its_own_and_never_the_customers_outage() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &http_check(&target, 2, "quorum = 1"), &sink);
    fleet.until_all_look(1);
    fleet.take_probe(0).kill();
    let alert = until("the silent probe is told", || sink.of("probe", "opened").first().cloned());
    assert!(alert.body.to_string().contains("probe-0"), "{alert:?}");
    assert!(sink.of("outage", "opened").is_empty(), "{:?}", sink.alerts());
    let report: serde_json::Value =
        serde_json::from_str(&fleet.run(&["report", "--config", "nines.toml", "--from", "-20s", "--to", "-10s"]))
            .unwrap();
    let accounts = &report["services"][0]["accounts"];
    assert_eq!(accounts["unknown_ms"], 10_000, "{report:#}");
    assert_eq!(report["services"][0]["availability_ppm"], serde_json::Value::Null);

    fleet.start_probe(0);
    until("the probe's return is told", || sink.of("probe", "resolved").first().cloned());
}
