//! Weekly hours in the customer's zone: `sla.service_hours` and `maintenance.weekly`.

use super::reader::Value;
use crate::definition::ServiceHours;
use crate::definition::hours;

/// The hours that `value` describes: `{ days = ["mon-fri"], from = "08:00", to = "18:00" }`, or
/// `"mon-fri 08:00-18:00"`.
pub(super) fn read(value: &Value<'_>) -> Option<ServiceHours> {
    if let Some(text) = value.peek() {
        return value.accept(text.parse());
    }
    let table = value.table()?;
    let days = table.need("days", "write the days, such as days = [\"mon-fri\", \"sun\"]");
    let days = days.and_then(|value| value.list(days_of));
    let from = table.get_or("from", 0, minute);
    let to = table.get_or("to", 1440, minute);
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        let spot = table.spot_of("to").or(table.spot_of("from")).unwrap_or(table.spot.clone());
        let mend = "hours that pass midnight are two entries: one up to \"24:00\", one of the next day from \"00:00\"";
        table.notes.error(&spot, "the hours end before they begin", Some(mend.to_owned()));
        return None;
    }
    table.finish();
    let mut days = days?.concat();
    days.sort_unstable();
    days.dedup();
    Some(ServiceHours { days, from_minute: from?, to_minute: to? })
}

fn days_of(value: &Value<'_>) -> Option<Vec<u8>> {
    let text = value.text()?;
    let days = hours::days(text);
    if days.is_none() {
        value.error(format!("{text:?} is no day; write mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri"));
    }
    days
}

fn minute(value: &Value<'_>) -> Option<u16> {
    let text = value.text()?;
    let minutes = hours::minute(text);
    if minutes.is_none() {
        value.error(format!("{text:?} is not a time of day; write one such as \"08:30\", up to \"24:00\""));
    }
    minutes
}
