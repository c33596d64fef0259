//! Time zones and calendars; the only module that knows them. The zone database is compiled in, so a
//! report does not depend on the machine that writes it.

pub(crate) mod local;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{ToSpan as _, Zoned};
use nines_shared::time::{Span, Timestamp};

use crate::definition::ServiceHours;

const WEEK_MS: i64 = 7 * 86_400_000;

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
    /// Not a day.
    #[error("{0:?} is not a day; write one such as \"2026-12-31\"")]
    Day(String),
    /// Not a month.
    #[error("{0:?} is not a month; write year and month, such as 2026-10")]
    Month(String),
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
    in_utc(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// As [`utc`], with the milliseconds where there are any: `2026-11-22T03:12:07.25Z`.
pub fn utc_exact(at: Timestamp) -> String {
    in_utc(at, "%Y-%m-%dT%H:%M:%S%.fZ")
}

fn in_utc(at: Timestamp, format: &str) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.as_ms());
    shown.map_or_else(|_out_of_range| at.to_string(), |at| at.strftime(format).to_string())
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

/// The calendar month that `text` (`2026-10`) names, in the zone: with its own length where clocks change in it.
///
/// # Errors
/// [`CalendarError::Month`] where it names none, [`CalendarError::Zone`] where there is no such zone.
pub fn month(text: &str, zone_name: &str) -> Result<Span, CalendarError> {
    let zone = zone(zone_name)?;
    let wrong = || CalendarError::Month(text.to_owned());
    let shape = text.len() == 7 && text.as_bytes()[4] == b'-';
    let first: Date = if shape { format!("{text}-01").parse().map_err(|_other| wrong())? } else { return Err(wrong()) };
    let next = first.checked_add(1.month()).map_err(|_out_of_range| wrong())?;
    let begins = |day: Date| midnight(day, &zone).ok_or_else(wrong);
    Ok(Span::new(begins(first)?, begins(next)?))
}

/// The day that `text` (`2026-12-31`) names, in the zone: with its own length where clocks change in it.
///
/// # Errors
/// [`CalendarError::Day`] where it names none, [`CalendarError::Zone`] where there is no such zone.
pub fn day(text: &str, zone_name: &str) -> Result<Span, CalendarError> {
    let zone = zone(zone_name)?;
    let wrong = || CalendarError::Day(text.to_owned());
    // A time of day would be dropped without a word.
    let day: Date = if text.len() == 10 { text.parse().map_err(|_other| wrong())? } else { return Err(wrong()) };
    let next = day.tomorrow().map_err(|_out_of_range| wrong())?;
    let begins = |day: Date| midnight(day, &zone).ok_or_else(wrong);
    Ok(Span::new(begins(day)?, begins(next)?))
}

/// The local days of the zone that share time with `span`, cut to it, in order.
///
/// # Errors
/// [`CalendarError::Zone`] where there is no such zone.
pub fn days(span: Span, zone_name: &str) -> Result<Vec<Span>, CalendarError> {
    let zone = zone(zone_name)?;
    Ok(local_days(span, &zone).filter_map(|(_, day)| day.intersection(span)).collect())
}

/// The time in `span` outside the weekly `hours` of the zone, in order.
///
/// An hour that clocks skip begins or ends when they have jumped; one that comes twice, the first time.
///
/// # Errors
/// [`CalendarError::Zone`] where there is no such zone.
pub fn outside_hours(hours: &[ServiceHours], span: Span, zone_name: &str) -> Result<Vec<Span>, CalendarError> {
    let open = super::maintenance::merged(on_days(hours, span, &zone(zone_name)?));
    Ok(super::maintenance::outside(&open, span).collect())
}

/// The weekly `hours` of the zone that share time with `span`, in order, joined where they meet. They are whole even
/// where `span` cuts them; of hours that never end, a week on either side of it. Clocks that change count as in
/// [`outside_hours`].
///
/// # Errors
/// [`CalendarError::Zone`] where there is no such zone.
pub fn weekly(hours: &[ServiceHours], span: Span, zone_name: &str) -> Result<Vec<Span>, CalendarError> {
    let wide = Span { from: span.from.plus_ms(-WEEK_MS), to: span.to.plus_ms(WEEK_MS) };
    let mut occurrences = super::maintenance::merged(on_days(hours, wide, &zone(zone_name)?));
    occurrences.retain(|occurrence| occurrence.intersection(span).is_some());
    Ok(occurrences)
}

/// The hours of every local day that shares time with `span`, in no order.
fn on_days(hours: &[ServiceHours], span: Span, zone: &TimeZone) -> Vec<Span> {
    let mut open = Vec::new();
    for (date, day) in local_days(span, zone) {
        let weekday = date.weekday().to_monday_one_offset().unsigned_abs();
        for hours in hours.iter().filter(|hours| hours.days.contains(&weekday)) {
            let from = on_clock(date, hours.from_minute, zone).unwrap_or(day.to);
            let to = on_clock(date, hours.to_minute, zone).unwrap_or(day.to);
            open.push(Span::new(from, to));
        }
    }
    open
}

