//! Who is told where what they depend on fails, in every order in which it can come to light.

use super::*;
use crate::incident::{Instants, Outage, Scene, Subject};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_790_000_000_000 + seconds * 1_000)
}

fn id(text: &str) -> CheckId {
    text.parse().unwrap()
}

/// `shop` depends on `gateway`, which depends on `dns`; `blog` depends on nothing.
fn facts() -> Facts {
    Facts {
        dependences: [(id("shop"), vec![id("gateway")]), (id("gateway"), vec![id("dns")])].into(),
        round_ms: ["shop", "gateway", "dns"].map(|check| (id(check), 40_000)).into(),
        ..Facts::default()
    }
}

/// An outage of the service called like its one check, that has failed since `from`.
fn outage(check: &str, from: i64) -> Incident {
    let subject = Subject::Service(check.parse().unwrap());
    Incident {
        id: IncidentId::of(Kind::Outage, &subject, at(from)),
        kind: Kind::Outage,
        severity: Kind::Outage.severity(),
        instants: Instants {
            last_good_at: None,
            first_failure_at: at(from),
            started_at: at(from),
            detected_at: at(from),
            notified_at: None,
            acknowledged_at: None,
            ended_at: None,
            resolved_at: None,
        },
        outages: vec![Outage { from: at(from), to: None }],
        withdrawn: false,
        revision: 1,
        scene: Scene { checks: vec![id(check)], ..Scene::default() },
        acknowledged_by: None,
        assigned_to: None,
        course: Course { told_at: Some(at(from)), spans_told: 1, ..Course::default() },
        subject,
    }
}

fn opened(incident: Incident) -> Transition {
    let told = Some(Telling { event: Event::Opened, severity: incident.severity });
    Transition { incident, change: Change::Opened, told, note: None, wants_scene: false, sights: Vec::new() }
}

fn resolved(mut incident: Incident, now: i64) -> Transition {
    incident.instants.ended_at = Some(at(now));
    incident.instants.resolved_at = Some(at(now));
    incident.revision += 1;
    let told = Some(Telling { event: Event::Resolved, severity: incident.severity });
    Transition { incident, change: Change::Resolved, told, note: None, wants_scene: false, sights: Vec::new() }
}

/// The record, told step by step.
#[derive(Default)]
struct Desk {
    open: Vec<Incident>,
    told: Vec<(i64, &'static str, String)>,
}

impl Desk {
    fn step(&mut self, now: i64, transitions: Vec<Transition>, facts: &Facts) {
        self.write(now, transitions, facts);
        let again = held_back(&self.open, Vec::new(), facts, at(now));
        assert_eq!(again, [], "settling the same again changes nothing");
    }

    fn write(&mut self, now: i64, transitions: Vec<Transition>, facts: &Facts) {
        let settled = held_back(&self.open, transitions, facts, at(now));
        for transition in settled {
            let incident = transition.incident;
            let name = incident.subject.name().to_owned();
            self.told.extend(transition.told.map(|told| (now, told.event.code(), name)));
            self.open.retain(|known| known.id != incident.id);
            if incident.is_open() {
                self.open.push(incident);
            }
        }
    }

    fn told(&self) -> Vec<(i64, &str, &str)> {
        self.told.iter().map(|(now, event, name)| (*now, *event, name.as_str())).collect()
    }

