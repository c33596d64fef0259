//! Routes: which alerts go to which channels, when, how often, and to whom next.

use nines_shared::id::{ChannelId, CheckId, CustomerId, ServiceId};

use super::{ServiceHours, Severity};
use crate::incident::Kind;

/// Which alerts go to which channels. All conditions that are there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Only of this customer's services.
    pub customer: Option<CustomerId>,
    /// Only of this service.
    pub service: Option<ServiceId>,
    /// Only where this check fails.
    pub check: Option<CheckId>,
    /// Only where the fleet is this environment: files that several fleets share.
    pub environment: Option<String>,
    /// Only of these kinds; empty: of all, and of reports too.
    pub kinds: Vec<Kind>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Only at these times; `None`: always.
    pub hours: Option<WeeklyHours>,
    /// Where they go.
    pub channels: Vec<ChannelId>,
    /// How long after the last letter its channels are told again, in ms, until somebody acknowledges.
    pub repeat_ms: Option<i64>,
    /// Who is told next while nobody acknowledges; each later than the one before.
    pub escalate: Vec<Escalation>,
    /// Whether later routes are looked at too.
    pub continues: bool,
}

/// Weekly hours on the clocks of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeeklyHours {
    /// The hours; never empty.
    pub hours: Vec<ServiceHours>,
    /// IANA name; known to exist.
    pub timezone: String,
}

/// Who is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// How long after the route's own channels were written to, in ms.
    pub after_ms: i64,
    /// Where it goes.
    pub channels: Vec<ChannelId>,
}
