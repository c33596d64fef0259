//! Drawings: geometry once, for SVG and for PDF. What is drawn is decided here; colours are the renderers'.
//!
//! Lengths are whole tenths of a point, from the top left, so that both renderings and every machine agree. No
//! sign rests on colour alone: what is unknown is grey and flat, what is excluded is hatched, what is degraded is
//! ruled, and a day with downtime bears a mark.

pub(super) mod bar;
pub(super) mod latency;
pub(super) mod strip;
pub(super) mod svg;

/// How wide every drawing is: what is left of A4 between the margins.
pub(super) const WIDTH: i32 = 4_820;
/// The size of words in drawings.
pub(super) const TEXT: i32 = 74;

/// A drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawing {
    /// How high it is; all are [`WIDTH`] wide.
    pub(super) height: i32,
    /// What is drawn, one over the other.
    pub(super) shapes: Vec<Shape>,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A filled rectangle.
    Box(Area, Ink),
    /// A filled polygon.
    Fill(Vec<Point>, Ink),
    /// Strokes of one width, each from point to point; broken ones where they are `dashed`.
    Strokes {
        /// Each a line of at least two points.
        lines: Vec<Vec<Point>>,
        /// Of which colour.
        ink: Ink,
        /// How wide.
        width: i32,
        /// Whether broken.
        dashed: bool,
    },
    /// Words on a baseline.
    Words {
        /// Where the baseline begins, is halved or ends.
        at: Point,
        /// What they say.
        text: String,
        /// Which of the three.
        anchor: Anchor,
        /// Of which colour.
        ink: Ink,
        /// Whether they name what is drawn.
        strong: bool,
    },
    /// What is told of an area when one points at it, where one can point.
    Told(Area, String),
}

/// A point.
pub(super) type Point = (i32, i32);

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    /// From the left.
    pub(super) x: i32,
    /// From the top.
    pub(super) y: i32,
    /// To the right.
    pub(super) width: i32,
    /// Downwards.
    pub(super) height: i32,
}

/// Which end of words is put where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Their beginning.
    Start,
    /// Their middle.
    Middle,
    /// Their end.
    End,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// It worked.
    Up,
    /// It worked, slowly.
    Degraded,
    /// The rules on what is degraded.
    DegradedLine,
    /// It failed.
    Down,
    /// Nobody knows.
    Unknown,
    /// What is excluded, behind its hatching.
    Excluded,
    /// The hatching.
    ExcludedLine,
    /// The figure that matters.
    Accent,
    /// A band beside it.
    Band,
    /// Grid and axes.
    Grid,
    /// Words beside the point, and lesser lines.
    Soft,
    /// Words.
    Words,
}

/// The accounts as they are drawn, from the bottom of a column up.
pub(super) const ACCOUNTS: [Account; 5] =
    [Account::Down, Account::Unknown, Account::Degraded, Account::Excluded, Account::Up];

/// One of the five accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// It worked.
    Up,
    /// It worked, slowly.
    Degraded,
    /// It failed.
    Down,
    /// Nobody knows.
    Unknown,
    /// Maintenance.
    Excluded,
}

impl Account {
    /// How much of it there is, in ms.
    pub(super) fn of(self, accounts: &crate::uptime::Accounts) -> i64 {
        match self {
            Self::Up => accounts.up_ms,
            Self::Degraded => accounts.degraded_ms,
            Self::Down => accounts.down_ms,
            Self::Unknown => accounts.unknown_ms,
            Self::Excluded => accounts.excluded_ms,
        }
    }

    /// What it is called.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Excluded => "excluded",
        }
    }
}

