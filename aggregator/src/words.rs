//! Numbers as people read them. Ratios and durations are floored: nothing is printed better than it is (INV-8).

/// A narrow space that no line breaks at, between a number and its unit.
const THIN: char = '\u{202f}';

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Parts per million as per cent with three decimals, floored; only the whole is "100 %".
pub fn percent(ppm: u32) -> String {
    if ppm >= 1_000_000 {
        return format!("100{THIN}%");
    }
    format!("{}.{:03}{THIN}%", ppm / 10_000, ppm % 10_000 / 10)
}

/// An objective as per cent, without zeros that say nothing.
pub fn objective(ppm: u32) -> String {
    let decimals = format!("{:04}", ppm % 10_000);
    match decimals.trim_end_matches('0') {
        "" => format!("{}{THIN}%", ppm / 10_000),
        some => format!("{}.{some}{THIN}%", ppm / 10_000),
    }
}

/// A length of time in its two largest units, floored; `ms` below nought is taken as nought.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let two = |large: i64, name: &str, small: i64, other: &str| match ms % large / small {
        0 => format!("{}{THIN}{name}", ms / large),
        rest => format!("{}{THIN}{name} {rest}{THIN}{other}", ms / large),
    };
    match ms {
        DAY.. => two(DAY, "d", HOUR, "h"),
        HOUR.. => two(HOUR, "h", MINUTE, "min"),
        MINUTE.. => two(MINUTE, "min", SECOND, "s"),
        1.. if ms < SECOND => format!("{ms}{THIN}ms"),
        _ => format!("{}{THIN}s", ms / SECOND),
    }
}

/// How long something lasted that was measured: as [`duration`], but below a minute with a tenth of a second.
pub fn length(ms: i64) -> String {
    match ms {
        SECOND..MINUTE => format!("{}.{}{THIN}s", ms / SECOND, ms % SECOND / 100),
        _ => duration(ms),
    }
}

/// A length of time that may be negative, such as what is left of a budget.
pub fn signed_duration(ms: i64) -> String {
    if ms < 0 { format!("−{}", duration(ms.saturating_neg())) } else { duration(ms) }
}

/// A latency given in µs.
pub fn latency(us: u64) -> String {
    match us {
        1_000_000.. => format!("{}.{:02}{THIN}s", us / 1_000_000, us % 1_000_000 / 10_000),
        10_000.. => format!("{}{THIN}ms", us / 1_000),
        _ => format!("{}.{}{THIN}ms", us / 1_000, us % 1_000 / 100),
    }
}

/// `count` of something: "1 region", "3 regions".
pub fn count(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// "a", "a and b", "a, b and c".
pub fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A code such as `connect_timeout` as words.
pub fn code(code: &str) -> String {
    code.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_whole_is_a_hundred_per_cent() {
        assert_eq!(percent(1_000_000), "100\u{202f}%");
        assert_eq!(percent(999_999), "99.999\u{202f}%");
        assert_eq!(percent(999_876), "99.987\u{202f}%");
        assert_eq!(percent(0), "0.000\u{202f}%");
        assert_eq!(objective(999_500), "99.95\u{202f}%");
        assert_eq!(objective(990_000), "99\u{202f}%");
    }

    #[test]
    fn durations_have_at_most_two_units_and_are_floored() {
        let plain = |ms| duration(ms).replace(THIN, " ");
        assert_eq!(plain(0), "0 s");
        assert_eq!(plain(-5), "0 s");
        assert_eq!(plain(350), "350 ms");
        assert_eq!(plain(59_999), "59 s");
        assert_eq!(plain(61_000), "1 min 1 s");
        assert_eq!(plain(2 * HOUR + 59_999), "2 h");
        assert_eq!(plain(3 * DAY + 4 * HOUR), "3 d 4 h");
        assert_eq!(signed_duration(-61_000).replace(THIN, " "), "−1 min 1 s");
    }

    #[test]
    fn what_was_measured_has_a_tenth_below_a_minute_and_is_floored() {
        let plain = |ms| length(ms).replace(THIN, " ");
        assert_eq!(plain(999), "999 ms");
        assert_eq!(plain(10_000), "10.0 s");
        assert_eq!(plain(23_699), "23.6 s");
        assert_eq!(plain(59_999), "59.9 s");
        assert_eq!(plain(61_999), "1 min 1 s");
    }

    #[test]
    fn lists_read_as_sentences() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(list(&names(&["a"])), "a");
        assert_eq!(list(&names(&["a", "b"])), "a and b");
        assert_eq!(list(&names(&["a", "b", "c"])), "a, b and c");
    }

    proptest! {
        #[test]
        fn inv_8_a_printed_percentage_is_never_above_the_true_one(ppm in 0_u32..=1_000_000) {
            let printed: f64 = percent(ppm).trim_end_matches(['%', THIN]).parse().unwrap();
            prop_assert!(printed * 10_000.0 <= f64::from(ppm) + 1e-6);
        }
    }
}
