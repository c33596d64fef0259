//! `[[route]]`: which alerts go to which channels.

use super::ids::Declared;
use super::reader::{Table, Value};
use crate::definition::{Route, Severity};

const SEVERITIES: &[(&str, Severity)] =
    &[("info", Severity::Info), ("ticket", Severity::Ticket), ("page", Severity::Page)];

/// The route that `table` describes.
pub(super) fn read(table: Table<'_>, declared: &Declared<'_>) -> Option<Route> {
    let customer = table.get_if("customer", |value| declared.customers.find(value));
    let service = table.get_if("service", |value| declared.services.find(value));
    let severity = table.get_if("severity", |value| value.one_of(SEVERITIES));
    let channels = table.need("channels", "name where the alerts go: channels = [\"…\"]");
    let channels = channels.and_then(|value| value.list(|item| declared.channels.find(item)));
    let continues = table.get_or("continue", false, Value::flag);
    table.finish();
    Some(Route {
        customer: customer?,
        service: service?,
        severity: severity?,
        channels: channels?,
        continues: continues?,
    })
}
