//! Durations as people write them: `800ms`, `30s`, `1m30s`, `14d`. Integer milliseconds inside.

use std::fmt;

const UNITS: [(&str, i64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write a whole number and a unit, such as 800ms, 30s, 5m, 1h30m or 14d")]
pub struct DurationError(String);

/// Milliseconds of a text such as `800ms`, `30s`, `1h30m` or `14d`; never negative.
///
/// # Errors
/// [`DurationError`] where the text is empty, has no unit, an unknown unit, a sign, a fraction, or is
/// longer than an `i64` of milliseconds holds.
pub fn parse_ms(text: &str) -> Result<i64, DurationError> {
    parse(text).ok_or_else(|| DurationError(text.to_owned()))
}

fn parse(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = &rest[letters..];
    }
    Some(total)
}

/// A duration in milliseconds shown as people write it, exactly: `90000` is `1m30s`. The same text
/// parses back to the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown(pub i64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            write!(f, "-")?;
        }
        let mut rest = self.0.unsigned_abs();
        if rest == 0 {
            return write!(f, "0s");
        }
        // Weeks are read but not written: nobody says "2w" of an outage.
        for (unit, factor) in UNITS.iter().rev().skip(1) {
            let factor = factor.unsigned_abs();
            if rest / factor > 0 {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_ms("800ms"), Ok(800));
        assert_eq!(parse_ms("1h30m"), Ok(5_400_000));
        assert_eq!(parse_ms("14d"), Ok(1_209_600_000));
        assert_eq!(parse_ms("0s"), Ok(0));
    }

    #[test]
    fn what_is_not_a_duration_is_refused_and_quoted() {
        for text in ["", "30", "s", "-1s", "1.5s", "1 s", "10y", "99999999999999999999s", "9223372036854775807d"] {
            let error = parse_ms(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_parses_back_to_itself(ms in 0_i64..10_000_000_000) {
            prop_assert_eq!(parse_ms(&Shown(ms).to_string()), Ok(ms));
        }
    }
}
