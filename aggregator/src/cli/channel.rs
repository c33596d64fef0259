//! `nines channel list` and `nines channel test ID`: the ways by which people are told, and whether they work.
//!
//! A test goes out from here, beside a server that runs: it makes no incident, and writes nothing down.

use std::sync::Arc;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use nines_shared::duration;
use nines_shared::time::Clock;

use super::table::{self, Align};
use super::{Failure, Global, wait};
use crate::alert::channel::{Refused, trial};
use crate::definition::{Channel, Fleet, Severity};
use crate::incident::Event;

/// The longest that a test may stay open, in ms.
const MAX_HOLD_MS: i64 = 600_000;

/// Try the ways by which people are told, and list them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines channel list
  nines channel test oncall --config fleet.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Test(Test),
}

/// Show every channel: how it is reached, and how many routes lead to it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines channel list --config fleet.toml")]
struct List {}

/// Send a real opening and its end to a channel, marked as a test, and say what it answered
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines channel test oncall
  nines channel test alertmanager --hold 1m      long enough for its group_wait
  nines channel test desk --severity ticket

Exit codes: 0 both were accepted, 64 usage, 69 one was not, 78 configuration")]
struct Test {
    /// The channel's id
    channel: String,
    /// How long it stays open before it is resolved; up to 10m
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = hold)]
    hold: i64,
    /// How loud it is: a page may wake somebody up
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Loud::Page)]
    severity: Loud,
}

/// [`Severity`], as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Loud {
    /// For the record
    Info,
    /// For working hours
    Ticket,
    /// Now
    Page,
}

impl From<Loud> for Severity {
    fn from(loud: Loud) -> Self {
        match loud {
            Loud::Info => Self::Info,
            Loud::Ticket => Self::Ticket,
            Loud::Page => Self::Page,
        }
    }
}

fn hold(text: &str) -> Result<i64, String> {
    let ms = duration::parse_ms(text).map_err(|error| error.to_string())?;
    if (0..=MAX_HOLD_MS).contains(&ms) { Ok(ms) } else { Err("a test stays open for at most 10m".to_owned()) }
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] where there is no such channel, [`Failure::Unavailable`] where it refused, [`Failure::FleetFile`]
/// with every error of the file.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    match args.command {
        Command::List(List {}) => {
            list(&fleet);
            Ok(())
        }
        Command::Test(test) => wait(try_out(Arc::new(fleet), test)),
    }
}

fn list(fleet: &Fleet) {
    if fleet.channels.is_empty() {
        anstream::println!("no channels; add a [[channel]]");
        return;
    }
    let columns = [("ID", Align::Left), ("KIND", Align::Left), ("TO", Align::Left), ("ROUTES", Align::Right)];
    let row = |channel: &Channel| {
        let routes = fleet.routes.iter().filter(|route| route.channels.contains(&channel.id)).count();
        [channel.id.to_string(), channel.kind.code().to_owned(), to(channel), routes.to_string()]
    };
    let rows: Vec<[String; 4]> = fleet.channels.iter().map(row).collect();
    anstream::print!("{}", table::drawn(columns, &rows));
}

/// Where a channel leads, as far as it is no secret.
fn to(channel: &Channel) -> String {
    let host = channel.kind.host().map(|host| host.to_string());
    host.or_else(|| channel.kind.secrets().first().map(ToString::to_string))
        .unwrap_or_else(|| "this machine".to_owned())
}

async fn try_out(fleet: Arc<Fleet>, test: Test) -> Result<(), Failure> {
    let Some(channel) = fleet.channels.iter().find(|channel| channel.id.as_str() == test.channel) else {
        let known: Vec<&str> = fleet.channels.iter().map(|channel| channel.id.as_str()).collect();
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
        return Err(Failure::Usage(format!("the fleet file has no channel {:?}; {known}", test.channel)));
    };
    let clock = Clock::system();
    let began_at = clock.now();
    let severity = Severity::from(test.severity);
    let mut refusals = 0;
    for event in [Event::Opened, Event::Resolved] {
        let now = clock.now();
        let letter = trial::letter(&fleet, &channel.id, (event, severity), (began_at, now));
        let answer = trial::send(&fleet, &letter, now).await;
        refusals += u8::from(answer.is_err());
        anstream::println!("{}", said(channel, event, answer));
        // Even what was not opened, as far as we know, is resolved: its acceptance may have been lost.
        if event == Event::Opened {
            tokio::time::sleep(Duration::from_millis(test.hold.unsigned_abs())).await;
        }
    }
    if refusals == 0 { Ok(()) } else { Err(Failure::Unavailable(format!("{refusals} of 2 were not accepted"))) }
}

fn said(channel: &Channel, event: Event, answer: Result<(), Refused>) -> String {
    let (id, kind, event) = (&channel.id, channel.kind.code(), event.code());
    match answer {
        Ok(()) => format!("{id} ({kind}): {event}: accepted"),
        Err(Refused { why, permanent: true, .. }) => format!("{id} ({kind}): {event}: refused for good: {why}"),
        Err(Refused { why, retry_after_ms: Some(ms), .. }) => {
            format!("{id} ({kind}): {event}: refused, asks for {}s: {why}", ms.div_euclid(1_000))
        }
        Err(Refused { why, .. }) => format!("{id} ({kind}): {event}: refused, and would be tried again: {why}"),
    }
}
