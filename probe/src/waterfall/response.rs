//! PURE: what a response said that was not as expected: its status line, its headers, the first lines of its body.

use nines_shared::sample::ResponseEvidence;

use super::page::{COLUMN, Line, Page};
use super::{DIM, Look};

/// The most header fields that are shown.
const MAX_HEADERS: usize = 16;
/// The most lines of a body that are shown.
const MAX_LINES: usize = 8;

/// Draws the response, where it was kept.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    let Some(response) = &look.seen.evidence.response else { return };
    page.gap();
    page.field("response", &Line::of(format!("{} {}", response.version, response.status)));
    headers(page, response);
    body(page, response);
}

fn headers(page: &mut Page, response: &ResponseEvidence) {
    for (name, value) in response.headers.iter().take(MAX_HEADERS) {
        page.folded(COLUMN, COLUMN + 2, &Line::styled(DIM, format!("{name}: {value}")));
    }
    let more = response.headers.len().saturating_sub(MAX_HEADERS) + response.headers_left_out;
    if more != 0 {
        page.line(COLUMN, &Line::styled(DIM, format!("and {more} more headers")));
    }
}

fn body(page: &mut Page, response: &ResponseEvidence) {
    let encoding = response.encoding.as_ref().map(|encoding| format!(", {encoding}")).unwrap_or_default();
    if response.binary {
        page.field("body", &Line::styled(DIM, format!("not text{encoding}")));
    }
    let Some(text) = &response.body else { return };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    for (index, line) in lines.by_ref().take(MAX_LINES).enumerate() {
        page.field(if index == 0 { "body" } else { "" }, &Line::of(line));
    }
    if response.truncated || lines.next().is_some() {
        page.line(COLUMN, &Line::styled(DIM, "… and more"));
    }
}
