//! A probe of a simulated world: the real schedule and the real doubt of its clock, over a model of its prober and its
//! spool.
//!
//! The spool keeps what was committed, up to a limit, and forgets what the aggregator acknowledged. What waits for
//! a commit dies with the process.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use nines_probe::clock_watch::{Offset, Track};
use nines_probe::schedule::{Due, Schedule};
use nines_probe::spool::FIRST_RETRY_MS;
use nines_shared::check::Check;
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::{Outcome, Phases, Reason, Sample, SampleKind, TraceId};
use nines_shared::time::Timestamp;
use nines_shared::wire::{Ack, Batch, Health};

use super::plan::TIMEOUT_MS;
use super::truth::Sight;

/// The most samples of a batch: fewer than a real one may have, so that a backlog is many batches.
const BATCH: usize = 24;

/// What makes two samples one.
pub type Identity = (CheckId, RegionId, SampleKind, Timestamp);

/// The identity of `sample`.
pub fn identity(sample: &Sample) -> Identity {
    (sample.check.clone(), sample.region.clone(), sample.kind, sample.scheduled_at)
}

/// How often at once each thing is wrong with a probe.
#[derive(Clone, Debug, Default)]
pub struct Ills {
    /// Its disk is slow.
    pub slow_disk: u32,
    /// It reaches neither target nor canaries.
    pub offline: u32,
    /// It says the contrary.
    pub lies: u32,
    /// Nothing of it arrives.
    pub cut_out: u32,
    /// No answer comes back.
    pub cut_back: u32,
    /// Batches are lost, late, doubled.
    pub lossy: u32,
    /// It is stopped until then.
    pub frozen_until: Timestamp,
    /// By how much its wall clock is off, in ms.
    pub clock_ms: i64,
}

/// The machine of a probe.
#[derive(Debug)]
pub struct Probe {
    /// Its name.
    pub name: ProbeId,
    /// Where it looks from.
    pub region: RegionId,
    /// The number of its region.
    pub place: usize,
    /// What is wrong with it.
    pub ills: Ills,
    /// Its process, where it lives.
    pub life: Option<Life>,
    /// How often its process began: what an earlier one was about to do is void.
    pub lives: u64,
    /// What it is to do; on its disk.
    pub work: Work,
    /// Committed and not acknowledged, by number; on its disk.
    pub spool: VecDeque<(u64, Sample)>,
    /// Refused, each with the time of its own clock at which it is offered again; on its disk.
    pub aside: Vec<(Timestamp, Sample)>,
    /// How many were dropped because the spool was full; on its disk.
    pub dropped: u64,
    next_no: u64,
    limit: usize,
}

/// What a probe is to do.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// What it is called; nothing before the first.
    pub digest: String,
    /// Of the checks of its region those that are its own.
    pub checks: Vec<Arc<Check>>,
}

/// What dies with the process.
#[derive(Debug)]
pub struct Life {
    /// What is due when.
    pub schedule: Schedule,
    /// When it looks next; another look that was planned before is void.
    pub planned: Timestamp,
    /// When an answer came last.
    pub heard: Timestamp,
    /// The batch on its way.
    pub flight: Option<Flight>,
    /// It waits for others to join a batch, or after a failure.
    pub shipping: bool,
    /// The last ask that it knows of.
    pub have: u64,
    /// Samples that wait for a commit.
    pub uncommitted: Vec<Sample>,
    looked: Timestamp,
    track: Track,
    offset: Option<Offset>,
    missed: u64,
}

/// A batch on its way.
#[derive(Debug)]
pub struct Flight {
    /// Which.
    pub no: u64,
    /// When it left.
    pub sent: Timestamp,
    /// What it carries.
    pub numbers: Vec<u64>,
}

impl Probe {
    /// A machine whose probe does not run yet, with room for `limit` samples.
    pub fn new((name, region): (ProbeId, RegionId), place: usize, limit: usize) -> Self {
        Self {
            name,
            region,
            place,
            ills: Ills::default(),
            life: None,
            lives: 0,
            work: Work::default(),
            spool: VecDeque::new(),
            aside: Vec::new(),
            dropped: 0,
            next_no: 1,
            limit,
        }
    }

    /// What its wall clock says at `now`.
    pub fn wall(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(self.ills.clock_ms)
    }

