//! What happens in a probe, from a slot to its spool.

use nines_probe::schedule::{Action, Due};
use nines_shared::sample::{Outcome, Reason, Sample};
use nines_shared::time::Timestamp;

use super::super::laws;
use super::super::plan::TIMEOUT_MS;
use super::super::truth::Sight;
use super::{OfProbe, World};

/// How late a task is woken at most, in ms.
const LATE_MS: i64 = 40;
/// How long a commit takes, in ms; at most so long where the disk is slow.
const COMMIT_MS: i64 = 5;
const SLOW_COMMIT_MS: i64 = 20_000;

impl World {
    pub(super) fn of_probe(&mut self, probe: usize, life: u64, event: OfProbe) {
        let host = &self.probes[probe];
        if host.lives != life || host.life.is_none() {
            return;
        }
        let thaws = host.ills.frozen_until;
        if self.now < thaws {
            let later = thaws.since(self.now);
            return self.note_of(probe, later, event);
        }
        match event {
            OfProbe::Look => self.look_at_the_schedule(probe),
            OfProbe::Begin(due) => self.begin_a_sample(probe, &due),
            OfProbe::End(ended) => self.end_a_sample(probe, *ended),
            OfProbe::Commit => self.commit(probe),
            OfProbe::Ship => self.ship(probe),
            OfProbe::Answer(no, answer) => self.answered(probe, no, *answer),
            OfProbe::TimedOut(no) => self.timed_out(probe, no),
            OfProbe::Ask => self.listen(probe),
        }
    }

    /// The clock was set, or work changed: looks now, and plans anew.
    pub(super) fn look_anew(&mut self, probe: usize) {
        self.note_of(probe, 0, OfProbe::Look);
    }

    pub(super) fn look_at_the_schedule(&mut self, probe: usize) {
        for due in self.probes[probe].look(self.now) {
            match due.action {
                Action::Run => {
                    let late_ms = self.dice.within_ms(LATE_MS);
                    self.note_of(probe, late_ms, OfProbe::Begin(due));
                }
                Action::Overrun => {
                    let sample = self.probes[probe].not_run(&due, Reason::Overrun, self.now);
                    self.take(probe, sample);
                }
            }
        }
        self.plan_a_look(probe);
    }

    fn plan_a_look(&mut self, probe: usize) {
        if let Some(at) = self.probes[probe].next_look(self.now) {
            self.note_of(probe, at.since(self.now), OfProbe::Look);
        }
    }

    fn begin_a_sample(&mut self, probe: usize, due: &Due) {
        let host = &mut self.probes[probe];
        let trusted = host.trusts_its_clock();
        let offline = 0 < host.ills.offline;
        let sight = if offline { Sight::Mute } else { self.plan.truth.seen(host.place, self.now) };
        let sample = host.sample(due, sight, self.now);
        let took_ms = i64::try_from(sample.duration_us.unwrap_or(0) / 1_000).unwrap_or(TIMEOUT_MS);
        self.note_of(probe, took_ms, OfProbe::End(Box::new((sample, trusted))));
    }

    /// Where the probe doubts itself, what it saw says nothing (INV-5).
    fn end_a_sample(&mut self, probe: usize, (mut sample, trusted): (Sample, bool)) {
        let host = &mut self.probes[probe];
        let doubt = if !trusted || !host.trusts_its_clock() {
            Some(Reason::Clock)
        } else if sample.outcome == Outcome::Down && 0 < host.ills.offline {
            Some(Reason::Canary)
        } else {
            None
        };
        if doubt.is_some() {
            (sample.outcome, sample.reason) = (Outcome::Inconclusive, doubt);
        }
        let wall = host.wall(self.now);
        if let Some(life) = &mut host.life {
            life.schedule.ended(&sample.check, sample.outcome, wall);
        }
        let kept = laws::inv_5_nothing_is_said_by_a_clock_that_is_off(self, probe, &sample);
        self.keep(kept);
        self.story.trace(self.now, &self.probes[probe].name, || seen(&sample));
        self.take(probe, sample);
        self.plan_a_look(probe);
    }

    fn take(&mut self, probe: usize, sample: Sample) {
        let host = &mut self.probes[probe];
        let slow = 0 < host.ills.slow_disk;
        if let Some(life) = &mut host.life {
            life.uncommitted.push(sample);
        }
        let takes_ms = if slow { COMMIT_MS + self.dice.within_ms(SLOW_COMMIT_MS) } else { COMMIT_MS };
        self.note_of(probe, takes_ms, OfProbe::Commit);
    }

    fn commit(&mut self, probe: usize) {
        let (new, gone) = self.probes[probe].commit();
        if !gone.is_empty() {
            let name = &self.probes[probe].name;
            self.story.trace(self.now, name, || format!("drops {} samples: its spool is full", gone.len()));
        }
        let urgent = new.iter().any(|sample| sample.outcome == Outcome::Down);
        self.ledger.commit(new, &gone);
        self.ship_soon(probe, if urgent { 0 } else { super::line::GATHER_MS });
    }
}

fn seen(sample: &Sample) -> String {
    let reason = sample.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    let at: Timestamp = sample.scheduled_at;
    format!("saw {}{reason} in its {} slot {}", sample.outcome, sample.kind.code(), nines::uptime::calendar::utc(at))
}
