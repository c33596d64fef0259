//! What a whole file makes likely to be a mistake, though each part of it is good.

use super::notes::Spot;
use super::reader::Table;
use crate::definition::{Fleet, Route, Service};

/// Where the elements stand, in the file's order.
pub(super) struct Spots {
    pub(super) services: Vec<Spot>,
    pub(super) channels: Vec<Spot>,
    pub(super) routes: Vec<Spot>,
}

/// Notes it.
pub(super) fn give(root: &Table<'_>, fleet: &Fleet, spots: &Spots) {
    for (service, spot) in fleet.services.iter().zip(&spots.services) {
        if !fleet.checks.iter().any(|check| check.service == service.id) {
            let message = format!("service {} has no check, so nothing will ever be known of it", service.id);
            warn(root, spot, message, "add a [[check]]");
        }
    }
    for (service, spot) in unheard(fleet, spots) {
        let message = format!("nobody hears when service {} fails: no route matches it", service.id);
        warn(root, spot, message, "add a [[channel]] and a [[route]]");
    }
    for (channel, spot) in fleet.channels.iter().zip(&spots.channels) {
        if !fleet.routes.iter().any(|route| route.channels.contains(&channel.id)) {
            warn(root, spot, format!("no route leads to channel {}", channel.id), "add a [[route]]");
        }
    }
    for (route, spot) in fleet.routes.iter().zip(&spots.routes) {
        let owner = |service: &Service| {
            Some(&service.id) == route.service.as_ref()
                && route.customer.as_ref().is_some_and(|customer| *customer != service.customer)
        };
        if fleet.services.iter().any(owner) {
            warn(
                root,
                spot,
                "this route never matches: the service is another customer's".to_owned(),
                "leave customer or service out",
            );
        }
    }
}

/// The services that no route matches; where there is no route at all the first stands for all.
fn unheard<'f>(fleet: &'f Fleet, spots: &'f Spots) -> impl Iterator<Item = (&'f Service, &'f Spot)> {
    let most = if fleet.routes.is_empty() { 1 } else { usize::MAX };
    let pairs = fleet.services.iter().zip(&spots.services);
    pairs.filter(|(service, _)| !fleet.routes.iter().any(|route| leads(route, service))).take(most)
}

/// Whether alerts about `service` can take `route`.
fn leads(route: &Route, service: &Service) -> bool {
    route.customer.as_ref().is_none_or(|customer| *customer == service.customer)
        && route.service.as_ref().is_none_or(|id| *id == service.id)
}

fn warn(root: &Table<'_>, spot: &Spot, message: String, mend: &str) {
    root.notes.warn(spot, message, Some(mend.to_owned()));
}
