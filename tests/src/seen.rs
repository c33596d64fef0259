//! What a fleet shows to whoever looks from outside, and whether its books are in order.

use std::collections::BTreeMap;

use nines_shared::time::{Clock, Timestamp};
use serde_json::Value;

use crate::fleet::{Fleet, rfc3339};
use crate::sink::Sink;
use crate::wait::until;

impl Fleet {
    /// What the fleet says of `service` now.
    pub fn verdict(&self, service: &str) -> Option<String> {
        Some(self.service(service)?["verdict"].as_str()?.to_owned())
    }

    /// What `region` says of the first check of `service` now.
    pub fn region_says(&self, service: &str, region: &str) -> Option<String> {
        let service = self.service(service)?;
        let regions = service["checks"][0]["regions"].as_array()?;
        Some(regions.iter().find(|seen| seen["region"] == region)?["verdict"].as_str()?.to_owned())
    }

    fn service(&self, id: &str) -> Option<Value> {
        let answer = self.get("/api/v1/services")?.json();
        answer["services"].as_array()?.iter().find(|service| service["service"] == id).cloned()
    }

    /// All incidents on record, of every kind.
    pub fn incidents(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/incidents").map(|answer| answer.json()).unwrap_or_default();
        answer["incidents"].as_array().cloned().unwrap_or_default()
    }

    /// The incidents on record of one kind, such as `outage`.
    pub fn incidents_of(&self, kind: &str) -> Vec<Value> {
        self.incidents().into_iter().filter(|incident| incident["kind"] == kind).collect()
    }

    /// The sum of the lines of a metric whose names begin with `name`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics")?.body;
        let lines = text.lines().filter(|line| line.starts_with(name));
        Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// What the aggregator knows of the probe of a region: its state and its health.
    pub fn probe_of(&self, region: &str) -> Option<Value> {
        let answer = self.get("/api/v1/probes")?.json();
        answer["probes"].as_array()?.iter().find(|probe| probe["region"] == region).cloned()
    }

    /// The planned samples of `region` whose slots were due in `[from, to)`.
    pub fn planned(&self, region: &str, from: Timestamp, to: Timestamp) -> Vec<Value> {
        let inside = |sample: &Value| {
            let at = sample["scheduled_at"].as_i64().expect("a sample has its slot");
            sample["region"] == region && sample["kind"] == "planned" && from.as_ms() <= at && at < to.as_ms()
        };
        self.export().into_iter().filter(inside).collect()
    }

    /// Whether every region whose number is in `regions` has delivered a planned sample of a slot after `at`.
    pub fn heard_after(&self, at: Timestamp, regions: &[&str]) -> Option<()> {
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        for sample in self.export().iter().filter(|sample| sample["kind"] == "planned") {
            let region = sample["region"].as_str().expect("a sample has its region").to_owned();
            let slot = sample["scheduled_at"].as_i64().expect("a sample has its slot");
            newest.entry(region).and_modify(|newest| *newest = slot.max(*newest)).or_insert(slot);
        }
        let heard = |region: &&str| newest.get(*region).is_some_and(|newest| at.as_ms() < *newest);
        regions.iter().all(heard).then_some(())
    }

    /// Whether the aggregator has as many samples as the probes' spools ever committed: nothing taken was lost on the
    /// way (INV-1). What is stored is counted first: a sample that is lost can't be made up for by one that follows.
    pub fn all_is_delivered(&self) -> Option<()> {
        let stored = self.stored();
        (stored == self.committed()).then_some(())
    }

    /// Waits for [`Fleet::all_is_delivered`].
    pub fn until_all_is_delivered(&self) {
        until("the aggregator has what the spools committed", || self.all_is_delivered());
    }

    /// The report over `[from, to)`, after making sure that the books behind it are in order: no sample is there
    /// twice (INV-3), and every account and every count of slots adds up (INV-4).
    ///
    /// # Panics
    /// Where they are not, with what does not add up.
    pub fn books(&self, from: Timestamp, to: Timestamp) -> Value {
        let mut identities: Vec<String> = self.export().iter().map(identity).collect();
        let samples = identities.len();
        identities.sort_unstable();
        identities.dedup();
        assert_eq!(identities.len(), samples, "INV-3: no sample twice");
        let (begin, end) = (rfc3339(from), rfc3339(to));
        let text = self.run(&["report", "--config", "nines.toml", "--from", &begin, "--to", &end]);
        let report: Value = serde_json::from_str(&text).expect("a report is JSON");
        for service in report["services"].as_array().expect("a report has services") {
            assert_eq!(length(&service["accounts"]), to.since(from), "INV-4: the accounts are the window: {service:#}");
            for check in service["checks"].as_array().expect("a service has checks") {
                // A check that was removed in the window has accounts of its life.
                let life = length(&check["accounts"]);
                assert!(life <= to.since(from), "INV-4: no more than the window: {check:#}");
                let regions = check["regions"].as_array().expect("a check has regions");
                let whole = regions.iter().all(|region| length(region) == life);
                assert!(whole, "INV-4: each region's accounts are the check's life: {check:#}");
                for key in ["slots_expected", "slots_answered"] {
                    let sum: i64 = regions.iter().map(|region| ms(&region[key])).sum();
                    assert_eq!(sum, ms(&check[key]), "INV-4: {key} of the regions: {check:#}");
                }
            }
        }
        report
    }
}

/// That nobody was paged so far.
///
/// # Panics
/// Where somebody was, with why nobody should have been.
pub fn no_page(sink: &Sink, why: &str) {
    let pages: Vec<_> = sink.alerts().into_iter().filter(|alert| alert.text("severity") == "page").collect();
    assert!(pages.is_empty(), "{why}: {pages:#?}");
}

/// The present, by the clock of this machine.
pub fn now() -> Timestamp {
    Clock::system().now()
}

/// What one region of a report's first check has under `key`.
pub fn of_region(report: &Value, region: &str, key: &str) -> i64 {
    let regions = report["services"][0]["checks"][0]["regions"].as_array().expect("a report has regions");
    ms(&regions.iter().find(|found| found["region"] == region).expect("the region is in the report")[key])
}

fn identity(sample: &Value) -> String {
    format!("{} {} {} {}", sample["check"], sample["region"], sample["kind"], sample["scheduled_at"])
}

fn ms(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// How much time `accounts` account for, in ms.
fn length(accounts: &Value) -> i64 {
    let parts = ["up_ms", "degraded_ms", "down_ms", "unknown_ms", "excluded_ms"];
    parts.iter().map(|part| ms(&accounts[part])).sum()
}
