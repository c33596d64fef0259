//! Routes: which channels an alert goes to. A pure function of the file's routes, in their order, and the time.

use nines_shared::id::{ChannelId, CheckId, CustomerId, ServiceId};
use nines_shared::time::{Span, Timestamp};

use crate::definition::{Fleet, Route, Severity, WeeklyHours};
use crate::incident::{Incident, Kind};
use crate::uptime::calendar;

/// How far ahead hours are looked at, in ms: a week, and a day for clocks that change.
const AHEAD_MS: i64 = 8 * 86_400_000;

/// What routes look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Of which environment the fleet is.
    pub environment: String,
    /// Whose service it is about; `None` for what is our own, such as a probe.
    pub customer: Option<CustomerId>,
    /// Which service it is about.
    pub service: Option<ServiceId>,
    /// Which checks fail.
    pub checks: Vec<CheckId>,
    /// What it is about; `None` for what is no incident.
    pub kind: Option<Kind>,
    /// How loud it is.
    pub severity: Severity,
}

impl Alert {
    /// What routes see of `incident`, told at `severity`.
    pub fn of(fleet: &Fleet, incident: &Incident, severity: Severity) -> Self {
        let service = incident.subject.service();
        let defined = fleet.services.iter().find(|known| Some(&known.id) == service);
        Self {
            customer: defined.map(|known| known.customer.clone()),
            service: service.cloned(),
            checks: incident.scene.checks.clone(),
            kind: Some(incident.kind),
            ..Self::of_fleet(fleet, severity)
        }
    }

    /// What routes see of something that is no incident and nobody's service.
    pub fn of_fleet(fleet: &Fleet, severity: Severity) -> Self {
        Self {
            environment: fleet.environment.clone(),
            customer: None,
            service: None,
            checks: Vec::new(),
            kind: None,
            severity,
        }
    }
}

/// The first route that takes `alert` at `now`, and those that do after it as long as they say `continue`.
pub fn taking<'r>(routes: &'r [Route], alert: &Alert, now: Timestamp) -> Vec<&'r Route> {
    chosen(routes, |route| matches(route, alert) && route.hours.as_ref().is_none_or(|hours| is_open(hours, now)))
}

/// The channels of the routes that take `alert` at `now`. Each once, in order.
pub fn channels(routes: &[Route], alert: &Alert, now: Timestamp) -> Vec<ChannelId> {
    channels_of(&taking(routes, alert, now))
}

/// [`channels`]; where every route that would take it has other hours, those of the first of them: for what is told
/// once and is not looked at again.
pub fn channels_sooner_or_later(routes: &[Route], alert: &Alert, now: Timestamp) -> Vec<ChannelId> {
    let found = channels(routes, alert, now);
    if found.is_empty() { channels_of(&chosen(routes, |route| matches(route, alert))) } else { found }
}

/// When the hours of a route that `alert` fits begin or end next after `now`; `None` where none has any.
pub fn next_change(routes: &[Route], alert: &Alert, now: Timestamp) -> Option<Timestamp> {
    let fitting = routes.iter().filter(|route| matches(route, alert));
    fitting.filter_map(|route| next_edge(route.hours.as_ref()?, now)).min()
}

fn chosen(routes: &[Route], takes: impl Fn(&Route) -> bool) -> Vec<&Route> {
    let mut found = Vec::new();
    for route in routes.iter().filter(|route| takes(route)) {
        found.push(route);
        if !route.continues {
            break;
        }
    }
    found
}

fn channels_of(routes: &[&Route]) -> Vec<ChannelId> {
    let mut found: Vec<ChannelId> = Vec::new();
    for channel in routes.iter().flat_map(|route| &route.channels) {
        if !found.contains(channel) {
            found.push(channel.clone());
        }
    }
    found
}

/// Whether all conditions but the hours hold.
fn matches(route: &Route, alert: &Alert) -> bool {
    let customer = route.customer.is_none() || route.customer == alert.customer;
    let service = route.service.is_none() || route.service == alert.service;
    let check = route.check.as_ref().is_none_or(|wanted| alert.checks.contains(wanted));
    let environment = route.environment.as_ref().is_none_or(|wanted| *wanted == alert.environment);
    let kind = route.kinds.is_empty() || alert.kind.is_some_and(|kind| route.kinds.contains(&kind));
    let severity = route.severity.is_none_or(|wanted| wanted == alert.severity);
    customer && service && check && environment && kind && severity
}

/// Whether `now` is inside the hours. In a zone that is no longer known it always is: rather told than not.
fn is_open(hours: &WeeklyHours, now: Timestamp) -> bool {
    closed(hours, Span::new(now, now.plus_ms(1))).is_empty()
}

fn next_edge(hours: &WeeklyHours, now: Timestamp) -> Option<Timestamp> {
    let first = *closed(hours, Span::new(now, now.plus_ms(AHEAD_MS))).first()?;
    Some(if first.from <= now { first.to } else { first.from })
}

/// The time of `span` outside the hours.
fn closed(hours: &WeeklyHours, span: Span) -> Vec<Span> {
    calendar::outside_hours(&hours.hours, span, &hours.timezone).unwrap_or_default()
}

