//! Bars: where the time went, and how much of the error budget is spent.

use super::{Account, Anchor, Area, Drawing, Ink, Shape, TEXT, WIDTH, legend, paint, shares};
use crate::report::figures::exact;
use crate::uptime::Accounts;
use crate::uptime::slo::Budget;

const HEIGHT: i32 = 110;

/// Where the time went. What is not nothing is wide enough to be seen.
pub(in crate::report) fn accounts(accounts: &Accounts) -> Drawing {
    let order = [Account::Up, Account::Degraded, Account::Down, Account::Unknown, Account::Excluded];
    let widths = shares(order.map(|account| account.of(accounts)), WIDTH, 30);
    let (mut shapes, mut x) = (Vec::new(), 0);
    for (account, width) in order.into_iter().zip(widths) {
        paint(&mut shapes, account, Area { x, y: 0, width, height: HEIGHT });
        x += width;
    }
    legend(&mut shapes, order.into_iter().filter(|account| account.of(accounts) != 0), (0, HEIGHT + 130));
    Drawing { height: HEIGHT + 160, shapes }
}

/// The error budget: what is spent of it, and a mark where it ends if more was spent than there is.
pub(in crate::report) fn budget(budget: &Budget) -> Drawing {
    let whole = budget.budget_ms.max(budget.spent_ms).max(1);
    let part = |ms: i64| i32::try_from(i128::from(ms) * i128::from(WIDTH) / i128::from(whole)).unwrap_or(WIDTH);
    let (allowed, spent) = (part(budget.budget_ms), part(budget.spent_ms));
    let area = |x: i32, width: i32| Area { x, y: 0, width, height: HEIGHT };
    let mut shapes = vec![Shape::Box(area(0, WIDTH), Ink::Grid)];
    shapes.push(Shape::Box(area(0, spent.min(allowed)), Ink::Accent));
    if allowed < spent {
        shapes.push(Shape::Box(area(allowed, spent - allowed), Ink::Down));
        let lines = vec![vec![(allowed, -20), (allowed, HEIGHT + 20)]];
        shapes.push(Shape::Strokes { lines, ink: Ink::Words, width: 14, dashed: false });
    }
    let words = |at, text, anchor| Shape::Words { at, text, anchor, ink: Ink::Soft, strong: false };
    let y = HEIGHT + 30 + TEXT;
    shapes.push(words((0, y), format!("spent {}", exact(budget.spent_ms)), Anchor::Start));
    shapes.push(words((WIDTH, y), format!("error budget (SLO) {}", exact(budget.budget_ms)), Anchor::End));
    Drawing { height: y + 24, shapes }
}
