//! What failing regions have in common, and what differs: read from their latest failing samples.

use std::collections::BTreeMap;

use nines_shared::duration::Shown;
use nines_shared::id::RegionId;
use nines_shared::sample::{Evidence, Outcome, Sample};
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::instants::failing_checks;
use super::{Incident, Kind, RegionViews, Scene};
use crate::uptime::Verdict;
use crate::uptime::calendar;
use crate::uptime::service::{CheckAssessment, ServiceAssessment};

/// The most different values of one aspect that are kept; the first by value are.
pub const MAX_VALUES: usize = 16;

/// Something that a failing sample shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Of which check it is.
    Check,
    /// Why it failed.
    Reason,
    /// In which phase.
    Phase,
    /// Which address was contacted.
    Address,
    /// Which status was answered.
    Status,
    /// Which certificate was shown.
    Certificate,
}

impl Aspect {
    /// All of them, in the order in which people are told.
    pub const ALL: [Self; 6] = [Self::Check, Self::Reason, Self::Phase, Self::Address, Self::Status, Self::Certificate];

    /// Its stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Reason => "reason",
            Self::Phase => "phase",
            Self::Address => "address",
            Self::Status => "status",
            Self::Certificate => "certificate",
        }
    }

    fn of(self, sample: &Sample) -> Option<String> {
        let evidence = sample.evidence.as_deref();
        match self {
            Self::Check => Some(sample.check.to_string()),
            Self::Reason => sample.reason.as_ref().map(ToString::to_string),
            Self::Phase => sample.phase.map(|phase| phase.to_string()),
            Self::Address => evidence.and_then(|seen| seen.address).map(|address| address.to_string()),
            Self::Status => evidence.and_then(|seen| seen.hops.last()?.status).map(|status| status.to_string()),
            Self::Certificate => evidence.and_then(certificate),
        }
    }
}

/// The target's own certificate: whom it names, until when, and enough of its digest to tell it from another.
fn certificate(seen: &Evidence) -> Option<String> {
    let leaf = seen.tls.as_ref()?.chain.first()?;
    let digest: String = leaf.sha256.chars().take(16).collect();
    // The subject is the target's word, and the target is not to be trusted with our terminals.
    let subject = nines_shared::sample::detail(&leaf.subject);
    Some(format!("{subject} until {} ({digest})", calendar::utc(leaf.not_after)))
}

/// What the failing samples show of one aspect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which aspect.
    pub aspect: Aspect,
    /// Each value with the regions that show it, sorted.
    pub values: Vec<Shows>,
    /// Whether every failing sample shows some value.
    pub everywhere: bool,
}

/// A value and who shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shows {
    /// The value, as text without control characters.
    pub value: String,
    /// The regions whose samples show it, sorted.
    pub regions: Vec<RegionId>,
}

impl Finding {
    /// What all failing samples have in common, if they do.
    pub fn common(&self) -> Option<&str> {
        match self.values.as_slice() {
            [only] if self.everywhere => Some(&only.value),
            _ => None,
        }
    }
}

/// What `samples` have in common and how they differ, aspect by aspect; only those that are `down` are looked
/// at, and aspects that none of them shows are left out.
pub fn findings(samples: &[Sample]) -> Vec<Finding> {
    let failing: Vec<&Sample> = samples.iter().filter(|sample| sample.outcome == Outcome::Down).collect();
    let found = Aspect::ALL.into_iter().filter_map(|aspect| {
        let mut values: BTreeMap<String, Vec<RegionId>> = BTreeMap::new();
        let mut everywhere = true;
        for sample in &failing {
            match aspect.of(sample) {
                Some(value) => values.entry(value).or_default().push(sample.region.clone()),
                None => everywhere = false,
            }
        }
        let shows = values.into_iter().take(MAX_VALUES).map(|(value, mut regions)| {
            regions.sort_unstable();
            regions.dedup();
            Shows { value, regions }
        });
        let values: Vec<Shows> = shows.collect();
        (!values.is_empty()).then_some(Finding { aspect, values, everywhere })
    });
    found.collect()
}

/// The scene of a failure that starts at `at`, from the assessment and the failing checks' latest samples.
pub fn scene(assessment: &ServiceAssessment, at: Timestamp, latest: &[Sample]) -> Scene {
    let failing: Vec<&CheckAssessment> = failing_checks(assessment, at).collect();
    let mut checks: Vec<_> = failing.iter().map(|check| check.check.clone()).collect();
    checks.sort_unstable();
    let mut said: BTreeMap<&RegionId, Verdict> = BTreeMap::new();
    for region in failing.iter().flat_map(|check| &check.regions) {
        let word = region.timeline.at(at).unwrap_or(Verdict::Unknown);
        said.entry(&region.region).and_modify(|worst| *worst = word.max(*worst)).or_insert(word);
    }
    let of = |wanted: fn(Verdict) -> bool| {
        said.iter().filter(|(_, word)| wanted(**word)).map(|(region, _)| (*region).clone()).collect()
    };
    let relevant: Vec<Sample> = latest.iter().filter(|sample| checks.contains(&sample.check)).cloned().collect();
    let mut down = relevant.iter().filter(|sample| sample.outcome == Outcome::Down);
    Scene {
        regions: RegionViews {
            failing: of(|word| word == Verdict::Down),
            unknown: of(|word| word == Verdict::Unknown),
            up: of(|word| word == Verdict::Up || word == Verdict::Degraded),
        },
        findings: findings(&relevant),
        detail: down.find_map(|sample| sample.detail.clone()),
        checks,
    }
}

/// What, since when, where from, why: the first line of every message and page about an incident.
pub fn headline(incident: &Incident) -> String {
    let since = calendar::utc(incident.instants.started_at);
    let what = match incident.kind {
        Kind::Outage => "down",
        Kind::Suspected => "suspected to be down",
        Kind::Probe => "silent",
    };
    let when = match incident.instants.ended_at {
        _ if incident.withdrawn => format!("was taken for {what} since {since}, which late results disprove"),
        None => format!("is {what} since {since}"),
        Some(ended_at) => {
            let length = Shown(ended_at.since(incident.instants.started_at));
            format!("was {what} for {length} from {since}")
        }
    };
    let mut line = format!("{} {when}", incident.subject);
    if !incident.scene.regions.failing.is_empty() {
        line.push_str(if incident.kind == Kind::Probe { ", region " } else { ", seen from " });
        line.push_str(&listed(&incident.scene.regions.failing));
    }
    let why = why(&incident.scene);
    if !why.is_empty() {
        line.push_str(": ");
        line.push_str(&why);
    }
    line
}

/// What the failures have in common, in words; where they have no reason in common, the reasons.
pub fn why(scene: &Scene) -> String {
    let find = |aspect| scene.findings.iter().find(|finding| finding.aspect == aspect);
    let common = |aspect| find(aspect).and_then(Finding::common);
    let mut words: Vec<String> = Vec::new();
    match (common(Aspect::Reason), find(Aspect::Reason)) {
        (Some(reason), _) => words.push(reason.to_owned()),
        (None, Some(differing)) => {
            let each = differing.values.iter().map(|shows| format!("{} ({})", shows.value, listed(&shows.regions)));
            words.push(each.collect::<Vec<_>>().join(", "));
        }
        (None, None) => {}
    }
    words.extend(common(Aspect::Phase).map(|phase| format!("in {phase}")));
    words.extend(common(Aspect::Address).map(|address| format!("at {address}")));
    words.extend(common(Aspect::Status).map(|status| format!("status {status}")));
    words.join(" ")
}

fn listed(regions: &[RegionId]) -> String {
    let names: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
    names.join(", ")
}
