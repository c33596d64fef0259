//! Acts over a real store, with what is told of them.

use std::path::Path;

use nines_shared::id::ChannelId;

use super::*;
use crate::alert::plan::tests::incident;
use crate::alert::telling;
use crate::incident::transition::Telling;
use crate::incident::{Event, Incident};
use crate::store::Store;
use crate::store::outbox::{self, Attempt, Letter};
use crate::store::tests::store;

const NOW: Timestamp = Timestamp::from_ms(1_795_432_800_000);

fn fleet() -> Fleet {
    let text = r#"
        [[region]]
        id = "eu-west"
        [[customer]]
        id = "acme"
        timezone = "UTC"
        [[service]]
        id = "shop"
        customer = "acme"
        [[check]]
        id = "shop-home"
        service = "shop"
        http = { url = "https://shop.example/" }
        [[check]]
        id = "shop-api"
        service = "shop"
        http = { url = "https://shop.example/api" }
        [[channel]]
        id = "pager"
        webhook = { url = "https://hooks.example/", secret = { env = "HOOK" } }
        [[channel]]
        id = "boss"
        webhook = { url = "https://hooks.example/boss", secret = { env = "HOOK" } }
        [[route]]
        channels = ["pager"]
        escalate = { after = "10m", channels = ["boss"] }
    "#;
    crate::fleet_file::parse(text, Path::new("nines.toml")).unwrap().0
}

/// A store in which people act.
struct Desk {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Desk {
    fn new() -> Self {
        let (folder, store) = store();
        Self { _folder: folder, store }
    }

    /// Records the incident as it is after `event`, and tells of it.
    fn record(&self, event: Event, now: Timestamp) -> Incident {
        let (mut incident, fleet) = (incident(), fleet());
        if event == Event::Resolved {
            (incident.instants.ended_at, incident.instants.resolved_at, incident.revision) = (Some(now), Some(now), 2);
        }
        let written = incident.clone();
        let job = move |tx: &Transaction<'_>| {
            incidents::record(tx, &written)?;
            telling::change(tx, &fleet, &written, (Telling { event, severity: written.severity }, None), now)
        };
        self.store.write_blocking(job).unwrap();
        incident
    }

    fn act(&self, act: Act, by: &'static str, now: Timestamp) -> Result<Answer, Refused> {
        let fleet = fleet();
        self.store.write_blocking(move |tx| perform(tx, (&act, by), &fleet, now)).unwrap()
    }

    fn silence(&self, scope: Scope, length_ms: i64, reason: &str) -> Result<Answer, Refused> {
        self.act(Act::Silence { scope, kind: None, to: NOW.plus_ms(length_ms), reason: reason.into() }, "ann", NOW)
    }

    /// Writes what is due at `now`.
    fn follow(&self, now: Timestamp) {
        let fleet = fleet();
        self.store.write_blocking(move |tx| telling::write_due(tx, &fleet, now)).unwrap();
    }

    fn letters(&self) -> Vec<Letter> {
        let about = self.store.read_blocking(|conn| outbox::about(conn, &incident().id)).unwrap();
        about.into_iter().map(|(letter, _)| letter).collect()
    }

    /// `event → channel`, letter by letter.
    fn told(&self) -> Vec<String> {
        self.letters().iter().map(|letter| format!("{} → {}", letter.event, letter.channel)).collect()
    }

    fn log(&self) -> Vec<String> {
        let notes = self.store.read_blocking(|conn| incidents::notes(conn, &incident().id)).unwrap();
        notes.into_iter().map(|note| format!("{}: {}", note.author.unwrap_or_default(), note.text)).collect()
    }
}

fn shop() -> Scope {
    Scope::Service("shop".parse().unwrap())
}

