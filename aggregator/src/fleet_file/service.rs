//! `[[service]]`: what the customer sees, what we aim for and what we signed.

use nines_shared::id::{CustomerId, ServiceId};

use super::ids::{Declared, own_id};
use super::reader::{Table, Value};
use super::{sla, slo};
use crate::definition::{Service, ServiceRule};
use crate::uptime::calendar;

const RULES: &[(&str, ServiceRule)] = &[("all", ServiceRule::All), ("any", ServiceRule::Any)];

/// The service that `table` describes.
pub(super) fn read(table: Table<'_>, declared: &Declared<'_>) -> Option<Service> {
    let id = own_id(&table);
    let name = table.get_if("name", Value::words);
    let customer = table.need("customer", "name the [[customer]] that the SLA is with");
    let customer: Option<CustomerId> = customer.and_then(|value| declared.customers.find(&value));
    let since = table.get_if("since", |value| value.accept(calendar::instant(&value.time_text()?)));
    let rule = table.get_or("rule", ServiceRule::All, |value| value.one_of(RULES));
    let slo = table.get_if("slo", slo::read);
    let sla = table.get_if("sla", sla::read);
    table.finish();
    let id: ServiceId = id?;
    Some(Service {
        name: name?.unwrap_or_else(|| id.to_string()),
        id,
        customer: customer?,
        since: since?,
        rule: rule?,
        slo: slo?,
        sla: sla?,
        contracts: Vec::new(),
    })
}
