//! The laws that hold after every run, whatever struck: INV-1 to INV-8 of `docs/ARCHITECTURE.md`, each a function of
//! its own, from the world's own books and by arithmetic that shares nothing with what it judges.
//!
//! A law answers in words what broke it: the story of the run leads there.

mod letters;
mod reports;
mod shares;
mod spans;
mod verdicts;

use std::collections::BTreeSet;

use nines::store::samples;
use nines::uptime::service::assess;
use nines::uptime::{ServiceAssessment, ServiceRecord};
use nines_shared::sample::Sample;
use nines_shared::time::Span;

use super::aggregator::{Act, Aggregator};
use super::probe::{Identity, identity};
use super::world::World;
use crate::dice::Dice;
pub use letters::{inv_6_after_a_start, inv_6_one_open};
pub use reports::inv_8_what_comes_late_is_noticed;
pub use verdicts::inv_5_nothing_is_said_by_a_clock_that_is_off;

/// What a law comes to.
pub type Law = Result<(), String>;

/// Every law, at the end of a world.
///
/// # Errors
/// The first that is broken.
pub fn all(world: &World) -> Law {
    inv_1_every_committed_sample_is_stored_or_counted_dropped(world)?;
    inv_2_what_was_acknowledged_is_stored(world)?;
    inv_3_any_order_of_arrival_gives_the_same_store(world)?;
    shares::inv_1_a_slot_has_a_sample_where_a_probe_is_well(world)?;
    shares::inv_3_a_slot_has_one_owner_where_all_are_well(world)?;
    let (record, seen) = judged(world);
    verdicts::inv_4_accounts_and_slots_add_up(world, &record, &seen)?;
    verdicts::inv_5_only_a_quorum_that_saw_it_makes_it_down_or_up(world, &seen)?;
    verdicts::inv_5_what_a_quorum_saw_is_down(world, &seen)?;
    verdicts::inv_5_the_bounds_of_a_fair_world_hold_the_truth(world, &seen)?;
    letters::inv_6_incidents_and_letters_agree(world)?;
    letters::inv_6_every_outage_is_on_record_and_every_page_has_its_quorum_and_its_end(world, &seen)?;
    inv_7_a_replay_of_the_journal_says_the_same(world)?;
    reports::inv_8_frozen_reports_stay_and_no_percentage_is_rounded_up(world)
}

/// What Nines says of the whole life of the world.
fn judged(world: &World) -> (ServiceRecord, ServiceAssessment) {
    let window = Span::new(world.plan.life.from, world.theirs());
    let service = &world.plan.fleets[0].services[0].id;
    let record = world.aggregator.read(|conn| nines::store::definitions::service_record(conn, service, window));
    let record = record.expect("the service is defined");
    let seen = assess(&record, window, world.theirs());
    (record, seen)
}

fn stored(world: &World) -> Vec<Sample> {
    world.aggregator.read(|conn| {
        let (mut all, whole) =
            (Vec::new(), Span { from: nines_shared::time::Timestamp::MIN, to: nines_shared::time::Timestamp::MAX });
        samples::each_in_identity_order::<nines::store::StoreError>(conn, None, whole, |sample| {
            all.push(sample.clone());
            Ok(())
        })?;
        Ok(all)
    })
}

/// INV-1: whatever a probe committed is stored, or its spool was full and it is counted. And nothing else is stored.
fn inv_1_every_committed_sample_is_stored_or_counted_dropped(world: &World) -> Law {
    for probe in &world.probes {
        let left = probe.spool.len() + probe.aside.len();
        if left != 0 {
            return Err(format!("INV-1: {} still has {left} samples although everything is well again", probe.name));
        }
    }
    let stored = stored(world);
    let there: BTreeSet<Identity> = stored.iter().map(identity).collect();
    if let Some(sample) = stored.iter().find(|sample| !world.ledger.committed.contains_key(&identity(sample))) {
        return Err(format!("INV-1: {sample:?} is stored, and nobody took it"));
    }
    let lost = world.ledger.owed().into_iter().find(|(identity, _)| !there.contains(*identity));
    if let Some((_, sample)) = lost {
        return Err(format!("INV-1: {sample:?} was committed, not dropped, and is not stored"));
    }
    let told: u64 = world.aggregator.read(nines::store::probes::list).iter().map(|probe| probe.health.dropped).sum();
    let dropped: usize = world.ledger.dropped.values().sum();
    if told != dropped as u64 {
        return Err(format!("INV-1: {dropped} samples were dropped, and the aggregator was told of {told}"));
    }
    Ok(())
}

