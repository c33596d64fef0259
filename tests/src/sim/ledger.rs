//! What the world knows of itself and no part of Nines does: everything that was ever committed, dropped, acknowledged,
//! delivered. The laws hold what Nines says against it.

use std::collections::{BTreeMap, BTreeSet};

use nines::store::outbox::Letter;
use nines::store::reports::Kept;
use nines_shared::sample::Sample;

use super::aggregator::{Act, Did, Entry};
use super::probe::{Identity, identity};

/// The books of a world.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every sample that a probe ever committed, those of two probes with one identity beside each other.
    pub committed: BTreeMap<Identity, Vec<Sample>>,
    /// Those that a full spool dropped, as often as one did.
    pub dropped: BTreeMap<Identity, usize>,
    /// Those that a probe forgot since the aggregator said that it has them.
    pub acknowledged: BTreeSet<Identity>,
    /// Everything that happened to the aggregator and was not undone by a kill.
    pub journal: Vec<Entry>,
    /// Which of those are batches with samples that were taken and not refused, by their places.
    pub taken: Vec<usize>,
    /// Letters that a channel accepted, in order, every time.
    pub delivered: Vec<Letter>,
    /// Reports that were frozen, as they were then.
    pub kept: Vec<(Kept, String)>,
    /// How much happened.
    pub sums: Sums,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Batches that the aggregator took or refused, signs of life among them.
    pub batches: u64,
    /// Looks of the evaluator.
    pub ticks: u64,
    /// Deaths of the aggregator.
    pub kills: u64,
    /// … of which so many undid what it did last.
    pub undone: u64,
    /// Batches that arrived again.
    pub again: u64,
    /// How often a probe was given other work.
    pub given: u64,
}

impl Ledger {
    /// `entry` happened to the aggregator, and `did` came of it.
    pub fn enter(&mut self, entry: Entry, did: &Did) {
        if let (Act::Batch(_, batch), Did::Answered(Ok(_))) = (&entry.act, did)
            && !batch.samples.is_empty()
        {
            self.taken.push(self.journal.len());
        }
        self.journal.push(entry);
    }

    /// A probe committed `new`, and `gone` went to make room.
    pub fn commit(&mut self, new: Vec<Sample>, gone: &[Sample]) {
        for sample in new {
            self.committed.entry(identity(&sample)).or_default().push(sample);
        }
        for sample in gone {
            *self.dropped.entry(identity(sample)).or_default() += 1;
        }
    }

    /// A probe forgot `gone`.
    pub fn acknowledge(&mut self, gone: &[Sample]) {
        self.acknowledged.extend(gone.iter().map(identity));
    }

    /// The sample that the aggregator has to have of each identity, whatever the order of arrival: of two that were not
    /// dropped the one with the smaller (started_at, probe).
    pub fn owed(&self) -> BTreeMap<&Identity, &Sample> {
        let kept = self.committed.iter().filter(|(identity, _)| !self.dropped.contains_key(*identity));
        let first = |samples: &'_ [Sample]| -> Option<usize> {
            let rank = |sample: &Sample| (sample.lateness_ms() < 0, sample.started_at, sample.probe.clone());
            (0..samples.len()).min_by_key(|index| rank(&samples[*index]))
        };
        kept.filter_map(|(identity, samples)| Some((identity, &samples[first(samples)?]))).collect()
    }
}
