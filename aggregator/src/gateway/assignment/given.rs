//! What each probe is given under the fleet in force, computed when first asked for; and what it has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use data_encoding::HEXLOWER;
use nines_shared::check::Check;
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::secret::Secrets;
use nines_shared::time::Timestamp;
use nines_shared::wire::{Assignment, Health};
use tokio::sync::watch;

use super::super::peer::Peer;
use crate::definition::Fleet;
use crate::fingerprint;
use crate::sharing::{Held, Known, Sharing};

/// An assignment, and what who has it looks at.
#[derive(Debug)]
pub(super) struct Work {
    /// Its `now` means nothing.
    pub(super) assignment: Assignment,
    held: Held,
}

/// The work of every probe that asked.
#[derive(Debug)]
pub(in crate::gateway) struct Assignments {
    /// Drawn at the start and known to nobody else: a digest made with it does not let anyone try out secrets.
    key: hmac::Key,
    plan: Mutex<Plan>,
    /// Grows when somebody's work may be another.
    planned: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Plan {
    sharing: Sharing,
    /// How often the shares of a region changed.
    changes: BTreeMap<RegionId, u64>,
    given: BTreeMap<ProbeId, Given>,
    last_version: u64,
}

/// What one probe is given.
#[derive(Debug)]
struct Given {
    /// Under which fleet, and after how many changes in its region.
    under: (Arc<Fleet>, u64),
    work: Arc<Work>,
    /// What it was sent last.
    sent: Option<Arc<Work>>,
    /// What it said that it has.
    held: Option<Arc<Work>>,
}

impl Default for Assignments {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has random numbers");
        Self { key, plan: Mutex::default(), planned: watch::Sender::new(0) }
    }
}

impl Assignments {
    /// To wait until work may be another.
    pub(super) fn planned(&self) -> watch::Receiver<u64> {
        self.planned.subscribe()
    }

    /// Has those who wait look again.
    pub(super) fn wake(&self) {
        self.planned.send_modify(|times| *times += 1);
    }

    /// These are the probes of the fleet.
    pub(super) fn know(&self, fleet: Vec<Known>, now: Timestamp) {
        let news = self.with(|plan| {
            plan.given.retain(|probe, _| fleet.iter().any(|known| known.probe == *probe));
            let shrunk = plan.sharing.know(fleet, now);
            let changed = plan.sharing.look(now);
            plan.change(shrunk.union(&changed))
        });
        self.wake_if(news);
    }

    /// `peer` delivered, and told how it is.
    pub(in crate::gateway) fn told(&self, peer: &Peer, health: &Health, now: Timestamp) {
        let news = self.with(|plan| {
            plan.sharing.heard(&peer.probe, &peer.region, now);
            let changed = if plan.sharing.told(&peer.probe, health) { plan.sharing.look(now) } else { BTreeSet::new() };
            let reads = plan.sharing.can_not_read(&peer.probe, &health.unread);
            plan.change(changed.iter().chain(reads.then_some(&peer.region)))
        });
        self.wake_if(news);
    }

    /// `probe` ends in order. Whoever comes as it next has nothing before it says so.
    pub(in crate::gateway) fn left(&self, probe: &ProbeId, now: Timestamp) {
        self.with(|plan| {
            plan.sharing.left(probe);
            if let Some(given) = plan.given.get_mut(probe) {
                given.held = None;
            }
        });
        self.look(now);
    }

    /// `probes` have no connection any more.
    pub(super) fn hung_up(&self, probes: &[ProbeId]) {
        self.with(|plan| probes.iter().for_each(|probe| plan.sharing.hung_up(probe)));
    }

    /// Decides anew who shares.
    pub(super) fn look(&self, now: Timestamp) {
        let news = self.with(|plan| {
            let changed = plan.sharing.look(now);
            plan.change(changed.iter())
        });
        self.wake_if(news);
    }

    /// `peer` says that it has the work called `have`. Where that is news: what that has it look at, if it is known.
    pub(super) fn has(
        &self,
        peer: &Peer,
        have: &str,
        (fleet, now): (Arc<Fleet>, Timestamp),
    ) -> Option<Option<Arc<[CheckId]>>> {
        let (held, news) = self.with(|plan| {
            plan.sharing.heard(&peer.probe, &peer.region, now);
            let changed = plan.sharing.look(now);
            let news = plan.change(changed.iter());
            let given = plan.given_to(peer, &fleet, &self.key, now);
            if given.held.as_ref().is_some_and(|held| held.assignment.digest == have) {
                return (None, news);
            }
            let known = [Some(&given.work), given.sent.as_ref()].into_iter().flatten();
            given.held = known.into_iter().find(|work| work.assignment.digest == have).cloned();
            let held = given.held.as_ref().map(|work| work.held.clone());
            let moves = plan.sharing.holds(&peer.probe, held.clone().unwrap_or_default());
            (Some(held.map(|held| held.checks)), plan.change(moves.then_some(&peer.region).into_iter()) || news)
        });
        self.wake_if(news);
        held
    }

