use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nines_shared::check::{Draft, Question};
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::secret::{Secret, SecretValue};
use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::Assignment;

use super::*;
use crate::stand_in::{Reply, StandIn};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn us() -> ProbeId {
    "eu-west-1".parse().unwrap()
}

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
    let (work, now) = told::work(&serde_json::to_vec(&value).unwrap(), (&us(), &region())).unwrap();
    assert_eq!((ids(&work), now), (vec!["a", "c"], NOW));
    assert_eq!(work.unread, ["b".parse().unwrap()], "and the aggregator will hear of it");
}

#[test]
fn an_assignment_of_another_region_is_not_ours() {
    let body = serde_json::to_vec(&assignment("d", &["a"])).unwrap();
    let error = told::work(&body, (&us(), &"us-east".parse().unwrap())).unwrap_err();
    assert!(matches!(error, AssignmentError::Foreign { .. }), "{error}");
}

#[test]
fn an_assignment_of_another_probe_of_our_region_is_not_ours() {
    let theirs = Assignment { probe: Some("eu-west-2".parse().unwrap()), ..assignment("d", &["a"]) };
    let error = told::work(&serde_json::to_vec(&theirs).unwrap(), (&us(), &region())).unwrap_err();
    assert!(matches!(error, AssignmentError::OfAnother { .. }), "{error}");
    let ours = Assignment { probe: Some(us()), ..theirs };
    assert!(told::work(&serde_json::to_vec(&ours).unwrap(), (&us(), &region())).is_ok());
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
    let link = Link::new(&aggregator.url, Arc::clone(&identity.tls));
    let (us, kept_under) = (identity.clone(), identity.tls.authorities());
    let poll = Poll { link, state: state.path().into(), us, clock: Arc::clone(&clock), telling, kept_under };
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
    let kept = cached(state.path(), &identity).unwrap();
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
    let (work, _now) = told::work(&serde_json::to_vec(&value).unwrap(), (&us(), &region())).unwrap();
    assert_eq!((ids(&work), work.secrets.is_empty()), (vec!["a"], true));
}

/// A probe that has joined, the state directory that it has, and its aggregator.
async fn joined() -> (StandIn, Identity, tempfile::TempDir) {
    let aggregator = StandIn::start(|_, _| Reply::Hang).await;
    let state = tempfile::tempdir().unwrap();
    let identity = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    (aggregator, identity, state)
}

fn written(assignment: &Assignment) -> Vec<u8> {
    serde_json::to_vec(assignment).unwrap()
}

#[tokio::test]
async fn a_cache_that_can_not_be_used_is_none() {
    let (_aggregator, us, state) = joined().await;
    assert_eq!(cached(state.path(), &us), None);
    std::fs::write(state.path().join(ASSIGNMENT_FILE), "{\"torn").unwrap();
    assert_eq!(cached(state.path(), &us), None);
}

#[tokio::test]
async fn a_signed_cache_is_obeyed_as_it_was_signed_for_us_and_by_whom_we_know_or_not_at_all() {
    let (aggregator, us, state) = joined().await;
    let ours = Assignment { probe: Some(self::us()), ..assignment("d", &["a", "b"]) };
    let signed = aggregator.authority.seal(written(&ours));
    let obeyed = |body: &[u8]| {
        keep(state.path(), body, true).unwrap();
        cached(state.path(), &us).is_some()
    };
    assert!(obeyed(&signed));
    let text = String::from_utf8(signed.clone()).unwrap();
    assert!(!obeyed(text.replace("a.example", "b.example").as_bytes()), "it says something else");
    assert!(!obeyed(text.replace("hunter2", "hunter3").as_bytes()), "with another secret");
    assert!(!obeyed(&written(&ours)), "without its signature");
    let stranger = StandIn::start(|_, _| Reply::Hang).await;
    assert!(!obeyed(&stranger.authority.seal(written(&ours))), "signed by another fleet");
    let theirs = Assignment { probe: Some("eu-west-2".parse().unwrap()), ..ours };
    assert!(!obeyed(&aggregator.authority.seal(written(&theirs))), "signed, for another probe");
    assert!(obeyed(&signed));
}

