//! One process at a time is a probe, and who is shut out is so at once.

use axum::http::{Method, StatusCode};
use nines_shared::wire::{ASKS_PATH, ASSIGNMENT_PATH, Assignment, BATCHES_PATH, BOOT_HEADER, LEAVE_PATH, MAX_BOOT_LEN};

use super::fixture::{Answer, Connection, Door, Probe, SOON, packed};
use crate::control::Command;
use crate::store::probes::{self, ProbeRecord};

async fn beat(connection: &mut Connection, boot: &str, probe: &Probe) -> Answer {
    let headers = [("content-encoding", "zstd"), (BOOT_HEADER, boot)];
    connection.send(Method::POST, BATCHES_PATH, &headers, packed(&probe.batch(Vec::new()))).await.unwrap()
}

async fn listed(door: &Door) -> ProbeRecord {
    door.running.store.read(probes::list).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_second_process_with_the_same_identity_gets_nothing_and_the_first_goes_on() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut first = door.connect(Some(&probe.identity)).await.unwrap();
    let mut second = door.connect(Some(&probe.identity)).await.unwrap();
    beat(&mut first, "one", &probe).await.ack();
    let refused = beat(&mut second, "two", &probe).await;
    assert_eq!((refused.status, refused.refusal().as_str()), (StatusCode::CONFLICT, "cloned"));
    let refused = second.send(Method::GET, ASSIGNMENT_PATH, &[(BOOT_HEADER, "two")], Vec::new()).await.unwrap();
    assert_eq!(refused.refusal(), "cloned");
    assert_eq!(listed(&door).await.cloned, None, "as yet it may be a restart");

    beat(&mut first, "one", &probe).await.ack();
    let since = door.now();
    assert_eq!(listed(&door).await.cloned.map(|span| (span.from, span.to)), Some((since, since)));
    door.pass(10_000);
    assert_eq!(beat(&mut second, "two", &probe).await.refusal(), "cloned");
    beat(&mut first, "one", &probe).await.ack();
    assert_eq!(listed(&door).await.cloned.map(|span| (span.from, span.to)), Some((since, door.now())));
}

#[tokio::test]
async fn whoever_leaves_out_which_process_it_is_gets_nothing_beside_the_one_that_lives() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut first = door.connect(Some(&probe.identity)).await.unwrap();
    beat(&mut first, "one", &probe).await.ack();
    let long = "x".repeat(MAX_BOOT_LEN + 1);
    for boot in [None, Some(""), Some(long.as_str())] {
        let mut thief = door.connect(Some(&probe.identity)).await.unwrap();
        thief.boot = None;
        let headers: Vec<_> = boot.map(|boot| (BOOT_HEADER, boot)).into_iter().collect();
        for path in [ASSIGNMENT_PATH, ASKS_PATH] {
            let answer = thief.send(Method::GET, path, &headers, Vec::new()).await.unwrap();
            assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::CONFLICT, "cloned"), "{boot:?}");
        }
        assert_eq!(thief.renew().await.0.refusal(), "cloned");
    }
    beat(&mut first, "one", &probe).await.ack();
    assert_eq!(listed(&door).await.cloned.map(|span| span.from), Some(door.now()), "and it is told of");
}

#[tokio::test]
async fn whoever_does_not_say_which_process_it_is_renews_nothing_and_takes_no_place() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    door.pass(20 * 86_400_000);
    let mut nobody = door.connect(Some(&probe.identity)).await.unwrap();
    nobody.boot = None;
    let answer = nobody.renew().await.0;
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::BAD_REQUEST, "no_boot"));
    // As probes of before there were such ids do.
    nobody.post(&probe.batch(Vec::new())).await.ack();
    let mut first = door.connect(Some(&probe.identity)).await.unwrap();
    beat(&mut first, "one", &probe).await.ack();
    first.renewed().await;
}

