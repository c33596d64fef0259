//! Time zones and calendars; the only module that knows them. The zone database is compiled in, so a
//! report does not depend on the machine that writes it.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use nines_shared::time::Timestamp;

/// Why a zone or a time makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// No such zone.
    #[error("{0:?} is not a time zone; write an IANA name such as \"Europe/Berlin\", or \"UTC\"")]
    Zone(String),
    /// Not an instant of RFC 3339.
    #[error(
        "{0:?} is not a time of RFC 3339; write one such as \"2026-12-01T02:00:00Z\" or \"2026-12-01T02:00:00+01:00\""
    )]
    Instant(String),
    /// Neither a local time nor an instant.
    #[error(
        "{0:?} is not a time; write one such as \"2026-12-01T02:00:00\", or with its offset \"2026-12-01T02:00:00+01:00\""
    )]
    Local(String),
    /// A local time that the clocks jump over.
    #[error(
        "{time} does not exist in {zone}, since clocks are set forward over it; write it with its offset, such as {time}+01:00"
    )]
    Skipped {
        /// As written.
        time: String,
        /// The zone.
        zone: String,
    },
    /// A local time that comes twice.
    #[error("{time} comes twice in {zone}, since clocks are set back; say which with its offset, such as {time}+01:00")]
    Twice {
        /// As written.
        time: String,
        /// The zone.
        zone: String,
    },
}

/// The zone of an IANA name.
///
/// # Errors
/// [`CalendarError::Zone`] where there is none of that name.
pub fn zone(name: &str) -> Result<TimeZone, CalendarError> {
    TimeZone::get(name).map_err(|_unknown| CalendarError::Zone(name.to_owned()))
}

/// The instant of RFC 3339 that `text` names; fractions of a millisecond are cut.
///
/// # Errors
/// [`CalendarError::Instant`] where it is none; one without an offset is none.
pub fn instant(text: &str) -> Result<Timestamp, CalendarError> {
    let read = text.parse::<jiff::Timestamp>();
    read.map(|at| Timestamp::from_ms(at.as_millisecond())).map_err(|_other| CalendarError::Instant(text.to_owned()))
}

/// `at` as RFC 3339 in UTC, to the second: `2026-11-22T03:12:07Z`. Past the calendar's ends, its milliseconds.
pub fn utc(at: Timestamp) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.as_ms());
    shown.map_or_else(|_out_of_range| at.to_string(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The instant that `text` names on the clocks of `zone_name`, or by an offset of its own.
///
/// # Errors
/// [`CalendarError`] where it is no time, or one that the zone's clocks skip or show twice: a contract's
/// edge is not guessed.
pub fn local_to_timestamp(text: &str, zone_name: &str) -> Result<Timestamp, CalendarError> {
    if let Ok(at) = instant(text) {
        return Ok(at);
    }
    let local: DateTime = text.parse().map_err(|_other| CalendarError::Local(text.to_owned()))?;
    let there = zone(zone_name)?.to_ambiguous_timestamp(local);
    let (time, zone) = (text.to_owned(), zone_name.to_owned());
    match there.offset() {
        AmbiguousOffset::Unambiguous { .. } => {
            let at = there.unambiguous().map_err(|_out_of_range| CalendarError::Local(text.to_owned()))?;
            Ok(Timestamp::from_ms(at.as_millisecond()))
        }
        AmbiguousOffset::Gap { .. } => Err(CalendarError::Skipped { time, zone }),
        AmbiguousOffset::Fold { .. } => Err(CalendarError::Twice { time, zone }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: &str = "Europe/Berlin";

    #[test]
    fn a_local_time_is_that_of_its_zone_and_an_offset_says_it_all() {
        let winter = local_to_timestamp("2026-12-01T02:00:00", BERLIN).unwrap();
        assert_eq!(winter, instant("2026-12-01T01:00:00Z").unwrap());
        assert_eq!(local_to_timestamp("2026-12-01T02:00:00+03:00", BERLIN), instant("2026-11-30T23:00:00Z"));
        assert_eq!(winter.as_ms(), 1_796_086_800_000);
    }

    #[test]
    fn a_time_that_clocks_skip_or_show_twice_is_not_guessed() {
        assert!(matches!(local_to_timestamp("2026-03-29T02:30:00", BERLIN), Err(CalendarError::Skipped { .. })));
        assert!(matches!(local_to_timestamp("2026-10-25T02:30:00", BERLIN), Err(CalendarError::Twice { .. })));
        assert!(local_to_timestamp("2026-10-25T02:30:00+01:00", BERLIN).is_ok());
    }

    #[test]
    fn an_instant_is_shown_to_the_second_in_utc() {
        assert_eq!(utc(Timestamp::from_ms(1_796_086_800_999)), "2026-12-01T01:00:00Z");
        assert_eq!(utc(Timestamp::MAX), i64::MAX.to_string());
    }

    #[test]
    fn what_is_no_zone_and_no_time_is_quoted() {
        assert!(zone("Europe/Berln").unwrap_err().to_string().contains("Europe/Berln"));
        assert!(instant("2026-12-01T02:00:00").unwrap_err().to_string().contains("2026-12-01T02:00:00"));
        assert!(local_to_timestamp("tomorrow", "UTC").unwrap_err().to_string().contains("tomorrow"));
    }
}
