//! Routes: which channels an alert goes to. A pure function of the file's routes, in their order.

use nines_shared::id::{ChannelId, CustomerId, ServiceId};

use crate::definition::{Fleet, Route, Severity};
use crate::incident::Incident;

/// What routes look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whose service it is about; `None` for what is our own, such as a probe.
    pub customer: Option<CustomerId>,
    /// Which service it is about.
    pub service: Option<ServiceId>,
    /// How loud it is.
    pub severity: Severity,
}

impl Alert {
    /// What routes see of `incident`, told at `severity`.
    pub fn of(fleet: &Fleet, incident: &Incident, severity: Severity) -> Self {
        let service = incident.subject.service();
        let defined = fleet.services.iter().find(|known| Some(&known.id) == service);
        Self { customer: defined.map(|known| known.customer.clone()), service: service.cloned(), severity }
    }
}

/// The channels of the first route that matches, and of the matching ones after it as long as they say
/// `continue`. Each once, in order.
pub fn channels(routes: &[Route], alert: &Alert) -> Vec<ChannelId> {
    let mut found: Vec<ChannelId> = Vec::new();
    for route in routes.iter().filter(|route| matches(route, alert)) {
        for channel in &route.channels {
            if !found.contains(channel) {
                found.push(channel.clone());
            }
        }
        if !route.continues {
            break;
        }
    }
    found
}

fn matches(route: &Route, alert: &Alert) -> bool {
    let customer = route.customer.is_none() || route.customer == alert.customer;
    let service = route.service.is_none() || route.service == alert.service;
    let severity = route.severity.is_none_or(|wanted| wanted == alert.severity);
    customer && service && severity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(customer: Option<&str>, severity: Option<Severity>, channel: &str) -> Route {
        Route {
            customer: customer.map(|id| id.parse().unwrap()),
            severity,
            channels: vec![channel.parse().unwrap()],
            ..Route::default()
        }
    }

    fn alert(customer: Option<&str>, severity: Severity) -> Alert {
        Alert { customer: customer.map(|id| id.parse().unwrap()), service: None, severity }
    }

    fn names(routes: &[Route], alert: &Alert) -> Vec<String> {
        channels(routes, alert).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_route_that_matches_decides() {
        let routes = [route(Some("acme"), None, "acme-oncall"), route(None, None, "everyone")];
        assert_eq!(names(&routes, &alert(Some("acme"), Severity::Page)), ["acme-oncall"]);
        assert_eq!(names(&routes, &alert(Some("other"), Severity::Page)), ["everyone"]);
    }

    #[test]
    fn continue_goes_on_to_later_routes_and_names_no_channel_twice() {
        let first = Route { continues: true, ..route(None, Some(Severity::Page), "pager") };
        let routes = [first, route(None, Some(Severity::Ticket), "tickets"), route(None, None, "pager")];
        assert_eq!(names(&routes, &alert(None, Severity::Page)), ["pager"]);
        assert_eq!(names(&routes, &alert(None, Severity::Ticket)), ["tickets"]);
    }

    #[test]
    fn what_is_our_own_never_goes_to_a_customers_channel() {
        let routes = [route(Some("acme"), None, "acme-oncall")];
        assert_eq!(names(&routes, &alert(None, Severity::Ticket)), [""; 0]);
    }
}
