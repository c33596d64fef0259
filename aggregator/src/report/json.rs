//! The report as JSON: the model, plainly.

use serde::Serialize;

use super::model::Report;

/// Pretty-printed, keys in the model's order, a line break at the end.
pub fn render(report: &Report) -> String {
    pretty(report)
}

/// Any of our data in the form of [`render`].
pub(crate) fn pretty(data: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(data).expect("our data has only text keys and is written to memory");
    text.push('\n');
    text
}
