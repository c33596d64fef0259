//! The evaluator over a real store: samples in, incidents and letters out.

mod kinds;

use std::path::Path;

use nines_shared::check::{Check, Draft, HttpQuestion, Question};
use nines_shared::sample::Outcome;
use nines_shared::sample::{Phase, Phases, Reason, Sample, SampleKind};
use nines_shared::time::{Clock, Span};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::counters::Counters;
use crate::definition::channel::Texts;
use crate::definition::{
    AggregatorSettings, Channel, ChannelKind, Customer, Maintenance, Region, Route, Service, ServiceRule, Severity,
    Weekly,
};
use crate::incident::{Kind, common};
use crate::store::outbox::{self, Letter};
use crate::store::{Store, probes};

const REGIONS: [&str; 3] = ["ap-south", "eu-west", "us-east"];
const INTERVAL_MS: i64 = 30_000;
const START: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn at(seconds: i64) -> Timestamp {
    START.plus_ms(seconds * 1_000)
}

fn check() -> Check {
    let regions = REGIONS.iter().map(|id| id.parse().unwrap()).collect();
    let question = Question::Http(Box::new(HttpQuestion::get("https://shop.example/".parse().unwrap())));
    let draft = Draft::new("shop-home".parse().unwrap(), "shop".parse().unwrap(), regions, question);
    Check::new(Draft { interval_ms: INTERVAL_MS, recheck_ms: 5_000, ..draft }).unwrap()
}

fn fleet(folder: &Path) -> Fleet {
    let channel = |id: &str| Channel {
        id: id.parse().unwrap(),
        kind: ChannelKind::Webhook { url: "http://127.0.0.1:1/".parse().unwrap(), secret: None },
        template: Texts::default(),
    };
    Fleet {
        environment: "test".into(),
        aggregator: AggregatorSettings {
            probes: "127.0.0.1:0".parse().unwrap(),
            web: "127.0.0.1:8080".parse().unwrap(),
            database: folder.join("nines.db"),
            public_url: None,
            probes_url: None,
            webhook_allow: Vec::new(),
            heartbeat: None,
            probe_certificates_ms: 30 * 86_400_000,
        },
        report: crate::definition::ReportSettings::default(),
        regions: REGIONS.iter().map(|id| Region { id: id.parse().unwrap(), name: (*id).into() }).collect(),
        customers: vec![Customer { id: "acme".parse().unwrap(), name: "Acme".into(), timezone: "UTC".into() }],
        services: vec![Service {
            id: "shop".parse().unwrap(),
            name: "Shop".into(),
            customer: "acme".parse().unwrap(),
            since: Some(at(-86_400)),
            rule: ServiceRule::All,
            slo: None,
            sla: None,
            contracts: Vec::new(),
        }],
        checks: vec![check()],
        maintenance: Vec::new(),
        channels: vec![channel("oncall"), channel("mail")],
        routes: vec![
            Route { severity: Some(Severity::Page), channels: vec!["oncall".parse().unwrap()], ..Route::default() },
            Route { channels: vec!["mail".parse().unwrap()], ..Route::default() },
        ],
        people: Vec::new(),
        watch: crate::definition::Watch::default(),
        secrets: nines_shared::secret::Secrets::default(),
    }
}

