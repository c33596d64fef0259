//! PURE: which probe of a region looks at which of its checks.
//!
//! The probes of one region share its checks: each check has one owner there, which follows from the names of the check
//! and of those who share (the heaviest pair wins), so that one who comes or goes moves its own share and nothing else.
//! Owns who shares, and what each probe has said that it looks at. Hands out nothing, and decides nothing about
//! samples: a region says what its probes say, whoever of them looks.
//!
//! - Who is silent, hung up, says goodbye, or says of itself that its samples would be inconclusive or can't be kept,
//!   shares no more; its share goes to the others at once. It gets it back when it has been well for [`RETURN_MS`].
//! - A process that dies hangs up: its kernel closes its connections. So a death shows at once, whatever the intervals.
//!   A machine that loses its power or its line closes nothing, and is silent. How long is too long follows from the
//!   quickest check that the probe looks at, since it delivers as often: three intervals less [`TELLING_MS`], but not
//!   under [`SILENT_FLOOR_MS`] and never over [`SILENT_MS`].
//! - A check moves without a gap: who has it goes on until the new owner says that it has it. So long both look, and
//!   the store keeps one sample a slot.
//! - Nobody is stopped by a clock: a probe that is cut off goes on looking, and fills its gap later. Were it to let go
//!   by itself, a region would go blind whenever the aggregator is away. So a slot may have two lookers, never two
//!   samples.
//! - Where nobody is well, those who are heard share; a region with one probe has it do everything, whatever it says.
//!   Where nobody is heard it stays as it was: there is nobody to tell, and it may be us who can't hear.
//! - A check that its owner can't read goes to one that can.
//! - All of it is in memory. After a restart those who were heard to the last count as heard now, and one that died
//!   meanwhile is silent for [`SILENT_MS`] more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nines_shared::check::Check;
use nines_shared::hash::fnv1a64;
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::time::Timestamp;
use nines_shared::wire::{Health, MAX_CLOCK_OFFSET_MS};

/// Who is not heard for this long shares no more, whatever it looks at, in ms: three heartbeats.
pub const SILENT_MS: i64 = 30_000;
/// Nobody is silent before this, in ms: a batch may wait for a slow line, and for a slow disk of ours.
pub const SILENT_FLOOR_MS: i64 = 5_000;
/// What is left of three intervals once a silence has been long enough, in ms: for us to notice, and for the next one
/// to be told.
pub const TELLING_MS: i64 = 1_000;
/// A share moves within so many intervals.
const INTERVALS: i64 = 3;
/// Who did not share has to be well for this long before it does again, in ms: a probe that comes and goes would have
/// its share change hands each time.
pub const RETURN_MS: i64 = 60_000;

/// Who shares in each region.
#[derive(Debug, Default)]
pub struct Sharing {
    members: BTreeMap<ProbeId, Member>,
}

/// A probe of the fleet, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub probe: ProbeId,
    /// From where it looks.
    pub region: RegionId,
    /// When it was heard last.
    pub heard: Option<Timestamp>,
}

/// What a probe says that it looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Which checks, sorted.
    pub checks: Arc<[CheckId]>,
    /// The shortest interval among them, in ms.
    pub quickest_ms: Option<i64>,
}

impl Held {
    /// All of `checks`, which are sorted by their ids.
    pub fn of<'c>(checks: impl Iterator<Item = &'c Check> + Clone) -> Self {
        let quickest_ms = checks.clone().map(|check| check.interval_ms).min();
        Self { checks: checks.map(|check| check.id.clone()).collect(), quickest_ms }
    }
}

#[derive(Debug)]
struct Member {
    region: RegionId,
    /// `None` before it is heard, and after it hung up or said goodbye.
    heard: Option<Timestamp>,
    /// It said so of itself.
    ails: bool,
    well_since: Option<Timestamp>,
    /// It shared, and ceased to.
    lapsed: bool,
    shares: bool,
    holds: Held,
    /// What it said that it can't read, sorted.
    unread: Vec<CheckId>,
}

impl Sharing {
    /// The probes of the fleet are these and no others, at `now`. Of those that are new here, whoever was heard when
    /// the fleet was heard last counts as heard now: it was us who could not hear. Returns the regions where one is
    /// missing now that shared.
    pub fn know(&mut self, fleet: Vec<Known>, now: Timestamp) -> BTreeSet<RegionId> {
        let last = fleet.iter().filter_map(|known| known.heard).max();
        let to_the_last = |at: Timestamp| last.is_some_and(|last| last.since(at) < SILENT_MS);
        let mut before = std::mem::take(&mut self.members);
        for Known { probe, region, heard } in fleet {
            let same = before.remove(&probe).filter(|member| member.region == region);
            let new = || Member::new(region, heard.filter(|at| to_the_last(*at)).map(|_| now));
            self.members.insert(probe, same.unwrap_or_else(new));
        }
        before.into_values().filter(|member| member.shares).map(|member| member.region).collect()
    }

    /// `probe` of `region` is heard at `now`.
    pub fn heard(&mut self, probe: &ProbeId, region: &RegionId, now: Timestamp) {
        let member = self.members.entry(probe.clone()).or_insert_with(|| Member::new(region.clone(), None));
        member.heard = Some(now);
    }

    /// `probe` tells how it is. Says whether that is news.
    pub fn told(&mut self, probe: &ProbeId, health: &Health) -> bool {
        let ails = gives_nothing(health);
        self.members.get_mut(probe).is_some_and(|member| std::mem::replace(&mut member.ails, ails) != ails)
    }

    /// `probe` can't read these checks of its assignment, sorted. Says whether that is news.
    pub fn can_not_read(&mut self, probe: &ProbeId, unread: &[CheckId]) -> bool {
        match self.members.get_mut(probe) {
            Some(member) if member.unread != unread => {
                member.unread = unread.to_vec();
                true
            }
            Some(_) | None => false,
        }
    }

