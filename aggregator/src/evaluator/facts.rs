//! What decides whether people are told, read where something opens or is held: how the roots do.

use std::collections::{BTreeMap, BTreeSet};

use nines_shared::id::CheckId;
use nines_shared::sample::Outcome;
use nines_shared::time::Timestamp;
use rusqlite::Connection;

use crate::definition::Fleet;
use crate::incident::dependence::{Facts, roots};
use crate::incident::transition::Transition;
use crate::incident::{Event, Incident};
use crate::store::{StoreError, incidents, samples};

/// The facts about what opens with `transitions` and what is held among `open`; none where nothing is.
pub(super) fn gather(
    conn: &Connection,
    fleet: &Fleet,
    open: &[Incident],
    transitions: &[Transition],
) -> Result<Facts, StoreError> {
    let opens = |transition: &&Transition| transition.told.is_some_and(|telling| telling.event == Event::Opened);
    let held = || open.iter().filter(|incident| incident.course.held);
    let opening = transitions.iter().filter(opens).map(|transition| &transition.incident);
    let checks: BTreeSet<&CheckId> = opening.chain(held()).flat_map(|incident| &incident.scene.checks).collect();
    let mut facts = Facts::default();
    if fleet.watch.depends_on.is_empty() || checks.is_empty() {
        return Ok(facts);
    }
    facts.dependences.clone_from(&fleet.watch.depends_on);
    facts.round_ms =
        fleet.checks.iter().map(|check| (check.id.clone(), check.interval_ms + check.timeout_ms)).collect();
    let wanted: BTreeSet<&CheckId> = checks.iter().flat_map(|check| roots(&fleet.watch.depends_on, check)).collect();
    for root in wanted {
        if let Some(since) = good_since(conn, fleet, root)? {
            facts.good_since.insert(root.clone(), since);
        }
    }
    facts.resolved_at = ended_roots(conn, held())?;
    Ok(facts)
}

/// When the region that looked at `root` the longest ago did so, where every one of its regions saw it work.
fn good_since(conn: &Connection, fleet: &Fleet, root: &CheckId) -> Result<Option<Timestamp>, StoreError> {
    let Some(check) = fleet.checks.iter().find(|check| check.id == *root) else { return Ok(None) };
    let latest = samples::latest_of(conn, root)?;
    let works = |outcome| matches!(outcome, Outcome::Up | Outcome::Degraded);
    let seen = check.regions.iter().map(|region| {
        let sample = latest.iter().find(|sample| sample.region == *region)?;
        works(sample.outcome).then_some(sample.started_at)
    });
    Ok(seen.collect::<Option<Vec<Timestamp>>>().and_then(|seen| seen.into_iter().min()))
}

fn ended_roots<'a>(
    conn: &Connection,
    held: impl Iterator<Item = &'a Incident>,
) -> Result<BTreeMap<crate::incident::IncidentId, Timestamp>, StoreError> {
    let mut ended = BTreeMap::new();
    for root in held.filter_map(|incident| incident.course.root.as_ref()) {
        if let Some(at) = incidents::get(conn, root)?.and_then(|known| known.instants.resolved_at) {
            ended.insert(root.clone(), at);
        }
    }
    Ok(ended)
}