    /// What `peer` is to do.
    pub(super) fn of(&self, peer: &Peer, (fleet, now): (Arc<Fleet>, Timestamp)) -> Arc<Work> {
        self.with(|plan| plan.given_to(peer, &fleet, &self.key, now).work.clone())
    }

    /// `work` is on its way to `probe`.
    pub(super) fn sent(&self, probe: &ProbeId, work: &Arc<Work>) {
        self.with(|plan| {
            if let Some(given) = plan.given.get_mut(probe) {
                given.sent = Some(work.clone());
            }
        });
    }

    fn wake_if(&self, news: bool) {
        if news {
            self.wake();
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Plan) -> T) -> T {
        look(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plan {
    /// The shares of `regions` are others now. Says whether there are any.
    fn change<'r>(&mut self, regions: impl Iterator<Item = &'r RegionId>) -> bool {
        let mut any = false;
        for region in regions {
            tracing::debug!(%region, "sharing.changed");
            *self.changes.entry(region.clone()).or_default() += 1;
            any = true;
        }
        any
    }

    fn given_to(&mut self, peer: &Peer, fleet: &Arc<Fleet>, key: &hmac::Key, now: Timestamp) -> &mut Given {
        let changes = self.changes.get(&peer.region).copied().unwrap_or_default();
        let is_current =
            |given: &Given| Arc::ptr_eq(&given.under.0, fleet) && given.under.1 == changes && given.is_of(&peer.region);
        if !self.given.get(&peer.probe).is_some_and(is_current) {
            let under = (fleet.clone(), changes);
            let before = self.given.remove(&peer.probe).filter(|given| given.is_of(&peer.region));
            let new = assigned(fleet, peer, &self.sharing, key);
            let given = match before {
                Some(same) if same.work.assignment.digest == new.digest => Given { under, ..same },
                other => {
                    self.last_version = u64::try_from(now.as_ms()).unwrap_or(0).max(self.last_version + 1);
                    let held = Held::of(new.checks.iter());
                    let work = Arc::new(Work { assignment: Assignment { version: self.last_version, ..new }, held });
                    let (sent, held) = other.map_or((None, None), |given| (given.sent, given.held));
                    Given { under, work, sent, held }
                }
            };
            self.given.insert(peer.probe.clone(), given);
        }
        self.given.get_mut(&peer.probe).expect("it was put there if it was not")
    }
}

impl Given {
    fn is_of(&self, region: &RegionId) -> bool {
        self.work.assignment.region == *region
    }
}

/// What `peer` is to do under `fleet`, without a version. Its `now` means nothing.
fn assigned(fleet: &Fleet, peer: &Peer, sharing: &Sharing, key: &hmac::Key) -> Assignment {
    let mut checks: Vec<Check> = sharing.work(&peer.probe, &fleet.checks).into_iter().cloned().collect();
    checks.sort_by(|a, b| a.id.cmp(&b.id));
    let named = checks.iter().flat_map(|check| check.question.secrets());
    let had = named.filter_map(|name| Some((name.clone(), fleet.secrets.get(name)?.clone())));
    let secrets: Secrets = had.collect();
    let (digest, region) = (digest_of(&peer.region, &checks, &secrets, key), peer.region.clone());
    let (probe, now) = (Some(peer.probe.clone()), Timestamp::from_ms(0));
    Assignment { digest, version: 0, probe, region, checks, secrets, now }
}

/// Equal for equal work. Where secrets are a part of it, only until the aggregator's next start.
fn digest_of(region: &RegionId, checks: &[Check], secrets: &Secrets, key: &hmac::Key) -> String {
    let written = "checks have only text keys and write to memory";
    if secrets.is_empty() {
        let said = serde_json::to_vec(&(region, checks)).expect(written);
        return fingerprint::of(&said);
    }
    let said = serde_json::to_vec(&(region, checks, secrets)).expect(written);
    format!("hmac:{}", HEXLOWER.encode(hmac::sign(key, &said).as_ref()))
}
