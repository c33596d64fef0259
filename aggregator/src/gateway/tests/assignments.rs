//! What a probe is told to do, and how soon.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use nines_shared::wire::{ASSIGNMENT_PATH, Assignment};
use tokio::time::Instant;

use super::fixture::{Door, fleet};
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