/// INV-2: what a probe forgot because it was acknowledged is stored.
fn inv_2_what_was_acknowledged_is_stored(world: &World) -> Law {
    let there: BTreeSet<Identity> = stored(world).iter().map(identity).collect();
    match world.ledger.acknowledged.iter().find(|identity| !there.contains(*identity)) {
        Some(lost) => Err(format!("INV-2: {lost:?} was acknowledged and is not stored")),
        None => Ok(()),
    }
}

/// INV-1 and INV-2 the moment after a process began on what another one left.
///
/// # Errors
/// What was acknowledged and is gone.
pub fn inv_1_2_after_a_start(world: &World) -> Law {
    inv_2_what_was_acknowledged_is_stored(world)
}

/// INV-3: the same batches in another order, some of them twice, give the same content; and of two samples with one
/// identity the one that is owed is there.
fn inv_3_any_order_of_arrival_gives_the_same_store(world: &World) -> Law {
    let here = world.aggregator.read(samples::content_digest);
    let journal = &world.ledger.journal;
    let mut batches: Vec<_> = world.ledger.taken.iter().map(|place| &journal[*place]).collect();
    let mut dice = Dice::of(!world.plan.seed);
    for _ in 0..batches.len() / 10 {
        batches.push(batches[dice.index(batches.len())]);
    }
    for last in (1..batches.len()).rev() {
        batches.swap(last, dice.index(last + 1));
    }
    let mut other = Aggregator::new(&world.plan.fleets, &world.peers, world.plan.life.from);
    let definitions = journal.iter().filter(|entry| matches!(entry.act, Act::Start(_) | Act::Load(_)));
    for entry in definitions.chain(batches) {
        // By the clock of the end, at which nothing is from the future.
        let now = if matches!(entry.act, Act::Batch(..)) { world.theirs() } else { entry.now };
        other.act(&super::aggregator::Entry { now, act: entry.act.clone() });
    }
    let there = other.read(samples::content_digest);
    if here != there {
        return Err(format!("INV-3: the store is {here}, and {there} where its batches came in another order"));
    }
    let owed = world.ledger.owed();
    let other = stored(world).into_iter().find(|sample| {
        owed.get(&identity(sample))
            .is_some_and(|owed| (owed.started_at, &owed.probe) != (sample.started_at, &sample.probe))
    });
    match other {
        Some(sample) => Err(format!("INV-3: {sample:?} is stored although another sample has its place")),
        None => Ok(()),
    }
}

/// INV-7: another aggregator to which the same things happen has the same incidents, letters and reports, byte for
/// byte.
fn inv_7_a_replay_of_the_journal_says_the_same(world: &World) -> Law {
    let mut again = Aggregator::new(&world.plan.fleets, &world.peers, world.plan.life.from);
    for entry in &world.ledger.journal {
        again.act(entry);
    }
    let (here, there) = (reports::testimony(&world.aggregator), reports::testimony(&again));
    let differs = here.lines().zip(there.lines()).find(|(here, there)| here != there);
    match differs {
        Some((here, there)) => Err(format!("INV-7: the world says\n{here}\nand its replay\n{there}")),
        None if here.lines().count() != there.lines().count() => {
            Err("INV-7: the world and its replay have different numbers of incidents, letters or reports".to_owned())
        }
        None => Ok(()),
    }
}

/// How many incidents of all kinds are on record.
pub fn incidents(world: &World) -> usize {
    let all = nines::store::incidents::Filter::default();
    world.aggregator.read(|conn| nines::store::incidents::list(conn, &all, u32::MAX)).len()
}
