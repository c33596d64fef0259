//! PURE: due(now) → what to run; overrun slots named, never replayed in a burst.
//!
//! Owns when each check of this region is next due. It is told what time it is and how much of it went by
//! on the monotonic clock; it never reads a clock, waits or runs anything.
//!
//! - A slot is fired when the wall clock passes it **for the first time** while its check is ours: the spans of wall
//!   time that each check has lived through here are remembered, so no step of the clock and no new assignment fires a
//!   slot twice, and none is taken for fired that passed while the check was another's.
//! - Of the slots passed since the last look only the newest can still be run, and only up to half an
//!   interval late; every other is named `overrun`. Slots that a step of the clock jumped over were
//!   never passed: they stay missing.
//! - While a region fails, and for two intervals after it recovers, extra samples are due every
//!   `recheck` after the slot. They are not owed: one that would be late or would meet a running check
//!   is let go.
//! - What the aggregator asks is an extra sample too, of a check that we have and of no other.

mod lived;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use nines_shared::check::Check;
use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::slot::Cadence;
use nines_shared::time::Timestamp;
use nines_shared::wire::MAX_CLOCK_OFFSET_MS;

use lived::Lived;

/// The most overrun slots named for one check at one look; older ones stay missing, which the verdict
/// treats alike.
pub const MAX_OVERRUNS_PER_CHECK: i64 = 100;
/// The most overrun slots named at one look.
pub const MAX_OVERRUNS: usize = 10_000;
/// The most checks that are not ours any more of which it is remembered what they lived through.
const MAX_LEFT: usize = 10_000;
/// For how many intervals re-checks go on after a region recovers.
const RECHECK_INTERVALS: i64 = 2;

/// A check that is due, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which check.
    pub check: Arc<Check>,
    /// Whether it fills a slot.
    pub kind: SampleKind,
    /// The slot, or when the extra sample was to start.
    pub scheduled_at: Timestamp,
    /// One that has not begun by then is given up.
    pub latest_start: Timestamp,
    /// Somebody waits for it: the region fails, recovers or is asked.
    pub urgent: bool,
    /// What to do about it.
    pub action: Action,
}

/// What to do about a check that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run it now.
    Run,
    /// Too late: report `inconclusive: overrun`.
    Overrun,
}

/// All that is due at one look.
#[derive(Debug, Default)]
pub struct Look {
    /// What to do; for each check its slots in order.
    pub due: Vec<Due>,
    /// Overrun slots beyond the limits: missed, but not named one by one.
    pub unnamed: u64,
}

/// When each check of one region is due.
#[derive(Debug)]
pub struct Schedule {
    region: RegionId,
    entries: Vec<Entry>,
    places: HashMap<CheckId, usize>,
    /// The next instant of each entry; pairs that an entry has moved on from are skipped when they surface.
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    last: Timestamp,
    /// What checks have lived through that are not ours any more, and may come back.
    left: HashMap<CheckId, Lived>,
}

#[derive(Debug)]
struct Entry {
    check: Arc<Check>,
    cadence: Cadence,
    next: Timestamp,
    watch: Watch,
    running: u32,
    /// What it has lived through here up to `from`, or after: its slots in it are fired.
    lived: Lived,
    /// Since when the clock has gone on without a step and the check was ours.
    from: Timestamp,
}

/// Whether a region is watched more closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Calm,
    Failing,
    Recovering { until: Timestamp },
}

impl Schedule {
    /// An empty schedule of `region` that begins after `now`: slots before were another life's.
    pub fn new(region: RegionId, now: Timestamp) -> Self {
        let (entries, places, queue) = (Vec::new(), HashMap::new(), BinaryHeap::new());
        Self { region, entries, places, queue, last: now, left: HashMap::new() }
    }