    /// Its process begins with the assignment that it has on its disk.
    pub fn start(&mut self, now: Timestamp) {
        self.lives += 1;
        let mut schedule = Schedule::new(self.region.clone(), self.wall(now));
        schedule.assign(self.work.checks.clone());
        self.life = Some(Life {
            schedule,
            planned: now,
            heard: Timestamp::MIN,
            flight: None,
            shipping: false,
            have: 0,
            uncommitted: Vec::new(),
            looked: now,
            track: Track::new(self.ills.clock_ms),
            offset: None,
            missed: 0,
        });
    }

    /// Whether it can do anything at `now`.
    pub fn runs(&self, now: Timestamp) -> bool {
        self.life.is_some() && self.ills.frozen_until <= now
    }

    /// Whether batches of it arrive and answers come back.
    pub fn is_connected(&self) -> bool {
        self.ills.cut_out == 0 && self.ills.cut_back == 0
    }

    /// What became due until `now`; slots that were missed are counted.
    pub fn look(&mut self, now: Timestamp) -> Vec<Due> {
        let wall = self.wall(now);
        let Some(life) = &mut self.life else { return Vec::new() };
        let look = life.schedule.look(wall, now.since(life.looked));
        life.looked = now;
        life.missed += look.unnamed;
        look.due
    }

    /// When it is to look next, where that is not planned.
    pub fn next_look(&mut self, now: Timestamp) -> Option<Timestamp> {
        let off_ms = self.ills.clock_ms;
        let life = self.life.as_mut()?;
        let next = life.schedule.next_due()?.plus_ms(-off_ms).max(now.plus_ms(1));
        if life.planned == next {
            return None;
        }
        life.planned = next;
        Some(next)
    }

    /// Whether its clock can be believed at `now`.
    pub fn trusts_its_clock(&mut self) -> bool {
        let lead = self.ills.clock_ms;
        self.life.as_mut().is_some_and(|life| life.track.observe(lead))
    }

    /// The sample of `due`, begun at `now`, that saw `sight`.
    pub fn sample(&self, due: &Due, sight: Sight, now: Timestamp) -> Sample {
        let (outcome, reason, took_us) = match (sight, 0 < self.ills.lies) {
            (Sight::Well, false) => (Outcome::Up, None, 120_000),
            (Sight::Slow, false) => (Outcome::Degraded, Some(Reason::Slow), 3_000_000),
            (Sight::Refused, false) => (Outcome::Down, Some(Reason::ConnectRefused), 900),
            (Sight::Mute, false) => (Outcome::Down, Some(Reason::ConnectTimeout), TIMEOUT_MS.unsigned_abs() * 1_000),
            (Sight::Broken, false) | (Sight::Well | Sight::Slow, true) => {
                (Outcome::Down, Some(Reason::HttpStatus), 80_000)
            }
            (Sight::Refused | Sight::Mute | Sight::Broken, true) => (Outcome::Up, None, 90_000),
        };
        Sample { outcome, reason, duration_us: Some(took_us), ..self.blank(due, now) }
    }

    /// The sample of a slot that was not run, or that says nothing, for a `reason` of the probe's own.
    pub fn not_run(&self, due: &Due, reason: Reason, now: Timestamp) -> Sample {
        Sample { outcome: Outcome::Inconclusive, reason: Some(reason), ..self.blank(due, now) }
    }

    fn blank(&self, due: &Due, now: Timestamp) -> Sample {
        let (check, region, kind) = (&due.check.id, &self.region, due.kind);
        Sample {
            check: check.clone(),
            region: region.clone(),
            probe: Some(self.name.clone()),
            kind,
            scheduled_at: due.scheduled_at,
            started_at: self.wall(now),
            outcome: Outcome::Inconclusive,
            reason: None,
            phase: None,
            detail: None,
            duration_us: None,
            phases_us: Phases::default(),
            attempt: 1,
            trace_id: Some(TraceId::of(check, region, kind, due.scheduled_at)),
            evidence: None,
        }
    }

