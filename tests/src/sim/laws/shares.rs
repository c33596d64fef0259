//! INV-1 and INV-3 where probes share a region: no slot is let go, and none is looked at twice for long.
//!
//! By what each probe did, against who of them was well; which of them the planner chose is not asked.

use std::collections::BTreeSet;

use nines::sharing::{RETURN_MS, SILENT_MS};
use nines::uptime::calendar::utc;
use nines_shared::id::ProbeId;
use nines_shared::sample::SampleKind;
use nines_shared::time::{Span, Timestamp};

use super::Law;
use super::spans::union;
use crate::sim::plan::{Fault, TIMEOUT_MS};
use crate::sim::world::{POLL_MS, World};

/// Within this time after somebody fell silent another has its checks, in ms. And within it whoever could hear nothing
/// has heard what the others know.
const TAKEN_OVER_MS: i64 = SILENT_MS + RETURN_MS + 2 * POLL_MS;

/// INV-1: a slot of a region of which a probe is well has a sample, unless who is well there changed of late.
pub(super) fn inv_1_a_slot_has_a_sample_where_a_probe_is_well(world: &World) -> Law {
    for place in 0..world.plan.regions {
        let ills = ills(world, place);
        let well = |due: Timestamp| ills.iter().any(|ill| !ill.iter().any(|span| span.contains(due)));
        for due in slots(world, place).into_iter().filter(|due| well(*due) && !changed(&ills, *due, TAKEN_OVER_MS)) {
            if looked(world, place, due).is_empty() {
                return Err(format!("INV-1: nobody looked from region {place} at {}, and a probe was well", utc(due)));
            }
        }
    }
    Ok(())
}

/// INV-3: a slot of a region whose probes are all well, and have been for as long as shares take to move, is looked at
/// by one of them.
pub(super) fn inv_3_a_slot_has_one_owner_where_all_are_well(world: &World) -> Law {
    // How a probe is, it tells with what it sends next; what it measured of its clock, with what it sends after that.
    let moved_ms = RETURN_MS + TAKEN_OVER_MS + world.plan.interval_ms;
    for place in 0..world.plan.regions {
        let ills = ills(world, place);
        let well = |due: Timestamp| ills.iter().flatten().all(|span| !span.contains(due));
        for due in slots(world, place).into_iter().filter(|due| well(*due) && !changed(&ills, *due, moved_ms)) {
            let looked = looked(world, place, due);
            if 1 < looked.len() {
                return Err(format!("INV-3: {looked:?} all looked at {}, and all were well", utc(due)));
            }
        }
    }
    Ok(())
}

/// All slots of the check in a region, by the fleet file in force.
fn slots(world: &World, place: usize) -> Vec<Timestamp> {
    let reloads = world.plan.troubles.iter().filter(|trouble| trouble.fault == Fault::Reloaded);
    let reloads: Vec<Span> = reloads.map(|trouble| trouble.span).collect();
    let mut slots = Vec::new();
    for (file, fleet) in world.plan.fleets.iter().enumerate() {
        let check = &fleet.checks[0];
        let cadence = check.cadence(&check.regions[place]).expect("a region of the check");
        let mut due = cadence.after(world.plan.life.from.plus_ms(TAKEN_OVER_MS));
        while due < world.plan.end().plus_ms(-2 * TIMEOUT_MS) {
            if usize::from(reloads.iter().any(|span| span.contains(due))) == file {
                slots.push(due);
            }
            due = cadence.after(due);
        }
    }
    slots
}

/// Which probes have a sample of the slot that is due then.
fn looked(world: &World, place: usize, due: Timestamp) -> BTreeSet<ProbeId> {
    let check = &world.plan.fleets[0].checks[0];
    let identity = (check.id.clone(), check.regions[place].clone(), SampleKind::Planned, due);
    let samples = world.ledger.committed.get(&identity);
    samples.into_iter().flatten().filter_map(|sample| sample.probe.clone()).collect()
}

/// Whether somebody fell ill or got well within `ms` before the slot, or while it is looked at.
fn changed(ills: &[Vec<Span>], due: Timestamp, ms: i64) -> bool {
    let near = Span::new(due.plus_ms(-ms), due.plus_ms(2 * TIMEOUT_MS));
    ills.iter().flatten().any(|span| near.contains(span.from) || near.contains(span.to))
}

/// For each probe of a region when it was not well, or not heard, or could hear nothing.
fn ills(world: &World, place: usize) -> Vec<Vec<Span>> {
    let moment = |at: Timestamp| Span::new(at, at.plus_ms(1));
    let of = |probe: usize| {
        let ills = world.plan.troubles.iter().flat_map(|trouble| {
            let Span { from, to } = trouble.span;
            match (trouble.fault == Fault::Reloaded, is_ill(trouble.fault, probe)) {
                (true, _) => vec![moment(from), moment(to)],
                (false, true) => vec![trouble.span],
                (false, false) => Vec::new(),
            }
        });
        union(ills.collect())
    };
    (0..world.probes.len()).filter(|probe| world.probes[*probe].place == place).map(of).collect()
}

fn is_ill(fault: Fault, probe: usize) -> bool {
    match fault {
        Fault::ProbeKilled(who)
        | Fault::ProbeFrozen(who)
        | Fault::Offline(who)
        | Fault::ProbeClock(who, _)
        | Fault::CutOut(who)
        | Fault::CutBack(who)
        | Fault::SlowDisk(who)
        | Fault::Lossy(who) => who == probe,
        Fault::AggregatorKilled | Fault::AggregatorClock(_) => true,
        Fault::Liar(_)
        | Fault::Reloaded
        | Fault::Local(_)
        | Fault::AggregatorSlow
        | Fault::ChannelDown(_)
        | Fault::Silenced
        | Fault::Maintenance
        | Fault::Granted => false,
    }
}
