//! What people do about incidents: one set of acts for the command line, the page and the API, each with who did it.
//!
//! What is told of an act is written with it, in one transaction.

use nines_shared::duration::Shown;
use nines_shared::time::Timestamp;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::{Answer, MAX_TEXT, Refused};
use crate::alert::telling;
use crate::definition::Fleet;
use crate::incident::{IncidentId, Kind};
use crate::running::Running;
use crate::store::incidents::{self, Note};
use crate::store::silences::{self, MAX_SILENCE_MS, Scope, Silence};
use crate::store::{StoreError, probes};

/// The longest name of a person, in bytes.
pub const MAX_NAME: usize = 200;

/// Something that a person does about incidents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Say that somebody works on an incident.
    Acknowledge {
        /// Which.
        incident: IncidentId,
    },
    /// Write a note into an incident's log.
    Note {
        /// Which.
        incident: IncidentId,
        /// What.
        text: String,
    },
    /// Give an incident to somebody.
    Assign {
        /// Which.
        incident: IncidentId,
        /// To whom.
        to: String,
    },
    /// Withhold the letters of some incidents for a while.
    Silence {
        /// What is silenced.
        scope: Scope,
        /// Only incidents of this kind.
        #[serde(default)]
        kind: Option<Kind>,
        /// Until when; at most [`MAX_SILENCE_MS`] ahead.
        to: Timestamp,
        /// Why.
        reason: String,
    },
    /// End a silence before its time.
    EndSilence {
        /// Its number.
        no: i64,
    },
}

/// Does `act` in the name of `by`.
///
/// # Errors
/// What the store says; inside, why the act makes no sense, and then nothing is changed.
pub(super) fn perform(
    tx: &Transaction<'_>,
    (act, by): (&Act, &str),
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Result<Answer, Refused>, StoreError> {
    if by.trim().is_empty() || MAX_NAME < by.len() {
        return Ok(Refused::because(format!("whoever does it has a name of 1 to {MAX_NAME} bytes")));
    }
    match act {
        Act::Acknowledge { incident } => acknowledge(tx, (incident, by), fleet, now),
        Act::Note { incident, text } => note(tx, incident, (by, text), now),
        Act::Assign { incident, to } => assign(tx, (incident, to, by), fleet, now),
        Act::Silence { scope, kind, to, reason } => {
            let silence = Silence {
                no: 0,
                scope: scope.clone(),
                kind: *kind,
                from: now,
                to: *to,
                reason: reason.trim().to_owned(),
                by: by.to_owned(),
                ended: None,
            };
            silenced(tx, &silence, fleet)
        }
        Act::EndSilence { no } => Ok(match silences::end(tx, *no, by, now)? {
            Some(_silence) => Ok(Answer::Done),
            None => Err(Refused { message: format!("no silence {no} holds now; see `nines silence list`") }),
        }),
    }
}

/// [`perform`] in a running server, and wakes whoever shows or follows what it changed.
///
/// # Errors
/// As [`perform`].
pub(crate) async fn done(act: Act, by: String, running: &Running) -> Result<Result<Answer, Refused>, StoreError> {
    let (fleet, now) = (running.fleet.borrow().clone(), running.clock.now());
    let told = serde_json::to_string(&act).expect("an act has only text keys and writes to memory");
    let author = by.clone();
    let done = running.store.write(move |tx| perform(tx, (&act, &by), &fleet, now)).await?;
    match &done {
        Ok(_answer) => {
            tracing::info!(act = told, by = author, "control.done");
            running.news.send_modify(|news| *news += 1);
        }
        Err(refused) => tracing::info!(act = told, by = author, %refused, "control.refused"),
    }
    Ok(done)
}

fn acknowledge(
    tx: &Transaction<'_>,
    (id, by): (&IncidentId, &str),
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Result<Answer, Refused>, StoreError> {
    let Some(before) = incidents::get(tx, id)? else { return Ok(unknown(id)) };
    if let Some(incident) = incidents::acknowledge(tx, id, by, now)?
        && before.acknowledged_by.is_none()
    {
        telling::act(tx, fleet, &incident, &format!("acknowledged by {by}"), now)?;
    }
    Ok(Ok(Answer::Done))
}

fn note(
    tx: &Transaction<'_>,
    id: &IncidentId,
    (by, text): (&str, &str),
    now: Timestamp,
) -> Result<Result<Answer, Refused>, StoreError> {
    if text.trim().is_empty() || MAX_TEXT < text.len() {
        return Ok(Refused::because(format!("a note has 1 to {MAX_TEXT} bytes")));
    }
    let note = Note { at: now, author: Some(by.to_owned()), text: text.to_owned() };
    Ok(incidents::add_note(tx, id, &note)?.map_or_else(|| unknown(id), |_incident| Ok(Answer::Done)))
}

fn assign(
    tx: &Transaction<'_>,
    (id, to, by): (&IncidentId, &str, &str),
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Result<Answer, Refused>, StoreError> {
    if to.trim().is_empty() || MAX_NAME < to.len() {
        return Ok(Refused::because(format!("a person has a name of 1 to {MAX_NAME} bytes")));
    }
    let known: Vec<&str> = fleet.people.iter().map(|person| person.id.as_str()).collect();
    if !known.is_empty() && !known.contains(&to.trim()) {
        return Ok(Refused::because(format!("there is no person {}; there are {}", to.trim(), known.join(", "))));
    }
    let Some(before) = incidents::get(tx, id)? else { return Ok(unknown(id)) };
    if let Some(incident) = incidents::assign(tx, id, (to, by), now)?
        && before.assigned_to != incident.assigned_to
    {
        telling::act(tx, fleet, &incident, &format!("assigned to {} by {by}", to.trim()), now)?;
    }
    Ok(Ok(Answer::Done))
}

fn silenced(tx: &Transaction<'_>, silence: &Silence, fleet: &Fleet) -> Result<Result<Answer, Refused>, StoreError> {
    if silence.reason.is_empty() || MAX_TEXT < silence.reason.len() {
        return Ok(Refused::because(format!("a silence has a reason of 1 to {MAX_TEXT} bytes")));
    }
    if silence.to <= silence.from {
        return Ok(Refused::because("the silence would be over already"));
    }
    if MAX_SILENCE_MS < silence.to.since(silence.from) {
        let message = format!("a silence ends within {}; silence it again then", Shown(MAX_SILENCE_MS));
        return Ok(Refused::because(message));
    }
    let known = match &silence.scope {
        Scope::Service(id) => fleet.services.iter().any(|service| service.id == *id),
        Scope::Customer(id) => fleet.customers.iter().any(|customer| customer.id == *id),
        Scope::Check(id) => fleet.checks.iter().any(|check| check.id == *id),
        Scope::Probe(id) => probes::list(tx)?.iter().any(|probe| probe.id == *id),
    };
    if !known {
        return Ok(Refused::because(format!("there is no {}", silence.scope)));
    }
    Ok(Ok(Answer::Silenced { no: silences::add(tx, silence)? }))
}

fn unknown(id: &IncidentId) -> Result<Answer, Refused> {
    Refused::because(format!("there is no incident {id}; see `nines incident list`"))
}

#[cfg(test)]
mod tests;
