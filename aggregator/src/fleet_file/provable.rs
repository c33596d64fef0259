//! Whether what was promised can be shown to have been kept, by what is asked: the resolution of the checks,
//! their quorums, and the objective that is to warn before the contract breaks.

use nines_shared::check::Check;
use nines_shared::duration::Shown;

use super::advice::Spots;
use super::reader::Table;
use crate::definition::{Fleet, Period, Service, Sla};
use crate::words;

/// A month, for advice: the shortest contract of a year is not much shorter.
const MONTH_MS: i64 = 30 * 86_400_000;
/// A contract's budget should be at least so many steps, or a single look decides it.
const STEPS_OF_BUDGET: i64 = 10;

/// A bias below this part of an effective step is none: phases lie on a grid.
const STEPS_OF_NOTE: i64 = 100;

/// Notes what can't be shown.
pub(super) fn advise(root: &Table<'_>, fleet: &Fleet, spots: &Spots) {
    for (check, spot) in fleet.checks.iter().zip(&spots.checks) {
        for (message, mend) in of_quorum(check).into_iter().chain(of_recheck(check)) {
            root.notes.warn(spot, message, Some(mend));
        }
    }
    for (service, spot) in fleet.services.iter().zip(&spots.services) {
        let checks: Vec<&Check> = fleet.checks.iter().filter(|check| check.service == service.id).collect();
        for sla in contracts(service) {
            if let Some((message, mend)) = of_step(service, sla, &checks) {
                root.notes.warn(spot, message, Some(mend));
            }
        }
        let strictest = contracts(service).map(|sla| sla.objective_ppm).max();
        if let (Some(slo), Some(strictest)) = (&service.slo, strictest)
            && slo.availability_ppm < strictest
        {
            let mend = "aim higher than what you signed, so that the budget warns before the contract breaks";
            root.notes.warn(spot, "the SLO is weaker than the SLA", Some(mend.to_owned()));
        }
    }
}

fn contracts(service: &Service) -> impl Iterator<Item = &Sla> {
    service.sla.iter().chain(service.contracts.iter().map(|contract| &contract.sla))
}

/// Where the quorum is more than half and one, fewer silent regions than its half leave no verdict.
fn of_quorum(check: &Check) -> Option<(String, String)> {
    let (n, q) = (check.regions.len(), usize::from(check.quorum));
    let silent = (n + 1).checked_sub(q)?;
    if 2 * q <= n + 1 {
        return None;
    }
    let regions = if silent == 1 { "region is" } else { "regions are" };
    let message = format!("with {n} regions and quorum {q}, no outage can be shown while {silent} {regions} silent");
    Some((message, format!("ask from {} regions, or take the quorum that follows from an odd number", 2 * q - 1)))
}

/// Re-checks see the end of an outage sooner and not its start, see [`Check::recheck_bias_ms`].
fn of_recheck(check: &Check) -> Option<(String, String)> {
    let bias = check.recheck_bias_ms();
    let step = check.interval_ms / i64::try_from(check.regions.len()).ok()?;
    if bias.saturating_mul(STEPS_OF_NOTE) < step {
        return None;
    }
    let message = format!(
        "with recheck {}, an outage's end is seen sooner than its start: measured outages come out {} too short on average",
        Shown(check.recheck_ms),
        Shown(bias)
    );
    Some((message, "leave recheck out; the first good sample makes every failing region look again at once".to_owned()))
}

/// The effective step is the interval over the number of regions: how far apart two looks of the fleet are.
fn of_step(service: &Service, sla: &Sla, checks: &[&Check]) -> Option<(String, String)> {
    let period_ms = match sla.period {
        Period::Month => MONTH_MS,
        Period::Rolling(ms) => ms,
    };
    let allowed = i128::from(1_000_000 - sla.objective_ppm.min(1_000_000)) * i128::from(period_ms) / 1_000_000;
    let budget_ms = i64::try_from(allowed).ok()?;
    let step = |check: &&Check| check.interval_ms / i64::try_from(check.regions.len()).unwrap_or(i64::MAX);
    let step_ms = checks.iter().map(step).max()?;
    if step_ms.saturating_mul(STEPS_OF_BUDGET) <= budget_ms {
        return None;
    }
    if budget_ms == 0 {
        let message =
            format!("{} of service {} allows no downtime at all", words::objective(sla.objective_ppm), service.id);
        return Some((message, "promise what can be kept, such as 99.95".to_owned()));
    }
    let message = format!(
        "{} of service {} can't be shown by looks that are {} apart: the contract allows {} of downtime in all",
        words::objective(sla.objective_ppm),
        service.id,
        Shown(step_ms),
        Shown(budget_ms),
    );
    let mend =
        format!("look every {} or oftener: a shorter interval, or more regions", Shown(budget_ms / STEPS_OF_BUDGET));
    Some((message, mend))
}
