//! How the probes of one region share its checks, as each is told over its own line.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use nines_shared::id::CheckId;
use nines_shared::wire::{ASSIGNMENT_PATH, Assignment, Batch, Health, LEAVE_PATH};
use tokio::task::JoinHandle;

use super::fixture::{Answer, Connection, Door, Probe, SOON, fleet};
use crate::control::Command;
use crate::definition::Fleet;
use crate::store::tests::check;

const CHECKS: usize = 24;

/// A fleet with many checks asked from eu-west.
fn many() -> Fleet {
    let mut fleet = fleet(60_000);
    let more = (1..CHECKS).map(|n| check(&format!("check-{n}"), 60_000, &["eu-west"]));
    fleet.checks.extend(more);
    fleet
}

/// A probe that works by what it was told last.
struct Worker {
    probe: Probe,
    connection: Option<Connection>,
    has: Assignment,
}

impl Worker {
    async fn start(door: &Door, name: &str) -> Self {
        let probe = door.probe("eu-west", name).await;
        let mut connection = door.connect(Some(&probe.identity)).await.unwrap();
        let has = connection.get(ASSIGNMENT_PATH).await.json();
        Self { probe, connection: Some(connection), has }
    }

    fn path(&self, wait_ms: u64) -> String {
        format!("{ASSIGNMENT_PATH}?have={}&wait_ms={wait_ms}", self.has.digest)
    }

    /// Says what it has; takes what it is told where that is something else.
    async fn polls(&mut self) {
        let path = self.path(0);
        let answer = self.connection.as_mut().unwrap().get(&path).await;
        if answer.status == StatusCode::OK {
            self.has = answer.json();
        }
    }

    /// Says what it has, and waits for something else.
    fn waits(&mut self) -> JoinHandle<(Connection, Answer)> {
        let (path, mut connection) = (self.path(25_000), self.connection.take().unwrap());
        tokio::spawn(async move {
            let answer = connection.get(&path).await;
            (connection, answer)
        })
    }

    async fn is_told(&mut self, waiting: JoinHandle<(Connection, Answer)>) {
        let (connection, answer) = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
        (self.connection, self.has) = (Some(connection), answer.json());
    }

    async fn delivers(&mut self, health: Health) {
        let batch = Batch { health, ..self.probe.batch(Vec::new()) };
        self.connection.as_mut().unwrap().post(&batch).await.ack();
    }

    fn checks(&self) -> BTreeSet<CheckId> {
        self.has.checks.iter().map(|check| check.id.clone()).collect()
    }
}

/// Two probes of one region, each of which has its part.
async fn shared(door: &Door) -> (Worker, Worker) {
    door.fleet.send_replace(Arc::new(many()));
    let mut first = Worker::start(door, "eu-west-1").await;
    first.polls().await;
    let mut second = Worker::start(door, "eu-west-2").await;
    second.polls().await;
    first.polls().await;
    assert!(first.checks().is_disjoint(&second.checks()));
    assert_eq!(first.checks().len() + second.checks().len(), CHECKS);
    (first, second)
}

#[tokio::test]
async fn who_has_a_check_is_told_to_let_it_go_only_when_the_other_has_it() {
    let door = Door::open().await;
    door.fleet.send_replace(Arc::new(many()));
    let mut first = Worker::start(&door, "eu-west-1").await;
    assert_eq!(first.has.checks.len(), CHECKS);
    first.polls().await;
    let waiting = first.waits();

    let mut second = Worker::start(&door, "eu-west-2").await;
    let moved = second.checks();
    assert!((1..CHECKS).contains(&moved.len()), "{moved:?}");
    second.delivers(Health::default()).await;
    assert!(!waiting.is_finished(), "it was told, but does not say yet that it has it");
    second.polls().await;
    let version = first.has.version;
    first.is_told(waiting).await;
    assert_eq!(second.checks(), moved);
    assert_eq!(first.has.checks.len() + moved.len(), CHECKS);
    assert!(first.checks().is_disjoint(&moved));
    assert!(version < second.has.version && second.has.version < first.has.version, "versions grow");
    assert_eq!(
        (first.has.probe.as_ref(), &first.has.region),
        (Some(&first.probe.joined.probe), &first.probe.joined.region)
    );
}

