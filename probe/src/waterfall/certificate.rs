//! PURE: what a certificate has left, for people.

use anstyle::Style;
use nines_shared::sample::Certificate;
use nines_shared::time::Timestamp;

use super::figure::{counted, date, days_since, days_until};
use super::page::Line;
use super::{DIM, GREEN, RED, YELLOW};

/// Fewer days than this are shown as a warning.
const FEW_DAYS: i64 = 14;
/// The most names that are shown.
const SHOWN_NAMES: usize = 6;

/// How long `certificate` is valid from `now` on, in whole days, and until when.
pub(super) fn left(certificate: &Certificate, now: Timestamp) -> Line {
    let until = date(certificate.not_after);
    let line =
        |style: Style, words: String, day: String| Line::styled(style, words).and_styled(DIM, format!(" · {day}"));
    if now < certificate.not_before {
        return line(RED, "not valid yet".to_owned(), format!("from {}", date(certificate.not_before)));
    }
    if certificate.not_after < now {
        return line(RED, expired(certificate, now), until);
    }
    match days_until(certificate.not_after, now) {
        ..1 => line(YELLOW, "less than a day left".to_owned(), until),
        days @ 1..FEW_DAYS => line(YELLOW, format!("{} left", counted(days.unsigned_abs(), "day")), until),
        days @ FEW_DAYS.. => line(GREEN, format!("{days} days left"), until),
    }
}

/// How long ago `certificate` expired.
fn expired(certificate: &Certificate, now: Timestamp) -> String {
    match days_since(certificate.not_after, now) {
        ..1 => "expired today".to_owned(),
        days @ 1.. => format!("expired {} ago", counted(days.unsigned_abs(), "day")),
    }
}

/// Whom a certificate's `subject` or `issuer` names: the common name first, where there is one, then the rest.
pub(super) fn named(subject: &str) -> Line {
    let parts: Vec<&str> = subject.split(", ").collect();
    let Some(at) = parts.iter().rposition(|part| part.starts_with("CN=")) else { return Line::of(subject) };
    let rest: Vec<&str> = parts.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, part)| *part).collect();
    let name = Line::of(&parts[at]["CN=".len()..]);
    if rest.is_empty() { name } else { name.and_styled(DIM, format!("  {}", rest.join(", "))) }
}

/// The names of `certificate`, the first few.
pub(super) fn names(certificate: &Certificate) -> String {
    let shown = certificate.names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match certificate.names.len().checked_sub(SHOWN_NAMES) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Page, Paper};
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn shown(certificate: &Certificate, now: i64) -> String {
        let mut page = Page::new(Paper::terminal(None, true, true));
        page.line(0, &left(certificate, Timestamp::from_ms(now)));
        page.into_text()
    }

    #[test]
    fn days_left_are_whole_days_with_a_colour_and_the_last_day_is_not_one() {
        let at = Timestamp::from_ms;
        let certificate = Certificate {
            names: ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec(),
            not_before: at(0),
            not_after: at(30 * DAY_MS),
            ..Certificate::default()
        };
        for (now, words, colour) in [
            (-1, "not valid yet", RED),
            (0, "30 days left", GREEN),
            (16 * DAY_MS, "14 days left", GREEN),
            (16 * DAY_MS + 1, "13 days left", YELLOW),
            (29 * DAY_MS, "1 day left", YELLOW),
            (30 * DAY_MS - 1, "less than a day left", YELLOW),
            (30 * DAY_MS, "less than a day left", YELLOW),
            (30 * DAY_MS + 1, "expired today", RED),
            (31 * DAY_MS, "expired 1 day ago", RED),
        ] {
            let text = shown(&certificate, now);
            assert!(text.starts_with(&format!("{colour}{words}")), "{now}: {text:?}");
        }
        assert_eq!(names(&certificate), "a, b, c, d, e, f and 1 more");
    }
}
