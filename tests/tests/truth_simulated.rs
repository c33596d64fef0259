//! Truth over many outages, without waiting for them: the same slots and the same accounts as in the field, over a
//! world that is known. Where no ask is answered, the mean error of a measured outage is (n − 2q + 1) · interval / n
//! (`docs/METHOD.md`): nought for n = 2q − 1. `truth_confirmed.rs` has what holds where asks are answered.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use nines::uptime::service::assess;
use nines::uptime::{Observed, RegionSamples};
use nines_shared::check::Check;
use nines_shared::sample::SampleKind;
use nines_shared::time::{Span, Timestamp};
use nines_tests::simulated::{BEGIN_MS, World, check, record};

const INTERVAL_MS: i64 = 60_000;
/// Phases are rounded down to this grid, so steps are even only to within it.
const GRID_MS: i64 = 100;
const OUTAGES: usize = 2_000;
/// How far the mean may stray from the law: five times its standard error, which for errors spread over less than
/// ± one step is below step / √3 / √2000.
const STRAY: f64 = 0.07;

#[test]
fn where_no_ask_is_answered_the_mean_error_is_nought_for_n_2k_minus_1_and_the_law_holds_for_the_others() {
    for (n, q) in [(1_u16, 1_u16), (3, 2), (5, 3), (7, 4), (2, 2), (4, 3), (5, 2), (3, 1)] {
        let world = World::new(OUTAGES, u64::from(n) * 100 + u64::from(q));
        let check = check(n, q, INTERVAL_MS);
        let assessment = assess(&record(&check, slots(&check, &world)), world.span(), world.end.plus_ms(86_400_000));
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

/// What the regions see at their slots and at no other time.
fn slots(check: &Check, world: &World) -> Vec<RegionSamples> {
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
    regions.collect()
}
