//! What the page says: the model in words.

use nines_shared::time::{Span, Timestamp};

use super::policy;
use super::strip::{self, Cell, Part};
use crate::definition::Afterwards;
use crate::report::model::{
    CheckReport, MaintenanceReport, OutageReport, RegionReport, Report, ServiceReport, SlaReport, State,
};
use crate::uptime::accounts::ppm;
use crate::uptime::percentile::Percentiles;
use crate::uptime::sla::Kept;
use crate::uptime::{Accounts, calendar};
use crate::words;

/// Coverage that is all there is.
const WHOLE: u32 = 1_000_000;

/// The page.
#[derive(askama::Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    customer: String,
    environment: String,
    /// "October 2026", or the window.
    period: String,
    /// From when to when, with the zone.
    window: String,
    zone: String,
    state: String,
    settled: bool,
    revision: u32,
    headline: String,
    headline_class: &'static str,
    services: Vec<Service>,
    definitions: String,
    samples: String,
    /// The command that prints the digest of samples.
    command: String,
}

/// One service's section.
struct Service {
    id: String,
    name: String,
    promise: Option<Promise>,
    availability: String,
    coverage: String,
    covered: bool,
    /// Worst and best case, where coverage is not whole.
    cases: Option<(String, String)>,
    down: String,
    /// At least and at most.
    bounds: (String, String),
    judged: Option<String>,
    bar: Vec<Part>,
    days: Vec<Cell>,
    budget: Option<Budget>,
    latency: Option<Latency>,
    outages: Vec<Outage>,
    maintenance: Vec<Maintenance>,
    checks: Vec<Check>,
    terms: Vec<String>,
    terms_version: String,
}

struct Promise {
    promised: String,
    delivered: String,
    verdict: &'static str,
    class: &'static str,
    credit: String,
}

struct Budget {
    objective: String,
    allowed: String,
    remaining: String,
    overspent: bool,
}

struct Latency {
    p50: String,
    p95: String,
    p99: String,
}

struct Outage {
    from: String,
    to: String,
    length: String,
    at_least: String,
    at_most: String,
    regions: String,
    reason: String,
}

struct Maintenance {
    from: String,
    to: String,
    length: String,
    reason: String,
}

struct Check {
    id: String,
    target: String,
    pace: String,
    availability: String,
    coverage: String,
    cases: Option<(String, String)>,
    down: String,
    slots: String,
    regions: Vec<Region>,
}

struct Region {
    name: String,
    available: String,
    coverage: String,
    down: String,
    slots: String,
    latency: Option<Latency>,
}

impl Page {
    pub(super) fn of(report: &Report) -> Self {
        let zone = Zone(&report.timezone);
        let (headline, headline_class) = headline(&report.services);
        let services: String =
            report.services.iter().map(|service| format!(" --service {}", service.service)).collect();
        Self {
            customer: report.customer_name.clone(),
            environment: report.environment.clone(),
            period: zone.period(Span { from: report.from, to: report.to }),
            window: format!("{} – {}", zone.named(report.from), zone.named(report.to)),
            zone: report.timezone.clone(),
            state: match report.state {
                State::Final => "Final".to_owned(),
                State::Preliminary if report.complete => "Complete, not frozen".to_owned(),
                State::Preliminary => "Preliminary: late results may still change it".to_owned(),
            },
            settled: report.complete,
            revision: report.revision,
            headline,
            headline_class,
            services: report.services.iter().map(|service| Service::of(service, report, zone)).collect(),
            definitions: report.definitions.clone(),
            samples: report.samples.clone(),
            command: format!(
                "nines export --from {} --to {}{services} | sha256sum",
                calendar::utc_exact(report.samples_from),
                calendar::utc_exact(report.samples_to),
            ),
        }
    }
}

/// The one sentence, and its colour.
fn headline(services: &[ServiceReport]) -> (String, &'static str) {
    let promises: Vec<&SlaReport> = services.iter().filter_map(|service| service.sla.as_ref()).collect();
    let broken = promises.iter().filter(|sla| sla.verdict == Kept::Breached).count();
    let unknown = promises.iter().filter(|sla| sla.verdict == Kept::Undetermined).count();
    match (promises.len(), broken, unknown) {
        (0, _, _) => ("No promise was made for this time.".to_owned(), "is-unknown"),
        (1, 0, 0) => ("The promise was kept.".to_owned(), "is-up"),
        (1, 1, _) => ("The promise was not kept.".to_owned(), "is-down"),
        (_, 0, 0) => ("Every promise was kept.".to_owned(), "is-up"),
        (_, 0, _) if promises.iter().all(|sla| sla.measured_ppm.is_none()) => {
            ("There is no data to judge by.".to_owned(), "is-unknown")
        }
        (all, 0, none) if all == none => ("What is unknown decides whether it was kept.".to_owned(), "is-unknown"),
        (_, 0, _) => ("What could be judged was kept; for the rest, what is unknown decides.".to_owned(), "is-unknown"),
        (all, broken, _) => {
            (format!("{broken} of {all} promises {} not kept.", if broken == 1 { "was" } else { "were" }), "is-down")
        }
    }
}