/// The time of `span` at which no route takes `alert`, whatever it is at other times.
pub fn gaps(routes: &[Route], alert: &Alert, span: Span) -> Vec<Span> {
    let mut at = span.from;
    let mut gaps: Vec<Span> = Vec::new();
    while at < span.to {
        let next = next_change(routes, alert, at).unwrap_or(span.to).min(span.to);
        if taking(routes, alert, at).is_empty() {
            match gaps.last_mut() {
                Some(last) if last.to == at => last.to = next,
                Some(_) | None => gaps.push(Span::new(at, next)),
            }
        }
        at = next;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::ServiceHours;

    fn route(customer: Option<&str>, severity: Option<Severity>, channel: &str) -> Route {
        Route {
            customer: customer.map(|id| id.parse().unwrap()),
            severity,
            channels: vec![channel.parse().unwrap()],
            ..Route::default()
        }
    }

    fn alert(customer: Option<&str>, severity: Severity) -> Alert {
        Alert {
            environment: "prod".into(),
            customer: customer.map(|id| id.parse().unwrap()),
            service: None,
            checks: vec!["shop-home".parse().unwrap()],
            kind: Some(Kind::Outage),
            severity,
        }
    }

    /// Monday to Friday, eight to six, in Berlin.
    fn office_hours() -> WeeklyHours {
        let hours = vec![ServiceHours { days: vec![1, 2, 3, 4, 5], from_minute: 480, to_minute: 1080 }];
        WeeklyHours { hours, timezone: "Europe/Berlin".into() }
    }

    fn at(text: &str) -> Timestamp {
        calendar::instant(text).unwrap()
    }

    /// A Monday at noon.
    const NOON: &str = "2026-11-23T12:00:00+01:00";

    fn names(routes: &[Route], alert: &Alert) -> Vec<String> {
        channels(routes, alert, at(NOON)).iter().map(ToString::to_string).collect()
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

    #[test]
    fn every_condition_of_a_route_can_turn_an_alert_away() {
        let page = alert(Some("acme"), Severity::Page);
        let base = route(None, None, "pager");
        let refusing = [
            Route { customer: Some("other".parse().unwrap()), ..base.clone() },
            Route { service: Some("shop".parse().unwrap()), ..base.clone() },
            Route { check: Some("shop-api".parse().unwrap()), ..base.clone() },
            Route { environment: Some("test".into()), ..base.clone() },
            Route { kinds: vec![Kind::Probe], ..base.clone() },
            Route { severity: Some(Severity::Info), ..base.clone() },
        ];
        for refusing in &refusing {
            assert_eq!(names(std::slice::from_ref(refusing), &page), [""; 0], "{refusing:?}");
        }
        let taking = Route {
            customer: Some("acme".parse().unwrap()),
            check: Some("shop-home".parse().unwrap()),
            environment: Some("prod".into()),
            kinds: vec![Kind::Probe, Kind::Outage],
            severity: Some(Severity::Page),
            ..base
        };
        assert_eq!(names(&[taking], &page), ["pager"]);
    }

    #[test]
    fn a_route_with_hours_takes_nothing_outside_them_and_the_next_one_does() {
        let day = Route { hours: Some(office_hours()), ..route(None, None, "day") };
        let routes = [day, route(None, None, "night")];
        let told = |time: &str| channels(&routes, &alert(None, Severity::Page), at(time))[0].to_string();
        assert_eq!(told("2026-11-23T08:00:00+01:00"), "day");
        assert_eq!(told("2026-11-23T18:00:00+01:00"), "night");
        assert_eq!(told("2026-11-22T12:00:00+01:00"), "night", "a Sunday");
    }

    #[test]
    fn what_is_told_once_goes_by_other_hours_rather_than_nowhere() {
        let routes = [Route { hours: Some(office_hours()), ..route(None, None, "day") }];
        let (sunday, info) = (at("2026-11-22T12:00:00+01:00"), alert(None, Severity::Info));
        assert!(channels(&routes, &info, sunday).is_empty());
        assert_eq!(channels_sooner_or_later(&routes, &info, sunday)[0].as_str(), "day");
    }

    #[test]
    fn hours_are_looked_at_again_when_they_begin_and_when_they_end() {
        let routes = [Route { hours: Some(office_hours()), ..route(None, None, "day") }];
        let page = alert(None, Severity::Page);
        let next = |time: &str| next_change(&routes, &page, at(time)).unwrap();
        assert_eq!(next(NOON), at("2026-11-23T18:00:00+01:00"));
        assert_eq!(next("2026-11-20T18:00:00+01:00"), at("2026-11-23T08:00:00+01:00"), "over a weekend");
        assert_eq!(next_change(&[route(None, None, "always")], &page, at(NOON)), None);
    }

    #[test]
    fn the_hours_at_which_nobody_is_told_are_found() {
        let routes = [Route { hours: Some(office_hours()), ..route(None, None, "day") }];
        let page = alert(None, Severity::Page);
        let week = Span::new(at("2026-11-23T00:00:00+01:00"), at("2026-11-30T00:00:00+01:00"));
        let gaps = gaps(&routes, &page, week);
        assert_eq!(gaps.len(), 6, "before Monday, four nights, and from Friday's evening on: {gaps:?}");
        assert_eq!(gaps.iter().map(|gap| gap.length_ms()).sum::<i64>(), (7 * 24 - 50) * 3_600_000);
        let day_and_night = [routes[0].clone(), route(None, None, "night")];
        assert_eq!(super::gaps(&day_and_night, &page, week), []);
    }
}
