//! What happens on the lines: batches out, answers back, asks; and what the aggregator makes of it.

use nines::gateway::Refused;
use nines_shared::sample::Outcome;
use nines_shared::wire::{Ack, Batch};

use super::super::aggregator::{Act, Did};
use super::super::laws;
use super::super::probe::Flight;
use super::{Event, Message, OfProbe, World};

/// How long a sample waits for others to share its batch, in ms.
pub(super) const GATHER_MS: i64 = 250;
/// How long a probe waits for an answer, in ms.
const PATIENCE_MS: i64 = 30_000;
/// How long the wait after a failure is at most, in ms.
const BACKOFF_MS: i64 = 30_000;
/// A probe that has not been heard for so long says that it lives, in ms.
const HEARTBEAT_MS: i64 = 10_000;
/// How long what is sent is under way, in ms: from so long …
const TRIP_MS: i64 = 20;
/// … to so much longer on a good line, and on a bad one.
const GOOD_LINE_MS: i64 = 150;
const BAD_LINE_MS: i64 = 40_000;
/// A batch that is doubled comes again within this time, in ms.
const AGAIN_MS: i64 = 600_000;
/// How often in a hundred something is lost or doubled on a bad line.
pub(super) const LOST_PERCENT: u64 = 25;
/// How long the aggregator takes at most where it is slow, in ms.
const SLOW_MS: i64 = 60_000;
/// How soon the evaluator looks at what came, in ms.
const LOOK_MS: i64 = 200;
/// How often in a hundred it looks at once at what says nothing but up.
const PROMPT_PERCENT: u64 = 20;

impl World {
    pub(super) fn ship_soon(&mut self, probe: usize, after_ms: i64) {
        let Some(life) = &mut self.probes[probe].life else { return };
        if !life.shipping && life.flight.is_none() {
            life.shipping = true;
            self.note_of(probe, after_ms, OfProbe::Ship);
        }
    }

    pub(super) fn ship(&mut self, probe: usize) {
        let (batch, numbers) = self.probes[probe].batch(self.now);
        self.flights += 1;
        let (no, sent) = (self.flights, self.now);
        let host = &mut self.probes[probe];
        let Some(life) = &mut host.life else { return };
        life.shipping = false;
        if numbers.is_empty() || life.flight.is_some() {
            return;
        }
        life.flight = Some(Flight { no, sent, numbers });
        let life = host.lives;
        self.note_of(probe, PATIENCE_MS, OfProbe::TimedOut(no));
        self.send(&Message { probe, life, no, batch });
    }

    /// Puts a batch on the line, which may lose it, double it, and deliver it late.
    fn send(&mut self, message: &Message) {
        let bad = 0 < self.probes[message.probe].ills.lossy;
        if 0 < self.probes[message.probe].ills.cut_out || bad && self.dice.happens(LOST_PERCENT) {
            return;
        }
        let slow_ms = if 0 < self.slow { self.dice.within_ms(SLOW_MS) } else { 0 };
        let trip_ms = self.trip_ms(message.probe) + slow_ms;
        let again_ms = (bad && self.dice.happens(LOST_PERCENT)).then(|| self.dice.within_ms(AGAIN_MS));
        for (count, after_ms) in [Some(trip_ms), again_ms].into_iter().flatten().enumerate() {
            self.ledger.sums.again += count as u64;
            let Message { probe, life, no, batch } = message;
            let copy = Message { probe: *probe, life: *life, no: *no, batch: batch.clone() };
            self.note(self.now.plus_ms(after_ms), Event::Arrive(Box::new(copy)));
        }
    }

    fn trip_ms(&mut self, probe: usize) -> i64 {
        let bad = 0 < self.probes[probe].ills.lossy;
        TRIP_MS + self.dice.within_ms(if bad { BAD_LINE_MS } else { GOOD_LINE_MS })
    }

    pub(super) fn arrive(&mut self, message: Message) {
        if !self.aggregator.lives() {
            return;
        }
        let Message { probe, life, no, batch } = message;
        let asks = self.aggregator.asks_made();
        let count = batch.samples.len();
        // Most of what comes is what came before: the evaluator looks at that with its next pulse, as if it were busy.
        let calm = batch.samples.iter().all(|sample| sample.outcome == Outcome::Up);
        self.ledger.sums.batches += 1;
        let did = self.act(Act::Batch(probe, Box::new(batch)));
        if !calm || self.dice.happens(PROMPT_PERCENT) {
            self.look_soon();
        }
        let Some(Did::Answered(answer)) = did else { return };
        self.story.trace(self.now, &self.probes[probe].name, || match &answer {
            Ok(ack) => format!("batch {no} of {count} is acknowledged, {} were new", ack.stored),
            Err(refused) => format!("batch {no} of {count} is refused: {}", refused.refusal.message),
        });
        let host = &self.probes[probe];
        let lost = 0 < host.ills.cut_back || 0 < host.ills.lossy && self.dice.happens(LOST_PERCENT);
        let trip_ms = self.trip_ms(probe);
        if !lost {
            let answer = OfProbe::Answer(no, Box::new(answer));
            self.note(self.now.plus_ms(trip_ms), Event::OfProbe(probe, life, answer));
        }
        if asks < self.aggregator.asks_made() {
            self.wake_who_is_asked();
        }
    }

