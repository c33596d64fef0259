//! The sums inside a report: nothing but the report is needed.

use nines_shared::time::Span;
use serde::Serialize;
use serde_json::Value;

use super::Finding;
use crate::definition::Slo;
use crate::fingerprint;
use crate::report::basis;
use crate::report::model::{CheckReport, Report, SCHEMA, ServiceReport, SlaReport, SloWindow};
use crate::uptime::sla::Kept;
use crate::uptime::{Accounts, accounts, sla, slo};

/// Everything that does not add up, in the report's order.
pub(super) fn of(report: &Report) -> Vec<Finding> {
    let mut book = Book { findings: Vec::new() };
    book.must("schema", &report.schema, &SCHEMA.to_owned(), "the format");
    for service in &report.services {
        service_adds_up(&mut book, service, report);
    }
    if !report.basis.is_empty() {
        let digest = basis::digest(&report.basis);
        book.must("definitions", &report.definitions, &digest, "the digest of basis");
    }
    book.findings
}

struct Book {
    findings: Vec<Finding>,
}

impl Book {
    fn must<T: Serialize + PartialEq>(&mut self, path: impl Into<String>, says: &T, must: &T, why: &'static str) {
        if says != must {
            let value = |of: &T| serde_json::to_value(of).unwrap_or(Value::Null);
            self.findings.push(Finding { path: path.into(), says: value(says), must: value(must), why });
        }
    }

    fn at_most(&mut self, path: String, says: i64, limit: i64, why: &'static str) {
        self.must(path, &says, &says.min(limit), why);
    }
}

fn service_adds_up(book: &mut Book, service: &ServiceReport, report: &Report) {
    let path = format!("services[{}]", service.service);
    let judged = Span::new(service.from, service.to);
    let whole = &service.accounts;
    accounts_add_up(book, &format!("{path}.accounts"), whole, judged);
    let ratios = [service.availability_ppm, service.coverage_ppm, service.worst_case_ppm, service.best_case_ppm];
    ratios_follow(book, &path, ratios, whole);
    if !service.days.is_empty() {
        let mut from = service.from;
        for day in &service.days {
            let path = format!("{path}.days[{}]", day.from.as_ms());
            book.must(format!("{path}.from"), &day.from, &from, "the end of the day before");
            accounts_add_up(book, &format!("{path}.accounts"), &day.accounts, Span::new(day.from, day.to));
            from = day.to;
        }
        book.must(format!("{path}.days"), &from, &service.to, "the end of the last day");
        for (key, get) in FIELDS {
            let sum: i64 = service.days.iter().map(|day| get(&day.accounts)).sum();
            book.must(format!("{path}.accounts.{key}"), &get(whole), &sum, "the sum of the days");
        }
    }
    let lengths = service.outages.iter().map(|outage| outage.to.since(outage.from)).sum();
    book.must(format!("{path}.accounts.down_ms"), &whole.down_ms, &lengths, "the sum of the outages");
    let at_least = service.outages.iter().map(|outage| outage.at_least_ms).sum();
    book.must(
        format!("{path}.accounts.down_at_least_ms"),
        &whole.down_at_least_ms,
        &at_least,
        "the sum of the outages",
    );
    let basis = report.basis.iter().find(|basis| basis.service.id == service.service);
    if let Some(found) = &service.sla {
        let defined = basis.and_then(|basis| basis.service.sla.as_ref());
        contract_follows(book, &format!("{path}.sla"), found, defined);
    }
    if let (Some(budget), Some(defined)) = (&service.slo, basis.and_then(|basis| basis.service.slo.as_ref())) {
        book.must(format!("{path}.slo"), budget, &slo::budget(defined, whole), "the objective");
    }
    if let Some(rolling) = &service.slo_window {
        objective_follows(book, &format!("{path}.slo_window"), rolling);
    }
    for check in &service.checks {
        check_adds_up(book, &format!("{path}.checks[{}]", check.check), check);
    }
}

