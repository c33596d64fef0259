//! Drawings on paper: the same geometry as on the page.

use super::font::{Face, Style};
use super::sheet::{Kind, Shape, Sheet};
use super::{INK, SOFT};
use crate::definition::look::Colour;
use crate::report::drawing::{self, Anchor, Area, Drawing, Ink, TEXT};
use crate::report::paper::Chart;

/// How high a drawing stands on paper, in points.
#[expect(clippy::cast_precision_loss, reason = "drawings are some thousand units high")]
pub(super) fn height(drawing: &Drawing) -> f32 {
    drawing.height as f32 / 10.0
}

pub(super) fn lay(sheet: &mut Sheet<'_>, chart: &Chart) {
    let height = height(&chart.drawing);
    sheet.need(height);
    let tag = sheet.open(Kind::Figure(chart.alt.clone()));
    for shape in &chart.drawing.shapes {
        if let Some(shape) = placed(sheet, shape) {
            sheet.put(shape, Some(tag));
        }
    }
    sheet.close(tag);
    sheet.y += height;
}

/// `None` for what can only be pointed at.
fn placed(sheet: &Sheet<'_>, shape: &drawing::Shape) -> Option<Shape> {
    let ink = |ink: Ink| colour(ink, sheet.accent);
    Some(match shape {
        drawing::Shape::Box(Area { x, y, width, height }, fill) => {
            let corners = [(*x, *y), (x + width, *y), (x + width, y + height), (*x, y + height)];
            Shape::Fill(corners.map(|corner| sheet.place(corner)).into(), ink(*fill))
        }
        drawing::Shape::Fill(points, fill) => {
            Shape::Fill(points.iter().map(|point| sheet.place(*point)).collect(), ink(*fill))
        }
        drawing::Shape::Strokes { lines, ink: stroke, width, dashed } => {
            let line = |line: &Vec<drawing::Point>| line.iter().map(|point| sheet.place(*point)).collect();
            let lines = lines.iter().map(line).collect();
            Shape::Strokes {
                lines,
                ink: ink(*stroke),
                width: f32::from(i16::try_from(*width).ok()?) / 10.0,
                dashed: *dashed,
            }
        }
        drawing::Shape::Words { at, text, anchor, ink: fill, strong } => {
            let face = if *strong { Face::Bold } else { Face::Regular };
            let style = Style::new(face, f32::from(i16::try_from(TEXT).ok()?) / 10.0, ink(*fill));
            let (x, y) = sheet.place(*at);
            let wide = sheet.fonts.width(text, style);
            let x = match anchor {
                Anchor::Start => x,
                Anchor::Middle => x - wide / 2.0,
                Anchor::End => x - wide,
            };
            Shape::Text { at: (x, y), text: super::font::clean(text), style }
        }
        drawing::Shape::Told(..) => return None,
    })
}

fn colour(ink: Ink, accent: Colour) -> Colour {
    match ink {
        Ink::Up => Colour(0x8c, 0xc7, 0xad),
        Ink::Degraded => Colour(0xe3, 0xa9, 0x2f),
        Ink::DegradedLine => Colour(0x7d, 0x53, 0x00),
        Ink::Down => Colour(0xc9, 0x30, 0x2a),
        Ink::Unknown => Colour(0xbf, 0xc2, 0xc4),
        Ink::Excluded => Colour(0xe6, 0xec, 0xf4),
        Ink::ExcludedLine => Colour(0x6f, 0x8f, 0xb8),
        Ink::Accent => accent,
        Ink::Band => accent.mixed_with_white(8),
        Ink::Grid => Colour(0xe4, 0xe2, 0xda),
        Ink::Soft => SOFT,
        Ink::Words => INK,
    }
}