    fn resolve(&mut self, name: &str, now: i64, facts: &mut Facts) {
        let known = self.open.iter().find(|incident| incident.subject.name() == name).unwrap().clone();
        let id = known.id.clone();
        let settled = vec![resolved(known, now)];
        // What ends with a tick is on record from the next one on.
        self.write(now, settled, facts);
        facts.resolved_at.insert(id, at(now));
        self.step(now, Vec::new(), facts);
    }
}

#[test]
fn roots_and_affected_are_reached_by_way_of_others_and_a_circle_ends() {
    let mut dependences = facts().dependences;
    assert_eq!(roots(&dependences, &id("shop")), [&id("gateway"), &id("dns")]);
    assert_eq!(affected(&dependences, &id("dns")), [&id("gateway"), &id("shop")]);
    assert!(roots(&dependences, &id("blog")).is_empty());
    dependences.insert(id("dns"), vec![id("shop")]);
    assert_eq!(roots(&dependences, &id("shop")), [&id("gateway"), &id("dns")]);
}

#[test]
fn the_root_is_told_and_what_depends_on_it_is_not_whichever_comes_first() {
    let orders: [&[&str]; 6] = [
        &["dns", "gateway", "shop"],
        &["dns", "shop", "gateway"],
        &["gateway", "dns", "shop"],
        &["gateway", "shop", "dns"],
        &["shop", "dns", "gateway"],
        &["shop", "gateway", "dns"],
    ];
    for order in orders {
        for together in [false, true] {
            let (mut desk, mut facts) = (Desk::default(), facts());
            let opening: Vec<Transition> = (0..).zip(order).map(|(n, check)| opened(outage(check, n * 5))).collect();
            if together {
                desk.step(15, opening, &facts);
            } else {
                for (n, transition) in (0..).zip(opening) {
                    desk.step(n * 5, vec![transition], &facts);
                }
            }
            desk.step(70, Vec::new(), &facts);
            let told: Vec<&str> = desk.told.iter().map(|(.., name)| name.as_str()).collect();
            assert_eq!(told, ["dns"], "{order:?}");
            for name in ["shop", "gateway", "dns"] {
                desk.resolve(name, 100, &mut facts);
            }
            assert_eq!(desk.told().last(), Some(&(100, "resolved", "dns")), "{order:?}");
            assert_eq!(desk.told.len(), 2, "who was not told of a beginning is not told of an end: {order:?}");
        }
    }
}

#[test]
fn what_still_fails_when_its_root_is_over_is_told_after_one_round() {
    let (mut desk, mut facts) = (Desk::default(), facts());
    desk.step(0, vec![opened(outage("gateway", 0))], &facts);
    desk.step(50, Vec::new(), &facts);
    desk.step(60, vec![opened(outage("shop", 60))], &facts);
    assert!(desk.open.iter().any(|incident| incident.course.held && incident.course.root.is_some()));
    desk.resolve("gateway", 200, &mut facts);
    desk.step(239, Vec::new(), &facts);
    let until_now = [(50, "opened", "gateway"), (200, "resolved", "gateway")];
    assert_eq!(desk.told(), until_now);
    desk.step(240, Vec::new(), &facts);
    assert_eq!(desk.told().last(), Some(&(240, "opened", "shop")));
    desk.resolve("shop", 300, &mut facts);
    assert_eq!(desk.told().last(), Some(&(300, "resolved", "shop")));
    assert_eq!(desk.told.len(), 4);
}

#[test]
fn what_depends_on_a_root_that_works_is_told_as_soon_as_that_is_known() {
    let (mut desk, mut facts) = (Desk::default(), facts());
    desk.step(0, vec![opened(outage("gateway", 0))], &facts);
    assert_eq!(desk.told(), [], "the next samples of dns may explain it");
    facts.good_since.insert(id("dns"), at(-1));
    desk.step(5, Vec::new(), &facts);
    assert_eq!(desk.told(), [], "dns was seen to work, but before");
    facts.good_since.insert(id("dns"), at(7));
    desk.step(8, Vec::new(), &facts);
    assert_eq!(desk.told(), [(8, "opened", "gateway")]);
}

#[test]
fn nobody_waits_longer_than_a_round_for_a_root_that_is_not_looked_at() {
    let (mut desk, facts) = (Desk::default(), facts());
    desk.step(0, vec![opened(outage("gateway", 0))], &facts);
    desk.step(39, Vec::new(), &facts);
    assert_eq!(desk.told(), []);
    desk.step(40, Vec::new(), &facts);
    assert_eq!(desk.told(), [(40, "opened", "gateway")]);
    let mut slow = facts;
    slow.round_ms.insert(id("dns"), 3_600_000);
    let mut desk = Desk::default();
    desk.step(0, vec![opened(outage("gateway", 0))], &slow);
    desk.step(60, Vec::new(), &slow);
    assert_eq!(desk.told(), [(60, "opened", "gateway")]);
}

#[test]
fn what_depends_on_nothing_is_told_at_once_and_so_is_a_service_of_which_something_else_fails_too() {
    let (mut desk, facts) = (Desk::default(), facts());
    desk.step(0, vec![opened(outage("blog", 0)), opened(outage("dns", 0))], &facts);
    let mut both = outage("shop", 1);
    both.scene.checks.push(id("shop-cart"));
    desk.step(1, vec![opened(both)], &facts);
    assert_eq!(desk.told(), [(0, "opened", "blog"), (0, "opened", "dns"), (1, "opened", "shop")]);
}

#[test]
fn what_was_told_stays_told_though_its_root_is_found_later() {
    let (mut desk, mut facts) = (Desk::default(), facts());
    desk.step(0, vec![opened(outage("gateway", 0))], &facts);
    desk.step(40, Vec::new(), &facts);
    desk.step(50, vec![opened(outage("dns", 50))], &facts);
    desk.resolve("gateway", 60, &mut facts);
    let told = [(40, "opened", "gateway"), (50, "opened", "dns"), (60, "resolved", "gateway")];
    assert_eq!(desk.told(), told);
}

#[test]
fn a_budget_that_burns_in_an_open_outage_of_its_service_is_told_after_it() {
    let (mut desk, mut facts) = (Desk::default(), facts());
    desk.step(0, vec![opened(outage("blog", 0))], &facts);
    let mut burn = outage("blog", 10);
    (burn.kind, burn.id) = (Kind::BurnRate, IncidentId::of(Kind::BurnRate, &burn.subject, at(10)));
    desk.step(10, vec![opened(burn)], &facts);
    assert_eq!(desk.told(), [(0, "opened", "blog")]);
    let known = desk.open.iter().find(|incident| incident.kind == Kind::Outage).unwrap().clone();
    facts.resolved_at.insert(known.id.clone(), at(90));
    desk.step(90, vec![resolved(known, 90)], &facts);
    assert_eq!(desk.told(), [(0, "opened", "blog"), (90, "resolved", "blog"), (90, "opened", "blog")]);
}
