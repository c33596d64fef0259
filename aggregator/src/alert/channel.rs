//! Channels: a match over the kinds, one file each. A channel accepts a letter or says why not; it never decides when
//! to try again.
//!
//! Each is a rendering of one stored body ([`Message`]), so that a letter says the same at every attempt. What a target
//! said is in it: no channel lets it become markup, a mention, a header or a control character. What a channel
//! answers is a stranger's too: it is bounded, cleaned, and the channel's own secrets are hidden in it.

mod alertmanager;
pub mod client;
mod discord;
mod email;
mod exec;
mod hidden;
mod ntfy;
mod pagerduty;
mod post;
mod slack;
mod teams;
pub mod trial;
pub mod webhook;

use std::sync::Arc;

use nines_shared::time::Timestamp;

use super::message::Message;
use super::text::{self, Text};
use crate::definition::{Channel, ChannelKind, Fleet};
use crate::store::outbox::Letter;
use client::Client;

/// Why a channel did not accept a letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// What went wrong and, where it can be, how to mend it.
    pub why: String,
    /// How long the channel asks to be left alone, in ms.
    pub retry_after_ms: Option<i64>,
    /// This very letter will never be accepted, however often it is tried.
    pub permanent: bool,
}

impl Refused {
    /// A refusal without a wish.
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after_ms: None, permanent: false }
    }

    /// A refusal that no other attempt will change.
    pub fn for_good(why: impl Into<String>) -> Self {
        Self { permanent: true, ..Self::because(why) }
    }
}

/// Delivers `letter` to its channel as the fleet file defines it now.
///
/// # Errors
/// [`Refused`] where the channel did not accept it.
pub async fn deliver(client: &Client, fleet: &Arc<Fleet>, letter: &Letter, now: Timestamp) -> Result<(), Refused> {
    let Some(channel) = fleet.channels.iter().find(|known| known.id == letter.channel) else {
        // Were it to wait for a file that has it again, nobody would hear for a day that nobody is told.
        return Err(Refused::for_good(format!("the fleet file has no channel {}", letter.channel)));
    };
    match &channel.kind {
        ChannelKind::Webhook { url, secret } => {
            webhook::deliver(client, &webhook::Hook { url, secret: secret.as_ref() }, letter, now).await
        }
        ChannelKind::Exec { command, timeout_ms } => exec::deliver(command, *timeout_ms, letter).await,
        ChannelKind::Slack { url } => slack::deliver(client, url, &Told::of(channel, letter)?, now).await,
        ChannelKind::Pagerduty { routing_key, url } => {
            pagerduty::deliver(client, (url, routing_key), &Told::of(channel, letter)?, now).await
        }
        ChannelKind::Alertmanager(server) => {
            alertmanager::deliver(client, server, &Told::of(channel, letter)?, now).await
        }
        ChannelKind::Teams { url } => teams::deliver(client, url, &Told::of(channel, letter)?, now).await,
        ChannelKind::Discord { url } => discord::deliver(client, url, &Told::of(channel, letter)?, now).await,
        ChannelKind::Ntfy(server) => ntfy::deliver(client, server, &Told::of(channel, letter)?, now).await,
        ChannelKind::Email(email) => email::deliver(client, email, &Told::of(channel, letter)?).await,
    }
}

/// A letter, read.
#[derive(Debug)]
struct Told<'a> {
    letter: &'a Letter,
    message: Message,
    text: Text,
}

impl<'a> Told<'a> {
    fn of(channel: &Channel, letter: &'a Letter) -> Result<Self, Refused> {
        let unreadable = |why| Refused::for_good(format!("the letter can't be read: {why}"));
        let message = Message::read(&letter.body).map_err(unreadable)?;
        let text = text::of(&message, &channel.template);
        Ok(Self { letter, message, text })
    }
}

#[cfg(test)]
mod tests;
