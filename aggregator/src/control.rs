//! The control socket beside the database: commands that change something go through the running server.
//!
//! A command is data, and what it does is a function over one transaction; the server calls it for
//! whoever asks at `<database>.sock`, and the command line calls it itself where no server runs. One
//! process writes to the database, so exactly one of the two can happen.

pub mod act;
mod authority;
mod client;
mod invitation;
mod report;
mod socket;
#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nines_shared::id::{CustomerId, ProbeId, RegionId};
use nines_shared::sample::Sample;
use nines_shared::time::Timestamp;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

pub use act::Act;
pub use client::{Carrier, ControlError, carry_out};
pub use invitation::{Invitation, KnownBy};
use report::{Prepared, prepare};
pub(crate) use socket::{Socket, done};

use crate::definition::{Fleet, Maintenance, Weekly};
use crate::gateway::authority::Authority;
use crate::store::definitions::maintenance;
use crate::store::samples::{self, Inserted};
use crate::store::{StoreError, probes};
use crate::uptime::calendar;

/// The longest reason or note, in bytes.
pub const MAX_TEXT: usize = 2_000;

/// The most samples that one command stores.
pub const MAX_STORED_SAMPLES: usize = 1_000;

/// How long a command and its answer may take together.
const PATIENCE: Duration = Duration::from_secs(10);
/// … where it makes a report.
const REPORT_PATIENCE: Duration = Duration::from_secs(1_800);

