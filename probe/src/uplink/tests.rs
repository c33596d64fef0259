use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::Batch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::spool::tests::sample;
use crate::stand_in::{Reply, Seen, StandIn};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);
const PATIENCE: Duration = Duration::from_secs(20);

/// An uplink at work, and what it works with.
struct Bench {
    aggregator: StandIn,
    spool: Spool,
    hurry: Arc<Notify>,
    clock: Arc<ClockWatch>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    _state: tempfile::TempDir,
}

impl Bench {
    async fn start(samples: i64, script: impl Fn(&Batch) -> Reply + Send + Sync + 'static) -> Self {
        let aggregator = StandIn::start(move |seen: &Seen, _| script(&seen.batch().unwrap())).await;
        let state = tempfile::tempdir().unwrap();
        let identity = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
        let spool = Spool::open(state.path(), 64 << 20).unwrap();
        let samples: Vec<Sample> = (0..samples).map(|second| sample("home", second)).collect();
        spool.append(&samples).await.unwrap();
        let clock = Arc::new(ClockWatch::new(Clock::manual(NOW)));
        let canaries = Arc::new(Canaries::new(Vec::new(), None));
        let (_telling, work) = watch::channel(Arc::new(Work { version: 7, ..Work::default() }));
        let (boot_id, tally) = ("b".into(), Arc::default());
        let vitals = Vitals { boot_id, tally, clock: Arc::clone(&clock), canaries, work };
        let link = Link::new(&aggregator.url, identity.tls);
        let hurry = Arc::new(Notify::new());
        let uplink = Uplink { link, spool: spool.clone(), hurry: Arc::clone(&hurry), probe: identity.probe, vitals };
        let stop = CancellationToken::new();
        let running = tokio::spawn(uplink.run(stop.clone()));
        Self { aggregator, spool, hurry, clock, stop, running, _state: state }
    }