#[tokio::test]
async fn who_leaves_is_followed_at_once_and_who_is_silent_after_the_time() {
    let door = Door::open().await;
    let (mut first, mut second) = shared(&door).await;
    let waiting = first.waits();
    let leaving = second.connection.as_mut().unwrap();
    leaving.send(Method::POST, LEAVE_PATH, &[], Vec::new()).await.unwrap();
    first.is_told(waiting).await;
    assert_eq!(first.checks().len(), CHECKS);

    let door = Door::open().await;
    let (mut first, _second) = shared(&door).await;
    door.pass(crate::sharing::SILENT_MS - 1_000);
    first.polls().await;
    let waiting = first.waits();
    door.pass(1_000);
    first.is_told(waiting).await;
    assert_eq!(first.checks().len(), CHECKS);
}

#[tokio::test]
async fn who_hangs_up_is_followed_soon_and_who_dials_again_in_time_is_not() {
    let door = Door::open().await;
    let (mut first, mut second) = shared(&door).await;
    let waiting = first.waits();
    let boot = [(nines_shared::wire::BOOT_HEADER, "two")];
    for dials in [true, false] {
        let path = second.path(0);
        second.connection.as_mut().unwrap().send(Method::GET, &path, &boot, Vec::new()).await.unwrap();
        second.connection = None;
        if dials {
            door.pass(1_000);
            second.connection = Some(door.connect(Some(&second.probe.identity)).await.unwrap());
        }
    }
    assert!(!waiting.is_finished());
    let mut passed_ms = 0;
    while !waiting.is_finished() {
        door.pass(250);
        passed_ms += 250;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!((2_000..20_000).contains(&passed_ms), "{passed_ms}");
    first.is_told(waiting).await;
    assert_eq!(first.checks().len(), CHECKS);
}

#[tokio::test]
async fn whoever_comes_after_one_that_left_has_what_it_says_that_it_has() {
    let door = Door::open().await;
    door.fleet.send_replace(Arc::new(many()));
    let mut first = Worker::start(&door, "eu-west-1").await;
    first.polls().await;
    let boot = [(nines_shared::wire::BOOT_HEADER, "one")];
    first.connection.as_mut().unwrap().send(Method::POST, LEAVE_PATH, &boot, Vec::new()).await.unwrap();
    // It starts again, with what it has on its disk.
    first.polls().await;
    let _second = Worker::start(&door, "eu-west-2").await;
    first.polls().await;
    assert_eq!(first.checks().len(), CHECKS, "the second has only been told");
}

#[tokio::test]
async fn who_is_shut_out_has_no_share() {
    let door = Door::open().await;
    let (mut first, second) = shared(&door).await;
    let waiting = first.waits();
    door.command(Command::Revoke { probe: second.probe.joined.probe.clone() }).await.unwrap();
    first.is_told(waiting).await;
    assert_eq!(first.checks().len(), CHECKS);
}

#[tokio::test]
async fn what_a_probe_can_not_read_or_judge_goes_to_the_other() {
    let door = Door::open().await;
    let (mut first, mut second) = shared(&door).await;
    let foreign = first.has.checks[0].id.clone();
    let waiting = second.waits();
    first.delivers(Health { unread: vec![foreign.clone()], ..Health::default() }).await;
    second.is_told(waiting).await;
    assert!(second.checks().contains(&foreign));

    second.polls().await;
    let waiting = second.waits();
    first.delivers(Health { unread: vec![foreign], canaries_ok: Some(false), ..Health::default() }).await;
    second.is_told(waiting).await;
    assert_eq!(second.checks().len(), CHECKS);
}

#[tokio::test]
async fn an_aggregator_that_starts_anew_gives_the_same_shares() {
    let door = Door::open().await;
    let (mut first, mut second) = shared(&door).await;
    first.delivers(Health::default()).await;
    second.delivers(Health::default()).await;
    let again = door.reopened().await;
    again.fleet.send_replace(Arc::new(many()));
    for worker in [&first, &second] {
        let mut connection = again.connect(Some(&worker.probe.identity)).await.unwrap();
        assert_eq!(connection.get(&worker.path(0)).await.status, StatusCode::NOT_MODIFIED);
    }
}
