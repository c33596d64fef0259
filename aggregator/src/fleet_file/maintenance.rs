//! `[[maintenance]]`: announced spans, once or every week, in the customer's zone.

use std::collections::HashMap;

use nines_shared::id::ServiceId;
use nines_shared::time::{Span, Timestamp};

use super::hours;
use super::ids::Declared;
use super::reader::{Table, Value};
use crate::definition::{Maintenance, Weekly};
use crate::uptime::calendar;

/// The window that `table` describes; `zones` are the zones of the services that are good.
pub(super) fn read(
    table: Table<'_>,
    declared: &Declared<'_>,
    zones: &HashMap<ServiceId, String>,
) -> Option<Maintenance> {
    let service = table.need("service", "name the [[service]] that is worked on");
    let service: Option<ServiceId> = service.and_then(|value| declared.services.find(&value));
    // Where the zone is not known another error has refused the file, but the times are still looked at.
    let zone = service.as_ref().and_then(|service| zones.get(service)).map_or("UTC", String::as_str);
    let when = match table.get("weekly") {
        Some(hours) => rule(&table, &hours, zone),
        None => once(&table, zone).map(|span| (span, None)),
    };
    let reason = table.need("reason", "say why, for the report: reason = \"database upgrade\"");
    let reason = reason.and_then(|value| value.words());
    table.finish();
    let (span, weekly) = when?;
    Some(Maintenance { service: service?, span, reason: reason?, afterwards: None, weekly })
}

/// `from` and `to`: instants.
fn once(table: &Table<'_>, zone: &str) -> Option<Span> {
    let edge = |key| {
        let value = table.need(key, "write a time in the customer's zone, such as \"2026-12-01T02:00:00\"")?;
        Some((value.accept(calendar::local_to_timestamp(&value.time_text()?, zone))?, value))
    };
    let (from, to) = (edge("from"), edge("to"));
    let ((from, _), (to, to_value)) = from.zip(to)?;
    not_backwards(Span { from, to }, &to_value, "the window ends before it begins")
}

/// `weekly`, and the days from and until which it holds, both of which are in it.
fn rule(table: &Table<'_>, value: &Value<'_>, zone: &str) -> Option<(Span, Option<Weekly>)> {
    let hours = value.list(hours::read);
    if let Some(to) = table.get("to") {
        let mend = "write its last day, until = \"2027-12-31\", or leave it out".to_owned();
        table.notes.error(&to.spot, "what comes every week has no such end", Some(mend));
    }
    let first = table.get_if("from", |value| day(value, zone));
    let last = table.get_if("until", |value| Some((day(value, zone)?, value.clone())));
    let from = first?.map_or(Timestamp::MIN, |day| day.from);
    let span = match last? {
        None => Span { from, to: Timestamp::MAX },
        Some((day, value)) => not_backwards(Span { from, to: day.to }, &value, "the rule ends before it begins")?,
    };
    Some((span, Some(Weekly { hours: hours?, timezone: zone.to_owned() })))
}

fn day(value: &Value<'_>, zone: &str) -> Option<Span> {
    value.accept(calendar::day(&value.time_text()?, zone))
}

fn not_backwards(span: Span, end: &Value<'_>, wrong: &'static str) -> Option<Span> {
    if span.is_empty() {
        end.error(wrong);
        return None;
    }
    Some(span)
}
