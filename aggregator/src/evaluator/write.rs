//! What was judged, into the store: transitions, their log lines and their letters, in the one transaction given.

use nines_shared::time::Timestamp;
use rusqlite::Transaction;

use crate::alert::telling;
use crate::definition::Fleet;
use crate::incident::transition::{Change, Transition};
use crate::store::incidents::Note;
use crate::store::{StoreError, incidents};

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
        incidents::keep_sights(tx, &incident.id, &transition.sights)?;
        if let Some(text) = transition.note {
            incidents::log(tx, &incident.id, &Note { at: now, author: None, text: text.to_owned() })?;
        }
        if let Some(told) = transition.told {
            telling::change(tx, fleet, &incident, (told, transition.note), now)?;
        }
        tracing::info!(
            incident = %incident.id, kind = incident.kind.code(), change = transition.change.code(),
            started_at = %incident.instants.started_at, told = transition.told.is_some(), "incident.changed"
        );
    }
    Ok(())
}