/// An aggregator without doors: a store, a clock that the test moves, and ticks that the test makes.
struct World {
    running: Running,
    desk: Desk,
    fleet: watch::Sender<Arc<Fleet>>,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fleet = fleet(folder.path());
        let store = Store::open(&fleet.aggregator.database).unwrap();
        let (sender, receiver) = watch::channel(Arc::new(fleet.clone()));
        let running = Running {
            store,
            fleet: receiver,
            clock: Clock::manual(at(0)),
            arrivals: Arc::new(watch::channel(0).0),
            news: Arc::new(watch::channel(0).0),
            counters: Arc::new(Counters::default()),
            stop: CancellationToken::new(),
        };
        let world = Self { desk: Desk::new(&fleet, at(0)), running, fleet: sender, _folder: folder };
        world.load(fleet).await;
        world
    }

    async fn load(&self, fleet: Fleet) {
        let now = self.running.clock.now();
        let loaded = fleet.clone();
        self.running.store.write(move |tx| definitions::load(tx, &loaded, now)).await.unwrap();
        self.fleet.send_replace(Arc::new(fleet));
    }

    /// The process ends and another one begins, `at` a later time, knowing what is stored and nothing else.
    fn restart(&mut self, now: Timestamp) {
        self.running.clock.set(now);
        self.desk = Desk::new(&self.running.fleet.borrow().clone(), now);
    }

    async fn tick(&mut self, now: Timestamp) {
        self.running.clock.set(now);
        tick(&self.running, &mut self.desk).await.unwrap();
    }

    async fn arrive(&self, samples: Vec<Sample>) {
        let now = self.running.clock.now();
        self.running.store.write(move |tx| samples::insert(tx, &samples, now)).await.unwrap();
    }

    /// Lets time go by second by second from `from` to `to`, every region's sample arriving half a second after it
    /// began.
    async fn live(&mut self, from: Timestamp, to: Timestamp, says: impl Fn(&str, Timestamp) -> Outcome) {
        let mut now = from;
        while now < to {
            let next = now.plus_ms(1_000);
            self.running.clock.set(next);
            let due = planned(Span::new(now.plus_ms(-500), next.plus_ms(-500)), &says);
            if !due.is_empty() {
                self.arrive(due).await;
            }
            self.tick(next).await;
            now = next;
        }
    }

    async fn incidents(&self) -> Vec<Incident> {
        let all = incidents::Filter::default();
        let mut found = self.running.store.read(move |conn| incidents::list(conn, &all, 1_000)).await.unwrap();
        found.reverse();
        found
    }

    async fn letters(&self) -> Vec<Letter> {
        let incidents = self.incidents().await;
        let read = move |conn: &Connection| {
            let mut letters = Vec::new();
            for incident in incidents {
                letters.extend(outbox::about(conn, &incident.id)?.into_iter().map(|(letter, _)| letter));
            }
            letters.sort_by_key(|letter| letter.no);
            Ok(letters)
        };
        self.running.store.read(read).await.unwrap()
    }

    async fn told(&self) -> Vec<(String, String)> {
        self.letters().await.into_iter().map(|letter| (letter.event, letter.channel.to_string())).collect()
    }
}

/// The planned samples of every region in `span`.
fn planned(span: Span, says: &impl Fn(&str, Timestamp) -> Outcome) -> Vec<Sample> {
    planned_of(&check(), span, says)
}

fn planned_of(check: &Check, span: Span, says: &impl Fn(&str, Timestamp) -> Outcome) -> Vec<Sample> {
    let mut samples = Vec::new();
    for region in &check.regions {
        for due in check.cadence(region).unwrap().slots_in(span) {
            let outcome = says(region.as_str(), due);
            let failed = outcome == Outcome::Down;
            samples.push(Sample {
                check: check.id.clone(),
                region: region.clone(),
                probe: None,
                kind: SampleKind::Planned,
                scheduled_at: due,
                started_at: due,
                outcome,
                reason: failed.then_some(Reason::ConnectRefused),
                phase: failed.then_some(Phase::Connect),
                detail: failed.then(|| "connection refused by 192.0.2.10:443".to_owned()),
                duration_us: Some(1_000),
                phases_us: Phases::default(),
                attempt: 1,
                trace_id: None,
                evidence: None,
            });
        }
    }
    samples
}

/// Everywhere down from `from` to `to`, in seconds.
fn outage(from: i64, to: i64) -> impl Fn(&str, Timestamp) -> Outcome {
    move |_, due| if Span::new(at(from), at(to)).contains(due) { Outcome::Down } else { Outcome::Up }
}

fn pair(event: &str, channel: &str) -> (String, String) {
    (event.to_owned(), channel.to_owned())
}

