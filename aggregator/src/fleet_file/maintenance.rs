//! `[[maintenance]]`: announced spans, in the customer's zone.

use std::collections::HashMap;

use nines_shared::id::ServiceId;
use nines_shared::time::{Span, Timestamp};

use super::ids::Declared;
use super::reader::{Table, Value};
use crate::definition::Maintenance;
use crate::uptime::calendar;

/// The window that `table` describes; `zones` are the zones of the services that are good.
pub(super) fn read(
    table: Table<'_>,
    declared: &Declared<'_>,
    zones: &HashMap<ServiceId, String>,
) -> Option<Maintenance> {
    let service = table.need("service", "name the [[service]] that is worked on");
    let service: Option<ServiceId> = service.and_then(|value| declared.services.find(&value));
    let zone = service.as_ref().and_then(|service| zones.get(service));
    let edge = |key| {
        let value = table.need(key, "write a time in the customer's zone, such as \"2026-12-01T02:00:00\"")?;
        Some((instant(&value, zone.map(String::as_str))?, value))
    };
    let (from, to) = (edge("from"), edge("to"));
    let reason = table.need("reason", "say why, for the report: reason = \"database upgrade\"");
    let reason = reason.and_then(|value| value.words());
    let span = from.zip(to).and_then(|((from, _), (to, value))| span(from, to, &value));
    table.finish();
    Some(Maintenance { service: service?, span: span?, reason: reason?, afterwards: None })
}

fn span(from: Timestamp, to: Timestamp, to_value: &Value<'_>) -> Option<Span> {
    if to <= from {
        to_value.error("the window ends before it begins");
        return None;
    }
    Some(Span { from, to })
}

/// The instant of a time in `zone`. Where the zone is not known another error has refused the file, but the
/// times are still looked at.
fn instant(value: &Value<'_>, zone: Option<&str>) -> Option<Timestamp> {
    value.accept(calendar::local_to_timestamp(&value.time_text()?, zone.unwrap_or("UTC")))
}
