//! `[[route]]`: which alerts go to which channels, when, how often, and to whom next.

use nines_shared::duration::Shown;

use super::hours;
use super::ids::Declared;
use super::reader::{Table, Value};
use crate::definition::{Escalation, Route, Severity, WeeklyHours};
use crate::incident::Kind;
use crate::uptime::calendar;

/// The shortest time after which channels are told again, in ms.
const MIN_REPEAT_MS: i64 = 300_000;
/// The shortest time after which somebody else is told, in ms.
const MIN_ESCALATION_MS: i64 = 60_000;
/// The most steps of an escalation.
const MAX_ESCALATIONS: usize = 8;

const SEVERITIES: &[(&str, Severity)] =
    &[("info", Severity::Info), ("ticket", Severity::Ticket), ("page", Severity::Page)];

/// The route that `table` describes.
pub(super) fn read(table: Table<'_>, declared: &Declared<'_>) -> Option<Route> {
    let customer = table.get_if("customer", |value| declared.customers.find(value));
    let service = table.get_if("service", |value| declared.services.find(value));
    let check = table.get_if("check", |value| declared.checks.find(value));
    let environment = table.get_if("environment", Value::words);
    let kinds = table.get_or("kind", Vec::new(), kinds);
    let severity = table.get_if("severity", |value| value.one_of(SEVERITIES));
    let hours = weekly_hours(&table);
    let channels = table.need("channels", "name where the alerts go: channels = [\"…\"]");
    let channels = channels.and_then(|value| value.list(|item| declared.channels.find(item)));
    let repeat = table.get_if("repeat", |value| at_least(value, MIN_REPEAT_MS));
    let escalate = table.get_or("escalate", Vec::new(), |value| escalations(value, declared));
    let continues = table.get_or("continue", false, Value::flag);
    table.finish();
    Some(Route {
        customer: customer?,
        service: service?,
        check: check?,
        environment: environment?,
        kinds: kinds?,
        severity: severity?,
        hours: hours?,
        channels: channels?,
        repeat_ms: repeat?,
        escalate: escalate?,
        continues: continues?,
    })
}

/// One kind, or several.
fn kinds(value: &Value<'_>) -> Option<Vec<Kind>> {
    let known = Kind::ALL.map(|kind| (kind.code(), kind));
    if value.is_list() { value.list(|item| item.one_of(&known)) } else { Some(vec![value.one_of(&known)?]) }
}

/// `hours` on the clocks of `timezone`: both, or neither.
fn weekly_hours(table: &Table<'_>) -> Option<Option<WeeklyHours>> {
    let hours = table.get_if("hours", |value| value.list(hours::read));
    let zone = table.get_if("timezone", |value| {
        let name = value.text()?;
        value.accept(calendar::zone(name))?;
        Some(name.to_owned())
    });
    match (hours?, zone?) {
        (None, None) => Some(None),
        (Some(hours), Some(timezone)) => Some(Some(WeeklyHours { hours, timezone })),
        (Some(_), None) => {
            let mend = "say on whose clocks: timezone = \"Europe/Berlin\"".to_owned();
            table.notes.error(&table.spot_of("hours")?, "the hours are of no zone", Some(mend));
            None
        }
        (None, Some(_)) => {
            let mend =
                "write hours = [{ days = [\"mon-fri\"], from = \"08:00\", to = \"18:00\" }], or leave timezone out";
            table.notes.error(&table.spot_of("timezone")?, "the zone is of no hours", Some(mend.to_owned()));
            None
        }
    }
}

/// One step, or several, each later than the one before.
fn escalations(value: &Value<'_>, declared: &Declared<'_>) -> Option<Vec<Escalation>> {
    if !value.is_list() {
        return Some(vec![escalation(value, declared)?]);
    }
    let steps = value.list(|item| escalation(item, declared))?;
    if MAX_ESCALATIONS < steps.len() {
        value.error(format!("an escalation has at most {MAX_ESCALATIONS} steps"));
        return None;
    }
    if !steps.is_sorted_by(|step, next| step.after_ms < next.after_ms) {
        value.error("each step is later than the one before; after counts from when the route's channels were told");
        return None;
    }
    Some(steps)
}

fn escalation(value: &Value<'_>, declared: &Declared<'_>) -> Option<Escalation> {
    let table = value.table()?;
    let after = table.need("after", "say how long nobody may have acknowledged it: after = \"10m\"");
    let after = after.and_then(|value| at_least(&value, MIN_ESCALATION_MS));
    let channels = table.need("channels", "name who is told then: channels = [\"…\"]");
    let channels = channels.and_then(|value| value.list(|item| declared.channels.find(item)));
    table.finish();
    Some(Escalation { after_ms: after?, channels: channels? })
}

fn at_least(value: &Value<'_>, least_ms: i64) -> Option<i64> {
    let ms = value.duration_ms()?;
    if ms < least_ms {
        value.error(format!("is too short; the least is {}", Shown(least_ms)));
        return None;
    }
    Some(ms)
}
