//! The two drawings: where the time went, and on which days. Geometry only, in whole units.

use nines_shared::time::Timestamp;

use super::view::exact;
use crate::report::model::DayReport;
use crate::uptime::Accounts;
use crate::uptime::accounts::ppm;
use crate::words;

/// How wide the bar is, in units.
const BAR: i64 = 10_000;
/// How narrow a part of it may be: it must be seen.
const NARROWEST: i64 = 50;
/// How high a day is, in units.
const DAY: i64 = 1_000;
/// How low a part of it may be.
const LOWEST: i64 = 90;

/// A part of the bar, and its line in the legend.
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) x: i64,
    pub(super) width: i64,
    pub(super) length: String,
    pub(super) share: String,
}

/// One day's column.
pub(super) struct Cell {
    pub(super) parts: Vec<Block>,
    /// The day of the month, on every seventh and the first.
    pub(super) label: String,
    /// What is told when one points at it.
    pub(super) title: String,
}

/// A part of a column.
pub(super) struct Block {
    pub(super) class: &'static str,
    pub(super) y: i64,
    pub(super) height: i64,
}

/// The accounts by what they are called, from good to bad to neither.
fn named(accounts: &Accounts) -> [(&'static str, &'static str, i64); 5] {
    [
        ("up", "up", accounts.up_ms),
        ("degraded", "degraded", accounts.degraded_ms),
        ("down", "down", accounts.down_ms),
        ("unknown", "unknown", accounts.unknown_ms),
        ("maintenance", "excluded", accounts.excluded_ms),
    ]
}

/// Where the time went. What is not nothing is wide enough to be seen.
pub(super) fn bar(accounts: &Accounts) -> Vec<Part> {
    let spent = named(accounts);
    let widths = shares(spent.map(|(_, _, ms)| ms), BAR, NARROWEST);
    let mut x = 0;
    let mut parts = Vec::new();
    for ((class, word, ms), width) in spent.into_iter().zip(widths) {
        let share = match ppm(ms, accounts.total_ms()) {
            None => String::new(),
            // Floored to nothing, but not nothing.
            Some(0..10) if ms != 0 => format!("under {}", words::percent(10)),
            Some(ppm) => words::percent(ppm),
        };
        parts.push(Part { class, word, x, width, length: exact(ms), share });
        x += width;
    }
    parts
}

/// A column a day, from the bottom: what failed, then what is not known, then the rest.
pub(super) fn days(days: &[DayReport], shown: impl Fn(Timestamp, &str) -> String) -> Vec<Cell> {
    let cell = |(index, day): (usize, &DayReport)| {
        let [up, degraded, down, unknown, excluded] = named(&day.accounts);
        let stack = [up, excluded, degraded, unknown, down];
        let heights = shares(stack.map(|(_, _, ms)| ms), DAY, LOWEST);
        let mut y = 0;
        let mut parts = Vec::new();
        for ((class, _, _), height) in stack.into_iter().zip(heights) {
            if height != 0 {
                parts.push(Block { class, y, height });
            }
            y += height;
        }
        let told: Vec<String> = [up, degraded, down, unknown, excluded]
            .into_iter()
            .filter(|(_, _, ms)| *ms != 0)
            .map(|(_, word, ms)| format!("{word} {}", exact(ms)))
            .collect();
        let number = shown(day.from, "%-d");
        Cell {
            parts,
            label: if index == 0 || number == "1" || index % 7 == 0 { number } else { String::new() },
            title: format!("{}: {}", shown(day.from, "%A %-d %B"), told.join(", ")),
        }
    };
    days.iter().enumerate().map(cell).collect()
}

/// `whole` shared out by the lengths; what is not nothing gets at least `least`, at the cost of the largest.
fn shares(lengths: [i64; 5], whole: i64, least: i64) -> [i64; 5] {
    let total: i64 = lengths.iter().sum();
    if total <= 0 {
        return [0; 5];
    }
    let share = |ms: i64| i64::try_from(i128::from(ms) * i128::from(whole) / i128::from(total)).unwrap_or(whole);
    let mut shares = lengths.map(|ms| if ms == 0 { 0 } else { share(ms).max(least) });
    let over = shares.iter().sum::<i64>() - whole;
    let largest = (0..5).max_by_key(|index| shares[*index]).unwrap_or(0);
    shares[largest] -= over;
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_not_nothing_is_seen_and_all_of_it_fills_the_bar(lengths in prop::array::uniform5(0_i64..3_000_000_000)) {
            let found = shares(lengths, BAR, NARROWEST);
            prop_assert_eq!(found.iter().sum::<i64>(), if lengths.iter().all(|ms| *ms == 0) { 0 } else { BAR });
            for (length, share) in lengths.iter().zip(found) {
                prop_assert_eq!(*length == 0, share == 0);
                prop_assert!(0 == share || NARROWEST <= share);
            }
        }
    }
}
