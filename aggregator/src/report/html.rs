//! The report as one HTML file: no network, no script, light and dark, and it prints.
//!
//! What is said is decided by the paper; the templates only lay out, and escape every text that comes from the
//! fleet file or a target.

use askama::Template as _;

use super::drawing::svg;
use super::paper::{Block, Chart, Kind, Paper, Tone};
use crate::definition::look::Look;

/// What stands beside a report where it is shown: no part of it, and not printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// What one should know: that a restatement is due, that another revision stands.
    pub notes: Vec<String>,
    /// Other places, a line a kind.
    pub lines: Vec<Line>,
}

/// Places of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What they are.
    pub what: &'static str,
    /// The places.
    pub places: Vec<Place>,
}

/// A place that one may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is called.
    pub words: String,
    /// Where it is; `None`: here.
    pub address: Option<String>,
}

/// The whole file.
pub(super) fn render(paper: &Paper, look: &Look, aside: &Aside) -> String {
    let accent = look.accent();
    let page = Page {
        paper,
        aside,
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
    aside: &'a Aside,
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
