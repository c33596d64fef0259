//! The outbox against a scripted receiver on loopback: it accepts, refuses, asks for time, hangs up, hangs.

use std::collections::VecDeque;
use std::sync::Mutex;

use nines_shared::id::ServiceId;
use nines_shared::secret::Secret;
use nines_shared::time::Clock;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::alert::channel::webhook::signature;
use crate::alert::plan;
use crate::counters::Counters;
use crate::definition::channel::Texts;
use crate::definition::{AggregatorSettings, Channel, ChannelKind, Fleet, Route};
use crate::incident::{Event, Incident, IncidentId, Instants, Kind, Outage, Scene, Subject};
use crate::store::outbox::Settled;
use crate::store::{Store, incidents};

const START: Timestamp = Timestamp::from_ms(1_790_000_000_000);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Answers with this head and no body.
    With(&'static str),
    /// Takes the request and closes the connection without a word.
    HangUp,
    /// Takes the request and never answers.
    Hang,
}

const OK: Answer = Answer::With("HTTP/1.1 204 No Content\r\n\r\n");
const BROKEN: Answer = Answer::With("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
const BUSY: Answer = Answer::With("HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n");
const GONE: Answer = Answer::With("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n");
const ELSEWHERE: Answer =
    Answer::With("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    path: String,
    key: String,
    signature: String,
    body: String,
}

/// The scripted receiver: answers in the script's order, then accepts.
struct Sink {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    _task: JoinHandle<()>,
}

impl Sink {
    async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&script)));
            }
        });
        Self { port, received, _task: task }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn keys(&self) -> Vec<String> {
        self.received().into_iter().map(|request| request.key).collect()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Received>>>, script: Arc<Mutex<VecDeque<Answer>>>) {
    let Some(request) = take(&mut stream).await else { return };
    seen.lock().unwrap().push(request);
    let answer = script.lock().unwrap().pop_front().unwrap_or(OK);
    match answer {
        Answer::With(head) => stream.write_all(head.as_bytes()).await.unwrap(),
        Answer::HangUp => {}
        Answer::Hang => std::future::pending().await,
    }
}

