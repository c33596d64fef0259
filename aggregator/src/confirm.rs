//! PURE: whom to ask at once what one region saw, and when not to.
//!
//! The first failing sample of a region makes every other region be asked for an extra sample now, and so does the
//! first good one where enough regions failed for a verdict. So both edges of an outage are as sharp as the next
//! slot of *any* region, whatever the quorum. Owns what each region said last and which asks are open; decides no
//! verdict, and nothing hangs on it: an ask that is lost, refused or late leaves what the slots say.
//!
//! - A region is asked once for one change: not where it has said the same already, or was looked at since, or has an
//!   ask open. An answer to an ask accuses nobody anew.
//! - Old samples (a spool drained late) ask nothing: what they tell is over.
//! - What a flapping target or a lying probe can make the fleet do is bounded by two shares, of the target over all
//!   its checks ([`TARGET_BURST`]) and of the probe that accuses ([`ACCUSER_BURST`]).
//! - All of it is in memory. After a restart nothing is known of any region, and the first failing sample asks everyone
//!   once, which makes it known again.

mod share;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use nines_shared::check::{Check, Question};
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::{Outcome, Sample, SampleKind};
use nines_shared::time::Timestamp;
use nines_shared::wire::{Ask, MAX_ASKS};

use share::Shares;

/// A sample older than its check's timeout and this asks nothing, in ms.
pub const MAX_AGE_MS: i64 = 5_000;
/// An answer has to begin within this time, in ms.
pub const ASK_MS: i64 = 10_000;
/// The most asks for one target, over all its checks and all regions, at one time …
pub const TARGET_BURST: i64 = 64;
/// … and how soon there is one more, in ms: a target that flaps for ever has one request a second more.
pub const TARGET_REFILL_MS: i64 = 1_000;
/// The most changes that one probe may have confirmed at one time …
pub const ACCUSER_BURST: i64 = 100;
/// … and how soon there is one more, in ms.
pub const ACCUSER_REFILL_MS: i64 = 1_000;
/// A probe listens if it did within this time, in ms: twice the longest wait, and some.
pub const LISTENING_MS: i64 = 60_000;
/// The most asks open at one time; further ones are refused.
pub const MAX_OPEN: usize = 4_096;

/// What is known of the regions, and what they are asked.
#[derive(Debug)]
pub struct Confirm {
    checks: HashMap<CheckId, Watched>,
    listeners: BTreeMap<ProbeId, Listener>,
    /// What probes look at of their region's checks, sorted; one that is not here may look at all of them.
    shares: BTreeMap<ProbeId, Arc<[CheckId]>>,
    /// In order of their numbers.
    open: VecDeque<Open>,
    next_no: u64,
    of_target: Shares<String>,
    of_accuser: Shares<ProbeId>,
}

/// What came of some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Asks made.
    pub made: u64,
    /// Asks not made, since the target or the accuser has had its share or too many are open.
    pub refused: u64,
    /// Asks not made, since no probe of the region listens.
    pub unheard: u64,
    /// Asks that these samples answer.
    pub answered: u64,
    /// How long those had been open, together, in ms.
    pub answered_ms: u64,
    /// Asks given up unanswered.
    pub expired: u64,
}

/// A check, and what each of its regions said last.
#[derive(Debug)]
struct Watched {
    check: Check,
    /// Beside the check's regions.
    voices: Vec<Option<Voice>>,
    /// Whose share its asks are of.
    target: String,
}

/// A conclusive sample.
#[derive(Clone, Copy, Debug)]
struct Voice {
    began: Timestamp,
    down: bool,
}

#[derive(Debug)]
struct Listener {
    region: RegionId,
    /// When it asked for asks.
    listened: Timestamp,
    /// When samples of it came.
    heard: Timestamp,
}

#[derive(Debug)]
struct Open {
    ask: Ask,
    region: RegionId,
    probe: ProbeId,
    /// An answer can have come by then, if it comes at all.
    gone: Timestamp,
}

impl Confirm {
    /// Knows nothing yet. Asks are numbered from `now` on, so that no number of an earlier life comes again.
    pub fn new(now: Timestamp) -> Self {
        Self {
            checks: HashMap::new(),
            listeners: BTreeMap::new(),
            shares: BTreeMap::new(),
            open: VecDeque::new(),
            next_no: u64::try_from(now.as_ms()).unwrap_or(0),
            of_target: Shares::new(TARGET_BURST, TARGET_REFILL_MS),
            of_accuser: Shares::new(ACCUSER_BURST, ACCUSER_REFILL_MS),
        }
    }

