//! Every way to bend a report is found, and named by its place.

use std::path::Path;

use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::archive::Reader;
use crate::report::life::{self, Drafted, Month, Wish};
use crate::report::tests::{FLEET, MINUTE, START, Shelf, shelf, store, two_hours};
use crate::store::samples;
use crate::store::samples::days::Form;

/// October, frozen, as JSON; and its samples.
fn october() -> (Value, Vec<Sample>) {
    let shelf: Shelf = shelf(FLEET);
    let mut held = two_hours(&shelf);
    store(&shelf, &held);
    let month =
        Month { environment: "test".to_owned(), customer: "acme".parse().unwrap(), month: "2026-10".to_owned() };
    let now = Timestamp::from_ms(START + (31 * 24 + 72) * 60 * MINUTE);
    let drafted = shelf.store.read_blocking(|conn| Ok(life::draft(conn, &month, &Wish::FreezeByHand, Some("RW"), now)));
    let Drafted::Ready(draft) = drafted.unwrap().unwrap() else { panic!("a month that is past is complete") };
    held.sort_by(|left, right| left.identity().cmp(&right.identity()));
    (serde_json::from_str(&draft.text).unwrap(), held)
}

fn lines(samples: &[Sample]) -> Vec<u8> {
    samples.iter().map(|sample| samples::canonical(sample) + "\n").collect::<String>().into_bytes()
}

/// What is found in the report, alone and with the samples.
fn found(report: &Value, held: &[Sample]) -> Result<(Vec<Finding>, Vec<Finding>), SamplesError> {
    let (text, raw) = (report.to_string(), lines(held));
    let model: Report = serde_json::from_str(&text).unwrap();
    let mut reader = Reader::new(&raw[..], Path::new("october.ndjson")).unwrap();
    let (with_samples, _further) = against_samples(&model, &text, &mut reader)?;
    Ok((arithmetic(&model), with_samples))
}

fn paths(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.path.as_str()).collect()
}

#[test]
fn a_report_that_nobody_bent_is_good_and_so_it_is_with_more_samples_than_it_uses() {
    let (report, mut held) = october();
    assert_eq!(found(&report, &held).unwrap(), (vec![], vec![]));
    let mut other = held[0].clone();
    other.check = "another".parse().unwrap();
    let mut later = held.last().unwrap().clone();
    later.scheduled_at = Timestamp::from_ms(START + 40 * 24 * 60 * MINUTE);
    held.insert(0, other);
    held.push(later);
    assert_eq!(found(&report, &held).unwrap(), (vec![], vec![]));
}

#[test]
fn a_report_of_the_form_before_days_is_made_again_in_that_form() {
    let (report, held) = october();
    assert_eq!(report["samples_form"], "days");
    let model: Report = serde_json::from_value(report).unwrap();
    let before = life::plan_of(&Report { samples_form: Form::Lines, ..model });
    let shelf: Shelf = shelf(FLEET);
    store(&shelf, &held);
    let before = shelf.store.read_blocking(|conn| Ok(before.carried_out(conn))).unwrap().unwrap();
    let mut before = serde_json::to_value(&before).unwrap();
    assert!(before.get("samples_form").is_none(), "it is written as it was then");
    let used = |sample: &&Sample| {
        let at = sample.scheduled_at.as_ms();
        before["samples_from"].as_i64().unwrap() <= at && at < before["samples_to"].as_i64().unwrap()
    };
    let used: Vec<Sample> = held.iter().filter(used).cloned().collect();
    assert_eq!(before["samples"], crate::fingerprint::of(&lines(&used)));
    let of_region: Vec<Sample> = used.iter().filter(|sample| sample.region.as_str() == "eu-west").cloned().collect();
    let series = &before["services"][0]["checks"][0]["regions"][1]["samples"];
    assert_eq!(series["digest"], crate::fingerprint::of(&lines(&of_region)));
    assert_eq!(found(&before, &held).unwrap(), (vec![], vec![]));
    let (_, missing) = found(&before, &held[..held.len() - 10]).unwrap();
    assert!(paths(&missing).contains(&"samples"), "{missing:?}");
    before["samples_form"] = json!("days");
    assert!(paths(&found(&before, &held).unwrap().1).contains(&"samples"), "a digest is of one form alone");
}

/// What is bent, where, to what, and where that must be found: by arithmetic, and with the samples.
type Bent = (&'static str, &'static str, fn() -> Value, &'static str, &'static str);

