//! How a probe gets the certificate that follows its own.

use axum::http::StatusCode;
use nines_shared::wire::{ASSIGNMENT_PATH, RENEW_PATH};

use super::fixture::Door;
use crate::store::certificates::OVERLAP_MS;
use crate::store::probes;

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn the_next_certificate_counts_from_when_it_is_shown_and_the_one_before_for_a_moment_longer() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    door.pass(20 * DAY_MS);
    let mut before = door.connect(Some(&probe.identity)).await.unwrap();
    // The first answer is lost on its way; the one who asks again still has the certificate that it had.
    let (lost, _) = before.renewed().await;
    before.post(&probe.batch(vec![door.sample("eu-west", 1)])).await.ack();
    door.pass(61_000);
    let (next, _) = before.renewed().await;
    before.post(&probe.batch(Vec::new())).await.ack();

    let mut after = door.connect(Some(&next)).await.unwrap();
    assert_eq!(after.get(ASSIGNMENT_PATH).await.status, StatusCode::OK);
    after.post(&probe.batch(vec![door.sample("eu-west", 0)])).await.ack();
    before.post(&probe.batch(Vec::new())).await.ack();
    let mut void = door.connect(Some(&lost)).await.unwrap();
    assert_eq!(void.post(&probe.batch(Vec::new())).await.refusal(), "replaced");
    door.pass(OVERLAP_MS);
    assert_eq!(before.post(&probe.batch(Vec::new())).await.refusal(), "replaced");
    after.post(&probe.batch(Vec::new())).await.ack();
    assert_eq!(door.stored().await, 2);
    let listed = door.running.store.read(probes::list).await.unwrap();
    let left = listed[0].certificate_until.since(door.now());
    assert!((29 * DAY_MS..=30 * DAY_MS).contains(&left), "{left}");
}

#[tokio::test]
async fn a_probe_whose_clock_is_wrong_gets_no_certificate_before_half_of_its_own_is_over() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    for ms in [0, 10 * DAY_MS, 5 * DAY_MS - 2] {
        door.pass(ms);
        let (answer, _) = connection.renew().await;
        assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too_soon"));
    }
    door.pass(2);
    connection.renewed().await;
    // One that never arrived may be asked for again, a minute later.
    assert_eq!(connection.renew().await.0.refusal(), "too_soon");
    door.pass(60_000);
    connection.renewed().await;
}

#[tokio::test]
async fn who_was_shut_out_or_shows_nothing_renews_nothing_and_nonsense_is_refused() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    door.pass(20 * DAY_MS);
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let nonsense = connection.send(axum::http::Method::POST, RENEW_PATH, &[], br#"{"csr_pem":"x"}"#.to_vec()).await;
    assert_eq!(nonsense.unwrap().refusal(), "malformed");
    let (id, now) = (probe.joined.probe.clone(), door.now());
    door.running.store.write(move |tx| probes::revoke(tx, &id, now)).await.unwrap();
    assert_eq!(connection.renew().await.0.refusal(), "revoked");
    let mut stranger = door.connect(None).await.unwrap();
    assert_eq!(stranger.renew().await.0.refusal(), "no_certificate");
}
