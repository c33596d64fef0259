//! What failing regions have in common, and what differs: read from their latest failing samples.

use std::collections::BTreeMap;

use nines_shared::id::RegionId;
use nines_shared::sample::{Evidence, Outcome, Sample};
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::certificate::CHANGED;
use super::instants::failing_checks;
use super::{Incident, Kind, RegionViews, Scene};
use crate::uptime::Verdict;
use crate::uptime::calendar;
use crate::uptime::service::{CheckAssessment, ServiceAssessment};
use crate::words;

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

    pub(super) fn of(self, sample: &Sample) -> Option<String> {
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
    // Neither the probe's word nor the target's is to be trusted with our terminals.
    let digest: String = leaf.sha256.chars().filter(char::is_ascii_hexdigit).take(16).collect();
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

/// What `samples` have in common and how they differ, aspect by aspect; only those that are `bad` are looked
/// at, and aspects that none of them shows are left out.
pub fn findings(samples: &[Sample], bad: Outcome) -> Vec<Finding> {
    let failing: Vec<&Sample> = samples.iter().filter(|sample| sample.outcome == bad).collect();
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

/// The outcome of the samples that make an incident of `kind`.
pub fn bad(kind: Kind) -> Outcome {
    match kind {
        Kind::Degraded => Outcome::Degraded,
        Kind::Outage | Kind::Suspected | Kind::BurnRate | Kind::Certificate | Kind::Coverage | Kind::Probe => {
            Outcome::Down
        }
    }
}

/// The scene of a failure of `kind` as it is at `at`, from the assessment and the failing checks' latest samples.
pub fn scene(assessment: &ServiceAssessment, (kind, at): (Kind, Timestamp), latest: &[Sample]) -> Scene {
    let bad = bad(kind);
    let fails = if bad == Outcome::Degraded { Verdict::Degraded } else { Verdict::Down };
    let failing: Vec<&CheckAssessment> = failing_checks(assessment, fails, at).collect();
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
    let mut telling = relevant.iter().filter(|sample| sample.outcome == bad);
    Scene {
        regions: RegionViews {
            failing: match fails {
                Verdict::Degraded => of(|word| word == Verdict::Down || word == Verdict::Degraded),
                Verdict::Up | Verdict::Unknown | Verdict::Down => of(|word| word == Verdict::Down),
            },
            unknown: of(|word| word == Verdict::Unknown),
            up: match fails {
                Verdict::Degraded => of(|word| word == Verdict::Up),
                Verdict::Up | Verdict::Unknown | Verdict::Down => {
                    of(|word| word == Verdict::Up || word == Verdict::Degraded)
                }
            },
        },
        findings: findings(&relevant, bad),
        detail: telling.find_map(|sample| sample.detail.clone()),
        measured: None,
        checks,
    }
}

/// What, since when, where from, why: the first line of every message and page about an incident.
pub fn headline(incident: &Incident) -> String {
    let since = calendar::utc(incident.instants.started_at);
    let what = incident.words();
    let when = match incident.instants.ended_at {
        _ if incident.withdrawn => format!("was taken for {what} since {since}, which late results disprove"),
        Some(_) if incident.reason() == Some(CHANGED) => format!("is {what} since {since}"),
        None => format!("is {what} since {since}"),
        Some(ended_at) => {
            let length = words::length(ended_at.since(incident.instants.started_at));
            format!("was {what} for {length} from {since}")
        }
    };
    let mut line = format!("{} {when}", incident.subject);
    if !incident.scene.regions.failing.is_empty() {
        line.push_str(if incident.kind == Kind::Probe { ", region " } else { ", seen from " });
        line.push_str(&listed(&incident.scene.regions.failing));
    }
    let why = match &incident.scene.measured {
        Some(measured) => measured.words(),
        None => why(&incident.scene),
    };
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

#[cfg(test)]
mod tests {
    use nines_shared::sample::{Certificate, Hop, Phase, Phases, Reason, SampleKind, TlsEvidence};

    use super::*;

    fn down(region: &str, reason: Reason, evidence: Evidence) -> Sample {
        Sample {
            check: "shop-home".parse().unwrap(),
            region: region.parse().unwrap(),
            probe: None,
            kind: SampleKind::Planned,
            scheduled_at: Timestamp::from_ms(0),
            started_at: Timestamp::from_ms(0),
            outcome: Outcome::Down,
            reason: Some(reason),
            phase: Some(Phase::FirstByte),
            detail: None,
            duration_us: None,
            phases_us: Phases::default(),
            attempt: 1,
            trace_id: None,
            evidence: Some(Box::new(evidence)),
        }
    }

    fn at(address: &str) -> Evidence {
        Evidence { address: Some(address.parse().unwrap()), ..Evidence::default() }
    }

    fn find(found: &[Finding], aspect: Aspect) -> &Finding {
        found.iter().find(|finding| finding.aspect == aspect).unwrap()
    }

    #[test]
    fn what_all_failures_share_is_common_and_what_they_do_not_is_told_by_region() {
        let samples = [
            down("us-east", Reason::HttpTimeout, at("192.0.2.1:443")),
            down("eu-west", Reason::HttpTimeout, at("192.0.2.2:443")),
            Sample { outcome: Outcome::Up, ..down("ap-south", Reason::Slow, at("192.0.2.3:443")) },
        ];
        let found = findings(&samples, Outcome::Down);
        assert_eq!(find(&found, Aspect::Reason).common(), Some("http_timeout"));
        assert_eq!(find(&found, Aspect::Phase).common(), Some("first_byte"));
        let addresses = find(&found, Aspect::Address);
        assert_eq!(addresses.common(), None);
        assert_eq!(addresses.values.len(), 2, "only failing samples speak");
        assert_eq!(addresses.values[0].regions, ["us-east".parse().unwrap()]);
        let scene = Scene { findings: found, ..Scene::default() };
        assert_eq!(why(&scene), "http_timeout in first_byte");
    }

    #[test]
    fn what_one_failure_lacks_is_not_common_to_all() {
        let samples = [
            down("us-east", Reason::HttpTimeout, at("192.0.2.1:443")),
            down("eu-west", Reason::DnsTimeout, Evidence::default()),
        ];
        let found = findings(&samples, Outcome::Down);
        assert_eq!(find(&found, Aspect::Address).common(), None);
        let scene = Scene { findings: found, ..Scene::default() };
        assert_eq!(why(&scene), "dns_timeout (eu-west), http_timeout (us-east) in first_byte");
    }

    #[test]
    fn a_certificate_and_a_status_are_told_and_the_targets_words_can_not_draw() {
        let leaf = Certificate {
            subject: "CN=\u{1b}[31mshop".into(),
            not_after: Timestamp::from_ms(1_790_000_000_000),
            sha256: "\u{1b}[ab".repeat(32),
            ..Certificate::default()
        };
        let hop = Hop {
            url: String::new(),
            proxy: None,
            address: None,
            status: Some(503),
            version: None,
            phases_us: Phases::default(),
        };
        let tls = TlsEvidence { chain: vec![leaf], ..TlsEvidence::default() };
        let evidence = Evidence { hops: vec![hop], tls: Some(tls), ..Evidence::default() };
        let found = findings(&[down("us-east", Reason::HttpStatus, evidence)], Outcome::Down);
        assert_eq!(find(&found, Aspect::Status).common(), Some("503"));
        let shown = find(&found, Aspect::Certificate).common().unwrap();
        assert_eq!(shown, "CN= [31mshop until 2026-09-21T14:13:20Z (abababababababab)");
    }
}
