//! How long the phases of a check may take.

use serde::{Deserialize, Serialize};

use crate::sample::Phase;

/// The longest that each phase may take, in ms; each phase is the sum over all redirect hops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Within {
    /// See [`Phase::Resolve`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve_ms: Option<i64>,
    /// See [`Phase::Connect`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<i64>,
    /// See [`Phase::Tls`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<i64>,
    /// See [`Phase::FirstByte`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<i64>,
    /// See [`Phase::Transfer`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_ms: Option<i64>,
    /// All of it, from the start of the attempt to the end of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<i64>,
}

impl Within {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each limit, in ms, and of which phase it is; of all together where that is `None`.
    pub fn each(self) -> impl Iterator<Item = (Option<Phase>, i64)> {
        let of = move |phase| match phase {
            Phase::Resolve => self.resolve_ms,
            Phase::Connect => self.connect_ms,
            Phase::Tls => self.tls_ms,
            Phase::FirstByte => self.first_byte_ms,
            Phase::Transfer => self.transfer_ms,
        };
        let phases = Phase::ALL.into_iter().filter_map(move |phase| Some((Some(phase), of(phase)?)));
        phases.chain(self.total_ms.map(|ms| (None, ms)))
    }

    pub(super) fn errors(self, push: &mut impl FnMut(&'static str, String)) {
        for (phase, ms) in self.each().filter(|(_, ms)| *ms < 1) {
            let name = phase.map_or("total", Phase::code);
            push("http.expect.within", format!("{name} {ms} ms can't be met; write a duration above 0"));
        }
    }
}
