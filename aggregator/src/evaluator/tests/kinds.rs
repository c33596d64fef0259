//! The kinds of incident over a real store: what opens them, who is told of them, and how they end.

use nines_shared::id::ProbeId;
use nines_shared::sample::{Certificate, Evidence, TlsEvidence};
use nines_shared::wire::Health;

use super::*;
use crate::definition::Slo;
use crate::incident::measured::Measured;
use crate::store::shown;

impl World {
    async fn change(&mut self, change: impl FnOnce(&mut Fleet)) {
        let mut fleet = Fleet::clone(&self.running.fleet.borrow());
        change(&mut fleet);
        let now = self.running.clock.now();
        self.desk.reload(&fleet, now);
        self.load(fleet).await;
    }

    async fn of_kind(&self, kind: Kind) -> Vec<Incident> {
        self.incidents().await.into_iter().filter(|incident| incident.kind == kind).collect()
    }

    /// Lets time go by in steps of a minute, everything arriving at the step's end.
    async fn by_minutes(&mut self, from: i64, to: i64, says: impl Fn(&str, Timestamp) -> Outcome) {
        self.by(60, (from, to), says).await;
    }

    /// The same in steps of so many seconds.
    async fn by(&mut self, step: usize, (from, to): (i64, i64), says: impl Fn(&str, Timestamp) -> Outcome) {
        let length = i64::try_from(step).unwrap();
        for second in (from..to).step_by(step) {
            self.running.clock.set(at(second + length));
            self.arrive(planned(Span::new(at(second), at(second + length)), &says)).await;
            self.tick(at(second + length)).await;
        }
    }
}

fn slow(from: i64, to: i64) -> impl Fn(&str, Timestamp) -> Outcome {
    move |_, due| if Span::new(at(from), at(to)).contains(due) { Outcome::Degraded } else { Outcome::Up }
}

#[tokio::test]
async fn what_stays_slow_is_a_ticket_and_a_slow_moment_is_not() {
    let mut world = World::new().await;
    world.live(at(-120), at(200), slow(60, 90)).await;
    assert_eq!(world.incidents().await, []);
    world.live(at(200), at(500), slow(210, 400)).await;
    let incidents = world.incidents().await;
    assert_eq!(incidents.iter().map(|incident| incident.kind).collect::<Vec<_>>(), [Kind::Degraded]);
    assert_eq!(world.told().await, [pair("opened", "mail"), pair("resolved", "mail")]);
    let (instants, scene) = (incidents[0].instants, &incidents[0].scene);
    assert!(2 * INTERVAL_MS <= instants.detected_at.since(instants.started_at), "{instants:?}");
    assert!(instants.last_good_at.unwrap() < instants.first_failure_at);
    assert_eq!((scene.checks.len(), scene.regions.failing.len()), (1, 3));
}

#[tokio::test]
async fn slow_and_then_down_is_an_outage_and_the_slowness_ends_with_good_time() {
    let mut world = World::new().await;
    let says = |region: &str, due: Timestamp| {
        if at(200) <= due && due < at(300) { Outcome::Down } else { slow(60, 200)(region, due) }
    };
    world.live(at(-120), at(420), says).await;
    let kinds: Vec<Kind> = world.incidents().await.iter().map(|incident| incident.kind).collect();
    assert_eq!(kinds, [Kind::Degraded, Kind::Outage]);
    assert!(world.incidents().await.iter().all(|incident| !incident.is_open()));
    let told = world.told().await;
    assert_eq!(told.iter().filter(|letter| **letter == pair("opened", "oncall")).count(), 1, "{told:?}");
}

#[tokio::test]
async fn slowness_that_goes_on_for_hours_is_not_read_from_its_beginning_and_stays_one_incident() {
    let mut world = World::new().await;
    world.by_minutes(-600, 4 * 3_600, slow(0, 86_400)).await;
    let started_at = world.incidents().await[0].instants.started_at;
    assert!(started_at.since(at(0)) < INTERVAL_MS);
    world.by_minutes(4 * 3_600, 4 * 3_600 + 600, slow(0, 4 * 3_600)).await;
    let incidents = world.of_kind(Kind::Degraded).await;
    assert_eq!((incidents.len(), incidents[0].instants.started_at), (1, started_at));
    assert!(!incidents[0].is_open());
}

fn objective(fleet: &mut Fleet) {
    fleet.services[0].slo = Some(Slo { availability_ppm: 999_000, latency_p95_ms: None, window_ms: 30 * 86_400_000 });
}

