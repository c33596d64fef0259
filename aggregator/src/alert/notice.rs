//! The notice that a channel could not be told: to the other channels, at most once a day and channel. What nobody
//! hears of is an alert that nobody got.

use nines_shared::id::ChannelId;
use nines_shared::time::Timestamp;
use rusqlite::Transaction;
use serde::Serialize;

use super::{message, route};
use crate::definition::{Fleet, Severity};
use crate::store::outbox::Letter;
use crate::store::{StoreError, outbox};

/// Of whose letters no notice is written: a notice's own.
const ABOUT: &str = "channel-";
const DAY_MS: i64 = 86_400_000;

/// What a channel is told. Fields may be added, never changed.
#[derive(Debug, Serialize)]
struct Body<'a> {
    schema: &'static str,
    event: &'static str,
    severity: Severity,
    kind: &'static str,
    environment: &'a str,
    /// Which could not be told.
    channel: &'a ChannelId,
    /// Of what.
    about: &'a str,
    failure: &'a str,
    summary: String,
    link: String,
}

/// Writes the notice that `letter` was given up, in the transaction that settles it.
///
/// # Errors
/// What SQLite says.
pub fn given_up(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    (letter, failure): (&Letter, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let about = format!("{ABOUT}{}", letter.channel);
    let day = u32::try_from(now.as_ms().div_euclid(DAY_MS)).unwrap_or(0);
    if letter.about.starts_with(ABOUT) || outbox::is_written(tx, &about, day)? {
        return Ok(());
    }
    let body = Body {
        schema: message::SCHEMA,
        event: "given_up",
        severity: Severity::Page,
        kind: "channel",
        environment: &fleet.environment,
        channel: &letter.channel,
        about: &letter.about,
        failure,
        summary: format!(
            "channel {} could not be told of {} and was given up: {failure}",
            letter.channel, letter.about
        ),
        link: message::base(fleet),
    };
    let body = serde_json::to_string(&body).expect("plain data with text keys, written to memory");
    let letters: Vec<(ChannelId, String)> =
        others(fleet, &letter.channel, now).into_iter().map(|channel| (channel, body.clone())).collect();
    if letters.is_empty() {
        tracing::error!(channel = %letter.channel, "alert.no_other_channel: nobody hears that this one fails");
    }
    outbox::write_notice(tx, (&about, day, "given_up"), &letters, now)
}

/// Where routes lead what is our own, the loudest first; never back to the channel that fails.
fn others(fleet: &Fleet, failing: &ChannelId, now: Timestamp) -> Vec<ChannelId> {
    let of = |severity| {
        let alert = route::Alert::of_fleet(fleet, severity);
        let mut channels = route::channels_sooner_or_later(&fleet.routes, &alert, now);
        channels.retain(|channel| channel != failing);
        channels
    };
    let found = [Severity::Page, Severity::Ticket, Severity::Info].map(of).into_iter().find(|found| !found.is_empty());
    found.unwrap_or_default()
}