    /// The checks of the fleet from now on. What the regions of a check said is remembered while they stay the same.
    pub fn know(&mut self, checks: &[Check]) {
        let mut before = std::mem::take(&mut self.checks);
        let watched = |check: &Check| {
            let same = before.remove(&check.id).filter(|known| known.check.regions == check.regions);
            let voices = same.map_or_else(|| vec![None; check.regions.len()], |known| known.voices);
            (check.id.clone(), Watched { target: target(&check.question), voices, check: check.clone() })
        };
        self.checks = checks.iter().map(watched).collect();
        self.open.retain(|open| self.checks.contains_key(&open.ask.check));
    }

    /// `probe` of `region` listens at `now`.
    pub fn listens(&mut self, probe: &ProbeId, region: &RegionId, now: Timestamp) {
        self.listeners.retain(|_, known| now.since(known.listened) < LISTENING_MS);
        let fresh = Listener { region: region.clone(), listened: now, heard: Timestamp::MIN };
        let known = self.listeners.entry(probe.clone()).or_insert(fresh);
        (known.listened, known.region) = (now, region.clone());
    }

    /// `probe` says that it looks at `checks`, sorted, and at nothing else; `None`: it is not known, so may look at all
    /// of its region's.
    pub fn looks_at(&mut self, probe: &ProbeId, checks: Option<Arc<[CheckId]>>) {
        match checks {
            Some(checks) => self.shares.insert(probe.clone(), checks),
            None => self.shares.remove(probe),
        };
    }

    /// What `probe` is asked at `now`, of what is numbered after `have`; what has ended is not asked any more.
    pub fn asked(&self, probe: &ProbeId, have: u64, now: Timestamp) -> Vec<Ask> {
        // A number that was never given is of another life, with a clock ahead of ours.
        let have = if self.next_no < have { 0 } else { have };
        let stands = |open: &&Open| have < open.ask.no && open.probe == *probe && now < open.ask.until;
        self.open.iter().filter(stands).take(MAX_ASKS).map(|open| open.ask.clone()).collect()
    }

    /// Takes note of `samples` that `probe` delivered and that are committed at `now`, and makes the asks they call
    /// for.
    pub fn arrived(&mut self, probe: &ProbeId, samples: &[Sample], now: Timestamp) -> Came {
        let mut came = Came::default();
        self.give_up(now, &mut came);
        if let Some(listener) = self.listeners.get_mut(probe) {
            listener.heard = now;
        }
        for sample in samples {
            let answers = self.answered(sample, now, &mut came);
            if let Some(change) = self.heard(sample)
                && !answers
                && change.is_news(now)
            {
                self.ask(probe, &change, now, &mut came);
            }
        }
        came
    }

    fn give_up(&mut self, now: Timestamp, came: &mut Came) {
        let before = self.open.len();
        self.open.retain(|open| now < open.gone);
        came.expired += (before - self.open.len()) as u64;
        self.of_target.forget(now);
        self.of_accuser.forget(now);
    }

    /// Closes the ask that `sample` answers. Says whether there was one.
    fn answered(&mut self, sample: &Sample, now: Timestamp, came: &mut Came) -> bool {
        if sample.kind != SampleKind::Extra {
            return false;
        }
        let answers = |open: &Open| {
            open.ask.at == sample.scheduled_at && open.ask.check == sample.check && open.region == sample.region
        };
        let Some(place) = self.open.iter().position(answers) else { return false };
        if let Some(open) = self.open.remove(place) {
            came.answered += 1;
            came.answered_ms += now.since(open.ask.at).max(0).unsigned_abs();
        }
        true
    }

