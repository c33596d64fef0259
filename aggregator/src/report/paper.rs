//! The report as it is told to people: one paper, which HTML, PDF and Markdown lay out.
//!
//! Owns what is said, in which words and order, and how figures are rounded; so the three say the same. Owns no
//! colour, no size and no page. Every text here is plain: whoever lays it out escapes it.

mod checks;
mod front;
mod method;
mod policy;
mod service;
mod tables;

use super::drawing::Drawing;
use super::figures::Zone;
use super::model::{Report, SlaReport};

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    /// What the file is called: whose report, and of when.
    pub(super) title: String,
    /// As people call the customer.
    pub(super) customer: String,
    /// "October 2026", or the window's ends.
    pub(super) period: String,
    /// What every page says at its foot: state, revision, zone.
    pub(super) foot: String,
    /// What one reads in a minute.
    pub(super) front: Front,
    /// The services, then the method.
    pub(super) sections: Vec<Section>,
}

/// The first page.
#[derive(Clone, Debug)]
pub(super) struct Front {
    /// The one sentence.
    pub(super) headline: String,
    /// Whether it is good news.
    pub(super) tone: Tone,
    /// Whose, when, which state.
    pub(super) facts: Vec<Fact>,
    /// The promises, and the month at a glance.
    pub(super) blocks: Vec<Block>,
}

/// A labelled fact.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// What it is.
    pub(super) label: &'static str,
    /// The fact.
    pub(super) text: String,
    /// Whether one should mind.
    pub(super) tone: Tone,
}

/// A part with a heading of its own.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// What links name.
    pub(super) id: String,
    /// The heading.
    pub(super) title: String,
    /// Beside it, small.
    pub(super) beside: Option<String>,
    /// What it holds.
    pub(super) blocks: Vec<Block>,
}

/// What a section is made of.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// The heading of what follows.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A paragraph that is only beside the point.
    Soft(String),
    /// Figures that stand large, side by side.
    Figures(Vec<Figure>),
    /// A table.
    Table(Table),
    /// A drawing.
    Chart(Chart),
    /// A list of sentences.
    List(Vec<String>),
    /// What a machine checks: labels, and text to copy.
    Proof(Vec<(&'static str, String)>),
}

/// One large figure.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// Which of the three numbers it is: SLI, SLO, SLA; empty where it is none of them.
    pub(super) mark: &'static str,
    /// What it is.
    pub(super) label: String,
    /// The figure.
    pub(super) text: String,
    /// Whether one should mind.
    pub(super) tone: Tone,
    /// What stands beside it, a line each.
    pub(super) notes: Vec<String>,
}

/// A table. Every row has as many cells as there are columns; the first cell of a row names it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// How much room it wants.
    pub(super) kind: Kind,
    /// What it lists, for those who can't see it.
    pub(super) what: String,
    /// Its heads.
    pub(super) columns: Vec<Column>,
    /// Its rows.
    pub(super) rows: Vec<Vec<Cell>>,
}

/// How a table is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The promises: large.
    Promises,
    /// Rows to read.
    Rows,
    /// Many figures.
    Dense,
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its head.
    pub(super) title: &'static str,
    /// Whether figures stand in it, which line up on the right.
    pub(super) figures: bool,
}

/// A cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// What it says.
    pub(super) text: String,
    /// What stands under it, small, a line each.
    pub(super) notes: Vec<String>,
    /// Whether one should mind.
    pub(super) tone: Tone,
    /// Whether it is what one looks for.
    pub(super) strong: bool,
    /// The section that it leads to.
    pub(super) link: Option<String>,
}

/// A drawing and what it shows.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// The geometry.
    pub(super) drawing: Drawing,
    /// The same in words.
    pub(super) alt: String,
}

/// What a text says beside its words. Never the only sign: the words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    Plain,
    /// A promise was kept.
    Good,
    /// A promise was broken.
    Bad,
    /// Nobody knows, or not yet.
    Unsure,
}

impl Paper {
    /// What is told of `report`.
    pub(super) fn of(report: &Report) -> Self {
        let zone = Zone(&report.timezone);
        let period = zone.period(report.from, report.to);
        let mut sections: Vec<Section> =
            report.services.iter().map(|service| service::section(service, report, zone)).collect();
        sections.push(method::section(report, zone));
        Self {
            title: format!("{}: {period}", report.customer_name),
            customer: report.customer_name.clone(),
            foot: format!("{} · revision {} · times in {}", front::state(report).0, report.revision, report.timezone),
            front: front::page(report, zone, &period),
            period,
            sections,
        }
    }

    /// Every block, in the order of reading.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.front.blocks.iter().chain(self.sections.iter().flat_map(|section| &section.blocks))
    }
}

/// What was delivered, as the contract counts.
pub(super) fn delivered(sla: &SlaReport) -> String {
    front::delivered(sla)
}

/// Whether a promise was kept, in a word or two.
pub(super) fn verdict(sla: &SlaReport) -> &'static str {
    front::verdict(sla).0
}

impl Column {
    /// A column of words.
    fn words(title: &'static str) -> Self {
        Self { title, figures: false }
    }

    /// A column of figures.
    fn figures(title: &'static str) -> Self {
        Self { title, figures: true }
    }
}

impl Cell {
    fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), notes: Vec::new(), tone, strong: true, link: None }
    }

    fn strong(text: impl Into<String>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    fn noted(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { strong: false, ..Self::strong(text) }
    }
}
