//! What one region says of one check through time: sample and hold.
//!
//! A conclusive sample counts from its start until the next one begins, but not past the next slot that has
//! none: at the due time of a slot that is missing or inconclusive the region falls silent. Before the first
//! sample it is silent. A region that a version of the check does not ask has no voice, and what it said
//! before that spell does not outlive it.
//!
//! The future is not silence: a slot without a sample is missing only once its check has had the time to end
//! and to arrive ([`SETTLE_MS`]); until then it is *pending* and the hold goes on.

use std::borrow::Cow;

use nines_shared::id::RegionId;
use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::slot::Cadence;
use nines_shared::time::{Span, Timestamp};

use super::bounds::{self, Bounded};
use super::timeline::Builder;
use super::{CheckRecord, Observed, Timeline, Verdict};

/// How long after its due time and the check's timeout a sample may still be on its way, in ms.
pub const SETTLE_MS: i64 = 5_000;

/// One region's voice in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionState {
    /// What it says at every instant of the window, by each hold rule.
    pub says: Bounded<Timeline>,
    /// What became of the slots due in the window.
    pub slots: Slots,
}

/// What became of slots. One that is pending is none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// With a planned sample that says up.
    pub up: i64,
    /// With a planned sample that says degraded.
    pub degraded: i64,
    /// With a planned sample that says down.
    pub down: i64,
    /// Missing or inconclusive.
    pub silent: i64,
}

impl Slots {
    /// All of them: answered + missing (INV-4).
    pub fn expected(self) -> i64 {
        self.answered() + self.silent
    }

    fn of(&mut self, outcome: Outcome) -> &mut i64 {
        match outcome {
            Outcome::Up => &mut self.up,
            Outcome::Degraded => &mut self.degraded,
            Outcome::Down => &mut self.down,
            Outcome::Inconclusive => &mut self.silent,
        }
    }

    /// Those with a conclusive planned sample.
    pub fn answered(self) -> i64 {
        self.up + self.degraded + self.down
    }
}

impl std::ops::AddAssign for Slots {
    fn add_assign(&mut self, other: Self) {
        self.up += other.up;
        self.degraded += other.degraded;
        self.down += other.down;
        self.silent += other.silent;
    }
}

/// What `region` says of the check in `window`, as known at `now`.
pub fn of_region(check: &CheckRecord, region: &RegionId, window: Span, now: Timestamp) -> RegionState {
    let samples = in_order(check, region);
    let asked = Asked { spells: spells(check, region, now), planned: planned(&samples) };
    RegionState { says: hold(&samples, &asked, window), slots: asked.slots_in(window) }
}

/// What became of the slots of `region` that were due in `spans` (a set), as known at `now`.
pub fn slots_of(check: &CheckRecord, region: &RegionId, spans: &[Span], now: Timestamp) -> Slots {
    let asked = Asked { spells: spells(check, region, now), planned: planned(&in_order(check, region)) };
    let mut slots = Slots::default();
    for span in spans {
        slots += asked.slots_in(*span);
    }
    slots
}

/// What a region was asked, and which slots it filled.
struct Asked {
    /// In order, disjoint.
    spells: Vec<Spell>,
    /// In order of their slots, one a slot.
    planned: Vec<Planned>,
}

/// A spell of time in which one version of the check asks the region.
struct Spell {
    span: Span,
    cadence: Cadence,
    /// Slots due at or after this are pending while they have no sample.
    pending_from: Timestamp,
}

/// A planned sample: it fills the slot that was due when it was to start.
struct Planned {
    slot: Timestamp,
    outcome: Outcome,
}

fn in_order<'a>(check: &'a CheckRecord, region: &RegionId) -> Cow<'a, [Observed]> {
    let key = |sample: &Observed| (sample.started_at, sample.scheduled_at, sample.kind);
    let found = check.regions.iter().find(|samples| samples.region == *region);
    let samples = found.map_or(&[][..], |found| &found.samples);
    if samples.is_sorted_by_key(key) {
        return Cow::Borrowed(samples);
    }
    // A record keeps them sorted; a caller that does not gets the same figures, a little later.
    let mut sorted = samples.to_vec();
    sorted.sort_by_key(key);
    Cow::Owned(sorted)
}

fn planned(samples: &[Observed]) -> Vec<Planned> {
    let planned = samples.iter().filter(|sample| sample.kind == SampleKind::Planned);
    let mut planned: Vec<Planned> =
        planned.map(|sample| Planned { slot: sample.scheduled_at, outcome: sample.outcome }).collect();
    let key = |planned: &Planned| (planned.slot, planned.outcome);
    if !planned.is_sorted_by_key(key) {
        planned.sort_unstable_by_key(key);
    }
    planned.dedup_by_key(|planned| planned.slot);
    planned
}

