//! The report as one HTML file: no network, no script, light and dark, and it prints.
//!
//! What is said and how it is rounded is decided by `view`; the template only lays out, and escapes every text
//! that comes from the fleet file or a target.

mod policy;
mod strip;
mod view;

use askama::Template as _;

use super::model::Report;
use view::Page;

/// The whole file.
pub fn render(report: &Report) -> String {
    // Rendering writes to memory, and every part of the page is text already.
    Page::of(report).render().expect("a page of texts renders")
}