    /// Replaces the checks. What was fired, what runs and who fails is remembered. Returns the checks that
    /// are not asked from this region, which are left out.
    pub fn assign(&mut self, checks: Vec<Arc<Check>>) -> Vec<CheckId> {
        let mut before: HashMap<CheckId, Entry> =
            std::mem::take(&mut self.entries).into_iter().map(|entry| (entry.check.id.clone(), entry)).collect();
        self.places.clear();
        let mut foreign = Vec::new();
        for check in checks {
            let Some(cadence) = check.cadence(&self.region) else {
                foreign.push(check.id.clone());
                continue;
            };
            self.places.insert(check.id.clone(), self.entries.len());
            let entry = match before.remove(&check.id) {
                Some(before) => Entry { check, cadence, ..before },
                None => {
                    let lived = self.left.remove(&check.id).unwrap_or_default();
                    let (next, watch, from) = (self.last, Watch::Calm, self.last);
                    Entry { check, cadence, next, watch, running: 0, lived, from }
                }
            };
            self.entries.push(entry);
        }
        self.remember(before);
        self.requeue();
        foreign
    }

    /// Remembers what `gone` have lived through. Where they are too many, only of those whose slots may come again as
    /// the clock goes on: the others would take a further step back.
    fn remember(&mut self, gone: HashMap<CheckId, Entry>) {
        let last = self.last;
        self.left.extend(gone.into_iter().map(|(id, mut entry)| {
            entry.lived.add(entry.from, last);
            (id, entry.lived)
        }));
        if MAX_LEFT < self.left.len() {
            self.left.retain(|_, lived| lived.reaches_beyond(last));
        }
        if MAX_LEFT < self.left.len() {
            self.left.clear();
        }
    }

    /// How many checks there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When to look again, at the latest.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// What became due until `now`, `elapsed_ms` of the monotonic clock after the look before. Where the two
    /// clocks disagree by more than [`MAX_CLOCK_OFFSET_MS`] the wall clock stepped, and what it stepped over
    /// is not due.
    pub fn look(&mut self, now: Timestamp, elapsed_ms: i64) -> Look {
        let before = std::mem::replace(&mut self.last, now);
        let moved = now.since(before);
        let stepped = MAX_CLOCK_OFFSET_MS < moved.saturating_sub(elapsed_ms).saturating_abs();
        let mut look = Look::default();
        if stepped || moved < 0 {
            for entry in &mut self.entries {
                entry.lived.add(entry.from, before);
                entry.from = now;
            }
            self.requeue();
            return look;
        }
        while let Some(&Reverse((at, index))) = self.queue.peek()
            && at <= now
        {
            self.queue.pop();
            if self.entries[index].next == at {
                self.entries[index].due(before, now, &mut look);
                self.queue_next(index);
            }
        }
        look
    }

    /// The extra sample that the aggregator asks of `check`, with its own `scheduled_at`; `None` where the check is not
    /// of the assignment. It runs beside whatever of the check runs already, which began before it was asked.
    pub fn asked(&mut self, check: &CheckId, scheduled_at: Timestamp, latest_start: Timestamp) -> Option<Due> {
        let entry = &mut self.entries[*self.places.get(check)?];
        entry.running += 1;
        let (check, kind) = (Arc::clone(&entry.check), SampleKind::Extra);
        Some(Due { check, kind, scheduled_at, latest_start, urgent: true, action: Action::Run })
    }

    /// Notes that a check which [`Schedule::look`] said to run has ended with `outcome`, at `now`.
    pub fn ended(&mut self, check: &CheckId, outcome: Outcome, now: Timestamp) {
        let Some(&index) = self.places.get(check) else { return };
        let entry = &mut self.entries[index];
        entry.running = entry.running.saturating_sub(1);
        let watch = entry.watch;
        entry.watch = watch.after(outcome, now.plus_ms(RECHECK_INTERVALS * entry.cadence.interval_ms()));
        if entry.watch != watch {
            self.queue_next(index);
        }
    }

    fn queue_next(&mut self, index: usize) {
        let next = self.entries[index].next_after(self.last);
        self.entries[index].next = next;
        self.queue.push(Reverse((next, index)));
    }

    fn requeue(&mut self) {
        let last = self.last;
        let next = |(index, entry): (usize, &mut Entry)| {
            entry.next = entry.next_after(last);
            Reverse((entry.next, index))
        };
        self.queue = self.entries.iter_mut().enumerate().map(next).collect();
    }
}