#[tokio::test]
async fn an_unsigned_cache_is_obeyed_until_there_is_a_signed_one_and_after_an_older_aggregator_came_back() {
    let (aggregator, us, state) = joined().await;
    let body = written(&assignment("d", &["a"]));
    // As a version of before there were signatures left it.
    std::fs::write(state.path().join(ASSIGNMENT_FILE), &body).unwrap();
    assert!(cached(state.path(), &us).is_some());
    keep(state.path(), &aggregator.authority.seal(body.clone()), true).unwrap();
    std::fs::write(state.path().join(ASSIGNMENT_FILE), &body).unwrap();
    assert_eq!(cached(state.path(), &us), None);
    keep(state.path(), &body, false).unwrap();
    assert!(cached(state.path(), &us).is_some());
}

#[tokio::test]
async fn what_comes_over_the_line_with_a_wrong_signature_changes_nothing_and_unsigned_is_obeyed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let aggregator = StandIn::start(move |_, authority| {
        let sealed = authority.seal(written(&assignment("forged", &["a"])));
        let forged = String::from_utf8(sealed).unwrap().replace("a.example", "b.example");
        match counting.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Says(StatusCode::OK, forged.into_bytes()),
            1 => Reply::Says(StatusCode::OK, authority.seal(written(&assignment("signed", &["a"])))),
            2 => Reply::Says(StatusCode::OK, written(&assignment("plain", &["a"]))),
            _ => Reply::Hang,
        }
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    let us = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    let (telling, mut work) = watch::channel(Arc::new(Work::default()));
    let link = Link::new(&aggregator.url, Arc::clone(&us.tls));
    let clock = Arc::new(ClockWatch::new(Clock::manual(NOW)));
    let kept_under = us.tls.authorities();
    let poll = Poll { link, state: state.path().into(), us: us.clone(), clock, telling, kept_under };
    let polling = tokio::spawn(poll.run());
    for digest in ["signed", "plain"] {
        tokio::time::timeout(Duration::from_secs(20), work.changed()).await.unwrap().unwrap();
        assert_eq!(work.borrow_and_update().digest, digest);
        assert_eq!(cached(state.path(), &us).unwrap().digest, digest);
    }
    polling.abort();
}

#[tokio::test]
async fn what_was_signed_by_one_who_vouches_no_more_is_fetched_anew_for_a_cold_start() {
    let aggregator = StandIn::start(|request, authority| {
        if request.path.contains("have=&") {
            Reply::Says(StatusCode::OK, authority.seal(written(&assignment("same", &["a"]))))
        } else {
            Reply::Hang
        }
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    let us = aggregator.enrol(state.path(), "eu-west-1", "eu-west");
    let retired = StandIn::start(|_, _| Reply::Hang).await;
    keep(state.path(), &retired.authority.seal(written(&assignment("same", &["a"]))), true).unwrap();
    assert_eq!(cached(state.path(), &us), None, "nobody whom we know signed it");

    let (telling, mut work) = watch::channel(Arc::new(Work { digest: "same".to_owned(), ..Work::default() }));
    let link = Link::new(&aggregator.url, Arc::clone(&us.tls));
    let clock = Arc::new(ClockWatch::new(Clock::manual(NOW)));
    let kept_under = Arc::default();
    let poll = Poll { link, state: state.path().into(), us: us.clone(), clock, telling, kept_under };
    let polling = tokio::spawn(poll.run());
    tokio::time::timeout(Duration::from_secs(20), work.changed()).await.unwrap().unwrap();
    assert_eq!(cached(state.path(), &us).unwrap().digest, "same");
    let deadline = Instant::now() + Duration::from_secs(20);
    while aggregator.seen().len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", aggregator.seen());
        sleep(Duration::from_millis(5)).await;
    }
    let paths: Vec<String> = aggregator.seen().into_iter().map(|seen| seen.path).collect();
    assert!(paths[0].contains("have=&") && paths[1].contains("have=same&"), "once: {paths:?}");
    polling.abort();
}
