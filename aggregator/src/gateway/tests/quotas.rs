//! A probe that runs wild is told to come again, and the others notice nothing.

use axum::http::{Method, StatusCode};
use nines_shared::wire::{ASSIGNMENT_PATH, Assignment, BATCHES_PATH, MAX_BATCH_BYTES};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::fixture::{Door, SOON};
use crate::gateway::quota::{MAX_BATCHES_OF_ONE, MAX_BYTES_AT_ONCE, MAX_REQUESTS_AT_ONCE};

#[tokio::test]
async fn a_probe_that_storms_the_door_is_told_when_to_come_again_and_the_others_are_taken() {
    let door = Door::open().await;
    let (wild, calm) = (door.probe("eu-west", "eu-west-1").await, door.probe("us-east", "us-east-1").await);
    let mut storm = door.connect(Some(&wild.identity)).await.unwrap();
    // On a slow machine its account fills while it asks.
    let mut told = None;
    for _ in 0..100 * MAX_REQUESTS_AT_ONCE {
        let answer = storm.send(Method::GET, &format!("{ASSIGNMENT_PATH}?have=x"), &[], Vec::new()).await.unwrap();
        if answer.status != StatusCode::OK {
            told = Some(answer);
            break;
        }
        let _work: Assignment = answer.json();
    }
    let told = told.expect("it is stopped at some time");
    assert_eq!((told.status, told.refusal().as_str()), (StatusCode::TOO_MANY_REQUESTS, "limited"));
    assert_eq!(told.headers["retry-after"], "1");
    let limited = door.running.counters.limited.all();
    assert_eq!(limited, [(wild.joined.probe.clone(), "requests", 1)]);

    let mut connection = door.connect(Some(&calm.identity)).await.unwrap();
    let taken = connection.post(&calm.batch(vec![door.sample("us-east", 0)])).await.ack();
    assert_eq!(taken.stored, 1);
}

#[tokio::test]
async fn bombs_cost_whoever_sends_them_and_are_refused_before_they_are_read() {
    let door = Door::open().await;
    let wild = door.probe("eu-west", "eu-west-1").await;
    let mut storm = door.connect(Some(&wild.identity)).await.unwrap();
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b' '), 64 << 20), 3).unwrap();
    let mut statuses = Vec::new();
    while statuses.last() != Some(&StatusCode::TOO_MANY_REQUESTS) && statuses.len() < 5_000 {
        statuses.push(storm.post_raw("zstd", bomb.clone()).await.status);
    }
    assert_eq!(statuses.pop(), Some(StatusCode::TOO_MANY_REQUESTS), "after {} bombs", statuses.len());
    assert!(statuses.iter().all(|status| *status == StatusCode::PAYLOAD_TOO_LARGE));
    let refused = door.running.counters.batches_refused.get();
    assert_eq!(refused, statuses.len() as u64, "who comes too early is counted elsewhere");
    let at_least = MAX_BYTES_AT_ONCE / i64::try_from(MAX_BATCH_BYTES).unwrap() / 8;
    assert!(at_least <= i64::try_from(refused).unwrap(), "what may come at once does");
}

#[tokio::test]
async fn a_probe_keeps_no_more_than_its_places_busy_with_bodies_that_drip() {
    let door = Door::open().await;
    let wild = door.probe("eu-west", "eu-west-1").await;
    let head = format!("POST {BATCHES_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
    let first_told = async {
        let mut streams = Vec::new();
        for _ in 0..=MAX_BATCHES_OF_ONE {
            let mut stream = door.dial(Some(&wild.identity)).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            streams.push(stream);
        }
        // Those that have a place are not answered within the time that a body may take, which is longer than SOON.
        let mut told = JoinSet::new();
        for mut stream in streams {
            told.spawn(async move {
                let mut status = [0; 12];
                stream.read_exact(&mut status).await.map(|_| status)
            });
        }
        told.join_next().await.unwrap().unwrap().unwrap()
    };
    assert_eq!(&tokio::time::timeout(SOON, first_told).await.unwrap(), b"HTTP/1.1 429");
    assert_eq!(door.running.counters.limited.all(), [(wild.joined.probe.clone(), "batches", 1)]);
}
