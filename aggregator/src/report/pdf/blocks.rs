//! What sections are made of, one under the other.

use super::font::{Face, Style};
use super::sheet::{Kind, Sheet, WIDTH};
use super::{INK, LINE, SOFT, figure, table, toned};
use crate::report::paper::{Block, Figure};

const TEXT: Style = Style { face: Face::Regular, size: 9.0, ink: INK };
const NOTE: Style = Style { face: Face::Regular, size: 8.0, ink: SOFT };
const HEADING: Style = Style { face: Face::Bold, size: 11.0, ink: INK };
const PROOF: Style = Style { face: Face::Mono, size: 7.5, ink: INK };
/// Between large figures.
const GAP: f32 = 18.0;

pub(super) fn lay(sheet: &mut Sheet<'_>, blocks: &[Block]) {
    for (index, block) in blocks.iter().enumerate() {
        match block {
            Block::Heading(text) => heading(sheet, text, blocks.get(index + 1)),
            Block::Text(text) => paragraph(sheet, text, TEXT),
            Block::Soft(text) => paragraph(sheet, text, NOTE),
            Block::Figures(figures) => self::figures(sheet, figures),
            Block::Table(table) => {
                sheet.space(4.0);
                table::lay(sheet, table);
                sheet.space(6.0);
            }
            Block::Chart(chart) => {
                sheet.space(6.0);
                figure::lay(sheet, chart);
                sheet.space(6.0);
            }
            Block::List(items) => list(sheet, items),
            Block::Proof(entries) => proof(sheet, entries),
        }
    }
}

/// A heading stays with the beginning of what it is over.
fn heading(sheet: &mut Sheet<'_>, text: &str, over: Option<&Block>) {
    sheet.space(14.0);
    sheet.need(HEADING.leading() + 10.0 + over.map_or(0.0, |block| least(sheet, block)));
    let tag = sheet.open(Kind::Heading(sheet.level, text.to_owned()));
    sheet.text(text, HEADING, Some(tag));
    sheet.close(tag);
    sheet.space(2.0);
}

/// As much of a block as must stand together at its beginning.
fn least(sheet: &Sheet<'_>, block: &Block) -> f32 {
    match block {
        Block::Chart(chart) => figure::height(&chart.drawing) + 6.0,
        Block::Table(table) => table::least(sheet, table),
        Block::Heading(_) | Block::Text(_) | Block::Soft(_) | Block::Figures(_) | Block::List(_) | Block::Proof(_) => {
            3.0 * TEXT.leading()
        }
    }
}

fn paragraph(sheet: &mut Sheet<'_>, text: &str, style: Style) {
    sheet.space(3.0);
    let tag = sheet.open(Kind::Paragraph);
    sheet.text(text, style, Some(tag));
    sheet.close(tag);
    sheet.space(3.0);
}

/// Side by side, three in a row.
fn figures(sheet: &mut Sheet<'_>, figures: &[Figure]) {
    let across = if figures.len() < 3 { 2 } else { 3 };
    #[expect(clippy::cast_precision_loss, reason = "two or three")]
    let width = (WIDTH + GAP) / across as f32 - GAP;
    for row in figures.chunks(across) {
        sheet.space(10.0);
        let heights = row.iter().map(|figure| set(sheet, figure, (0.0, width), false));
        let height = heights.collect::<Vec<_>>().into_iter().fold(0.0, f32::max);
        sheet.need(height);
        let (top, mut x) = (sheet.y, 0.0);
        for figure in row {
            sheet.y = top;
            let tag = sheet.open(Kind::Paragraph);
            set(sheet, figure, (x, width), true);
            sheet.close(tag);
            x += width + GAP;
        }
        sheet.y = top + height;
        sheet.space(4.0);
    }
}

/// Sets one figure at the pen, or only measures it; gives its height. What is set belongs to the last open part.
fn set(sheet: &mut Sheet<'_>, figure: &Figure, (x, width): (f32, f32), drawn: bool) -> f32 {
    let top = sheet.y;
    let tag = drawn.then(|| sheet.last());
    let mut y = top;
    if drawn {
        let shown = sheet.y;
        sheet.line((x, x + width), LINE, 0.75);
        sheet.y = shown;
    }
    y += 6.0;
    let mark = Style::new(Face::Bold, 8.0, sheet.accent);
    let indent = if figure.mark.is_empty() { 0.0 } else { sheet.fonts.width(figure.mark, mark) + 4.0 };
    if drawn && indent != 0.0 {
        sheet.words((x, y + mark.ascent()), figure.mark, mark, tag);
    }
    for (index, line) in sheet.fonts.lines(&figure.label, NOTE, width - indent).iter().enumerate() {
        if drawn {
            // A space, so that mark and label are two words for whoever copies them.
            let line = if index == 0 { line.clone() } else { format!(" {line}") };
            sheet.words((x + if index == 0 { indent } else { 0.0 }, y + NOTE.ascent()), &line, NOTE, tag);
        }
        y += NOTE.leading();
    }
    y += 1.0;
    let fits = |size: f32| sheet.fonts.width(&figure.text, Style::new(Face::Bold, size, INK)) <= width;
    let size = [19.0, 17.0, 15.0, 13.0, 11.0].into_iter().find(|size| fits(*size)).unwrap_or(9.0);
    let big = Style::new(Face::Bold, size, toned(figure.tone));
    for line in sheet.fonts.lines(&figure.text, big, width) {
        if drawn {
            sheet.words((x, y + big.ascent()), &line, big, tag);
        }
        y += big.leading();
    }
    y += 2.0;
    for note in &figure.notes {
        for line in sheet.fonts.lines(note, NOTE, width) {
            if drawn {
                sheet.words((x, y + NOTE.ascent()), &line, NOTE, tag);
            }
            y += NOTE.leading();
        }
    }
    y - top
}

fn list(sheet: &mut Sheet<'_>, items: &[String]) {
    let list = sheet.open(Kind::List);
    for item in items {
        sheet.space(1.5);
        let (row, body) = (sheet.open(Kind::Item), sheet.open(Kind::ItemBody));
        let (text, room) = (sheet.fonts.lines(item, TEXT, WIDTH - 10.0).len(), sheet.room());
        if room < TEXT.leading() * if 1 < text { 2.0 } else { 1.0 } {
            sheet.next_page();
        }
        sheet.words((0.0, sheet.y + TEXT.ascent()), "–", NOTE, None);
        sheet.flow(item, TEXT, (10.0, WIDTH - 10.0), Some(body));
        sheet.close(body);
        sheet.close(row);
    }
    sheet.close(list);
    sheet.space(3.0);
}

fn proof(sheet: &mut Sheet<'_>, entries: &[(&'static str, String)]) {
    for (label, text) in entries {
        sheet.space(5.0);
        sheet.need(NOTE.leading() + 2.0 * PROOF.leading());
        let tag = sheet.open(Kind::Paragraph);
        sheet.text(label, NOTE, Some(tag));
        sheet.close(tag);
        let tag = sheet.open(Kind::Code);
        sheet.text(text, PROOF, Some(tag));
        sheet.close(tag);
    }
    sheet.space(4.0);
}