/// Each local day that shares time with `span`.
fn local_days(span: Span, zone: &TimeZone) -> impl Iterator<Item = (Date, Span)> {
    let first = zoned(span.from, zone).date();
    std::iter::successors(Some(first), |day| day.tomorrow().ok())
        .map_while(|day| Some((day, Span::new(midnight(day, zone)?, midnight(day.tomorrow().ok()?, zone)?))))
        .take_while(move |(_, day)| day.from < span.to)
}

/// When a local day begins: at midnight, or when clocks have jumped over it.
fn midnight(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    on_clock(day, 0, zone)
}

/// When the clocks of `zone` first show `minute` of `day`, or have jumped over it; minute 1440 is the next day's
/// midnight.
fn on_clock(day: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (hour, rest) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let local = match Time::new(hour, rest, 0, 0) {
        Ok(time) => day.to_datetime(time),
        Err(_midnight) => day.tomorrow().ok()?.to_datetime(Time::midnight()),
    };
    let there = zone.to_ambiguous_timestamp(local);
    let skipped = matches!(there.offset(), AmbiguousOffset::Gap { .. });
    // Of a time that is skipped, this is as far behind the jump as it would have been behind the gap's beginning.
    let at = there.compatible().ok()?;
    let jump = || zone.preceding(at.checked_add(1.nanosecond()).ok()?).next().map(|jump| jump.timestamp());
    let at = if skipped { jump().unwrap_or(at) } else { at };
    Some(Timestamp::from_ms(at.as_millisecond()))
}

/// Instants beyond the calendar's ends are its ends.
fn zoned(at: Timestamp, zone: &TimeZone) -> Zoned {
    let edge = if at.as_ms() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or(edge).to_zoned(zone.clone())
}

