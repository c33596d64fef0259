//! PURE: one bar of a waterfall: where it begins, how long it is, on a scale.

/// Eighths of a character.
const EIGHTHS: u64 = 8;

/// A bar and the room around it: `before + drawn + after` is always as wide as the scale.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) before: usize,
    pub(super) drawn: String,
    pub(super) after: usize,
}

impl Bar {
    /// The bar of what took `us` from `from_us` on, where `total_us` is all of `width` columns. Never invisible.
    pub(super) fn of(from_us: u64, us: u64, total_us: u64, width: usize) -> Self {
        let columns = width.max(1) as u64;
        let total = total_us.max(from_us.saturating_add(us)).max(1);
        let eighths =
            |us: u64| u64::try_from(u128::from(us) * u128::from(columns * EIGHTHS) / u128::from(total)).unwrap_or(0);
        let start = (eighths(from_us) / EIGHTHS).min(columns - 1);
        let end = eighths(from_us.saturating_add(us)).max(start * EIGHTHS + 1).min(columns * EIGHTHS);
        let long = end - start * EIGHTHS;
        let count = |chars: u64| usize::try_from(chars).unwrap_or(width);
        let mut drawn = "█".repeat(count(long / EIGHTHS));
        drawn.extend(part(long % EIGHTHS));
        let before = count(start);
        let after = count(columns) - before - drawn.chars().count();
        Self { before, drawn, after }
    }
}

/// The first `eighths` of a character.
const fn part(eighths: u64) -> Option<char> {
    match eighths {
        1 => Some('▏'),
        2 => Some('▎'),
        3 => Some('▍'),
        4 => Some('▌'),
        5 => Some('▋'),
        6 => Some('▊'),
        7 => Some('▉'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bar_begins_where_the_one_before_it_ended() {
        let half = Bar::of(500, 500, 1_000, 40);
        assert_eq!((half.before, half.drawn.as_str(), half.after), (20, "█".repeat(20).as_str(), 0));
        assert_eq!(Bar::of(500, 0, 1_000, 40).drawn, "▏");
    }

    proptest! {
        #[test]
        fn every_bar_is_seen_and_fits(from in any::<u64>(), us in any::<u64>(), total in any::<u64>(), width in 1_usize..200) {
            let bar = Bar::of(from, us, total, width);
            prop_assert!(!bar.drawn.is_empty());
            prop_assert_eq!(bar.before + bar.drawn.chars().count() + bar.after, width);
        }
    }
}
