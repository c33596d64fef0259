//! `/metrics`: Prometheus' text format 0.0.4.
//!
//! A ratio without data has no line, rather than a made-up number. Counters start at nought with the process.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Web;
use super::figures::{CheckFigures, Figures};
use super::shade::Shade;
use super::view::Standing;
use crate::counters::Counters;
use crate::incident::{Incident, Kind};
use crate::store::gaps::Life;
use crate::store::probes::ProbeRecord;
use crate::store::{StoreError, gaps, incidents, outbox, probes, silences};
use crate::uptime::Accounts;

pub(super) async fn metrics(State(web): State<Web>) -> Response {
    match text(&web).await {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "web.metrics_failed");
            (StatusCode::SERVICE_UNAVAILABLE, "the log of the aggregator says why\n").into_response()
        }
    }
}

async fn text(web: &Web) -> Result<String, StoreError> {
    let fleet = web.running.fleet.borrow().clone();
    let services = web.day_of_all(&fleet, web.running.clock.now()).await?;
    let now = web.running.clock.now();
    let read = move |conn: &rusqlite::Connection| {
        let since = now.plus_ms(-outbox::LOOK_BACK_MS);
        let letters = Letters {
            waiting: outbox::waiting(conn)?,
            untold: outbox::untold_since(conn, since)?.len(),
            given_up: outbox::given_up_since(conn, since)?.len(),
        };
        let ours = Ours { silences: silences::holding(conn, now)?.len(), life: gaps::life(conn)? };
        Ok((incidents::open(conn)?, probes::list(conn)?, letters, ours))
    };
    let (open, probes, letters, ours) = web.running.store.read(read).await?;
    let mut page = Page::default();
    page.family("nines_build_info", "gauge", "The version that runs; always 1.");
    page.line("nines_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    ratios(&mut page, &services);
    states(&mut page, &services);
    latencies(&mut page, &services);
    of_incidents(&mut page, &open);
    of_letters(&mut page, &letters);
    of_ours(&mut page, &ours);
    page.family("database_damaged", "gauge", "1 once damage of the database was found.");
    page.line("database_damaged", &[], i32::from(web.running.store.damage().is_some()));
    of_probes(&mut page, &probes);
    counts(&mut page, &web.running.counters);
    Ok(page.0)
}

fn ratios(page: &mut Page, services: &[Arc<Figures>]) {
    let mut ratio = |name: &str, help: &str, extra: &[(&str, &str)], of: fn(&Accounts) -> Option<u32>| {
        page.family(name, "gauge", help);
        for figures in services {
            let Some(ppm) = of(&figures.assessment.accounts) else { continue };
            let service = &figures.service;
            let mut labels =
                vec![("customer", service.customer.as_str()), ("service", service.id.as_str()), ("window", "24h")];
            labels.extend(extra);
            page.line(name, &labels, format_args!("{}.{:06}", ppm / 1_000_000, ppm % 1_000_000));
        }
    };
    ratio("sla_uptime_ratio", "SLI availability of the last 24 h, floored.", &[], Accounts::availability_ppm);
    ratio("sla_coverage_ratio", "How much of the counted time was observed, floored.", &[], Accounts::coverage_ppm);
    ratio(
        "sla_worst_case_ratio",
        "Availability with unknown time taken as down, floored.",
        &[],
        Accounts::worst_case_ppm,
    );
    ratio("sla_best_case_ratio", "Availability with unknown time taken as up, floored.", &[], Accounts::best_case_ppm);
}

/// The states of a StateSet: one line each, exactly one of them 1.
const STATES: [Shade; 5] = [Shade::Up, Shade::Degraded, Shade::Unknown, Shade::Down, Shade::Maintenance];

fn states(page: &mut Page, services: &[Arc<Figures>]) {
    page.family("service_state", "gauge", "1 for the state that the service is in.");
    for figures in services {
        let assessment = &figures.assessment;
        let standing = Standing::of(&assessment.timeline, &assessment.excluded, figures.life);
        page.state_set("service_state", &[("service", figures.service.id.as_str())], standing.shade);
    }
    page.family("check_state", "gauge", "1 for the verdict of the check.");
    for (figures, check) in checks(services) {
        let standing = Standing::of(&check.assessment.timeline, &[], figures.life);
        let labels = [("service", figures.service.id.as_str()), ("check", check.check.id.as_str())];
        page.state_set("check_state", &labels, standing.shade);
    }
    page.family("check_region_state", "gauge", "1 for what the region says of the check.");
    for (figures, check) in checks(services) {
        for region in &check.assessment.regions {
            let standing = Standing::of(&region.timeline, &[], figures.life);
            let id = figures.service.id.as_str();
            let labels = [("service", id), ("check", check.check.id.as_str()), ("region", region.region.as_str())];
            page.state_set("check_region_state", &labels, standing.shade);
        }
    }
}

fn checks(services: &[Arc<Figures>]) -> impl Iterator<Item = (&Arc<Figures>, &CheckFigures)> {
    services.iter().flat_map(|figures| figures.checks.iter().map(move |check| (figures, check)))
}

fn latencies(page: &mut Page, services: &[Arc<Figures>]) {
    let name = "check_latency_seconds";
    page.family(name, "gauge", "Percentiles of the planned samples that worked in the last 24 h.");
    for (figures, check) in checks(services) {
        let Some(whole) = check.latency.whole else { continue };
        for (quantile, us) in [("0.5", whole.p50), ("0.95", whole.p95), ("0.99", whole.p99)] {
            let id = figures.service.id.as_str();
            let labels = [("service", id), ("check", check.check.id.as_str()), ("quantile", quantile)];
            page.line(name, &labels, format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000));
        }
    }
}