/// `at` on the zone's clocks, as `format` (of `strftime`) says: the way into text, for people only.
///
/// # Errors
/// [`CalendarError::Zone`] where there is no such zone.
pub fn shown(at: Timestamp, zone_name: &str, format: &str) -> Result<String, CalendarError> {
    Ok(local::Zone::known(zone_name)?.shown(at, format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(utc_exact(Timestamp::from_ms(1_796_086_800_250)), "2026-12-01T01:00:00.25Z");
        assert_eq!(utc_exact(Timestamp::from_ms(1_790_812_800_000)), "2026-10-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_zone_and_no_time_is_quoted() {
        assert!(zone("Europe/Berln").unwrap_err().to_string().contains("Europe/Berln"));
        assert!(instant("2026-12-01T02:00:00").unwrap_err().to_string().contains("2026-12-01T02:00:00"));
        assert!(local_to_timestamp("tomorrow", "UTC").unwrap_err().to_string().contains("tomorrow"));
    }

    #[test]
    fn a_month_is_the_zones_and_has_its_own_length_where_clocks_change() {
        const HOUR: i64 = 3_600_000;
        let october = month("2026-10", BERLIN).unwrap();
        assert_eq!(october.from, instant("2026-09-30T22:00:00Z").unwrap());
        assert_eq!(october.to, instant("2026-10-31T23:00:00Z").unwrap());
        assert_eq!(october.length_ms(), 745 * HOUR);
        assert_eq!(month("2026-03", BERLIN).unwrap().length_ms(), 743 * HOUR);
        assert_eq!(month("2026-12", "UTC").unwrap().length_ms(), 744 * HOUR);
        for text in ["2026", "2026-13", "2026-1", "2026-10-01", "", "october"] {
            assert!(month(text, BERLIN).unwrap_err().to_string().contains("2026-10"), "{text}");
        }
    }

    #[test]
    fn the_days_of_a_month_make_the_month() {
        let october = month("2026-10", BERLIN).unwrap();
        let days = days(october, BERLIN).unwrap();
        assert_eq!((days.len(), days[0].from, days[30].to), (31, october.from, october.to));
        assert!(days.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert_eq!(days[24].length_ms(), 25 * 3_600_000);
    }

    #[test]
    fn service_hours_follow_the_clocks_of_the_zone() {
        let weekdays = ServiceHours { days: vec![1, 2, 3, 4, 5], from_minute: 8 * 60, to_minute: 18 * 60 };
        // Friday to Monday, over the night in which clocks are set back.
        let span =
            Span::new(instant("2026-10-23T12:00:00+02:00").unwrap(), instant("2026-10-26T09:00:00+01:00").unwrap());
        let closed = outside_hours(&[weekdays], span, BERLIN).unwrap();
        let (evening, morning) = ("2026-10-23T18:00:00+02:00", "2026-10-26T08:00:00+01:00");
        assert_eq!(closed, [Span::new(instant(evening).unwrap(), instant(morning).unwrap())]);
    }

    #[test]
    fn hours_to_midnight_join_those_from_midnight() {
        let always = ServiceHours { days: vec![1, 2, 3, 4, 5, 6, 7], from_minute: 0, to_minute: 1440 };
        let october = month("2026-10", BERLIN).unwrap();
        assert_eq!(outside_hours(&[always], october, BERLIN).unwrap(), []);
    }

    /// Months in which clocks change in awkward ways: zone, month, hours and minutes that it has, how many local days.
    const AWKWARD: [(&str, &str, i64, i64, usize); 12] = [
        (BERLIN, "2026-03", 743, 0, 31),
        (BERLIN, "2026-10", 745, 0, 31),
        (BERLIN, "2028-02", 696, 0, 29),
        ("America/New_York", "2026-03", 743, 0, 31),
        ("America/New_York", "2026-11", 721, 0, 30),
        // Half an hour.
        ("Australia/Lord_Howe", "2026-04", 720, 30, 30),
        ("Australia/Lord_Howe", "2026-10", 743, 30, 31),
        // The thirtieth never was: the zone changed sides of the date line.
        ("Pacific/Apia", "2011-12", 720, 0, 30),
        ("Pacific/Apia", "2026-12", 744, 0, 31),
        // Clocks change at midnight, so that a day begins at one, and an hour of a day's end comes twice.
        ("America/Santiago", "2026-04", 721, 0, 30),
        ("America/Santiago", "2026-09", 719, 0, 30),
        ("Asia/Beirut", "2026-03", 743, 0, 31),
    ];

    #[test]
    fn awkward_months_have_their_own_lengths_and_their_days_make_them() {
        for (zone, text, hours, minutes, count) in AWKWARD {
            let month = month(text, zone).unwrap();
            assert_eq!(month.length_ms(), (hours * 60 + minutes) * 60_000, "{zone} {text}");
            let days = days(month, zone).unwrap();
            assert_eq!(days.len(), count, "{zone} {text}");
            assert_eq!((days[0].from, days[count - 1].to), (month.from, month.to), "{zone} {text}");
            assert!(days.windows(2).all(|pair| pair[0].to == pair[1].from), "{zone} {text}");
            assert!(days.iter().all(|day| 0 < day.length_ms()), "{zone} {text}");
        }
    }

    #[test]
    fn a_promise_allows_of_an_awkward_month_what_its_own_length_gives() {
        use crate::definition::Slo;
        use crate::uptime::{Accounts, slo};
        let allowed = |hours: i64, minutes: i64| {
            let slo = Slo { availability_ppm: 999_000, latency_p95_ms: None, window_ms: 1 };
            let up_ms = (hours * 60 + minutes) * 60_000;
            slo::budget(&slo, &Accounts { up_ms, ..Accounts::default() }).budget_ms
        };
        for (zone, text, hours, minutes, _days) in AWKWARD {
            assert_eq!(allowed(hours, minutes), month(text, zone).unwrap().length_ms() / 1_000, "{zone} {text}");
        }
        // 43 m 14.4 s, 44 m 42 s, 43 m 13.8 s: a month is not 30 days.
        assert_eq!([allowed(720, 0), allowed(745, 0), allowed(720, 30)], [2_592_000, 2_682_000, 2_593_800]);
    }

    #[test]
    fn a_month_and_the_next_one_share_an_edge_in_every_zone() {
        for zone in [BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "UTC"] {
            let months: Vec<Span> = (0..36)
                .map(|count| month(&format!("{}-{:02}", 2_010 + count / 12, 1 + count % 12), zone).unwrap())
                .collect();
            assert!(months.windows(2).all(|pair| pair[0].to == pair[1].from), "{zone}");
        }
    }

    #[test]
    fn service_hours_over_a_skipped_hour_are_shorter_and_over_a_doubled_one_longer() {
        let night = ServiceHours { days: vec![7], from_minute: 60, to_minute: 4 * 60 };
        let open = |text: &str| {
            let month = month(text, BERLIN).unwrap();
            let closed: i64 = outside_hours(std::slice::from_ref(&night), month, BERLIN)
                .unwrap()
                .iter()
                .map(|span| span.length_ms())
                .sum();
            (month.length_ms() - closed) / 3_600_000
        };
        // Five Sundays in March, four in October; three hours each, but for the one on which clocks change.
        assert_eq!(open("2026-03"), 5 * 3 - 1);
        assert_eq!(open("2026-10"), 4 * 3 + 1);
    }

    #[test]
    fn a_day_whose_midnight_clocks_skip_begins_when_they_have_jumped() {
        // In Beirut clocks go forward at midnight.
        let march = month("2026-03", "Asia/Beirut").unwrap();
        let days = days(march, "Asia/Beirut").unwrap();
        assert_eq!(days.iter().map(|day| day.length_ms()).sum::<i64>(), march.length_ms());
        assert_eq!(days.iter().filter(|day| day.length_ms() == 23 * 3_600_000).count(), 1);
    }

    #[test]
    fn a_time_that_clocks_skip_is_when_they_have_jumped() {
        let from_half_past = ServiceHours { days: vec![7], from_minute: 150, to_minute: 240 };
        let skipped = ServiceHours { days: vec![7], from_minute: 120, to_minute: 150 };
        let march = month("2026-03", BERLIN).unwrap();
        let jump = instant("2026-03-29T01:00:00Z").unwrap();
        let last = |hours| weekly(&[hours], march, BERLIN).unwrap().pop().unwrap();
        assert_eq!(last(from_half_past), Span::new(jump, instant("2026-03-29T02:00:00Z").unwrap()));
        assert_eq!(last(skipped).to, instant("2026-03-22T01:30:00Z").unwrap(), "what is skipped whole is nothing");
    }

    #[test]
    fn a_day_is_a_date_and_nothing_else() {
        assert_eq!(day("2026-10-25", BERLIN).unwrap().length_ms(), 25 * 3_600_000);
        for text in ["2026-10-25T02:00:00", "2026-02-30", "2026-10", "tomorrow", ""] {
            assert_eq!(day(text, BERLIN), Err(CalendarError::Day(text.to_owned())));
        }
    }

    /// For every minute of `span`, whether `hours` are open in it, read off the clocks instant by instant: they open
    /// when the clocks of a day first show their beginning or a later time, and close when they first show their end.
    fn read_off(hours: &[ServiceHours], span: Span, zone_name: &str) -> Vec<bool> {
        const MINUTE_MS: i64 = 60_000;
        let zone = zone(zone_name).unwrap();
        let (mut day, mut latest) = (Date::MIN, 0);
        let mut read = |at: i64| {
            let clock = zoned(Timestamp::from_ms(at), &zone);
            let minute = u16::try_from(i16::from(clock.hour()) * 60 + i16::from(clock.minute())).unwrap();
            latest = if clock.date() == day { minute.max(latest) } else { minute };
            day = clock.date();
            let weekday = day.weekday().to_monday_one_offset().unsigned_abs();
            let open =
                |of: &ServiceHours| of.days.contains(&weekday) && (of.from_minute..of.to_minute).contains(&latest);
            hours.iter().any(open)
        };
        // The day before is read first, so that it is known what the clocks have shown.
        let minutes = (span.from.as_ms() - 2 * 86_400_000..span.to.as_ms()).step_by(60_000);
        let all: Vec<bool> = minutes.map(&mut read).collect();
        all[usize::try_from(2 * 86_400_000 / MINUTE_MS).unwrap()..].to_vec()
    }

    /// Where and when clocks change.
    const CHANGES: [(&str, &str); 10] = [
        (BERLIN, "2026-03-29"),
        (BERLIN, "2026-10-25"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Pacific/Apia", "2011-12-31"),
        ("Pacific/Apia", "2012-04-01"),
        ("America/Santiago", "2026-04-05"),
        ("America/Santiago", "2026-09-06"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn weekly_hours_are_open_as_the_clocks_read_them(
            change in prop::sample::select(&CHANGES[..]),
            entries in prop::collection::vec(
                (prop::collection::btree_set(1_u8..=7, 3..=7), prop_oneof![0_u16..240, 1_300_u16..1_440], 1_u16..200), 1..4,
            ),
            (before, after) in (0_i64..3, 1_i64..4),
        ) {
            let (zone, date) = change;
            let hours: Vec<ServiceHours> = entries.into_iter().map(|(days, from_minute, length)| ServiceHours {
                days: days.into_iter().collect(), from_minute, to_minute: (from_minute + length).min(1_440),
            }).collect();
            let around = day(date, zone).unwrap();
            let span = Span::new(around.from.plus_ms(-before * 86_400_000), around.to.plus_ms(after * 3_600_000));
            let occurrences = weekly(&hours, span, zone).unwrap();
            prop_assert!(occurrences.windows(2).all(|pair| pair[0].to < pair[1].from));
            for (minute, open) in (0_i64..).zip(read_off(&hours, span, zone)) {
                let at = span.from.plus_ms(minute * 60_000);
                let inside = occurrences.iter().any(|occurrence| occurrence.contains(at));
                prop_assert_eq!(inside, open, "{} {}", zone, utc(at));
            }
        }
    }
}
