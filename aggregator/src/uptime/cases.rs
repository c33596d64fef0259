//! The worked cases of the method, to the millisecond.

use std::path::Path;

use nines_shared::check::{Check, Draft, HttpQuestion, Question};
use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::time::{Span, Timestamp};
use serde::Deserialize;

use super::{CheckRecord, CheckVersion, Observed, RegionSamples, ServiceRecord, service};
use crate::definition::{Maintenance, Service, ServiceRule};

#[derive(Deserialize)]
struct Case {
    name: String,
    check: CaseCheck,
    window: (Timestamp, Timestamp),
    maintenance: Vec<(Timestamp, Timestamp)>,
    samples: Vec<CaseSample>,
    expect: Expected,
}

#[derive(Deserialize)]
struct CaseCheck {
    id: String,
    interval_ms: i64,
    regions: Vec<String>,
    quorum: u16,
}

#[derive(Deserialize)]
struct CaseSample {
    region: String,
    scheduled_at: Timestamp,
    started_at: Timestamp,
    kind: SampleKind,
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Expected {
    up_ms: i64,
    degraded_ms: i64,
    down_ms: i64,
    unknown_ms: i64,
    excluded_ms: i64,
    down_at_least_ms: i64,
    down_at_most_ms: i64,
    availability_ppm: Option<u32>,
    coverage_ppm: Option<u32>,
    outages: Vec<(Timestamp, Timestamp)>,
    slots_expected: i64,
    slots_answered: i64,
}

/// A check of `regions` with every default but these.
pub(super) fn check(id: &str, regions: &[&str], interval_ms: i64, quorum: u16) -> Check {
    let url = "https://shop.example/".parse().unwrap();
    let regions = regions.iter().map(|region| region.parse().unwrap()).collect();
    let question = Question::Http(Box::new(HttpQuestion::get(url)));
    let mut draft = Draft::new(id.parse().unwrap(), "shop".parse().unwrap(), regions, question);
    (draft.interval_ms, draft.quorum) = (interval_ms, quorum);
    draft.timeout_ms = 10_000.min(interval_ms / 2);
    draft.recheck_ms = draft.recheck_ms.min(interval_ms);
    Check::new(draft).unwrap()
}

/// The service `shop` of these checks, alive for ever.
pub(super) fn shop(checks: Vec<CheckRecord>) -> ServiceRecord {
    ServiceRecord {
        service: Service {
            id: "shop".parse().unwrap(),
            name: "Shop".to_owned(),
            customer: "acme".parse().unwrap(),
            since: None,
            rule: ServiceRule::All,
            slo: None,
            sla: None,
            contracts: Vec::new(),
        },
        timezone: "Europe/Berlin".to_owned(),
        life: Span { from: Timestamp::MIN, to: Timestamp::MAX },
        checks,
        maintenance: Vec::new(),
    }
}

/// Maintenance of the service `shop`.
pub(super) fn maintenance(span: Span) -> Maintenance {
    Maintenance { service: "shop".parse().unwrap(), span, reason: "upgrade".to_owned(), afterwards: None, weekly: None }
}

fn record(case: &Case) -> ServiceRecord {
    let regions: Vec<&str> = case.check.regions.iter().map(String::as_str).collect();
    let check = check(&case.check.id, &regions, case.check.interval_ms, case.check.quorum);
    let samples = |region: &str| {
        let samples = case.samples.iter().filter(|sample| sample.region == region).map(|sample| Observed {
            scheduled_at: sample.scheduled_at,
            started_at: sample.started_at,
            kind: sample.kind,
            outcome: sample.outcome,
            duration_us: 1,
        });
        RegionSamples { region: region.parse().unwrap(), samples: samples.collect() }
    };
    let mut record = shop(vec![CheckRecord {
        versions: vec![CheckVersion { valid_from: Timestamp::MIN, check }],
        removed_at: Timestamp::MAX,
        regions: regions.iter().map(|region| samples(region)).collect(),
    }]);
    record.maintenance = case.maintenance.iter().map(|(from, to)| maintenance(Span { from: *from, to: *to })).collect();
    record
}

#[test]
fn every_worked_case_comes_out_to_the_millisecond() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let case: Case = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let window = Span { from: case.window.0, to: case.window.1 };
        let assessment = service::assess(&record(&case), window, Timestamp::MAX);
        let check = &assessment.checks[0];
        let accounts = assessment.accounts;
        assert_eq!(accounts, check.accounts, "{}: a service of one check is that check", case.name);
        let found = Expected {
            up_ms: accounts.up_ms,
            degraded_ms: accounts.degraded_ms,
            down_ms: accounts.down_ms,
            unknown_ms: accounts.unknown_ms,
            excluded_ms: accounts.excluded_ms,
            down_at_least_ms: accounts.down_at_least_ms,
            down_at_most_ms: accounts.down_at_most_ms,
            availability_ppm: accounts.availability_ppm(),
            coverage_ppm: accounts.coverage_ppm(),
            outages: assessment.outages.iter().map(|outage| (outage.span.from, outage.span.to)).collect(),
            slots_expected: check.slots_expected,
            slots_answered: check.slots_answered,
        };
        assert_eq!(found, case.expect, "{}", case.name);
        seen += 1;
    }
    assert!(14 <= seen, "only {seen} cases were found");
}
