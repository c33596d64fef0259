//! INV-4 and INV-5: what Nines says of the service, against what its probes saw and what truly happened.

use nines::uptime::{Accounts, ServiceAssessment, ServiceRecord, Verdict};
use nines_shared::sample::{Outcome, Sample, SampleKind};
use nines_shared::time::{Span, Timestamp};
use nines_shared::wire::MAX_CLOCK_OFFSET_MS;

use super::Law;
use super::spans::{held_by, uncovered, union, without};
use crate::sim::plan::{Fault, TIMEOUT_MS};
use crate::sim::world::World;

/// INV-4: up + degraded + down + unknown + excluded = window, and answered + missing = expected.
pub(super) fn inv_4_accounts_and_slots_add_up(world: &World, record: &ServiceRecord, seen: &ServiceAssessment) -> Law {
    let window = Span::new(world.plan.life.from, world.theirs());
    let mut accounts = vec![("the service", seen.accounts)];
    accounts.extend(seen.checks.iter().map(|check| ("its check", check.accounts)));
    for (whose, sums) in accounts {
        if sum(&sums) != window.length_ms() {
            return Err(format!("INV-4: the accounts of {whose} are {} ms of {}", sum(&sums), window.length_ms()));
        }
    }
    for (check, asked) in seen.checks.iter().zip(&record.checks) {
        // What is younger than a slot's patience may still be under way.
        let settled = Span::new(window.from, window.to.plus_ms(-2 * world.plan.interval_ms));
        let counted: i64 = check.regions.iter().map(|region| region.slots_expected).sum();
        let (least, most) = (slots(asked, settled), slots(asked, window));
        if !(least..=most).contains(&counted) {
            return Err(format!("INV-4: {counted} slots are expected where {least} to {most} were due"));
        }
        let answered: i64 = check.regions.iter().map(|region| region.slots_answered).sum();
        if answered != check.slots_answered || counted != check.slots_expected || counted < answered {
            return Err(format!(
                "INV-4: {answered} of {counted} slots by region, {} of {}",
                check.slots_answered, check.slots_expected
            ));
        }
    }
    Ok(())
}

fn sum(accounts: &Accounts) -> i64 {
    accounts.up_ms + accounts.degraded_ms + accounts.down_ms + accounts.unknown_ms + accounts.excluded_ms
}

/// How many slots of all versions and regions were due in `window`.
fn slots(check: &nines::uptime::CheckRecord, window: Span) -> i64 {
    let ends = check.versions.iter().skip(1).map(|version| version.valid_from).chain([Timestamp::MAX]);
    let versions = check.versions.iter().zip(ends).filter_map(|(version, to)| {
        let lived = Span { from: version.valid_from, to }.intersection(window)?;
        let of_region = |region| version.check.cadence(region).map_or(0, |cadence| cadence.count_in(lived));
        Some(version.check.regions.iter().map(of_region).sum::<i64>())
    });
    versions.sum()
}

/// INV-5: a probe whose clock is off, and which could know, says nothing of the target.
///
/// # Errors
/// What it says.
pub fn inv_5_nothing_is_said_by_a_clock_that_is_off(world: &World, probe: usize, sample: &Sample) -> Law {
    let host = &world.probes[probe];
    let measured = host.life.as_ref().is_some_and(|life| life.heard != Timestamp::MIN);
    // While the aggregator's own clock is off, and until it was asked again, what it measured is no measure.
    let theirs = world.plan.troubles.iter().any(|trouble| {
        let until = trouble.span.to.plus_ms(world.plan.interval_ms);
        matches!(trouble.fault, Fault::AggregatorClock(_)) && Span::new(trouble.span.from, until).contains(world.now)
    });
    let is_off = MAX_CLOCK_OFFSET_MS < host.ills.clock_ms.abs();
    if is_off && measured && !theirs && sample.outcome != Outcome::Inconclusive {
        return Err(format!(
            "INV-5: {} says {} with a clock off by {} ms",
            host.name, sample.outcome, host.ills.clock_ms
        ));
    }
    Ok(())
}

/// When the service was one of `verdicts`.
pub(super) fn said(seen: &ServiceAssessment, verdicts: &[Verdict]) -> Vec<Span> {
    seen.timeline.spans().filter(|(_, verdict)| verdicts.contains(verdict)).map(|(span, _)| span).collect()
}

/// For each region, the widest spans in which it could be held to be down (or not to be, where not `down`): from each
/// sample that says so for as long as anything is held.
pub(super) fn claims(world: &World, down: bool) -> Vec<Vec<Span>> {
    let hold_ms = hold_ms(world);
    let mut voices = vec![Vec::new(); world.plan.regions];
    for samples in world.ledger.committed.values() {
        for sample in samples.iter().filter(|sample| says(sample, down)) {
            voices[place(world, sample)].push(Span::new(sample.started_at, sample.started_at.plus_ms(hold_ms)));
        }
    }
    voices
}