fn spells(check: &CheckRecord, region: &RegionId, now: Timestamp) -> Vec<Spell> {
    check
        .in_force()
        .filter_map(|(span, version)| {
            let cadence = version.cadence(region)?;
            // Missing is what is due at or before now − timeout − SETTLE_MS.
            let pending_from = now.plus_ms(1 - version.timeout_ms - SETTLE_MS);
            Some(Spell { span, cadence, pending_from })
        })
        .collect()
}

/// Lets every conclusive sample speak until the next one begins or the region falls silent.
fn hold(samples: &[Observed], asked: &Asked, window: Span) -> Bounded<Timeline> {
    let builder = Builder::new(window, Verdict::Unknown);
    let mut says = Bounded { measured: builder.clone(), at_least: builder.clone(), at_most: builder };
    let mut spoken = samples
        .iter()
        .filter(|sample| asked.at(sample.started_at))
        .filter_map(|sample| Some((sample.started_at, Verdict::of_outcome(sample.outcome)?)))
        .peekable();
    while let Some((from, left)) = spoken.next()
        && from < window.to
    {
        let next = spoken.peek().copied();
        let silent_at = asked.first_silence(from, next.map_or(Timestamp::MAX, |next| next.0));
        // A silence in between means that they are no neighbours.
        let right = if silent_at.is_none() { next.map(|next| next.1) } else { None };
        let state = bounds::between(left, right);
        says.measured.push(from, state.measured);
        says.at_least.push(from, state.at_least);
        says.at_most.push(from, state.at_most);
        if let Some(at) = silent_at {
            says.measured.push(at, Verdict::Unknown);
            says.at_least.push(at, Verdict::Unknown);
            says.at_most.push(at, Verdict::Unknown);
        }
    }
    Bounded { measured: says.measured.build(), at_least: says.at_least.build(), at_most: says.at_most.build() }
}

impl Asked {
    /// Whether the region is asked at `at`.
    fn at(&self, at: Timestamp) -> bool {
        self.from(at).first().is_some_and(|spell| spell.span.contains(at))
    }

    /// The spells that have not ended at `at`.
    fn from(&self, at: Timestamp) -> &[Spell] {
        &self.spells[self.spells.partition_point(|spell| spell.span.to <= at)..]
    }

    /// When, after `from` and before `until`, the region first falls silent: at a slot that is missing or
    /// inconclusive, or where it is no longer asked.
    fn first_silence(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut asked_until: Option<Timestamp> = None;
        for spell in self.from(from) {
            if asked_until.is_some_and(|end| end != spell.span.from || until <= end) {
                break;
            }
            if let Some(slot) = self.silent_slot(spell, Span::new(from.plus_ms(1), until)) {
                return Some(slot);
            }
            asked_until = Some(spell.span.to);
        }
        asked_until.filter(|end| *end < until)
    }

    fn silent_slot(&self, spell: &Spell, span: Span) -> Option<Timestamp> {
        let span = spell.span.intersection(span)?;
        let mut slot = spell.cadence.at_or_after(span.from);
        let first = self.planned.partition_point(|planned| planned.slot < slot);
        let mut planned = self.planned[first..].iter().peekable();
        while slot < span.to {
            while planned.next_if(|planned| planned.slot < slot).is_some() {}
            match planned.peek() {
                Some(planned) if planned.slot == slot => {
                    if planned.outcome == Outcome::Inconclusive {
                        return Some(slot);
                    }
                }
                Some(_) | None if slot < spell.pending_from => return Some(slot),
                Some(_) => {}
                None => return None,
            }
            slot = slot.plus_ms(spell.cadence.interval_ms());
        }
        None
    }

    fn slots_in(&self, window: Span) -> Slots {
        let mut slots = Slots::default();
        for spell in &self.spells {
            let Some(span) = spell.span.intersection(window) else { continue };
            let settled = Span::new(span.from, span.to.min(spell.pending_from));
            slots.silent += spell.cadence.count_in(settled);
            let first = self.planned.partition_point(|planned| planned.slot < span.from);
            let inside = self.planned[first..].iter().take_while(|planned| planned.slot < span.to);
            for planned in inside.filter(|planned| spell.cadence.is_due(planned.slot)) {
                // Counted as silent so far, unless it is too young for that.
                slots.silent -= i64::from(planned.slot < settled.to);
                *slots.of(planned.outcome) += 1;
            }
        }
        slots
    }
}
