//! Truth over many outages, without waiting for them: the same slots and the same accounts as in the field, over a
//! world that is known. The mean error of a measured outage is (n − 2q + 1) · interval / n (`docs/METHOD.md`):
//! nought for n = 2q − 1.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use nines::definition::{Service, ServiceRule};
use nines::uptime::service::assess;
use nines::uptime::{CheckRecord, CheckVersion, Observed, RegionSamples, ServiceRecord};
use nines_shared::check::{Check, Draft, HttpQuestion, Question};
use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::time::{Span, Timestamp};

const INTERVAL_MS: i64 = 60_000;
/// Phases are rounded down to this grid, so steps are even only to within it.
const GRID_MS: i64 = 100;
const BEGIN_MS: i64 = 1_790_000_000_000;
const OUTAGES: usize = 2_000;
/// How far the mean may stray from the law: five times its standard error, which for errors spread over less than
/// ± one step is below step / √3 / √2000.
const STRAY: f64 = 0.07;

#[test]
fn over_many_outages_the_mean_error_is_nought_for_n_2k_minus_1_and_the_law_holds_for_the_others() {
    for (n, q) in [(1_u16, 1_u16), (3, 2), (5, 3), (7, 4), (2, 2), (4, 3), (5, 2), (3, 1)] {
        let world = World::new(u64::from(n) * 100 + u64::from(q));
        let check = check(n, q);
        let record = record(&check, &world);
        let span = Span::new(Timestamp::from_ms(BEGIN_MS), world.end);
        let assessment = assess(&record, span, world.end.plus_ms(86_400_000));
        assert_eq!(assessment.outages.len(), OUTAGES, "{q} of {n}: each outage is found, none is invented");
        let step = INTERVAL_MS / i64::from(n);
        let slack = step + 2 * GRID_MS;
        let mut sum = 0;
        for (measured, truth) in assessment.outages.iter().zip(&world.outages) {
            let error = measured.span.length_ms() - truth.length_ms();
            sum += error;
            let law = (i64::from(n) - 2 * i64::from(q) + 1) * step;
            assert!((error - law).abs() <= slack, "{q} of {n}: {error} ms is within a step of the law");
            let late = i64::from(q) * step + GRID_MS;
            assert!(
                (0..=late).contains(&measured.span.from.since(truth.from)),
                "{q} of {n}: the start is within quorum × step"
            );
            assert!(
                measured.at_least_ms <= measured.span.length_ms() && measured.span.length_ms() <= measured.at_most_ms
            );
            assert!(
                measured.at_least_ms - slack <= truth.length_ms() && truth.length_ms() <= measured.at_most_ms + slack,
                "{q} of {n}: {measured:?} {truth:?}"
            );
        }
        let mean_steps = sum as f64 / OUTAGES as f64 / step as f64;
        let law = f64::from(n) - 2.0 * f64::from(q) + 1.0;
        assert!(
            (mean_steps - law).abs() < STRAY,
            "{q} of {n}: the mean error is {mean_steps:.3} steps, the law says {law}"
        );
    }
}

/// What truly happened: outages of 3 to 20 minutes, 5 to 30 minutes apart, in all regions at once.
struct World {
    outages: Vec<Span>,
    end: Timestamp,
}

impl World {
    fn new(mut dice: u64) -> Self {
        let mut below = |n: i64| {
            // Knuth's MMIX constants: the same world for the same seed.
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(dice >> 33).unwrap() % n
        };
        let mut at = Timestamp::from_ms(BEGIN_MS);
        let mut outages = Vec::new();
        for _ in 0..OUTAGES {
            let from = at.plus_ms(300_000 + below(1_500_000));
            let to = from.plus_ms(180_000 + below(1_020_000));
            outages.push(Span::new(from, to));
            at = to;
        }
        Self { outages, end: at.plus_ms(600_000) }
    }

    fn outcome(&self, at: Timestamp) -> Outcome {
        let next = self.outages.partition_point(|outage| outage.to <= at);
        if self.outages.get(next).is_some_and(|outage| outage.contains(at)) { Outcome::Down } else { Outcome::Up }
    }
}

fn check(n: u16, quorum: u16) -> Check {
    let regions = (0..n).map(|i| format!("region-{i}").parse().unwrap()).collect();
    let question = Question::Http(Box::new(HttpQuestion::get("https://shop.example/".parse().unwrap())));
    let mut draft = Draft::new("shop-home".parse().unwrap(), "shop".parse().unwrap(), regions, question);
    draft.quorum = quorum;
    draft.interval_ms = INTERVAL_MS;
    Check::new(draft).unwrap()
}

fn record(check: &Check, world: &World) -> ServiceRecord {
    let span = Span::new(Timestamp::from_ms(BEGIN_MS - 2 * INTERVAL_MS), world.end.plus_ms(2 * INTERVAL_MS));
    let regions = check.regions.iter().map(|region| {
        let slots = check.cadence(region).unwrap().slots_in(span);
        let samples = slots.map(|at| Observed {
            scheduled_at: at,
            started_at: at,
            kind: SampleKind::Planned,
            outcome: world.outcome(at),
            duration_us: 1,
        });
        RegionSamples { region: region.clone(), samples: samples.collect() }
    });
    ServiceRecord {
        service: Service {
            id: "shop".parse().unwrap(),
            name: "shop".to_owned(),
            customer: "acme".parse().unwrap(),
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
            regions: regions.collect(),
        }],
        maintenance: Vec::new(),
    }
}
