//! What was judged, into the store: transitions, their log lines and their letters, in the one transaction given.

use nines_shared::id::ChannelId;
use nines_shared::time::Timestamp;
use rusqlite::Transaction;

use crate::alert::{message, route};
use crate::definition::Fleet;
use crate::incident::transition::{Change, Telling, Transition};
use crate::incident::{Event, Incident};
use crate::store::incidents::Note;
use crate::store::{StoreError, incidents, outbox};

/// Writes `transitions` in order. Either all of it is stored or nothing (INV-6).
///
/// # Errors
/// What the store says.
pub fn write(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    transitions: &[Transition],
    now: Timestamp,
) -> Result<(), StoreError> {
    for transition in transitions {
        let mut incident = transition.incident.clone();
        if matches!(transition.change, Change::Opened | Change::Recorded) {
            incident.id = incidents::free_id(tx, &incident.id)?;
        }
        incidents::record(tx, &incident)?;
        if let Some(text) = transition.note {
            incidents::log(tx, &incident.id, &Note { at: now, author: None, text: text.to_owned() })?;
        }
        if let Some(telling) = transition.told {
            tell(tx, fleet, &incident, (telling, transition.note), now)?;
        }
        tracing::info!(
            incident = %incident.id, kind = incident.kind.code(), change = transition.change.code(),
            started_at = %incident.instants.started_at, told = transition.told.is_some(), "incident.changed"
        );
    }
    Ok(())
}

fn tell(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    incident: &Incident,
    (telling, note): (Telling, Option<&'static str>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let channels = channels(tx, fleet, incident, telling)?;
    if channels.is_empty() && telling.event == Event::Opened {
        tracing::warn!(incident = %incident.id, "alert.no_route: nobody is told; add a [[route]]");
    }
    let body = message::body(fleet, incident, telling, note);
    let letters: Vec<(ChannelId, String)> = channels.into_iter().map(|channel| (channel, body.clone())).collect();
    outbox::write(tx, incident, telling.event, &letters, now)
}

/// Who was told that it opened learns how it goes on and ends, whatever the routes say by then; anything else goes by the routes.
fn channels(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    incident: &Incident,
    telling: Telling,
) -> Result<Vec<ChannelId>, StoreError> {
    let by_route = || route::channels(&fleet.routes, &route::Alert::of(fleet, incident, telling.severity));
    match telling.event {
        Event::Opened => Ok(by_route()),
        Event::Resolved => outbox::told_of_opening(tx, &incident.id),
        Event::Updated => {
            let told = outbox::told_of_opening(tx, &incident.id)?;
            Ok(if told.is_empty() { by_route() } else { told })
        }
    }
}