fn of_incidents(page: &mut Page, open: &[Incident]) {
    page.family("incidents_open", "gauge", "Incidents that are open.");
    for kind in Kind::ALL {
        let count = open.iter().filter(|incident| incident.kind == kind).count();
        page.line("incidents_open", &[("kind", kind.code())], count);
    }
}

/// What became of what was to be told.
struct Letters {
    waiting: u64,
    /// Incidents of the last week.
    untold: usize,
    /// Channels of the last week.
    given_up: usize,
}

fn of_letters(page: &mut Page, letters: &Letters) {
    page.family("notify_outbox_waiting", "gauge", "Notifications that are not delivered yet.");
    page.line("notify_outbox_waiting", &[], letters.waiting);
    page.family("notify_incidents_untold", "gauge", "Incidents of the last 7 days of which nobody was told.");
    page.line("notify_incidents_untold", &[], letters.untold);
    page.family("notify_channels_given_up", "gauge", "Channels that were given up in the last 7 days.");
    page.line("notify_channels_given_up", &[], letters.given_up);
}

/// What is about ourselves.
struct Ours {
    silences: usize,
    life: Option<Life>,
}

fn of_ours(page: &mut Page, ours: &Ours) {
    page.family("silences_active", "gauge", "Silences that hold.");
    page.line("silences_active", &[], ours.silences);
    let Some(life) = &ours.life else { return };
    page.family("heartbeat_faulty", "gauge", "1 while the watcher outside is not told that we live.");
    page.line("heartbeat_faulty", &[], i32::from(life.heartbeat_fault.is_some()));
    if let Some(at) = life.heartbeat_at {
        page.family(
            "heartbeat_last_timestamp_seconds",
            "gauge",
            "When the watcher outside was last told that we live.",
        );
        page.line("heartbeat_last_timestamp_seconds", &[], seconds(at.as_ms()));
    }
}

fn of_probes(page: &mut Page, probes: &[ProbeRecord]) {
    let there: Vec<&ProbeRecord> = probes.iter().filter(|probe| probe.revoked_at.is_none()).collect();
    let mut each = |name: &str, kind: &str, help: &str, of: fn(&ProbeRecord) -> Option<String>| {
        page.family(name, kind, help);
        for probe in &there {
            let Some(value) = of(probe) else { continue };
            page.line(name, &[("probe", probe.id.as_str()), ("region", probe.region.as_str())], value);
        }
    };
    each("probe_last_seen_timestamp_seconds", "gauge", "When the probe was last heard, by our clock.", |probe| {
        probe.seen_at.map(|at| seconds(at.as_ms()))
    });
    each("probe_clock_offset_seconds", "gauge", "The probe's clock against ours; positive: ahead.", |probe| {
        probe.health.clock_offset_ms.map(seconds)
    });
    each("spool_samples", "gauge", "Samples that wait on the probe.", |probe| Some(probe.health.spooled.to_string()));
    each("spool_dropped_total", "counter", "Samples that the full spool dropped.", |probe| {
        Some(probe.health.dropped.to_string())
    });
    each("spool_refused_samples", "gauge", "Samples that we refused and the probe keeps.", |probe| {
        Some(probe.health.refused.to_string())
    });
    each("probe_missed_slots_total", "counter", "Slots that the probe gave up since it started.", |probe| {
        Some(probe.health.missed.to_string())
    });
}