#[tokio::test]
async fn a_multi_region_outage_is_paged_and_resolved_and_says_why() {
    let mut world = World::new().await;
    world.live(at(-120), at(400), outage(100, 200)).await;
    let incidents = world.incidents().await;
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(world.running.store.read(samples::fresh).await.unwrap(), [], "all that arrived is judged");
    let incident = &incidents[0];
    assert_eq!(world.told().await, [pair("opened", "oncall"), pair("resolved", "oncall")]);
    let instants = incident.instants;
    assert!(instants.last_good_at.unwrap() < instants.first_failure_at);
    assert!(at(100) <= instants.first_failure_at && instants.first_failure_at < instants.started_at);
    // Quorum is reached with the second region's sample, ten seconds after the first; it is known two seconds later.
    assert!(instants.started_at.since(instants.first_failure_at) <= 10_000);
    assert!(instants.detected_at.since(instants.started_at) <= 2_000, "{instants:?}");
    assert_eq!(instants.resolved_at.unwrap().since(instants.ended_at.unwrap()) / 1_000, 30);
    let headline = common::headline(incident);
    for part in ["shop was down for", "seen from", "connect_refused in connect"] {
        assert!(headline.contains(part), "{headline}");
    }
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert_eq!(body["schema"], "nines.alert/1");
    assert_eq!(
        (&body["event"], &body["severity"], &body["kind"]),
        (&"opened".into(), &"page".into(), &"outage".into())
    );
    assert_eq!((&body["service"], &body["customer"]), (&"shop".into(), &"acme".into()));
    assert_eq!(body["reason"], "connect_refused");
    assert_eq!(body["regions"]["failing"].as_array().unwrap().len(), 2);
    assert_eq!(body["started_at"], instants.started_at.as_ms());
    assert_eq!(body["link"], format!("http://127.0.0.1:8080/incident/{}", incident.id));
}

#[tokio::test]
async fn one_region_of_three_pages_nobody() {
    let mut world = World::new().await;
    let says = |region: &str, _| if region == "eu-west" { Outcome::Down } else { Outcome::Up };
    world.live(at(-120), at(300), says).await;
    assert_eq!(world.incidents().await, []);
}

#[tokio::test]
async fn a_region_that_fails_while_another_is_silent_becomes_a_ticket() {
    let mut world = World::new().await;
    let says = |region: &str, due| match region {
        "eu-west" if at(60) <= due => Outcome::Down,
        "us-east" if at(60) <= due => Outcome::Inconclusive,
        _ => Outcome::Up,
    };
    world.live(at(-120), at(110), says).await;
    assert_eq!(world.incidents().await, []);
    world.live(at(110), at(200), says).await;
    let incidents = world.incidents().await;
    assert_eq!(incidents.iter().map(|incident| incident.kind).collect::<Vec<_>>(), [Kind::Suspected]);
    assert_eq!(incidents[0].scene.regions.failing.len(), 1);
    assert_eq!(world.told().await, [pair("opened", "mail")]);
    world.live(at(200), at(300), |_, _| Outcome::Up).await;
    assert_eq!(world.told().await, [pair("opened", "mail"), pair("resolved", "mail")]);
}

#[tokio::test]
async fn silence_of_all_is_no_outage() {
    let mut world = World::new().await;
    world.live(at(-120), at(60), |_, _| Outcome::Up).await;
    for second in 60..400 {
        world.tick(at(second)).await;
    }
    assert_eq!(world.incidents().await, []);
}

