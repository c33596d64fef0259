//! Probes: read how each is and when it was heard, and let the pure rooms decide.

use nines_shared::time::Timestamp;
use rusqlite::Connection;

use super::Ears;
use super::standing::beginnings;
use crate::incident::ailment::{Ailment, Patient, Sign, ailments};
use crate::incident::measured::Measured;
use crate::incident::standing::{Reading, Standing, settle};
use crate::incident::transition::Transition;
use crate::incident::{Incident, Kind, RegionViews, Scene, Subject};
use crate::store::probes::ProbeRecord;
use crate::store::{StoreError, probes};

/// What is to change in the incidents about probes. `open` are all open incidents.
///
/// # Errors
/// What the store says.
pub(super) fn judge(
    conn: &Connection,
    open: &[Incident],
    ears: &Ears,
    now: Timestamp,
) -> Result<Vec<Transition>, StoreError> {
    let known = probes::list(conn)?;
    let mut transitions = Vec::new();
    for probe in &known {
        // Where several probes look from one region nobody can tell whose word is odd.
        let there = known.iter().filter(|other| other.region == probe.region && other.revoked_at.is_none()).count();
        let alone_since = ears.suspects.get(&probe.region).copied().filter(|_| there == 1);
        transitions.extend(judge_one(conn, probe, (open, ears, alone_since), now)?);
    }
    Ok(transitions)
}

fn judge_one(
    conn: &Connection,
    probe: &ProbeRecord,
    (open, ears, alone_since): (&[Incident], &Ears, Option<Timestamp>),
    now: Timestamp,
) -> Result<Vec<Transition>, StoreError> {
    let subject = Subject::Probe(probe.id.clone());
    let theirs = open.iter().find(|incident| incident.kind == Kind::Probe && incident.subject == subject);
    let heard_at = probe.seen_at.unwrap_or(probe.joined_at);
    let silence_on_record;
    let known: &[Ailment] = match theirs {
        Some(Incident { scene: Scene { measured: Some(Measured::Probe(ailments)), .. }, .. }) => ailments,
        // Recorded before incidents said which sign.
        Some(incident) => {
            let since = incident.instants.started_at;
            silence_on_record = [Ailment { sign: Sign::Silent, since, words: String::new() }];
            &silence_on_record
        }
        None => &[],
    };
    let patient = Patient {
        health: &probe.health,
        heard_at,
        ailing_since: probe.ailing_since,
        dropped_at: probe.dropped_at,
        cloned: probe.cloned,
        alone_since,
        known,
    };
    // A probe that was shut out is not missed: what is open about it ends.
    let found = if probe.revoked_at.is_some() { Vec::new() } else { ailments(patient, ears.listening_since, now) };
    let was_silent = known.iter().any(|ailment| ailment.sign == Sign::Silent);
    let reading = match found.iter().map(|ailment| ailment.since).min() {
        Some(since) => Reading::Fails(since),
        None if was_silent && probe.revoked_at.is_none() => Reading::Good(heard_at),
        None => Reading::Good(now),
    };
    let silent = found.first().is_some_and(|worst| worst.sign == Sign::Silent);
    let beginnings = beginnings(conn, (Kind::Probe, &subject), reading, now)?;
    let seen = Scene {
        regions: RegionViews { failing: vec![probe.region.clone()], ..RegionViews::default() },
        measured: (!found.is_empty()).then_some(Measured::Probe(found)),
        ..Scene::default()
    };
    Ok(settle(&Standing {
        kind: Kind::Probe,
        subject: &subject,
        reading,
        severity: Kind::Probe.severity(),
        seen: &seen,
        last_good_at: silent.then_some(heard_at),
        open: theirs,
        beginnings: &beginnings,
        now,
    }))
}