#[tokio::test]
async fn a_budget_that_burns_is_told_after_the_outage_that_burned_it_with_what_is_left_and_ends_by_itself() {
    let mut world = World::new().await;
    world.change(objective).await;
    world.by_minutes(-7_200, 0, |_, _| Outcome::Up).await;
    world.by_minutes(0, 300, outage(0, 300)).await;
    let burning = world.of_kind(Kind::BurnRate).await;
    assert_eq!((burning.len(), burning[0].severity, burning[0].course.held), (1, Severity::Page, true));
    assert_eq!(world.told().await, [pair("opened", "oncall")], "the outage's page is the one");
    world.by_minutes(300, 480, outage(0, 300)).await;
    let letters = world.letters().await;
    let events: Vec<String> = letters.iter().map(|letter| letter.event.clone()).collect();
    assert_eq!(events, ["opened", "resolved", "opened"]);
    let body: serde_json::Value = serde_json::from_str(&letters[2].body).unwrap();
    assert_eq!((&body["kind"], &body["severity"]), (&"burn_rate".into(), &"page".into()));
    assert_eq!(body["burn"]["long_ms"], 3_600_000);
    // A thousandth of 30 days, less the life before, of which five minutes are gone.
    let (budget, remaining) =
        (body["burn"]["budget_ms"].as_i64().unwrap(), body["burn"]["remaining_ms"].as_i64().unwrap());
    assert!(280_000 < budget - remaining && budget - remaining < 320_000, "{body}");
    // The rest of the day comes at once.
    world.running.clock.set(at(8 * 3_600));
    world.arrive(planned(Span::new(at(480), at(8 * 3_600)), &outage(0, 300))).await;
    world.tick(at(8 * 3_600)).await;
    assert!(world.of_kind(Kind::BurnRate).await.iter().all(|incident| !incident.is_open()));
    assert_eq!(world.letters().await.last().unwrap().event, "resolved");
}

#[tokio::test]
async fn a_restart_in_a_burning_hour_comes_to_the_same_rate() {
    let mut world = World::new().await;
    world.change(objective).await;
    world.by_minutes(-7_200, 480, outage(0, 300)).await;
    let measured = |incidents: Vec<Incident>| incidents[0].scene.measured.clone();
    let before = measured(world.of_kind(Kind::BurnRate).await);
    assert!(matches!(before, Some(Measured::Burn(_))), "{before:?}");
    world.restart(at(480));
    world.tick(at(480)).await;
    assert_eq!(measured(world.of_kind(Kind::BurnRate).await), before);
}

#[tokio::test]
async fn too_little_seen_in_an_hour_is_a_ticket_of_ours_and_the_first_hour_says_nothing() {
    let mut world = World::new().await;
    let mostly_silent = |_: &str, due: Timestamp| if at(3_000) <= due { Outcome::Inconclusive } else { Outcome::Up };
    world.by(10, (0, 3_590), mostly_silent).await;
    assert_eq!(world.incidents().await, [], "there was no whole hour yet");
    world.by(10, (3_590, 4_200), mostly_silent).await;
    let thin = world.of_kind(Kind::Coverage).await;
    assert_eq!(thin.len(), 1);
    assert!(matches!(thin[0].scene.measured, Some(Measured::Coverage { ppm, floor_ppm: 900_000 }) if ppm < 900_000));
    assert_eq!(world.told().await, [pair("opened", "mail")]);
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert!(body["coverage_ppm"].as_u64().unwrap() < 900_000, "{body}");
    world.by(10, (4_200, 8_000), |_, _| Outcome::Up).await;
    assert_eq!(world.told().await, [pair("opened", "mail"), pair("resolved", "mail")]);
}

#[tokio::test]
async fn a_floor_of_nought_watches_nothing() {
    let mut world = World::new().await;
    world
        .change(|fleet| {
            fleet.watch.coverage_floors.insert("shop".parse().unwrap(), 0);
        })
        .await;
    world.by(10, (0, 4_200), |_, _| Outcome::Inconclusive).await;
    assert_eq!(world.incidents().await, []);
}

