//! What a whole file makes likely to be a mistake, though each part of it is good.

mod routes;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nines_shared::address::AddressRule;
use url::Host;

use super::notes::Spot;
use super::reader::Table;
use crate::definition::Fleet;
use crate::secret_values;

/// Where the elements stand, in the file's order.
pub(super) struct Spots {
    pub(super) services: Vec<Spot>,
    pub(super) contracts: Vec<Spot>,
    pub(super) checks: Vec<Spot>,
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
    routes::give(root, fleet, spots);
    for (channel, spot) in fleet.channels.iter().zip(&spots.channels) {
        if let Some(address) = channel.kind.host().and_then(|host| forbidden(&host, fleet)) {
            let message = format!("nothing is delivered to channel {}: {address} is not a public address", channel.id);
            warn(root, spot, message, &format!("allow it: [aggregator] webhook_allow = [\"{address}\"]"));
        }
    }
}

/// Notes which secrets can't be had where this runs.
pub(super) fn of_secrets(root: &Table<'_>, fleet: &Fleet, spots: &Spots) {
    let mend = "have it there where `nines serve` runs";
    for (channel, spot) in fleet.channels.iter().zip(&spots.channels) {
        for missing in channel.kind.secrets().into_iter().filter_map(|name| secret_values::read(name).err()) {
            let message = format!("nothing is delivered to channel {} without its secret: {missing}", channel.id);
            warn(root, spot, message, mend);
        }
    }
    for (check, spot) in fleet.checks.iter().zip(&spots.checks) {
        for missing in check.question.secrets().into_iter().filter_map(|name| secret_values::read(name).err()) {
            let message = format!("check {} says nothing without its secret: {missing}", check.id);
            warn(root, spot, message, mend);
        }
    }
}

/// The address that `host` names, where nothing may be sent to it. Only what needs no look-up is judged.
fn forbidden(host: &Host, fleet: &Fleet) -> Option<IpAddr> {
    let addresses: Vec<IpAddr> = match host {
        Host::Ipv4(address) => vec![(*address).into()],
        Host::Ipv6(address) => vec![(*address).into()],
        Host::Domain(name) if name == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Host::Domain(_) => return None,
    };
    let rule = AddressRule::new(fleet.aggregator.webhook_allow.clone(), Vec::new());
    if addresses.iter().any(|address| rule.check(*address).is_ok()) {
        return None;
    }
    addresses.first().copied()
}

fn warn(root: &Table<'_>, spot: &Spot, message: String, mend: &str) {
    root.notes.warn(spot, message, Some(mend.to_owned()));
}
