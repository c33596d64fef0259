//! `nines incident list|show|ack|assign|note`: what fails or failed, and what people said about it.

mod act;
mod drawn;
mod evidence;

use clap::Subcommand;
use nines_shared::id::ServiceId;
use nines_shared::sample::detail;
use nines_shared::time::{Clock, Timestamp};
use serde::Serialize;

use super::{Failure, Global};
use crate::alert::quiet;
use crate::alert::route::Alert;
use crate::definition::Fleet;
use crate::incident::evidence::Sight;
use crate::incident::{Incident, IncidentId};
use crate::store::incidents::{self, Filter, Note};
use crate::store::outbox::{self, Letter, Settled};
use crate::store::silences::{self, Silence};
use crate::store::{Store, StoreError};
use crate::uptime::calendar;

/// The most incidents that are listed where nobody says how many.
const LISTED: u32 = 50;

/// List incidents, look at one, say that you work on it, give it to somebody, note something
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines incident list --open
  nines incident show shop-20261122T031207Z
  nines incident ack shop-20261122T031207Z --by ann")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Ack(act::Ack),
    Assign(act::Assign),
    Note(act::AddNote),
}

/// Show incidents, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines incident list --open")]
struct List {
    /// Only those that are not resolved
    #[arg(long)]
    open: bool,
    /// Only those about this service
    #[arg(long, value_name = "ID")]
    service: Option<ServiceId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = LISTED)]
    limit: u32,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Show one incident: what, since when, where from, why, who was told, what next
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines incident show shop-20261122T031207Z")]
struct Show {
    /// Its id, as `nines incident list` prints it
    id: IncidentId,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] where there is no such incident, or neither server nor database can be reached.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    match args.command {
        Command::List(asked) => list(&fleet, asked),
        Command::Show(asked) => show(&fleet, &asked),
        Command::Ack(asked) => asked.run(&fleet),
        Command::Assign(asked) => asked.run(&fleet),
        Command::Note(asked) => asked.run(&fleet),
    }
}

fn list(fleet: &Fleet, asked: List) -> Result<(), Failure> {
    let filter = Filter { open_only: asked.open, service: asked.service, span: None };
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let found = store.read_blocking(|conn| incidents::list(conn, &filter, asked.limit))?;
    if asked.json {
        return super::print_json(&found);
    }
    anstream::print!("{}", drawn::list(fleet, &found, Clock::system().now()));
    Ok(())
}

fn show(fleet: &Fleet, asked: &Show) -> Result<(), Failure> {
    let (incident, sights, notes, letters) = read(fleet, &asked.id)?;
    let silence = silenced(fleet, &incident)?;
    if asked.json {
        let told = letters.iter().map(|(letter, settled)| Told::of(letter, *settled)).collect();
        return super::print_json(&Whole { incident: &incident, sights: &sights, notes: &notes, told, silence });
    }
    if let Some(silence) = silence {
        let (by, reason) = (detail(&silence.by), detail(&silence.reason));
        let until = calendar::utc(silence.to);
        anstream::println!("silenced until {until} by {by}: {reason} (nines silence end {})", silence.no);
    }
    anstream::print!("{}", drawn::one(fleet, &incident, (&sights, &notes, &letters), Clock::system().now()));
    Ok(())
}

/// The silence by which its letters are withheld now.
fn silenced(fleet: &Fleet, incident: &Incident) -> Result<Option<Silence>, Failure> {
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let now = Clock::system().now();
    let holding = store.read_blocking(|conn| silences::holding(conn, now))?;
    let alert = Alert::of(fleet, incident, incident.severity);
    Ok(quiet::withheld(&holding, incident, &alert).filter(|_| incident.is_open()).cloned())
}

type Read = (Incident, Vec<Sight>, Vec<Note>, Vec<(Letter, Settled)>);

fn read(fleet: &Fleet, id: &IncidentId) -> Result<Read, Failure> {
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let found = store.read_blocking(|conn| {
        let Some(incident) = incidents::get(conn, id)? else { return Ok::<_, StoreError>(None) };
        Ok(Some((incident, incidents::sights(conn, id)?, incidents::notes(conn, id)?, outbox::about(conn, id)?)))
    })?;
    found.ok_or_else(|| Failure::Usage(format!("there is no incident {id}; see `nines incident list`")))
}

/// An incident with all that hangs on it, for programs.
#[derive(Serialize)]
struct Whole<'a> {
    incident: &'a Incident,
    sights: &'a [Sight],
    notes: &'a [Note],
    told: Vec<Told<'a>>,
    /// By which its letters are withheld now.
    silence: Option<Silence>,
}

/// What a channel was told and how that went.
#[derive(Serialize)]
struct Told<'a> {
    event: &'a str,
    revision: u32,
    channel: &'a str,
    failed_attempts: u32,
    failure: Option<&'a str>,
    delivered_at: Option<Timestamp>,
    given_up_at: Option<Timestamp>,
}

impl<'a> Told<'a> {
    fn of(letter: &'a Letter, settled: Settled) -> Self {
        let (delivered_at, given_up_at) = match settled {
            Settled::Waiting => (None, None),
            Settled::Delivered(at) => (Some(at), None),
            Settled::GivenUp(at) => (None, Some(at)),
        };
        Self {
            event: &letter.event,
            revision: letter.revision,
            channel: letter.channel.as_str(),
            failed_attempts: letter.attempts,
            failure: letter.failure.as_deref(),
            delivered_at,
            given_up_at,
        }
    }
}