    /// `probe` has no connection to us any more. If it lives it goes on with what it has.
    pub fn hung_up(&mut self, probe: &ProbeId) {
        if let Some(member) = self.members.get_mut(probe) {
            member.heard = None;
        }
    }

    /// `probe` says goodbye.
    pub fn left(&mut self, probe: &ProbeId) {
        if let Some(member) = self.members.get_mut(probe) {
            (member.heard, member.holds) = (None, Held::default());
        }
    }

    /// `probe` says that it looks at what it `holds`. Says whether that may change what others are to do.
    pub fn holds(&mut self, probe: &ProbeId, holds: Held) -> bool {
        let Some(member) = self.members.get_mut(probe).filter(|member| member.holds != holds) else { return false };
        member.holds = holds;
        let region = member.region.clone();
        1 < self.members.values().filter(|other| other.region == region).count()
    }

    /// Decides who shares at `now`. Returns the regions where that is not as it was.
    pub fn look(&mut self, now: Timestamp) -> BTreeSet<RegionId> {
        let mut ranks: BTreeMap<RegionId, Rank> = BTreeMap::new();
        for member in self.members.values_mut() {
            let rank = member.look(now);
            let best = ranks.entry(member.region.clone()).or_insert(rank);
            *best = rank.max(*best);
        }
        let mut changed = BTreeSet::new();
        for member in self.members.values_mut() {
            let best = ranks[&member.region];
            let shares = if best == Rank::Away { member.shares } else { member.rank(now) == best };
            if std::mem::replace(&mut member.shares, shares) != shares {
                changed.insert(member.region.clone());
            }
        }
        changed
    }

    /// What `probe` is to look at of `checks`, in their order.
    pub fn work<'c>(&self, probe: &ProbeId, checks: &'c [Check]) -> Vec<&'c Check> {
        let Some(member) = self.members.get(probe) else { return Vec::new() };
        let sharers = self.sharers(&member.region);
        let is_its = |check: &Check| match owner(&sharers, &check.id) {
            None => true,
            Some((owner, _)) if owner == probe => true,
            Some((_, owner)) => member.has(&check.id) && !owner.has(&check.id),
        };
        let here = checks.iter().filter(|check| check.region_index(&member.region).is_some());
        here.filter(|check| is_its(check)).collect()
    }

    fn sharers(&self, region: &RegionId) -> Vec<(&ProbeId, &Member)> {
        self.members.iter().filter(|(_, member)| member.shares && member.region == *region).collect()
    }
}

/// How much a probe is to be trusted with a share; those of the best rank in a region share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Away,
    Ailing,
    JustBack,
    Well,
}

impl Member {
    fn new(region: RegionId, heard: Option<Timestamp>) -> Self {
        Self {
            region,
            heard,
            ails: false,
            well_since: None,
            lapsed: false,
            shares: false,
            holds: Held::default(),
            unread: Vec::new(),
        }
    }

    fn is_there(&self, now: Timestamp) -> bool {
        self.heard.is_some_and(|at| now.since(at) < self.patience_ms())
    }

    /// How long it may be silent.
    fn patience_ms(&self) -> i64 {
        match self.holds.quickest_ms {
            Some(ms) if self.unread.is_empty() => (INTERVALS * ms - TELLING_MS).clamp(SILENT_FLOOR_MS, SILENT_MS),
            // It may be that nothing but its heartbeat is to be heard of it.
            Some(_) | None => SILENT_MS,
        }
    }

    /// Takes note of how it is at `now`.
    fn look(&mut self, now: Timestamp) -> Rank {
        // A clock that was set back must not keep the dead alive.
        self.heard = self.heard.map(|at| at.min(now));
        self.well_since = self.well_since.map(|at| at.min(now));
        if self.is_there(now) && !self.ails {
            self.well_since.get_or_insert(now);
        } else {
            self.lapsed |= self.shares;
            self.well_since = None;
        }
        let rank = self.rank(now);
        self.lapsed &= rank != Rank::Well;
        rank
    }

    fn rank(&self, now: Timestamp) -> Rank {
        match self.well_since {
            _ if !self.is_there(now) => Rank::Away,
            None => Rank::Ailing,
            Some(since) if self.lapsed && now.since(since) < RETURN_MS => Rank::JustBack,
            Some(_) => Rank::Well,
        }
    }

    fn has(&self, check: &CheckId) -> bool {
        self.holds.checks.binary_search(check).is_ok()
    }
}

/// Whether what `health` tells makes every sample of the probe inconclusive, or its disk takes none.
fn gives_nothing(health: &Health) -> bool {
    let is_off = |offset: i64| MAX_CLOCK_OFFSET_MS < offset.saturating_abs();
    health.canaries_ok == Some(false) || 0 < health.held || health.clock_offset_ms.is_some_and(is_off)
}

/// The heaviest with `check` of those who can read it; of all where nobody can.
fn owner<'m>(sharers: &[(&'m ProbeId, &'m Member)], check: &CheckId) -> Option<(&'m ProbeId, &'m Member)> {
    let reads = |member: &Member| member.unread.binary_search(check).is_err();
    sharers.iter().copied().max_by_key(|(probe, member)| (reads(member), weight(probe, check), *probe))
}

fn weight(probe: &ProbeId, check: &CheckId) -> u64 {
    let (probe, check) = (fnv1a64(probe.as_str().as_bytes()), fnv1a64(check.as_str().as_bytes()));
    mixed(probe.wrapping_add(mixed(check)))
}

/// Every bit of the result hangs on every bit of `x` (the finish of SplitMix64): names that differ by one letter have
/// FNV hashes that are in one order for nearly every check.
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
