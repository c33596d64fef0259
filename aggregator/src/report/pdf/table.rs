//! Tables: as wide as the page, their heads on every page, no row on two.

use super::font::{Face, Style};
use super::sheet::{BOTTOM, Kind, Sheet, TOP, WIDTH};
use super::{LINE, SOFT, toned};
use crate::report::paper::{Cell, Kind as Set, Table};

/// Between columns.
const GAP: f32 = 12.0;
/// A note is wrapped rather than set wider than this.
const NOTE_WIDTH: f32 = 180.0;
/// More lines of a cell are not set: a row fits on a page.
const MAX_LINES: usize = 40;

/// How a kind of table is set.
#[derive(Clone, Copy)]
struct Sizes {
    text: f32,
    strong: f32,
    note: f32,
    head: f32,
    above: f32,
}

fn sizes(kind: Set) -> Sizes {
    match kind {
        Set::Promises => Sizes { text: 10.0, strong: 11.0, note: 7.5, head: 8.0, above: 6.5 },
        Set::Rows => Sizes { text: 8.0, strong: 8.0, note: 7.0, head: 7.5, above: 3.2 },
        Set::Dense => Sizes { text: 8.0, strong: 8.0, note: 7.0, head: 7.5, above: 2.2 },
    }
}

impl Sizes {
    fn head(self) -> Style {
        Style::new(Face::Regular, self.head, SOFT)
    }

    fn note(self) -> Style {
        Style::new(Face::Regular, self.note, SOFT)
    }

    fn cell(self, cell: &Cell) -> Style {
        let (face, size) = if cell.strong { (Face::Bold, self.strong) } else { (Face::Regular, self.text) };
        Style::new(face, size, toned(cell.tone))
    }
}

/// A cell in lines, the note's apart.
struct Lines {
    text: Vec<String>,
    note: Vec<String>,
}

/// A table whose columns are as wide as they will be.
struct Measured<'t> {
    table: &'t Table,
    sizes: Sizes,
    widths: Vec<f32>,
}

/// As much of the table as must stand together: its heads and two rows.
pub(super) fn least(sheet: &Sheet<'_>, table: &Table) -> f32 {
    let measured = Measured::new(sheet, table);
    let rows = table.rows.iter().take(2).map(|row| measured.height(&measured.lines(sheet, row)));
    4.0 + measured.head_height(sheet) + rows.sum::<f32>()
}

pub(super) fn lay(sheet: &mut Sheet<'_>, table: &Table) {
    let measured = Measured::new(sheet, table);
    let rows: Vec<(Vec<Lines>, f32)> = table
        .rows
        .iter()
        .map(|row| {
            let lines = measured.lines(sheet, row);
            let height = measured.height(&lines);
            (lines, height)
        })
        .collect();
    let first: f32 = rows.iter().take(2).map(|(_, height)| height).sum();
    sheet.need(measured.head_height(sheet) + first);
    let tag = sheet.open(Kind::Table(table.what.clone()));
    measured.heads(sheet, true);
    let body = sheet.open(Kind::TableBody);
    for (index, (row, (lines, height))) in table.rows.iter().zip(&rows).enumerate() {
        // The last row is not left alone on the next page.
        let last = rows.get(index + 1).filter(|_| index + 2 == rows.len()).map_or(0.0, |(_, height)| *height);
        if BOTTOM < sheet.y + height + last && TOP + measured.head_height(sheet) + 1.0 < sheet.y {
            sheet.next_page();
            measured.heads(sheet, false);
        }
        if index != 0 {
            sheet.line((0.0, WIDTH), LINE, 0.4);
        }
        measured.row(sheet, row, lines);
        sheet.y += height;
    }
    sheet.close(body);
    sheet.close(tag);
}

impl<'t> Measured<'t> {
    fn new(sheet: &Sheet<'_>, table: &'t Table) -> Self {
        let sizes = sizes(table.kind);
        let columns = table.columns.iter().enumerate();
        let wants = columns.map(|(index, column)| {
            let head = sheet.fonts.width(column.title, sizes.head());
            let cells = table.rows.iter().filter_map(|row| row.get(index));
            cells.fold((head.min(60.0), head), |(least, most), cell| {
                let style = sizes.cell(cell);
                let notes = cell.notes.iter().map(|note| sheet.fonts.width(note, sizes.note()));
                let note = notes.fold(0.0, f32::max).min(NOTE_WIDTH);
                let word = sheet.fonts.widest_word(&cell.text, style);
                let all = sheet.fonts.width(&cell.text, style);
                (least.max(word).max(note.min(70.0)), most.max(all).max(note))
            })
        });
        let widths = shared(&wants.collect::<Vec<_>>());
        Self { table, sizes, widths }
    }

