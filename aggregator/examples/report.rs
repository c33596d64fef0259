//! Writes the reports of a made-up month in every format: two customers, three services, gaps, maintenance (once, every
//! week, granted afterwards), outages, a breach.
//!
//! ```text
//! cargo run -p nines --example report -- DIRECTORY [LOGO]
//! ```
//!
//! The samples are made up; the rest is the real thing: a fleet file, a store, definitions that change in the
//! middle of the month, and the report that comes of them.

use std::path::{Path, PathBuf};

use nines::definition::look::{Logo, Look};
use nines::definition::{Fleet, Maintenance};
use nines::report::csv::{self, Table};
use nines::report::{self, Format, ReportRequest, Time, files};
use nines::store::definitions::{self, maintenance};
use nines::store::{Store, StoreError, samples};
use nines_shared::check::Check;
use nines_shared::id::RegionId;
use nines_shared::sample::{Outcome, Phase, Phases, Reason, Sample, SampleKind, TraceId};
use nines_shared::time::{Span, Timestamp};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-10-01T00:00:00+02:00, when October begins in Berlin.
const OCTOBER: i64 = 1_790_805_600_000;

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Anything<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let kept = tempfile::tempdir()?;
    let store = Store::open(&kept.path().join("nines.db"))?;
    fill(&store)?;
    let logo = std::env::args().nth(2).map(std::fs::read).transpose()?.and_then(Logo::of);
    let look = Look { logo, ..Look::default() };
    for customer in ["acme", "nord"] {
        let request = ReportRequest {
            environment: "prod".to_owned(),
            customer: Some(customer.parse()?),
            service: None,
            time: Time::Month("2026-10".to_owned()),
        };
        let now = Timestamp::from_ms(OCTOBER + 40 * DAY);
        let report = store.read_blocking(|conn| Ok::<_, StoreError>(report::build(conn, &request, now)))??;
        let formats = [("json", Format::Json), ("html", Format::Html), ("pdf", Format::Pdf), ("md", Format::Md)];
        for (ending, format) in formats {
            write(&folder.join(format!("{customer}.{ending}")), &report::render(&report, format, &look))?;
        }
        for table in Table::ALL {
            let file = folder.join(files::name_of_table(customer, table));
            write(&file, csv::render(&report, table).as_bytes())?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Anything<()> {
    std::fs::write(path, bytes)?;
    eprintln!("{}", path.display());
    Ok(())
}

/// The definitions, of which one changes on 20 October, and every sample of the month.
fn fill(store: &Store) -> Anything<()> {
    let text = include_str!("report.toml");
    let (first, _warnings) = nines::fleet_file::parse(text, Path::new("nines.toml"))?;
    let loaded = first.clone();
    store.write_blocking(move |tx| definitions::load(tx, &loaded, Timestamp::from_ms(OCTOBER - DAY)))?;
    let stricter = text.replacen("timeout  = \"10s\"", "timeout  = \"8s\"", 1);
    let (stricter, _warnings) = nines::fleet_file::parse(&stricter, Path::new("nines.toml"))?;
    store.write_blocking(move |tx| definitions::load(tx, &stricter, Timestamp::from_ms(OCTOBER + 19 * DAY)))?;
    let begins = OCTOBER + 28 * DAY + 75 * MINUTE;
    let granted = Maintenance {
        service: "shop".parse()?,
        span: Span::new(Timestamp::from_ms(begins), Timestamp::from_ms(begins + 5 * MINUTE)),
        reason: "agreed by phone after their own deployment".to_owned(),
        afterwards: None,
        weekly: None,
    };
    store.write_blocking(move |tx| maintenance::add(tx, &granted, "ann", Timestamp::from_ms(OCTOBER + 33 * DAY)))?;
    let all = month(&first);
    for part in all.chunks(5_000) {
        let part = part.to_vec();
        store.write_blocking(move |tx| samples::insert(tx, &part, Timestamp::from_ms(OCTOBER)))?;
    }
    Ok(())
}

fn month(fleet: &Fleet) -> Vec<Sample> {
    let span = Span::new(Timestamp::from_ms(OCTOBER - HOUR), Timestamp::from_ms(OCTOBER + 31 * DAY + 2 * HOUR));
    let mut all = Vec::new();
    for check in &fleet.checks {
        for region in &check.regions {
            let Some(cadence) = check.cadence(region) else { continue };
            all.extend(cadence.slots_in(span).filter_map(|slot| sample(check, region, slot)));
        }
    }
    all
}

/// What the story says of one slot; `None` where nobody looked.
fn sample(check: &Check, region: &RegionId, slot: Timestamp) -> Option<Sample> {
    let at = slot.since(Timestamp::from_ms(OCTOBER));
    let within = |day: i64, from: i64, minutes: i64| {
        let begin = (day - 1) * DAY + from * MINUTE;
        (begin..begin + minutes * MINUTE).contains(&at)
    };
    let far = region.as_str() == "ap-south";
    let trace_id = TraceId::of(&check.id, region, SampleKind::Planned, slot);
    let noise = u64::try_from(trace_id.0 % 1_000).unwrap_or(0);
    // The whole fleet was blind for some hours; one region for a day and a half.
    let blind = within(9, 600, 190) || (far && within(22, 700, 2_100));
    if blind || (noise == 7 && region.as_str() == "sa-east") {
        return None;
    }
    let (down, slow) = match check.id.as_str() {
        "shop-home" => {
            (within(6, 512, 36) || within(17, 1_320, 95) && !far || within(29, 75, 11), within(11, 540, 300))
        }
        "shop-checkout" => (within(17, 1_325, 90) || within(14, 130, 160), false),
        "tracking-search" => (within(3, 200, 12), within(24, 480, 420)),
        _ => (within(26, 1_290, 10), false),
    };
    let base = match region.as_str() {
        "eu-west" => 92_000,
        "eu-north" => 118_000,
        "us-east" => 176_000,
        "ap-south" => 318_000,
        _ => 402_000,
    };
    let wave = u64::try_from(((at / DAY) * 37 % 11) * 4_000).unwrap_or(0);
    let tail = if noise > 975 { noise * 380 } else { noise * noise / 12 };
    let duration = base + wave + tail + if slow { 2_100_000 } else { 0 };
    let outcome = match (down, slow) {
        (true, _) => Outcome::Down,
        (false, true) => Outcome::Degraded,
        (false, false) => Outcome::Up,
    };
    Some(Sample {
        check: check.id.clone(),
        region: region.clone(),
        probe: None,
        kind: SampleKind::Planned,
        scheduled_at: slot,
        started_at: slot.plus_ms(i64::try_from(noise / 200).unwrap_or(0)),
        outcome,
        reason: down.then_some(if noise.is_multiple_of(3) { Reason::HttpStatus } else { Reason::ConnectRefused }),
        phase: down.then_some(Phase::Connect),
        detail: None,
        duration_us: Some(duration),
        phases_us: Phases::default(),
        attempt: 1,
        trace_id: Some(trace_id),
        evidence: None,
    })
}
