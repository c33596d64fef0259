//! Who is asked what, how soon, and through which door.

use axum::http::StatusCode;
use nines_shared::sample::{Outcome, Sample, SampleKind};
use nines_shared::wire::{ASKS_PATH, Asks};

use super::fixture::{Door, Probe, SOON};
use crate::store::probes;

/// A failing sample of `region` that began just now.
fn failing(door: &Door, region: &str) -> Sample {
    let started_at = door.now();
    Sample { outcome: Outcome::Down, started_at, ..door.sample(region, 0) }
}

async fn two_probes(door: &Door) -> (Probe, Probe) {
    (door.probe("eu-west", "eu-west-1").await, door.probe("us-east", "us-east-1").await)
}

#[tokio::test]
async fn a_listening_probe_is_asked_the_moment_that_another_region_fails() {
    let door = Door::open().await;
    let (eu, us) = two_probes(&door).await;
    let mut listening = door.connect(Some(&us.identity)).await.unwrap();
    let mut delivering = door.connect(Some(&eu.identity)).await.unwrap();
    assert_eq!(listening.get(&format!("{ASKS_PATH}?wait_ms=0")).await.status, StatusCode::NO_CONTENT);
    let waiting = tokio::spawn(async move { (listening.get(&format!("{ASKS_PATH}?wait_ms=25000")).await, listening) });
    delivering.post(&eu.batch(vec![failing(&door, "eu-west")])).await.ack();

    let (answer, mut listening) = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
    let told: Asks = answer.json();
    let [ask] = &told.asks[..] else { panic!("{told:?}") };
    assert_eq!((ask.check.as_str(), ask.at, told.now), ("shop-home", door.now(), door.now()));
    let counters = &door.running.counters;
    assert_eq!((counters.asks_made.get(), counters.asks_answered.get()), (1, 0));

    let known = listening.get(&format!("{ASKS_PATH}?have={}&wait_ms=0", ask.no)).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NO_CONTENT, 0));
    let again: Asks = listening.get(&format!("{ASKS_PATH}?wait_ms=0")).await.json();
    assert_eq!(again.asks, told.asks, "one whose answer was lost is told again");

    let answer = Sample { kind: SampleKind::Extra, scheduled_at: ask.at, ..failing(&door, "us-east") };
    listening.post(&us.batch(vec![answer])).await.ack();
    assert_eq!(listening.get(&format!("{ASKS_PATH}?wait_ms=0")).await.status, StatusCode::NO_CONTENT);
    assert_eq!((counters.asks_made.get(), counters.asks_answered.get()), (1, 1), "nobody is asked about an answer");
}

#[tokio::test]
async fn what_is_not_stored_asks_nobody_and_what_is_replayed_asks_nobody_twice() {
    let door = Door::open().await;
    let (eu, us) = two_probes(&door).await;
    let mut listening = door.connect(Some(&us.identity)).await.unwrap();
    listening.get(&format!("{ASKS_PATH}?wait_ms=0")).await;
    let mut delivering = door.connect(Some(&eu.identity)).await.unwrap();
    let foreign = failing(&door, "us-east");
    assert_eq!(delivering.post(&eu.batch(vec![foreign])).await.status, StatusCode::FORBIDDEN);
    assert_eq!(door.running.counters.asks_made.get(), 0);
    let batch = eu.batch(vec![failing(&door, "eu-west")]);
    for _replay in 0..3 {
        delivering.post(&batch).await.ack();
    }
    assert_eq!(door.running.counters.asks_made.get(), 1);
}

#[tokio::test]
async fn only_a_probe_of_the_fleet_may_listen() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut stranger = door.connect(None).await.unwrap();
    assert_eq!(stranger.get(ASKS_PATH).await.status, StatusCode::UNAUTHORIZED);
    let now = door.now();
    let id = "eu-west-1".parse().unwrap();
    door.running.store.write(move |tx| probes::revoke(tx, &id, now)).await.unwrap();
    let mut revoked = door.connect(Some(&probe.identity)).await.unwrap();
    let answer = revoked.get(ASKS_PATH).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::FORBIDDEN, "revoked"));
}
