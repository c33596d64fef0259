//! What people and the world around the aggregator do: restarts, reloads, silences, maintenance, channels, months.

use std::collections::BTreeSet;

use nines::alert::backoff;
use nines::definition::Maintenance;
use nines::report::life;
use nines::store::outbox::{Attempt, Letter};
use nines::store::silences::{Scope, Silence};
use nines::uptime::calendar;
use nines_shared::time::{Span, Timestamp};

use super::super::aggregator::{Act, Did};
use super::super::laws;
use super::{Doom, Event, World};

/// How often in a hundred a channel that is up accepts nothing …
const REFUSED_PERCENT: u64 = 10;
/// … or accepts a letter and its answer is lost.
const UNHEARD_PERCENT: u64 = 5;
/// How long before its beginning maintenance is announced, in ms.
const AHEAD_MS: i64 = 600_000;
/// The months that a world may see the end of.
const MONTHS: [&str; 5] = ["2026-10", "2026-11", "2026-12", "2027-01", "2027-02"];

impl World {
    /// The aggregator's process begins again; where the kill had not struck yet, it strikes now.
    pub(super) fn revive(&mut self) {
        if self.doom.is_some() {
            self.doom = Some(Doom::Anyhow);
            self.act(Act::Follow);
        }
        if !self.aggregator.lives() {
            self.start_aggregator();
        }
    }

    pub(super) fn reload(&mut self, fleet: usize) {
        self.in_force = fleet;
        if self.aggregator.lives() {
            self.act(Act::Load(fleet));
        }
        for probe in 0..self.probes.len() {
            let after_ms = self.dice.within_ms(2_000);
            self.note(self.now.plus_ms(after_ms), Event::Assign(probe));
        }
    }

    pub(super) fn silence(&mut self, span: Span) {
        let from = self.theirs();
        let scope = Scope::Service(self.plan.fleets[0].services[0].id.clone());
        let to = from.plus_ms(span.length_ms());
        let (reason, by) = ("moving".to_owned(), "ann".to_owned());
        let silence = Silence { no: 0, scope, kind: None, from, to, reason, by, ended: None };
        self.if_it_lives(Act::Silence(Box::new(silence)));
    }

    pub(super) fn announce(&mut self, span: Span) {
        let span = Span::new(span.from.plus_ms(AHEAD_MS), span.to.plus_ms(AHEAD_MS));
        self.exclude(span, "a new database");
    }

    pub(super) fn grant(&mut self, span: Span) {
        self.exclude(span, "agreed by phone");
    }

    fn exclude(&mut self, span: Span, reason: &str) {
        let service = self.plan.fleets[0].services[0].id.clone();
        let window = Maintenance { service, span, reason: reason.to_owned(), afterwards: None, weekly: None };
        self.if_it_lives(Act::Exclude(Box::new(window)));
    }

    /// Nobody can tell a process anything that does not live.
    fn if_it_lives(&mut self, act: Act) {
        if self.aggregator.lives() {
            self.act(act);
        }
    }

    pub(super) fn carry_soon(&mut self, at: Timestamp) {
        if !self.carry_noted {
            self.carry_noted = true;
            self.note(at, Event::Carry);
        }
    }

    /// Letters that are due go to their channels.
    pub(super) fn carry(&mut self) {
        if !self.aggregator.lives() {
            return;
        }
        let letters = self.aggregator.letters();
        let theirs = self.theirs();
        for letter in letters.iter().filter(|letter| backoff::is_due(letter.due_at, theirs)) {
            let attempt = self.attempt(letter);
            if self.aggregator.lives() {
                self.act(Act::Settle(Box::new(letter.clone()), attempt));
            }
        }
        if let Some(first) = letters.iter().map(|letter| letter.due_at.since(theirs)).min() {
            self.carry_soon(self.now.plus_ms(first.clamp(1_000, 60_000)));
        }
    }

    fn attempt(&mut self, letter: &Letter) -> Attempt {
        let fleet = &self.plan.fleets[0];
        let channel = fleet.channels.iter().position(|channel| channel.id == letter.channel);
        let down = channel.is_none_or(|channel| 0 < self.channels_down[channel]);
        let accepted = !down && !self.dice.happens(REFUSED_PERCENT);
        if accepted {
            self.ledger.delivered.push(letter.clone());
            self.story.tell(self.now, &letter.channel, format!("is told {}: {}", letter.event, summary(&letter.body)));
            if !self.dice.happens(UNHEARD_PERCENT) {
                return Attempt::Accepted;
            }
        }
        let (failure, die) = ("no answer".to_owned(), self.dice.below(1 << 20));
        match backoff::retry_at(letter.attempts + 1, None, die, letter.written_at, self.theirs()) {
            Some(retry_at) => Attempt::Failed { retry_at, failure },
            None => Attempt::GaveUp { failure },
        }
    }

    /// Months that are over are frozen as soon as they are complete.
    pub(super) fn freeze(&mut self) {
        for month in MONTHS {
            let over = calendar::month(month, "UTC").is_ok_and(|span| span.to <= self.theirs());
            let kept = self.ledger.kept.iter().any(|(kept, _)| kept.month == month);
            if over && !kept && self.aggregator.lives() {
                let did = self.act(Act::Freeze(month.to_owned()));
                self.keep_report(did);
            }
        }
    }

    fn keep_report(&mut self, did: Option<Did>) {
        if let Some(Did::Kept(report)) = did {
            let (kept, _) = &*report;
            self.story.tell(
                self.now,
                "report",
                format!("{} is frozen as revision {}, {}", kept.month, kept.revision, kept.digest),
            );
            self.ledger.kept.push(*report);
        }
    }

    /// The end of all: what came late is taken into restatements.
    pub(super) fn close(&mut self) {
        self.evaluate();
        self.follow();
        let due = self.aggregator.read(life::all_due);
        let months: BTreeSet<String> = self.ledger.kept.iter().map(|(kept, _)| kept.month.clone()).collect();
        for month in months {
            let is_due = due.iter().any(|(kept, _)| kept.month == month);
            let did = self.act(Act::Restate(month));
            let kept = laws::inv_8_what_comes_late_is_noticed(did.as_ref(), is_due);
            self.keep(kept);
            self.keep_report(did);
        }
        self.evaluate();
        while !self.aggregator.letters().is_empty() {
            self.now = self.now.plus_ms(60_000);
            self.carry();
        }
    }
}

fn summary(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("a letter is JSON");
    body["summary"].as_str().unwrap_or_default().to_owned()
}