/// Something that a person wants changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Let a probe join.
    Invite {
        /// The region it will look from.
        region: RegionId,
        /// Its name; `None`: the region's next free one.
        name: Option<ProbeId>,
    },
    /// Shut a probe out, or void its invitation.
    Revoke {
        /// Which.
        probe: ProbeId,
    },
    /// Make a new private authority, beside those that are believed.
    RotateAuthority,
    /// Take a private authority out.
    RetireAuthority {
        /// Its number.
        no: u32,
        /// Even where probes hang on it, which are shut out then.
        #[serde(default)]
        force: bool,
    },
    /// Announce a maintenance window.
    AddMaintenance {
        /// The window.
        window: Maintenance,
        /// Who announces it.
        by: String,
        /// Whether it may have begun already: an exclusion granted afterwards.
        #[serde(default)]
        retroactive: bool,
    },
    /// Cancel a maintenance window.
    CancelMaintenance {
        /// Its number.
        no: i64,
        /// Who cancels it.
        by: String,
        /// Why; must be said of one that was granted afterwards.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Do something about incidents.
    Act {
        /// What.
        act: Act,
        /// Who.
        by: String,
    },
    /// Store imported samples, which the one who asks has judged.
    StoreSamples {
        /// At most [`MAX_STORED_SAMPLES`].
        samples: Vec<Sample>,
    },
    /// Freeze the report of a month that is complete.
    FreezeReport {
        /// Whose.
        customer: CustomerId,
        /// Which month: `2026-10`.
        month: String,
        /// Who says that its time is over, though no probe bears it out; `None`: nobody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Make a further revision of a frozen report.
    RestateReport {
        /// Whose.
        customer: CustomerId,
        /// Which month.
        month: String,
        /// Why.
        reason: String,
        /// Who asks.
        by: String,
    },
}

impl Command {
    /// How long it and its answer may take together: a report reads a month.
    fn patience(&self) -> Duration {
        match self {
            Self::FreezeReport { .. } | Self::RestateReport { .. } => REPORT_PATIENCE,
            Self::Invite { .. }
            | Self::Revoke { .. }
            | Self::RotateAuthority
            | Self::RetireAuthority { .. }
            | Self::AddMaintenance { .. }
            | Self::CancelMaintenance { .. }
            | Self::Act { .. }
            | Self::StoreSamples { .. } => PATIENCE,
        }
    }

    /// Whether it may change who is a probe of the fleet, so that whoever waits for an answer must be looked at anew.
    fn changes_who_is_in(&self) -> bool {
        matches!(self, Self::Revoke { .. } | Self::RotateAuthority | Self::RetireAuthority { .. })
    }

    /// The command as the log tells it.
    fn told(&self) -> String {
        match self {
            Self::StoreSamples { samples } => format!("store {} samples", samples.len()),
            Self::Invite { .. }
            | Self::Revoke { .. }
            | Self::RotateAuthority
            | Self::RetireAuthority { .. }
            | Self::AddMaintenance { .. }
            | Self::CancelMaintenance { .. }
            | Self::Act { .. }
            | Self::FreezeReport { .. }
            | Self::RestateReport { .. } => {
                serde_json::to_string(self).expect("a command has only text keys and writes to memory")
            }
        }
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// What the probe has to be told.
    Invited(Invitation),
    /// There is a new authority.
    AuthorityMade {
        /// Its number.
        no: u32,
    },
    /// An authority is out.
    AuthorityRetired {
        /// Probes that hung on it; they must join anew.
        shut_out: Vec<ProbeId>,
        /// Names whose invitation is void.
        uninvited: Vec<ProbeId>,
    },
    /// The window's number.
    MaintenanceAdded {
        /// By which it is cancelled.
        no: i64,
    },
    /// The window as it counts now.
    MaintenanceCancelled {
        /// As announced.
        window: Maintenance,
        /// When it ends as it counts.
        until: Timestamp,
    },
    /// The silence holds.
    Silenced {
        /// By which it is ended.
        no: i64,
    },
    /// The samples are stored.
    Stored {
        /// How many were new.
        stored: usize,
        /// How many were there already.
        same: usize,
    },
    /// A revision is on record.
    ReportKept {
        /// Which.
        revision: u32,
        /// Whether this command made it.
        new: bool,
    },
    /// A restatement would say the same, so there is none.
    ReportUnchanged {
        /// The revision that stands.
        revision: u32,
    },
    /// There is no more to say.
    Done,
}

/// The command makes no sense: what is wrong and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// For people.
    pub message: String,
}

impl Refused {
    fn because<T>(message: impl Into<String>) -> Result<T, Self> {
        Err(Self { message: message.into() })
    }
}

/// What a command may need to know.
#[derive(Clone, Debug)]
pub struct Context {
    /// The fleet in force.
    pub fleet: Arc<Fleet>,
    /// Where probes reach the aggregator from this machine.
    pub probes_addr: SocketAddr,
    /// Who vouches for probes.
    pub authority: Arc<Authority>,
    /// The time.
    pub now: Timestamp,
}

/// Does what `command` says, with what was [`prepare`]d for it.
///
/// # Errors
/// What the store says; inside, why the command makes no sense, and then nothing is changed.
fn perform(
    tx: &Transaction<'_>,
    command: &Command,
    prepared: Prepared,
    context: &Context,
) -> Result<Result<Answer, Refused>, StoreError> {
    match prepared {
        Prepared::Nothing => {}
        Prepared::Answer(answer) => return Ok(Ok(answer)),
        Prepared::Report(draft) => return report::keep(tx, &draft, context).map(Ok),
    }
    match command {
        Command::Invite { region, name } => invitation::invite(tx, region, name.as_ref(), context),
        Command::Revoke { probe } => revoke(tx, probe, context),
        Command::RotateAuthority => authority::rotate(tx, context),
        Command::RetireAuthority { no, force } => authority::retire(tx, *no, *force, context),
        Command::AddMaintenance { window, by, retroactive } => add_maintenance(tx, window, (by, *retroactive), context),
        Command::CancelMaintenance { no, by, reason } => cancel_maintenance(tx, *no, (by, reason.as_deref()), context),
        Command::Act { act, by } => act::perform(tx, (act, by), &context.fleet, context.now),
        Command::StoreSamples { samples } => store_samples(tx, samples, context),
        Command::FreezeReport { .. } | Command::RestateReport { .. } => {
            unreachable!("a command of reports is prepared before it has the writer")
        }
    }
}

fn revoke(tx: &Transaction<'_>, probe: &ProbeId, context: &Context) -> Result<Result<Answer, Refused>, StoreError> {
    if probes::revoke(tx, probe, context.now)? {
        return Ok(Ok(Answer::Done));
    }
    Ok(Refused::because(format!("no probe {probe} is in the fleet or invited; see `nines probe list`")))
}

fn add_maintenance(
    tx: &Transaction<'_>,
    window: &Maintenance,
    (by, retroactive): (&str, bool),
    context: &Context,
) -> Result<Result<Answer, Refused>, StoreError> {
    if !context.fleet.services.iter().any(|service| service.id == window.service) {
        let known: Vec<&str> = context.fleet.services.iter().map(|service| service.id.as_str()).collect();
        let message = format!("there is no service {}; there are {}", window.service, known.join(", "));
        return Ok(Refused::because(message));
    }
    if window.span.is_empty() {
        return Ok(Refused::because("the window ends before it begins"));
    }
    if MAX_TEXT < window.reason.len() || MAX_TEXT < by.len() {
        return Ok(Refused::because(format!("the reason is longer than {MAX_TEXT} bytes")));
    }
    let is_rule = |weekly: &Weekly| !weekly.hours.is_empty() && calendar::zone(&weekly.timezone).is_ok();
    if !window.weekly.as_ref().is_none_or(is_rule) {
        return Ok(Refused::because("the weekly rule has no hours, or no time zone that is known"));
    }
    if maintenance::is_afterwards(window, context.now) != retroactive {
        let message = if retroactive {
            "the window has not begun, so nothing is granted afterwards; leave --retroactive out"
        } else {
            "the window has begun already; to exclude time afterwards, which every report then says, add --retroactive"
        };
        return Ok(Refused::because(message));
    }
    Ok(Ok(Answer::MaintenanceAdded { no: maintenance::add(tx, window, by, context.now)? }))
}

fn cancel_maintenance(
    tx: &Transaction<'_>,
    no: i64,
    (by, reason): (&str, Option<&str>),
    context: &Context,
) -> Result<Result<Answer, Refused>, StoreError> {
    let windows = maintenance::list(tx)?;
    let known = windows.iter().find(|known| known.no == no);
    let afterwards = known.is_some_and(|known| known.window.afterwards.is_some());
    let over = known.filter(|known| known.cancelled.is_none() && known.window.span.to <= context.now);
    if over.is_some() && !afterwards {
        let message = format!("window {no} was announced, is over and stays on record");
        return Ok(Refused::because(message));
    }
    if afterwards && reason.is_none_or(|reason| reason.trim().is_empty()) {
        let message = format!("window {no} was granted afterwards; say with --reason why it is taken back");
        return Ok(Refused::because(message));
    }
    if MAX_TEXT < reason.map_or(0, str::len) || MAX_TEXT < by.len() {
        return Ok(Refused::because(format!("the reason is longer than {MAX_TEXT} bytes")));
    }
    if known.is_some_and(|known| known.from_file) {
        let message = format!("window {no} is the fleet file's; take it out there, or the file would bring it back");
        return Ok(Refused::because(message));
    }
    let Some(cancelled) = maintenance::cancel(tx, no, (by, reason), context.now)? else {
        let message = format!("no window {no} can be cancelled; see `nines maintenance list`");
        return Ok(Refused::because(message));
    };
    Ok(Ok(Answer::MaintenanceCancelled { window: cancelled.window, until: cancelled.until }))
}

fn store_samples(
    tx: &Transaction<'_>,
    samples: &[Sample],
    context: &Context,
) -> Result<Result<Answer, Refused>, StoreError> {
    if MAX_STORED_SAMPLES < samples.len() {
        return Ok(Refused::because(format!("at most {MAX_STORED_SAMPLES} samples are stored by one command")));
    }
    let Inserted { stored, same } = samples::insert(tx, samples, context.now)?;
    Ok(Ok(Answer::Stored { stored, same }))
}
