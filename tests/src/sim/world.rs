//! The world: hosts, lines and people under one clock, on which events happen one after the other.
//!
//! Nothing here waits. An event happens at an instant of true time and may note others for later; hosts have wall
//! clocks of their own that may be off. All chance comes from the dice of the plan's seed, so a world can be lived
//! again.

mod line;
mod look;
mod people;
mod share;
mod trouble;

use std::collections::BTreeMap;

use nines::gateway::{Peer, Refused};
use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use nines_shared::wire::{Ack, Batch};

use super::aggregator::{Act, Aggregator, Did, Entry, Peers};
use super::laws;
use super::ledger::Ledger;
use super::plan::Plan;
use super::probe::Probe;
use super::story::Story;
use crate::dice::Dice;
use nines_probe::schedule::Due;
pub use share::POLL_MS;

/// What is older than this many intervals is farther back than the evaluator looks by itself.
const LATE_INTERVALS: i64 = 8;
/// How often a report is asked whether it is complete, in ms.
const MONTHS_MS: i64 = 3_600_000;

/// A world that lives.
#[derive(Debug)]
pub struct World {
    /// What was drawn for it.
    pub plan: Plan,
    /// True time.
    pub now: Timestamp,
    /// What it tells.
    pub story: Story,
    /// Its books.
    pub ledger: Ledger,
    /// The aggregator's host.
    pub aggregator: Aggregator,
    /// The probes' hosts.
    pub probes: Vec<Probe>,
    /// Who they are.
    pub peers: Peers,
    dice: Dice,
    events: BTreeMap<(Timestamp, u64), Event>,
    noted: u64,
    /// The fleet file in force, by its number.
    in_force: usize,
    /// The aggregator dies soon.
    doom: Option<Doom>,
    slow: u32,
    off_ms: i64,
    channels_down: [u32; 2],
    /// When the evaluator looked last, or its process began.
    looked: Timestamp,
    look_noted: bool,
    carry_noted: bool,
    flights: u64,
    broken: Option<String>,
}

/// With which of its acts the aggregator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doom {
    /// With whatever it does next.
    Anyhow,
    /// With the first look of its evaluator that writes letters.
    Telling,
    /// With the first look after something came late: what is only there is not looked at again by itself.
    LookingBack { came: bool },
}

/// What happens at an instant. A probe's own events name the process that they belong to.
#[derive(Debug)]
enum Event {
    Strike(usize),
    Mend(usize),
    OfProbe(usize, u64, OfProbe),
    Arrive(Box<Message>),
    Look,
    Pulse,
    Carry,
    Months,
    Assign(usize),
    Poll,
}

/// What happens in a probe.
#[derive(Debug)]
enum OfProbe {
    Look,
    Begin(Due),
    End(Box<(Sample, bool)>),
    Commit,
    Ship,
    Answer(u64, Box<Result<Ack, Refused>>),
    TimedOut(u64),
    Ask,
}

/// A batch on a line.
#[derive(Debug)]
struct Message {
    probe: usize,
    life: u64,
    no: u64,
    batch: Batch,
}

impl World {
    /// The world of `plan` at its beginning, with all hosts up.
    ///
    /// # Panics
    /// Where the machine has no room for its database.
    pub fn new(plan: Plan, trace: bool) -> Self {
        let mut dice = Dice::of(plan.seed);
        let begin = plan.life.from;
        let regions = plan.fleets[0].checks[0].regions.clone();
        let name = |(index, place): (usize, &usize)| {
            let twin = plan.probes.iter().take(index).filter(|other| *other == place).count();
            let (name, region) = (format!("{}-{}", regions[*place], twin + 1), regions[*place].clone());
            Probe::new((name.parse().expect("a probe's id"), region), *place, plan.spool)
        };
        let probes: Vec<Probe> = plan.probes.iter().enumerate().map(name).collect();
        let peer = |(index, probe): (usize, &Probe)| Peer {
            probe: probe.name.clone(),
            region: probe.region.clone(),
            sha256: [u8::try_from(index).expect("few probes"); 32],
            until: Timestamp::MAX,
        };
        let peers: Peers = probes.iter().enumerate().map(peer).collect();
        let aggregator = Aggregator::new(&plan.fleets, &peers, begin);
        // The plan took its share of the same dice; what follows has nothing to do with it.
        dice.below(2);
        Self {
            now: begin,
            story: Story::new(trace),
            ledger: Ledger::default(),
            aggregator,
            probes,
            peers,
            dice,
            events: BTreeMap::new(),
            noted: 0,
            in_force: 0,
            doom: None,
            slow: 0,
            off_ms: 0,
            channels_down: [0; 2],
            looked: begin,
            look_noted: false,
            carry_noted: false,
            flights: 0,
            broken: None,
            plan,
        }
    }

