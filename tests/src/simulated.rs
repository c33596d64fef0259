//! A world that is known, for truth over many outages without waiting for them.

use nines::definition::{Service, ServiceRule};
use nines::uptime::{CheckRecord, CheckVersion, RegionSamples, ServiceRecord};
use nines_shared::check::{Check, Draft, HttpQuestion, Question};
use nines_shared::sample::Outcome;
use nines_shared::time::{Span, Timestamp};

/// When the world begins, in ms.
pub const BEGIN_MS: i64 = 1_790_000_000_000;

/// What truly happened: outages of 3 to 20 minutes, 5 to 30 minutes apart, in all regions at once.
#[derive(Debug)]
pub struct World {
    /// In order.
    pub outages: Vec<Span>,
    /// Some time after the last.
    pub end: Timestamp,
}

impl World {
    /// The same world for the same `dice`.
    ///
    /// # Panics
    /// Never: 31 bits fit.
    pub fn new(outages: usize, mut dice: u64) -> Self {
        let mut below = |n: i64| {
            // Knuth's MMIX constants.
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(dice >> 33).expect("31 bits") % n
        };
        let mut at = Timestamp::from_ms(BEGIN_MS);
        let mut spans = Vec::new();
        for _ in 0..outages {
            let from = at.plus_ms(300_000 + below(1_500_000));
            let to = from.plus_ms(180_000 + below(1_020_000));
            spans.push(Span::new(from, to));
            at = to;
        }
        Self { outages: spans, end: at.plus_ms(600_000) }
    }

    /// From its beginning to its end.
    pub fn span(&self) -> Span {
        Span::new(Timestamp::from_ms(BEGIN_MS), self.end)
    }

    /// What whoever looks at `at` sees.
    pub fn outcome(&self, at: Timestamp) -> Outcome {
        let next = self.outages.partition_point(|outage| outage.to <= at);
        if self.outages.get(next).is_some_and(|outage| outage.contains(at)) { Outcome::Down } else { Outcome::Up }
    }
}

/// A check of `n` regions with this quorum, every minute, with re-checks every `recheck_ms`.
///
/// # Panics
/// Where that makes no sense.
pub fn check(n: u16, quorum: u16, recheck_ms: i64) -> Check {
    let regions = (0..n).map(|i| format!("region-{i}").parse().expect("an id")).collect();
    let question = Question::Http(Box::new(HttpQuestion::get("https://shop.example/".parse().expect("a URL"))));
    let mut draft = Draft::new("shop-home".parse().expect("an id"), "shop".parse().expect("an id"), regions, question);
    (draft.quorum, draft.recheck_ms) = (quorum, recheck_ms);
    Check::new(draft).expect("a check that makes sense")
}

/// A service of `check` alone, of which its regions said `samples`.
///
/// # Panics
/// Never.
pub fn record(check: &Check, samples: Vec<RegionSamples>) -> ServiceRecord {
    ServiceRecord {
        service: Service {
            id: check.service.clone(),
            name: "shop".to_owned(),
            customer: "acme".parse().expect("an id"),
            since: None,
            rule: ServiceRule::All,
            slo: None,
            sla: None,
            contracts: Vec::new(),
        },
        timezone: "UTC".to_owned(),
        life: Span::new(Timestamp::from_ms(BEGIN_MS), Timestamp::MAX),
        checks: vec![CheckRecord {
            versions: vec![CheckVersion { valid_from: Timestamp::MIN, check: check.clone() }],
            removed_at: Timestamp::MAX,
            regions: samples,
        }],
        maintenance: Vec::new(),
    }
}
