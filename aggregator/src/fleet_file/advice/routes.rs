//! Routes that leave somebody untold.

use nines_shared::check::Check;
use nines_shared::time::{Span, Timestamp};

use super::{Spots, warn};
use crate::alert::route::{self, Alert};
use crate::definition::{Fleet, Route, Service, Severity};
use crate::fleet_file::notes::Spot;
use crate::fleet_file::reader::Table;
use crate::incident::Kind;
use crate::uptime::calendar;

/// The week over which hours are looked at, as good as any: from Monday, 5 January 2026, in UTC.
const WEEK: Span = Span { from: Timestamp::from_ms(1_767_571_200_000), to: Timestamp::from_ms(1_768_176_000_000) };

/// Notes services whose outage nobody hears of, channels that nothing leads to, and routes that never match.
pub(super) fn give(root: &Table<'_>, fleet: &Fleet, spots: &Spots) {
    // Where there is no route at all the first service stands for all.
    let most = if fleet.routes.is_empty() { 1 } else { usize::MAX };
    for (service, spot) in fleet.services.iter().zip(&spots.services).take(most) {
        untold(root, fleet, (service, spot));
    }
    for (channel, spot) in fleet.channels.iter().zip(&spots.channels) {
        let leads = |route: &Route| {
            let mut escalated = route.escalate.iter().flat_map(|step| &step.channels);
            route.channels.contains(&channel.id) || escalated.any(|other| *other == channel.id)
        };
        if !fleet.routes.iter().any(leads) {
            warn(root, spot, format!("no route leads to channel {}", channel.id), "add a [[route]]");
        }
    }
    for (route, spot) in fleet.routes.iter().zip(&spots.routes) {
        if let Some((why, mend)) = never_matches(fleet, route) {
            warn(root, spot, format!("this route never matches: {why}"), mend);
        }
    }
}

/// Notes where nobody hears of an outage of `service`, always or at some hours.
fn untold(root: &Table<'_>, fleet: &Fleet, (service, spot): (&Service, &Spot)) {
    let page = |check: Option<&Check>| Alert {
        customer: Some(service.customer.clone()),
        service: Some(service.id.clone()),
        checks: check.map(|check| check.id.clone()).into_iter().collect(),
        kind: Some(Kind::Outage),
        ..Alert::of_fleet(fleet, Severity::Page)
    };
    let mut pages: Vec<Alert> =
        fleet.checks.iter().filter(|check| check.service == service.id).map(|check| page(Some(check))).collect();
    if pages.is_empty() {
        pages.push(page(None));
    }
    let gap = pages.iter().find_map(|alert| route::gaps(&fleet.routes, alert, WEEK).into_iter().next());
    let Some(gap) = gap else { return };
    let which = format!("nobody hears when service {} fails", service.id);
    if gap == WEEK {
        let mend = "add a [[channel]] and a [[route]]";
        return warn(root, spot, format!("{which}: no route takes a page about it"), mend);
    }
    let edge = |at| calendar::shown(at, "UTC", "%A %H:%M").unwrap_or_else(|_no_zone| calendar::utc(at));
    let hours = format!("{which} at some hours, such as from {} to {} UTC", edge(gap.from), edge(gap.to));
    warn(root, spot, hours, "add a [[route]] without hours below the others");
}

fn never_matches(fleet: &Fleet, route: &Route) -> Option<(String, &'static str)> {
    let of_other = |service: &Service| {
        Some(&service.id) == route.service.as_ref()
            && route.customer.as_ref().is_some_and(|customer| *customer != service.customer)
    };
    if fleet.services.iter().any(of_other) {
        return Some(("the service is another customer's".to_owned(), "leave customer or service out"));
    }
    let of_another = |check: &Check| {
        Some(&check.id) == route.check.as_ref()
            && route.service.as_ref().is_some_and(|service| *service != check.service)
    };
    if fleet.checks.iter().any(of_another) {
        return Some(("the check is another service's".to_owned(), "leave check or service out"));
    }
    let elsewhere = route.environment.as_ref().filter(|environment| **environment != fleet.environment)?;
    let why = format!("this fleet is {:?}, not {elsewhere:?}", fleet.environment);
    Some((why, "leave environment out, or the route"))
}
