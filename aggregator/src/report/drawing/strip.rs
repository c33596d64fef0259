//! The days of a window, a column each, from the bottom: what failed, then what is not known, then the rest.

use super::{ACCOUNTS, Account, Anchor, Area, Drawing, Ink, Shape, TEXT, WIDTH, legend, paint, shares};
use crate::report::figures::{Zone, exact};
use crate::report::model::DayReport;

/// Where columns begin in a drawing of many services.
const NAMES: i32 = 1_060;
/// As many letters of a service's name are drawn.
const MAX_NAME: usize = 22;

/// The days of one service.
pub(in crate::report) fn days(days: &[DayReport], zone: Zone<'_>) -> Drawing {
    const COLUMN: i32 = 360;
    let mut shapes = Vec::new();
    columns(&mut shapes, days, (Area { x: 0, y: 0, width: WIDTH, height: COLUMN }, 0, days.len()), zone);
    let below = numbers(&mut shapes, days, (0, WIDTH, COLUMN + 72), zone);
    let used = used(days);
    legend(&mut shapes, used, (0, below + 130));
    Drawing { height: below + 160, shapes }
}

/// The days of several services, one under the other.
pub(in crate::report) fn glance(services: &[(&str, &[DayReport])], zone: Zone<'_>) -> Drawing {
    const ROW: i32 = 250;
    const COLUMN: i32 = 160;
    let mut shapes = Vec::new();
    let mut y = 0;
    let mut all = Vec::new();
    // All have the days of one window; the one that lived the longest lends the others its calendar.
    let longest = services.iter().map(|(_, days)| *days).max_by_key(|days| days.len()).unwrap_or_default();
    for (name, days) in services {
        let words = shortened(name);
        let at = (0, y + COLUMN / 2 + TEXT / 3);
        shapes.push(Shape::Words { at, text: words, anchor: Anchor::Start, ink: Ink::Words, strong: true });
        let first = days.first().map_or(0, |first| longest.partition_point(|day| day.to < first.to));
        let area = Area { x: NAMES, y, width: WIDTH - NAMES, height: COLUMN };
        columns(&mut shapes, days, (area, first, longest.len()), zone);
        all.extend(used(days));
        y += ROW;
    }
    let below = numbers(&mut shapes, longest, (NAMES, WIDTH - NAMES, y - ROW + COLUMN + 72), zone);
    let legends = [Account::Up, Account::Degraded, Account::Down, Account::Unknown, Account::Excluded];
    legend(&mut shapes, legends.into_iter().filter(|account| all.contains(account)), (NAMES, below + 120));
    Drawing { height: below + 150, shapes }
}

fn used(days: &[DayReport]) -> Vec<Account> {
    let legends = [Account::Up, Account::Degraded, Account::Down, Account::Unknown, Account::Excluded];
    legends.into_iter().filter(|account| days.iter().any(|day| account.of(&day.accounts) != 0)).collect()
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    name.chars().take(MAX_NAME - 1).chain(std::iter::once('…')).collect()
}

/// A column a day, of which the first is the `first` of `count` in `area`.
fn columns(shapes: &mut Vec<Shape>, days: &[DayReport], (area, first, count): (Area, usize, usize), zone: Zone<'_>) {
    for (index, day) in (first..).zip(days) {
        let (x, width) = place(index, count, (area.x, area.width));
        let heights = shares(ACCOUNTS.map(|account| account.of(&day.accounts)), area.height, area.height / 9);
        let mut bottom = area.y + area.height;
        for (account, height) in ACCOUNTS.into_iter().zip(heights) {
            paint(shapes, account, Area { x, y: bottom - height, width, height });
            bottom -= height;
        }
        if day.accounts.down_ms != 0 {
            let (middle, top) = (x + width / 2, area.y + area.height + 10);
            let half = 26.min(width / 2 + 6);
            shapes.push(Shape::Fill(
                vec![(middle, top), (middle + half, top + 40), (middle - half, top + 40)],
                Ink::Down,
            ));
        }
        shapes.push(Shape::Told(Area { x, width, ..area }, told(day, zone)));
    }
}

/// Where column `index` of `count` lies in so much room.
pub(super) fn place(index: usize, count: usize, (x, width): (i32, i32)) -> (i32, i32) {
    let count = i32::try_from(count.max(1)).unwrap_or(i32::MAX);
    let index = i32::try_from(index).unwrap_or(0);
    let gap = if count < 60 { 20 } else { 4 };
    let at = |index: i32| x + (width + gap) * index / count;
    (at(index), (at(index + 1) - gap - at(index)).max(2))
}

/// The day of the month under the first column, every seventh and every first of a month. Gives their baseline.
fn numbers(shapes: &mut Vec<Shape>, days: &[DayReport], (x, width, top): (i32, i32, i32), zone: Zone<'_>) -> i32 {
    let y = top + TEXT;
    let every = if days.len() < 60 { 7 } else { 28 };
    for (index, day) in days.iter().enumerate() {
        let number = zone.shown(day.from, "%-d");
        if index % every != 0 {
            continue;
        }
        let (left, column) = place(index, days.len(), (x, width));
        let text = if index == 0 || days.len() >= 60 { zone.shown(day.from, "%-d %b") } else { number };
        let (at, anchor) =
            if index == 0 { ((left, y), Anchor::Start) } else { ((left + column / 2, y), Anchor::Middle) };
        shapes.push(Shape::Words { at, text, anchor, ink: Ink::Soft, strong: false });
    }
    y
}

fn told(day: &DayReport, zone: Zone<'_>) -> String {
    let spent = [Account::Up, Account::Degraded, Account::Down, Account::Unknown, Account::Excluded];
    let told = spent.into_iter().map(|account| (account.word(), account.of(&day.accounts)));
    let told: Vec<String> = told.filter(|(_, ms)| *ms != 0).map(|(word, ms)| format!("{word} {}", exact(ms))).collect();
    format!("{}: {}", zone.shown(day.from, "%A %-d %B"), told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::time::Timestamp;

    #[test]
    fn columns_fill_the_width_in_order_however_many_there_are() {
        for count in [1, 2, 28, 31, 366, 400] {
            let mut end = -20;
            for index in 0..count {
                let (x, width) = place(index, count, (0, WIDTH));
                assert!(end < x && 0 < width, "{index} of {count}");
                end = x + width;
            }
            assert_eq!(end, WIDTH, "{count}");
        }
    }

    #[test]
    fn a_day_with_a_millisecond_of_downtime_bears_a_mark_and_can_be_seen() {
        let accounts = crate::uptime::Accounts { up_ms: 86_399_999, down_ms: 1, ..Default::default() };
        let day = DayReport { from: Timestamp::from_ms(0), to: Timestamp::from_ms(86_400_000), accounts };
        let drawing = days(&[day], Zone("UTC"));
        let down = |shape: &&Shape| matches!(shape, Shape::Box(area, Ink::Down) if 30 <= area.height);
        assert!(drawing.shapes.iter().any(|shape| down(&shape)));
        assert!(drawing.shapes.iter().any(|shape| matches!(shape, Shape::Fill(_, Ink::Down))));
    }
}
