//! What is taken, what is refused, and what is never acknowledged.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use nines_shared::sample::Sample;
use nines_shared::wire::{
    AGGREGATOR_NAME, BATCHES_PATH, Batch, Health, MAX_BATCH_BYTES, MAX_BATCH_SAMPLES, MAX_FUTURE_MS, Refusal,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fixture::{Door, Probe, SOON, packed};
use crate::gateway::Limits;
use crate::store::probes;

#[tokio::test]
async fn the_same_batch_again_is_acknowledged_and_changes_nothing() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let batch = probe.batch((0..100).map(|ago| door.sample("eu-west", ago)).collect());
    let first = connection.post(&batch).await.ack();
    let again = connection.post(&batch).await.ack();
    assert_eq!((first.samples, first.stored), (100, 100));
    assert_eq!((again.samples, again.stored), (100, 0));
    assert_eq!(door.stored().await, 100);
    assert_eq!(*door.running.arrivals.borrow(), 1, "nobody is woken for nothing new");
    assert_eq!(door.running.counters.samples_duplicate.get(), 100);
}

#[tokio::test]
async fn how_a_probe_is_is_kept_with_its_batch_even_with_an_empty_one() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let health =
        Health { version: "1\u{1b}[2J".to_owned(), spooled: 7, clock_offset_ms: Some(-3), ..Health::default() };
    let ack = connection.post(&Batch { health, ..probe.batch(Vec::new()) }).await.ack();
    assert_eq!((ack.samples, ack.stored, ack.now), (0, 0, door.now()));
    let known = door.running.store.read(probes::list).await.unwrap().remove(0);
    assert_eq!(known.seen_at, Some(door.now()));
    assert_eq!((known.health.version.as_str(), known.health.spooled), ("1 [2J", 7));
    assert_eq!(known.health.clock_offset_ms, Some(-3));
}

/// A refusal that a table tells: what is sent, its encoding, the status and the code of the answer.
type Case = (&'static str, Vec<u8>, &'static str, StatusCode, &'static str);

#[tokio::test]
async fn what_is_refused_is_refused_whole_and_stores_nothing() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    door.probe("us-east", "us-east-1").await;
    let cases = [bad_samples(&door, &probe), bad_bodies(&door, &probe)].concat();
    let count = u64::try_from(cases.len()).unwrap();
    for (what, body, encoding, status, code) in cases {
        let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
        let answer = connection.post_raw(encoding, body).await;
        assert_eq!((answer.status, answer.refusal().as_str()), (status, code), "{what}");
    }
    assert_eq!(door.stored().await, 0);
    assert_eq!(*door.running.arrivals.borrow(), 0);
    assert_eq!(door.running.counters.batches_refused.get(), count);
}

/// Batches of one good sample and one that is not.
fn bad_samples(door: &Door, probe: &Probe) -> Vec<Case> {
    const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
    let case = |what, change: &dyn Fn(&mut Sample), status, code| {
        let mut bad = door.sample("eu-west", 0);
        change(&mut bad);
        (what, packed(&probe.batch(vec![door.sample("eu-west", 1), bad])), "zstd", status, code)
    };
    let us_east_1 = || Some("us-east-1".parse().unwrap());
    let future = door.now().plus_ms(MAX_FUTURE_MS + 1);
    vec![
        case("another probe's", &|s| s.probe = us_east_1(), StatusCode::FORBIDDEN, "foreign_probe"),
        case("another region's", &|s| s.region = "us-east".parse().unwrap(), StatusCode::FORBIDDEN, "foreign_region"),
        case("a check that is none", &|s| s.check = "shop-hom".parse().unwrap(), UNPROCESSABLE, "unknown_check"),
        case("the future", &|s| s.started_at = future, UNPROCESSABLE, "future"),
        case("no slot", &|s| s.scheduled_at = s.scheduled_at.plus_ms(-1), UNPROCESSABLE, "no_such_slot"),
        case("ages ago", &|s| s.scheduled_at = nines_shared::time::Timestamp::MIN, UNPROCESSABLE, "too_old"),
        case("ages long", &|s| s.duration_us = Some(u64::MAX), UNPROCESSABLE, "duration"),
    ]
}

/// Bodies that are wrong as a whole.
fn bad_bodies(door: &Door, probe: &Probe) -> Vec<Case> {
    const TOO_LARGE: StatusCode = StatusCode::PAYLOAD_TOO_LARGE;
    let one = packed(&probe.batch(vec![door.sample("eu-west", 0)]));
    let spoofed = Batch { probe: "us-east-1".parse().unwrap(), ..probe.batch(vec![door.sample("us-east", 0)]) };
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b' '), 64 << 20), 3).unwrap();
    let many = probe.batch(vec![door.sample("eu-west", 0); MAX_BATCH_SAMPLES + 1]);
    vec![
        ("another probe's batch", packed(&spoofed), "zstd", StatusCode::FORBIDDEN, "foreign_probe"),
        ("too many samples", packed(&many), "zstd", TOO_LARGE, "too_many_samples"),
        ("too many bytes", vec![b' '; MAX_BATCH_BYTES + 1], "identity", TOO_LARGE, "too_large"),
        ("a bomb", bomb, "zstd", TOO_LARGE, "too_large"),
        ("half a frame", one[..one.len() / 2].to_vec(), "zstd", StatusCode::BAD_REQUEST, "malformed"),
        ("not JSON", b"{".to_vec(), "identity", StatusCode::BAD_REQUEST, "malformed"),
        ("JSON of something else", b"[]".to_vec(), "identity", StatusCode::BAD_REQUEST, "malformed"),
        ("nothing", Vec::new(), "identity", StatusCode::BAD_REQUEST, "malformed"),
        ("another encoding", one, "gzip", StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding"),
    ]
}

