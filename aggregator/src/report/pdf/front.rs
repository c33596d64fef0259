//! The first page: read in a minute.

use std::sync::Arc;

use super::font::{Face, Style};
use super::sheet::{Kind, MARGIN, Shape, Sheet, WIDTH};
use super::{SOFT, blocks, toned};
use crate::definition::look::Pixels;
use crate::report::paper::Paper;

/// Facts beside each other.
const ACROSS: usize = 3;

/// The room of a logo: beside the first line, on the right.
const LOGO: (f32, f32) = (150.0, 30.0);

pub(super) fn lay(sheet: &mut Sheet<'_>, paper: &Paper, logo: Option<Pixels>) {
    let accent = sheet.accent;
    sheet.y = 48.0;
    sheet.rule(accent, 2.5);
    if let Some(pixels) = logo {
        picture(sheet, pixels);
    }
    sheet.y += 15.0;
    paragraph(sheet, &format!("Service level report  ·  {}", paper.customer), Style::new(Face::Regular, 9.5, SOFT));
    sheet.y += 5.0;
    let tag = sheet.open(Kind::Heading(1, paper.period.clone()));
    sheet.text(&paper.period, Style::new(Face::Bold, 30.0, super::INK), Some(tag));
    sheet.close(tag);
    sheet.y += 3.0;
    paragraph(sheet, &paper.front.headline, Style::new(Face::Bold, 14.0, toned(paper.front.tone)));
    sheet.y += 14.0;
    facts(sheet, paper);
    sheet.y += 12.0;
    blocks::lay(sheet, &paper.front.blocks);
}

/// As large as there is room, in its own proportions. The customer's name stands beside it, so it is for the eye only.
#[expect(clippy::cast_precision_loss, reason = "a logo has fewer pixels than a float can count")]
fn picture(sheet: &mut Sheet<'_>, pixels: Pixels) {
    let (width, height) = (pixels.width as f32, pixels.height as f32);
    let scale = (LOGO.0 / width).min(LOGO.1 / height);
    let size = (width * scale, height * scale);
    let at = (MARGIN + WIDTH - size.0, sheet.y + 8.0);
    sheet.put(Shape::Picture { at, size, pixels: Arc::new(pixels) }, None);
}

fn paragraph(sheet: &mut Sheet<'_>, text: &str, style: Style) {
    let tag = sheet.open(Kind::Paragraph);
    sheet.text(text, style, Some(tag));
    sheet.close(tag);
}

/// Labels over facts, in columns; the second, the window, is twice as wide as the others.
fn facts(sheet: &mut Sheet<'_>, paper: &Paper) {
    let label = Style::new(Face::Regular, 7.5, SOFT);
    #[expect(clippy::cast_precision_loss, reason = "three columns")]
    let unit = (WIDTH + 16.0) / (ACROSS + 1) as f32;
    for row in paper.front.facts.chunks(ACROSS) {
        let (mut x, mut deepest, top) = (0.0, 0.0_f32, sheet.y);
        for (index, fact) in row.iter().enumerate() {
            let width = if index == 1 { 2.0 * unit } else { unit } - 16.0;
            let style = Style::new(Face::Bold, 9.0, toned(fact.tone));
            let tag = sheet.open(Kind::Paragraph);
            sheet.words((x, top + label.ascent()), fact.label, label, Some(tag));
            sheet.y = top + label.leading();
            for line in sheet.fonts.lines(&fact.text, style, width) {
                sheet.words((x, sheet.y + style.ascent()), &line, style, Some(tag));
                sheet.y += style.leading();
            }
            sheet.close(tag);
            deepest = deepest.max(sheet.y);
            x += width + 16.0;
        }
        sheet.y = deepest + 6.0;
    }
}
