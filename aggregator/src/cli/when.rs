//! Times on the command line: RFC 3339, or so long ago.

use std::str::FromStr;

use nines_shared::duration;
use nines_shared::time::{Span, Timestamp};

use super::Failure;
use crate::uptime::calendar;

/// A time as typed: `2026-10-01T00:00:00Z`, or `-2h` for two hours ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// An instant.
    At(Timestamp),
    /// So many ms before now.
    Ago(i64),
}

impl When {
    /// The instant meant at `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ms) => now.plus_ms(ms.saturating_neg()),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('-') {
            Some(ago) => duration::parse_ms(ago).map(Self::Ago).map_err(|error| error.to_string()),
            None => calendar::instant(text).map(Self::At).map_err(|error| format!("{error}; or how long ago: -2h")),
        }
    }
}

/// The window of a command that may be told one; without an end it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Window {
    /// Only samples scheduled at or after: RFC 3339, or how long ago, such as -2h
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<When>,
    /// Only samples scheduled before
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<When>,
}

impl Window {
    /// The span meant at `now`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it ends before it begins.
    pub fn span(self, now: Timestamp) -> Result<Span, Failure> {
        let from = self.from.map_or(Timestamp::MIN, |from| from.at(now));
        let to = self.to.map_or(Timestamp::MAX, |to| to.at(now));
        if to <= from {
            return Err(Failure::Usage("--to must be later than --from".to_owned()));
        }
        Ok(Span { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_or_so_long_ago() {
        let now = Timestamp::from_ms(10_000_000);
        assert_eq!("-2h".parse::<When>().unwrap().at(now), Timestamp::from_ms(2_800_000));
        assert_eq!("1970-01-01T00:00:01Z".parse::<When>().unwrap().at(now), Timestamp::from_ms(1_000));
        let error = "yesterday".parse::<When>().unwrap_err();
        assert!(error.contains("yesterday") && error.contains("-2h"), "{error}");
    }

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let window = Window { from: Some(When::Ago(1_000)), to: Some(When::Ago(2_000)) };
        assert!(matches!(window.span(Timestamp::from_ms(0)), Err(Failure::Usage(_))));
    }
}
