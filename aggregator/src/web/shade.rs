//! What can be shown of a service, a check or a region, and how: a word, a sign and a class of style.
//!
//! Colour is never the only sign: every shade has a word of its own and a shape of its own.

use crate::uptime::Verdict;

/// What is shown. The order is that of visibility: where two meet, the later one is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shade {
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

impl Shade {
    /// The word that people read and programs get.
    pub const fn word(self) -> &'static str {
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
    pub const fn class(self) -> &'static str {
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
