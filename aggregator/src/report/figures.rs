//! Figures as people read them. No percentage is printed above the true one, no latency and no downtime below
//! it (INV-8); lengths of time are exact.

use nines_shared::time::{Span, Timestamp};

use crate::uptime::calendar;
use crate::words;

/// A narrow space that no line breaks at, between a number and its unit.
const THIN: char = '\u{202f}';
/// Parts per million in the whole.
pub(super) const WHOLE: u32 = 1_000_000;
/// What stands where there is no figure.
pub(super) const NO_DATA: &str = "no data";

/// A ratio in per cent, with three decimals, floored.
pub(super) fn percent(ppm: Option<u32>) -> String {
    ppm.map_or_else(|| NO_DATA.to_owned(), words::percent)
}

/// A ratio that stands beside an objective: with as many decimals as that has, so that what misses it never reads
/// as it, and what meets it never reads as less.
pub(super) fn percent_beside(ppm: Option<u32>, objective_ppm: u32) -> String {
    match ppm {
        Some(ppm) if !objective_ppm.is_multiple_of(10) && ppm < WHOLE => {
            format!("{}.{:04}{THIN}%", ppm / 10_000, ppm % 10_000)
        }
        other => percent(other),
    }
}

/// A part of a whole in per cent, floored; what is floored to nothing but is not nothing says so.
pub(super) fn share(part: i64, whole: i64) -> String {
    match crate::uptime::accounts::ppm(part, whole) {
        None => String::new(),
        Some(0..10) if part != 0 => format!("under {}", words::percent(10)),
        Some(ppm) => words::percent(ppm),
    }
}

/// A latency given in µs, never shorter than it was.
pub(super) fn latency(us: u32) -> String {
    let (tenths, ms, hundredths) = (us.div_ceil(100), us.div_ceil(1_000), us.div_ceil(10_000));
    match us {
        _ if tenths < 100 => format!("{}.{}{THIN}ms", tenths / 10, tenths % 10),
        _ if ms < 1_000 => format!("{ms}{THIN}ms"),
        _ => format!("{}.{:02}{THIN}s", hundredths / 100, hundredths % 100),
    }
}

/// A length of time to the millisecond: downtime is not floored, since that would print it shorter than it was.
pub(super) fn exact(ms: i64) -> String {
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let mut parts: Vec<String> = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min")]
        .into_iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, unit)| format!("{count}{THIN}{unit}"))
        .collect();
    if rest != 0 {
        let fraction = format!("{rest:03}");
        parts.push(format!("{}.{}{THIN}s", seconds % 60, fraction.trim_end_matches('0')));
    } else if seconds % 60 != 0 || parts.is_empty() {
        parts.push(format!("{}{THIN}s", seconds % 60));
    }
    parts.join(" ")
}

/// [`exact`], where there is any; a dash where there is none, so that what is there stands out.
pub(super) fn exact_or_dash(ms: i64) -> String {
    if ms == 0 { "–".to_owned() } else { exact(ms) }
}

/// A length that may be negative, such as what is left of a budget.
pub(super) fn signed(ms: i64) -> String {
    if ms < 0 { format!("−{}", exact(ms.saturating_neg())) } else { exact(ms) }
}

/// "431 998 of 432 000".
pub(super) fn slots(answered: i64, expected: i64) -> String {
    format!("{} of {}", grouped(answered), grouped(expected))
}

/// 432 000: thousands apart, as numbers in tables are read.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// The customer's zone, known to exist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone<'a>(pub(super) &'a str);