async fn take(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if let Some((head, body)) = std::str::from_utf8(&bytes).ok()?.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
                line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
            };
            if header("content-length").parse::<usize>().ok()? <= body.len() {
                let path = head.split(' ').nth(1)?.to_owned();
                let (key, signature) = (header("idempotency-key"), header("nines-signature"));
                return Some(Received { path, key, signature, body: body.to_owned() });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A store with an outbox, and the loop over it.
struct Office {
    running: Running,
    folder: TempDir,
    looping: Option<JoinHandle<()>>,
    /// Whom incidents are told to.
    told: Vec<ChannelId>,
}

impl Office {
    /// An office whose channels are webhooks to these ports, named by their place: `channel-0`, `channel-1`, ….
    fn new(ports: &[u16], allow: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "hush\n").unwrap();
        let channel = |(port, n): (&u16, usize)| Channel {
            id: format!("channel-{n}").parse().unwrap(),
            kind: ChannelKind::Webhook {
                url: format!("http://127.0.0.1:{port}/hook?a=1").parse().unwrap(),
                secret: Some(Secret::File(secret.clone())),
            },
            template: Texts::default(),
        };
        let fleet = Fleet {
            environment: "test".into(),
            aggregator: AggregatorSettings {
                probes: "127.0.0.1:0".parse().unwrap(),
                web: "127.0.0.1:0".parse().unwrap(),
                database: folder.path().join("nines.db"),
                public_url: None,
                probes_url: None,
                webhook_allow: vec![allow.parse().unwrap()],
                heartbeat: None,
                probe_certificates_ms: 30 * 86_400_000,
            },
            report: crate::definition::ReportSettings::default(),
            regions: Vec::new(),
            customers: Vec::new(),
            services: Vec::new(),
            checks: Vec::new(),
            maintenance: Vec::new(),
            channels: ports.iter().zip(0..).map(channel).collect(),
            routes: Vec::new(),
            people: Vec::new(),
            watch: crate::definition::Watch::default(),
            secrets: nines_shared::secret::Secrets::default(),
        };
        let running = Running {
            store: Store::open(&fleet.aggregator.database).unwrap(),
            fleet: watch::channel(Arc::new(fleet)).1,
            clock: Clock::manual(START),
            arrivals: Arc::new(watch::channel(0).0),
            news: Arc::new(watch::channel(0).0),
            counters: Arc::new(Counters::default()),
            stop: CancellationToken::new(),
        };
        let told = running.fleet.borrow().channels.iter().map(|channel| channel.id.clone()).collect();
        Self { running, folder, looping: None, told }
    }

    /// Adds a webhook to which everything leads that is our own.
    fn add_channel(&mut self, id: &str, port: u16) {
        let mut fleet = Fleet::clone(&self.running.fleet.borrow());
        let url = format!("http://127.0.0.1:{port}/other").parse().unwrap();
        fleet.routes.push(Route { channels: vec![id.parse().unwrap()], ..Route::default() });
        let kind = ChannelKind::Webhook { url, secret: None };
        let added = Channel { id: id.parse().unwrap(), kind, template: Texts::default() };
        // Not in the list that the incidents of these tests are told to.
        self.told = fleet.channels.iter().map(|channel| channel.id.clone()).collect();
        fleet.channels.push(added);
        self.running.fleet = watch::channel(Arc::new(fleet)).1;
    }

    /// Starts the loop.
    fn open(&mut self) {
        self.running.stop = CancellationToken::new();
        self.looping = Some(tokio::spawn(run(self.running.clone())));
    }

    /// Stops the loop as kill -9 would: in the middle of whatever it does.
    fn kill(&mut self) {
        self.looping.take().unwrap().abort();
    }

    /// Writes what the evaluator would: a change of the shop's incident, and a letter to each channel.
    async fn write(&self, service: &str, revision: u32, event: Event) {
        let incident = incident(service, revision, event);
        let channels = self.told.clone();
        let job = move |tx: &rusqlite::Transaction<'_>| {
            incidents::record(tx, &incident)?;
            let body = format!("{{\"event\":\"{}\"}}", event.code());
            let letters: Vec<_> = channels.into_iter().map(|channel| (channel, body.clone())).collect();
            outbox::write(tx, &incident, event, &letters, START)
        };
        self.running.store.write(job).await.unwrap();
        self.running.news.send_modify(|count| *count += 1);
    }

    async fn settled(&self, service: &str) -> Vec<(String, u32, Settled)> {
        let id = incident(service, 1, Event::Opened).id;
        let about = self.running.store.read(move |conn| outbox::about(conn, &id)).await.unwrap();
        about.into_iter().map(|(letter, settled)| (letter.event, letter.attempts, settled)).collect()
    }

    async fn notified_at(&self, service: &str) -> Option<Timestamp> {
        let id = incident(service, 1, Event::Opened).id;
        let found = self.running.store.read(move |conn| incidents::get(conn, &id)).await.unwrap();
        found.unwrap().instants.notified_at
    }

    /// Waits until `done`, moving the clock so that waits between attempts pass; shorter than real time has them.
    async fn until(&self, mut done: impl FnMut() -> bool) {
        let wait = async {
            while !done() {
                self.running.clock.set(self.running.clock.now().plus_ms(500));
                self.running.news.send_modify(|count| *count += 1);
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it comes to pass");
    }

    /// Waits until nothing is waiting.
    async fn until_settled(&self) {
        let store = self.running.store.clone();
        self.until(|| store.read_blocking(outbox::waiting).unwrap() == 0).await;
    }
}

fn incident(service: &str, revision: u32, event: Event) -> Incident {
    let subject = Subject::Service(service.parse::<ServiceId>().unwrap());
    let over = (event == Event::Resolved).then(|| START.plus_ms(1));
    let going_on = plan::tests::incident();
    Incident {
        id: IncidentId::of(Kind::Outage, &subject, START),
        subject,
        instants: Instants {
            first_failure_at: START,
            started_at: START,
            detected_at: START,
            ended_at: over,
            resolved_at: over,
            ..going_on.instants
        },
        outages: vec![Outage { from: START, to: over }],
        revision,
        scene: Scene::default(),
        ..going_on
    }
}

const LOOPBACK: &str = "127.0.0.0/8";

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_delivered_signed_and_its_acceptance_is_kept() {
    let sink = Sink::start([]).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.write("shop", 1, Event::Opened).await;
    assert_eq!(office.notified_at("shop").await, None);
    office.open();
    office.until_settled().await;
    let received = sink.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].path, "/hook?a=1");
    assert_eq!(received[0].body, r#"{"event":"opened"}"#);
    assert_eq!(received[0].key, format!("{}.1", incident("shop", 1, Event::Opened).id));
    let seconds: i64 = received[0].signature[2..].split(',').next().unwrap().parse().unwrap();
    let signed = signature(b"hush", Timestamp::from_ms(seconds * 1_000), &received[0].body);
    assert_eq!(received[0].signature, signed);
    assert!(office.notified_at("shop").await.is_some());
    assert_eq!(office.running.counters.notifications_sent.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_receiver_does_wrong_the_same_letter_comes_again_until_it_is_accepted() {
    let sink = Sink::start([BROKEN, Answer::HangUp, ELSEWHERE, BUSY]).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.write("shop", 1, Event::Opened).await;
    office.open();
    office.until_settled().await;
    let received = sink.received();
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|request| request.key == received[0].key && request.body == received[0].body));
    assert!(matches!(office.settled("shop").await[..], [(_, 4, Settled::Delivered(_))]));
    assert_eq!(office.running.counters.notifications_failed.get(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_time_is_given_it() {
    let sink = Sink::start([BUSY]).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.write("shop", 1, Event::Opened).await;
    office.open();
    office.until_settled().await;
    let seconds = |request: &Received| request.signature[2..].split(',').next().unwrap().parse::<i64>().unwrap();
    let received = sink.received();
    assert!(3 <= seconds(&received[1]) - seconds(&received[0]), "{received:?}");
}

/// INV-6: resolved while the opening is still on its way, both come, in order.
#[tokio::test(flavor = "multi_thread")]
async fn inv_6_resolved_never_overtakes_opened() {
    let sink = Sink::start([BROKEN, BROKEN, Answer::HangUp]).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.write("shop", 1, Event::Opened).await;
    office.write("shop", 2, Event::Resolved).await;
    office.open();
    office.until_settled().await;
    let id = incident("shop", 1, Event::Opened).id;
    let (first, second) = (format!("{id}.1"), format!("{id}.2"));
    assert_eq!(sink.keys(), [first.clone(), first.clone(), first.clone(), first, second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_hangs_holds_up_nobody_else() {
    let (hung, good) = (Sink::start([Answer::Hang; 100]).await, Sink::start([]).await);
    let mut office = Office::new(&[hung.port, good.port], LOOPBACK);
    for n in 0..20 {
        office.write(&format!("shop-{n}"), 1, Event::Opened).await;
    }
    office.open();
    office.until(|| good.received().len() == 20).await;
    assert!(hung.received().len() <= MAX_PER_CHANNEL);
}

/// Killed after the receiver accepted and before that was kept: the letter comes again, under the same key.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_delivery_and_its_note_delivers_again_under_the_same_key() {
    let sink = Sink::start([]).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    let refuse = "CREATE TRIGGER stuck BEFORE UPDATE ON outbox BEGIN SELECT raise(ABORT, 'no room'); END";
    office.running.store.write(move |tx| Ok(tx.execute_batch(refuse)?)).await.unwrap();
    office.write("shop", 1, Event::Opened).await;
    office.open();
    office.until(|| sink.received().len() == 1).await;
    assert!(matches!(office.settled("shop").await[..], [(_, 0, Settled::Waiting)]));
    office.kill();
    office.running.store.write(|tx| Ok(tx.execute_batch("DROP TRIGGER stuck")?)).await.unwrap();
    office.open();
    office.until_settled().await;
    let keys = sink.keys();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_public_is_contacted_only_where_the_file_allows_it() {
    let sink = Sink::start([]).await;
    let mut office = Office::new(&[sink.port], "10.0.0.0/8");
    office.write("shop", 1, Event::Opened).await;
    office.open();
    let store = office.running.store.clone();
    let failure = || store.read_blocking(|conn| Ok(outbox::next(conn, 10)?.remove(0).failure)).unwrap();
    office.until(|| failure().is_some_and(|why| why.contains("webhook_allow"))).await;
    assert_eq!(sink.received(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_a_letter_is_given_up_with_all_that_hangs_on_it_and_other_channels_are_told() {
    let (sink, other) = (Sink::start([BROKEN; 100]).await, Sink::start([]).await);
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.add_channel("other", other.port);
    office.write("shop", 1, Event::Opened).await;
    office.write("shop", 2, Event::Resolved).await;
    office.running.clock.set(START.plus_ms(backoff::GIVE_UP_AFTER_MS));
    office.open();
    office.until_settled().await;
    let settled = office.settled("shop").await;
    assert!(settled.iter().all(|(_, _, settled)| matches!(settled, Settled::GivenUp(_))), "{settled:?}");
    assert_eq!(sink.received().len(), usize::try_from(backoff::LEAST_ATTEMPTS).unwrap());
    assert_eq!(office.notified_at("shop").await, None);
    let told = other.received();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].key.starts_with("channel-channel-0."), "{told:?}");
    assert!(told[0].body.contains("channel channel-0 could not be told of shop-"), "{told:?}");
    assert_eq!(office.running.counters.notifications_given_up.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_channel_refuses_for_good_is_given_up_at_once_and_other_channels_are_told() {
    let (sink, other) = (Sink::start([GONE]).await, Sink::start([]).await);
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.add_channel("other", other.port);
    office.write("shop", 1, Event::Opened).await;
    office.open();
    office.until(|| other.received().len() == 1).await;
    assert!(matches!(office.settled("shop").await[..], [(_, 1, Settled::GivenUp(_))]));
    assert_eq!(sink.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_to_a_channel_that_is_not_in_the_file_any_more_is_given_up_at_once_and_the_others_are_told() {
    let (sink, other) = (Sink::start([]).await, Sink::start([]).await);
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.add_channel("other", other.port);
    office.write("shop", 1, Event::Opened).await;
    let mut fleet = Fleet::clone(&office.running.fleet.borrow());
    fleet.channels.retain(|channel| channel.id.as_str() == "other");
    office.running.fleet = watch::channel(Arc::new(fleet)).1;
    office.open();
    office.until(|| other.received().len() == 1).await;
    assert!(matches!(office.settled("shop").await[..], [(_, 1, Settled::GivenUp(_))]));
    assert_eq!(sink.received(), []);
    let told = &other.received()[0].body;
    assert!(told.contains("channel channel-0 could not be told of shop-"), "{told}");
    assert!(told.contains("the fleet file has no channel channel-0"), "{told}");
}

/// Killed again and again, wherever it happens to be (faults 38 and 39): what was written comes at least once, under
/// its own key, in order for each incident, and never resolved before opened.
#[tokio::test(flavor = "multi_thread")]
async fn inv_6_whenever_the_loop_is_killed_nothing_is_lost_and_the_order_holds() {
    const INCIDENTS: usize = 12;
    let faults = [BROKEN, Answer::HangUp, OK, BUSY, OK, Answer::HangUp, OK, OK].into_iter().cycle().take(60);
    let sink = Sink::start(faults).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    for round in 0..40_u64 {
        office.open();
        if let Ok(n) = usize::try_from(round)
            && n < INCIDENTS
        {
            office.write(&format!("shop-{n}"), 1, Event::Opened).await;
            office.write(&format!("shop-{n}"), 2, Event::Updated).await;
            office.write(&format!("shop-{n}"), 3, Event::Resolved).await;
        }
        office.running.clock.set(office.running.clock.now().plus_ms(2_000));
        office.running.news.send_modify(|count| *count += 1);
        // Between any two of its steps: so many microseconds after its start.
        sleep(Duration::from_micros(round * 700)).await;
        office.kill();
    }
    office.open();
    office.until_settled().await;
    let keys = sink.keys();
    for n in 0..INCIDENTS {
        let id = incident(&format!("shop-{n}"), 1, Event::Opened).id;
        let mut steps: Vec<&str> =
            keys.iter().filter_map(|key| key.strip_prefix(id.as_str())?.strip_prefix('.')).collect();
        assert!(steps.is_sorted(), "{id} came out of order: {steps:?}");
        steps.dedup();
        assert_eq!(steps, ["1", "2", "3"], "{id}");
        let settled = office.settled(&format!("shop-{n}")).await;
        assert!(settled.iter().all(|(_, _, settled)| matches!(settled, Settled::Delivered(_))), "{settled:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_letters_are_forgotten_but_none_of_what_is_open() {
    let office = Office::new(&[1], LOOPBACK);
    office.write("open", 1, Event::Opened).await;
    office.write("over", 1, Event::Opened).await;
    office.write("over", 2, Event::Resolved).await;
    office.write("waiting", 1, Event::Opened).await;
    office.write("waiting", 2, Event::Resolved).await;
    let settle = "UPDATE outbox SET settled_at = 5, delivered = 1 WHERE about NOT LIKE 'waiting%'";
    office.running.store.write(move |tx| Ok(tx.execute_batch(settle)?)).await.unwrap();
    let prune = |before| {
        let before = Timestamp::from_ms(before);
        office.running.store.write(move |tx| outbox::prune(tx, before))
    };
    assert_eq!(prune(5).await.unwrap(), 0);
    assert_eq!(prune(6).await.unwrap(), 2);
    assert_eq!(office.settled("open").await.len(), 1);
    assert_eq!(office.settled("waiting").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_letters_on_their_way_arrive() {
    let sink = Sink::start([]).await;
    let mut office = Office::new(&[sink.port], LOOPBACK);
    office.write("shop", 1, Event::Opened).await;
    office.open();
    office.until(|| !sink.received().is_empty()).await;
    office.running.stop.cancel();
    timeout(PATIENCE, office.looping.take().unwrap()).await.unwrap().unwrap();
    assert!(matches!(office.settled("shop").await[..], [(_, 0, Settled::Delivered(_))]));
    assert!(office.folder.path().exists());
}
