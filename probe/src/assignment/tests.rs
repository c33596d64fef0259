use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nines_shared::check::{Draft, Question};
use nines_shared::secret::{Secret, SecretValue};
use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::Assignment;

use super::*;
use crate::stand_in::{Reply, StandIn};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn region() -> RegionId {
    "eu-west".parse().unwrap()
}

fn check(id: &str) -> Check {
    let question: Question = serde_json::from_str(r#"{"tls":{"address":"a.example:443"}}"#).unwrap();
    Check::new(Draft::new(id.parse().unwrap(), "shop".parse().unwrap(), vec![region()], question)).unwrap()
}

fn assignment(digest: &str, checks: &[&str]) -> Assignment {
    let checks = checks.iter().map(|id| check(id)).collect();
    let value = SecretValue::new("hunter2".to_owned());
    let secrets = [(Secret::Env("SHOP_TOKEN".to_owned()), value)].into_iter().collect();
    Assignment { digest: digest.into(), version: 3, probe: None, region: region(), checks, secrets, now: NOW }
}

fn ids(work: &Work) -> Vec<&str> {
    work.checks.iter().map(|check| check.id.as_str()).collect()
}

#[test]
fn a_check_that_this_version_can_not_read_is_left_out_and_the_others_go_on() {
    let mut value = serde_json::to_value(assignment("d", &["a", "b", "c"])).unwrap();
    value["checks"][1]["question"] = serde_json::json!({ "carrier_pigeon": {} });
    value["new_field"] = serde_json::json!(1);
    let (work, now) = told::work(&serde_json::to_vec(&value).unwrap(), &region()).unwrap();
    assert_eq!((ids(&work), now), (vec!["a", "c"], NOW));
    assert_eq!(work.unread, ["b".parse().unwrap()], "and the aggregator will hear of it");
}

#[test]
fn an_assignment_of_another_region_is_not_ours() {
    let body = serde_json::to_vec(&assignment("d", &["a"])).unwrap();
    let error = told::work(&body, &"us-east".parse().unwrap()).unwrap_err();
    assert!(matches!(error, AssignmentError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_new_assignment_is_told_and_cached_for_a_cold_start() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let aggregator = StandIn::start(move |_, _| match counting.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json(500, &"not yet"),
        1 => Reply::Says(StatusCode::OK, b"{".to_vec()),
        2 => Reply::json(200, &assignment("sha256:1", &["a", "b"])),
        _ => Reply::Hang,
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    let identity = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    let clock = Arc::new(ClockWatch::new(Clock::manual(NOW.plus_ms(70))));
    let (telling, mut work) = watch::channel(Arc::new(Work::default()));
    let link = Link::new(&aggregator.url, identity.tls);
    let poll = Poll { link, state: state.path().into(), region: region(), clock: Arc::clone(&clock), telling };
    let polling = tokio::spawn(poll.run());
    work.changed().await.unwrap();
    assert_eq!(ids(&work.borrow()), ["a", "b"]);
    assert!(clock.offset().is_some(), "the exchange measured our clock");
    while asked.load(Ordering::SeqCst) < 4 {
        sleep(Duration::from_millis(5)).await;
    }
    let last = aggregator.seen().pop().unwrap();
    assert_eq!(last.path, "/v1/assignment?have=sha256%3A1&wait_ms=25000");
    polling.abort();
    let kept = cached(state.path(), &region()).unwrap();
    assert_eq!(kept, **work.borrow());
    let token = kept.secrets.get(&Secret::Env("SHOP_TOKEN".to_owned()));
    assert_eq!(token.map(SecretValue::reveal), Some("hunter2"), "a cold start has the secrets too");
    let mode = std::fs::metadata(state.path().join(ASSIGNMENT_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "and nobody else has them");
}

#[test]
fn an_older_aggregator_sends_no_secrets_and_is_understood() {
    let mut value = serde_json::to_value(assignment("d", &["a"])).unwrap();
    value.as_object_mut().unwrap().remove("secrets").unwrap();
    let (work, _now) = told::work(&serde_json::to_vec(&value).unwrap(), &region()).unwrap();
    assert_eq!((ids(&work), work.secrets.is_empty()), (vec!["a"], true));
}

#[test]
fn a_cache_that_can_not_be_used_is_none() {
    let state = tempfile::tempdir().unwrap();
    assert_eq!(cached(state.path(), &region()), None);
    std::fs::write(state.path().join(ASSIGNMENT_FILE), "{\"torn").unwrap();
    assert_eq!(cached(state.path(), &region()), None);
}