/// A sample holds until the next slot, or where that begins late until it does, by the longest interval of any fleet
/// file.
fn hold_ms(world: &World) -> i64 {
    let longest = world.plan.fleets.iter().map(|fleet| fleet.checks[0].interval_ms).max().unwrap_or(0);
    longest + longest / 2 + TIMEOUT_MS
}

fn says(sample: &Sample, down: bool) -> bool {
    match sample.outcome {
        Outcome::Down => down,
        Outcome::Up | Outcome::Degraded => !down,
        Outcome::Inconclusive => false,
    }
}

fn place(world: &World, sample: &Sample) -> usize {
    let regions = &world.plan.fleets[0].checks[0].regions;
    regions.iter().position(|region| *region == sample.region).expect("a region of the check")
}

/// INV-5: silence and our own faults are never down and never up. Every instant that is down has a quorum of regions of
/// which a probe said so; every instant that is not, so many that they and a quorum can't both be.
pub(super) fn inv_5_only_a_quorum_that_saw_it_makes_it_down_or_up(world: &World, seen: &ServiceAssessment) -> Law {
    let (quorum, regions) = (world.plan.quorum(), world.plan.regions);
    let down = said(seen, &[Verdict::Down]);
    if let Some(span) = uncovered(&down, &held_by(&claims(world, true), quorum)) {
        return Err(format!("INV-5: it is down in {span:?}, when no quorum said so"));
    }
    let good = said(seen, &[Verdict::Up, Verdict::Degraded]);
    if let Some(span) = uncovered(&union(good), &held_by(&claims(world, false), regions + 1 - quorum)) {
        return Err(format!("INV-5: it is up in {span:?}, when too few regions said so"));
    }
    Ok(())
}

/// INV-5, the other way round: where a quorum of regions saw it down, and saw it down again at their next slot, it is
/// down.
pub(super) fn inv_5_what_a_quorum_saw_is_down(world: &World, seen: &ServiceAssessment) -> Law {
    let owed = world.ledger.owed();
    let sure = (0..world.plan.regions).map(|region| {
        let mut samples: Vec<&Sample> =
            owed.values().copied().filter(|sample| place(world, sample) == region).collect();
        samples.sort_by_key(|sample| (sample.started_at, sample.scheduled_at));
        let conclusive: Vec<&Sample> =
            samples.into_iter().filter(|sample| sample.outcome != Outcome::Inconclusive).collect();
        let both_down = |pair: &&[&Sample]| {
            let near = pair[1].scheduled_at.since(pair[0].scheduled_at) <= world.plan.interval_ms;
            near && pair.iter().all(|sample| sample.outcome == Outcome::Down && sample.kind == SampleKind::Planned)
        };
        let pairs = conclusive.windows(2).filter(both_down);
        pairs.map(|pair| Span::new(pair[0].started_at, pair[1].started_at)).collect()
    });
    let sure: Vec<Vec<Span>> = sure.collect();
    let sure = held_by(&sure, world.plan.quorum());
    let elsewhere = without(&sure, &around_reloads(world));
    match uncovered(&elsewhere, &said(seen, &[Verdict::Down])) {
        Some(span) => Err(format!("INV-5: a quorum saw it down in {span:?}, and it is not")),
        None => Ok(()),
    }
}

/// What was asked under one fleet file does not hold under another.
fn around_reloads(world: &World) -> Vec<Span> {
    let reloads = world.plan.troubles.iter().filter(|trouble| trouble.fault == Fault::Reloaded);
    union(
        reloads
            .map(|trouble| {
                Span::new(trouble.span.from.plus_ms(-hold_ms(world)), trouble.span.to.plus_ms(2 * hold_ms(world)))
            })
            .collect(),
    )
}

/// INV-5: where nothing kept probes from seeing the truth, each outage is found, none is invented, and the bounds of
/// each hold how long it truly was.
pub(super) fn inv_5_the_bounds_of_a_fair_world_hold_the_truth(world: &World, seen: &ServiceAssessment) -> Law {
    if !world.plan.fair {
        return Ok(());
    }
    let truth = world.plan.truth.down();
    if seen.outages.len() != truth.len() {
        return Err(format!("INV-5: {} outages were measured, and there were {}", seen.outages.len(), truth.len()));
    }
    for (measured, truth) in seen.outages.iter().zip(&truth) {
        let bounds = measured.at_least_ms..=measured.at_most_ms;
        if !bounds.contains(&truth.length_ms()) || !bounds.contains(&measured.span.length_ms()) {
            return Err(format!("INV-5: {measured:?} was {truth:?}, {} ms", truth.length_ms()));
        }
    }
    Ok(())
}