impl Watch {
    fn after(self, outcome: Outcome, until: Timestamp) -> Self {
        match (self, outcome) {
            (_, Outcome::Down) => Self::Failing,
            (Self::Failing, Outcome::Up | Outcome::Degraded) => Self::Recovering { until },
            (Self::Calm | Self::Recovering { .. }, Outcome::Up | Outcome::Degraded) => self,
            // What says nothing about the target neither begins nor ends the watch.
            (_, Outcome::Inconclusive) => self,
        }
    }

    fn is_close(self, at: Timestamp) -> bool {
        match self {
            Self::Calm => false,
            Self::Failing => true,
            Self::Recovering { until } => at < until,
        }
    }
}

impl Entry {
    /// The first instant after `at` at which this check may be due.
    fn next_after(&mut self, at: Timestamp) -> Timestamp {
        let slot = self.cadence.after(at);
        let (extra, _) = self.extra(at);
        let extra = extra.plus_ms(self.check.recheck_ms);
        if extra < slot && self.watch.is_close(extra) {
            return extra;
        }
        if let Watch::Recovering { until } = self.watch
            && until <= at
        {
            self.watch = Watch::Calm;
        }
        slot
    }

    /// The last point of the re-check grid at or before `at`, and the slot that the grid starts from. The
    /// grid starts anew at each slot, so a re-check never falls on one.
    fn extra(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let slot = self.cadence.at_or_before(at);
        let recheck = self.check.recheck_ms.max(1);
        (slot.plus_ms(at.since(slot) / recheck * recheck), slot)
    }

    /// Adds to `look` what became due in `(before, now]`.
    fn due(&mut self, before: Timestamp, now: Timestamp, look: &mut Look) {
        self.first_due(before, now, look);
        self.lived.add(self.from, now);
    }

    /// The same, of what it has not lived through before.
    fn first_due(&mut self, before: Timestamp, now: Timestamp, look: &mut Look) {
        let newest = self.cadence.at_or_before(now);
        if before < newest {
            self.name_overruns(before, newest, look);
            if !self.lived.contains(newest) {
                let in_time = 2 * now.since(newest) <= self.cadence.interval_ms();
                self.push(SampleKind::Planned, newest, in_time, look);
            }
            return;
        }
        let (extra, slot) = self.extra(now);
        let wanted = slot < extra && before < extra && self.watch.is_close(extra) && self.running == 0;
        if wanted && 2 * now.since(extra) <= self.check.recheck_ms && !self.lived.contains(extra) {
            self.push(SampleKind::Extra, extra, true, look);
        }
    }

    /// Names the slots in `(before, newest)`: the newest of them, oldest first.
    fn name_overruns(&mut self, before: Timestamp, newest: Timestamp, look: &mut Look) {
        let interval = self.cadence.interval_ms();
        let passed = (newest.since(before) - 1) / interval;
        let named = passed.min(MAX_OVERRUNS_PER_CHECK);
        look.unnamed += (passed - named).unsigned_abs();
        for back in (1..=named).rev() {
            let slot = newest.plus_ms(-back * interval);
            if !self.lived.contains(slot) {
                self.push(SampleKind::Planned, slot, false, look);
            }
        }
    }

    fn push(&mut self, kind: SampleKind, scheduled_at: Timestamp, in_time: bool, look: &mut Look) {
        if !in_time && MAX_OVERRUNS <= look.due.len() {
            look.unnamed += 1;
            return;
        }
        self.running += u32::from(in_time);
        let action = if in_time { Action::Run } else { Action::Overrun };
        let room_ms = match kind {
            SampleKind::Planned => self.cadence.interval_ms() / 2,
            SampleKind::Extra => self.check.recheck_ms / 2,
        };
        let (check, latest_start) = (Arc::clone(&self.check), scheduled_at.plus_ms(room_ms));
        let urgent = self.watch.is_close(scheduled_at);
        look.due.push(Due { check, kind, scheduled_at, latest_start, urgent, action });
    }
}

#[cfg(test)]
mod tests;
