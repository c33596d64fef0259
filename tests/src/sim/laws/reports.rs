//! INV-7 and INV-8: what is said to people, and whether it stays.

use std::fmt::Write as _;

use nines::report::life;
use nines::store::incidents::{self, Filter};
use nines::store::{outbox, reports};
use serde_json::Value;

use super::Law;
use crate::sim::aggregator::{Aggregator, Did};
use crate::sim::world::World;

/// All that the aggregator says to people, a line each: incidents with their logs, letters, frozen reports.
pub(super) fn testimony(aggregator: &Aggregator) -> String {
    let mut text = String::new();
    let all = Filter::default();
    aggregator.read(|conn| {
        for incident in incidents::list(conn, &all, u32::MAX)? {
            let notes = incidents::notes(conn, &incident.id)?;
            let letters = outbox::about(conn, &incident.id)?;
            let incident = serde_json::to_string(&incident).expect("an incident is plain data");
            writeln!(text, "incident {incident}\nlog {notes:?}").expect("memory takes it");
            for (letter, settled) in letters {
                writeln!(text, "letter {letter:?} {settled:?}").expect("memory takes it");
            }
        }
        for kept in reports::list(conn, None)? {
            let found = reports::find(conn, &kept.customer, &kept.month, Some(kept.revision))?;
            writeln!(text, "report {}", found.map(|(_, body)| body).unwrap_or_default()).expect("memory takes it");
        }
        Ok(())
    });
    text
}

/// INV-8: a report that was frozen is what it was, to the byte; nothing is left that a restatement would take in; and
/// no figure in it is above the true one.
pub(super) fn inv_8_frozen_reports_stay_and_no_percentage_is_rounded_up(world: &World) -> Law {
    for (kept, text) in &world.ledger.kept {
        let found = world.aggregator.read(|conn| reports::find(conn, &kept.customer, &kept.month, Some(kept.revision)));
        let name = format!("the report of {} as revision {}", kept.month, kept.revision);
        match found {
            Some((_, now)) if now == *text => {}
            Some(_) => return Err(format!("INV-8: {name} is not what was frozen")),
            None => return Err(format!("INV-8: {name} is gone")),
        }
        let report: Value = serde_json::from_str(text).expect("a report is JSON");
        for service in report["services"].as_array().into_iter().flatten() {
            floored(service).map_err(|why| format!("INV-8: {name}: {why}"))?;
        }
    }
    match world.aggregator.read(life::all_due).first() {
        Some((kept, due)) => Err(format!("INV-8: {} was restated, and still there is: {due}", kept.month)),
        None => Ok(()),
    }
}

/// INV-8: a month that can be restated was said to be due before.
///
/// # Errors
/// Which was not.
pub fn inv_8_what_comes_late_is_noticed(did: Option<&Did>, is_due: bool) -> Law {
    match did {
        Some(Did::Kept(report)) if !is_due => {
            Err(format!("INV-8: {} has other figures by now, and nothing was said to be due", report.0.month))
        }
        Some(_) | None => Ok(()),
    }
}

/// Availability and coverage are the exact ratios, rounded down.
fn floored(service: &Value) -> Result<(), String> {
    let ms = |key: &str| service["accounts"][key].as_i64().unwrap_or(-1);
    let good = ms("up_ms") + ms("degraded_ms");
    let observed = good + ms("down_ms");
    let counted = observed + ms("unknown_ms");
    for (key, part, whole) in [("availability_ppm", good, observed), ("coverage_ppm", observed, counted)] {
        let exact = (whole != 0).then(|| i128::from(part) * 1_000_000 / i128::from(whole));
        let printed = service[key].as_i64().map(i128::from);
        if printed != exact {
            return Err(format!("{key} is {printed:?} and should be {exact:?}, of {part} and {whole} ms"));
        }
    }
    Ok(())
}