    fn batches(&self) -> Vec<Batch> {
        self.aggregator.seen().iter().map(|seen| seen.batch().unwrap()).collect()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = timeout(PATIENCE, async {
            while !is_so(self) {
                sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}", self.spool.counts());
    }

    async fn until_empty(&self) {
        self.until("the spool empties", |bench| bench.spool.counts().waiting == 0).await;
    }
}

/// Acknowledges, and remembers whatever it has acknowledged, as a store would.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeSet<i64>>>);

impl Memory {
    fn ack(&self, batch: &Batch) -> Reply {
        self.0.lock().unwrap().extend(batch.samples.iter().map(|sample| sample.scheduled_at.since(NOW) / 1_000));
        Reply::ack(batch, NOW)
    }

    fn all(&self) -> Vec<i64> {
        self.0.lock().unwrap().iter().copied().collect()
    }
}

fn has(batch: &Batch, seconds: &[i64]) -> bool {
    batch.samples.iter().any(|sample| seconds.contains(&(sample.scheduled_at.since(NOW) / 1_000)))
}

#[tokio::test]
async fn a_backlog_ships_from_both_ends_in_batches_within_the_limit_and_says_from_where_on_it_is_not_whole() {
    let memory = Memory::default();
    let store = memory.clone();
    let bench = Bench::start(2_300, move |batch| store.ack(batch)).await;
    bench.until_empty().await;
    let sizes: Vec<usize> = bench.batches().iter().map(|batch| batch.samples.len()).collect();
    assert_eq!(sizes, [1_000, 1_000, 300]);
    assert_eq!(memory.all(), (0..2_300).collect::<Vec<_>>());
    assert_eq!(bench.batches()[0].health.spooled, 2_300);
    let ends = |batch: &Batch| [0, 499, 500, 999].map(|at| batch.samples[at].scheduled_at.since(NOW) / 1_000);
    assert_eq!(ends(&bench.batches()[0]), [0, 499, 1_800, 2_299], "the present does not wait for the past");
    assert_eq!(ends(&bench.batches()[1]), [500, 999, 1_300, 1_799]);
    let behind = bench.batches().into_iter().map(|batch| Some(batch.health.backlog_from?.since(NOW) / 1_000));
    assert_eq!(behind.collect::<Vec<_>>(), [Some(500), Some(1_000), None]);
    assert!(bench.clock.offset().is_some());
}

#[tokio::test]
async fn where_there_is_nothing_to_ship_an_empty_batch_says_that_we_live() {
    let bench = Bench::start(0, |batch| Reply::ack(batch, NOW)).await;
    bench.until("a heartbeat", |bench| !bench.batches().is_empty()).await;
    let batch = &bench.batches()[0];
    assert!(batch.samples.is_empty());
    assert_eq!((batch.health.boot_id.as_str(), batch.health.version.as_str()), ("b", env!("CARGO_PKG_VERSION")));
    assert_eq!((batch.health.assignment, batch.health.checks), (7, Some(0)));
}

#[tokio::test]
async fn inv_2_nothing_is_forgotten_until_a_fitting_ack_comes() {
    let (memory, calls) = (Memory::default(), AtomicUsize::new(0));
    let store = memory.clone();
    let bench = Bench::start(10, move |batch| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Drop,
        1 => Reply::json(500, &"broken"),
        2 => Reply::Says(hyper::StatusCode::OK, b"<html>It works!</html>".to_vec()),
        3 => Reply::json(200, &Ack { samples: 9, stored: 9, now: NOW }),
        4 => Reply::refusal(429, None),
        _ => store.ack(batch),
    })
    .await;
    bench.until("the first delivery", |bench| bench.batches().len() == 5).await;
    assert_eq!(bench.spool.counts().waiting, 10);
    bench.until_empty().await;
    assert_eq!(memory.all(), (0..10).collect::<Vec<_>>());
    assert!(bench.batches().iter().filter(|batch| !batch.samples.is_empty()).all(|batch| batch.samples.len() == 10));
}

#[tokio::test]
async fn batches_of_a_backlog_are_apart_however_quickly_each_is_taken() {
    let bench = Bench::start(5_000, |batch| Reply::ack(batch, NOW)).await;
    bench.until("the first one", |bench| !bench.batches().is_empty()).await;
    let begun = Instant::now();
    // Samples in a hurry go with the next one, which takes the newest along.
    let hurried = |bench: &Bench| {
        bench.hurry.notify_one();
        bench.spool.counts().waiting == 0
    };
    bench.until("the spool empties", hurried).await;
    assert!(3 * DRAIN_PACE <= begun.elapsed(), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_aggregator_that_asks_to_be_left_alone_is_left_alone() {
    let (memory, calls) = (Memory::default(), AtomicUsize::new(0));
    let store = memory.clone();
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let bench = Bench::start(10, move |batch| {
        seen.lock().unwrap().push(Instant::now());
        if calls.fetch_add(1, Ordering::SeqCst) == 0 { Reply::Later(2) } else { store.ack(batch) }
    })
    .await;
    bench.until_empty().await;
    let times = times.lock().unwrap();
    assert!(Duration::from_secs(2) <= times[1] - times[0], "{times:?}");
}

#[tokio::test]
async fn a_load_that_goes_in_pieces_is_not_whole_before_its_last_piece() {
    let bench = Bench::start(100, |batch| {
        match batch.samples.iter().position(|sample| sample.scheduled_at == NOW.plus_ms(50_000)) {
            Some(index) => Reply::refusal(422, Some(index)),
            None => Reply::ack(batch, NOW),
        }
    })
    .await;
    bench.until_empty().await;
    let behind = |batch: &Batch| batch.health.backlog_from;
    let (whole, pieces): (Vec<Batch>, Vec<Batch>) =
        bench.batches().into_iter().partition(|batch| batch.samples.len() == 100);
    assert!(whole.iter().all(|batch| behind(batch).is_none()));
    assert!(3 <= pieces.len() && pieces.iter().all(|batch| behind(batch) == Some(NOW)), "{pieces:?}");
}

#[tokio::test]
async fn inv_2_a_poisoned_sample_is_put_aside_and_blocks_nobody() {
    for named in [false, true] {
        let memory = Memory::default();
        let store = memory.clone();
        let bench = Bench::start(100, move |batch| {
            let poison =
                batch.samples.iter().position(|sample| [13, 77].contains(&(sample.scheduled_at.since(NOW) / 1_000)));
            match poison {
                Some(index) => Reply::refusal(422, named.then_some(index)),
                None => store.ack(batch),
            }
        })
        .await;
        bench.until_empty().await;
        assert_eq!(bench.spool.counts().refused, 2);
        assert_eq!(memory.all(), (0..100).filter(|second| ![13, 77].contains(second)).collect::<Vec<_>>());
        assert!(bench.batches().len() < 40, "named {named}: {} requests", bench.batches().len());
    }
}

#[tokio::test]
async fn a_probe_that_is_not_welcome_puts_none_of_its_samples_aside() {
    let (memory, welcome) = (Memory::default(), Arc::new(AtomicUsize::new(0)));
    let (store, door) = (memory.clone(), Arc::clone(&welcome));
    let bench = Bench::start(10, move |batch| match door.load(Ordering::SeqCst) {
        0 => Reply::refusal(403, None),
        _ => store.ack(batch),
    })
    .await;
    bench.until("a few attempts", |bench| 4 <= bench.batches().len()).await;
    assert_eq!((bench.spool.counts().waiting, bench.spool.counts().refused), (10, 0));
    welcome.store(1, Ordering::SeqCst);
    bench.until_empty().await;
    assert_eq!(memory.all().len(), 10);
}

#[tokio::test]
async fn what_was_refused_is_offered_again_and_delivered_once_it_is_taken() {
    let (memory, mended) = (Memory::default(), Arc::new(AtomicUsize::new(0)));
    let (store, door) = (memory.clone(), Arc::clone(&mended));
    let bench = Bench::start(5, move |batch| match door.load(Ordering::SeqCst) {
        0 if has(batch, &[3]) => Reply::refusal(422, None),
        _ => store.ack(batch),
    })
    .await;
    bench.until_empty().await;
    assert_eq!(bench.spool.counts().refused, 1);
    mended.store(1, Ordering::SeqCst);
    // A minute later, as far as the spool is concerned: it was refused a minute before.
    let row = bench.spool.peek_refused(NOW.plus_ms(crate::spool::FIRST_RETRY_MS)).await.unwrap().unwrap();
    let an_hour_ago = NOW.plus_ms(-crate::spool::NEXT_RETRY_MS);
    bench.spool.refuse(row.id, "test".into(), an_hour_ago).await.unwrap();
    bench.spool.append(&[sample("home", 9)]).await.unwrap();
    let is_none_left = |bench: &Bench| bench.spool.counts().refused == 0 && bench.spool.counts().waiting == 0;
    bench.until("the refused one is delivered, and the new one", is_none_left).await;
    assert_eq!(memory.all(), [0, 1, 2, 3, 4, 9]);
}

#[tokio::test]
async fn a_stopping_agent_delivers_what_it_has() {
    let memory = Memory::default();
    let store = memory.clone();
    let bench = Bench::start(0, move |batch| store.ack(batch)).await;
    bench.until("a heartbeat", |bench| !bench.batches().is_empty()).await;
    bench.spool.append(&[sample("home", 1)]).await.unwrap();
    bench.stop.cancel();
    timeout(PATIENCE, bench.running).await.unwrap().unwrap();
    assert_eq!(memory.all(), [1]);
}

#[tokio::test]
async fn a_stopping_agent_does_not_wait_for_an_aggregator_that_hangs() {
    let bench = Bench::start(1, |_| Reply::Hang).await;
    bench.until("the request is out", |bench| !bench.batches().is_empty()).await;
    let asked = Instant::now();
    bench.stop.cancel();
    timeout(PATIENCE, bench.running).await.unwrap().unwrap();
    assert!(asked.elapsed() < DRAIN_GRACE + Duration::from_secs(2));
    assert_eq!(bench.spool.counts().waiting, 1, "what is not delivered stays");
}

#[tokio::test]
async fn a_clock_in_doubt_is_measured_at_once_and_believed_when_it_is_fine() {
    let bench = Bench::start(0, |batch| Reply::ack(batch, NOW.plus_ms(-5_000))).await;
    bench.until("the offset is noticed", |bench| !bench.clock.read().trusted).await;
    let before = bench.batches().len();
    bench.until("another exchange well before the next heartbeat", |bench| before + 1 < bench.batches().len()).await;
    assert_eq!(bench.batches().last().unwrap().health.clock_offset_ms, Some(5_000));
}

#[tokio::test]
async fn a_sample_in_a_hurry_does_not_wait_for_others_and_takes_along_those_that_do() {
    let bench = Bench::start(0, |batch| Reply::ack(batch, NOW)).await;
    bench.until("a heartbeat", |bench| !bench.batches().is_empty()).await;
    let gathered = async |hurried: bool, second: i64| {
        let begun = Instant::now();
        bench.spool.append(&[sample("home", second)]).await.unwrap();
        if hurried {
            bench.hurry.notify_one();
        }
        bench.until_empty().await;
        begun.elapsed()
    };
    let calm = gathered(false, 1).await;
    assert!(GATHER <= calm, "{calm:?}");
    // On a busy machine any one of them may be slow; not each of ten.
    let mut quickest = Duration::MAX;
    for second in 2..12 {
        quickest = quickest.min(gathered(true, second).await);
    }
    assert!(quickest < GATHER, "{quickest:?}");
}
