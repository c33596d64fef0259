//! `[[customer]]`: who an SLA is with.

use super::ids::own_id;
use super::reader::{Table, Value};
use crate::definition::Customer;
use crate::uptime::calendar;

/// The customer that `table` describes.
pub(super) fn read(table: Table<'_>) -> Option<Customer> {
    let id = own_id(&table);
    let name = table.get_if("name", Value::words);
    let timezone = table.need("timezone", "write the zone of the contract, such as \"Europe/Berlin\", or \"UTC\"");
    let timezone = timezone.and_then(|zone| {
        let text = zone.text()?;
        zone.accept(calendar::zone(text)).map(|_known| text.to_owned())
    });
    table.finish();
    let id: nines_shared::id::CustomerId = id?;
    Some(Customer { name: name?.unwrap_or_else(|| id.to_string()), timezone: timezone?, id })
}
