//! Who looks at what: probes ask for their work, and are given it by the real planner from what the aggregator heard of
//! them.
//!
//! Where a region has one probe, it asks once it begins and whenever the fleet file changes. Where it has several, each
//! of them is heard every [`POLL_MS`], as it is over its waiting request and by its signs of life.

use std::sync::Arc;

use super::super::probe::Work;
use super::line::LOST_PERCENT;
use super::{Event, World};

/// How often a probe of a region that is shared is heard while it can be, in ms.
pub const POLL_MS: i64 = 10_000;
/// How soon a probe that has been given other work says that it has it, in ms.
const AGAIN_MS: i64 = 1_000;
/// How soon one that got no answer asks again, in ms.
const RETRY_MS: i64 = 60_000;

impl World {
    /// Probes that share a region are heard.
    pub(super) fn poll(&mut self) {
        let shared: Vec<usize> = (0..self.probes.len()).filter(|probe| self.plan.shares(*probe)).collect();
        for probe in &shared {
            self.ask_for_work(*probe);
        }
        if !shared.is_empty() {
            self.note(self.now.plus_ms(POLL_MS), Event::Poll);
        }
    }

    /// A probe asks what it is to do, until it is answered.
    pub(super) fn assign(&mut self, probe: usize) {
        if !self.ask_for_work(probe) {
            self.note(self.now.plus_ms(RETRY_MS), Event::Assign(probe));
        }
    }

    /// A probe says which work it has, and hears of other. Says whether it was answered.
    fn ask_for_work(&mut self, probe: usize) -> bool {
        let host = &self.probes[probe];
        let lost = 0 < host.ills.cut_out || 0 < host.ills.lossy && self.dice.happens(LOST_PERCENT);
        if lost || !host.runs(self.now) || !self.aggregator.lives() {
            return false;
        }
        let theirs = self.theirs();
        let new = self.aggregator.assigned(probe, &self.probes[probe].work.digest, theirs);
        let host = &self.probes[probe];
        if 0 < host.ills.cut_back {
            return false;
        }
        let Some(new) = new else { return true };
        let (name, mine) = (host.name.clone(), new.checks.len());
        // It looks twice a second also where it has nothing to do.
        self.look_at_the_schedule(probe);
        let checks = new.checks.into_iter().map(Arc::new).collect();
        let host = &mut self.probes[probe];
        host.work = Work { digest: new.digest, checks };
        if let Some(life) = &mut host.life {
            life.schedule.assign(host.work.checks.clone());
        }
        self.ledger.sums.given += 1;
        self.story.trace(self.now, name, || format!("is given {mine} checks"));
        self.look_anew(probe);
        self.note(self.now.plus_ms(AGAIN_MS), Event::Assign(probe));
        true
    }
}
