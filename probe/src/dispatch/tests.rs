use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use nines_shared::address::AddressRule;
use nines_shared::check::{Check, Draft, MustFail, Question};
use nines_shared::sample::{Evidence, Phase, Phases, SampleKind};
use nines_shared::time::{Clock, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::judge::Doubt;
use super::*;
use crate::prober::{Observation, Vantage};

const PATIENCE: Duration = Duration::from_secs(20);

/// A target that answers 200, 500, or never, as it is told.
struct Target {
    url: String,
    mood: Arc<AtomicUsize>,
}

const GOOD: usize = 0;
const BAD: usize = 1;
const SILENT: usize = 2;

impl Target {
    async fn start(mood: usize) -> Self {
        Self::start_late(mood, Duration::ZERO).await
    }

    /// One that takes `late` to answer.
    async fn start_late(mood: usize, late: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let mood = Arc::new(AtomicUsize::new(mood));
        let told = Arc::clone(&mood);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let _asked = stream.read(&mut [0; 4_096]).await;
                    tokio::time::sleep(late).await;
                    let answer = match told.load(Ordering::SeqCst) {
                        GOOD => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                        BAD => "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
                        _ => return std::future::pending().await,
                    };
                    let _answered = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, mood }
    }

    fn check(&self, id: &str, interval_ms: i64, timeout_ms: i64) -> Arc<Check> {
        let question: Question = serde_json::from_value(serde_json::json!({ "http": { "url": self.url } })).unwrap();
        let region = vec!["eu-west".parse().unwrap()];
        let mut draft = Draft::new(id.parse().unwrap(), "shop".parse().unwrap(), region, question);
        (draft.interval_ms, draft.timeout_ms, draft.recheck_ms) = (interval_ms, timeout_ms, 1_000);
        Arc::new(Check::new(draft).unwrap())
    }
}

fn loopback() -> Vantage {
    let allow = vec![IpNet::new(Ipv4Addr::LOCALHOST.into(), 8).unwrap()];
    Vantage { source: None, rule: AddressRule::new(allow, Vec::new()), ..Vantage::default() }
}

/// A dispatch at work.
struct Bench {
    kit: Arc<Kit>,
    asking: mpsc::Sender<Asked>,
    clock: Clock,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    _state: tempfile::TempDir,
}

impl Bench {
    fn kit(clock: &Clock, canaries: Canaries, permits: usize) -> (Arc<Kit>, tempfile::TempDir) {
        Self::kit_with(clock, canaries, permits, Pace::unsaid(20))
    }

    fn kit_with(clock: &Clock, canaries: Canaries, permits: usize, pace: Pace) -> (Arc<Kit>, tempfile::TempDir) {
        let state = tempfile::tempdir().unwrap();
        let kit = Kit {
            probe: "eu-west-1".parse().unwrap(),
            region: "eu-west".parse().unwrap(),
            prober: Prober::new(loopback()),
            spool: Spool::open(state.path(), 64 << 20).unwrap(),
            clock: Arc::new(ClockWatch::new(clock.clone())),
            canaries: Arc::new(canaries),
            tally: Arc::default(),
            pulse: Arc::default(),
            pace,
            permits: Arc::new(Semaphore::new(permits)),
            hurry: Arc::default(),
        };
        (Arc::new(kit), state)
    }

    fn start(checks: Vec<Arc<Check>>, canaries: Canaries, permits: usize) -> Self {
        Self::start_with(checks, canaries, permits, Pace::unsaid(20))
    }

    fn start_with(checks: Vec<Arc<Check>>, canaries: Canaries, permits: usize, pace: Pace) -> Self {
        let clock = Clock::system();
        let (kit, state) = Self::kit_with(&clock, canaries, permits, pace);
        let (telling, work) = watch::channel(Arc::new(Work { digest: "d".into(), checks, ..Work::default() }));
        let stop = CancellationToken::new();
        let (inside, token) = (Arc::clone(&kit), stop.clone());
        let (asking, asks) = mpsc::channel(8);
        let running = tokio::spawn(async move {
            run(inside, work, asks, token).await;
            drop(telling);
        });
        Self { kit, asking, clock, stop, running, _state: state }
    }

