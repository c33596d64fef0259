//! What is told of one service: the three numbers, each by its name, and what they come from.

use nines_shared::time::{Span, Timestamp};

use super::front::{cases, cases_of, credits_of, delivered, told, verdict};
use super::{Block, Chart, Figure, Section, Tone, checks, policy, tables};
use crate::report::drawing::{bar, strip};
use crate::report::figures::{self, NO_DATA, Zone, exact, percent, signed};
use crate::report::model::{Report, ServiceReport, SlaReport, SloWindow};
use crate::uptime::sla::Kept;
use crate::uptime::slo::{Budget, LatencyObjective};
use crate::words;

pub(super) fn section(service: &ServiceReport, report: &Report, zone: Zone<'_>) -> Section {
    let mut blocks = Vec::new();
    blocks.extend(judged(service, (report.from, report.to), zone));
    blocks.push(Block::Figures(numbers(service, zone)));
    if let Some(budget) = &service.slo {
        blocks.push(Block::Chart(spent(budget)));
    }
    blocks.extend(days(service, zone));
    blocks.push(Block::Heading("Where the time went".to_owned()));
    blocks.push(Block::Chart(Chart { drawing: bar::accounts(&service.accounts), alt: tables::spent(service) }));
    blocks.push(Block::Table(tables::time(service)));
    blocks.push(Block::Heading("Outages".to_owned()));
    blocks.push(tables::outages(service, zone));
    blocks.push(Block::Heading("Maintenance and what else was set aside".to_owned()));
    blocks.extend(tables::maintenance(service, zone));
    for check in &service.checks {
        blocks.extend(checks::latency(check, service, zone));
    }
    blocks.push(Block::Heading("What was looked at".to_owned()));
    for check in &service.checks {
        blocks.extend(checks::seen(check, report, zone));
    }
    if let Some(sla) = &service.sla {
        blocks.push(Block::Heading("How the contract counts".to_owned()));
        blocks.push(Block::List(policy::terms(sla, &report.timezone)));
        blocks.push(Block::Proof(vec![("Terms of the contract", sla.policy.version.clone())]));
    }
    if !service.days.is_empty() {
        blocks.push(Block::Heading("The days in figures".to_owned()));
        blocks.push(Block::Table(tables::days(service, zone)));
    }
    let id = service.service.to_string();
    let beside = (service.name != id).then(|| id.clone());
    Section { id, title: service.name.clone(), beside, blocks }
}

fn judged(service: &ServiceReport, asked: (Timestamp, Timestamp), zone: Zone<'_>) -> Option<Block> {
    let judged = Span { from: service.from, to: service.to };
    let told = || format!("{} – {}", zone.moment(judged.from), zone.moment(judged.to));
    ((judged.from, judged.to) != asked)
        .then(|| Block::Soft(format!("Judged: {}, the part of the window in which it lived.", told())))
}

/// What happened, what we aim for, what was signed: three numbers that are never mixed.
fn numbers(service: &ServiceReport, zone: Zone<'_>) -> Vec<Figure> {
    let mut numbers = vec![happened(service)];
    numbers.extend(service.slo.as_ref().map(aimed));
    numbers.extend(service.slo_window.as_ref().map(|rolling| aimed_over(rolling, zone)));
    numbers.extend(service.latency_slo.as_ref().map(quick));
    numbers.extend(service.sla.iter().map(signed_for));
    numbers
}

fn happened(service: &ServiceReport) -> Figure {
    let accounts = &service.accounts;
    let mut notes = vec![format!("coverage {}", percent(service.coverage_ppm))];
    notes.extend(told(cases(service)));
    notes.push(format!("down {}", exact(accounts.down_ms)));
    let (least, most) = (exact(accounts.down_at_least_ms), exact(accounts.down_at_most_ms));
    notes.push(format!("at least {least}, at most {most}"));
    Figure {
        mark: "SLI",
        label: "what happened: availability".to_owned(),
        text: percent(service.availability_ppm),
        tone: Tone::Plain,
        notes,
    }
}

