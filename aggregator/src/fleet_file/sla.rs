//! `service.sla` and `[[sla]]`: what we signed, and how the contract counts.

use nines_shared::duration::Shown;

use nines_shared::id::ServiceId;

use super::hours;
use super::ids::Declared;
use super::notes::Spot;
use super::reader::{Table, Value};
use super::slo::window_ms;
use crate::definition::{Contract, Credit, DegradedIs, Method, Period, Policy, Service, Sla, UnknownIs};

/// The shortest slice, in ms: a second. A month of shorter ones is more slices than anyone could check.
const MIN_SLICE_MS: i64 = 1_000;

const METHODS: &[(&str, Method)] =
    &[("time", Method::Time), ("timeslices", Method::Timeslices), ("occurrences", Method::Occurrences)];
const UNKNOWN: &[(&str, UnknownIs)] =
    &[("exclude", UnknownIs::Exclude), ("down", UnknownIs::Down), ("up", UnknownIs::Up)];
const DEGRADED: &[(&str, DegradedIs)] = &[("up", DegradedIs::Up), ("down", DegradedIs::Down)];

/// The SLA that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<Sla> {
    let table = value.table()?;
    let sla = terms(&table);
    table.finish();
    sla
}

/// `[[sla]]`: a contract over a service with another customer than its own.
pub(super) fn contract(table: Table<'_>, declared: &Declared<'_>) -> Option<(ServiceId, Contract)> {
    let service = table.need("service", "name the [[service]] that was promised");
    let service = service.and_then(|value| declared.services.find(&value));
    let customer = table.need("customer", "name the [[customer]] that it was promised to");
    let customer = customer.and_then(|value| declared.customers.find(&value));
    let sla = terms(&table);
    table.finish();
    Some((service?, Contract { customer: customer?, sla: sla? }))
}

/// Gives each service the contracts signed over it, sorted by customer. A customer has one contract over a service.
pub(super) fn attach<'s>(
    root: &Table<'_>,
    services: &mut [Option<Service>],
    signed: impl Iterator<Item = (&'s Option<(ServiceId, Contract)>, &'s Spot)>,
) {
    for (contract, spot) in signed {
        let Some((service, contract)) = contract else { continue };
        let Some(service) = services.iter_mut().flatten().find(|found| found.id == *service) else { continue };
        let customer = &contract.customer;
        if service.is_seen_by(customer) && (service.customer != *customer || service.sla.is_some()) {
            let mend = "a customer has one contract over a service; join their terms".to_owned();
            root.notes.error(spot, format!("service {} is promised to {customer} already", service.id), Some(mend));
        } else if service.customer == *customer {
            service.sla = Some(contract.sla.clone());
        } else {
            service.contracts.push(contract.clone());
            service.contracts.sort_by(|a, b| a.customer.cmp(&b.customer));
        }
    }
}

/// The terms that `table` holds.
fn terms(table: &Table<'_>) -> Option<Sla> {
    let availability = table.need("availability", "write what was promised in per cent, such as availability = 99.9");
    let availability = availability.and_then(|value| promised(&value));
    let period = table.get_or("period", Period::Month, period);
    let policy = policy(table);
    let credits = table.get_or("credits", Vec::new(), |value| credits(value));
    let exclusions_by = table.get_if("exclusions_by", Value::words);
    if let (Some(promised), Some(credits)) = (availability, &credits) {
        warn_of_early_credits(table, promised, credits);
    }
    if exclusions_by == Some(None) {
        let mend = "name them as the contract does: exclusions_by = \"Acme's service manager\"".to_owned();
        table.notes.warn(&table.spot, "nobody is named who may grant exclusions from this SLA", Some(mend));
    }
    Some(Sla {
        objective_ppm: availability?,
        period: period?,
        policy: policy?,
        credits: credits?,
        exclusions_by: exclusions_by?,
    })
}

fn promised(value: &Value<'_>) -> Option<u32> {
    let ppm = value.percent_ppm()?;
    if ppm == 0 {
        value.error("must be above 0");
        return None;
    }
    Some(ppm)
}

fn period(value: &Value<'_>) -> Option<Period> {
    match value.peek() {
        Some("month") => Some(Period::Month),
        Some(text) if text.starts_with(|c: char| c.is_ascii_digit()) => window_ms(value).map(Period::Rolling),
        Some(_) | None => value.one_of(&[("month", Period::Month), ("30d", Period::Rolling(2_592_000_000))]),
    }
}

fn policy(table: &Table<'_>) -> Option<Policy> {
    let default = Policy::default();
    let method = table.get_or("method", default.method, |value| value.one_of(METHODS));
    let slice = table.get_or("slice", default.slice_ms, slice_ms);
    let unknown = table.get_or("unknown", default.unknown, |value| value.one_of(UNKNOWN));
    let degraded = table.get_or("degraded", default.degraded, |value| value.one_of(DEGRADED));
    let min_outage = table.get_or("min_outage", default.min_outage_ms, Value::duration_ms);
    let hours = table.get_if("service_hours", |value| value.list(hours::read));
    if let (Some(method), Some(spot)) = (method, table.spot_of("slice"))
        && method != Method::Timeslices
    {
        let mend = "write method = \"timeslices\", or leave slice out".to_owned();
        table.notes.warn(&spot, "slice says nothing where the method does not count slices", Some(mend));
    }
    if let (Some(Method::Occurrences), Some(spot)) = (method, table.spot_of("min_outage")) {
        let mend = "leave min_outage out, or write another method".to_owned();
        table.notes.warn(&spot, "min_outage says nothing where the method counts samples", Some(mend));
    }
    Some(Policy {
        method: method?,
        slice_ms: slice?,
        unknown: unknown?,
        degraded: degraded?,
        min_outage_ms: min_outage?,
        service_hours: hours?,
    })
}

fn slice_ms(value: &Value<'_>) -> Option<i64> {
    let ms = value.duration_ms()?;
    if ms < MIN_SLICE_MS {
        value.error(format!("slice {} is too short; use at least {}", Shown(ms), Shown(MIN_SLICE_MS)));
        return None;
    }
    Some(ms)
}

/// The tiers, from the highest `below` down.
fn credits(value: &Value<'_>) -> Option<Vec<Credit>> {
    let mut credits = value.list(credit)?;
    credits.sort_by_key(|credit| std::cmp::Reverse(credit.below_ppm));
    for pair in credits.windows(2) {
        if pair[0].below_ppm == pair[1].below_ppm {
            value.error("two tiers have the same below; the credit would be either");
            return None;
        }
        if pair[1].percent < pair[0].percent {
            value.notes.warn(&value.spot, "a worse month gives back less than a better one", None);
        }
    }
    Some(credits)
}

fn credit(value: &Value<'_>) -> Option<Credit> {
    let table = value.table()?;
    let below = table.need("below", "write the availability under which it is due, such as below = 99.0");
    let below = below.and_then(|value| promised(&value));
    let percent = table.need("percent", "write the part of the fee in per cent, such as percent = 10");
    let percent = percent.and_then(|value| {
        let percent: u32 = value.whole()?;
        if !(1..=100).contains(&percent) {
            value.error("a credit is 1 to 100 per cent of the fee");
            return None;
        }
        Some(percent)
    });
    table.finish();
    Some(Credit { below_ppm: below?, percent: percent? })
}

fn warn_of_early_credits(table: &Table<'_>, promised: u32, credits: &[Credit]) {
    if let (Some(first), Some(spot)) = (credits.first(), table.spot_of("credits"))
        && promised < first.below_ppm
    {
        table.notes.warn(&spot, "a credit is due although the SLA is met", None);
    }
}