#[tokio::test]
async fn an_outage_that_was_over_while_we_were_away_is_history_and_one_that_goes_on_is_paged() {
    let mut world = World::new().await;
    world.live(at(-120), at(60), |_, _| Outcome::Up).await;
    let says = |_: &str, due| {
        let over = Span::new(at(600), at(900)).contains(due);
        if over || at(3_000) <= due { Outcome::Down } else { Outcome::Up }
    };
    world.restart(at(3_660));
    world.tick(at(3_660)).await;
    assert_eq!(world.incidents().await, []);
    // The probes deliver their backlog in batches, the oldest first.
    for minute in 1..61 {
        world.arrive(planned(Span::new(at(minute * 60), at((minute + 1) * 60)), &says)).await;
        world.tick(at(3_660 + minute / 6)).await;
    }
    let incidents = world.incidents().await;
    assert_eq!(incidents.len(), 2, "{incidents:#?}");
    assert_eq!((incidents[0].severity, incidents[0].is_open()), (Severity::Info, false));
    assert_eq!((incidents[1].severity, incidents[1].is_open()), (Severity::Page, true));
    assert!(incidents[1].instants.started_at.since(at(3_000)) < INTERVAL_MS);
    // One line about history, once the present is known, and one page.
    assert_eq!(world.told().await, [pair("updated", "mail"), pair("opened", "oncall")]);
}

#[tokio::test]
async fn the_order_in_which_a_backlog_arrives_does_not_change_what_is_recorded() {
    let mut spans = Vec::new();
    for reversed in [false, true] {
        let mut world = World::new().await;
        world.restart(at(4_000));
        let mut batches: Vec<Vec<Sample>> = (0..60)
            .map(|minute| planned(Span::new(at(minute * 60), at((minute + 1) * 60)), &outage(600, 900)))
            .collect();
        if reversed {
            batches.reverse();
        }
        for (batch, n) in batches.into_iter().zip(0..) {
            world.arrive(batch).await;
            world.tick(at(4_000).plus_ms(n * 100)).await;
        }
        let standing = world.incidents().await.into_iter().filter(|incident| !incident.withdrawn);
        spans.push(standing.map(|incident| incident.outages).collect::<Vec<_>>());
        assert!(world.told().await.iter().all(|(event, _)| event == "updated"), "nobody is paged");
    }
    assert_eq!(spans[0].len(), 1);
    assert_eq!(spans[0], spans[1]);
}

/// Maintenance of the shop in `span`, announced once.
fn announced(span: Span) -> Maintenance {
    Maintenance { service: "shop".parse().unwrap(), span, reason: "upgrade".into(), afterwards: None, weekly: None }
}

#[tokio::test]
async fn an_outage_inside_maintenance_is_nobodys_incident_and_what_outlasts_it_is_paged() {
    let mut world = World::new().await;
    let mut fleet = Fleet::clone(&world.running.fleet.borrow());
    let window = Span::new(at(50), at(250));
    fleet.maintenance = vec![announced(window)];
    world.load(fleet).await;
    world.live(at(-120), at(249), outage(100, 400)).await;
    assert_eq!(world.incidents().await, []);
    world.live(at(249), at(254), outage(100, 400)).await;
    let incidents = world.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].instants.started_at, at(250));
    assert!(incidents[0].instants.first_failure_at < at(150));
}

#[tokio::test]
async fn every_week_an_outage_inside_maintenance_is_nobodys_incident() {
    let mut world = World::new().await;
    let mut fleet = Fleet::clone(&world.running.fleet.borrow());
    // A Monday, 14:13:20: from 100 to 280 seconds after that.
    let weekly = Weekly { hours: vec!["mon 14:15-14:18".parse().unwrap()], timezone: "UTC".into() };
    let always = Span { from: Timestamp::MIN, to: Timestamp::MAX };
    fleet.maintenance = vec![Maintenance { weekly: Some(weekly), ..announced(always) }];
    world.load(fleet).await;
    world.live(at(-120), at(279), outage(110, 400)).await;
    assert_eq!(world.incidents().await, []);
    world.live(at(279), at(284), outage(110, 400)).await;
    let incidents = world.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].instants.started_at, at(280));
}

