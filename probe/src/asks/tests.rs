use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::timeout;

use super::*;
use crate::stand_in::{Reply, StandIn};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);
const PATIENCE: Duration = Duration::from_secs(20);

fn ask(no: u64, stands_ms: i64) -> Ask {
    Ask { no, check: format!("check-{no}").parse().unwrap(), at: NOW.plus_ms(-40), until: NOW.plus_ms(stands_ms) }
}

fn told(asks: &[Ask]) -> Reply {
    Reply::json(200, &Asks { asks: asks.to_vec(), now: NOW })
}

/// A listener at work.
struct Bench {
    aggregator: StandIn,
    asked: mpsc::Receiver<Asked>,
    listening: tokio::task::JoinHandle<()>,
    _state: tempfile::TempDir,
}

impl Bench {
    /// With an aggregator that answers the polls, counted from 0, as `script` says.
    async fn start(room: usize, script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let polls = Arc::new(AtomicUsize::new(0));
        let aggregator = StandIn::start(move |_, _| script(polls.fetch_add(1, Ordering::SeqCst))).await;
        let state = tempfile::tempdir().unwrap();
        let identity = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
        let (handing, asked) = mpsc::channel(room);
        let link = Link::new(&aggregator.url, identity.tls);
        let listening = tokio::spawn(Listen { link, handing }.run());
        Self { aggregator, asked, listening, _state: state }
    }

    async fn next(&mut self) -> Asked {
        timeout(PATIENCE, self.asked.recv()).await.unwrap().unwrap()
    }

    async fn until_polled(&self, times: usize) -> Vec<String> {
        let polled = timeout(PATIENCE, async {
            while self.aggregator.seen().len() < times {
                sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(polled.await.is_ok(), "{:?}", self.aggregator.seen());
        self.aggregator.seen().into_iter().map(|seen| seen.path).collect()
    }
}

#[tokio::test]
async fn asks_are_handed_on_at_once_and_told_to_be_known() {
    let mut bench = Bench::start(8, |poll| match poll {
        0 => told(&[ask(7, 10_000), ask(8, 10_000)]),
        1 => told(&[ask(9, 10_000)]),
        _ => Reply::Hang,
    })
    .await;
    let begun = Instant::now();
    let asked = bench.next().await;
    assert_eq!((asked.check.as_str(), asked.at), ("check-7", NOW.plus_ms(-40)));
    assert!(Duration::from_secs(10) <= asked.until - begun && asked.until <= Instant::now() + Duration::from_secs(10));
    assert_eq!([bench.next().await.check.as_str(), bench.next().await.check.as_str()], ["check-8", "check-9"]);
    let paths = bench.until_polled(3).await;
    let have: Vec<&str> = paths.iter().filter_map(|path| path.split(['=', '&']).nth(1)).collect();
    assert_eq!(have, ["0", "8", "9"]);
}

#[tokio::test]
async fn how_long_an_ask_stands_is_by_the_aggregators_clock_and_bounded() {
    let stand = |ms| stands(&ask(1, ms), NOW);
    assert_eq!([stand(-5), stand(0), stand(5)], [Duration::ZERO, Duration::ZERO, Duration::from_millis(5)]);
    assert_eq!(stand(86_400_000), MAX_STANDS);
}

#[tokio::test]
async fn an_aggregator_that_knows_no_asks_is_left_alone_and_one_that_fails_is_asked_again() {
    let older = Bench::start(8, |_| Reply::refusal(404, None)).await;
    let mut failing = Bench::start(8, |poll| match poll {
        0 => Reply::Drop,
        1 => Reply::refusal(503, None),
        2 => Reply::Says(StatusCode::OK, b"<html>It works!</html>".to_vec()),
        _ => told(&[ask(1, 10_000)]),
    })
    .await;
    assert_eq!(failing.next().await.check.as_str(), "check-1");
    assert_eq!(older.aggregator.seen().len(), 1);
    assert!(!older.listening.is_finished());
}

#[tokio::test]
async fn inv_9_what_there_is_no_room_for_is_dropped_and_what_comes_again_is_not_taken_again() {
    let mut bench = Bench::start(2, |poll| match poll {
        0 => told(&[ask(1, 10_000), ask(2, 10_000), ask(3, 10_000)]),
        // An aggregator that does not read what we have.
        1 => told(&[ask(3, 10_000)]),
        2 => told(&[ask(4, 10_000)]),
        _ => Reply::Hang,
    })
    .await;
    bench.until_polled(2).await;
    assert_eq!([bench.next().await.check.as_str(), bench.next().await.check.as_str()], ["check-1", "check-2"]);
    assert_eq!(bench.next().await.check.as_str(), "check-4");
}
