//! How an incident is told: what people have heard of it, and why they hear no more for now.

use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::IncidentId;

/// How an incident is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// It came and went so often that it stays open until it is calm ([`super::flap`]).
    pub flapping: bool,
    /// It is recorded and not told: what it depends on fails ([`super::dependence`]).
    pub held: bool,
    /// The incident that explains this one, or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<IncidentId>,
    /// When people were told of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// How many failing spans it had then.
    pub spans_told: usize,
}