#[tokio::test]
async fn maintenance_that_is_announced_late_withdraws_what_it_covers() {
    let mut world = World::new().await;
    world.live(at(-120), at(400), outage(100, 200)).await;
    assert_eq!(world.incidents().await.len(), 1);
    let span = Span::new(at(50), at(350));
    let window = announced(span);
    let announce = move |tx: &rusqlite::Transaction<'_>| maintenance::add(tx, &window, "ann", at(401));
    world.running.store.write(announce).await.unwrap();
    world.tick(at(500)).await;
    assert!(world.incidents().await[0].withdrawn);
    assert_eq!(world.told().await.last().unwrap(), &pair("updated", "oncall"));
}

#[tokio::test]
async fn a_silent_probe_is_an_incident_of_its_own_and_ends_when_it_is_heard() {
    let mut world = World::new().await;
    let probe: nines_shared::id::ProbeId = "eu-west-1".parse().unwrap();
    let hello = |world: &World| {
        let (store, probe, now) = (world.running.store.clone(), probe.clone(), world.running.clock.now());
        async move { store.write(move |tx| probes::seen(tx, &probe, &Default::default(), now)).await.unwrap() }
    };
    world.running.store.write(|tx| join(tx, "eu-west-1", "eu-west")).await.unwrap();
    hello(&world).await;
    for second in 1..30 {
        world.tick(at(second)).await;
    }
    assert_eq!(world.incidents().await, []);
    world.tick(at(30)).await;
    let incidents = world.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].kind, incidents[0].instants.last_good_at), (Kind::Probe, Some(at(0))));
    assert_eq!(incidents[0].scene.regions.failing, ["eu-west".parse().unwrap()]);
    world.tick(at(31)).await;
    world.running.clock.set(at(32));
    hello(&world).await;
    world.tick(at(33)).await;
    let incident = &world.incidents().await[0];
    assert_eq!((incident.instants.ended_at, incident.instants.resolved_at), (Some(at(32)), Some(at(33))));
    // A ticket about a probe goes to those who run the fleet, and speaks of no service.
    assert_eq!(world.told().await, [pair("opened", "mail"), pair("resolved", "mail")]);
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert_eq!((&body["probe"], &body["service"]), (&"eu-west-1".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_probe_that_is_there_twice_is_an_incident_with_that_reason_until_the_second_one_is_gone() {
    let mut world = World::new().await;
    let probe: nines_shared::id::ProbeId = "eu-west-1".parse().unwrap();
    world.running.store.write(|tx| join(tx, "eu-west-1", "eu-west")).await.unwrap();
    for second in 0..120 {
        world.running.clock.set(at(second));
        let (probe, now, twice) = (probe.clone(), at(second), (5..20).contains(&second));
        let write = move |tx: &rusqlite::Transaction<'_>| {
            probes::seen(tx, &probe, &Default::default(), now)?;
            if twice { probes::cloned(tx, &probe, now) } else { Ok(()) }
        };
        world.running.store.write(write).await.unwrap();
        world.tick(at(second)).await;
    }
    let incidents = world.incidents().await;
    assert_eq!((incidents.len(), incidents[0].kind), (1, Kind::Probe));
    let instants = incidents[0].instants;
    assert_eq!((instants.started_at, instants.ended_at), (at(5), Some(at(109))), "90 s after the last sign of it");
    assert_eq!(world.told().await, [pair("opened", "mail"), pair("resolved", "mail")]);
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert_eq!((&body["kind"], &body["reason"]), (&"probe".into(), &"cloned".into()));
}

#[tokio::test]
async fn probes_are_not_blamed_for_what_we_could_not_hear() {
    let mut world = World::new().await;
    world.running.store.write(|tx| join(tx, "eu-west-1", "eu-west")).await.unwrap();
    world.restart(at(3_600));
    for second in 3_600..3_629 {
        world.tick(at(second)).await;
    }
    assert_eq!(world.incidents().await, [], "the aggregator itself was away");
    world.tick(at(3_631)).await;
    assert_eq!(world.incidents().await.len(), 1);
    let mut asleep = World::new().await;
    asleep.running.store.write(|tx| join(tx, "eu-west-1", "eu-west")).await.unwrap();
    asleep.tick(at(1)).await;
    asleep.tick(at(600)).await;
    assert_eq!(asleep.incidents().await, [], "the machine slept");
}

fn join(tx: &rusqlite::Transaction<'_>, id: &str, region: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO probe (id, region, joined_at) VALUES (?1, ?2, ?3)";
    tx.execute(sql, rusqlite::params![id, region, START.as_ms()])?;
    Ok(())
}

/// INV-6: where the letters can't be written the incident is not either, and nothing is lost by that.
#[tokio::test]
async fn inv_6_a_transition_and_its_letters_commit_together() {
    let mut world = World::new().await;
    let sql = "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'no room'); END";
    world.running.store.write(move |tx| Ok(tx.execute_batch(sql)?)).await.unwrap();
    world.arrive(planned(Span::new(at(-120), at(1)), &outage(-60, 600))).await;
    world.running.clock.set(at(1));
    assert!(tick(&world.running, &mut world.desk).await.is_err());
    assert_eq!(world.incidents().await, []);
    world.running.store.write(|tx| Ok(tx.execute_batch("DROP TRIGGER full")?)).await.unwrap();
    world.restart(at(2));
    world.tick(at(2)).await;
    assert_eq!(world.told().await, [pair("opened", "oncall")]);
}

/// INV-7: the same arrivals at the same ticks make the same incidents and letters, byte for byte.
#[tokio::test]
async fn inv_7_a_replay_reproduces_incidents_and_letters() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut world = World::new().await;
        world.live(at(-120), at(300), outage(100, 200)).await;
        runs.push((world.incidents().await, world.letters().await));
    }
    assert!(!runs[0].1.is_empty());
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn an_incident_of_a_service_that_is_removed_is_resolved() {
    let mut world = World::new().await;
    world.live(at(-120), at(150), outage(100, 900)).await;
    assert_eq!(world.told().await, [pair("opened", "oncall")]);
    let mut fleet = Fleet::clone(&world.running.fleet.borrow());
    fleet.services.clear();
    fleet.checks.clear();
    world.load(fleet.clone()).await;
    world.desk.reload(&fleet, at(150));
    for second in 151..240 {
        world.tick(at(second)).await;
    }
    assert_eq!(world.told().await, [pair("opened", "oncall"), pair("resolved", "oncall")]);
}