    /// Lives to its end, or until an invariant breaks: then says which, and how.
    ///
    /// # Errors
    /// The first invariant that broke.
    pub fn live(&mut self) -> Result<(), String> {
        self.begin();
        while let Some(((now, _), event)) = self.events.pop_first() {
            if self.plan.end() < now {
                break;
            }
            self.now = now;
            self.happen(event);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
        }
        self.now = self.plan.end();
        self.close();
        self.broken.take().map_or(Ok(()), Err)?;
        laws::all(self)
    }

    fn begin(&mut self) {
        self.start_aggregator();
        for probe in 0..self.probes.len() {
            self.start_probe(probe);
        }
        for index in 0..self.plan.troubles.len() {
            let span = self.plan.troubles[index].span;
            self.note(span.from, Event::Strike(index));
            self.note(span.to, Event::Mend(index));
        }
        self.note(self.now, Event::Pulse);
        self.note(self.now, Event::Months);
        self.note(self.now, Event::Poll);
        for (at, sight) in self.plan.truth.target.clone() {
            self.story.trace(at, "target", || format!("is {sight:?} from now on"));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Strike(index) => self.strike(index, true),
            Event::Mend(index) => self.strike(index, false),
            Event::OfProbe(probe, life, event) => self.of_probe(probe, life, event),
            Event::Arrive(message) => self.arrive(*message),
            Event::Look => {
                self.look_noted = false;
                self.evaluate();
            }
            Event::Pulse => {
                self.evaluate();
                self.follow();
                self.note(self.now.plus_ms(self.plan.interval_ms / 2), Event::Pulse);
            }
            Event::Carry => {
                self.carry_noted = false;
                self.carry();
            }
            Event::Months => {
                self.freeze();
                self.note(self.now.plus_ms(MONTHS_MS), Event::Months);
            }
            Event::Assign(probe) => self.assign(probe),
            Event::Poll => self.poll(),
        }
    }

    fn note(&mut self, at: Timestamp, event: Event) {
        self.noted += 1;
        self.events.insert((at.max(self.now), self.noted), event);
    }

    fn note_of(&mut self, probe: usize, after_ms: i64, event: OfProbe) {
        let life = self.probes[probe].lives;
        self.note(self.now.plus_ms(after_ms), Event::OfProbe(probe, life, event));
    }

    /// The clock of the aggregator.
    pub fn theirs(&self) -> Timestamp {
        self.now.plus_ms(self.off_ms)
    }

    /// Something happens to the aggregator, which lives. `None` where it dies of it before anybody gets an answer.
    fn act(&mut self, act: Act) -> Option<Did> {
        let entry = Entry { now: self.theirs(), act };
        if !self.dies_of(&entry.act) {
            let did = self.aggregator.act(&entry);
            self.ledger.enter(entry, &did);
            return Some(did);
        }
        let (told, telling) = (self.aggregator.last_letter(), self.doom == Some(Doom::Telling));
        let did = self.aggregator.act_before_a_kill(&entry);
        if telling && self.aggregator.last_letter() == told {
            self.ledger.enter(entry, &did);
            return Some(did);
        }
        self.doom = None;
        let dice = &mut self.dice;
        let whole = self.aggregator.kill(|sides| dice.index(sides));
        self.ledger.sums.kills += 1;
        if whole {
            self.ledger.enter(entry, &did);
        } else {
            self.ledger.sums.undone += 1;
        }
        let undone = if whole { "after a commit" } else { "before a commit, which is undone" };
        self.story.tell(self.now, "aggregator", format!("is killed {undone}"));
        (whole && self.dice.happens(50)).then_some(did)
    }

    fn dies_of(&mut self, act: &Act) -> bool {
        let late = |batch: &Batch| {
            let old = |sample: &Sample| LATE_INTERVALS * self.plan.interval_ms < self.theirs().since(sample.started_at);
            batch.samples.iter().any(old)
        };
        match (self.doom, act) {
            (None, _) => false,
            (Some(Doom::Anyhow), _) | (Some(Doom::Telling | Doom::LookingBack { came: true }), Act::Tick(_)) => true,
            (Some(Doom::LookingBack { came: false }), Act::Batch(_, batch)) => {
                let came = late(batch);
                self.doom = Some(Doom::LookingBack { came });
                false
            }
            (Some(Doom::Telling | Doom::LookingBack { .. }), _) => false,
        }
    }

    fn start_aggregator(&mut self) {
        let entry = Entry { now: self.theirs(), act: Act::Start(self.in_force) };
        let did = self.aggregator.act(&entry);
        self.ledger.enter(entry, &did);
        self.looked = self.now;
        self.story.tell(self.now, "aggregator", "begins");
        let kept = laws::inv_1_2_after_a_start(self).and_then(|()| laws::inv_6_after_a_start(self));
        self.keep(kept);
    }

    /// Remembers the first law that broke.
    fn keep(&mut self, kept: Result<(), String>) {
        if self.broken.is_none() {
            self.broken = kept.err();
        }
    }

    fn start_probe(&mut self, probe: usize) {
        self.probes[probe].start(self.now);
        self.note_of(probe, 0, OfProbe::Look);
        self.note_of(probe, 1_000, OfProbe::Ship);
        self.note(self.now, Event::Assign(probe));
    }
}
