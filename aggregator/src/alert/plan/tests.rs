//! The plan over made-up letters, minute by minute.

use proptest::prelude::*;

use super::*;
use crate::definition::Severity;
use crate::incident::{IncidentId, Instants, Kind, Outage, Scene, Subject};

const START: Timestamp = Timestamp::from_ms(1_795_432_800_000);
const MINUTE: i64 = 60_000;

fn at(minutes: i64) -> Timestamp {
    START.plus_ms(minutes * MINUTE)
}

/// The shop is down with both of its checks, and was told once.
pub(crate) fn incident() -> Incident {
    let subject = Subject::Service("shop".parse().unwrap());
    Incident {
        id: IncidentId::of(Kind::Outage, &subject, START),
        kind: Kind::Outage,
        subject,
        severity: Severity::Page,
        instants: Instants {
            last_good_at: None,
            first_failure_at: START,
            started_at: START,
            detected_at: START,
            notified_at: None,
            acknowledged_at: None,
            ended_at: None,
            resolved_at: None,
        },
        outages: vec![Outage { from: START, to: None }],
        withdrawn: false,
        revision: 1,
        scene: Scene { checks: vec!["shop-api".parse().unwrap(), "shop-home".parse().unwrap()], ..Scene::default() },
        acknowledged_by: None,
        assigned_to: None,
        course: crate::incident::course::Course::default(),
    }
}

/// What routes see of it.
pub(crate) fn alert() -> Alert {
    let incident = incident();
    Alert {
        environment: "prod".into(),
        customer: Some("acme".parse().unwrap()),
        service: Some("shop".parse().unwrap()),
        checks: incident.scene.checks,
        kind: Some(Kind::Outage),
        severity: Severity::Page,
    }
}

fn channels(names: &[&str]) -> Vec<ChannelId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Pages `pager`; again every half an hour; after ten minutes `boss`, after twenty `board`.
fn route() -> Route {
    let step = |minutes: i64, name: &str| crate::definition::Escalation {
        after_ms: minutes * MINUTE,
        channels: channels(&[name]),
    };
    Route {
        channels: channels(&["pager"]),
        repeat_ms: Some(30 * MINUTE),
        escalate: vec![step(10, "boss"), step(20, "board")],
        ..Route::default()
    }
}

fn told(channel: &str, event: Event, minute: i64, settled: Settled) -> Told {
    Told { channel: channel.parse().unwrap(), event: event.code().to_owned(), written_at: at(minute), settled }
}

/// Told and accepted in the same minute.
fn accepted(channel: &str, event: Event, minute: i64) -> Told {
    told(channel, event, minute, Settled::Delivered(at(minute)))
}

struct Story {
    incident: Incident,
    routes: Vec<Route>,
    letters: Vec<Told>,
    silent_until: Option<Timestamp>,
}

impl Story {
    fn of(letters: &[Told]) -> Self {
        Self { incident: incident(), routes: vec![route()], letters: letters.to_vec(), silent_until: None }
    }

    fn plan(&self, minute: i64) -> Plan {
        let alert = alert();
        let facts = Facts {
            incident: &self.incident,
            alert: &alert,
            routes: &self.routes,
            letters: &self.letters,
            silent_until: self.silent_until,
        };
        plan(&facts, at(minute))
    }

    /// `channel event why`, letter by letter, and in which minute to look again.
    fn due(&self, minute: i64) -> (Vec<String>, Option<i64>) {
        let plan = self.plan(minute);
        let shown = |it: &Planned| format!("{} {} {}", it.channel, it.event.code(), it.why.code());
        (plan.letters.iter().map(shown).collect(), plan.next_look.map(|next| next.since(START) / MINUTE))
    }

    /// What is written from `minute` until nothing but waiting is left or the minute `until` comes; each letter is
    /// accepted.
    fn play(&mut self, until: i64) -> Vec<String> {
        let (mut written, mut minute) = (Vec::new(), 0);
        while minute < until {
            let plan = self.plan(minute);
            for it in &plan.letters {
                written.push(format!("{minute} {} {}", it.channel, it.why.code()));
                self.letters.push(accepted(it.channel.as_str(), it.event, minute));
            }
            minute = if plan.letters.is_empty() {
                plan.next_look.map_or(until, |at| at.since(START) / MINUTE)
            } else {
                minute
            };
        }
        written
    }
}

#[test]
fn who_is_not_told_at_once_is_told_again_and_then_others_are() {
    let mut story = Story::of(&[accepted("pager", Event::Opened, 0)]);
    assert_eq!(story.due(0), (vec![], Some(10)));
    assert_eq!(
        story.play(75),
        [
            "10 boss escalated",
            "20 board escalated",
            "30 pager repeated",
            "40 boss repeated",
            "50 board repeated",
            "60 pager repeated",
            "70 boss repeated"
        ]
    );
}

#[test]
fn an_acknowledgement_a_silence_and_a_recovery_stop_repeats_and_escalations() {
    let letters = [accepted("pager", Event::Opened, 0)];
    let mut story = Story::of(&letters);
    story.incident.instants.acknowledged_at = Some(at(5));
    assert_eq!(story.due(45), (vec![], None));
    let mut story = Story::of(&letters);
    story.silent_until = Some(at(50));
    assert_eq!(story.due(45), (vec![], Some(50)));
    let mut story = Story::of(&letters);
    story.incident.instants.ended_at = Some(at(5));
    assert_eq!(story.due(45), (vec![], None));
    story.incident.instants.resolved_at = Some(at(6));
    assert_eq!(story.due(45), (vec![], None));
}