    /// Commits what waits; answers what is new on the disk, and what went to make room.
    pub fn commit(&mut self) -> (Vec<Sample>, Vec<Sample>) {
        let Some(life) = &mut self.life else { return (Vec::new(), Vec::new()) };
        let there: BTreeSet<Identity> = self.spool.iter().map(|(_, sample)| identity(sample)).collect();
        let mut new = std::mem::take(&mut life.uncommitted);
        new.retain(|sample| !there.contains(&identity(sample)));
        for sample in &new {
            self.spool.push_back((self.next_no, sample.clone()));
            self.next_no += 1;
        }
        let over = self.spool.len().saturating_sub(self.limit);
        self.dropped += over as u64;
        (new, self.spool.drain(..over).map(|(_, sample)| sample).collect())
    }

    /// The next batch, and the numbers of what it carries; what was refused comes again when its time has come.
    pub fn batch(&mut self, now: Timestamp) -> (Batch, Vec<u64>) {
        let wall = self.wall(now);
        for (retry_at, sample) in std::mem::take(&mut self.aside) {
            if retry_at <= wall || FIRST_RETRY_MS < retry_at.since(wall) {
                self.spool.push_front((self.next_no, sample));
                self.next_no += 1;
            } else {
                self.aside.push((retry_at, sample));
            }
        }
        // Of more than a batch the newest half and the oldest, as the spool does.
        let over = self.spool.len().saturating_sub(BATCH);
        let oldest = if over == 0 { self.spool.len() } else { BATCH / 2 };
        let rows = || self.spool.iter().take(oldest).chain(self.spool.iter().skip(oldest + over));
        let behind = self.spool.get(oldest).filter(|_| 0 < over).map(|(_, sample)| sample.scheduled_at);
        let samples = rows().map(|(_, sample)| sample.clone()).collect();
        let numbers = rows().map(|(no, _)| *no).collect();
        (Batch { probe: self.name.clone(), samples, health: self.health(behind) }, numbers)
    }

    /// A sign of life.
    pub fn sign_of_life(&self) -> Batch {
        let waits = self.spool.iter().map(|(_, sample)| sample.scheduled_at).min();
        Batch { probe: self.name.clone(), samples: Vec::new(), health: self.health(waits) }
    }

    fn health(&self, behind: Option<Timestamp>) -> Health {
        let offset = self.life.as_ref().and_then(|life| life.offset);
        Health {
            version: "simulated".to_owned(),
            boot_id: format!("{}-{}", self.name, self.lives),
            spooled: self.spool.len() as u64,
            backlog_from: behind,
            dropped: self.dropped,
            held: 0,
            refused: self.aside.len() as u64,
            missed: self.life.as_ref().map_or(0, |life| life.missed),
            clock_offset_ms: offset.map(|offset| offset.offset_ms),
            clock_uncertainty_ms: offset.map(|offset| offset.uncertainty_ms),
            lateness_max_ms: None,
            canaries_ok: Some(self.ills.offline == 0),
            ..Health::default()
        }
    }

    /// The answer came to what was sent at `sent`: forgets what it acknowledges, and measures its clock.
    pub fn acknowledged(&mut self, numbers: &[u64], (ack, sent): (&Ack, Timestamp), now: Timestamp) -> Vec<Sample> {
        self.measured((ack, sent), now);
        let mut gone = Vec::new();
        self.spool.retain(|(no, sample)| {
            let kept = !numbers.contains(no);
            if !kept {
                gone.push(sample.clone());
            }
            kept
        });
        gone
    }

    /// Measures its clock by an answer to what was sent at `sent`.
    pub fn measured(&mut self, (ack, sent): (&Ack, Timestamp), now: Timestamp) {
        let (wall, lead) = (self.wall(now), self.ills.clock_ms);
        let offset = Offset::of(wall, now.since(sent), ack.now);
        if let Some(life) = &mut self.life {
            life.track.measure(lead, offset);
            life.offset = Some(offset);
            life.heard = now;
        }
    }

    /// The sample with this number was refused: it is put aside for a minute, out of the others' way.
    pub fn refused(&mut self, number: Option<u64>, now: Timestamp) {
        let retry_at = self.wall(now).plus_ms(FIRST_RETRY_MS);
        if let Some(place) = self.spool.iter().position(|(no, _)| Some(*no) == number)
            && let Some((_, sample)) = self.spool.remove(place)
        {
            self.aside.push((retry_at, sample));
        }
    }
}
