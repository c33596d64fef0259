//! Certificates: (what targets have shown, thresholds, now) → which one ends soon, and which one is new.
//!
//! A certificate that ends soon is a ticket before it is an outage. One that takes the place of another is for the
//! record: whoever looks for a cause later finds it. Only what a check accepted counts: a certificate that it refuses
//! is an outage's business. Limits: a target that shows several in turn is told of each of them once, and of at most
//! [`MAX_CHANGES`] in a day; samples of several parts do not tell; a region where the old certificate was told after
//! the new one had been seen is watched for both until the old one is [`CURRENT_MS`] old.

use nines_shared::id::{CheckId, RegionId};
use nines_shared::sample::{Certificate, Outcome, Sample, TlsEvidence, detail};
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Where no threshold is named: 21 days, in ms.
pub const DEFAULT_WARN_MS: i64 = 21 * 86_400_000;
/// What was shown longer ago than this, in ms, says nothing of the present: probes tell of a chain every six hours at
/// least.
pub const CURRENT_MS: i64 = 13 * 3_600_000;

/// The most changes that one service is told of in a day.
pub const MAX_CHANGES: usize = 5;
/// The reason of a certificate that ends soon.
pub const ENDS_SOON: &str = "certificate_ends_soon";
/// The reason of one that took the place of another.
pub const CHANGED: &str = "chain_changed";

/// A certificate as one region was shown it by one check's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// By which check.
    pub check: CheckId,
    /// In which region.
    pub region: RegionId,
    /// What.
    pub leaf: Leaf,
    /// When it was first shown there.
    pub first_seen_at: Timestamp,
    /// When it was last told of.
    pub seen_at: Timestamp,
}

/// What is told of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Whom the target's own certificate names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// SHA-256 of it, hex.
    pub sha256: String,
    /// SHA-256 of its public key.
    pub pin: String,
    /// When the first certificate on the path that was verified ends.
    pub ends_at: Timestamp,
}

impl Leaf {
    /// What `sample` shows, where it shows a chain and found nothing wrong with it.
    pub fn of(sample: &Sample) -> Option<Self> {
        match sample.outcome {
            Outcome::Up | Outcome::Degraded => {}
            Outcome::Down | Outcome::Inconclusive => return None,
        }
        let tls = sample.evidence.as_ref()?.tls.as_ref()?;
        let own = tls.chain.first()?;
        let clean = |text: &str| detail(text);
        Some(Self {
            subject: clean(&own.subject),
            issuer: clean(&own.issuer),
            sha256: clean(&own.sha256),
            pin: clean(&own.pin),
            ends_at: on_the_path(tls).map(|one| one.not_after).min().unwrap_or(own.not_after),
        })
    }

    /// Enough of its digest to tell it from another.
    fn short(&self) -> String {
        self.sha256.chars().take(16).collect()
    }
}

/// The target's own certificate and those of the chain that the path to a root goes by: what is merely sent along may
/// be old.
fn on_the_path(tls: &TlsEvidence) -> impl Iterator<Item = &Certificate> {
    tls.chain
        .iter()
        .enumerate()
        .filter(|(index, one)| *index == 0 || tls.path.contains(&one.subject))
        .map(|(_, one)| one)
}

/// What an incident about a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// By which check it is shown.
    pub check: CheckId,
    /// The certificate.
    pub leaf: Leaf,
    /// The one before, where this is about a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Leaf>,
}

impl Notice {
    /// Whole days until it ends at `now`; negative where it has ended.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        self.leaf.ends_at.since(now).div_euclid(86_400_000)
    }

    /// In one line.
    pub fn words(&self) -> String {
        let ends = crate::uptime::calendar::utc(self.leaf.ends_at);
        let Some(before) = &self.before else {
            return format!("{} of {} ends at {ends}", self.leaf.subject, self.check);
        };
        let key = if before.pin == self.leaf.pin { "the same key" } else { "another key" };
        format!(
            "{} by {} until {ends} ({}) after {} ({}), {key}",
            self.leaf.subject,
            self.leaf.issuer,
            self.leaf.short(),
            before.issuer,
            before.short()
        )
    }
}

/// What is current among `shown`: told of late, and not before another one was first seen in its place.
fn current(shown: &[Shown], now: Timestamp) -> impl Iterator<Item = &Shown> {
    let current = move |one: &&Shown| {
        let same = |other: &&Shown| other.check == one.check && other.region == one.region;
        let replaced = shown.iter().filter(same).any(|other| one.seen_at < other.first_seen_at);
        !replaced && now.since(one.seen_at) < CURRENT_MS
    };
    shown.iter().filter(current)
}

/// What ends first of what is shown now, and whether that is soon; `None` where nothing is known to be shown.
pub fn ends_first(shown: &[Shown], warn_ms: impl Fn(&CheckId) -> i64, now: Timestamp) -> Option<(&Shown, bool)> {
    let margin = |one: &&Shown| one.leaf.ends_at.since(now) - warn_ms(&one.check);
    let first = current(shown, now).filter(|one| 0 < warn_ms(&one.check)).min_by_key(margin)?;
    Some((first, margin(&first) < 0))
}

