//! PURE: what a certificate has left, for people.

use nines_shared::sample::Certificate;
use nines_shared::time::Timestamp;

use super::{GREEN, RED, YELLOW, styled};

const DAY_MS: i64 = 86_400_000;
/// Fewer days than this are shown as a warning.
const FEW_DAYS: i64 = 21;
/// The most names that are shown.
const SHOWN_NAMES: usize = 6;

/// How long `certificate` is valid from `now` on, in whole days, and until when.
pub(super) fn left(certificate: &Certificate, now: Timestamp) -> String {
    let until = date(certificate.not_after);
    if now < certificate.not_before {
        return styled(RED, format!("not valid before {}", date(certificate.not_before)));
    }
    let days = certificate.not_after.since(now).div_euclid(DAY_MS);
    match days {
        ..0 => styled(RED, format!("expired on {until}")),
        0 => styled(RED, format!("less than a day left, until {until}")),
        1..FEW_DAYS => styled(YELLOW, format!("{days} days left, until {until}")),
        FEW_DAYS.. => styled(GREEN, format!("{days} days left, until {until}")),
    }
}

/// The names of `certificate`, the first few.
pub(super) fn names(certificate: &Certificate) -> String {
    let shown = certificate.names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match certificate.names.len().checked_sub(SHOWN_NAMES) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// The day of `at` in UTC (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(at: Timestamp) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400_000, "2000-02-29"),
            (1_790_000_000_000, "2026-09-21"),
            (4_107_542_399_000, "2100-02-28"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(date(Timestamp::from_ms(ms)), day);
        }
    }

    #[test]
    fn days_left_are_whole_days_and_the_last_day_is_not_one() {
        let at = Timestamp::from_ms;
        let certificate = Certificate {
            names: ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec(),
            not_before: at(0),
            not_after: at(30 * DAY_MS),
            ..Certificate::default()
        };
        for (now, words) in [
            (-1, "not valid before 1970-01-01"),
            (0, "30 days left"),
            (10 * DAY_MS + 1, "19 days left"),
            (30 * DAY_MS - 1, "less than a day left"),
            (30 * DAY_MS + 1, "expired on 1970-01-31"),
        ] {
            assert!(left(&certificate, at(now)).contains(words), "{now}: {}", left(&certificate, at(now)));
        }
        assert_eq!(names(&certificate), "a, b, c, d, e, f and 1 more");
    }
}