fn counts(page: &mut Page, counters: &Counters) {
    let all = [
        ("results_ingested_total", "Samples that were new and are committed.", &counters.samples_stored),
        ("results_duplicate_total", "Samples that were there already.", &counters.samples_duplicate),
        ("batches_refused_total", "Batches that were refused.", &counters.batches_refused),
        (
            "probe_connections_turned_away_total",
            "Connections closed: their address had its share.",
            &counters.probes_turned_away,
        ),
        (
            "web_connections_turned_away_total",
            "Connections closed: their address had its share.",
            &counters.people_turned_away,
        ),
        ("asks_made_total", "Confirmations asked of regions.", &counters.asks_made),
        ("asks_answered_total", "Confirmations answered by a sample.", &counters.asks_answered),
        ("asks_refused_total", "Confirmations not asked: target or accuser had its share.", &counters.asks_refused),
        ("asks_unheard_total", "Confirmations not asked: no probe of the region listens.", &counters.asks_unheard),
        ("asks_expired_total", "Confirmations that no sample answered in time.", &counters.asks_expired),
        ("evaluator_ticks_total", "Ticks of the evaluator that went well.", &counters.ticks),
        ("evaluations_total", "Evaluations of a service.", &counters.evaluations),
        ("notify_sent_total", "Notifications that a channel accepted.", &counters.notifications_sent),
        ("notify_failed_total", "Tries to notify that failed.", &counters.notifications_failed),
        ("notify_given_up_total", "Notifications that were given up.", &counters.notifications_given_up),
    ];
    for (name, help, counter) in all {
        page.family(name, "counter", help);
        page.line(name, &[], counter.get());
    }
    let name = "probe_requests_limited_total";
    page.family(name, "counter", "Requests of the probe that were told to come again: it had its share.");
    for (probe, limit, count) in counters.limited.all() {
        page.line(name, &[("probe", probe.as_str()), ("limit", limit)], count);
    }
    let name = "probe_requests_shut_out_total";
    page.family(name, "counter", "Requests under a certificate of the probe that is not good any more.");
    for (probe, why, count) in counters.shut_out.all() {
        page.line(name, &[("probe", probe.as_str()), ("reason", why)], count);
    }
    let name = "asks_answered_seconds_total";
    page.family(name, "counter", "How long the answers took together, from the ask to the sample stored.");
    page.line(name, &[], seconds(i64::try_from(counters.asks_answered_ms.get()).unwrap_or(i64::MAX)));
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000)
}

/// The text as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn state_set(&mut self, name: &str, labels: &[(&str, &str)], shade: Shade) {
        for state in STATES {
            let mut labels = labels.to_vec();
            labels.push(("state", state.word()));
            self.line(name, &labels, i32::from(state == shade));
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.put(format_args!("{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let mark = if index == 0 { '{' } else { ',' };
            self.put(format_args!("{mark}{label}=\"{}\"", escaped(text)));
        }
        self.put(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a String takes whatever is written");
    }
}

/// A label's value: backslash, quote and line feed escaped, as the format wants.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_times_are_exact() {
        let mut page = Page::default();
        page.line("a", &[("b", "x\"y\\z\n")], seconds(-1_005));
        assert_eq!(page.0, "a{b=\"x\\\"y\\\\z\\n\"} -1.005\n");
        assert_eq!(seconds(1_795_353_748_123), "1795353748.123");
    }

    #[test]
    fn a_state_set_has_exactly_one_state() {
        let mut page = Page::default();
        page.state_set("s", &[], Shade::Unknown);
        assert_eq!(page.0.lines().filter(|line| line.ends_with(" 1")).count(), 1);
        assert_eq!(page.0.lines().count(), STATES.len());
    }
}