/// A field of accounts, by its name.
type Field = (&'static str, fn(&Accounts) -> i64);

/// The fields of accounts that add up over days.
const FIELDS: [Field; 7] = [
    ("up_ms", |accounts| accounts.up_ms),
    ("degraded_ms", |accounts| accounts.degraded_ms),
    ("down_ms", |accounts| accounts.down_ms),
    ("unknown_ms", |accounts| accounts.unknown_ms),
    ("excluded_ms", |accounts| accounts.excluded_ms),
    ("down_at_least_ms", |accounts| accounts.down_at_least_ms),
    ("down_at_most_ms", |accounts| accounts.down_at_most_ms),
];

fn accounts_add_up(book: &mut Book, path: &str, accounts: &Accounts, window: Span) {
    book.must(path, &accounts.total_ms(), &window.length_ms(), "the length of its time (INV-4)");
    for (key, get) in FIELDS {
        book.must(format!("{path}.{key}"), &get(accounts), &get(accounts).max(0), "a length of time");
    }
    book.at_most(format!("{path}.down_at_least_ms"), accounts.down_at_least_ms, accounts.down_ms, "down_ms");
    book.at_most(format!("{path}.down_ms"), accounts.down_ms, accounts.down_at_most_ms, "down_at_most_ms");
}

fn ratios_follow(book: &mut Book, path: &str, says: [Option<u32>; 4], accounts: &Accounts) {
    let must = [
        ("availability_ppm", accounts.availability_ppm()),
        ("coverage_ppm", accounts.coverage_ppm()),
        ("worst_case_ppm", accounts.worst_case_ppm()),
        ("best_case_ppm", accounts.best_case_ppm()),
    ];
    for (says, (key, must)) in says.into_iter().zip(must) {
        book.must(format!("{path}.{key}"), &says, &must, "the ratio of accounts, rounded down");
    }
}

fn contract_follows(book: &mut Book, path: &str, found: &SlaReport, defined: Option<&crate::definition::Sla>) {
    let measured = accounts::ppm(found.good, found.good + found.bad);
    book.must(format!("{path}.measured_ppm"), &found.measured_ppm, &measured, "good / (good + bad), rounded down");
    let cases = sla::Cases { worst: found.worst_case_ppm, best: found.best_case_ppm };
    // Reports of the first programs have no cases: what was measured decided.
    let decides = match (cases.worst, cases.best) {
        (None, None) => sla::Cases { worst: measured, best: measured },
        (Some(_) | None, Some(_) | None) => cases,
    };
    let verdict = Kept::of(found.objective_ppm, decides);
    book.must(format!("{path}.verdict"), &found.verdict, &verdict, "the objective");
    let met = match verdict {
        Kept::Met => Some(true),
        Kept::Breached => Some(false),
        Kept::Undetermined => None,
    };
    book.must(format!("{path}.met"), &found.met, &met, "the objective");
    let due = |ppm: Option<u32>| ppm.map(|ppm| sla::credit(&found.policy.credits, ppm));
    let credits = [
        ("credit_percent", found.credit_percent, due(measured)),
        ("credit_worst_case_percent", found.credit_worst_case_percent, due(cases.worst)),
        ("credit_best_case_percent", found.credit_best_case_percent, due(cases.best)),
    ];
    for (key, says, must) in credits {
        book.must(format!("{path}.{key}"), &says, &must, "the tiers of credit");
    }
    if let Some(defined) = defined {
        let terms = serde_json::to_vec(defined).expect("a contract has only text keys and is written to memory");
        book.must(
            format!("{path}.policy.version"),
            &found.policy.version,
            &fingerprint::of(&terms),
            "the contract in basis",
        );
        book.must(
            format!("{path}.objective_ppm"),
            &found.objective_ppm,
            &defined.objective_ppm,
            "the contract in basis",
        );
        book.must(format!("{path}.policy.credits"), &found.policy.credits, &defined.credits, "the contract in basis");
    }
}

fn objective_follows(book: &mut Book, path: &str, found: &SloWindow) {
    let accounts = &found.accounts;
    accounts_add_up(book, &format!("{path}.accounts"), accounts, Span::new(found.from, found.to));
    let ratios = [
        ("availability_ppm", found.availability_ppm, accounts.availability_ppm()),
        ("coverage_ppm", found.coverage_ppm, accounts.coverage_ppm()),
    ];
    for (key, says, must) in ratios {
        book.must(format!("{path}.{key}"), &says, &must, "the ratio of accounts, rounded down");
    }
    let slo = Slo { availability_ppm: found.budget.objective_ppm, latency_p95_ms: None, window_ms: 0 };
    book.must(format!("{path}.budget"), &found.budget, &slo::budget(&slo, accounts), "the objective");
    let cases = sla::Cases { worst: accounts.worst_case_ppm(), best: accounts.best_case_ppm() };
    let verdict = Kept::of(found.budget.objective_ppm, cases);
    book.must(format!("{path}.verdict"), &found.verdict, &verdict, "the objective");
}

fn check_adds_up(book: &mut Book, path: &str, check: &CheckReport) {
    let ratios = [check.availability_ppm, check.coverage_ppm];
    let must = [check.accounts.availability_ppm(), check.accounts.coverage_ppm()];
    for ((key, says), must) in ["availability_ppm", "coverage_ppm"].into_iter().zip(ratios).zip(must) {
        book.must(format!("{path}.{key}"), &says, &must, "the ratio of accounts, rounded down");
    }
    let sum = |of: fn(&crate::report::model::RegionReport) -> i64| check.regions.iter().map(of).sum::<i64>();
    let expected = sum(|region| region.slots_expected);
    book.must(format!("{path}.slots_expected"), &check.slots_expected, &expected, "the sum of the regions");
    let answered = sum(|region| region.slots_answered);
    book.must(format!("{path}.slots_answered"), &check.slots_answered, &answered, "the sum of the regions");
    for region in &check.regions {
        let path = format!("{path}.regions[{}]", region.region);
        book.at_most(format!("{path}.slots_answered"), region.slots_answered, region.slots_expected, "slots_expected");
        let parts = [region.up_ms, region.degraded_ms, region.down_ms, region.unknown_ms, region.excluded_ms];
        let total = check.accounts.total_ms();
        book.must(path, &parts.iter().sum::<i64>(), &total, "the length of its check's time");
    }
}
