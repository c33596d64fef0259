//! What is told of an incident, into the outbox, in the transaction given: of its changes, of what people did about it,
//! and of what [`plan`] finds due. Reads what decides; the deciding is `route`'s, `quiet`'s and `plan`'s.

use nines_shared::id::ChannelId;
use nines_shared::time::Timestamp;
use rusqlite::{Connection, Transaction};

use super::plan::{self, Facts, Plan};
use super::route::Alert;
use super::{message, quiet, route};
use crate::definition::Fleet;
use crate::incident::transition::Telling;
use crate::incident::{Event, Incident};
use crate::store::incidents::Note;
use crate::store::silences::Silence;
use crate::store::{StoreError, incidents, outbox, silences};
use crate::uptime::calendar;

/// Writes what is told of a change. Whoever was told that it opened learns how it ends, whatever silences, hours and
/// routes say by then; everything else goes by them. What nobody is told is in the incident's log.
///
/// # Errors
/// What the store says.
pub fn change(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    incident: &Incident,
    (telling, note): (Telling, Option<&'static str>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let alert = Alert::of(fleet, incident, telling.severity);
    let letters = outbox::told(tx, &incident.id)?;
    let silent = silences::holding(tx, now)?;
    let silent = quiet::withheld(&silent, incident, &alert);
    let channels = match telling.event {
        Event::Resolved => plan::owed_an_end(&letters),
        Event::Opened | Event::Updated if silent.is_some() => Vec::new(),
        Event::Opened => route::channels(&fleet.routes, &alert, now),
        Event::Updated => match plan::told_of_opening(&letters) {
            // Of what is open the plan tells, once there is somebody to tell.
            told if told.is_empty() && incident.is_open() => told,
            told if told.is_empty() => route::channels_sooner_or_later(&fleet.routes, &alert, now),
            told => told,
        },
    };
    if telling.event == Event::Opened && channels.is_empty() {
        untold(tx, incident, silent, now)?;
    }
    let body = message::body(fleet, incident, telling, note);
    outbox::write(tx, incident, telling.event, &to_each(channels, &body), now)
}

/// Says in the incident's log why nobody is told.
fn untold(
    tx: &Transaction<'_>,
    incident: &Incident,
    silent: Option<&Silence>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = match silent {
        Some(silence) => format!(
            "nobody is told: {} silenced it until {} ({})",
            silence.by,
            calendar::utc(silence.to),
            silence.reason
        ),
        None => {
            tracing::warn!(incident = %incident.id, "alert.no_route: nobody is told; add a [[route]]");
            outbox::NO_ROUTE.to_owned()
        }
    };
    incidents::log(tx, &incident.id, &Note { at: now, author: None, text })
}

/// Writes what is told of something that a person did about an open incident, to whoever was told of it: so that what
/// they keep of it follows. Silences withhold alarms, not this.
///
/// # Errors
/// What the store says.
pub fn act(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    incident: &Incident,
    note: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !incident.is_open() {
        return Ok(());
    }
    let channels = plan::owed_an_end(&outbox::told(tx, &incident.id)?);
    let telling = Telling { event: Event::Updated, severity: incident.severity };
    let body = message::body(fleet, incident, telling, Some(note));
    outbox::write_step(tx, incident, telling.event, &to_each(channels, &body), now)
}

/// What is due of `incident` at `now`.
///
/// # Errors
/// What the store says.
pub fn due(
    conn: &Connection,
    fleet: &Fleet,
    incident: &Incident,
    holding: &[Silence],
    now: Timestamp,
) -> Result<Plan, StoreError> {
    let alert = Alert::of(fleet, incident, incident.severity);
    let silent_until = quiet::withheld(holding, incident, &alert).map(|silence| silence.to);
    let letters = outbox::told(conn, &incident.id)?;
    Ok(plan::plan(&Facts { incident, alert: &alert, routes: &fleet.routes, letters: &letters, silent_until }, now))
}

/// Writes what is due of every open incident at `now`; says how many letters.
///
/// # Errors
/// What the store says.
pub fn write_due(tx: &Transaction<'_>, fleet: &Fleet, now: Timestamp) -> Result<usize, StoreError> {
    let holding = silences::holding(tx, now)?;
    let mut written = 0;
    for incident in incidents::open(tx)? {
        for planned in due(tx, fleet, &incident, &holding, now)?.letters {
            let telling = Telling { event: planned.event, severity: incident.severity };
            let body = message::body(fleet, &incident, telling, Some(&planned.why.note()));
            outbox::write_step(tx, &incident, planned.event, &[(planned.channel.clone(), body)], now)?;
            tracing::info!(
                incident = %incident.id, channel = %planned.channel, event = planned.event.code(),
                why = planned.why.code(), "alert.due"
            );
            written += 1;
        }
    }
    Ok(written)
}

fn to_each(channels: Vec<ChannelId>, body: &str) -> Vec<(ChannelId, String)> {
    channels.into_iter().map(|channel| (channel, body.to_owned())).collect()
}
