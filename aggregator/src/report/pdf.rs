//! The report as PDF: made for paper (A4), tagged, and fit to be kept (PDF/A-2a, PDF/UA-1).
//!
//! First everything is laid out ([`sheet`] and what writes on it), then drawn ([`write`]), since a page says how
//! many there are. Fonts are ours and embedded; no clock and no chance has a part in it, so the same report gives
//! the same bytes. What no font of ours can show stands as a replacement sign, and can still be copied.

mod blocks;
mod figure;
mod font;
mod front;
mod sheet;
mod table;
mod write;

use super::model::Report;
use super::paper::{Paper, Tone};
use crate::definition::look::{Colour, Logo, Look};
use font::{Face, Fonts, Style};
use sheet::{Kind, Sheet};

/// Text on paper.
const INK: Colour = Colour(0x1d, 0x1f, 0x1e);
/// Text beside the point.
const SOFT: Colour = Colour(0x5c, 0x60, 0x5d);
/// Rules.
const LINE: Colour = Colour(0xd9, 0xd7, 0xcf);
const GOOD: Colour = Colour(0x1f, 0x6b, 0x4f);
const BAD: Colour = Colour(0xa8, 0x22, 0x1b);
const UNSURE: Colour = Colour(0x7a, 0x4f, 0x00);

/// The whole file.
pub(super) fn render(paper: &Paper, report: &Report, look: &Look) -> Vec<u8> {
    let fonts = Fonts::new();
    let mut sheet = Sheet::new(&fonts, look.accent());
    front::lay(&mut sheet, paper, look.logo.as_ref().and_then(Logo::pixels));
    sheet.level = 3;
    for section in &paper.sections {
        sheet.next_page();
        let here = sheet.open(Kind::Section);
        sheet.anchor(&section.id, &section.title);
        let accent = sheet.accent;
        sheet.rule(accent, 1.5);
        sheet.space(9.0);
        let beside = section.beside.as_ref().map(|beside| format!("  {beside}")).unwrap_or_default();
        let tag = sheet.open(Kind::Heading(2, section.title.clone()));
        let (y, style) = (sheet.y, Style::new(Face::Bold, 19.0, INK));
        sheet.text(&section.title, style, Some(tag));
        let after = fonts.width(&section.title, style);
        if !beside.is_empty() && after + 90.0 < sheet::WIDTH {
            sheet.words((after, y + style.ascent()), &beside, Style::new(Face::Mono, 8.5, SOFT), Some(tag));
        }
        sheet.close(tag);
        sheet.space(4.0);
        blocks::lay(&mut sheet, &section.blocks);
        sheet.close(here);
    }
    write::file(&sheet.finish(), &fonts, paper, report)
}

/// `text` as it can be read from paper.
#[cfg(test)]
pub(super) fn text(text: &str) -> String {
    font::clean(text)
}

fn toned(tone: Tone) -> Colour {
    match tone {
        Tone::Plain => INK,
        Tone::Good => GOOD,
        Tone::Bad => BAD,
        Tone::Unsure => UNSURE,
    }
}
