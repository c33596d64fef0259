//! Whoever keeps a connection without using it loses it.

use std::time::Duration;

use nines_shared::wire::{AGGREGATOR_NAME, ASSIGNMENT_PATH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fixture::{Door, SOON};
use crate::gateway::Limits;

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_connection_that_never_shakes_hands_is_closed() {
    let door = Door::with(Limits { handshake: SHORT, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    assert_eq!(timeout(SOON, stream.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let door = Door::with(Limits { head: SHORT, ..Limits::default() }).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut stream = door.dial(Some(&probe.identity)).await.unwrap();
    stream.write_all(b"GET /v1/assignment HTTP/1.1\r\nx: ").await.unwrap();
    let mut answer = Vec::new();
    let _cut_off = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_head_that_never_ends_is_refused() {
    let door = Door::open().await;
    let mut stream = door.dial(None).await.unwrap();
    let head = format!("GET {ASSIGNMENT_PATH} HTTP/1.1\r\nhost: {AGGREGATOR_NAME}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let more = format!("x: {}\r\n", "y".repeat(1_000));
    // The door hangs up before all of it is written.
    for _ in 0..64 {
        if stream.write_all(more.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _cut_off = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_stranger_who_does_not_join_is_shown_out() {
    let door = Door::with(Limits { stranger: SHORT, ..Limits::default() }).await;
    let mut stream = door.dial(None).await.unwrap();
    assert_eq!(timeout(SOON, stream.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn one_connection_too_many_waits_its_turn() {
    let door = Door::with(Limits { connections: 1, stranger: SHORT, ..Limits::default() }).await;
    let _first = door.dial(None).await.unwrap();
    // Served once the first one's time is over.
    let mut second = timeout(SOON, door.connect(None)).await.unwrap().unwrap();
    assert_eq!(second.get(ASSIGNMENT_PATH).await.status, axum::http::StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_address_that_has_its_share_is_turned_away_at_once_and_counted() {
    let door = Door::with(Limits { connections_of_one: 2, ..Limits::default() }).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let storm = [TcpStream::connect(door.address).await.unwrap(), TcpStream::connect(door.address).await.unwrap()];
    let mut one_more = TcpStream::connect(door.address).await.unwrap();
    assert_eq!(timeout(SOON, one_more.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    assert_eq!(door.running.counters.probes_turned_away.get(), 1);
    drop(storm);
    let again = async {
        loop {
            if let Ok(mut connection) = door.connect(Some(&probe.identity)).await {
                return connection.get(ASSIGNMENT_PATH).await.status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(timeout(SOON, again).await.unwrap(), axum::http::StatusCode::OK, "who has gone makes room");
}

#[tokio::test]
async fn strangers_have_their_share_and_leave_the_rest_to_the_fleet() {
    let door = Door::with(Limits { strangers: 1, ..Limits::default() }).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let one_in = async {
        // Who joined just now may not be gone yet.
        loop {
            let mut stranger = door.dial(None).await.unwrap();
            stranger.write_all(b"GET /v1/asks HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            if stranger.read(&mut [0]).await.is_ok_and(|read| read == 1) {
                return stranger;
            }
        }
    };
    let stranger = timeout(SOON, one_in).await.unwrap();
    let before = door.running.counters.probes_turned_away.get();
    let mut one_more = door.dial(None).await.unwrap();
    assert_eq!(timeout(SOON, one_more.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    assert_eq!(door.running.counters.probes_turned_away.get(), before + 1);
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    assert_eq!(connection.get(ASSIGNMENT_PATH).await.status, axum::http::StatusCode::OK);
    drop(stranger);
}
