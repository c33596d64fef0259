//! Serves the page over a made-up story: a month of samples with outages, gaps, slow hours and maintenance,
//! which goes on while you look. Nothing is contacted; nothing is kept.
//!
//! ```text
//! cargo run --release -p nines --example page             # http://127.0.0.1:8080/
//! cargo run --release -p nines --example page -- 127.0.0.1:8099
//! ```
//!
//! It is also the shortest way to see how the parts of an aggregator fit together: a fleet file, a store,
//! samples, the evaluator, the page.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nines::definition::Fleet;
use nines::running::Running;
use nines::store::certificates::CertificateRow;
use nines::store::{Store, StoreError, definitions, probes, samples};
use nines_shared::check::Check;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::sample::{Evidence, Hop, Outcome, Phase, Phases, Reason, Sample, SampleKind, TraceId};
use nines_shared::time::{Clock, Span, Timestamp};
use nines_shared::wire::Health;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Anything<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = tempfile::tempdir()?;
    let (running, fleet) = start(folder.path()).await?;
    let born = running.clock.now();
    let ours = fleet.clone();
    let past = running.store.clone();
    eprintln!("making up a month …");
    tokio::task::spawn_blocking(move || fill(&past, &ours, born)).await??;

    let listener = tokio::net::TcpListener::bind(&address).await?;
    eprintln!("http://{}/", listener.local_addr()?);
    tokio::spawn(nines::evaluator::run(running.clone()));
    tokio::spawn(go_on(running.clone(), fleet, born));
    let stop = running.stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    nines::web::run(listener, running).await?;
    Ok(())
}

/// What `nines serve` puts together, without the probes' door.
async fn start(folder: &Path) -> Anything<(Running, Arc<Fleet>)> {
    let clock = Clock::system();
    let text = fleet_file(clock.now());
    let (fleet, _warnings) = nines::fleet_file::parse(&text, &folder.join("nines.toml"))?;
    let fleet = Arc::new(fleet);
    let store = Store::open(&folder.join("nines.db"))?;
    let (loaded, now) = (fleet.clone(), clock.now());
    store.write(move |tx| definitions::load(tx, &loaded, now)).await?;
    let running = Running {
        store,
        fleet: watch::Sender::new(fleet.clone()).subscribe(),
        clock,
        arrivals: Arc::new(watch::Sender::new(0)),
        news: Arc::new(watch::Sender::new(0)),
        counters: Arc::default(),
        stop: CancellationToken::new(),
    };
    Ok((running, fleet))
}

/// `page.toml` with its times filled in, so that the story always ends now.
fn fleet_file(now: Timestamp) -> String {
    let times = [
        ("30 DAYS AGO", 30 * DAY),
        ("20 MINUTES AGO", 20 * MINUTE),
        ("8 HOURS AGO", 8 * HOUR),
        ("7 HOURS AGO", 7 * HOUR),
        ("7 DAYS AGO", 7 * DAY),
    ];
    times.into_iter().fold(include_str!("page.toml").to_owned(), |text, (word, ago)| {
        text.replace(word, &nines::uptime::calendar::utc(now.plus_ms(-ago)))
    })
}

/// Everything that happened before `now`.
fn fill(store: &Store, fleet: &Fleet, now: Timestamp) -> Result<(), StoreError> {
    for (number, (region, probe)) in (1..).zip(probes_of(fleet)) {
        store.write_blocking(move |tx| {
            let secret = [number; 32];
            let invited = probes::Invited { region: &region, name: Some(&probe), secret_sha256: secret, authority: 1 };
            let Ok(invitation) = probes::invite(tx, &invited, now)? else { return Ok(()) };
            let until = now.plus_ms(30 * DAY);
            let (told, shown_at) = (String::new(), None);
            let certificate = CertificateRow { sha256: secret, authority: 1, told, issued_at: now, until, shown_at };
            let new = probes::NewProbe { id: invitation.probe, region: region.clone(), certificate };
            probes::join(tx, &secret, &new, now)
        })?;
    }
    for check in &fleet.checks {
        let service = fleet.services.iter().find(|service| service.id == check.service);
        let since = service.and_then(|service| service.since).unwrap_or(now);
        let span = Span::new(since, now);
        let story = taken(check, span, now);
        for part in story.chunks(5_000) {
            let part = part.to_vec();
            store.write_blocking(move |tx| samples::insert(tx, &part, now))?;
        }
    }
    Ok(())
}

/// Takes every slot as it falls due, as probes would.
async fn go_on(running: Running, fleet: Arc<Fleet>, born: Timestamp) {
    let mut done = born;
    while !running.stop.is_cancelled() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = running.clock.now();
        let span = Span::new(done, now);
        done = now;
        let fresh: Vec<Sample> = fleet.checks.iter().flat_map(|check| taken(check, span, born)).collect();
        let heard = probes_of(&fleet);
        let written = running.store.write(move |tx| {
            for (index, (_, probe)) in heard.iter().enumerate() {
                let offset = [3, -1, 12][index % 3];
                let health = Health { clock_offset_ms: Some(offset), canaries_ok: Some(true), ..Health::default() };
                probes::seen(tx, probe, &health, now)?;
            }
            samples::insert(tx, &fresh, now)
        });
        match written.await {
            Ok(_inserted) => running.arrivals.send_modify(|count| *count += 1),
            Err(error) => eprintln!("{error}"),
        }
    }
}