#[tokio::test]
async fn a_refusal_names_the_sample_at_fault() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut bad = door.sample("eu-west", 0);
    bad.check = "gone".parse().unwrap();
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let samples = vec![door.sample("eu-west", 2), door.sample("eu-west", 1), bad];
    let refusal: Refusal = connection.post(&probe.batch(samples)).await.json();
    assert_eq!(refusal.sample, Some(2));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_delivery() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let body = packed(&probe.batch(vec![door.sample("eu-west", 0)]));
    let mut stream = door.dial(Some(&probe.identity)).await.unwrap();
    let head = format!(
        "POST {BATCHES_PATH} HTTP/1.1\r\nhost: {AGGREGATOR_NAME}\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\n\r\n",
        body.len() + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _cut_off = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(door.stored().await, 0);
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let limits = Limits { body: Duration::from_millis(100), ..Limits::default() };
    let door = Door::with(limits).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut stream = door.dial(Some(&probe.identity)).await.unwrap();
    let head = format!("POST {BATCHES_PATH} HTTP/1.1\r\nhost: {AGGREGATOR_NAME}\r\ncontent-length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn inv_2_a_store_that_fails_never_acknowledges_and_never_blames_the_probe() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let breaking = rusqlite::Connection::open(door.folder.path().join("nines.db")).unwrap();
    breaking.execute_batch("ALTER TABLE sample RENAME TO sample_away").unwrap();
    let batch = probe.batch(vec![door.sample("eu-west", 0)]);
    let answer = connection.post(&batch).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "store"));
    assert!(answer.headers.contains_key("retry-after"));
    breaking.execute_batch("ALTER TABLE sample_away RENAME TO sample").unwrap();
    assert_eq!(door.stored().await, 0);
    assert_eq!(connection.post(&batch).await.ack().stored, 1, "what was kept is delivered once it can be");
}

#[tokio::test]
async fn inv_2_a_store_that_is_busy_says_so_before_the_commit_and_not_after() {
    let limits = Limits { commit: Duration::from_millis(100), ..Limits::default() };
    let door = Door::with(limits).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let (release, holding) = door.hold_the_writer();
    let batch = probe.batch(vec![door.sample("eu-west", 0)]);
    let answer = connection.post(&batch).await;
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    assert!(answer.headers.contains_key("retry-after"));
    release.send(()).unwrap();
    holding.await.unwrap();
    let ack = connection.post(&batch).await.ack();
    assert_eq!(ack.samples, 1);
    assert_eq!(door.stored().await, 1, "once, whichever of the two was committed");
}

#[tokio::test]
async fn what_is_committed_after_its_probe_was_told_to_come_again_is_known_to_all_whom_it_concerns() {
    let door = Door::with(Limits { commit: Duration::from_millis(100), ..Limits::default() }).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let (release, holding) = door.hold_the_writer();
    let answer = connection.post(&probe.batch(vec![door.sample("eu-west", 0)])).await;
    assert_eq!(answer.refusal(), "busy");
    let mut arrivals = door.running.arrivals.subscribe();
    assert_eq!(*arrivals.borrow_and_update(), 0);
    release.send(()).unwrap();
    holding.await.unwrap();
    tokio::time::timeout(SOON, arrivals.changed()).await.expect("whoever waits for samples is woken").unwrap();
    assert_eq!((door.running.counters.samples_stored.get(), door.stored().await), (1, 1));
}

#[tokio::test]
async fn inv_9_a_store_that_hangs_keeps_no_more_batches_than_there_are_places() {
    let (commit, deliveries_at_work) = (Duration::from_millis(100), 1);
    let door = Door::with(Limits { commit, deliveries_at_work, ..Limits::default() }).await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let (release, holding) = door.hold_the_writer();
    for slot in 0..3 {
        let answer = connection.post(&probe.batch(vec![door.sample("eu-west", slot)])).await;
        assert_eq!(answer.refusal(), "busy");
    }
    release.send(()).unwrap();
    holding.await.unwrap();
    connection.post(&probe.batch(Vec::new())).await.ack();
    assert_eq!(door.stored().await, 1, "the first had a place, and the others went with their requests");
}

#[tokio::test]
async fn a_slot_of_a_version_that_was_is_taken_and_a_new_check_from_the_moment_it_is_in_force() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let old = door.sample("eu-west", 1);
    let mut new = door.sample("eu-west", 1);
    new.check = "shop-new".parse().unwrap();
    new.kind = nines_shared::sample::SampleKind::Extra;
    assert_eq!(connection.post(&probe.batch(vec![new.clone()])).await.refusal(), "unknown_check");

    let mut fleet = super::fixture::fleet(30_000);
    fleet.checks.push(crate::store::tests::check("shop-new", 60_000, &["eu-west"]));
    let (loading, now) = (fleet.clone(), door.now());
    let load = door.running.store.write(move |tx| crate::store::definitions::load(tx, &loading, now));
    load.await.unwrap();
    door.fleet.send_replace(std::sync::Arc::new(fleet));
    assert_eq!(connection.post(&probe.batch(vec![old, new])).await.ack().stored, 2);
}

#[tokio::test]
async fn an_unknown_path_is_no_delivery_either() {
    let door = Door::open().await;
    let probe = door.probe("eu-west", "eu-west-1").await;
    let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
    let body = packed(&probe.batch(vec![door.sample("eu-west", 0)]));
    let answer = connection.send(Method::POST, "/v2/batches", &[("content-encoding", "zstd")], body).await.unwrap();
    assert_eq!((answer.status, answer.refusal().as_str()), (StatusCode::NOT_FOUND, "no_such_path"));
}