#[test]
fn what_was_silenced_when_it_opened_is_told_when_the_silence_is_over() {
    let mut story = Story::of(&[]);
    story.silent_until = Some(at(50));
    assert_eq!(story.due(0), (vec![], Some(50)));
    story.silent_until = None;
    assert_eq!(story.due(50).0, ["pager opened routed"]);
    story.incident.instants.acknowledged_at = Some(at(5));
    assert_eq!(story.due(50).0, ["pager opened routed"], "who acknowledged it knows, the channel does not");
}

#[test]
fn a_channel_that_can_not_be_told_is_followed_by_the_next_step() {
    let failing = |settled| Story::of(&[told("pager", Event::Opened, 0, settled)]);
    let waiting = failing(Settled::Waiting);
    assert_eq!(waiting.due(1), (vec![], Some(2)), "two minutes are waited for it");
    assert_eq!(waiting.due(2).0, ["boss opened unheard"]);
    let given_up = failing(Settled::GivenUp(at(0)));
    assert_eq!(given_up.due(0).0, ["boss opened unheard"], "nothing is to be waited for");
    let mut both = failing(Settled::GivenUp(at(0)));
    both.letters.push(told("boss", Event::Opened, 0, Settled::GivenUp(at(0))));
    assert_eq!(both.due(0).0, ["board opened unheard"]);
}

#[test]
fn a_letter_that_waits_for_its_channel_is_not_followed_by_another() {
    let mut story = Story::of(&[told("pager", Event::Opened, 0, Settled::Waiting)]);
    story.routes[0].escalate.clear();
    assert_eq!(story.due(45), (vec![], None));
}

#[test]
fn a_route_that_comes_with_a_reload_or_with_its_hours_is_told_and_one_that_goes_stops_asking() {
    let mut story = Story::of(&[accepted("pager", Event::Opened, 0)]);
    story.routes = vec![Route { channels: channels(&["day"]), ..Route::default() }];
    assert_eq!(story.due(45), (vec!["day opened routed".to_owned()], None));
    story.routes.clear();
    assert_eq!(story.due(45), (vec![], None));
}

#[test]
fn what_an_earlier_opening_was_told_starts_no_escalation_of_a_later_one() {
    let cycle = [
        accepted("pager", Event::Opened, 0),
        accepted("boss", Event::Opened, 10),
        accepted("pager", Event::Resolved, 12),
    ];
    let mut story = Story::of(&cycle);
    story.letters.push(accepted("pager", Event::Opened, 60));
    assert_eq!(story.due(61), (vec![], Some(70)));
    assert_eq!(story.due(70).0, ["boss opened escalated"]);
    assert_eq!(told_of_opening(&story.letters), channels(&["pager", "boss"]));
    assert_eq!(owed_an_end(&story.letters), channels(&["pager"]));
}

#[test]
fn who_could_not_be_told_that_it_opened_is_not_told_how_it_ends() {
    let letters =
        [told("pager", Event::Opened, 0, Settled::GivenUp(at(1))), told("desk", Event::Opened, 0, Settled::Waiting)];
    assert_eq!(owed_an_end(&letters), channels(&["desk"]));
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_for_long() {
    let story = Story::of(&[accepted("pager", Event::Opened, 600)]);
    assert_eq!(story.due(0).0, ["boss opened escalated", "board opened escalated", "pager updated repeated"]);
    let jitter = Story::of(&[accepted("pager", Event::Opened, 1)]);
    assert_eq!(jitter.due(0), (vec![], Some(11)), "a minute is no step");
}

#[test]
fn what_people_were_not_told_of_is_not_followed() {
    let mut story = Story::of(&[]);
    story.incident.revision = 0;
    assert_eq!(story.due(45), (vec![], None));
}

proptest! {
    /// Whatever was written: no channel gets two letters at once, what is due is due no more once it is written, and
    /// the next look lies ahead.
    #[test]
    fn a_plan_that_is_carried_out_leaves_nothing_due(
        written in prop::collection::vec((0_usize..3, 0_i64..60, 0_u8..3, any::<bool>()), 0..12),
        minute in 0_i64..120,
        acknowledged: bool,
    ) {
        let names = ["pager", "boss", "board"];
        let letters = written.iter().map(|(channel, minute, settled, opening)| {
            let event = if *opening { Event::Opened } else { Event::Updated };
            let settled = [Settled::Waiting, Settled::Delivered(at(*minute)), Settled::GivenUp(at(*minute))][usize::from(*settled)];
            told(names[*channel], event, *minute, settled)
        });
        let mut story = Story::of(&letters.collect::<Vec<_>>());
        story.incident.instants.acknowledged_at = acknowledged.then_some(START);
        let before = story.plan(minute);
        let mut once: Vec<&ChannelId> = before.letters.iter().map(|it| &it.channel).collect();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), before.letters.len());
        prop_assert!(before.next_look.is_none_or(|next| at(minute) < next));
        for it in &before.letters {
            story.letters.push(told(it.channel.as_str(), it.event, minute, Settled::Waiting));
        }
        prop_assert_eq!(story.plan(minute).letters, vec![]);
    }
}
