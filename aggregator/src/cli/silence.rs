//! `nines silence add|list|end`: spans in which nobody is told of some incidents.

use clap::Subcommand;
use nines_shared::duration;
use nines_shared::id::{CheckId, CustomerId, ProbeId, ServiceId};
use nines_shared::sample::detail;
use nines_shared::time::{Clock, Timestamp};

use super::table::{self, Align};
use super::{Failure, Global};
use crate::control::{self, Act, Answer, Command as Control};
use crate::definition::Fleet;
use crate::incident::Kind;
use crate::store::Store;
use crate::store::silences::{self, Scope, Silence};
use crate::uptime::calendar;

/// Withhold what is told of some incidents for a while; they are recorded and shown as ever
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines silence add --service shop --for 2h --reason \"moving the database\"
  nines silence list
  nines silence end 3

What was told before is still told to be over. What is still open when a silence ends is told then.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    List(List),
    End(End),
}

/// Tell nobody of what is about one service, customer, check or probe
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines silence add --service shop --for 2h --reason \"moving the database\"
  nines silence add --probe eu-west-1 --until 2026-12-01T08:00:00Z --reason \"the host is rebuilt\" --by ann")]
#[command(group(clap::ArgGroup::new("scope").required(true)), group(clap::ArgGroup::new("end").required(true)))]
struct Add {
    /// What is about this service
    #[arg(long, value_name = "ID", group = "scope")]
    service: Option<ServiceId>,
    /// What is about any service of this customer
    #[arg(long, value_name = "ID", group = "scope")]
    customer: Option<CustomerId>,
    /// What is about nothing but this check
    #[arg(long, value_name = "ID", group = "scope")]
    check: Option<CheckId>,
    /// What is about this probe of ours
    #[arg(long, value_name = "ID", group = "scope")]
    probe: Option<ProbeId>,
    /// Only incidents of this kind, such as outage
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// For how long: 30m, 2h; at most 7d
    #[arg(long = "for", value_name = "DURATION", group = "end", value_parser = length_ms)]
    length: Option<i64>,
    /// Until when: RFC 3339
    #[arg(long, value_name = "T", group = "end", value_parser = calendar::instant)]
    until: Option<Timestamp>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

/// Show the silences that hold
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines silence list --all")]
struct List {
    /// Those that are over too
    #[arg(long)]
    all: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// End a silence before its time
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines silence end 3 --by ann")]
struct End {
    /// Its number, as `nines silence list` prints it
    no: i64,
    /// Who
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] where the command makes no sense, or neither server nor database can be reached.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let now = Clock::system().now();
    match args.command {
        Command::Add(asked) => add(&fleet, asked, now),
        Command::List(asked) => list(&fleet, &asked, now),
        Command::End(End { no, by }) => {
            control::carry_out(&fleet, Control::Act { act: Act::EndSilence { no }, by })?;
            anstream::println!("silence {no} is over");
            Ok(())
        }
    }
}

fn add(fleet: &Fleet, asked: Add, now: Timestamp) -> Result<(), Failure> {
    let scope = match (asked.service, asked.customer, asked.check, asked.probe) {
        (Some(service), ..) => Scope::Service(service),
        (_, Some(customer), ..) => Scope::Customer(customer),
        (_, _, Some(check), _) => Scope::Check(check),
        (.., Some(probe)) => Scope::Probe(probe),
        (None, None, None, None) => return Err(Failure::Usage("say what is silenced, such as --service".to_owned())),
    };
    let to = asked.until.unwrap_or_else(|| now.plus_ms(asked.length.unwrap_or_default()));
    let told = format!("{scope} until {}", calendar::utc(to));
    let act = Act::Silence { scope, kind: asked.kind, to, reason: asked.reason };
    if let Answer::Silenced { no } = control::carry_out(fleet, Control::Act { act, by: asked.by })? {
        anstream::println!("silence {no}: {told}");
    }
    Ok(())
}

fn list(fleet: &Fleet, asked: &List, now: Timestamp) -> Result<(), Failure> {
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let mut found = store.read_blocking(silences::list)?;
    found.retain(|silence| asked.all || silence.holds(now));
    if asked.json {
        let text = serde_json::to_string_pretty(&found).map_err(|error| Failure::Io(error.to_string()))?;
        anstream::println!("{text}");
        return Ok(());
    }
    anstream::print!("{}", drawn(&found, now));
    Ok(())
}

fn drawn(found: &[Silence], now: Timestamp) -> String {
    if found.is_empty() {
        return "no silences\n".to_owned();
    }
    let columns = [
        ("NO", Align::Right),
        ("WHAT", Align::Left),
        ("KIND", Align::Left),
        ("FROM", Align::Left),
        ("UNTIL", Align::Left),
        ("STATE", Align::Left),
        ("BY", Align::Left),
        ("REASON", Align::Left),
    ];
    let row = |silence: &Silence| {
        let state = match &silence.ended {
            Some((at, by)) => format!("ended {} by {}", calendar::utc(*at), detail(by)),
            None if silence.holds(now) => "holds".to_owned(),
            None => "over".to_owned(),
        };
        [
            silence.no.to_string(),
            silence.scope.to_string(),
            silence.kind.map_or("any", Kind::code).to_owned(),
            calendar::utc(silence.from),
            calendar::utc(silence.to),
            state,
            detail(&silence.by),
            detail(&silence.reason),
        ]
    };
    table::drawn(columns, &found.iter().map(row).collect::<Vec<_>>())
}

fn length_ms(text: &str) -> Result<i64, String> {
    duration::parse_ms(text).map_err(|error| error.to_string())
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::code).join(", ");
    Kind::ALL.into_iter().find(|kind| kind.code() == text).ok_or_else(|| format!("there are {}", known()))
}