#[test]
fn an_acknowledgement_and_an_assignment_are_told_to_whom_the_opening_was_told() {
    let desk = Desk::new();
    let id = desk.record(Event::Opened, NOW).id;
    let ack = || Act::Acknowledge { incident: id.clone() };
    assert_eq!(desk.act(ack(), "ann", NOW.plus_ms(5)), Ok(Answer::Done));
    assert_eq!(desk.act(ack(), "eve", NOW.plus_ms(6)), Ok(Answer::Done));
    assert_eq!(desk.act(Act::Assign { incident: id.clone(), to: "bob".into() }, "ann", NOW), Ok(Answer::Done));
    assert_eq!(desk.act(Act::Assign { incident: id.clone(), to: "bob".into() }, "ann", NOW), Ok(Answer::Done));
    assert_eq!(
        desk.told(),
        ["opened → pager", "updated → pager", "updated → pager"],
        "what changes nothing is not told"
    );
    let keys: Vec<String> = desk.letters().iter().map(Letter::idempotency_key).collect();
    assert_eq!(keys, [format!("{id}.1"), format!("{id}.1.1"), format!("{id}.1.2")]);
    let last: serde_json::Value = serde_json::from_str(&desk.letters()[2].body).unwrap();
    assert_eq!((last["acknowledged_by"].as_str(), last["assigned_to"].as_str()), (Some("ann"), Some("bob")));
    assert_eq!(last["acknowledged_at"], NOW.plus_ms(5).as_ms());
    assert_eq!(desk.log(), ["ann: acknowledged", "ann: assigned to bob"]);
    desk.follow(NOW.plus_ms(3_600_000));
    assert_eq!(desk.told().len(), 3, "who acknowledged it is not escalated over");
}

