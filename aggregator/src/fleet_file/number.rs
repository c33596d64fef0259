//! Numbers of the file, taken from their text: a percentage is decimal, so no float comes near it.

/// Why a text is not a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PercentError {
    #[error("a percentage is a decimal number from 0 to 100, such as 99.95")]
    Form,
    #[error("a percentage has at most four decimals, since figures are in parts per million")]
    Decimals,
}

/// Parts per million of a percentage's decimal text: `99.95` is exactly 999,500.
pub(super) fn percent_ppm(text: &str) -> Result<u32, PercentError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || 3 < whole.len() || !digits(whole) || !digits(fraction) {
        return Err(PercentError::Form);
    }
    let fraction = fraction.trim_end_matches('0');
    if 4 < fraction.len() {
        return Err(PercentError::Decimals);
    }
    let ppm = format!("{whole}{fraction:0<4}").parse().map_err(|_too_long| PercentError::Form)?;
    if 1_000_000 < ppm { Err(PercentError::Form) } else { Ok(ppm) }
}

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// Bytes of a text such as `64KiB` or `1MiB`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &text[digits..])?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentages_become_parts_per_million_exactly() {
        for (text, ppm) in
            [("99.95", 999_500), ("99.9999", 999_999), ("100", 1_000_000), ("0.1", 1_000), ("99.950000", 999_500)]
        {
            assert_eq!(percent_ppm(text), Ok(ppm), "{text}");
        }
        for text in ["", ".5", "-1", "+1", "1e2", "nan", "inf", "100.0001", "101", "0x10"] {
            assert_eq!(percent_ppm(text), Err(PercentError::Form), "{text}");
        }
        assert_eq!(percent_ppm("99.99999"), Err(PercentError::Decimals));
    }

    #[test]
    fn sizes_are_read_in_binary_units() {
        assert_eq!((bytes("64KiB"), bytes("1MiB"), bytes("7B")), (Some(65_536), Some(1 << 20), Some(7)));
        assert_eq!((bytes("64kb"), bytes("MiB"), bytes("99999999999999GiB"), bytes("12")), (None, None, None, None));
    }

    proptest! {
        #[test]
        fn every_part_per_million_has_its_text(ppm in 0_u32..=1_000_000) {
            prop_assert_eq!(percent_ppm(&format!("{}.{:04}", ppm / 10_000, ppm % 10_000)), Ok(ppm));
        }
    }
}