/// Draws `account` in `area`, with the sign that tells it from the others without colour.
fn paint(shapes: &mut Vec<Shape>, account: Account, area: Area) {
    if area.width <= 0 || area.height <= 0 {
        return;
    }
    let ink = match account {
        Account::Up => Ink::Up,
        Account::Degraded => Ink::Degraded,
        Account::Down => Ink::Down,
        Account::Unknown => Ink::Unknown,
        Account::Excluded => Ink::Excluded,
    };
    shapes.push(Shape::Box(area, ink));
    let (lines, ink) = match account {
        Account::Excluded => (hatched(area), Ink::ExcludedLine),
        Account::Degraded => (ruled(area), Ink::DegradedLine),
        Account::Up | Account::Down | Account::Unknown => return,
    };
    if !lines.is_empty() {
        shapes.push(Shape::Strokes { lines, ink, width: 6, dashed: false });
    }
}

/// Lines that rise to the right through `area`, the same through neighbouring areas.
fn hatched(area: Area) -> Vec<Vec<Point>> {
    const GAP: i32 = 30;
    let Area { x, y, width, height } = area;
    let (right, bottom) = (x + width, y + height);
    // On each line x + y is the same.
    let first = (x + y).div_euclid(GAP) * GAP + GAP;
    let sums = (0..).map(|n| first + n * GAP).take_while(|sum| *sum < right + bottom);
    sums.map(|sum| {
        let low = if sum - bottom < x { (x, sum - x) } else { (sum - bottom, bottom) };
        let high = if right < sum - y { (right, sum - right) } else { (sum - y, y) };
        vec![low, high]
    })
    .collect()
}

/// Level lines through `area`.
fn ruled(area: Area) -> Vec<Vec<Point>> {
    const GAP: i32 = 24;
    let Area { x, y, width, height } = area;
    let levels = (1..).map(|n| y.div_euclid(GAP) * GAP + n * GAP).take_while(|level| *level < y + height);
    levels.map(|level| vec![(x, level), (x + width, level)]).collect()
}

/// `whole` shared out by the lengths; what is not nothing gets at least `least`, at the cost of the largest.
fn shares(lengths: [i64; 5], whole: i32, least: i32) -> [i32; 5] {
    let total: i64 = lengths.iter().sum();
    if total <= 0 {
        return [0; 5];
    }
    let share = |ms: i64| i32::try_from(i128::from(ms) * i128::from(whole) / i128::from(total)).unwrap_or(whole);
    let mut shares = lengths.map(|ms| if ms == 0 { 0 } else { share(ms).max(least) });
    let over = shares.iter().sum::<i32>() - whole;
    let largest = (0..5).max_by_key(|index| shares[*index]).unwrap_or(0);
    shares[largest] -= over;
    shares
}

/// The names of `accounts` beside a swatch of each, from the left at `x`, their baseline at `y`.
fn legend(shapes: &mut Vec<Shape>, accounts: impl IntoIterator<Item = Account>, (mut x, y): Point) {
    for account in accounts {
        paint(shapes, account, Area { x, y: y - 58, width: 90, height: 64 });
        shapes.push(Shape::Words {
            at: (x + 120, y),
            text: account.word().to_owned(),
            anchor: Anchor::Start,
            ink: Ink::Soft,
            strong: false,
        });
        x += 210 + 42 * i32::try_from(account.word().len()).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_not_nothing_is_seen_and_all_of_it_fills_the_bar(lengths in prop::array::uniform5(0_i64..3_000_000_000)) {
            let found = shares(lengths, WIDTH, 20);
            prop_assert_eq!(found.iter().sum::<i32>(), if lengths.iter().all(|ms| *ms == 0) { 0 } else { WIDTH });
            for (length, share) in lengths.iter().zip(found) {
                prop_assert_eq!(*length == 0, share == 0);
                prop_assert!(0 == share || 20 <= share);
            }
        }

        #[test]
        fn hatching_stays_inside_and_every_line_rises(x in 0_i32..5_000, y in 0_i32..900, width in 1_i32..900, height in 1_i32..900) {
            for line in hatched(Area { x, y, width, height }).into_iter().chain(ruled(Area { x, y, width, height })) {
                for (px, py) in &line {
                    prop_assert!((x..=x + width).contains(px) && (y..=y + height).contains(py));
                }
                prop_assert!(line[0].0 <= line[1].0 && line[1].1 <= line[0].1);
            }
        }
    }
}
