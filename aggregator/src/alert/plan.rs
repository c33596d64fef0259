//! What is to be told of an open incident when nothing but time goes by: who was not told yet, who is told again, and
//! who is told next. A pure function of the incident, what was written about it, the routes, and the time.
//!
//! Once its letters are written the same question has no answer left, so it can be asked at any time and as often as
//! one likes: after a restart, after a reload of the fleet file, after a step of the clock. What the changes of an
//! incident tell by themselves is [`super::telling`]'s.

use nines_shared::duration::Shown;
use nines_shared::id::ChannelId;
use nines_shared::time::Timestamp;

use super::route::{self, Alert};
use crate::definition::Route;
use crate::incident::{Event, Incident};
use crate::store::outbox::{Settled, Told};

/// How long a letter may wait for its channel before the next step of an escalation is taken, in ms.
pub const UNHEARD_MS: i64 = 120_000;
/// A letter that was written further in the future than this, in ms, was written before the clock was set back; how
/// long ago is not known, and rather too much is told than too little.
const CLOCK_SET_BACK_MS: i64 = 60_000;

/// All that decides.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The incident as recorded.
    pub incident: &'a Incident,
    /// What routes see of it.
    pub alert: &'a Alert,
    /// Of the fleet file in force.
    pub routes: &'a [Route],
    /// Every letter about it, in the order written.
    pub letters: &'a [Told],
    /// Until when its letters are withheld.
    pub silent_until: Option<Timestamp>,
}

/// What is to be written now, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// At most one a channel.
    pub letters: Vec<Planned>,
    /// When time alone may change the answer; `None`: it can't.
    pub next_look: Option<Timestamp>,
}

/// A letter that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Where to.
    pub channel: ChannelId,
    /// `opened` for who was not told yet, `updated` for who is told again.
    pub event: Event,
    /// Why now.
    pub why: Why,
}

/// Why a letter is written although the incident did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A route leads there now and did not before: hours began, a silence ended, the fleet file changed.
    Routed,
    /// Nobody has acknowledged it for so long, in ms.
    Repeated(i64),
    /// Nobody has acknowledged it for so long, in ms, and this is who is told next.
    Escalated(i64),
    /// This channel could not be told, and this is who is told next.
    Unheard(ChannelId),
}

impl Why {
    /// As people are told.
    pub fn note(&self) -> String {
        match self {
            Self::Routed => "it goes on, and is told here now".to_owned(),
            Self::Repeated(ms) => format!("it goes on, and nobody has acknowledged it for {}", Shown(*ms)),
            Self::Escalated(ms) => format!("nobody has acknowledged it within {}", Shown(*ms)),
            Self::Unheard(channel) => format!("channel {channel} could not be told"),
        }
    }

    /// Its stable name, for logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Repeated(_) => "repeated",
            Self::Escalated(_) => "escalated",
            Self::Unheard(_) => "unheard",
        }
    }
}

/// What is to be told of an incident at `now`.
pub fn plan(facts: &Facts<'_>, now: Timestamp) -> Plan {
    let incident = facts.incident;
    let failing = incident.is_open() && incident.instants.ended_at.is_none();
    if !failing || incident.revision == 0 {
        return Plan::default();
    }
    if let Some(until) = facts.silent_until {
        return Plan { letters: Vec::new(), next_look: Some(until) };
    }
    let mut planner = Planner { letters: since_reopened(facts.letters), now, plan: Plan::default() };
    planner.look_at(route::next_change(facts.routes, facts.alert, now));
    let acknowledged = incident.instants.acknowledged_at.is_some();
    // Who acknowledged it while nobody could be told knows; the channels still don't.
    let untold = !planner.letters.iter().any(Told::is_opening);
    for route in route::taking(facts.routes, facts.alert, now) {
        if !acknowledged || untold {
            planner.open(&route.channels, &Why::Routed);
        }
        if !acknowledged {
            let reached = planner.escalate(route);
            planner.repeat(route, &reached);
        }
    }
    planner.plan
}

