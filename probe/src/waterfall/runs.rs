//! PURE: one check many times: what each run was, and what all of them amount to.
//!
//! Owns the tally and its figures; `drawn` puts it on paper. Percentiles are those of `docs/METHOD.md`: over runs that
//! worked, the one of rank min(⌊q·n⌋, n−1). Limits: [`MAX_RUNS`], [`MAX_CHANGES`].

mod drawn;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use nines_shared::sample::{Outcome, Phase, Reason};
use serde::Serialize;

use crate::prober::Observation;

pub use drawn::Drawing;

/// The most runs of one command: more than a day of them, one a second.
pub const MAX_RUNS: u32 = 100_000;
/// The most changes of address that are kept; later ones are only counted.
pub const MAX_CHANGES: usize = 50;

/// What the runs so far amount to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    runs: u32,
    outcomes: [u32; Outcome::ALL.len()],
    reasons: BTreeMap<(Reason, Option<Phase>), u32>,
    total_us: Vec<u64>,
    phases_us: [Vec<u64>; Phase::ALL.len()],
    addresses: Vec<Contact>,
    changes: u32,
    last: Option<SocketAddr>,
}

/// An address, and the first run in a row that contacted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// The run, from 1.
    pub from_run: u32,
    /// The address.
    pub address: SocketAddr,
}

/// The least, the middle, the 95th percentile and the most, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The least.
    pub min: u64,
    /// The middle one.
    pub median: u64,
    /// Of a hundred, the 96th from below.
    pub p95: u64,
    /// The most.
    pub max: u64,
}

impl Figures {
    /// Those of `values`, in any order; `None` where there are none.
    fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?)).copied();
        Some(Self { min: at(0)?, median: at(50)?, p95: at(95)?, max: at(100)? })
    }
}

/// Why runs were not `up`, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Why.
    pub reason: Reason,
    /// In which phase, where it was in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// How many runs.
    pub runs: u32,
}

impl Tally {
    /// Counts a run.
    pub fn count(&mut self, seen: &Observation) {
        self.runs = self.runs.saturating_add(1);
        self.outcomes[place(seen.outcome)] += 1;
        if let Some(reason) = &seen.reason {
            *self.reasons.entry((reason.clone(), seen.phase)).or_default() += 1;
        }
        if matches!(seen.outcome, Outcome::Up | Outcome::Degraded) {
            self.total_us.push(seen.duration_us);
            for (phase, values) in Phase::ALL.into_iter().zip(&mut self.phases_us) {
                values.extend(seen.phases_us.get(phase));
            }
        }
        if let Some(address) = seen.evidence.address
            && self.last.replace(address) != Some(address)
        {
            self.changes = self.changes.saturating_add(1);
            if self.addresses.len() < MAX_CHANGES {
                self.addresses.push(Contact { from_run: self.runs, address });
            }
        }
    }

    /// How many runs there were.
    pub const fn runs(&self) -> u32 {
        self.runs
    }

    /// How many of them had `outcome`.
    pub fn with(&self, outcome: Outcome) -> u32 {
        self.outcomes[place(outcome)]
    }

    /// The worst outcome, in the order down, inconclusive, degraded, up; `None` before the first run.
    pub fn worst(&self) -> Option<Outcome> {
        let order = [Outcome::Down, Outcome::Inconclusive, Outcome::Degraded, Outcome::Up];
        order.into_iter().find(|outcome| self.with(*outcome) != 0)
    }

    /// Why runs were not `up`, the most frequent first.
    pub fn causes(&self) -> Vec<Cause> {
        let cause = |((reason, phase), runs): (&(Reason, Option<Phase>), &u32)| Cause {
            reason: reason.clone(),
            phase: *phase,
            runs: *runs,
        };
        let mut causes: Vec<Cause> = self.reasons.iter().map(cause).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.runs));
        causes
    }

    /// How long the runs that worked took; `None` where none did.
    pub fn total_us(&self) -> Option<Figures> {
        Figures::of(&self.total_us)
    }

    /// How long `phase` took in the runs that worked; `None` where none had it.
    pub fn phase_us(&self, phase: Phase) -> Option<Figures> {
        Figures::of(&self.phases_us[Phase::ALL.into_iter().position(|one| one == phase)?])
    }

    /// Which addresses were contacted, each with the first run in a row that did; the first [`MAX_CHANGES`].
    pub fn addresses(&self) -> &[Contact] {
        &self.addresses
    }

    /// How many changes of address are not in [`Tally::addresses`].
    pub fn further_changes(&self) -> u32 {
        self.changes.saturating_sub(u32::try_from(self.addresses.len()).unwrap_or(u32::MAX))
    }
}

/// The place of `outcome` among all.
const fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Up => 0,
        Outcome::Degraded => 1,
        Outcome::Down => 2,
        Outcome::Inconclusive => 3,
    }
}

#[cfg(test)]
mod tests;
