//! `sla.service_hours`: weekly hours in the customer's zone.

use super::reader::Value;
use crate::definition::ServiceHours;

const DAYS: &[(&str, u8)] = &[("mon", 1), ("tue", 2), ("wed", 3), ("thu", 4), ("fri", 5), ("sat", 6), ("sun", 7)];

/// The hours that `value` describes: `{ days = ["mon-fri"], from = "08:00", to = "18:00" }`.
pub(super) fn read(value: &Value<'_>) -> Option<ServiceHours> {
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

/// The days of `mon` or `mon-fri`; `sat-mon` goes on over the week's end.
fn days_of(value: &Value<'_>) -> Option<Vec<u8>> {
    let text = value.text()?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let day = |name: &str| DAYS.iter().find(|(word, _)| *word == name).map(|(_, number)| *number);
    let (Some(first), Some(last)) = (day(first), day(last)) else {
        value.error(format!("{text:?} is no day; write mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri"));
        return None;
    };
    let count = (last + 7 - first) % 7;
    Some((0..=count).map(|n| (first - 1 + n) % 7 + 1).collect())
}

/// Minutes after midnight of `08:30`; up to `24:00`.
fn minute(value: &Value<'_>) -> Option<u16> {
    let text = value.text()?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let read = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    let minutes = read.filter(|(_, minute)| *minute < 60).map(|(hour, minute)| hour * 60 + minute);
    let minutes = minutes.filter(|minutes| *minutes <= 1440);
    if minutes.is_none() {
        value.error(format!("{text:?} is not a time of day; write one such as \"08:30\", up to \"24:00\""));
    }
    minutes
}
