//! The part of `nines status` that is about who was told, and about our own life.

use nines_shared::id::ChannelId;
use nines_shared::sample::detail;
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;
use serde::Serialize;

use crate::store::gaps::{self, Gap, Life};
use crate::store::silences::{self, Silence};
use crate::store::{StoreError, outbox};
use crate::uptime::calendar;
use crate::words;

/// Who was told, and how we live.
#[derive(Debug, Serialize)]
pub(super) struct Alerts {
    /// Letters that are not delivered yet.
    waiting: u64,
    /// Channels whose letters were given up in the last week, and why last.
    given_up: Vec<GivenUp>,
    /// Incidents of the last week that opened and nobody was told of.
    untold: Vec<String>,
    /// Silences that hold.
    silences: Vec<Silence>,
    /// Time of the last week in which we gave no sign of life.
    gaps: Vec<Gap>,
    /// Our own life.
    life: Option<Life>,
}

#[derive(Debug, Serialize)]
struct GivenUp {
    channel: ChannelId,
    at: Timestamp,
    failure: Option<String>,
}

impl Alerts {
    pub(super) fn read(conn: &Connection, now: Timestamp) -> Result<Self, StoreError> {
        let since = now.plus_ms(-outbox::LOOK_BACK_MS);
        let given_up = outbox::given_up_since(conn, since)?;
        let of_channel = |(channel, at, failure)| GivenUp { channel, at, failure };
        Ok(Self {
            waiting: outbox::waiting(conn)?,
            given_up: given_up.into_iter().map(of_channel).collect(),
            untold: outbox::untold_since(conn, since)?,
            silences: silences::holding(conn, now)?,
            gaps: gaps::within(conn, Span::new(since, now))?,
            life: gaps::life(conn)?,
        })
    }

    /// A line for everything that is not as it should be; empty where all is.
    pub(super) fn drawn(&self) -> String {
        let mut lines = Vec::new();
        if self.waiting != 0 {
            let count = usize::try_from(self.waiting).unwrap_or(usize::MAX);
            lines.push(format!("{} to be delivered", words::count(count, "letter")));
        }
        for GivenUp { channel, at, failure } in &self.given_up {
            let why = detail(failure.as_deref().unwrap_or("no reason is known"));
            lines.push(format!("channel {channel} was given up {}: {why}", calendar::utc(*at)));
        }
        lines.extend(self.untold.iter().map(|incident| format!("nobody was told of {incident}")));
        for silence in &self.silences {
            let (by, reason) = (detail(&silence.by), detail(&silence.reason));
            lines.push(format!("{} is silenced until {} by {by}: {reason}", silence.scope, calendar::utc(silence.to)));
        }
        for Gap { span, why } in &self.gaps {
            let length = words::duration(span.length_ms());
            lines.push(format!("monitoring gap of {length} from {}: {}", calendar::utc(span.from), why.words()));
        }
        if let Some(why) = self.life.as_ref().and_then(|life| life.heartbeat_fault.as_deref()) {
            lines.push(format!("the heartbeat is silent: {}", detail(why)));
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }
}
