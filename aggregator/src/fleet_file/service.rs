//! `[[service]]`: what the customer sees, what we aim for and what we signed.

use nines_shared::id::{CustomerId, ServiceId};

use super::ids::{Declared, own_id};
use super::notes::Spot;
use super::reader::{Table, Value};
use super::{sla, slo};
use crate::definition::{Service, ServiceRule, Sla, Slo};
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
    if let (Some(Some(slo)), Some(Some(sla)), Some(spot)) = (&slo, &sla, table.spot_of("slo.availability")) {
        warn_of_weak_slo(&table, &spot, slo, sla);
    }
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
    })
}

/// An SLO that the contract is stricter than warns nobody before the contract is broken.
fn warn_of_weak_slo(table: &Table<'_>, spot: &Spot, slo: &Slo, sla: &Sla) {
    if slo.availability_ppm < sla.objective_ppm {
        let mend = "aim higher than what you signed, so that the budget warns before the contract breaks";
        table.notes.warn(spot, "the SLO is weaker than the SLA", Some(mend.to_owned()));
    }
}
