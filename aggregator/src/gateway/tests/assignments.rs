//! What a probe is told to do, and how soon.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use nines_shared::check::{Check, Draft, HttpAuth, Question};
use nines_shared::secret::{Secret, SecretValue};
use nines_shared::wire::{ASSIGNMENT_PATH, Assignment};
use tokio::time::Instant;

use super::fixture::{Door, fleet};
use crate::definition::Fleet;
use crate::store::tests::check;

#[tokio::test]
async fn a_probe_gets_the_checks_of_its_region_at_once_and_then_nothing_while_nothing_changes() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut more = fleet(60_000);
    more.checks.push(check("us-only", 60_000, &["us-east"]));
    door.fleet.send_replace(Arc::new(more));
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let assignment: Assignment = connection.get(&format!("{ASSIGNMENT_PATH}?wait_ms=20000")).await.json();
    assert_eq!(assignment.region.as_str(), "eu-west");
    assert_eq!(assignment.checks, fleet(60_000).checks);
    assert_eq!(assignment.now, door.now());

    let again = connection.get(&format!("{ASSIGNMENT_PATH}?have={}&wait_ms=50", assignment.digest)).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn a_waiting_probe_hears_of_a_change_within_a_moment_and_not_of_another_regions() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let first: Assignment = connection.get(ASSIGNMENT_PATH).await.json();
    let path = format!("{ASSIGNMENT_PATH}?have={}&wait_ms=25000", first.digest);
    let began = Instant::now();
    let waiting = tokio::spawn(async move { connection.get(&path).await });

    let mut elsewhere = fleet(60_000);
    elsewhere.checks.push(check("us-only", 60_000, &["us-east"]));
    door.fleet.send_replace(Arc::new(elsewhere));
    door.fleet.send_replace(Arc::new(fleet(30_000)));
    let answer = waiting.await.unwrap();
    let second: Assignment = answer.json();
    assert_ne!(second.digest, first.digest);
    assert_eq!(second.checks, fleet(30_000).checks);
    assert!(began.elapsed() < Duration::from_secs(10), "not when the wait was over");
}

/// A fleet where `eu-west` alone asks with a token.
fn with_token(token: &str) -> Fleet {
    let name = Secret::Env("SHOP_TOKEN".to_owned());
    let mut asking = check("eu-only", 60_000, &["eu-west"]);
    let mut draft = Draft::from(asking);
    if let Question::Http(http) = &mut draft.question {
        http.auth = Some(HttpAuth::Bearer(name.clone()));
    }
    asking = Check::new(draft).unwrap();
    let mut fleet = fleet(60_000);
    fleet.checks.push(asking);
    fleet.secrets = [(name, SecretValue::new(token.to_owned()))].into_iter().collect();
    fleet
}

#[tokio::test]
async fn secrets_go_beside_the_checks_that_name_them_and_to_no_other_region() {
    let door = Door::open().await;
    let (eu, us) = (door.probe("eu-west", "eu-west-1").await, door.probe("us-east", "us-east-1").await);
    let plain: Assignment = door.connect(Some(&us.identity)).await.unwrap().get(ASSIGNMENT_PATH).await.json();
    door.fleet.send_replace(Arc::new(with_token("hunter2")));
    let mut connection = door.connect(Some(&eu.identity)).await.unwrap();
    let first: Assignment = connection.get(ASSIGNMENT_PATH).await.json();
    let token = first.secrets.get(&Secret::Env("SHOP_TOKEN".to_owned()));
    assert_eq!(token.map(SecretValue::reveal), Some("hunter2"));
    assert!(!serde_json::to_string(&first.checks).unwrap().contains("hunter2"));
    let elsewhere: Assignment = door.connect(Some(&us.identity)).await.unwrap().get(ASSIGNMENT_PATH).await.json();
    assert_eq!((elsewhere.secrets.is_empty(), elsewhere.digest), (true, plain.digest));

    // The same checks with another secret are other work.
    let path = format!("{ASSIGNMENT_PATH}?have={}&wait_ms=25000", first.digest);
    let waiting = tokio::spawn(async move { connection.get(&path).await });
    door.fleet.send_replace(Arc::new(with_token("hunter3")));
    let second: Assignment = waiting.await.unwrap().json();
    assert_eq!(second.checks, first.checks);
    assert_ne!((&second.secrets, &second.digest), (&first.secrets, &first.digest));
}

#[tokio::test]
async fn a_digest_does_not_let_anyone_try_out_secrets() {
    let mut digests = Vec::new();
    for _aggregator in 0..2 {
        let door = Door::open().await;
        let probe = door.probe("eu-west", "eu-west-1").await;
        door.fleet.send_replace(Arc::new(with_token("1234")));
        let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
        let assignment: Assignment = connection.get(ASSIGNMENT_PATH).await.json();
        digests.push(assignment.digest);
    }
    assert_ne!(digests[0], digests[1], "whoever knows all but the key can't make it");
}

#[tokio::test]
async fn when_the_aggregator_stops_a_waiting_probe_is_answered_and_the_door_closes() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let first: Assignment = connection.get(ASSIGNMENT_PATH).await.json();
    let path = format!("{ASSIGNMENT_PATH}?have={}&wait_ms=25000", first.digest);
    // The request is under way when this is answered: the connection asks one after the other.
    let waiting = tokio::spawn(async move { connection.send(axum::http::Method::GET, &path, &[], Vec::new()).await });
    tokio::task::yield_now().await;
    door.running.stop.cancel();
    match waiting.await.unwrap() {
        Ok(answer) => assert_eq!(answer.status, StatusCode::NOT_MODIFIED),
        Err(error) => assert!(error.is_closed() || error.is_canceled() || error.is_incomplete_message(), "{error:?}"),
    }
    tokio::time::timeout(super::fixture::SOON, door.task).await.unwrap().unwrap().unwrap();
}
