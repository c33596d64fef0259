//! `[[customer]]`: who an SLA is with.

use std::collections::BTreeMap;

use nines_shared::id::CustomerId;

use super::ids::own_id;
use super::reader::{Table, Value};
use super::report;
use crate::definition::Customer;
use crate::definition::look::Logo;
use crate::uptime::calendar;

/// The customer that `table` describes. Its logo, which is no part of what is kept, goes to `logos`.
pub(super) fn read(table: Table<'_>, logos: &mut BTreeMap<CustomerId, Logo>) -> Option<Customer> {
    let id = own_id(&table);
    let name = table.get_if("name", Value::words);
    let timezone = table.need("timezone", "write the zone of the contract, such as \"Europe/Berlin\", or \"UTC\"");
    let timezone = timezone.and_then(|zone| {
        let text = zone.text()?;
        zone.accept(calendar::zone(text)).map(|_known| text.to_owned())
    });
    let logo = table.get_if("logo", report::logo);
    table.finish();
    let id: CustomerId = id?;
    if let Some(logo) = logo? {
        logos.insert(id.clone(), logo);
    }
    Some(Customer { name: name?.unwrap_or_else(|| id.to_string()), timezone: timezone?, id })
}
