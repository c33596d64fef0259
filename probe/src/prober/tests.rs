//! Checks against real listeners on loopback, good and hostile: each fault must end in its outcome,
//! reason and phase, within its deadline.

mod dns;
mod grpc;
mod http;
mod http2_faults;
#[cfg(feature = "http3")]
mod http3;
mod http_evidence;
mod http_faults;
mod icmp;
mod law;
mod names;
mod parts;
mod proxy;
mod reach;
mod request;
mod secrets;
mod targets;
mod tcp;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use nines_shared::address::AddressRule;
use nines_shared::check::{Check, Draft, HttpQuestion, Question};
use nines_shared::sample::{Outcome, Phase, Reason, TraceId};
use tokio::time::Instant;

use super::{Observation, Prober, Vantage};

/// The deadline of checks that must meet it.
const SHORT_MS: i64 = 300;
/// What goes out with a check where a test does not look at it.
const TRACE: TraceId = TraceId(7);
/// The deadline of checks that must not.
const LONG_MS: i64 = 20_000;

fn loopback() -> AddressRule {
    AddressRule::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], Vec::new())
}

fn prober() -> Prober {
    Prober::new(Vantage { source: None, rule: loopback(), ..Vantage::default() })
}

fn draft(question: Question, timeout_ms: i64) -> Draft {
    let mut draft = Draft::new("c".parse().unwrap(), "s".parse().unwrap(), vec!["r".parse().unwrap()], question);
    draft.timeout_ms = timeout_ms;
    draft
}

fn check(question: Question, timeout_ms: i64) -> Check {
    Check::new(draft(question, timeout_ms)).unwrap()
}

fn get(url: &str) -> HttpQuestion {
    HttpQuestion::get(url.parse().unwrap())
}

fn get_from(address: SocketAddr) -> HttpQuestion {
    get(&format!("http://{address}/"))
}

async fn ask(question: HttpQuestion) -> Observation {
    prober().run(&check(Question::Http(Box::new(question)), LONG_MS), TRACE).await
}

/// What the tables of faults hold an observation against.
fn verdict(seen: &Observation) -> (Outcome, Option<Reason>, Option<Phase>) {
    (seen.outcome, seen.reason.clone(), seen.phase)
}

fn down(reason: Reason, phase: Phase) -> (Outcome, Option<Reason>, Option<Phase>) {
    (Outcome::Down, Some(reason), Some(phase))
}

fn ours(reason: Reason, phase: Phase) -> (Outcome, Option<Reason>, Option<Phase>) {
    (Outcome::Inconclusive, Some(reason), Some(phase))
}

const UP: (Outcome, Option<Reason>, Option<Phase>) = (Outcome::Up, None, None);

#[test]
fn a_check_may_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let (prober, check) = (prober(), check(Question::Http(Box::new(get("http://127.0.0.1/"))), LONG_MS));
    is_send(&prober.run(&check, TRACE));
}

#[tokio::test]
async fn one_deadline_covers_all_attempts_and_the_last_one_decides() {
    let target = targets::silent().await;
    let mut draft = draft(Question::Http(Box::new(get_from(target))), SHORT_MS);
    draft.retries = 5;
    let seen = prober().run(&Check::new(draft).unwrap(), TRACE).await;
    assert_eq!(verdict(&seen), down(Reason::HttpTimeout, Phase::FirstByte));
    assert_eq!(seen.attempt, 1, "the first took all the time that there was");
}

#[tokio::test]
async fn a_retry_that_works_is_a_success_that_tells_its_number() {
    let target = targets::turns(vec![targets::response("500 Oops", ""), targets::response("200 OK", "")]).await;
    let mut draft = draft(Question::Http(Box::new(get_from(target))), LONG_MS);
    draft.retries = 2;
    let seen = prober().run(&Check::new(draft).unwrap(), TRACE).await;
    assert_eq!((seen.outcome, seen.attempt), (Outcome::Up, 2));
}

#[tokio::test]
async fn a_slow_success_is_degraded_and_says_where_the_time_went() {
    let target = targets::late(Duration::from_millis(60), targets::response("200 OK", "")).await;
    let mut draft = draft(Question::Http(Box::new(get_from(target))), LONG_MS);
    draft.degraded_after_ms = Some(20);
    let seen = prober().run(&Check::new(draft).unwrap(), TRACE).await;
    assert_eq!(verdict(&seen), (Outcome::Degraded, Some(Reason::Slow), None));
    assert!(seen.detail.unwrap().contains("first_byte"));
}

#[tokio::test]
async fn a_probe_looks_from_its_source_address() {
    let (target, mut peers) = targets::telling_peers().await;
    let from = |source: &str| {
        Prober::new(Vantage { source: Some(source.parse().unwrap()), rule: loopback(), ..Vantage::default() })
    };
    let check = check(Question::Http(Box::new(get_from(target))), LONG_MS);
    let seen = from("127.0.0.11").run(&check, TRACE).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(peers.recv().await.unwrap().ip().to_string(), "127.0.0.11");
    // An address of the documentation, which no machine has.
    assert_eq!(verdict(&from("192.0.2.77").run(&check, TRACE).await), ours(Reason::SourceAddress, Phase::Connect));
    assert_eq!(verdict(&from("::1").run(&check, TRACE).await), ours(Reason::SourceAddress, Phase::Resolve));
}
