//! Readings against the record: opened once, followed, louder, resolved, bounded.

use super::*;
use crate::incident::course::Course;
use crate::incident::{Event, flap};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_790_000_000_000 + seconds * 1_000)
}

/// The record of one service, and what was told.
#[derive(Default)]
struct Desk {
    recorded: Vec<Incident>,
    told: Vec<(i64, Event, Severity)>,
}

impl Desk {
    fn ask(&self, reading: Reading, severity: Severity, now: i64) -> Vec<Transition> {
        settle(&Standing {
            kind: Kind::BurnRate,
            subject: &Subject::Service("shop".parse().unwrap()),
            reading,
            severity,
            seen: &Scene::default(),
            last_good_at: None,
            open: self.recorded.iter().find(|incident| incident.is_open()),
            beginnings: &flap::beginnings(&self.recorded),
            now: at(now),
        })
    }

    fn read(&mut self, reading: Reading, severity: Severity, now: i64) {
        for transition in self.ask(reading, severity, now) {
            self.told.extend(transition.told.map(|told| (now, told.event, told.severity)));
            match self.recorded.iter_mut().find(|known| known.is_open()) {
                Some(known) => *known = transition.incident,
                None => self.recorded.push(transition.incident),
            }
        }
        assert_eq!(self.ask(reading, severity, now), [], "reading the same again changes nothing");
        assert!(self.recorded.iter().filter(|known| known.is_open()).count() <= 1);
    }

    fn fails(&mut self, now: i64) {
        self.read(Reading::Fails(at(now)), Severity::Ticket, now);
    }

    fn good(&mut self, now: i64) {
        self.read(Reading::Good(at(now)), Severity::Ticket, now);
    }
}

#[test]
fn it_opens_once_goes_on_and_is_resolved_when_it_is_good() {
    let mut desk = Desk::default();
    desk.good(0);
    for now in 1..5 {
        desk.fails(now);
    }
    desk.read(Reading::Unknown, Severity::Ticket, 5);
    assert!(desk.recorded[0].is_open());
    desk.good(6);
    desk.good(7);
    assert_eq!(desk.told, [(1, Event::Opened, Severity::Ticket), (6, Event::Resolved, Severity::Ticket)]);
    let instants = desk.recorded[0].instants;
    assert_eq!((instants.started_at, instants.ended_at, instants.resolved_at), (at(1), Some(at(6)), Some(at(6))));
}

#[test]
fn what_becomes_louder_is_told_as_loud_as_it_is() {
    let mut desk = Desk::default();
    desk.read(Reading::Fails(at(1)), Severity::Ticket, 1);
    desk.read(Reading::Fails(at(2)), Severity::Page, 2);
    desk.read(Reading::Fails(at(3)), Severity::Ticket, 3);
    desk.read(Reading::Good(at(4)), Severity::Ticket, 4);
    let expected = [
        (1, Event::Opened, Severity::Ticket),
        (2, Event::Opened, Severity::Page),
        (4, Event::Resolved, Severity::Page),
    ];
    assert_eq!(desk.told, expected);
    assert_eq!(desk.recorded.len(), 1);
}

#[test]
fn what_comes_and_goes_is_one_incident_and_is_told_seldom_until_it_is_calm() {
    let mut desk = Desk::default();
    for minute in 0..40 {
        desk.fails(minute * 60);
        desk.good(minute * 60 + 30);
    }
    let flapping: Vec<&Incident> = desk.recorded.iter().filter(|incident| incident.course.flapping).collect();
    assert_eq!((desk.recorded.len(), flapping.len()), (4, 1), "the fourth beginning flaps");
    assert!(flapping[0].is_open());
    let told: Vec<i64> = desk.told.iter().map(|(now, ..)| *now).filter(|now| 180 <= *now).collect();
    assert!(told.windows(2).all(|pair| 600 <= pair[1] - pair[0]), "{told:?}");
    assert_eq!(told, [180, 780, 1_380, 1_980]);
    desk.good(39 * 60 + 30 + 599);
    assert!(desk.recorded[3].is_open());
    desk.good(39 * 60 + 30 + 600);
    assert_eq!(desk.told.last(), Some(&(2_970, Event::Resolved, Severity::Ticket)));
}

#[test]
fn it_remembers_the_first_and_the_latest_of_many_spans() {
    let mut desk = Desk::default();
    let known = |n: i64| crate::incident::Outage { from: at(n * 2), to: Some(at(n * 2 + 1)) };
    desk.fails(0);
    desk.recorded[0].outages = (0..i64::try_from(MAX_SPANS).unwrap()).map(known).collect();
    desk.recorded[0].instants.ended_at = Some(at(399));
    desk.recorded[0].course = Course { flapping: true, told_at: Some(at(0)), spans_told: 1, ..Course::default() };
    desk.fails(500);
    let spans = &desk.recorded[0].outages;
    assert_eq!((spans.len(), spans[0].from, spans[MAX_SPANS - 1].from), (MAX_SPANS, at(0), at(500)));
}
