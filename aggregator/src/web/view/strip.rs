//! A strip as it is drawn: bars in per cent of the width, and the sentence that says the same.

use nines_shared::time::{Span, Timestamp};

use super::window_length;
use crate::uptime::Timeline;
use crate::uptime::calendar::local::Zone;
use crate::web::figures::DAY_MS;
use crate::web::shade::Shade;
use crate::web::strip::{CELLS, strip};
use crate::words;

/// Windows of a strip, in ms: the shortest that holds the whole life, so that a young service has a picture too.
const WINDOWS_MS: [i64; 4] = [600_000, 3_600_000, 21_600_000, DAY_MS];

/// A strip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct StripView {
    pub(in crate::web) bars: Vec<Bar>,
    /// All of it as a sentence, for those who do not see it.
    pub(in crate::web) label: String,
    /// Where it begins, in words.
    pub(in crate::web) begins: String,
}

/// A bar of one shade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Bar {
    pub(in crate::web) shade: Shade,
    /// Per cent of the width.
    pub(in crate::web) x: String,
    /// Per cent of the width.
    pub(in crate::web) width: String,
    /// What is there, and when.
    pub(in crate::web) title: String,
}

/// The window in which to draw a life that began at `from`, as seen at `now`.
pub(in crate::web) fn window(from: Timestamp, now: Timestamp) -> Span {
    let age = now.since(from);
    let length = WINDOWS_MS.into_iter().find(|length| age <= *length).unwrap_or(DAY_MS);
    Span::new(now.plus_ms(-length), now)
}

/// Draws `timeline` in `window`, which ends now.
pub(in crate::web) fn view(window: Span, timeline: &Timeline, excluded: &[Span], zone: &Zone) -> StripView {
    let now = window.to;
    let bars = strip(window, timeline.spans(), excluded).into_iter().map(|run| Bar {
        shade: run.shade,
        x: thousandths(run.from),
        width: thousandths(run.to - run.from),
        title: match run.shade {
            Shade::Blank => "before it was watched".to_owned(),
            Shade::Up | Shade::Maintenance | Shade::Degraded | Shade::Unknown | Shade::Down => format!(
                "{} from {} to {}",
                run.shade.word(),
                zone.moment(run.span.from, now),
                zone.moment_named(run.span.to, now)
            ),
        },
    });
    StripView { bars: bars.collect(), label: label(window, timeline, excluded), begins: zone.minute(window.from, now) }
}

/// A number of cells as per cent of the width, to a thousandth.
fn thousandths(cells: usize) -> String {
    let thousandths = cells * 100_000 / CELLS;
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// "Last 24 h: up 23 h, down 14 min, unknown 10 min."
fn label(window: Span, timeline: &Timeline, excluded: &[Span]) -> String {
    let mut spent = [0_i64; 4];
    let order = [Shade::Up, Shade::Degraded, Shade::Down, Shade::Unknown];
    for (span, verdict) in timeline.within(window) {
        let counted = crate::uptime::maintenance::outside_ms(excluded, span);
        if let Some(index) = order.iter().position(|shade| *shade == Shade::from(verdict)) {
            spent[index] += counted;
        }
    }
    let inside = excluded.iter().filter_map(|span| window.intersection(*span)).map(Span::length_ms).sum();
    let all = order.into_iter().zip(spent).chain([(Shade::Maintenance, inside)]);
    let parts: Vec<String> =
        all.filter(|(_, ms)| *ms > 0).map(|(shade, ms)| format!("{} {}", shade.word(), words::duration(ms))).collect();
    let parts = if parts.is_empty() { "no data".to_owned() } else { parts.join(", ") };
    format!("Last {}: {parts}.", window_length(window.length_ms()))
}
