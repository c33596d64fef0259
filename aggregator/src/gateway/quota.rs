//! What each probe may ask of the door, so that one that runs wild does not take it from the others.
//!
//! A probe has accounts of its own: requests, samples and bytes. They fill with time up to what may come at once, and
//! a request is charged what it turned out to cost. It is let in while none of them is overdrawn, so whoever has to
//! come again is told before a body is read, and no batch is too large to be let in ever. Beside them a probe has a few
//! places for batches at work. A probe of 10,000 checks a minute that delivers a backlog at the pace of
//! [`nines_shared::wire::DRAIN_PACE`] never meets any of these limits.
//!
//! Accounts are `Account` and `Quota`, which are pure; `Quotas` keeps one for each probe that has shown its
//! certificate, so there are as many as probes.

mod account;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use nines_shared::id::ProbeId;
use nines_shared::wire::{MAX_BATCH_BYTES, MAX_BATCH_DECODED_BYTES};
use tokio::time::Instant;

use super::answer::Refused;
use crate::counters::ByProbe;
use account::Account;

/// Requests of one probe in a second, over time. One that ships, waits for work and for asks has some five.
pub const MAX_REQUESTS_PER_S: i64 = 100;
/// Requests of one probe at once: as many samples that are refused one by one take their time all the same.
pub const MAX_REQUESTS_AT_ONCE: i64 = 500;
/// Samples of one probe in a second, over time: thirty times what one of 10,000 checks a minute takes.
pub const MAX_SAMPLES_PER_S: i64 = 5_000;
/// Samples of one probe at once.
pub const MAX_SAMPLES_AT_ONCE: i64 = 20_000;
/// Bytes of one probe in a second, over time: of its batches, once they are decompressed.
pub const MAX_BYTES_PER_S: i64 = 32 << 20;
/// Bytes of one probe at once.
pub const MAX_BYTES_AT_ONCE: i64 = 64 << 20;
/// Batches of one probe that are being taken at one time. A probe sends one after the other; the second may be what it
/// sent before its connection broke.
pub const MAX_BATCHES_OF_ONE: u8 = 2;
/// How seldom it is logged that a probe asks for too much.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What a probe has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    Requests,
    Samples,
    Bytes,
    Batches,
}

impl Limit {
    /// As metrics call it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Samples => "samples",
            Self::Bytes => "bytes",
            Self::Batches => "batches",
        }
    }
}

/// A request comes too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exceeded {
    limit: Limit,
    /// It is let in after this long, if nothing else comes.
    again: Duration,
}

/// What a batch turned out to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) samples: usize,
    pub(super) bytes: usize,
}

impl Cost {
    /// Of one that ends before its body was read.
    const UNREAD: Self = Self { samples: 0, bytes: MAX_BATCH_BYTES };
    /// Of one that can't be read, and may have cost as much as any.
    pub(super) const UNREADABLE: Self = Self { samples: 0, bytes: MAX_BATCH_DECODED_BYTES };
}

/// One probe's.
#[derive(Debug)]
struct Quota {
    requests: Account,
    samples: Account,
    bytes: Account,
    at_work: u8,
    /// When it was last logged that it asks for too much.
    told: Option<Instant>,
}

impl Quota {
    fn new(now: Instant) -> Self {
        Self {
            requests: Account::full(MAX_REQUESTS_PER_S, MAX_REQUESTS_AT_ONCE, now),
            samples: Account::full(MAX_SAMPLES_PER_S, MAX_SAMPLES_AT_ONCE, now),
            bytes: Account::full(MAX_BYTES_PER_S, MAX_BYTES_AT_ONCE, now),
            at_work: 0,
            told: None,
        }
    }

    /// A request of any kind comes.
    fn request(&mut self, now: Instant) -> Result<(), Exceeded> {
        within(Limit::Requests, &mut self.requests, now)?;
        self.requests.charge(1, now);
        Ok(())
    }

    /// A batch comes: it has a place until [`Quota::done`].
    fn batch(&mut self, now: Instant) -> Result<(), Exceeded> {
        within(Limit::Samples, &mut self.samples, now)?;
        within(Limit::Bytes, &mut self.bytes, now)?;
        if MAX_BATCHES_OF_ONE <= self.at_work {
            return Err(Exceeded { limit: Limit::Batches, again: Duration::from_secs(1) });
        }
        self.at_work += 1;
        Ok(())
    }

    /// A batch is done with, one way or another.
    fn done(&mut self, cost: Cost, now: Instant) {
        let units = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.at_work = self.at_work.saturating_sub(1);
        self.samples.charge(units(cost.samples), now);
        self.bytes.charge(units(cost.bytes), now);
    }

    /// Whether it is time to log that it asks for too much.
    fn is_news(&mut self, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| TOLD_EVERY <= now.duration_since(told));
        if due {
            self.told = Some(now);
        }
        due
    }
}

fn within(limit: Limit, account: &mut Account, now: Instant) -> Result<(), Exceeded> {
    account.again(now).map_or(Ok(()), |again| Err(Exceeded { limit, again }))
}

/// The quotas of all probes.
#[derive(Debug, Default)]
pub(super) struct Quotas(Mutex<BTreeMap<ProbeId, Quota>>);

impl Quotas {
    /// Lets a request of `probe` in.
    ///
    /// # Errors
    /// 429 where it has had its share; it is counted in `limited`.
    pub(super) fn request(&self, probe: &ProbeId, limited: &ByProbe) -> Result<(), Refused> {
        self.of(probe, limited, Quota::request)
    }

    /// Lets a batch of `probe` in, which has a place until what is returned is dropped.
    ///
    /// # Errors
    /// As [`Quotas::request`].
    pub(super) fn batch<'a>(&'a self, probe: &'a ProbeId, limited: &ByProbe) -> Result<AtWork<'a>, Refused> {
        self.of(probe, limited, Quota::batch)?;
        Ok(AtWork { quotas: self, probe, cost: Cost::UNREAD })
    }

    fn of(
        &self,
        probe: &ProbeId,
        limited: &ByProbe,
        ask: impl FnOnce(&mut Quota, Instant) -> Result<(), Exceeded>,
    ) -> Result<(), Refused> {
        let now = Instant::now();
        let (exceeded, news) = {
            let mut quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !quotas.contains_key(probe) {
                quotas.insert(probe.clone(), Quota::new(now));
            }
            let Some(quota) = quotas.get_mut(probe) else { return Ok(()) };
            match ask(quota, now) {
                Ok(()) => return Ok(()),
                Err(exceeded) => (exceeded, quota.is_news(now)),
            }
        };
        let limit = exceeded.limit.code();
        limited.add(probe, limit);
        if news {
            tracing::warn!(%probe, limit, "probe.limited");
        }
        Err(refused(probe, exceeded))
    }
}

/// A batch that is being taken. Its place is free and its cost charged when this goes, however that comes about.
#[derive(Debug)]
pub(super) struct AtWork<'a> {
    quotas: &'a Quotas,
    probe: &'a ProbeId,
    /// What is known of it so far.
    pub(super) cost: Cost,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut quotas = self.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = quotas.get_mut(self.probe) {
            quota.done(self.cost, Instant::now());
        }
    }
}

fn refused(probe: &ProbeId, Exceeded { limit, again }: Exceeded) -> Refused {
    let message = format!("{probe} sends too many {} at once; what it has is taken a moment later", limit.code());
    let seconds = again.as_secs() + u64::from(0 < again.subsec_nanos());
    Refused::new(StatusCode::TOO_MANY_REQUESTS, "limited", message).again_after(seconds.max(1))
}

#[cfg(test)]
mod tests;