fn aimed(budget: &Budget) -> Figure {
    let overspent = budget.remaining_ms < 0;
    Figure {
        mark: "SLO",
        label: "what we aim for: error budget left of this time".to_owned(),
        text: signed(budget.remaining_ms),
        tone: if overspent { Tone::Bad } else { Tone::Plain },
        notes: vec![
            format!("objective {}", words::objective(budget.objective_ppm)),
            format!("{} of {} spent", exact(budget.spent_ms), exact(budget.budget_ms)),
        ],
    }
}

/// The same over the objective's own window, which is not the report's.
fn aimed_over(rolling: &SloWindow, zone: Zone<'_>) -> Figure {
    let SloWindow { from, to, budget, .. } = rolling;
    let (verdict, tone) = match rolling.verdict {
        Kept::Met => ("objective met", Tone::Plain),
        Kept::Breached => ("objective not met", Tone::Bad),
        Kept::Undetermined if rolling.availability_ppm.is_none() => (NO_DATA, Tone::Unsure),
        Kept::Undetermined => ("what is unknown decides whether it was met", Tone::Unsure),
    };
    Figure {
        mark: "SLO",
        label: "what we aim for: error budget left of its own window".to_owned(),
        text: signed(budget.remaining_ms),
        tone,
        notes: vec![
            verdict.to_owned(),
            format!("{} – {}", zone.moment(*from), zone.moment(*to)),
            format!("availability {}, coverage {}", percent(rolling.availability_ppm), percent(rolling.coverage_ppm)),
            format!("{} of {} spent", exact(budget.spent_ms), exact(budget.budget_ms)),
        ],
    }
}

fn quick(latency: &LatencyObjective) -> Figure {
    let objective = u32::try_from(latency.p95_objective_us).unwrap_or(u32::MAX);
    Figure {
        mark: "SLO",
        label: "what we aim for: latency (p95)".to_owned(),
        text: latency.p95_us.map_or_else(|| NO_DATA.to_owned(), figures::latency),
        tone: if latency.met == Some(false) { Tone::Bad } else { Tone::Plain },
        notes: vec![
            format!("objective {}", figures::latency(objective)),
            match latency.met {
                Some(true) => "met".to_owned(),
                Some(false) => "not met".to_owned(),
                None => "nothing worked that could be timed".to_owned(),
            },
        ],
    }
}

fn signed_for(sla: &SlaReport) -> Figure {
    let (verdict, tone) = verdict(sla);
    let credit = match sla.credit_percent {
        Some(0) => "no credit due".to_owned(),
        Some(percent) => format!("credit due: {percent}\u{202f}% of the fee"),
        None => "no credit can be told".to_owned(),
    };
    let mut notes = vec![format!("promised {}", words::objective(sla.objective_ppm)), verdict.to_lowercase()];
    notes.extend(told(cases_of(sla)));
    notes.push(credit);
    notes.extend(credits_of(sla));
    Figure { mark: "SLA", label: "what was signed: delivered".to_owned(), text: delivered(sla), tone, notes }
}

fn spent(budget: &Budget) -> Chart {
    let spent = exact(budget.spent_ms);
    let alt =
        format!("Error budget: {spent} of {} spent, {} left.", exact(budget.budget_ms), signed(budget.remaining_ms));
    Chart { drawing: bar::budget(budget), alt }
}

fn days(service: &ServiceReport, zone: Zone<'_>) -> Vec<Block> {
    if service.days.is_empty() {
        return Vec::new();
    }
    let bad = service.days.iter().filter(|day| day.accounts.down_ms != 0);
    let told: Vec<String> =
        bad.map(|day| format!("{}: down {}", zone.shown(day.from, "%-d %B"), exact(day.accounts.down_ms))).collect();
    let alt = if told.is_empty() { "No day had downtime.".to_owned() } else { format!("{}.", told.join("; ")) };
    vec![
        Block::Heading("Day by day".to_owned()),
        Block::Chart(Chart { drawing: strip::days(&service.days, zone), alt }),
    ]
}