/// Who is to learn how it goes on: every channel that was told, or is to be told, that it opened. One that could not be
/// told of that is told of nothing else.
pub fn told_of_opening(letters: &[Told]) -> Vec<ChannelId> {
    let mut channels: Vec<ChannelId> = Vec::new();
    for letter in letters.iter().filter(|letter| letter.is_opening() && !letter.is_given_up()) {
        if !channels.contains(&letter.channel) {
            channels.push(letter.channel.clone());
        }
    }
    channels
}

/// Who is owed the end of it: [`told_of_opening`] since it was last resolved.
pub fn owed_an_end(letters: &[Told]) -> Vec<ChannelId> {
    told_of_opening(since_reopened(letters))
}

/// The letters after the last that told of an end: what was written before it is of an earlier opening.
fn since_reopened(letters: &[Told]) -> &[Told] {
    let ended = letters.iter().rposition(|letter| letter.event == Event::Resolved.code());
    &letters[ended.map_or(0, |index| index + 1)..]
}

struct Planner<'a> {
    letters: &'a [Told],
    now: Timestamp,
    plan: Plan,
}

impl Planner<'_> {
    /// Tells `channels` that it opened: those that were not.
    fn open(&mut self, channels: &[ChannelId], why: &Why) {
        for channel in channels {
            if self.openings(std::slice::from_ref(channel)).next().is_none() {
                self.write(channel, Event::Opened, why.clone());
            }
        }
    }

    /// Takes the steps of `route` whose time has come, and says whom that reaches in all.
    fn escalate(&mut self, route: &Route) -> Vec<ChannelId> {
        let mut reached = route.channels.clone();
        let mut before: &[ChannelId] = &route.channels;
        let first = self.openings(&route.channels).map(|letter| letter.written_at).min().unwrap_or(self.now);
        for step in &route.escalate {
            let late = (self.after(first, step.after_ms), Why::Escalated(step.after_ms));
            let unheard = self.openings(before).filter_map(|letter| self.unheard(letter));
            let (at, why) = unheard.chain([late]).min_by_key(|(at, _)| *at).expect("one of them is always there");
            if self.now < at {
                self.look_at(Some(at));
                break;
            }
            self.open(&step.channels, &why);
            reached.extend_from_slice(&step.channels);
            before = &step.channels;
        }
        reached
    }

    /// Tells those again that `route` has reached, where it says so.
    fn repeat(&mut self, route: &Route, reached: &[ChannelId]) {
        let Some(every_ms) = route.repeat_ms else { return };
        for channel in reached {
            let last = self.letters.iter().rev().find(|letter| letter.channel == *channel);
            // What waits to be delivered is not made more urgent by a second letter behind it.
            let Some(last) = last.filter(|letter| letter.settled != Settled::Waiting) else { continue };
            let at = self.after(last.written_at, every_ms);
            if self.now < at {
                self.look_at(Some(at));
            } else if let Some(first) = self.openings(std::slice::from_ref(channel)).map(|it| it.written_at).min() {
                let waited = self.now.since(first).max(every_ms);
                self.write(channel, Event::Updated, Why::Repeated(waited / 60_000 * 60_000));
            }
        }
    }

    /// When a letter's channel counts as one that can't be told.
    fn unheard(&self, letter: &Told) -> Option<(Timestamp, Why)> {
        let at = match letter.settled {
            Settled::Delivered(_) => return None,
            Settled::GivenUp(_) => self.now,
            Settled::Waiting => self.after(letter.written_at, UNHEARD_MS),
        };
        Some((at, Why::Unheard(letter.channel.clone())))
    }

    fn openings(&self, channels: &[ChannelId]) -> impl Iterator<Item = &Told> {
        self.letters.iter().filter(move |letter| letter.is_opening() && channels.contains(&letter.channel))
    }

    fn after(&self, written_at: Timestamp, ms: i64) -> Timestamp {
        if CLOCK_SET_BACK_MS < written_at.since(self.now) { self.now } else { written_at.plus_ms(ms) }
    }

    fn write(&mut self, channel: &ChannelId, event: Event, why: Why) {
        if !self.plan.letters.iter().any(|planned| planned.channel == *channel) {
            self.plan.letters.push(Planned { channel: channel.clone(), event, why });
        }
    }

    fn look_at(&mut self, at: Option<Timestamp>) {
        self.plan.next_look = [self.plan.next_look, at].into_iter().flatten().min();
    }
}

#[cfg(test)]
pub(crate) mod tests;