impl Zone<'_> {
    /// As `format` (of `strftime`) says.
    pub(super) fn shown(self, at: Timestamp, format: &str) -> String {
        calendar::shown(at, self.0, format).unwrap_or_else(|_no_zone| calendar::utc_exact(at))
    }

    /// `11 Oct 2026 03:12:09`.
    pub(super) fn moment(self, at: Timestamp) -> String {
        self.shown(at, "%-d\u{a0}%b\u{a0}%Y %H:%M:%S%.f")
    }

    /// [`Zone::moment`], without the date where `before` has the same.
    pub(super) fn moment_after(self, at: Timestamp, before: Timestamp) -> String {
        let day = |at| self.shown(at, "%Y-%m-%d");
        if day(at) == day(before) { self.shown(at, "%H:%M:%S%.f") } else { self.moment(at) }
    }

    /// `1 Oct 2026 00:00 CEST`.
    pub(super) fn named(self, at: Timestamp) -> String {
        let whole = at.as_ms() % 60_000 == 0;
        let format =
            if whole { "%-d\u{a0}%b\u{a0}%Y %H:%M\u{a0}%Z" } else { "%-d\u{a0}%b\u{a0}%Y %H:%M:%S%.f\u{a0}%Z" };
        self.shown(at, format)
    }

    /// "October 2026" where the window is that month, else its ends.
    pub(super) fn period(self, from: Timestamp, to: Timestamp) -> String {
        let month = calendar::month(&self.shown(from, "%Y-%m"), self.0);
        if month == Ok(Span { from, to }) {
            return self.shown(from, "%B %Y");
        }
        format!("{} – {}", self.shown(from, "%-d %b %Y %H:%M"), self.shown(to, "%-d %b %Y %H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        text.replace(THIN, " ")
    }

    #[test]
    fn lengths_are_exact() {
        let plain = |ms| plain(&exact(ms));
        assert_eq!(plain(0), "0 s");
        assert_eq!(plain(330_900), "5 min 30.9 s");
        assert_eq!(plain(7), "0.007 s");
        assert_eq!(plain(3_600_000), "1 h");
        assert_eq!(plain(90_061_001), "1 d 1 h 1 min 1.001 s");
        assert_eq!(signed(-1_500).replace(THIN, " "), "−1.5 s");
        assert_eq!(grouped(432_000).replace(THIN, " "), "432 000");
        assert_eq!(grouped(12), "12");
    }

    #[test]
    fn a_latency_is_never_printed_shorter_than_it_was() {
        let plain = |us| plain(&latency(us));
        assert_eq!([1, 9_901, 9_900].map(plain), ["0.1 ms", "10 ms", "9.9 ms"]);
        assert_eq!([10_001, 999_000, 999_001, 1_230_001].map(plain), ["11 ms", "999 ms", "1.00 s", "1.24 s"]);
    }

    #[test]
    fn a_month_is_called_by_its_name_and_another_window_by_its_ends() {
        let zone = Zone("Europe/Berlin");
        let month = calendar::month("2026-10", "Europe/Berlin").unwrap();
        assert_eq!(zone.period(month.from, month.to), "October 2026");
        assert_eq!(zone.period(month.from, month.from.plus_ms(3_600_000)), "1 Oct 2026 00:00 – 1 Oct 2026 01:00");
    }

    #[test]
    fn instants_keep_their_milliseconds() {
        let zone = Zone("Europe/Berlin");
        assert_eq!(zone.moment(Timestamp::from_ms(1_790_812_800_070)), "1\u{a0}Oct\u{a0}2026 02:00:00.07");
        assert_eq!(zone.moment(Timestamp::from_ms(1_790_812_800_000)), "1\u{a0}Oct\u{a0}2026 02:00:00");
    }

    fn read(text: &str) -> u64 {
        let (whole, decimals) = text.trim_end_matches(['%', THIN]).split_once('.').unwrap_or((text, ""));
        let whole: u64 = whole.trim_end_matches(['%', THIN]).parse().unwrap();
        whole * 10_000 + format!("{decimals:0<4}").parse::<u64>().unwrap()
    }

    proptest! {
        #[test]
        fn inv_8_beside_an_objective_a_figure_reads_as_it_is_judged(ppm in 0_u32..=WHOLE, objective in 1_u32..=WHOLE) {
            let (printed, promised) = (read(&percent_beside(Some(ppm), objective)), read(&words::objective(objective)));
            prop_assert!(printed <= u64::from(ppm));
            prop_assert_eq!(printed < promised, ppm < objective, "{} beside {}", printed, promised);
        }

        #[test]
        fn inv_8_close_to_an_objective_too(objective in 10_u32..=WHOLE, less in -9_i32..10) {
            let ppm = objective.saturating_add_signed(less).min(WHOLE);
            let (printed, promised) = (read(&percent_beside(Some(ppm), objective)), read(&words::objective(objective)));
            prop_assert_eq!(printed < promised, ppm < objective);
        }

        #[test]
        fn a_printed_latency_is_at_least_the_true_one_and_close(us in 1_u32..100_000_000) {
            let text = latency(us);
            let (number, unit) = text.split_once(THIN).unwrap();
            let scale = if unit == "s" { 1_000_000.0 } else { 1_000.0 };
            let printed = number.parse::<f64>().unwrap() * scale;
            prop_assert!(f64::from(us) <= printed + 1e-3);
            prop_assert!(printed <= f64::from(us) * 1.1 + 100.0);
        }
    }
}