const BENT: &[Bent] = &[
    (
        "downtime made shorter",
        "/services/0/accounts/down_ms",
        || json!(1),
        "services[shop].accounts.down_ms",
        "services[shop].accounts.down_ms",
    ),
    (
        "an availability rounded up",
        "/services/0/availability_ppm",
        || json!(954_546),
        "services[shop].availability_ppm",
        "services[shop].availability_ppm",
    ),
    (
        "a promise that was kept after all",
        "/services/0/sla/verdict",
        || json!("met"),
        "services[shop].sla.verdict",
        "services[shop].sla.verdict",
    ),
    (
        "a smaller credit",
        "/services/0/sla/credit_percent",
        || json!(5),
        "services[shop].sla.credit_percent",
        "services[shop].sla.credit_percent",
    ),
    (
        "an outage that went",
        "/services/0/outages",
        || json!([]),
        "services[shop].accounts.down_ms",
        "services[shop].outages[",
    ),
    (
        "another objective",
        "/services/0/sla/objective_ppm",
        || json!(900_000),
        "services[shop].sla.objective_ppm",
        "services[shop].sla.objective_ppm",
    ),
    (
        "a day that was better",
        "/services/0/days/0/accounts/up_ms",
        || json!(0),
        "services[shop].days[1790812800000].accounts",
        "services[shop].days[1790812800000].accounts.up_ms",
    ),
    (
        "slots that were answered",
        "/services/0/checks/0/regions/0/slots_answered",
        || json!(44_640),
        "services[shop].checks[shop-home].slots_answered",
        "services[shop].checks[shop-home].regions[ap-south].slots_answered",
    ),
    ("another definition", "/basis/0/checks/0/versions/0/quorum", || json!(3), "definitions", "definitions"),
    (
        "another policy",
        "/basis/0/service/sla/policy/unknown",
        || json!("down"),
        "definitions",
        "services[shop].sla.bad",
    ),
    ("other samples", "/samples", || json!("sha256:00"), "", "samples"),
];

#[test]
fn what_was_bent_is_found_and_named() {
    let (report, held) = october();
    for (what, pointer, value, alone, with_samples) in BENT {
        let mut bent = report.clone();
        *bent.pointer_mut(pointer).unwrap_or_else(|| panic!("{what}: {pointer}")) = value();
        let (arithmetic, samples) = found(&bent, &held).unwrap();
        let has = |findings: &[Finding], path: &str| paths(findings).iter().any(|found| found.starts_with(path));
        assert!(alone.is_empty() || has(&arithmetic, alone), "{what}: {:?}", paths(&arithmetic));
        assert!(has(&samples, with_samples), "{what}: {:?}", paths(&samples));
    }
}

#[test]
fn another_contract_under_the_same_figures_is_found_by_its_terms() {
    let (mut report, held) = october();
    *report.pointer_mut("/basis/0/service/sla/objective_ppm").unwrap() = json!(900_000);
    let basis: Vec<crate::report::basis::ServiceBasis> = serde_json::from_value(report["basis"].clone()).unwrap();
    report["definitions"] = crate::report::basis::digest(&basis).into();
    let (arithmetic, samples) = found(&report, &held).unwrap();
    let terms = ["services[shop].sla.policy.version", "services[shop].sla.objective_ppm"];
    assert_eq!(paths(&arithmetic), terms);
    assert!(terms.iter().all(|path| paths(&samples).contains(path)), "{:?}", paths(&samples));
}

#[test]
fn samples_that_are_missing_changed_or_more_are_found_by_their_region() {
    let (report, held) = october();
    let of_region = "services[shop].checks[shop-home].regions[us-east].samples";
    let at = held.iter().position(|sample| sample.region.as_str() == "us-east").unwrap() + 10;
    let mut missing = held.clone();
    missing.remove(at);
    let mut changed = held.clone();
    changed[at].duration_us = Some(40_001);
    let mut more = held.clone();
    let mut extra = held[at].clone();
    extra.kind = nines_shared::sample::SampleKind::Extra;
    more.insert(at + 1, extra);
    for (what, samples, path) in [
        ("missing", &missing, format!("{of_region}.count")),
        ("changed", &changed, format!("{of_region}.digest")),
        ("more", &more, format!("{of_region}.count")),
    ] {
        let (arithmetic, found) = found(&report, samples).unwrap();
        assert_eq!(arithmetic, [], "{what}");
        assert!(paths(&found).contains(&path.as_str()), "{what}: {:?}", paths(&found));
        assert!(paths(&found).contains(&"samples"), "{what}");
        assert!(!paths(&found).iter().any(|path| path.contains("[eu-west].samples")), "{what}: the others are good");
    }
    let (_, found) = found(&report, &missing).unwrap();
    let slots = "services[shop].checks[shop-home].regions[us-east].slots_answered";
    let slots = found.iter().find(|finding| finding.path == slots).unwrap();
    assert_eq!(slots.says.as_i64().unwrap() - slots.must.as_i64().unwrap(), 1, "{slots}");
}

#[test]
fn samples_out_of_order_or_twice_are_refused_with_their_line() {
    let (report, mut held) = october();
    held.swap(0, 1);
    assert!(matches!(found(&report, &held), Err(SamplesError::Line { number: 2, .. })));
    held.swap(0, 1);
    held[1] = held[0].clone();
    assert!(matches!(found(&report, &held), Err(SamplesError::Line { number: 2, .. })));
}

#[test]
fn a_report_without_its_definitions_can_not_be_made_again() {
    let (mut report, held) = october();
    report["basis"] = json!([]);
    assert!(matches!(found(&report, &held), Err(SamplesError::NoBasis)));
    let (mut report, held) = october();
    *report.pointer_mut("/basis/0/checks/0/versions/0/quorum").unwrap() = json!(9);
    assert!(matches!(found(&report, &held), Err(SamplesError::Report(_))));
}