    /// Remembers what `sample` says. Says whom to ask, where the region did not say so before.
    fn heard(&mut self, sample: &Sample) -> Option<Change> {
        let down = match sample.outcome {
            Outcome::Up | Outcome::Degraded => false,
            Outcome::Down => true,
            Outcome::Inconclusive => return None,
        };
        let watched = self.checks.get_mut(&sample.check)?;
        let index = watched.check.region_index(&sample.region)?;
        let failing = watched.voices.iter().flatten().filter(|voice| voice.down).count();
        let before = watched.voices[index];
        if before.is_some_and(|before| sample.started_at <= before.began) {
            return None;
        }
        watched.voices[index] = Some(Voice { began: sample.started_at, down });
        let was_down = before.is_some_and(|before| before.down);
        // A good sample is news where there was a verdict to confirm the end of.
        let news = if down { !was_down } else { was_down && usize::from(watched.check.quorum) <= failing };
        news.then(|| Change {
            check: sample.check.clone(),
            began: sample.started_at,
            timeout_ms: watched.check.timeout_ms,
            whom: watched.unlike(index, down, sample.started_at),
        })
    }

    fn ask(&mut self, accuser: &ProbeId, change: &Change, now: Timestamp, came: &mut Came) {
        let open = |region: &&RegionId| {
            self.open
                .iter()
                .any(|open| now < open.ask.until && open.ask.check == change.check && open.region == **region)
        };
        let whom: Vec<&RegionId> = change.whom.iter().filter(|region| !open(region)).collect();
        let found = whom.into_iter().map(|region| (region, self.listener(region, &change.check, now)));
        let (heard, unheard): (Vec<_>, Vec<_>) = found.partition(|(_, probe)| probe.is_some());
        came.unheard += unheard.len() as u64;
        if heard.is_empty() {
            return;
        }
        if !self.of_accuser.take(accuser, now) {
            came.refused += heard.len() as u64;
            return;
        }
        let Some(target) = self.checks.get(&change.check).map(|watched| &watched.target) else { return };
        for (region, probe) in heard.into_iter().filter_map(|(region, probe)| Some((region, probe?))) {
            if self.open.len() == MAX_OPEN || !self.of_target.take(target, now) {
                came.refused += 1;
                continue;
            }
            self.next_no += 1;
            let until = now.plus_ms(ASK_MS);
            let ask = Ask { no: self.next_no, check: change.check.clone(), at: now, until };
            let gone = until.plus_ms(change.timeout_ms + MAX_AGE_MS);
            self.open.push_back(Open { ask, region: region.clone(), probe, gone });
            came.made += 1;
        }
    }

    /// Of several probes of one region that listen and look at `check`, the one that was heard last.
    fn listener(&self, region: &RegionId, check: &CheckId, now: Timestamp) -> Option<ProbeId> {
        let looks = |probe: &ProbeId| self.shares.get(probe).is_none_or(|share| share.binary_search(check).is_ok());
        let listens = |(probe, known): &(&ProbeId, &Listener)| {
            known.region == *region && now.since(known.listened) < LISTENING_MS && looks(probe)
        };
        let last = self.listeners.iter().filter(listens).max_by_key(|(_, known)| (known.heard, known.listened));
        last.map(|(probe, _)| probe.clone())
    }
}

/// A region says something else than before.
#[derive(Debug)]
struct Change {
    check: CheckId,
    began: Timestamp,
    timeout_ms: i64,
    /// Who may see it otherwise.
    whom: Vec<RegionId>,
}

impl Change {
    fn is_news(&self, now: Timestamp) -> bool {
        now.since(self.began) <= self.timeout_ms + MAX_AGE_MS
    }
}

impl Watched {
    /// The other regions that do not say `down`, or whether they do is not known; except those that were looked at
    /// since `began`, which have had their say.
    fn unlike(&self, index: usize, down: bool, began: Timestamp) -> Vec<RegionId> {
        let others = self.check.regions.iter().zip(&self.voices).enumerate().filter(|(other, _)| *other != index);
        let may_differ = |voice: &Option<Voice>| match voice {
            Some(voice) => voice.down != down && voice.began < began,
            // Where a verdict ends, only those who made it are asked.
            None => down,
        };
        others.filter(|(_, (_, voice))| may_differ(voice)).map(|(_, (region, _))| region.clone()).collect()
    }
}

/// Who bears the requests of `question`: a host and a port, or a name.
fn target(question: &Question) -> String {
    match (question, question.endpoint()) {
        (_, Some((host, port))) => format!("{host}:{port}"),
        (Question::Dns(dns), None) => dns.name.to_string(),
        (_, None) => question.target(),
    }
}

#[cfg(test)]
mod tests;
