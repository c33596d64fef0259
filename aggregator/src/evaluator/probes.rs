//! Silent probes: read who was heard when, and let the pure rooms decide.

use nines_shared::time::Timestamp;
use rusqlite::Connection;

use crate::incident::silence::{Heard, silence};
use crate::incident::transition::{Case, Transition, reconcile};
use crate::incident::{Incident, Kind, RegionViews, Scene, Subject};
use crate::store::probes::ProbeRecord;
use crate::store::{StoreError, probes};

/// What is to change in the incidents about probes. `open` are all open incidents, `listening_since` is when we
/// began to be able to hear.
///
/// # Errors
/// What the store says.
pub fn judge(
    conn: &Connection,
    open: &[Incident],
    listening_since: Timestamp,
    now: Timestamp,
) -> Result<Vec<Transition>, StoreError> {
    let known = probes::list(conn)?;
    Ok(known.iter().flat_map(|probe| judge_one(probe, open, listening_since, now)).collect())
}

fn judge_one(probe: &ProbeRecord, open: &[Incident], listening_since: Timestamp, now: Timestamp) -> Vec<Transition> {
    let subject = Subject::Probe(probe.id.clone());
    let theirs = open.iter().find(|incident| incident.kind == Kind::Probe && incident.subject == subject).cloned();
    // A probe that was shut out is not missed: what is open about it ends.
    let at = match (probe.revoked_at, probe.seen_at) {
        (Some(_), _) => now,
        (None, seen) => seen.unwrap_or(probe.joined_at),
    };
    let heard = Heard { probe: probe.id.clone(), at };
    let silent_since = theirs.as_ref().map(|incident| incident.instants.started_at);
    let (signal, episodes) = silence(&heard, listening_since, silent_since, now);
    let recorded: Vec<Incident> = theirs.into_iter().collect();
    let scene = Scene {
        regions: RegionViews { failing: vec![probe.region.clone()], ..RegionViews::default() },
        ..Scene::default()
    };
    let case = Case {
        kind: Kind::Probe,
        subject: &subject,
        signal: &signal,
        episodes: &episodes,
        recorded: &recorded,
        seen_now: &scene,
        resolve_after_ms: 0,
        now,
    };
    let mut transitions = reconcile(&case);
    for transition in &mut transitions {
        transition.incident.scene.grow(&scene);
    }
    transitions
}
