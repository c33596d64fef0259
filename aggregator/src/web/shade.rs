//! What can be shown of a service, a check or a region, and how: a word, a sign and a class of style.
//!
//! Colour is never the only sign: every shade has a word of its own and a shape of its own.

use nines_shared::sample::Outcome;

use crate::uptime::Verdict;

/// What is shown. The order is that of visibility: where two meet, the later one is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Shade {
    /// Nothing to say: outside the life of what is shown.
    Blank,
    /// It works.
    Up,
    /// Announced maintenance: not counted.
    Maintenance,
    /// It works, but slowly.
    Degraded,
    /// We do not know.
    Unknown,
    /// It fails.
    Down,
}

impl From<Verdict> for Shade {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Degraded => Self::Degraded,
            Verdict::Unknown => Self::Unknown,
            Verdict::Down => Self::Down,
        }
    }
}

impl From<Outcome> for Shade {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Up => Self::Up,
            Outcome::Degraded => Self::Degraded,
            Outcome::Down => Self::Down,
            Outcome::Inconclusive => Self::Unknown,
        }
    }
}

impl Shade {
    /// Those that the page's legend explains.
    pub(super) const LEGEND: [Self; 5] = [Self::Up, Self::Degraded, Self::Down, Self::Unknown, Self::Maintenance];

    /// The word as a sentence wants it: "Shop is …".
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::Blank => "without data",
            Self::Up => "up",
            Self::Maintenance => "under maintenance",
            Self::Degraded => "slow",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }

    /// Where its bars begin, in per cent of a strip's height from the top: without colour, an outage stands out and
    /// slowness is a dent.
    pub(super) const fn top(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Blank | Self::Up | Self::Maintenance | Self::Unknown => 14,
            Self::Degraded => 42,
        }
    }

    /// The word that people read and programs get.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Blank => "no data",
            Self::Up => "up",
            Self::Maintenance => "maintenance",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }

    /// The name of its class in the style sheet and of its sign in the page's sprite.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Up => "up",
            Self::Maintenance => "maintenance",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }
}
