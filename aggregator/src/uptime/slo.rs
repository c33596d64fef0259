//! The objective: what we aim for, and what is left of its error budget.

use serde::{Deserialize, Serialize};

use super::Accounts;
use super::percentile::Percentiles;
use crate::definition::Slo;

/// An error budget: (1 − objective) × (window − excluded), in ms, floored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The objective for availability.
    pub objective_ppm: u32,
    /// The downtime that it allows.
    pub budget_ms: i64,
    /// The downtime that there was.
    pub spent_ms: i64,
    /// What is left; negative where more was spent.
    pub remaining_ms: i64,
}

/// The error budget of the objective in a window with these accounts.
pub fn budget(slo: &Slo, accounts: &Accounts) -> Budget {
    let allowed = i128::from(1_000_000_u32.saturating_sub(slo.availability_ppm));
    let budget_ms = i64::try_from(allowed * i128::from(accounts.counted_ms()) / 1_000_000).unwrap_or(i64::MAX);
    let spent_ms = accounts.down_ms;
    Budget { objective_ppm: slo.availability_ppm, budget_ms, spent_ms, remaining_ms: budget_ms - spent_ms }
}

/// How the objective for latency was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyObjective {
    /// The 95th percentile aimed for, in µs.
    pub p95_objective_us: i64,
    /// The one that was, in µs; null is no data.
    pub p95_us: Option<u32>,
    /// Whether it was at most the objective; null is no data.
    pub met: Option<bool>,
}

/// The objective for latency, where there is one, held against what was measured.
pub fn latency(slo: &Slo, measured: Option<Percentiles>) -> Option<LatencyObjective> {
    let p95_objective_us = slo.latency_p95_ms?.saturating_mul(1_000);
    let p95_us = measured.map(|percentiles| percentiles.p95);
    Some(LatencyObjective { p95_objective_us, p95_us, met: p95_us.map(|us| i64::from(us) <= p95_objective_us) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_at_the_objective_meets_it_and_none_is_no_data() {
        let slo = Slo { availability_ppm: 999_500, latency_p95_ms: Some(800), window_ms: 1 };
        let with = |p95| latency(&slo, Some(Percentiles { p50: 1, p95, p99: 900_000 })).unwrap().met;
        assert_eq!((with(800_000), with(800_001)), (Some(true), Some(false)));
        assert_eq!(latency(&slo, None).unwrap().met, None);
        assert_eq!(latency(&Slo { latency_p95_ms: None, ..slo }, None), None);
    }

    #[test]
    fn a_budget_is_floored_and_may_be_overspent() {
        let slo = Slo { availability_ppm: 999_500, latency_p95_ms: None, window_ms: 1 };
        let accounts =
            Accounts { up_ms: 999_000, unknown_ms: 999, down_ms: 2_000, excluded_ms: 77, ..Accounts::default() };
        // 1 001 999 ms count; a two-thousandth of them is 500.9995 ms.
        let expected = Budget { objective_ppm: 999_500, budget_ms: 500, spent_ms: 2_000, remaining_ms: -1_500 };
        assert_eq!(budget(&slo, &accounts), expected);
    }
}
