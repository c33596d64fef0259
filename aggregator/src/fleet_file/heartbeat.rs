//! `aggregator.heartbeat`: whom we tell that we live.

use nines_shared::duration::Shown;

use super::channel::address;
use super::reader::Value;
use crate::definition::Heartbeat;

/// How often the watcher is told, where the file does not say, in ms.
const EVERY_MS: i64 = 60_000;
/// The least and the most time between two heartbeats, in ms.
const BOUNDS_MS: (i64, i64) = (10_000, 86_400_000);

/// The heartbeat that `value` describes: `{ url = "https://…", every = "1m" }`.
pub(super) fn read(value: &Value<'_>) -> Option<Heartbeat> {
    let table = value.table()?;
    let url = table.need("url", "write who is told: url = \"https://…\" or url = { env = \"NINES_HEARTBEAT\" }");
    let url = url.and_then(|value| address(&value, "name it instead: url = { env = \"…\" }"));
    let every = table.get_or("every", EVERY_MS, |value| {
        let ms = value.duration_ms()?;
        let (least, most) = BOUNDS_MS;
        if !(least..=most).contains(&ms) {
            value.error(format!("is not between {} and {}", Shown(least), Shown(most)));
            return None;
        }
        Some(ms)
    });
    table.finish();
    Some(Heartbeat { url: url?, every_ms: every? })
}
