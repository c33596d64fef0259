//! `service.slo`: what we aim for.

use nines_shared::duration::Shown;

use super::reader::Value;
use crate::definition::Slo;

/// The window where none is named: 30 days, in ms.
const DEFAULT_WINDOW_MS: i64 = 2_592_000_000;
/// The shortest window, in ms: a minute.
const MIN_WINDOW_MS: i64 = 60_000;
/// The longest window, in ms: 400 days, as long as samples are taken in.
const MAX_WINDOW_MS: i64 = 34_560_000_000;

/// The SLO that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<Slo> {
    let table = value.table()?;
    let availability = table.need("availability", "write the objective in per cent, such as availability = 99.95");
    let availability = availability.and_then(|value| objective(&value));
    let latency = table.get_if("latency_p95", positive_ms);
    let window = table.get_or("window", DEFAULT_WINDOW_MS, window_ms);
    table.finish();
    Some(Slo { availability_ppm: availability?, latency_p95_ms: latency?, window_ms: window? })
}

fn objective(value: &Value<'_>) -> Option<u32> {
    let ppm = value.percent_ppm()?;
    if !(1..1_000_000).contains(&ppm) {
        value.error("an SLO lies above 0 and below 100: at 100 there is no budget to spend");
        return None;
    }
    Some(ppm)
}

/// A duration above nought, in ms.
pub(super) fn positive_ms(value: &Value<'_>) -> Option<i64> {
    let ms = value.duration_ms()?;
    if ms < 1 {
        value.error("must be above 0");
        return None;
    }
    Some(ms)
}

/// The length of a rolling window, in ms.
pub(super) fn window_ms(value: &Value<'_>) -> Option<i64> {
    let ms = value.duration_ms()?;
    if !(MIN_WINDOW_MS..=MAX_WINDOW_MS).contains(&ms) {
        let range = (Shown(MIN_WINDOW_MS), Shown(MAX_WINDOW_MS));
        value.error(format!("window {} is out of range; use {} to {}", Shown(ms), range.0, range.1));
        return None;
    }
    Some(ms)
}