fn probes_of(fleet: &Fleet) -> Vec<(RegionId, ProbeId)> {
    let named =
        fleet.regions.iter().filter_map(|region| Some((region.id.clone(), format!("{}-1", region.id).parse().ok()?)));
    named.collect()
}

/// The samples of `check` in `span`, in a story whose now is `born`.
fn taken(check: &Check, span: Span, born: Timestamp) -> Vec<Sample> {
    let mut all = Vec::new();
    for region in &check.regions {
        let Some(cadence) = check.cadence(region) else { continue };
        all.extend(cadence.slots_in(span).filter_map(|slot| sample(check, region, slot, born)));
    }
    all
}

/// What the story says of one slot; `None` where nobody looked.
fn sample(check: &Check, region: &RegionId, slot: Timestamp, born: Timestamp) -> Option<Sample> {
    let ago = born.since(slot);
    let within = |from: i64, length: i64| (from - length..from).contains(&ago);
    let far = region.as_str() == "ap-south";
    let ends = match check.id.as_str() {
        // An outage now, which one region does not see; one of three minutes in the night; a region that was silent.
        "shop-home" if within(12 * MINUTE, 30 * MINUTE) && !far => End::Status,
        "shop-home" if within(9 * HOUR, 3 * MINUTE) || within(11 * DAY, 47 * MINUTE) => End::Refused,
        "shop-home" if within(20 * HOUR, 35 * MINUTE) => End::Nobody,
        "shop-home" if within(5 * HOUR, 25 * MINUTE) => End::Slow,
        // Down inside its maintenance, and a little after.
        "checkout-health" if within(8 * HOUR - 4 * MINUTE, 58 * MINUTE) => End::Refused,
        "checkout-health" if within(15 * HOUR, 40 * MINUTE) && far => End::Refused,
        "tracking-search" if within(2 * HOUR, 3 * HOUR) => End::Slow,
        "portal-login" if within(6 * MINUTE, 45_000) => End::Status,
        _ => End::Good,
    };
    (!matches!(ends, End::Nobody)).then(|| made_up(check, region, slot, &ends))
}

enum End {
    Good,
    Slow,
    Status,
    Refused,
    Nobody,
}

fn made_up(check: &Check, region: &RegionId, slot: Timestamp, end: &End) -> Sample {
    let trace_id = TraceId::of(&check.id, region, SampleKind::Planned, slot);
    let noise = u64::try_from(trace_id.0 % 1_000).unwrap_or(0);
    let away = if region.as_str() == "ap-south" { 4 } else { 1 };
    let wait = match end {
        End::Slow => 2_600_000 + noise * 900,
        End::Good | End::Status | End::Refused | End::Nobody => 60_000 + noise * 70,
    };
    let phases = Phases {
        resolve: Some(1_200 + noise),
        connect: Some((9_000 + noise * 4) * away),
        tls: Some((14_000 + noise * 6) * away),
        first_byte: Some(wait),
        transfer: Some(900 + noise * 3),
    };
    let refused = Phases { tls: None, first_byte: None, transfer: None, ..phases };
    let (outcome, reason, phase, detail, phases) = match end {
        End::Good | End::Nobody => (Outcome::Up, None, None, None, phases),
        End::Slow => (Outcome::Degraded, Some(Reason::Slow), None, Some("slower than 2s"), phases),
        End::Status => {
            let said = Some("503 Service Unavailable instead of 2xx");
            (Outcome::Down, Some(Reason::HttpStatus), Some(Phase::FirstByte), said, phases)
        }
        End::Refused => {
            let said = Some("192.0.2.10:443 refused the connection");
            (Outcome::Down, Some(Reason::ConnectRefused), Some(Phase::Connect), said, refused)
        }
    };
    let took = Phase::ALL.into_iter().filter_map(|phase| phases.get(phase)).sum();
    let status = matches!(end, End::Status).then_some(503);
    let address = "192.0.2.10:443".parse().ok();
    let hop = Hop { url: check.question.target(), proxy: None, address, status, version: None, phases_us: phases };
    let evidence = Evidence { address, hops: vec![hop], ..Evidence::default() };
    Sample {
        check: check.id.clone(),
        region: region.clone(),
        probe: None,
        kind: SampleKind::Planned,
        scheduled_at: slot,
        started_at: slot.plus_ms(i64::try_from(noise / 200).unwrap_or(0)),
        outcome,
        reason,
        phase,
        detail: detail.map(str::to_owned),
        duration_us: Some(took),
        phases_us: phases,
        attempt: 1,
        trace_id: Some(trace_id),
        evidence: (outcome == Outcome::Down).then(|| Box::new(evidence)),
    }
}