#[tokio::test]
async fn a_faulty_probe_says_what_is_wrong_and_one_incident_says_it_all() {
    let mut world = World::new().await;
    let probe: ProbeId = "eu-west-1".parse().unwrap();
    world.running.store.write(|tx| join(tx, "eu-west-1", "eu-west")).await.unwrap();
    let tell = |world: &World, health: Health| {
        let (store, probe, now) = (world.running.store.clone(), probe.clone(), world.running.clock.now());
        async move { store.write(move |tx| probes::seen(tx, &probe, &health, now)).await.unwrap() }
    };
    for second in (0..300).step_by(10) {
        world.running.clock.set(at(second));
        let ill = (100..200).contains(&second);
        let clock_offset_ms = (130..260).contains(&second).then_some(5_000);
        tell(&world, Health { canaries_ok: Some(!ill), clock_offset_ms, ..Health::default() }).await;
        world.tick(at(second)).await;
        let open = world.incidents().await.into_iter().filter(Incident::is_open).collect::<Vec<_>>();
        let reason = open.first().and_then(Incident::reason);
        let expected = match second {
            160..200 => Some("faulty"),
            200..260 => Some("clock"),
            _ => None,
        };
        assert_eq!(reason, expected, "at {second}");
    }
    assert_eq!(world.incidents().await.len(), 1);
    assert_eq!(world.told().await, [pair("opened", "mail"), pair("resolved", "mail")]);
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert_eq!((&body["reason"], &body["probe"]), (&"faulty".into(), &"eu-west-1".into()));
}

#[tokio::test]
async fn a_dependent_is_recorded_and_the_roots_alert_names_it() {
    let mut world = World::new().await;
    let cart = || -> Check {
        let known = check();
        let draft =
            Draft::new("cart".parse().unwrap(), "cart".parse().unwrap(), known.regions.clone(), known.question.clone());
        Check::new(Draft { interval_ms: INTERVAL_MS, recheck_ms: 5_000, ..draft }).unwrap()
    };
    world
        .change(|fleet| {
            let shop = fleet.services[0].clone();
            fleet.services.push(Service { id: "cart".parse().unwrap(), name: "Cart".into(), ..shop });
            fleet.checks.push(cart());
            fleet.watch.depends_on.insert("cart".parse().unwrap(), vec!["shop-home".parse().unwrap()]);
        })
        .await;
    for second in -120..400 {
        let span = Span::new(at(second).plus_ms(-500), at(second).plus_ms(500));
        world.running.clock.set(at(second).plus_ms(500));
        let mut both = planned(span, &outage(100, 200));
        // The dependent fails as its root does, and half a minute longer.
        both.extend(planned_of(&cart(), span, &outage(100, 230)));
        world.arrive(both).await;
        world.tick(at(second).plus_ms(500)).await;
    }
    let incidents = world.of_kind(Kind::Outage).await;
    assert_eq!(incidents.len(), 2, "{incidents:#?}");
    let of = |name: &str| incidents.iter().find(|incident| incident.subject.name() == name).unwrap();
    assert_eq!((of("cart").course.held, of("cart").course.root.as_ref()), (true, Some(&of("shop").id)));
    assert_eq!(world.told().await, [pair("opened", "oncall"), pair("resolved", "oncall")]);
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert_eq!(body["service"], "shop");
    assert_eq!(body["affected"], serde_json::json!([{ "service": "cart", "check": "cart" }]));
}

/// Fault 17: what flaps is one incident, told seldom, and over when it is calm.
#[tokio::test]
async fn what_flaps_is_one_incident_with_at_most_one_message_in_ten_minutes() {
    let mut world = World::new().await;
    let flaps = |_: &str, due: Timestamp| {
        let ms = due.since(at(0));
        if (0..3_600_000).contains(&ms) && ms % 150_000 < 60_000 { Outcome::Down } else { Outcome::Up }
    };
    world.live(at(-120), at(5_000), flaps).await;
    let incidents = world.incidents().await;
    let flapping: Vec<&Incident> = incidents.iter().filter(|incident| incident.course.flapping).collect();
    assert_eq!((incidents.len(), flapping.len()), (4, 1), "{incidents:#?}");
    let letters = world.letters().await;
    let of_it: Vec<&Letter> = letters.iter().filter(|letter| letter.about == flapping[0].id.to_string()).collect();
    assert!(of_it.windows(2).all(|pair| 600_000 <= pair[1].written_at.since(pair[0].written_at)), "{of_it:#?}");
    assert_eq!((of_it[0].event.as_str(), of_it.last().unwrap().event.as_str()), ("opened", "resolved"));
    let body: serde_json::Value = serde_json::from_str(&of_it[1].body).unwrap();
    assert_eq!((&body["flapping"], &body["event"]), (&true.into(), &"updated".into()));
    assert!(letters.len() <= 6 + 7, "an hour of flapping: {}", letters.len());
    let instants = flapping[0].instants;
    assert!(600_000 <= instants.resolved_at.unwrap().since(instants.ended_at.unwrap()));
}