    async fn samples(&self) -> Vec<Sample> {
        let waiting = self.kit.spool.peek(usize::MAX, usize::MAX).await.unwrap();
        waiting.rows.iter().map(|row| serde_json::from_str(&row.json).unwrap()).collect()
    }

    /// The samples, once `enough` of them satisfy `wanted`.
    async fn until(&self, enough: usize, wanted: impl Fn(&Sample) -> bool) -> Vec<Sample> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let samples = self.samples().await;
            if enough <= samples.iter().filter(|sample| wanted(sample)).count() {
                return samples;
            }
            assert!(Instant::now() < deadline, "{samples:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The slot of `check` at `at`.
fn due(check: Arc<Check>, at: Timestamp) -> Due {
    let latest_start = at.plus_ms(check.interval_ms / 2);
    let (kind, action) = (SampleKind::Planned, Action::Run);
    Due { check, kind, scheduled_at: at, latest_start, urgent: false, action }
}

fn no_canaries() -> Canaries {
    Canaries::new(Vec::new(), None)
}

#[tokio::test]
async fn every_slot_becomes_a_sample_that_starts_on_time_and_bears_its_trace() {
    let target = Target::start(GOOD).await;
    let check = target.check("home", 1_000, 500);
    let bench = Bench::start(vec![Arc::clone(&check)], no_canaries(), 8);
    let samples = bench.until(3, |_| true).await;
    let cadence = check.cadence(&bench.kit.region).unwrap();
    for sample in &samples {
        assert!(cadence.is_due(sample.scheduled_at));
        assert!((0..500).contains(&sample.lateness_ms()), "{sample:?}");
        assert_eq!((sample.outcome, sample.kind), (Outcome::Up, SampleKind::Planned));
        assert_eq!((sample.evidence.as_ref(), sample.probe.as_ref()), (None, Some(&bench.kit.probe)));
        assert!(sample.trace_id.is_some() && sample.duration_us.is_some());
    }
    assert!(samples.windows(2).all(|pair| pair[1].scheduled_at.since(pair[0].scheduled_at) == 1_000));
    assert!(bench.kit.tally.take_lateness_max().is_some());
}

#[tokio::test]
async fn a_failing_target_is_looked_at_again_between_its_slots() {
    let target = Target::start(BAD).await;
    let bench = Bench::start(vec![target.check("home", 3_000, 500)], no_canaries(), 8);
    let extra = |sample: &Sample| sample.kind == SampleKind::Extra;
    let samples = bench.until(2, extra).await;
    assert!(samples.iter().all(|sample| sample.outcome == Outcome::Down && sample.evidence.is_some()), "{samples:#?}");
    target.mood.store(GOOD, Ordering::SeqCst);
    bench.until(1, |sample| extra(sample) && sample.outcome == Outcome::Up).await;
}

#[tokio::test]
async fn inv_5_where_no_canary_answers_a_failure_is_our_own() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = Target::start(BAD).await;
    let canaries = Canaries::new(vec![format!("tcp://{nobody}").parse().unwrap()], None);
    let bench = Bench::start(vec![target.check("home", 1_000, 500)], canaries, 8);
    let sample = bench.until(1, |_| true).await.remove(0);
    assert_eq!((sample.outcome, sample.reason), (Outcome::Inconclusive, Some(Reason::Canary)));
    assert!(sample.detail.unwrap().starts_with("seen: down http_status"), "kept for the record");
    target.mood.store(GOOD, Ordering::SeqCst);
    bench.until(1, |sample| sample.outcome == Outcome::Up).await;
}

#[tokio::test]
async fn inv_5_a_check_that_must_fail_earns_nothing_where_no_canary_answers() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = Target::start(BAD).await;
    let canaries = Canaries::new(vec![format!("tcp://{nobody}").parse().unwrap()], None);
    let mut draft = Draft::from(Check::clone(&target.check("home", 1_000, 500)));
    draft.must_fail = Some(MustFail::Anyhow);
    let check = Arc::new(Check::new(draft).unwrap());
    let bench = Bench::start(vec![Arc::clone(&check)], canaries, 8);
    let sample = bench.until(1, |_| true).await.remove(0);
    assert_eq!((sample.outcome, sample.reason), (Outcome::Inconclusive, Some(Reason::Canary)));
    let bench = Bench::start(vec![check], no_canaries(), 8);
    bench.until(1, |sample| sample.outcome == Outcome::Up).await;
}

