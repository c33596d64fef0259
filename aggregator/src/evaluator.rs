//! The tick: read, judge, and write transitions with their notifications in one transaction.
//!
//! It wakes when samples arrive and at least once a second, and judges the services of which something
//! arrived or whose time has come. What it has not judged yet is marked in the store and is unmarked in the
//! transaction that stores the judgement: however it ends, nothing is missed, and since judging again changes
//! nothing, nothing is told twice. It decides nothing: [`judge`] reads, `incident` decides, [`mod@write`] writes.

pub mod desk;
mod facts;
pub mod judge;
pub mod probes;
pub mod standing;
pub mod window;
pub mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nines_shared::id::RegionId;
use nines_shared::time::Timestamp;
use rusqlite::Connection;
use tokio::time::{sleep, timeout};

use crate::definition::Fleet;
use crate::incident::Incident;
use crate::incident::dependence::held_back;
use crate::incident::transition::Transition;
use crate::running::Running;
use crate::store::definitions::maintenance;
use crate::store::samples::Fresh;
use crate::store::{StoreError, definitions, incidents, samples};
use desk::{Desk, service_of};
use judge::{Judgement, Question};

/// The longest time between two ticks.
pub const TICK: Duration = Duration::from_secs(1);
/// The shortest: what arrives meanwhile is judged together, in one commit.
pub const SHORTEST_TICK: Duration = Duration::from_millis(100);

/// Judges until `running.stop` is cancelled: at every arrival, and at least once a second.
pub async fn run(running: Running) {
    let mut arrivals = running.arrivals.subscribe();
    let mut fleet = running.fleet.clone();
    let mut desk = Desk::new(&fleet.borrow_and_update(), running.clock.now());
    while !running.stop.is_cancelled() {
        arrivals.mark_unchanged();
        if fleet.has_changed().unwrap_or(false) {
            desk.reload(&fleet.borrow_and_update(), running.clock.now());
        }
        if let Err(error) = tick(&running, &mut desk).await {
            tracing::error!(%error, "evaluation.failed: tried again within a second");
        }
        // A tick that failed counts too: a full disk is not mended by starting again, and people still read the page.
        running.counters.rounds.add(1);
        tokio::select! {
            () = running.stop.cancelled() => {}
            () = async {
                sleep(SHORTEST_TICK).await;
                // An error means that nobody can bump it any more; then time alone wakes us.
                let _woken = timeout(TICK - SHORTEST_TICK, arrivals.changed()).await;
            } => {}
        }
    }
}

/// One evaluation: reads one snapshot, judges what is due, stores what came of it.
///
/// # Errors
/// What the store says; then nothing of it is stored and the next tick judges the same again.
pub async fn tick(running: &Running, desk: &mut Desk) -> Result<(), StoreError> {
    let now = running.clock.now();
    let fleet = Arc::clone(&running.fleet.borrow());
    let listening_since = desk.tick(now);
    let read = move |conn: &Connection| Ok((unjudged(conn)?, incidents::open(conn)?, maintenance::begun(conn, now)?));
    let (fresh, open, windows) = running.store.read(read).await?;
    take_note(desk, &fleet, &fresh, &open);
    desk.announced(&windows, now);
    let questions = desk.due(&fleet, now);
    let ears = Ears { listening_since, suspects: desk.suspects(&fleet, now) };
    let file = Arc::clone(&fleet);
    let findings = running.store.read(move |conn| judge_all(conn, &file, &questions, (&open, &ears), now)).await?;
    running.counters.evaluations.add(u64::try_from(findings.judgements.len()).unwrap_or(u64::MAX));
    let transitions = findings.transitions.clone();
    let arrival = fresh.iter().map(|(fresh, _)| fresh.arrival).max();
    let told = !transitions.is_empty();
    if told || arrival.is_some() {
        let job = move |tx: &rusqlite::Transaction<'_>| {
            write::write(tx, &fleet, &transitions, now)?;
            arrival.map_or(Ok(()), |arrival| samples::judged(tx, arrival))
        };
        running.store.write(job).await?;
    }
    if settle(desk, &findings) || told {
        running.news.send_modify(|count| *count += 1);
    }
    running.counters.ticks.add(1);
    Ok(())
}

/// Checks with unjudged samples, with the service that each belongs to, where it belongs to one.
type Unjudged = Vec<(Fresh, Option<nines_shared::id::ServiceId>)>;

fn unjudged(conn: &Connection) -> Result<Unjudged, StoreError> {
    let service = |fresh: &Fresh| {
        let versions = definitions::check_versions(conn, &fresh.check)?;
        Ok::<_, StoreError>(versions.last().map(|version| version.check.service.clone()))
    };
    samples::fresh(conn)?.into_iter().map(|fresh| Ok((fresh.clone(), service(&fresh)?))).collect()
}

/// Puts on the desk what arrived, and what is open: that is looked at from its start, even of a service that was
/// removed.
fn take_note(desk: &mut Desk, fleet: &Fleet, fresh: &Unjudged, open: &[Incident]) {
    for (fresh, service) in fresh {
        if let Some(service) = service_of(fleet, &fresh.check).or(service.as_ref()) {
            desk.changed(service, fresh.started.from);
        }
    }
    for service in open.iter().filter_map(|incident| incident.subject.service()) {
        desk.know(service);
    }
}

/// What one tick found out.
struct Findings {
    judgements: Vec<Judgement>,
    /// Services that there never were.
    strangers: Vec<nines_shared::id::ServiceId>,
    /// Of services and probes, as people are told of them.
    transitions: Vec<Transition>,
}

/// What probes are judged by, beside what they told.
struct Ears {
    /// Since when they could have been heard.
    listening_since: Timestamp,
    /// Since when each region is suspect that is.
    suspects: BTreeMap<RegionId, Timestamp>,
}

/// Judges everything from one snapshot. A service that can't be read is loud, and does not stop the others.
fn judge_all(
    conn: &Connection,
    fleet: &Fleet,
    questions: &[Question],
    (open, ears): (&[Incident], &Ears),
    now: Timestamp,
) -> Result<Findings, StoreError> {
    let (mut judgements, mut strangers) = (Vec::with_capacity(questions.len()), Vec::new());
    for question in questions {
        match judge::judge(conn, question, open, now) {
            Ok(Some(judgement)) => judgements.push(judgement),
            Ok(None) => strangers.push(question.service.clone()),
            Err(error) => tracing::error!(service = %question.service, %error, "evaluation.service_failed"),
        }
    }
    let of_probes = probes::judge(conn, open, ears, now)?;
    let of_services = judgements.iter().flat_map(|judgement| &judgement.transitions).cloned();
    let transitions: Vec<Transition> = of_services.chain(of_probes).collect();
    let facts = facts::gather(conn, fleet, open, &transitions)?;
    Ok(Findings { judgements, strangers, transitions: held_back(open, transitions, &facts, now) })
}

/// Clears the desk of what is stored. Says whether people see something else now.
fn settle(desk: &mut Desk, findings: &Findings) -> bool {
    for stranger in &findings.strangers {
        desk.forget(stranger);
    }
    let mut changed = false;
    for judgement in &findings.judgements {
        changed |= desk.done(judgement);
    }
    changed
}

#[cfg(test)]
mod tests;
