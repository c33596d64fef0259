//! `nines maintenance add|list|cancel`: spans that are excluded from the accounts, announced or granted afterwards.

use clap::Subcommand;
use nines_shared::id::ServiceId;
use nines_shared::time::{Clock, Span, Timestamp};

use super::table::{self, Align};
use super::when::When;
use super::{Failure, Global};
use crate::control::{self, Answer, Command as Control};
use crate::definition::{Fleet, Maintenance};
use crate::store::Store;
use crate::store::definitions::maintenance::{self, Announced};
use crate::uptime::calendar;
use crate::words;

/// Announce, list and cancel maintenance windows
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines maintenance add --service shop --from 2026-12-01T02:00:00 --to 2026-12-01T04:00:00 --reason \"upgrade\"
  nines maintenance list")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    List(List),
    Cancel(Cancel),
}

/// Exclude a span from a service's accounts: neither good nor bad
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines maintenance add --service shop --from 2026-12-01T02:00:00 --to 2026-12-01T04:00:00 --reason \"database upgrade\"
  nines maintenance add --retroactive --service shop --from -3h --to -2h --reason \"agreed by phone\" --by ann

Time that has begun is excluded only with --retroactive; every report then says when, by whom and why.")]
struct Add {
    /// The service that it is for
    #[arg(long, value_name = "ID")]
    service: ServiceId,
    /// When it begins: a time in the customer's zone, RFC 3339, or how long ago, such as -2h
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    from: String,
    /// When it ends, likewise
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    to: String,
    /// Why, for the report
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who announces it
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
    /// Exclude time that has begun already
    #[arg(long)]
    retroactive: bool,
}

/// Show every window, those of the fleet file too, in each customer's zone
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines maintenance list --service shop")]
struct List {
    /// Only of this service
    #[arg(long, value_name = "ID")]
    service: Option<ServiceId>,
}

/// Cancel a window: one that lasts ends now, one to come never begins, one granted afterwards counts no more
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines maintenance cancel 3
  nines maintenance cancel 4 --by ann --reason \"the customer did not agree\"

A window that was announced and is over stays as it was. Nothing is deleted: the list keeps what was cancelled.")]
struct Cancel {
    /// Its number, as `nines maintenance list` prints it
    no: i64,
    /// Why; must be said of one that was granted afterwards
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who cancels it
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
        Command::Add(add) => announce(&fleet, add, now),
        Command::List(List { service }) => list(&fleet, service.as_ref(), now),
        Command::Cancel(args) => cancel(&fleet, args),
    }
}

fn announce(fleet: &Fleet, add: Add, now: Timestamp) -> Result<(), Failure> {
    let zone = zone(fleet, &add.service);
    let (from, to) = (at(&add.from, zone, now)?, at(&add.to, zone, now)?);
    if to <= from {
        return Err(Failure::Usage(format!("--to {} is not after --from {}", add.to, add.from)));
    }
    let (span, reason) = (Span::new(from, to), add.reason);
    let window = Maintenance { service: add.service, span, reason, afterwards: None };
    if let Answer::MaintenanceAdded { no } = control::carry_out(
        fleet,
        Control::AddMaintenance { window: window.clone(), by: add.by, retroactive: add.retroactive },
    )? {
        let how = if add.retroactive { ", excluded afterwards" } else { "" };
        anstream::println!("window {no}: {} from {} to {}{how}", window.service, shown(from, zone), shown(to, zone));
    }
    Ok(())
}

fn cancel(fleet: &Fleet, Cancel { no, reason, by }: Cancel) -> Result<(), Failure> {
    if let Answer::MaintenanceCancelled { window, until } =
        control::carry_out(fleet, Control::CancelMaintenance { no, by, reason })?
    {
        let zone = zone(fleet, &window.service);
        if until <= window.span.from {
            anstream::println!("window {no} of {} is cancelled; it never counts", window.service);
        } else {
            anstream::println!(
                "window {no} of {} is cancelled; it counts until {}",
                window.service,
                shown(until, zone)
            );
        }
    }
    Ok(())
}

fn list(fleet: &Fleet, service: Option<&ServiceId>, now: Timestamp) -> Result<(), Failure> {
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let mut windows = store.read_blocking(maintenance::list)?;
    windows.retain(|known| service.is_none_or(|service| known.window.service == *service));
    if windows.is_empty() {
        anstream::println!("no maintenance windows");
        return Ok(());
    }
    let columns = [
        ("NO", Align::Right),
        ("SERVICE", Align::Left),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("LENGTH", Align::Right),
        ("STATE", Align::Left),
        ("BY", Align::Left),
        ("REASON", Align::Left),
    ];
    let rows: Vec<_> = windows.iter().map(|known| row(fleet, known, now)).collect();
    anstream::print!("{}", table::drawn(columns, &rows));
    Ok(())
}

fn row(fleet: &Fleet, known: &Announced, now: Timestamp) -> [String; 8] {
    let zone = zone(fleet, &known.window.service);
    let Span { from, .. } = known.window.span;
    let state = match (&known.cancelled, &known.window.afterwards) {
        (Some(_), Some(_)) => "taken back",
        (Some(_), None) if known.until <= from => "cancelled",
        (Some(_), None) => "cut short",
        (None, Some(_)) => "afterwards",
        (None, None) if now < from => "to come",
        (None, None) if now < known.until => "now",
        (None, None) => "over",
    };
    // What was taken back is told in the length that it had.
    let until = if known.window.afterwards.is_some() { known.window.span.to } else { known.until };
    let clean = |text: &str| nines_shared::sample::detail(text);
    [
        known.no.to_string(),
        known.window.service.to_string(),
        shown(from, zone),
        shown(until, zone),
        words::duration(until.since(from)),
        state.to_owned(),
        clean(&history(known, zone)),
        clean(&known.window.reason),
    ]
}

/// Who granted it, and when where that was afterwards; who took it back, when and why.
fn history(known: &Announced, zone: &str) -> String {
    let mut text = known.granted_by.clone();
    if known.window.afterwards.is_some() {
        text += &format!(" on {}", shown(known.granted_at, zone));
    }
    if let Some(cancelled) = &known.cancelled {
        text += &format!("; cancelled on {}", shown(cancelled.at, zone));
        text.extend(cancelled.by.iter().map(|by| format!(" by {by}")));
        text.extend(cancelled.why.iter().map(|why| format!(": {why}")));
    }
    text
}

/// The zone of the customer whom the service's contract is with; UTC for a service that is gone.
fn zone<'a>(fleet: &'a Fleet, service: &ServiceId) -> &'a str {
    let customer = fleet.services.iter().find(|known| known.id == *service).map(|known| &known.customer);
    let customer = customer.and_then(|id| fleet.customers.iter().find(|known| known.id == *id));
    customer.map_or("UTC", |customer| customer.timezone.as_str())
}

/// The instant that a person means by `text` on the clocks of `zone`.
fn at(text: &str, zone: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if text.starts_with('-') {
        return text.parse::<When>().map(|when| when.at(now)).map_err(Failure::Usage);
    }
    calendar::local_to_timestamp(text, zone).map_err(|error| Failure::Usage(error.to_string()))
}

fn shown(at: Timestamp, zone: &str) -> String {
    calendar::shown(at, zone, "%Y-%m-%d %H:%M:%S %Z").unwrap_or_else(|_no_zone| calendar::utc(at))
}