#[tokio::test]
async fn a_replaced_certificate_that_is_still_shown_is_told_of_once_its_probe_has_the_next_one() {
    let door = Door::open().await;
    let before = door.probe("eu-west", "eu-west-1").await;
    let shown_again = async || door.connect(Some(&before.identity)).await.unwrap().get(ASSIGNMENT_PATH).await.refusal();
    door.invite("eu-west", "eu-west-1", "anew").await;
    let after = door.join("anew").await.1.unwrap();
    let counted = || door.running.counters.shut_out.all();
    assert_eq!(shown_again().await, "replaced");
    assert_eq!(listed(&door).await.cloned, None, "it may be the same machine, which has just joined again");
    assert_eq!(counted(), [(before.joined.probe.clone(), "replaced", 1)]);

    door.pass(10_000);
    door.connect(Some(&after.identity)).await.unwrap().post(&after.batch(Vec::new())).await.ack();
    assert_eq!(shown_again().await, "replaced");
    assert_eq!(counted(), [(before.joined.probe.clone(), "replaced", 2)]);
    assert_eq!(listed(&door).await.cloned, None, "told once a minute");
    let door = door.reopened().await;
    let shown = door.connect(Some(&before.identity)).await.unwrap().get(ASSIGNMENT_PATH).await;
    assert_eq!(shown.refusal(), "replaced");
    assert_eq!(listed(&door).await.cloned.map(|span| span.to), Some(door.now()));
}

#[tokio::test]
async fn who_is_shut_out_and_comes_all_the_same_is_counted_by_why() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    connection.get(ASSIGNMENT_PATH).await.json::<Assignment>();
    assert_eq!(door.running.counters.shut_out.all(), []);
    door.command(Command::Revoke { probe: probe.joined.probe.clone() }).await.unwrap();
    for _ in 0..3 {
        assert_eq!(connection.get(ASSIGNMENT_PATH).await.refusal(), "revoked");
    }
    assert_eq!(door.running.counters.shut_out.all(), [(probe.joined.probe.clone(), "revoked", 3)]);
    door.pass(31 * 86_400_000);
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.refusal(), "certificate_ended");
    assert_eq!(door.running.counters.shut_out.all().len(), 2);
}

#[tokio::test]
async fn a_process_that_ends_in_order_makes_room_at_once_and_one_that_dies_soon() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut first = door.connect(Some(&probe.identity)).await.unwrap();
    beat(&mut first, "one", &probe).await.ack();
    let left = first.send(Method::POST, LEAVE_PATH, &[(BOOT_HEADER, "one")], Vec::new()).await.unwrap();
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    let mut second = door.connect(Some(&probe.identity)).await.unwrap();
    beat(&mut second, "two", &probe).await.ack();

    // Its connection goes with it; a moment later the next one is let in, long before the lease is over.
    drop(second);
    let mut third = door.connect(Some(&probe.identity)).await.unwrap();
    let mut passed_ms = 0;
    while beat(&mut third, "three", &probe).await.status != StatusCode::OK {
        // Slowly enough for a busy machine to see in time that the line is gone.
        door.pass(100);
        passed_ms += 100;
        assert!(passed_ms < 25_000, "as long as a lease that nobody let go of");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(1_000 < passed_ms, "after {passed_ms} ms");
    assert_eq!(listed(&door).await.cloned, None);
}

#[tokio::test]
async fn who_is_revoked_while_it_waits_for_work_hears_of_it_at_once() {
    let door = Door::open().await;
    let (probe, other) = (door.probe("eu-west", "eu-west-1").await, door.probe("us-east", "us-east-1").await);
    let mut waits = Vec::new();
    for identity in [&probe.identity, &other.identity] {
        let mut connection = door.connect(Some(identity)).await.unwrap();
        let first: Assignment = connection.get(ASSIGNMENT_PATH).await.json();
        let path = format!("{ASSIGNMENT_PATH}?have={}&wait_ms=25000", first.digest);
        waits.push(tokio::spawn(async move { connection.get(&path).await }));
    }
    let waiting = waits.remove(0);
    // Once by a command, once by another who joins in its place.
    door.command(Command::Revoke { probe: probe.joined.probe.clone() }).await.unwrap();
    let answer = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::FORBIDDEN, "revoked"));
    assert!(!waits[0].is_finished(), "nobody else is disturbed");
    door.invite("us-east", "us-east-1", "anew").await;
    door.join("anew").await.1.unwrap();
    let answer = tokio::time::timeout(SOON, waits.remove(0)).await.unwrap().unwrap();
    assert_eq!(answer.refusal(), "replaced");
}