impl Service {
    fn of(service: &ServiceReport, report: &Report, zone: Zone<'_>) -> Self {
        let accounts = &service.accounts;
        let (judged, asked) = (Span { from: service.from, to: service.to }, Span { from: report.from, to: report.to });
        Self {
            id: service.service.to_string(),
            name: service.name.clone(),
            promise: service.sla.as_ref().map(Promise::of),
            availability: percent(service.availability_ppm),
            coverage: percent(service.coverage_ppm),
            covered: service.coverage_ppm == Some(WHOLE),
            cases: cases(accounts),
            down: exact(accounts.down_ms),
            bounds: (exact(accounts.down_at_least_ms), exact(accounts.down_at_most_ms)),
            judged: (judged != asked).then(|| format!("{} – {}", zone.moment(judged.from), zone.moment(judged.to))),
            bar: strip::bar(accounts),
            days: strip::days(&service.days, |at, format| zone.shown(at, format)),
            budget: service.slo.as_ref().map(|slo| Budget {
                objective: words::objective(slo.objective_ppm),
                allowed: exact(slo.budget_ms),
                remaining: signed(slo.remaining_ms),
                overspent: slo.remaining_ms < 0,
            }),
            latency: service.latency_us.map(Latency::of),
            outages: service.outages.iter().map(|outage| Outage::of(outage, service, zone)).collect(),
            maintenance: service
                .maintenance
                .iter()
                .map(|announced| Maintenance {
                    from: zone.moment(announced.from),
                    to: zone.moment_after(announced.to, announced.from),
                    length: exact(announced.to.since(announced.from)),
                    reason: reason(announced, zone),
                })
                .collect(),
            checks: service.checks.iter().map(Check::of).collect(),
            terms: service.sla.as_ref().map(|sla| policy::terms(sla, &report.timezone)).unwrap_or_default(),
            terms_version: service.sla.as_ref().map(|sla| sla.policy.version.clone()).unwrap_or_default(),
        }
    }
}

impl Promise {
    fn of(sla: &SlaReport) -> Self {
        let (verdict, class) = match (sla.verdict, sla.measured_ppm) {
            (Kept::Met, _) => ("Kept", "is-up"),
            (Kept::Breached, _) => ("Not kept", "is-down"),
            (Kept::Undetermined, Some(_)) => ("Undetermined", "is-unknown"),
            (Kept::Undetermined, None) => ("No data", "is-unknown"),
        };
        Self {
            promised: words::objective(sla.objective_ppm),
            delivered: percent(sla.measured_ppm),
            verdict,
            class,
            credit: match sla.credit_percent {
                None => "—".to_owned(),
                Some(0) => "none".to_owned(),
                Some(percent) => format!("{percent}\u{202f}%"),
            },
        }
    }
}

impl Latency {
    fn of(latency: Percentiles) -> Self {
        let [p50, p95, p99] = [latency.p50, latency.p95, latency.p99].map(|us| words::latency(u64::from(us)));
        Self { p50, p95, p99 }
    }
}

impl Outage {
    fn of(outage: &OutageReport, service: &ServiceReport, zone: Zone<'_>) -> Self {
        let named = |id: &nines_shared::id::RegionId| {
            let regions = service.checks.iter().flat_map(|check| &check.regions);
            regions.filter(|region| region.region == *id).map(|region| region.name.clone()).next()
        };
        let regions: Vec<String> =
            outage.regions.iter().map(|id| named(id).unwrap_or_else(|| id.to_string())).collect();
        let reason = outage.reason.as_ref().map(|reason| words::code(reason.code()));
        Self {
            from: zone.moment(outage.from),
            to: if outage.to == service.to { "not over".to_owned() } else { zone.moment_after(outage.to, outage.from) },
            length: exact(outage.to.since(outage.from)),
            at_least: exact(outage.at_least_ms),
            at_most: exact(outage.at_most_ms),
            regions: words::list(&regions),
            reason: reason.unwrap_or_else(|| "no reason recorded".to_owned()),
        }
    }
}

impl Check {
    fn of(check: &CheckReport) -> Self {
        let mut paces: Vec<String> = check
            .versions
            .iter()
            .map(|version| {
                let every = words::duration(version.interval_ms);
                format!("every {every} from {}, quorum {}", words::count(version.regions, "region"), version.quorum)
            })
            .collect();
        paces.dedup();
        Self {
            id: check.check.to_string(),
            target: check.target.clone(),
            pace: paces.join("; then "),
            availability: percent(check.availability_ppm),
            coverage: percent(check.coverage_ppm),
            cases: cases(&check.accounts),
            down: exact(check.accounts.down_ms),
            slots: slots(check.slots_answered, check.slots_expected),
            regions: check.regions.iter().map(Region::of).collect(),
        }
    }
}

impl Region {
    fn of(region: &RegionReport) -> Self {
        let available = region.up_ms + region.degraded_ms;
        let observed = available + region.down_ms;
        Self {
            name: region.name.clone(),
            available: percent(ppm(available, observed)),
            coverage: percent(ppm(observed, observed + region.unknown_ms)),
            down: exact(region.down_ms),
            slots: slots(region.slots_answered, region.slots_expected),
            latency: region.latency_us.map(Latency::of),
        }
    }
}

