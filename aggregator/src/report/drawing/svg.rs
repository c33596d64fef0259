//! A drawing as SVG inside a page, whose style sheet has the colours: so it is right by day and by night.

use std::fmt::Write as _;

use super::{Anchor, Drawing, Ink, Point, Shape, WIDTH};

/// The drawing, with `alt` for those who can't see it.
pub(in crate::report) fn render(drawing: &Drawing, alt: &str) -> String {
    let mut svg =
        format!("<svg viewBox=\"0 -30 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">", drawing.height + 30, escaped(alt));
    for shape in &drawing.shapes {
        push(&mut svg, shape).expect("a text takes all that is written to it");
    }
    svg.push_str("</svg>");
    svg
}

fn push(svg: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Box(area, ink) => {
            let (x, y, width, height) = (area.x, area.y, area.width, area.height);
            write!(svg, "<path class=\"{}\" d=\"M{x} {y}h{width}v{height}h-{width}z\"/>", class(*ink))
        }
        Shape::Fill(points, ink) => write!(svg, "<path class=\"{}\" d=\"{}z\"/>", class(*ink), path(points)),
        Shape::Strokes { lines, ink, width, dashed } => {
            let all: String = lines.iter().map(|line| path(line)).collect();
            let dash = if *dashed { " stroke-dasharray=\"24 24\"" } else { "" };
            write!(svg, "<path class=\"s {}\" stroke-width=\"{width}\"{dash} d=\"{all}\"/>", class(*ink))
        }
        Shape::Words { at: (x, y), text, anchor, ink, strong } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let strong = if *strong { " b" } else { "" };
            let class = class(*ink);
            write!(svg, "<text class=\"{class}{strong}\" x=\"{x}\" y=\"{y}\"{anchor}>{}</text>", escaped(text))
        }
        Shape::Told(area, text) => {
            let (x, y, width, height) = (area.x, area.y, area.width, area.height);
            write!(svg, "<path class=\"t\" d=\"M{x} {y}h{width}v{height}h-{width}z\"><title>")?;
            write!(svg, "{}</title></path>", escaped(text))
        }
    }
}

fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Up => "up",
        Ink::Degraded => "degraded",
        Ink::DegradedLine => "degraded-line",
        Ink::Down => "down",
        Ink::Unknown => "unknown",
        Ink::Excluded => "excluded",
        Ink::ExcludedLine => "excluded-line",
        Ink::Accent => "accent",
        Ink::Band => "band",
        Ink::Grid => "grid",
        Ink::Soft => "soft",
        Ink::Words => "ink",
    }
}

fn path(points: &[Point]) -> String {
    let step = |(index, (x, y)): (usize, &Point)| format!("{}{x} {y}", if index == 0 { 'M' } else { 'L' });
    points.iter().enumerate().map(step).collect()
}

/// `text` where neither an element nor a value in quotes can end.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_region_is_called_stays_text() {
        let text = "<script>\"'&".to_owned();
        let words = Shape::Words { at: (0, 0), text, anchor: Anchor::Start, ink: Ink::Words, strong: false };
        let svg = render(&Drawing { height: 10, shapes: vec![words] }, "\"><b>");
        assert!(svg.contains("&lt;script&gt;&quot;&#39;&amp;") && svg.contains("&quot;&gt;&lt;b&gt;"), "{svg}");
    }
}
