//! INV-6: incidents, and what people are told of them.

use std::collections::{BTreeMap, BTreeSet};

use nines::incident::{Incident, Kind};
use nines::store::incidents::{self, Filter};
use nines::store::outbox::{self, Letter};
use nines::uptime::{ServiceAssessment, Verdict};
use nines_shared::time::{Span, Timestamp};
use serde_json::Value;

use super::Law;
use super::spans::{uncovered, union, without};
use super::verdicts::{claims, said};
use crate::sim::aggregator::Aggregator;
use crate::sim::world::World;

/// At most one incident of one kind about one subject is open.
///
/// # Errors
/// Which two are.
pub fn inv_6_one_open(open: &[Incident]) -> Law {
    let mut seen = BTreeSet::new();
    match open.iter().find(|incident| !seen.insert((incident.kind, &incident.subject))) {
        Some(second) => Err(format!("INV-6: {} is open beside another of its kind and subject", second.id)),
        None => Ok(()),
    }
}

/// A change and its letters were committed together: after a kill, whatever is on record as told has its letters, or
/// says why it has none.
///
/// # Errors
/// Which has not.
pub fn inv_6_after_a_start(world: &World) -> Law {
    told_or_explained(&world.aggregator)
}

fn told_or_explained(aggregator: &Aggregator) -> Law {
    let all = Filter::default();
    let untold = aggregator.read(|conn| {
        for incident in incidents::list(conn, &all, u32::MAX)? {
            let is_told = incident.revision == 0
                || !outbox::told(conn, &incident.id)?.is_empty()
                || incidents::notes(conn, &incident.id)?.iter().any(|note| note.text.starts_with("nobody is told"));
            // What is told of as history alone is withheld by a silence without a word.
            if !is_told && incident.severity != nines::definition::Severity::Info {
                return Ok(Some(incident));
            }
        }
        Ok(None)
    });
    match untold {
        Some(incident) => Err(format!("INV-6: {} has revision {} and no letter", incident.id, incident.revision)),
        None => Ok(()),
    }
}

/// At the end nothing is open, everything was told, in order, and the same at every attempt.
pub(super) fn inv_6_incidents_and_letters_agree(world: &World) -> Law {
    let (open, letters) = (world.aggregator.open(), world.aggregator.letters());
    if let Some(incident) = open.first() {
        return Err(format!("INV-6: {} is open although everything is well", incident.id));
    }
    if let Some(letter) = letters.first() {
        return Err(format!("INV-6: {letter:?} still waits although its channel accepts"));
    }
    told_or_explained(&world.aggregator)?;
    let mut bodies: BTreeMap<(String, String), &str> = BTreeMap::new();
    let mut last: BTreeMap<(&str, &str), (i64, &Letter)> = BTreeMap::new();
    for letter in &world.ledger.delivered {
        let key = (letter.idempotency_key(), letter.channel.to_string());
        if *bodies.entry(key).or_insert(&letter.body) != letter.body {
            return Err(format!("INV-6: {letter:?} was another one before, under the same key"));
        }
        let before = last.insert((&letter.about, letter.channel.as_str()), (letter.no, letter));
        if before.is_some_and(|(no, _)| letter.no < no) {
            return Err(format!("INV-6: {letter:?} was overtaken"));
        }
        if before.is_none() && letter.event == "resolved" {
            return Err(format!("INV-6: {letter:?} came before its opening"));
        }
    }
    let unended = last.values().find(|(_, letter)| letter.event == "opened");
    match unended {
        Some((_, letter)) => {
            Err(format!("INV-6: {} was told that {} opened, and never that it ended", letter.channel, letter.about))
        }
        None => Ok(()),
    }
}

/// What was down is on record as an outage, and nothing else is; and whoever was paged was paged since a quorum failed.
pub(super) fn inv_6_every_outage_is_on_record_and_every_page_has_its_quorum_and_its_end(
    world: &World,
    seen: &ServiceAssessment,
) -> Law {
    let all = Filter::default();
    let incidents = world.aggregator.read(|conn| incidents::list(conn, &all, u32::MAX));
    let outages = incidents.iter().filter(|incident| incident.kind == Kind::Outage && !incident.withdrawn);
    let recorded = outages.flat_map(|incident| &incident.outages);
    let recorded = union(recorded.map(|outage| Span::new(outage.from, outage.to.unwrap_or(world.theirs()))).collect());
    let down = without(&said(seen, &[Verdict::Down]), &seen.excluded);
    if let Some(span) = uncovered(&down, &recorded) {
        return Err(format!("INV-6: it was down in {span:?}, and no incident says so"));
    }
    if let Some(span) = uncovered(&without(&recorded, &seen.excluded), &down) {
        return Err(format!("INV-6: an incident says that it was down in {span:?}, and it was not"));
    }
    let could_be = super::spans::held_by(&claims(world, true), world.plan.quorum());
    for letter in &world.ledger.delivered {
        let body: Value = serde_json::from_str(&letter.body).expect("a letter is JSON");
        let is_page = body["kind"] == "outage" && body["severity"] == "page";
        let Some(at) = body["started_at"].as_i64().filter(|_| is_page).map(Timestamp::from_ms) else { continue };
        if !could_be.iter().any(|span| span.contains(at)) {
            return Err(format!("INV-5: {} was paged for {at}, when no quorum failed", letter.channel));
        }
    }
    Ok(())
}