/// Why time was set aside; of what was granted afterwards also when and by whom.
fn reason(announced: &MaintenanceReport, zone: Zone<'_>) -> String {
    match &announced.afterwards {
        None => announced.reason.clone(),
        Some(Afterwards { at, by }) => {
            format!(
                "excluded afterwards on {} by {by}, because: {}",
                zone.shown(*at, "%-d %b %Y %H:%M"),
                announced.reason
            )
        }
    }
}

/// Worst and best case, where coverage is not whole.
fn cases(accounts: &Accounts) -> Option<(String, String)> {
    let covered = accounts.coverage_ppm() == Some(WHOLE);
    let (worst, best) = accounts.worst_case_ppm().zip(accounts.best_case_ppm())?;
    (!covered).then(|| (words::percent(worst), words::percent(best)))
}

fn slots(answered: i64, expected: i64) -> String {
    format!("{} of {}", grouped(answered), grouped(expected))
}

/// 432 000: thousands apart, as numbers in tables are read.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn percent(ppm: Option<u32>) -> String {
    ppm.map_or_else(|| "no data".to_owned(), words::percent)
}

/// A length of time to the millisecond: downtime is not floored, since that would print it shorter than it was.
pub(super) fn exact(ms: i64) -> String {
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let mut parts: Vec<String> = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min")]
        .into_iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, unit)| format!("{count}\u{202f}{unit}"))
        .collect();
    if rest != 0 {
        let fraction = format!("{rest:03}");
        parts.push(format!("{}.{}\u{202f}s", seconds % 60, fraction.trim_end_matches('0')));
    } else if seconds % 60 != 0 || parts.is_empty() {
        parts.push(format!("{}\u{202f}s", seconds % 60));
    }
    parts.join(" ")
}

fn signed(ms: i64) -> String {
    if ms < 0 { format!("−{}", exact(ms.saturating_neg())) } else { exact(ms) }
}

/// The customer's zone, known to exist.
#[derive(Clone, Copy)]
struct Zone<'a>(&'a str);

impl Zone<'_> {
    fn shown(self, at: Timestamp, format: &str) -> String {
        calendar::shown(at, self.0, format).unwrap_or_else(|_no_zone| calendar::utc_exact(at))
    }

    /// `11 Oct 2026 03:12:09`.
    fn moment(self, at: Timestamp) -> String {
        self.shown(at, "%-d %b %Y %H:%M:%S%.f")
    }

    /// [`Zone::moment`], without the date where `before` has the same.
    fn moment_after(self, at: Timestamp, before: Timestamp) -> String {
        let day = |at| self.shown(at, "%Y-%m-%d");
        if day(at) == day(before) { self.shown(at, "%H:%M:%S%.f") } else { self.moment(at) }
    }

    /// `1 October 2026 00:00 CEST`.
    fn named(self, at: Timestamp) -> String {
        let seconds = if at.as_ms() % 60_000 == 0 { "%-d %B %Y %H:%M %Z" } else { "%-d %B %Y %H:%M:%S%.f %Z" };
        self.shown(at, seconds)
    }

    /// "October 2026" where the window is that month, else its ends.
    fn period(self, window: Span) -> String {
        let month = calendar::month(&self.shown(window.from, "%Y-%m"), self.0);
        if month == Ok(window) {
            return self.shown(window.from, "%B %Y");
        }
        format!("{} – {}", self.shown(window.from, "%-d %b %Y %H:%M"), self.shown(window.to, "%-d %b %Y %H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact() {
        let plain = |ms| exact(ms).replace('\u{202f}', " ");
        assert_eq!(plain(0), "0 s");
        assert_eq!(plain(330_900), "5 min 30.9 s");
        assert_eq!(plain(7), "0.007 s");
        assert_eq!(plain(3_600_000), "1 h");
        assert_eq!(plain(90_061_001), "1 d 1 h 1 min 1.001 s");
        assert_eq!(signed(-1_500).replace('\u{202f}', " "), "−1.5 s");
        assert_eq!(grouped(432_000).replace('\u{202f}', " "), "432 000");
        assert_eq!(grouped(12), "12");
    }

    #[test]
    fn a_month_is_called_by_its_name_and_another_window_by_its_ends() {
        let zone = Zone("Europe/Berlin");
        let month = calendar::month("2026-10", "Europe/Berlin").unwrap();
        assert_eq!(zone.period(month), "October 2026");
        assert_eq!(
            zone.period(Span { to: month.from.plus_ms(3_600_000), ..month }),
            "1 Oct 2026 00:00 – 1 Oct 2026 01:00"
        );
    }

    #[test]
    fn instants_keep_their_milliseconds() {
        let zone = Zone("Europe/Berlin");
        assert_eq!(zone.moment(Timestamp::from_ms(1_790_812_800_070)), "1 Oct 2026 02:00:00.07");
        assert_eq!(zone.moment(Timestamp::from_ms(1_790_812_800_000)), "1 Oct 2026 02:00:00");
    }
}
