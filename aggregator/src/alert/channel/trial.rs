//! A trial of a channel: an opening and its end, marked as a test, by the very code that delivers alerts. Nothing is
//! written down and no incident is made.

use std::sync::Arc;

use nines_shared::id::ChannelId;
use nines_shared::time::Timestamp;

use super::client::Client;
use super::{Refused, deliver};
use crate::alert::message;
use crate::definition::{Fleet, Severity};
use crate::incident::Event;
use crate::store::outbox::Letter;

/// The letter of a trial that began at `began_at`: of its opening or of its end, told at `severity`.
pub fn letter(
    fleet: &Fleet,
    channel: &ChannelId,
    (event, severity): (Event, Severity),
    (began_at, now): (Timestamp, Timestamp),
) -> Letter {
    let about = format!("nines-test-{channel}-{}", began_at.as_ms());
    let body = message::of_trial(fleet, &about, (event, severity), (began_at, now));
    Letter {
        no: 0,
        about,
        revision: if event == Event::Opened { 1 } else { 2 },
        step: 0,
        event: event.code().to_owned(),
        channel: channel.clone(),
        body,
        written_at: now,
        attempts: 0,
        due_at: now,
        failure: None,
    }
}

/// Delivers `letter` once.
///
/// # Errors
/// [`Refused`] with what the channel said.
pub async fn send(fleet: &Arc<Fleet>, letter: &Letter, now: Timestamp) -> Result<(), Refused> {
    deliver(&Client::new(&fleet.aggregator.webhook_allow), fleet, letter, now).await
}
