//! `nines maintenance add|list|cancel`: spans that are excluded from the accounts, announced once or for every week, or
//! granted afterwards.

use clap::Subcommand;
use nines_shared::id::ServiceId;
use nines_shared::time::{Clock, Span, Timestamp};

use super::table::{self, Align};
use super::when::When;
use super::{Failure, Global};
use crate::control::{self, Answer, Command as Control};
use crate::definition::{Fleet, Maintenance, ServiceHours, Weekly};
use crate::store::Store;
use crate::store::definitions::maintenance::{self, Announced};
use crate::uptime::calendar;
use crate::words;

/// How many occurrences of a rule the list tells ahead.
const AHEAD: usize = 3;
/// How far ahead they are looked for, in ms: a rule has one every week, but for those that clocks skip.
const AHEAD_MS: i64 = 5 * 7 * 86_400_000;

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
  nines maintenance add --service shop --weekly \"sun 02:00-04:00\" --until 2027-12-31 --reason \"agreed weekly window\"
  nines maintenance add --retroactive --service shop --from -3h --to -2h --reason \"agreed by phone\" --by ann

Time that has begun is excluded only with --retroactive; every report then says when, by whom and why. A weekly window
excludes nothing before it is announced; cancelled, it keeps what it has excluded.")]
struct Add {
    /// The service that it is for
    #[arg(long, value_name = "ID")]
    service: ServiceId,
    /// When it begins: a time in the customer's zone, RFC 3339, or how long ago, such as -2h. With --weekly: the first
    /// day, such as 2026-12-01 [default: at once]
    #[arg(long, value_name = "T", allow_hyphen_values = true, required_unless_present = "weekly")]
    from: Option<String>,
    /// When it ends, likewise
    #[arg(long, value_name = "T", allow_hyphen_values = true, required_unless_present = "weekly")]
    to: Option<String>,
    /// Every week in these hours of the customer's zone, such as "mon-fri,sun 02:00-04:00"; may be given several times
    #[arg(long, value_name = "HOURS", conflicts_with_all = ["to", "retroactive"])]
    weekly: Vec<ServiceHours>,
    /// With --weekly: the last day, such as 2027-12-31 [default: until it is cancelled]
    #[arg(long, value_name = "YYYY-MM-DD", requires = "weekly")]
    until: Option<String>,
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
    let (span, weekly) = match add.weekly.is_empty() {
        true => (once(&add, zone, now)?, None),
        false => (validity(&add, zone)?, Some(Weekly { hours: add.weekly, timezone: zone.to_owned() })),
    };
    let window = Maintenance { service: add.service, span, reason: add.reason, afterwards: None, weekly };
    if let Answer::MaintenanceAdded { no } = control::carry_out(
        fleet,
        Control::AddMaintenance { window: window.clone(), by: add.by, retroactive: add.retroactive },
    )? {
        let how = if add.retroactive { ", excluded afterwards" } else { "" };
        let (from, to) = edges(&window, zone);
        let to = if window.weekly.is_some() { format!(", {to}") } else { format!(" to {to}") };
        anstream::println!("window {no}: {} {from}{to}{how}", window.service);
    }
    Ok(())
}

fn once(add: &Add, zone: &str, now: Timestamp) -> Result<Span, Failure> {
    let (Some(from_text), Some(to_text)) = (&add.from, &add.to) else {
        return Err(Failure::Usage("a window has --from and --to, or is --weekly".to_owned()));
    };
    let (from, to) = (at(from_text, zone, now)?, at(to_text, zone, now)?);
    if to <= from {
        return Err(Failure::Usage(format!("--to {to_text} is not after --from {from_text}")));
    }
    Ok(Span::new(from, to))
}

/// From the first day of a rule to its last, both in it.
fn validity(add: &Add, zone: &str) -> Result<Span, Failure> {
    let day = |text: &Option<String>| {
        let day = text.as_ref().map(|text| calendar::day(text, zone)).transpose();
        day.map_err(|error| Failure::Usage(error.to_string()))
    };
    let from = day(&add.from)?.map_or(Timestamp::MIN, |day| day.from);
    let to = day(&add.until)?.map_or(Timestamp::MAX, |day| day.to);
    if to <= from {
        return Err(Failure::Usage("--until is not after --from".to_owned()));
    }
    Ok(Span { from, to })
}

fn cancel(fleet: &Fleet, Cancel { no, reason, by }: Cancel) -> Result<(), Failure> {
    if let Answer::MaintenanceCancelled { window, until } =
        control::carry_out(fleet, Control::CancelMaintenance { no, by, reason })?
    {
        let zone = zone(fleet, &window.service);
        if window.weekly.is_some() {
            anstream::println!(
                "weekly window {no} of {} is cancelled; what it excluded before {} stays excluded",
                window.service,
                shown(until, zone)
            );
        } else if until <= window.span.from {
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
    let mut rows = Vec::new();
    for known in &windows {
        rows.push(row(fleet, known, now));
        rows.extend(ahead(fleet, known, now)?);
    }
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
        (None, None) if known.until <= now => "over",
        (None, None) if known.window.weekly.is_some() => "in force",
        (None, None) => "now",
    };
    // What was taken back is told in the length that it had.
    let until = if known.window.afterwards.is_some() { known.window.span.to } else { known.until };
    let length = if known.window.weekly.is_some() { String::new() } else { words::duration(until.since(from)) };
    let counted = Maintenance { span: Span { from, to: until }, ..known.window.clone() };
    let (from, until) = edges(&counted, zone);
    let clean = |text: &str| nines_shared::sample::detail(text);
    [
        known.no.to_string(),
        known.window.service.to_string(),
        from,
        until,
        length,
        state.to_owned(),
        clean(&history(known, zone)),
        clean(&known.window.reason),
    ]
}

/// When a window begins and ends; of a rule its hours and how long it holds.
fn edges(window: &Maintenance, zone: &str) -> (String, String) {
    let Span { from, to } = window.span;
    let Some(weekly) = &window.weekly else { return (shown(from, zone), shown(to, zone)) };
    let hours: Vec<String> = weekly.hours.iter().map(ToString::to_string).collect();
    let from = if from == Timestamp::MIN { String::new() } else { format!(", from {}", shown(from, zone)) };
    let until = if to == Timestamp::MAX { "until cancelled".to_owned() } else { format!("until {}", shown(to, zone)) };
    (format!("every {}{from}", hours.join(", ")), until)
}

/// The next occurrences of a rule, a row each; the one that lasts is the first.
fn ahead(fleet: &Fleet, known: &Announced, now: Timestamp) -> Result<Vec<[String; 8]>, Failure> {
    if known.window.weekly.is_none() {
        return Ok(Vec::new());
    }
    let zone = zone(fleet, &known.window.service);
    let next = known.within(Span { from: now, to: now.plus_ms(AHEAD_MS) })?;
    let row = |occurrence: Maintenance| {
        let Span { from, to } = occurrence.span;
        let state = if now < from { "to come" } else { "now" };
        let nothing = String::new;
        let length = words::duration(to.since(from));
        [nothing(), nothing(), shown(from, zone), shown(to, zone), length, state.to_owned(), nothing(), nothing()]
    };
    Ok(next.into_iter().take(AHEAD).map(row).collect())
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
