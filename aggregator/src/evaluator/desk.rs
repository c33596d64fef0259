//! What the evaluator remembers between two ticks: when to look at which service again. Nothing of it decides; a
//! restart begins with an empty desk, looks at everything once, and comes to the same incidents.

use std::collections::{BTreeMap, BTreeSet};

use nines_shared::id::{CheckId, RegionId, ServiceId};
use nines_shared::time::Timestamp;

use super::judge::{Judgement, Question};
use super::window::Pace;
use crate::definition::Fleet;
use crate::incident::suspect::{Alone, suspect_since};
use crate::store::definitions::maintenance::Begun;
use crate::uptime::Verdict;
use crate::uptime::minutes::Minutes;

/// Ticks farther apart than this mean that we were asleep, in ms: what was not heard meanwhile is our fault.
pub const STALL_MS: i64 = 10_000;
/// Maintenance that ended longer ago than this is not looked at, in ms: it may be announced late, but not for ever.
pub const LATE_MAINTENANCE_MS: i64 = 31 * 86_400_000;

/// When to look at which service again.
#[derive(Debug, Default)]
pub struct Desk {
    notes: BTreeMap<ServiceId, Note>,
    /// Until when each window counted when we looked last, by its number.
    windows: BTreeMap<i64, Timestamp>,
    /// Since when we could have heard a probe.
    listening_since: Timestamp,
    last_tick: Timestamp,
    /// When the file was loaded last: what it asks for may not have been asked before.
    loaded_at: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Note {
    next_look: Timestamp,
    changed_from: Option<Timestamp>,
    face: Vec<Option<Verdict>>,
    minutes: Minutes,
    alone: Alone,
}

impl Desk {
    /// A desk on which every service of `fleet` lies to be judged.
    pub fn new(fleet: &Fleet, now: Timestamp) -> Self {
        let mut desk = Self { listening_since: now, last_tick: now, ..Self::default() };
        desk.reload(fleet, now);
        desk
    }

    /// The fleet file changed: all is to be judged again.
    pub fn reload(&mut self, fleet: &Fleet, now: Timestamp) {
        self.loaded_at = now;
        for note in self.notes.values_mut() {
            note.next_look = now;
            note.minutes = Minutes::default();
        }
        for service in &fleet.services {
            self.notes.entry(service.id.clone()).or_default().next_look = now;
        }
    }

    /// Maintenance that has begun, as it counts now: where it began, was announced, changed or cancelled since we
    /// looked last, its service is judged again from its start.
    pub fn announced(&mut self, begun: &[Begun], now: Timestamp) {
        for known in begun.iter().filter(|known| now.since(known.span.to) < LATE_MAINTENANCE_MS) {
            if self.windows.insert(known.no, known.until) != Some(known.until) {
                self.changed(&known.service, known.span.from);
            }
        }
    }

    /// Samples of `service` came that were taken from `from` on.
    pub fn changed(&mut self, service: &ServiceId, from: Timestamp) {
        let note = self.notes.entry(service.clone()).or_default();
        note.changed_from = Some(note.changed_from.map_or(from, |earlier| earlier.min(from)));
    }

    /// `service` has something open: it is to be judged even where the fleet file has it no more.
    pub fn know(&mut self, service: &ServiceId) {
        self.notes.entry(service.clone()).or_default();
    }

    /// Takes note of the time, and says since when probes could have been heard.
    pub fn tick(&mut self, now: Timestamp) -> Timestamp {
        if now < self.last_tick || STALL_MS < now.since(self.last_tick) {
            self.listening_since = now;
        }
        self.last_tick = now;
        self.listening_since
    }

    /// What is to be judged at `now`: what changed, and what time alone may have changed.
    pub fn due(&self, fleet: &Fleet, now: Timestamp) -> Vec<Question> {
        let due = self.notes.iter().filter(|(_, note)| note.next_look <= now || note.changed_from.is_some());
        let due: Vec<_> = due.collect();
        let wanted: BTreeSet<&ServiceId> = due.iter().map(|(service, _)| *service).collect();
        let mut checks: BTreeMap<&ServiceId, Vec<_>> = BTreeMap::new();
        for check in fleet.checks.iter().filter(|check| wanted.contains(&check.service)) {
            checks.entry(&check.service).or_default().push(check);
        }
        let question = |(service, note): (&ServiceId, &Note)| Question {
            service: service.clone(),
            pace: Pace::of(checks.get(service).into_iter().flatten().copied()),
            changed_from: note.changed_from,
            coverage_floor_ppm: fleet.watch.coverage_floor_of(service),
            certificates: fleet.watch.certificates_of(checks.get(service).into_iter().flatten().copied()),
            watched_since: self.listening_since.max(self.loaded_at),
            minutes: note.minutes.clone(),
        };
        due.into_iter().map(question).collect()
    }

    /// A judgement is recorded. Says whether people see something else now.
    pub fn done(&mut self, judgement: &Judgement) -> bool {
        let known = self.notes.get(&judgement.service).map(|note| &note.alone);
        // A window shows only the latest part of how long a region has been alone.
        let since = |what, since: &Timestamp| known.and_then(|known| known.get(what)).map_or(*since, |k| *k.min(since));
        let note = Note {
            next_look: judgement.next_look,
            changed_from: None,
            face: judgement.face.clone(),
            minutes: judgement.minutes.clone(),
            alone: judgement.alone.iter().map(|(what, at)| (what.clone(), since(what, at))).collect(),
        };
        let before = self.notes.insert(judgement.service.clone(), note);
        before.is_none_or(|before| before.face != judgement.face) || !judgement.transitions.is_empty()
    }

    /// Since when each region has been suspect that is.
    pub fn suspects(&self, fleet: &Fleet, now: Timestamp) -> BTreeMap<RegionId, Timestamp> {
        let alone = || self.notes.values().flat_map(|note| &note.alone);
        let regions: BTreeSet<&RegionId> = alone().map(|((region, _), _)| region).collect();
        let since = |region: &RegionId| {
            let asked = fleet.checks.iter().filter(|check| check.regions.contains(region)).count();
            Some((region.clone(), suspect_since(region, asked, alone(), now)?))
        };
        regions.into_iter().filter_map(since).collect()
    }

    /// There is no such service: nothing to look at until something comes of it.
    pub fn forget(&mut self, service: &ServiceId) {
        self.notes.remove(service);
    }
}

/// The service of `check` by the file in force.
pub fn service_of<'a>(fleet: &'a Fleet, check: &CheckId) -> Option<&'a ServiceId> {
    fleet.checks.iter().find(|known| known.id == *check).map(|known| &known.service)
}