#[tokio::test]
async fn an_incident_of_a_service_whose_last_check_is_removed_is_resolved() {
    let mut world = World::new().await;
    world.live(at(-120), at(150), outage(100, 900)).await;
    let mut fleet = Fleet::clone(&world.running.fleet.borrow());
    fleet.checks.clear();
    world.load(fleet.clone()).await;
    world.desk.reload(&fleet, at(150));
    for second in 151..240 {
        world.tick(at(second)).await;
    }
    assert_eq!(world.told().await, [pair("opened", "oncall"), pair("resolved", "oncall")]);
    let incident = world.incidents().await.remove(0);
    assert!(!incident.withdrawn, "what was down was down");
}

#[tokio::test]
async fn who_acknowledges_has_been_notified_and_the_first_who_does_stays() {
    let mut world = World::new().await;
    world.live(at(-120), at(150), outage(100, 900)).await;
    let id = world.incidents().await[0].id.clone();
    let acknowledge = |by: &'static str, seconds| {
        let (store, id) = (world.running.store.clone(), id.clone());
        async move { store.write(move |tx| incidents::acknowledge(tx, &id, by, at(seconds))).await.unwrap().unwrap() }
    };
    let first = acknowledge("ann\u{1b}[31m", 160).await;
    assert_eq!((first.instants.acknowledged_at, first.instants.notified_at), (Some(at(160)), Some(at(160))));
    assert_eq!(first.acknowledged_by.as_deref(), Some("ann[31m"));
    assert_eq!(acknowledge("bob", 170).await, first);
    world.live(at(150), at(155), outage(100, 900)).await;
    assert_eq!(world.incidents().await[0].acknowledged_by, first.acknowledged_by, "judging again takes nothing away");
}
