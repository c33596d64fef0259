//! How long a report takes, from a database on disk to the last byte of JSON, and how that grows with the number
//! of samples. Prints a Markdown table.
//!
//! One service, one check of five regions every 30 s; a month of 30 days is 432,000 samples. Each figure is the
//! median of several runs on a warm page cache; `build` covers reading, digests, verdicts and accounts.

#![expect(clippy::print_stdout, reason = "its table is its answer")]

use std::path::Path;

use nines::definition::look::Look;
use nines::report::{self, Format, ReportRequest, Time};
use nines::store::{Store, definitions, samples};
use nines::uptime::service;
use nines::{definition::Fleet, fleet_file};
use nines_shared::sample::{Outcome, Phase, Phases, Reason, Sample, SampleKind};
use nines_shared::time::{Span, Timestamp};
use tokio::time::Instant;

/// 2026-09-01T00:00:00Z.
const START: Timestamp = Timestamp::from_ms(1_788_220_800_000);
const DAY_MS: i64 = 86_400_000;
const RUNS: usize = 5;

const FLEET: &str = r#"
[aggregator]
database = "nines.db"
[[region]]
id = "eu-west"
[[region]]
id = "us-east"
[[region]]
id = "ap-south"
[[region]]
id = "sa-east"
[[region]]
id = "af-south"
[[customer]]
id = "acme"
timezone = "Europe/Berlin"
[[service]]
id = "shop"
customer = "acme"
since = "2026-01-01T00:00:00Z"
slo = { availability = 99.95, window = "30d" }
sla = { availability = 99.9, period = "month", min_outage = "1m", credits = [{ below = 99.9, percent = 10 }] }
[[check]]
id = "shop-home"
service = "shop"
interval = "30s"
regions = ["eu-west", "us-east", "ap-south", "sa-east", "af-south"]
http = { url = "https://shop.example/" }
"#;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let store = Store::open(&folder.path().join("nines.db")).expect("a database");
    let (fleet, _warnings) = fleet_file::parse(FLEET, Path::new("bench.toml")).expect("the fleet makes sense");
    let loaded = fleet.clone();
    store.write_blocking(move |tx| definitions::load(tx, &loaded, START)).expect("definitions are stored");
    println!("| window | samples | read record | assess | build report | write JSON | write HTML | all |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut stored = START;
    for (name, ms) in
        [("¼ month", 30 * DAY_MS / 4), ("½ month", 15 * DAY_MS), ("1 month", 30 * DAY_MS), ("2 months", 60 * DAY_MS)]
    {
        let window = Span::new(START, START.plus_ms(ms));
        fill(&store, &fleet, Span::new(stored, window.to));
        stored = window.to;
        println!("{}", row(&store, &fleet, name, window));
    }
}

/// Stores the planned samples of `span`: up, but for a minute of failure every day and 1 % slow ones.
fn fill(store: &Store, fleet: &Fleet, span: Span) {
    let mut batch = Vec::new();
    for check in &fleet.checks {
        for region in &check.regions {
            let cadence = check.cadence(region).expect("the check is asked from its regions");
            for slot in cadence.slots_in(span) {
                let n =
                    u64::try_from(slot.as_ms() / 100).expect("after 1970").wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                let down = slot.as_ms() % DAY_MS < 60_000;
                batch.push(sample(check.id.clone(), region.clone(), (slot, n, down)));
                if batch.len() == 50_000 {
                    insert(store, std::mem::take(&mut batch));
                }
            }
        }
    }
    insert(store, batch);
}

fn insert(store: &Store, batch: Vec<Sample>) {
    store.write_blocking(move |tx| samples::insert(tx, &batch, START)).expect("samples are stored");
}

fn sample(
    check: nines_shared::id::CheckId,
    region: nines_shared::id::RegionId,
    (slot, n, down): (Timestamp, u64, bool),
) -> Sample {
    let slow = n.is_multiple_of(100);
    let outcome = if down {
        Outcome::Down
    } else if slow {
        Outcome::Degraded
    } else {
        Outcome::Up
    };
    let first_byte = 20_000 + n % 30_000;
    Sample {
        check,
        probe: format!("{region}-1").parse().ok(),
        region,
        kind: SampleKind::Planned,
        scheduled_at: slot,
        started_at: slot.plus_ms(i64::try_from(n % 5).expect("below five")),
        outcome,
        reason: if down { Some(Reason::HttpStatus) } else { slow.then_some(Reason::Slow) },
        phase: down.then_some(Phase::FirstByte),
        detail: down.then(|| "503 instead of 2xx".to_owned()),
        duration_us: Some(31_000 + first_byte),
        phases_us: Phases {
            resolve: Some(900 + n % 500),
            connect: Some(10_000),
            tls: Some(20_000),
            first_byte: Some(first_byte),
            transfer: Some(100),
        },
        attempt: 1,
        trace_id: None,
        evidence: None,
    }
}

fn row(store: &Store, fleet: &Fleet, name: &str, window: Span) -> String {
    let service = &fleet.services[0].id;
    let request = ReportRequest {
        environment: fleet.environment.clone(),
        customer: None,
        service: None,
        time: Time::Window(window),
    };
    let record = || store.read_blocking(|conn| definitions::service_record(conn, service, window));
    let read = median(|| drop(record()));
    let known = record().expect("it can be read").expect("the service is there");
    let samples: usize = known.checks.iter().flat_map(|check| &check.regions).map(|region| region.samples.len()).sum();
    let assess = median(|| drop(service::assess(&known, window, Timestamp::MAX)));
    let report = || {
        let built = store.read_blocking(|conn| Ok(report::build(conn, &request, Timestamp::MAX)));
        built.expect("it can be read").expect("there is something to report")
    };
    let build = median(|| drop(report()));
    let built = report();
    let json = median(|| drop(report::render(&built, Format::Json, &Look::default())));
    let html = median(|| drop(report::render(&built, Format::Html, &Look::default())));
    let all = median(|| drop(report::render(&report(), Format::Json, &Look::default())));
    let [read, assess, build, json, html, all] = [read, assess, build, json, html, all].map(|ms| format!("{ms:.1} ms"));
    format!("| {name} | {samples} | {read} | {assess} | {build} | {json} | {html} | {all} |")
}

/// The median time of several runs, in ms.
fn median(run: impl Fn()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
