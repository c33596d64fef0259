//! The report as JSON: the model, plainly.

use super::model::Report;

/// Pretty-printed, keys in the model's order, a line break at the end.
pub fn render(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report has only text keys and is written to memory");
    text.push('\n');
    text
}
