//! Instants as people read them: in the customer's zone, with the zone named.

use jiff::Zoned;
use jiff::tz::TimeZone;
use nines_shared::time::Timestamp;

use super::{self as calendar, CalendarError};

/// A time zone with its IANA name.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    zone: TimeZone,
    name: String,
}

impl Zone {
    /// The zone called `name`; UTC, and called so, where there is none of that name.
    pub(crate) fn named(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|_unknown| Self::utc())
    }

    /// The zone called `name`, and no other in its place.
    pub(super) fn known(name: &str) -> Result<Self, CalendarError> {
        Ok(Self { zone: calendar::zone(name)?, name: name.to_owned() })
    }

    /// Coordinated Universal Time.
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }

    /// Its IANA name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the zone calls itself at `at`, such as CET or CEST; "UTC-03" where it has no letters.
    pub(crate) fn abbreviation(&self, at: Timestamp) -> String {
        let text = self.shown(at, "%Z");
        if text.starts_with(['+', '-']) { format!("UTC{text}") } else { text }
    }

    /// `Sunday 22 November 2026, 14:22:28 CET`.
    pub(crate) fn full(&self, at: Timestamp) -> String {
        format!("{} {}", self.shown(at, "%A %-d %B %Y, %H:%M:%S"), self.abbreviation(at))
    }

    /// As short as it can be told at `now`: `14:10:24` today, `yesterday 14:10:24`, `3 Nov 14:10:24`,
    /// `3 Nov 2025 14:10:24`. Without the zone: for places that stand under a named one.
    pub(crate) fn moment(&self, at: Timestamp, now: Timestamp) -> String {
        let (then, now) = (self.zoned(at), self.zoned(now));
        let format = if then.date() == now.date() {
            "%H:%M:%S"
        } else if now.date().yesterday().is_ok_and(|day| day == then.date()) {
            "yesterday %H:%M:%S"
        } else if then.year() == now.year() {
            "%-d %b %H:%M:%S"
        } else {
            "%-d %b %Y %H:%M:%S"
        };
        self.shown(at, format)
    }

    /// The month of `at`: `2026-11` and "November 2026".
    pub(crate) fn month(&self, at: Timestamp) -> (String, String) {
        (self.shown(at, "%Y-%m"), self.shown(at, "%B %Y"))
    }

    /// [`Zone::moment`] to the minute.
    pub(crate) fn minute(&self, at: Timestamp, now: Timestamp) -> String {
        let exact = self.moment(at, now);
        exact.rsplit_once(':').map_or(exact.clone(), |(minute, _seconds)| minute.to_owned())
    }

    /// [`Zone::moment`] with the zone.
    pub(crate) fn moment_named(&self, at: Timestamp, now: Timestamp) -> String {
        format!("{} {}", self.moment(at, now), self.abbreviation(at))
    }

    /// `at` on the zone's clocks, as `format` (of `strftime`) says.
    pub(super) fn shown(&self, at: Timestamp, format: &str) -> String {
        self.zoned(at).strftime(format).to_string()
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        calendar::zoned(at, &self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T13:22:28Z.
    const NOW: Timestamp = Timestamp::from_ms(1_795_353_748_000);

    #[test]
    fn instants_are_told_in_the_customers_zone_and_the_zone_is_named() {
        let berlin = Zone::named("Europe/Berlin");
        assert_eq!(berlin.full(NOW), "Sunday 22 November 2026, 14:22:28 CET");
        assert_eq!(berlin.moment_named(NOW.plus_ms(-150 * 86_400_000), NOW), "25 Jun 15:22:28 CEST");
        assert_eq!(Zone::named("America/Sao_Paulo").abbreviation(NOW), "UTC-03");
    }

    #[test]
    fn days_are_named_by_the_zones_calendar() {
        let (berlin, tokyo) = (Zone::named("Europe/Berlin"), Zone::named("Asia/Tokyo"));
        let at = NOW.plus_ms(-14 * 3_600_000);
        assert_eq!(berlin.moment(at, NOW), "00:22:28");
        assert_eq!(tokyo.moment(at, NOW), "08:22:28");
        assert_eq!(berlin.moment(at.plus_ms(-3_600_000), NOW), "yesterday 23:22:28");
        assert_eq!(berlin.moment(NOW.plus_ms(-400 * 86_400_000), NOW), "18 Oct 2025 15:22:28");
    }

    #[test]
    fn no_instant_is_too_far_and_no_zone_too_strange_to_be_shown() {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            assert!(!Zone::named("Not/AZone").full(at).is_empty());
        }
    }
}