#[tokio::test]
async fn inv_9_without_a_permit_before_the_latest_start_a_slot_is_saturated() {
    let target = Target::start(SILENT).await;
    let checks = (0..3).map(|n| target.check(&format!("check-{n}"), 2_000, 1_900)).collect();
    let bench = Bench::start(checks, no_canaries(), 1);
    let saturated = |sample: &Sample| sample.reason == Some(Reason::Saturated);
    let samples = bench.until(1, saturated).await;
    let sample = samples.into_iter().find(saturated).unwrap();
    assert_eq!((sample.outcome, sample.duration_us), (Outcome::Inconclusive, None));
    assert!(0 < bench.kit.tally.missed());
}

#[tokio::test]
async fn a_check_that_runs_on_when_the_agent_must_end_is_named_stopped() {
    let target = Target::start(SILENT).await;
    let bench = Bench::start(vec![target.check("home", 20_000, 19_000)], no_canaries(), 8);
    // The slot may be up to an interval away: begin one by hand instead.
    let check = target.check("by-hand", 20_000, 19_000);
    let cut = CancellationToken::new();
    let due = due(check, bench.clock.now());
    let taking = take::take(&bench.kit, &due, &cut);
    let (outcome, ()) = tokio::join!(taking, async { cut.cancel() });
    assert_eq!(outcome, Outcome::Inconclusive);
    bench.until(1, |sample| sample.reason == Some(Reason::Stopped)).await;
    bench.stop.cancel();
    timeout(PATIENCE, bench.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn inv_5_under_a_clock_in_doubt_nothing_is_said_of_the_target() {
    let target = Target::start(GOOD).await;
    let clock = Clock::manual(Timestamp::from_ms(1_790_000_000_000));
    let (kit, _state) = Bench::kit(&clock, no_canaries(), 8);
    let due = due(target.check("home", 1_000, 500), clock.now());
    clock.set(clock.now().plus_ms(400));
    assert_eq!(take::take(&kit, &due, &CancellationToken::new()).await, Outcome::Up);
    clock.set(clock.now().plus_ms(-400));
    kit.clock.exchanged(Instant::now(), clock.now().plus_ms(-5_000));
    let later = clock.now().plus_ms(1_000);
    let due = Due { scheduled_at: later, latest_start: later.plus_ms(500), ..due };
    assert_eq!(take::take(&kit, &due, &CancellationToken::new()).await, Outcome::Inconclusive);
    let row = kit.spool.peek(9, usize::MAX).await.unwrap().rows.pop().unwrap();
    let sample: Sample = serde_json::from_str(&row.json).unwrap();
    assert_eq!((sample.reason, sample.detail.as_deref()), (Some(Reason::Clock), Some("seen: up")));
}

#[tokio::test]
async fn what_is_doubted_keeps_what_was_seen() {
    let target = Target::start(GOOD).await;
    let clock = Clock::manual(Timestamp::from_ms(1_790_000_000_000));
    let (kit, _state) = Bench::kit(&clock, no_canaries(), 8);
    let due = due(target.check("home", 1_000, 500), clock.now());
    let seen = Observation {
        outcome: Outcome::Down,
        reason: Some(Reason::ConnectRefused),
        phase: Some(Phase::Connect),
        detail: Some("no \u{1b}[31m luck".into()),
        duration_us: 7,
        phases_us: Phases::default(),
        attempt: 2,
        evidence: Evidence { address: Some("192.0.2.1:443".parse().unwrap()), ..Evidence::default() },
    };
    let sample = judge::sample(&kit, &due, kit.clock.read(), seen, Some(Doubt::Canary));
    assert_eq!(sample.detail.as_deref(), Some("seen: down connect_refused in connect: no  [31m luck"));
    assert_eq!((sample.outcome, sample.attempt, sample.duration_us), (Outcome::Inconclusive, 2, Some(7)));
    assert!(sample.evidence.is_some());
}

#[tokio::test]
async fn what_is_asked_is_run_at_once_and_answered_by_an_extra_sample_that_hurries() {
    let target = Target::start(GOOD).await;
    // Its slot is up to an hour away.
    let bench = Bench::start(vec![target.check("home", 3_600_000, 500)], no_canaries(), 8);
    let at = bench.clock.now().plus_ms(-70);
    let until = Instant::now() + PATIENCE;
    let ask = |check: &str, until| Asked { check: check.parse().unwrap(), at, until };
    for asked in [ask("elsewhere", until), ask("home", Instant::now()), ask("home", until)] {
        bench.asking.send(asked).await.unwrap();
    }
    let samples = bench.until(1, |_| true).await;
    let [sample] = &samples[..] else { panic!("one of ours that is still wanted: {samples:#?}") };
    assert_eq!((sample.check.as_str(), sample.kind, sample.scheduled_at), ("home", SampleKind::Extra, at));
    assert_eq!(sample.outcome, Outcome::Up);
    timeout(PATIENCE, bench.kit.hurry.notified()).await.unwrap();
}

#[tokio::test]
async fn inv_9_an_ask_without_a_permit_in_time_is_given_up_and_nobody_is_owed_a_sample() {
    let target = Target::start(GOOD).await;
    let bench = Bench::start(vec![target.check("home", 3_600_000, 500)], no_canaries(), 1);
    let all = Arc::clone(&bench.kit.permits).acquire_owned().await.unwrap();
    let until = Instant::now() + Duration::from_millis(100);
    bench.asking.send(Asked { check: "home".parse().unwrap(), at: bench.clock.now(), until }).await.unwrap();
    tokio::time::sleep_until(until + Duration::from_millis(400)).await;
    drop(all);
    let at = bench.clock.now().plus_ms(-1);
    bench.asking.send(Asked { check: "home".parse().unwrap(), at, until: Instant::now() + PATIENCE }).await.unwrap();
    let samples = bench.until(1, |_| true).await;
    assert_eq!((samples.len(), samples[0].scheduled_at), (1, at), "{samples:#?}");
    assert_eq!(bench.kit.tally.missed(), 0);
}

#[tokio::test]
async fn only_what_fails_or_was_waited_for_hurries() {
    let target = Target::start(GOOD).await;
    let (kit, _state) = Bench::kit(&Clock::system(), no_canaries(), 8);
    let hurries = async || timeout(Duration::ZERO, kit.hurry.notified()).await.is_ok();
    let slot = || due(target.check("home", 10_000, 5_000), Clock::system().now());
    take::take(&kit, &slot(), &CancellationToken::new()).await;
    assert!(!hurries().await, "a calm sample waits for others");
    take::take(&kit, &Due { urgent: true, ..slot() }, &CancellationToken::new()).await;
    assert!(hurries().await);
    target.mood.store(BAD, Ordering::SeqCst);
    take::take(&kit, &slot(), &CancellationToken::new()).await;
    assert!(hurries().await);
}

/// A dispatch's kit whose pulse beats.
async fn beating() -> (Arc<Kit>, AbortOnDropHandle<()>, tempfile::TempDir) {
    let (kit, state) = Bench::kit(&Clock::system(), no_canaries(), 8);
    let pulse = Arc::clone(&kit.pulse);
    let beating = AbortOnDropHandle::new(tokio::spawn(async move { pulse.beat().await }));
    tokio::time::sleep(Duration::from_millis(1)).await;
    (kit, beating, state)
}

/// Takes a sample of `check` while this thread, which all else runs on too, stands still for `still` of it.
async fn taken_while_still(kit: &Arc<Kit>, check: Arc<Check>, still: Duration) -> Sample {
    let due = due(check, Clock::system().now());
    let stand = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::thread::sleep(still);
    };
    let cut = CancellationToken::new();
    tokio::join!(take::take(kit, &due, &cut), stand);
    let row = kit.spool.peek(usize::MAX, usize::MAX).await.unwrap().rows.pop().unwrap();
    serde_json::from_str(&row.json).unwrap()
}

#[tokio::test]
async fn inv_5_a_target_is_not_blamed_for_the_time_in_which_we_stood_still() {
    let (kit, _beating, _state) = beating().await;
    let silent = Target::start(SILENT).await;
    let still = Duration::from_millis(1_500);
    let sample = taken_while_still(&kit, silent.check("home", 10_000, 1_000), still).await;
    assert_eq!((sample.outcome, sample.reason), (Outcome::Inconclusive, Some(Reason::Stalled)));
    assert_eq!(sample.phase, Some(Phase::FirstByte));
    let detail = sample.detail.unwrap();
    assert!(
        detail.starts_with("the probe stood still for 1") && detail.contains("; seen: down http_timeout"),
        "{detail}"
    );

    // Their answers come while we stand still, or after.
    let late = Duration::from_millis(100);
    let good = Target::start_late(GOOD, late).await;
    let sample = taken_while_still(&kit, good.check("good", 10_000, 5_000), still).await;
    assert_eq!(sample.outcome, Outcome::Up, "what worked worked");
    assert!(Some(1_000_000) < sample.duration_us, "and we stood still for most of it: {sample:?}");
    let mut slow = Draft::from(Check::clone(&good.check("slow", 10_000, 5_000)));
    slow.degraded_after_ms = Some(1);
    let slow = Arc::new(Check::new(slow).unwrap());
    let sample = taken_while_still(&kit, Arc::clone(&slow), still).await;
    assert_eq!(sample.reason, Some(Reason::Stalled), "it is slow because we are: {sample:?}");
    let sample = taken_while_still(&kit, slow, Duration::ZERO).await;
    assert_eq!(sample.reason, Some(Reason::Slow), "and without that nothing is excused: {sample:?}");

    let bad = Target::start_late(BAD, late).await;
    let sample = taken_while_still(&kit, bad.check("bad", 10_000, 5_000), still).await;
    assert_eq!(sample.reason, Some(Reason::HttpStatus), "what a target says hangs on no clock");
}

#[tokio::test]
async fn a_target_that_is_silent_while_we_run_on_is_down() {
    let (kit, _beating, _state) = beating().await;
    let silent = Target::start(SILENT).await;
    // Long enough that no busy machine loses a quarter of it.
    let sample = taken_while_still(&kit, silent.check("home", 20_000, 4_000), Duration::from_millis(300)).await;
    assert_eq!((sample.outcome, sample.reason), (Outcome::Down, Some(Reason::HttpTimeout)), "{:?}", sample.detail);
}

#[test]
fn only_what_hangs_on_time_is_doubted_for_time_that_we_lost() {
    let seen = |outcome, reason: Option<Reason>| Observation {
        outcome,
        reason,
        phase: None,
        detail: None,
        duration_us: 0,
        phases_us: Phases::default(),
        attempt: 1,
        evidence: Evidence::default(),
    };
    for reason in Reason::ALL.iter().filter(|reason| reason.fault() == Some(nines_shared::sample::Fault::Target)) {
        let of_time = reason.code().ends_with("_timeout")
            || matches!(reason, Reason::Latency | Reason::DnsLame | Reason::DnsWrongId);
        assert_eq!(judge::hangs_on_time(&seen(Outcome::Down, Some(reason.clone())), false), of_time, "{reason}");
    }
    assert!(judge::hangs_on_time(&seen(Outcome::Degraded, Some(Reason::Slow)), false));
    assert!(!judge::hangs_on_time(&seen(Outcome::Up, None), false), "up stays up");
    assert!(judge::hangs_on_time(&seen(Outcome::Up, None), true), "it may be up because something was late");
    assert!(!judge::hangs_on_time(&seen(Outcome::Inconclusive, Some(Reason::NoRoute)), true));
}

#[tokio::test]
async fn inv_10_what_would_ask_a_target_too_often_is_told_at_its_slots_and_never_run() {
    let target = Target::start(GOOD).await;
    let checks = ["b", "a"].map(|id| target.check(id, 1_000, 500)).to_vec();
    let bench = Bench::start_with(checks, no_canaries(), 8, Pace::said(1_000));
    let samples = bench.until(3, |sample| sample.check.as_str() == "b").await;
    for sample in &samples {
        let wanted = match sample.check.as_str() {
            "a" => (Outcome::Up, None),
            _ => (Outcome::Inconclusive, Some(Reason::TooOften)),
        };
        assert_eq!((sample.outcome, sample.reason.clone()), wanted, "{sample:?}");
    }
    let refused = samples.iter().find(|sample| sample.check.as_str() == "b").unwrap();
    assert!(refused.detail.as_ref().unwrap().contains("every 500ms") && refused.duration_us.is_none(), "{refused:?}");
    assert!(samples.iter().any(|sample| sample.check.as_str() == "a"), "the earlier id goes on");
    let until = Instant::now() + PATIENCE;
    let at = bench.clock.now().plus_ms(-7);
    bench.asking.send(Asked { check: "b".parse().unwrap(), at, until }).await.unwrap();
    bench.asking.send(Asked { check: "a".parse().unwrap(), at, until }).await.unwrap();
    let samples = bench.until(1, |sample| sample.kind == SampleKind::Extra).await;
    let asked: Vec<&str> =
        samples.iter().filter(|sample| sample.kind == SampleKind::Extra).map(|sample| sample.check.as_str()).collect();
    assert_eq!(asked, ["a"], "who asks for it gets nothing either");
}

#[tokio::test]
async fn inv_9_a_disk_that_hangs_fills_no_memory_with_slots_that_wait_to_be_told() {
    let target = Target::start(GOOD).await;
    let clock = Clock::system();
    let (kit, _state) = Bench::kit(&clock, no_canaries(), 8);
    let (endings, _ended) = mpsc::channel(8);
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let answering = Arc::new(Semaphore::new(MAX_ASKED));
    let limit = Limit::new(kit.pace);
    let mut dispatch = Dispatch { kit, tasks, endings, cut, answering, limit, most: 0 };
    let check = target.check("home", 3_600_000, 500);
    let reading = dispatch.kit.clock.read();
    let mut schedule = Schedule::new("eu-west".parse().unwrap(), reading.now);
    let work = Work { checks: vec![Arc::clone(&check)], ..Work::default() };
    dispatch.assign(&mut schedule, &work, reading);
    let slot = || Look { due: vec![due(Arc::clone(&check), reading.now)], ..Look::default() };
    let most = 2 * (1 + MAX_ASKED);
    // Each waits for a spool that does not answer.
    for _ in 0..most {
        dispatch.tasks.spawn(std::future::pending::<()>());
    }
    dispatch.begin(&mut schedule, slot(), reading);
    assert_eq!((dispatch.tasks.len(), dispatch.kit.tally.missed()), (most + 1, 0), "as many as there may be");
    dispatch.begin(&mut schedule, slot(), reading);
    assert_eq!((dispatch.tasks.len(), dispatch.kit.tally.missed()), (most + 1, 1), "and no more, and it is counted");
}