    fn lines(&self, sheet: &Sheet<'_>, row: &[Cell]) -> Vec<Lines> {
        let cells = row.iter().zip(&self.widths);
        let set = |(cell, width): (&Cell, &f32)| {
            let mut text = sheet.fonts.lines(&cell.text, self.sizes.cell(cell), *width);
            if MAX_LINES < text.len() {
                text.truncate(MAX_LINES);
                text[MAX_LINES - 1] = "…".to_owned();
            }
            let note = cell.notes.iter().flat_map(|note| sheet.fonts.lines(note, self.sizes.note(), *width));
            Lines { text, note: note.collect() }
        };
        cells.map(set).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "some tens of lines")]
    fn height(&self, lines: &[Lines]) -> f32 {
        let note = self.sizes.note().leading();
        let strong = Style::new(Face::Bold, self.sizes.strong, SOFT).leading();
        let heights = lines.iter().map(|cell| cell.text.len() as f32 * strong + cell.note.len() as f32 * note);
        heights.fold(0.0, f32::max) + 2.0 * self.sizes.above
    }

    fn head_height(&self, sheet: &Sheet<'_>) -> f32 {
        let style = self.sizes.head();
        let lines = self.table.columns.iter().zip(&self.widths);
        let most = lines.map(|(column, width)| sheet.fonts.lines(column.title, style, *width).len()).max().unwrap_or(1);
        #[expect(clippy::cast_precision_loss, reason = "a few lines")]
        let height = most as f32 * style.leading();
        height + 5.0
    }

    /// The heads; on later pages they are there for the eye only.
    fn heads(&self, sheet: &mut Sheet<'_>, first: bool) {
        let style = self.sizes.head();
        let (top, height) = (sheet.y, self.head_height(sheet));
        let parts = first.then(|| (sheet.open(Kind::TableHead), sheet.open(Kind::Row)));
        let mut x = 0.0;
        for (column, width) in self.table.columns.iter().zip(&self.widths) {
            let tag = first.then(|| sheet.open(Kind::ColumnHead));
            let lines = sheet.fonts.lines(column.title, style, *width);
            #[expect(clippy::cast_precision_loss, reason = "a few lines")]
            let mut y = top + height - 5.0 - lines.len() as f32 * style.leading();
            for line in lines {
                let at = if column.figures { x + width - sheet.fonts.width(&line, style) } else { x };
                sheet.words((at, y + style.ascent()), &line, style, tag);
                y += style.leading();
            }
            if let Some(tag) = tag {
                sheet.close(tag);
            }
            x += width + GAP;
        }
        if let Some((head, row)) = parts {
            sheet.close(row);
            sheet.close(head);
        }
        sheet.y = top + height - 1.0;
        sheet.line((0.0, WIDTH), SOFT, 0.6);
        sheet.y = top + height;
    }

    fn row(&self, sheet: &mut Sheet<'_>, row: &[Cell], lines: &[Lines]) {
        let tag = sheet.open(Kind::Row);
        let mut x = 0.0;
        for (index, (cell, lines)) in row.iter().zip(lines).enumerate() {
            let column = (self.widths[index], self.table.columns[index].figures);
            let part = sheet.open(if index == 0 { Kind::RowHead } else { Kind::Cell });
            let link = cell.link.as_ref().map(|to| (to, sheet.open(Kind::Link)));
            self.cell(sheet, cell, lines, (x, column));
            if let Some((to, link)) = link {
                let height = self.height(std::slice::from_ref(lines));
                sheet.link((x, sheet.y, column.0, height), to, &cell.text, link);
                sheet.close(link);
            }
            sheet.close(part);
            x += column.0 + GAP;
        }
        sheet.close(tag);
    }

    fn cell(&self, sheet: &mut Sheet<'_>, cell: &Cell, lines: &Lines, (x, (width, figures)): (f32, (f32, bool))) {
        let tag = Some(sheet.last());
        let (style, note) = (self.sizes.cell(cell), self.sizes.note());
        // All first lines of a row stand on one baseline, whatever their size.
        let strong = Style::new(Face::Bold, self.sizes.strong, SOFT);
        let mut y = sheet.y + self.sizes.above;
        let texts = lines.text.iter().map(|line| (line, style, strong.ascent(), strong.leading()));
        let notes = lines.note.iter().map(|line| (line, note, note.ascent(), note.leading()));
        for (line, style, ascent, leading) in texts.chain(notes) {
            let at = if figures { x + width - sheet.fonts.width(line, style) } else { x };
            sheet.words((at, y + ascent), line, style, tag);
            y += leading;
        }
    }
}

/// The page's width shared out, by what each column needs at least and wants at most.
#[expect(clippy::cast_precision_loss, reason = "some columns")]
fn shared(wants: &[(f32, f32)]) -> Vec<f32> {
    let count = wants.len().max(1) as f32;
    let room = WIDTH - GAP * (count - 1.0);
    let least: f32 = wants.iter().map(|(least, _)| least).sum();
    let most: f32 = wants.iter().map(|(_, most)| most).sum();
    if most <= room {
        return wants.iter().map(|(_, likes)| likes + (room - most) / count).collect();
    }
    if room <= least {
        return wants.iter().map(|(needs, _)| needs * room / least).collect();
    }
    wants.iter().map(|(needs, likes)| needs + (likes - needs) * (room - least) / (most - least)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_and_gaps_are_together_as_wide_as_the_page(wants in prop::collection::vec((1.0_f32..200.0, 0.0_f32..300.0), 1..10)) {
            let wants: Vec<(f32, f32)> = wants.into_iter().map(|(least, more)| (least, least + more)).collect();
            let widths = shared(&wants);
            let gaps = GAP * f32::from(u16::try_from(widths.len() - 1).unwrap());
            prop_assert!((widths.iter().sum::<f32>() + gaps - WIDTH).abs() < 0.1);
            prop_assert!(widths.iter().all(|width| 0.0 < *width));
        }
    }
}
