use std::sync::Mutex;

use ipnet::IpNet;
use nines_shared::address::AddressRule;
use nines_shared::check::{Check, Draft};
use nines_shared::id::RegionId;
use nines_shared::sample::Sample;
use nines_shared::wire::{ASKS_PATH, Assignment};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::probe_file::UNSAID_PACE;
use crate::prober::Vantage;
use crate::stand_in::{Reply, StandIn};

const PATIENCE: Duration = Duration::from_secs(20);

fn region() -> RegionId {
    "eu-west".parse().unwrap()
}

/// A check of a port of this machine where nobody listens: down, quickly.
fn check() -> Check {
    let question = serde_json::json!({ "tls": { "address": "127.0.0.1:1" } });
    let question = serde_json::from_value(question).unwrap();
    let mut draft = Draft::new("home".parse().unwrap(), "shop".parse().unwrap(), vec![region()], question);
    (draft.interval_ms, draft.timeout_ms, draft.recheck_ms) = (1_000, 500, 1_000);
    Check::new(draft).unwrap()
}

/// An aggregator that hands out [`check`] and keeps what it acknowledges.
async fn aggregator() -> (StandIn, Arc<Mutex<Vec<Sample>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&kept);
    let aggregator = StandIn::start(move |seen, _| match seen.batch() {
        Some(batch) => {
            store.lock().unwrap().extend(batch.samples.clone());
            Reply::ack(&batch, Clock::system().now())
        }
        None if seen.path.starts_with(ASKS_PATH) => Reply::refusal(404, None),
        None if seen.path.contains("have=sha256") => Reply::Hang,
        None => {
            let (digest, checks, now) = ("sha256:1".to_owned(), vec![check()], Clock::system().now());
            Reply::json(
                200,
                &Assignment {
                    digest,
                    version: 0,
                    probe: None,
                    region: region(),
                    checks,
                    secrets: nines_shared::secret::Secrets::default(),
                    now,
                },
            )
        }
    });
    (aggregator.await, kept)
}

fn settings(aggregator: &StandIn, state: &std::path::Path) -> Settings {
    let allow = vec!["127.0.0.0/8".parse::<IpNet>().unwrap()];
    Settings {
        aggregator: aggregator.url.clone(),
        state: state.to_owned(),
        pace: UNSAID_PACE,
        vantage: Vantage { source: None, rule: AddressRule::new(allow, Vec::new()), ..Vantage::default() },
        spool_max_bytes: 64 << 20,
        canaries: Vec::new(),
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_fetches_its_work_does_it_and_delivers_and_goes_on_where_it_left_off() {
    let (away, kept) = aggregator().await;
    let state = tempfile::tempdir().unwrap();
    away.enrol(state.path(), "eu-west-1", "eu-west");
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(settings(&away, state.path()), Clock::system(), stop.clone()));
    until("samples arrive", || 2 <= kept.lock().unwrap().len()).await;
    stop.cancel();
    let asked = Instant::now();
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    assert!(asked.elapsed() < SHUTDOWN_GRACE + Duration::from_secs(1));
    let first: Vec<Sample> = kept.lock().unwrap().clone();
    assert!(first.iter().all(|sample| sample.check.as_str() == "home"));

    // A cold start while the aggregator is away: the cached assignment is run, samples pile up.
    let gone = settings(&away, state.path());
    drop(away);
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(gone, Clock::system(), stop.clone()));
    let spool = state.path().join(crate::spool::SPOOL_FILE);
    let waiting = || {
        let conn = rusqlite::Connection::open(&spool).unwrap();
        conn.query_row("SELECT count(*) FROM sample", [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    until("samples pile up", || 2 <= waiting()).await;
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    assert!(2 <= waiting());
}

#[tokio::test]
async fn two_agents_do_not_run_on_one_state() {
    let (aggregator, _kept) = aggregator().await;
    let state = tempfile::tempdir().unwrap();
    aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    let stop = CancellationToken::new();
    let first = tokio::spawn(run(settings(&aggregator, state.path()), Clock::system(), stop.clone()));
    until("the first has started", || !aggregator.seen().is_empty()).await;
    let second = run(settings(&aggregator, state.path()), Clock::system(), CancellationToken::new()).await;
    assert!(matches!(second, Err(AgentError::Spool(SpoolError::InUse(_)))), "{second:?}");
    stop.cancel();
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_agent_on_a_machine_that_has_not_joined_says_how_to() {
    let (aggregator, _kept) = aggregator().await;
    let state = tempfile::tempdir().unwrap();
    let error = run(settings(&aggregator, state.path()), Clock::system(), CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("nines probe invite"), "{error}");
}