    fn wake_who_is_asked(&mut self) {
        for probe in 0..self.probes.len() {
            let after_ms = self.trip_ms(probe);
            self.note_of(probe, after_ms, OfProbe::Ask);
        }
    }

    pub(super) fn answered(&mut self, probe: usize, no: u64, answer: Result<Ack, Refused>) {
        let now = self.now;
        let host = &mut self.probes[probe];
        let Some(life) = &mut host.life else { return };
        let Some(flight) = life.flight.take_if(|flight| flight.no == no) else { return };
        match answer {
            Ok(ack) if ack.samples == flight.numbers.len() => {
                let gone = host.acknowledged(&flight.numbers, (&ack, flight.sent), now);
                self.ledger.acknowledge(&gone);
            }
            Err(refused) if refused.status.is_client_error() => {
                let fault = refused.refusal.sample.unwrap_or(0);
                host.refused(flight.numbers.get(fault).copied(), now);
            }
            Ok(_) | Err(_) => {}
        }
        if !self.probes[probe].spool.is_empty() {
            self.ship_soon(probe, GATHER_MS);
        }
    }

    pub(super) fn timed_out(&mut self, probe: usize, no: u64) {
        let Some(life) = &mut self.probes[probe].life else { return };
        if life.flight.take_if(|flight| flight.no == no).is_some() {
            let wait_ms = self.dice.within_ms(BACKOFF_MS);
            self.ship_soon(probe, wait_ms);
        }
    }

    /// A probe hears what it is to look at now.
    pub(super) fn listen(&mut self, probe: usize) {
        let host = &mut self.probes[probe];
        if !host.is_connected() || !host.trusts_its_clock() {
            return;
        }
        let theirs = self.now.plus_ms(self.off_ms);
        let Some(life) = &mut host.life else { return };
        for ask in self.aggregator.asked(probe, life.have, theirs) {
            life.have = ask.no;
            let latest = host.ills.clock_ms + ask.until.since(theirs);
            let due = life.schedule.asked(&ask.check, ask.at, self.now.plus_ms(latest));
            if let Some(due) = due {
                let lives = host.lives;
                self.noted += 1;
                self.events.insert((self.now, self.noted), Event::OfProbe(probe, lives, OfProbe::Begin(due)));
            }
        }
    }

    fn look_soon(&mut self) {
        if !self.look_noted {
            self.look_noted = true;
            self.note(self.now.plus_ms(LOOK_MS), Event::Look);
        }
    }

    /// The evaluator looks, and letters go out.
    pub(super) fn evaluate(&mut self) {
        self.signs_of_life();
        if !self.aggregator.lives() {
            return;
        }
        let lived_ms = self.now.since(self.looked);
        self.looked = self.now;
        self.ledger.sums.ticks += 1;
        if self.act(Act::Tick(lived_ms)).is_none() {
            return;
        }
        if self.aggregator.lives() && !self.aggregator.letters().is_empty() {
            self.carry_soon(self.now);
        }
    }

    /// What is due of open incidents is written.
    pub(super) fn follow(&mut self) {
        if !self.aggregator.lives() {
            return;
        }
        let open = self.aggregator.open();
        let kept = laws::inv_6_one_open(&open);
        self.keep(kept);
        if !open.is_empty() {
            self.act(Act::Follow);
            self.carry_soon(self.now);
        }
    }

    /// Probes that were not heard for a while and could be say that they live. Nobody but the evaluator wants to know,
    /// so they do just before it looks.
    fn signs_of_life(&mut self) {
        for probe in 0..self.probes.len() {
            let host = &self.probes[probe];
            let quiet = host.life.as_ref().is_some_and(|life| HEARTBEAT_MS <= self.now.since(life.heard));
            if !quiet || !host.runs(self.now) || 0 < host.ills.cut_out || !self.aggregator.lives() {
                continue;
            }
            let batch: Batch = host.sign_of_life();
            self.ledger.sums.batches += 1;
            let did = self.act(Act::Batch(probe, Box::new(batch)));
            let host = &mut self.probes[probe];
            if let Some(Did::Answered(Ok(ack))) = did
                && host.ills.cut_back == 0
            {
                host.measured((&ack, self.now), self.now);
            }
        }
    }
}