/// The certificates that took the place of another in some region since `since`, with when that was first seen. One
/// that another region has shown before is none.
pub fn changes(shown: &[Shown], since: Timestamp) -> Vec<(Notice, Timestamp)> {
    let mut found: Vec<(Notice, Timestamp)> = Vec::new();
    let mut known: Vec<&Shown> = shown.iter().collect();
    known.sort_by_key(|one| (one.first_seen_at, &one.leaf.sha256));
    for (index, one) in known.iter().enumerate() {
        let mut before = known[..index].iter().rev().filter(|other| other.check == one.check);
        let newest = before.clone().find(|other| other.region == one.region);
        let is_new = before.all(|other| other.leaf.sha256 != one.leaf.sha256);
        if let Some(newest) = newest.filter(|_| is_new && since <= one.first_seen_at) {
            let (leaf, before) = (one.leaf.clone(), Some(newest.leaf.clone()));
            found.push((Notice { check: one.check.clone(), leaf, before }, one.first_seen_at));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::sample::{Evidence, Phases, SampleKind};

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + hours * 3_600_000)
    }

    fn shown(region: &str, sha256: &str, days: i64, (first, last): (i64, i64)) -> Shown {
        Shown {
            check: "shop".parse().unwrap(),
            region: region.parse().unwrap(),
            leaf: Leaf {
                subject: "CN=shop".into(),
                issuer: "CN=ca".into(),
                sha256: sha256.into(),
                pin: "sha256/x".into(),
                ends_at: at(days * 24),
            },
            first_seen_at: at(first),
            seen_at: at(last),
        }
    }

    #[test]
    fn what_ends_first_of_what_is_shown_now_decides() {
        let ends = |all: &[Shown], warn_days: i64| {
            ends_first(all, |_| warn_days * 86_400_000, at(0)).map(|(one, soon)| (one.leaf.sha256.clone(), soon))
        };
        let old = shown("eu", "old", 5, (-900, -8));
        let new = shown("eu", "new", 90, (-2, -2));
        let lagging = shown("us", "old", 20, (-900, -1));
        assert_eq!(ends(&[old.clone(), new.clone()], 21), Some(("new".into(), false)), "it was renewed");
        let both = [shown("eu", "old", 5, (-900, -1)), new.clone()];
        assert_eq!(ends(&both, 21), Some(("old".into(), true)), "one of several servers has it still");
        assert_eq!(ends(&[old.clone(), new.clone(), lagging], 21), Some(("old".into(), true)), "not everywhere");
        assert_eq!(ends(&[shown("eu", "a", 21, (0, 0))], 21), Some(("a".into(), false)));
        assert_eq!(ends(&[shown("eu", "a", 20, (0, 0))], 21), Some(("a".into(), true)));
        assert_eq!(ends(&[shown("eu", "a", 5, (-900, -14))], 21), None, "nobody knows what is shown now");
        assert_eq!(ends(&[old], 0), None, "nought watches none");
    }

    #[test]
    fn a_change_is_told_once_for_all_regions_and_the_first_is_none() {
        let all = [
            shown("eu", "a", 90, (-100, -1)),
            shown("us", "a", 90, (-99, -1)),
            shown("us", "b", 90, (-3, 0)),
            shown("eu", "b", 90, (-2, 0)),
        ];
        let told: Vec<(String, Timestamp)> =
            changes(&all, at(-24)).into_iter().map(|(notice, when)| (notice.leaf.sha256, when)).collect();
        assert_eq!(told, [("b".to_owned(), at(-3))]);
        assert_eq!(changes(&all[..2], at(-24)), []);
        assert_eq!(changes(&all, at(-1)), [], "old news");
        let apart = [shown("eu", "a", 90, (-3, 0)), shown("us", "b", 90, (-2, 0))];
        assert_eq!(changes(&apart, at(-24)), [], "each region always had its own");
    }

    fn blank() -> Sample {
        Sample {
            check: "shop".parse().unwrap(),
            region: "eu".parse().unwrap(),
            probe: None,
            kind: SampleKind::Planned,
            scheduled_at: at(0),
            started_at: at(0),
            outcome: Outcome::Up,
            reason: None,
            phase: None,
            detail: None,
            duration_us: None,
            phases_us: Phases::default(),
            attempt: 1,
            trace_id: None,
            evidence: None,
        }
    }

    #[test]
    fn only_what_a_check_accepted_is_noted_and_what_is_merely_sent_along_does_not_count() {
        let one = |subject: &str, days: i64| Certificate {
            subject: subject.into(),
            not_after: at(days * 24),
            ..Certificate::default()
        };
        let tls = TlsEvidence {
            chain: vec![one("CN=shop", 90), one("CN=between", 40), one("CN=old", 2)],
            path: vec!["CN=shop".into(), "CN=between".into(), "CN=root".into()],
            ..TlsEvidence::default()
        };
        let sample = |outcome| {
            let evidence = Evidence { tls: Some(tls.clone()), ..Evidence::default() };
            Sample { outcome, evidence: Some(Box::new(evidence)), ..blank() }
        };
        for (outcome, wanted) in [
            (Outcome::Up, Some(at(40 * 24))),
            (Outcome::Degraded, Some(at(40 * 24))),
            (Outcome::Down, None),
            (Outcome::Inconclusive, None),
        ] {
            assert_eq!(Leaf::of(&sample(outcome)).map(|leaf| leaf.ends_at), wanted, "{outcome}");
        }
    }
}
