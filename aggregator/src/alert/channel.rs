//! Channels: a match over the kinds, one file each. A channel accepts a letter or says why not; it never decides when to try again.

pub mod client;
pub mod webhook;

use std::sync::Arc;

use nines_shared::time::Timestamp;

use crate::definition::{ChannelKind, Fleet};
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
}

impl Refused {
    /// A refusal without a wish.
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after_ms: None }
    }
}

/// Delivers `letter` to its channel as the fleet file defines it now.
///
/// # Errors
/// [`Refused`] where the channel did not accept it.
pub async fn deliver(client: &Client, fleet: &Arc<Fleet>, letter: &Letter, now: Timestamp) -> Result<(), Refused> {
    let Some(channel) = fleet.channels.iter().find(|known| known.id == letter.channel) else {
        return Err(Refused::because(format!("the fleet file has no channel {}", letter.channel)));
    };
    match &channel.kind {
        ChannelKind::Webhook { url, secret } => {
            webhook::deliver(client, &webhook::Hook { url, secret: secret.as_ref() }, letter, now).await
        }
    }
}