#[test]
fn what_people_do_about_what_is_over_is_told_to_nobody() {
    let desk = Desk::new();
    desk.record(Event::Opened, NOW);
    let id = desk.record(Event::Resolved, NOW.plus_ms(9)).id;
    desk.act(Act::Acknowledge { incident: id }, "ann", NOW.plus_ms(10)).unwrap();
    assert_eq!(desk.told(), ["opened → pager", "resolved → pager"]);
    assert_eq!(desk.log(), ["ann: acknowledged"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let desk = Desk::new();
    let id = desk.record(Event::Opened, NOW).id;
    let other: IncidentId = "nothing-1".parse().unwrap();
    let refused = |act: Act, by: &'static str| desk.act(act, by, NOW).unwrap_err().message;
    assert!(refused(Act::Acknowledge { incident: other.clone() }, "ann").contains("there is no incident nothing-1"));
    assert!(refused(Act::Assign { incident: other, to: "bob".into() }, "ann").contains("there is no incident"));
    assert!(refused(Act::Assign { incident: id.clone(), to: " ".into() }, "ann").contains("1 to 200"));
    assert!(refused(Act::Acknowledge { incident: id.clone() }, " ").contains("1 to 200"));
    assert!(refused(Act::Note { incident: id, text: " ".into() }, "ann").contains("1 to 2000"));
    assert!(refused(Act::EndSilence { no: 7 }, "ann").contains("no silence 7 holds"));
    for (scope, length_ms, reason, why) in [
        (shop(), 1_000, " ", "reason"),
        (shop(), 0, "moving", "over already"),
        (shop(), MAX_SILENCE_MS + 1, "moving", "ends within 7d"),
        (Scope::Service("nothing".parse().unwrap()), 1_000, "moving", "no service nothing"),
        (Scope::Customer("nothing".parse().unwrap()), 1_000, "moving", "no customer nothing"),
        (Scope::Check("nothing".parse().unwrap()), 1_000, "moving", "no check nothing"),
        (Scope::Probe("nothing".parse().unwrap()), 1_000, "moving", "no probe nothing"),
    ] {
        let message = desk.silence(scope, length_ms, reason).unwrap_err().message;
        assert!(message.contains(why), "{message}");
    }
    assert_eq!(desk.silence(shop(), MAX_SILENCE_MS, "moving"), Ok(Answer::Silenced { no: 1 }));
}

#[test]
fn what_opens_in_a_silence_is_on_record_and_told_when_it_ends() {
    let desk = Desk::new();
    desk.silence(shop(), 60_000, "moving").unwrap();
    desk.record(Event::Opened, NOW.plus_ms(5));
    desk.follow(NOW.plus_ms(59_999));
    assert_eq!(desk.told(), [""; 0]);
    let log = desk.log();
    assert!(
        log[0].contains("nobody is told: ann silenced it until 2026-11-23T") && log[0].contains("(moving)"),
        "{log:?}"
    );
    desk.follow(NOW.plus_ms(60_000));
    desk.follow(NOW.plus_ms(60_001));
    assert_eq!(desk.told(), ["opened → pager"]);
    desk.record(Event::Resolved, NOW.plus_ms(70_000));
    assert_eq!(desk.told(), ["opened → pager", "resolved → pager"]);
}

#[test]
fn a_silence_that_is_ended_early_tells_what_is_still_open() {
    let desk = Desk::new();
    desk.silence(shop(), 60_000, "moving").unwrap();
    desk.record(Event::Opened, NOW.plus_ms(5));
    desk.act(Act::EndSilence { no: 1 }, "bob", NOW.plus_ms(10)).unwrap();
    desk.follow(NOW.plus_ms(10));
    assert_eq!(desk.told(), ["opened → pager"]);
}

#[test]
fn what_opened_before_a_silence_is_resolved_in_it_and_what_opened_in_it_is_not() {
    let before = Desk::new();
    before.record(Event::Opened, NOW);
    before.silence(shop(), 60_000, "moving").unwrap();
    before.record(Event::Updated, NOW.plus_ms(5));
    before.record(Event::Resolved, NOW.plus_ms(9));
    assert_eq!(before.told(), ["opened → pager", "resolved → pager"]);
    let inside = Desk::new();
    inside.silence(shop(), 60_000, "moving").unwrap();
    inside.record(Event::Opened, NOW.plus_ms(5));
    inside.record(Event::Resolved, NOW.plus_ms(9));
    assert_eq!(inside.told(), [""; 0]);
}

#[test]
fn a_channel_that_gave_up_is_followed_by_the_next_step_and_is_not_told_the_end() {
    let desk = Desk::new();
    desk.record(Event::Opened, NOW);
    let no = desk.letters()[0].no;
    let gave_up = Attempt::GaveUp { failure: "gone".into() };
    desk.store.write_blocking(move |tx| outbox::keep_attempt(tx, no, &gave_up, NOW)).unwrap();
    desk.follow(NOW.plus_ms(1));
    assert_eq!(desk.told(), ["opened → pager", "opened → boss"]);
    desk.record(Event::Resolved, NOW.plus_ms(9));
    assert_eq!(desk.told(), ["opened → pager", "opened → boss", "resolved → boss"]);
    let boss: ChannelId = "boss".parse().unwrap();
    let body: serde_json::Value = serde_json::from_str(&desk.letters()[1].body).unwrap();
    assert_eq!(
        (desk.letters()[1].channel.clone(), body["note"].as_str()),
        (boss, Some("channel pager could not be told"))
    );
}

#[test]
fn an_incident_that_no_route_takes_says_so_in_its_log() {
    let desk = Desk::new();
    let (incident, mut fleet) = (incident(), fleet());
    fleet.routes.clear();
    let job = move |tx: &Transaction<'_>| {
        incidents::record(tx, &incident)?;
        let telling = Telling { event: Event::Opened, severity: incident.severity };
        telling::change(tx, &fleet, &incident, (telling, None), NOW)
    };
    desk.store.write_blocking(job).unwrap();
    assert_eq!(desk.log(), [": nobody is told: no route takes it now"]);
    desk.follow(NOW);
    assert_eq!(desk.told(), ["opened → pager"], "a route came with a reload");
}
