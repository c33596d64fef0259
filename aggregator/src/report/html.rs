//! The report as one HTML file: no network, no script, light and dark, and it prints.
//!
//! What is said is decided by the paper; the templates only lay out, and escape every text that comes from the
//! fleet file or a target.

use askama::Template as _;

use super::drawing::svg;
use super::paper::{Block, Chart, Kind, Paper, Tone};
use crate::definition::look::Look;

/// The whole file.
pub(super) fn render(paper: &Paper, look: &Look) -> String {
    let accent = look.accent();
    let page = Page {
        paper,
        accent: accent.to_string(),
        accent_dark: accent.on_dark().to_string(),
        logo: look.logo.as_ref().map(|logo| logo.data_url()),
    };
    // Rendering writes to memory, and every part of the page is text already.
    page.render().expect("a page of texts renders")
}

#[derive(askama::Template)]
#[template(path = "report.html")]
struct Page<'a> {
    paper: &'a Paper,
    accent: String,
    accent_dark: String,
    logo: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "report_blocks.html")]
struct Blocks<'a> {
    blocks: &'a [Block],
}

impl Page<'_> {
    fn blocks(&self, blocks: &[Block]) -> Result<String, askama::Error> {
        Blocks { blocks }.render()
    }
}

impl Chart {
    fn svg(&self) -> String {
        svg::render(&self.drawing, &self.alt)
    }
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "is-good",
            Self::Bad => "is-bad",
            Self::Unsure => "is-unsure",
        }
    }
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Promises => "promises",
            Self::Rows => "rows",
            Self::Dense => "dense",
        }
    }
}