#[tokio::test]
async fn what_each_region_saw_before_and_after_is_kept_with_the_incident() {
    let mut world = World::new().await;
    world.live(at(-120), at(400), outage(100, 200)).await;
    let id = world.incidents().await[0].id.clone();
    let read = |world: &World| {
        let (store, id) = (world.running.store.clone(), id.clone());
        async move { store.read(move |conn| incidents::sights(conn, &id)).await.unwrap() }
    };
    let sights = read(&world).await;
    let regions: BTreeMap<String, (Outcome, Outcome)> = sights
        .iter()
        .map(|sight| (sight.region.to_string(), (sight.last_good.as_ref().unwrap().outcome, sight.first_bad.outcome)))
        .collect();
    assert_eq!(regions.len(), 3, "the region that failed last is there too: {regions:?}");
    assert!(regions.values().all(|seen| *seen == (Outcome::Up, Outcome::Down)));
    world.running.store.write(|tx| Ok(tx.execute_batch("DELETE FROM sample")?)).await.unwrap();
    assert_eq!(read(&world).await, sights, "it outlives the samples");
}

/// A good sample of `region` at `second` that shows a certificate called `name`, which ends `days` days after the
/// start.
fn showing(region: &str, second: i64, (name, days): (&str, i64)) -> Sample {
    let planned = planned(Span::new(at(second), at(second + 30)), &|_, _| Outcome::Up);
    let mut sample = planned.into_iter().find(|sample| sample.region.as_str() == region).unwrap();
    let (sha256, subject) = (name.to_owned(), "CN=shop".to_owned());
    let leaf = Certificate { subject, sha256, not_after: at(days * 86_400), ..Certificate::default() };
    let tls = TlsEvidence { chain: vec![leaf], ..TlsEvidence::default() };
    sample.evidence = Some(Box::new(Evidence { tls: Some(tls), ..Evidence::default() }));
    sample
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_a_ticket_until_every_region_sees_another_and_the_change_is_told_once() {
    let mut world = World::new().await;
    let show = |world: &World, samples: Vec<Sample>| {
        let store = world.running.store.clone();
        async move { store.write(move |tx| shown::note(tx, &samples)).await.unwrap() }
    };
    show(&world, vec![showing("eu-west", 0, ("old", 22)), showing("us-east", 0, ("old", 22))]).await;
    world.by_minutes(0, 120, |_, _| Outcome::Up).await;
    assert_eq!(world.incidents().await, []);
    world
        .change(|fleet| {
            fleet.watch.certificates.insert("shop-home".parse().unwrap(), 30 * 86_400_000);
        })
        .await;
    world.by_minutes(120, 240, |_, _| Outcome::Up).await;
    let soon = world.of_kind(Kind::Certificate).await;
    assert_eq!((soon.len(), soon[0].is_open(), soon[0].reason()), (1, true, Some("certificate_ends_soon")));
    assert_eq!(world.told().await, [pair("opened", "mail")]);
    let body: serde_json::Value = serde_json::from_str(&world.letters().await[0].body).unwrap();
    assert_eq!((&body["days_left"], &body["severity"]), (&21.into(), &"ticket".into()), "{body}");
    show(&world, vec![showing("eu-west", 240, ("new", 90))]).await;
    world.by_minutes(240, 360, |_, _| Outcome::Up).await;
    assert!(world.of_kind(Kind::Certificate).await.iter().any(Incident::is_open), "us-east has the old one");
    show(&world, vec![showing("us-east", 360, ("new", 90))]).await;
    world.by_minutes(360, 480, |_, _| Outcome::Up).await;
    assert!(!world.of_kind(Kind::Certificate).await.iter().any(Incident::is_open));
    let letters = world.letters().await;
    let told: Vec<(&str, String)> = letters
        .iter()
        .map(|letter| {
            let body: serde_json::Value = serde_json::from_str(&letter.body).unwrap();
            (letter.event.as_str(), body["reason"].as_str().unwrap().to_owned())
        })
        .collect();
    let wanted =
        [("opened", "certificate_ends_soon"), ("updated", "chain_changed"), ("resolved", "certificate_ends_soon")];
    assert_eq!(told, wanted.map(|(event, reason)| (event, reason.to_owned())));
    world.restart(at(480));
    world.by_minutes(480, 600, |_, _| Outcome::Up).await;
    assert_eq!(world.letters().await.len(), 3, "a restart tells of nothing again");
}
