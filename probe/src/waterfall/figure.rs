//! PURE: times, shares and instants, as people read them.

use nines_shared::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// `1234567` µs as `1,234.6 ms`; two digits after the point where one would say too little.
pub(super) fn millis(us: u64) -> String {
    if us < 9_995 {
        let hundredths = (us + 5) / 10;
        return format!("{}.{:02} ms", hundredths / 100, hundredths % 100);
    }
    let tenths = us.saturating_add(50) / 100;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole < 1_000 {
        return format!("{whole}.{tenth} ms");
    }
    format!("{},{:03}.{tenth} ms", whole / 1_000, whole % 1_000)
}

/// Which part of `total_us` `us` is, in whole per cent, rounded down; what is there is never none.
pub(super) fn share(us: u64, total_us: u64) -> String {
    let percent = u128::from(us) * 100 / u128::from(total_us.max(1));
    if percent == 0 { "<1 %".to_owned() } else { format!("{percent} %") }
}

/// The day of `at` in UTC (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
pub(super) fn date(at: Timestamp) -> String {
    let days = at.as_ms().div_euclid(DAY_MS) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// The time of day of `at` in UTC, such as `04:05:59`.
pub(super) fn time_of_day(at: Timestamp) -> String {
    let seconds = at.as_ms().rem_euclid(DAY_MS) / 1_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Whole days from `now` to `then`; negative where `then` is over.
pub(super) const fn days_until(then: Timestamp, now: Timestamp) -> i64 {
    then.since(now).div_euclid(DAY_MS)
}

/// Whole days from `then` to `now`, for what is over.
pub(super) const fn days_since(then: Timestamp, now: Timestamp) -> i64 {
    now.since(then).div_euclid(DAY_MS)
}

/// `n` and what it counts: `1 day`, `2 days`.
pub(super) fn counted(n: u64, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_milliseconds_with_as_many_digits_as_say_something() {
        let shown = [0, 13, 9_994, 9_995, 10_000, 1_234_567].map(millis);
        assert_eq!(shown, ["0.00 ms", "0.01 ms", "9.99 ms", "10.0 ms", "10.0 ms", "1,234.6 ms"]);
    }

    #[test]
    fn shares_are_rounded_down_and_what_is_there_is_never_none() {
        assert_eq!([share(999, 1_000), share(1, 1_000), share(5, 5), share(0, 0)], ["99 %", "<1 %", "100 %", "<1 %"]);
    }

    #[test]
    fn dates_and_times_are_those_of_the_calendar() {
        for (ms, day, time) in [
            (0, "1970-01-01", "00:00:00"),
            (-1, "1969-12-31", "23:59:59"),
            (951_782_400_000, "2000-02-29", "00:00:00"),
            (1_790_000_000_000, "2026-09-21", "14:13:20"),
            (4_107_542_399_000, "2100-02-28", "23:59:59"),
            (4_107_542_400_000, "2100-03-01", "00:00:00"),
        ] {
            let at = Timestamp::from_ms(ms);
            assert_eq!((date(at).as_str(), time_of_day(at).as_str()), (day, time));
        }
    }
}
