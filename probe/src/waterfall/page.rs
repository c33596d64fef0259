//! PURE: lines of styled text on paper of some width.
//!
//! Owns the only way onto the paper: whatever is written is cleaned here, character by character, so that nothing that
//! a target said can draw, whoever forgets what. What is too long is folded between words, or cut where it must stay a
//! line.

use std::fmt::{Display, Write as _};

use anstyle::Style;
use nines_shared::sample::detail;

use super::Paper;

/// Where the text beside a label begins.
pub(super) const COLUMN: usize = 14;
/// Where everything else begins.
pub(super) const MARGIN: usize = 2;

/// One column of a line.
type Cell = (char, Style);

/// A line in the making: pieces of text, each in its style.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    /// A line of plain text.
    pub(super) fn of(text: impl Display) -> Self {
        Self::default().and(text)
    }

    /// A line of one style.
    pub(super) fn styled(style: Style, text: impl Display) -> Self {
        Self::default().and_styled(style, text)
    }

    /// The line with `text` after it.
    pub(super) fn and(self, text: impl Display) -> Self {
        self.and_styled(Style::new(), text)
    }

    /// The line with `text` of a style after it.
    pub(super) fn and_styled(mut self, style: Style, text: impl Display) -> Self {
        // Cleaned here, so that its width is what will be seen of it.
        self.0.push((style, detail(&text.to_string())));
        self
    }

    /// The line with all of `other` after it.
    pub(super) fn and_all(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The line with spaces after it up to `width` columns.
    pub(super) fn padded(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        self.and(" ".repeat(missing))
    }

    /// The line cut to `width` columns, with an ellipsis where something went.
    pub(super) fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        let mut short = Self::default();
        for (style, text) in self.0 {
            let kept: String = text.chars().take(left).collect();
            left -= kept.chars().count();
            short.0.push((style, kept));
        }
        short.and("…")
    }

    /// The parts that are there, with a dot between two.
    pub(super) fn listed(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            if !all.0.is_empty() {
                all = all.and_styled(super::DIM, " · ");
            }
            all = all.and_all(part);
        }
        all
    }
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    paper: Paper,
    text: String,
}

impl Page {
    pub(super) const fn new(paper: Paper) -> Self {
        Self { paper, text: String::new() }
    }

    pub(super) const fn paper(&self) -> Paper {
        self.paper
    }

    /// What is drawn.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// An empty line, where the one before it is not empty already.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// `line` from column `indent` on, folded where it is too long.
    pub(super) fn line(&mut self, indent: usize, line: &Line) {
        self.folded(indent, indent, line);
    }

    /// `line` from column `indent` on, folded where it is too long, from `hang` on after the first fold.
    pub(super) fn folded(&mut self, indent: usize, hang: usize, line: &Line) {
        let mut cells: &[Cell] = &self.cells(line);
        let mut begin = indent;
        loop {
            let room = self.paper.width().saturating_sub(begin).max(1);
            let (now, later) = fold(cells, room);
            self.row(begin, now);
            if later.is_empty() {
                break;
            }
            (cells, begin) = (later, hang);
        }
    }

    /// `line` beside `label`, folded where it is too long.
    pub(super) fn field(&mut self, label: &str, line: &Line) {
        let label = Line::of(label).padded(COLUMN - MARGIN);
        self.folded(MARGIN, COLUMN, &label.and_all(line.clone()));
    }

    /// `left` from column `indent` on and `right` at the right edge; `left` is cut where both have no room.
    pub(super) fn edges(&mut self, indent: usize, left: Line, right: Line) {
        let room = self.paper.width().saturating_sub(indent + right.width() + 2);
        let line = left.cut(room).padded(room + 2).and_all(right);
        self.line(indent, &line);
    }

    fn cells(&self, line: &Line) -> Vec<Cell> {
        let shown =
            |(style, text): &(Style, String)| text.chars().map(|c| (self.paper.shown(c), *style)).collect::<Vec<_>>();
        line.0.iter().flat_map(shown).collect()
    }

    fn row(&mut self, indent: usize, cells: &[Cell]) {
        let seen = cells.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
        if seen != 0 {
            self.text.extend(std::iter::repeat_n(' ', indent));
        }
        for piece in cells[..seen].chunk_by(|(_, a), (_, b)| a == b) {
            let style = piece[0].1;
            let text: String = piece.iter().map(|(c, _)| c).collect();
            // Writing to a string can't fail.
            let _written = write!(self.text, "{style}{text}{style:#}");
        }
        self.text.push('\n');
    }
}

/// As much of `cells` as has room, up to a space where there is one, and the rest.
fn fold(cells: &[Cell], room: usize) -> (&[Cell], &[Cell]) {
    if cells.len() <= room {
        return (cells, &[]);
    }
    let space = cells[..=room].iter().rposition(|(c, _)| *c == ' ').filter(|at| room / 2 < *at);
    let (now, later) = cells.split_at(space.unwrap_or(room));
    let skipped = later.iter().position(|(c, _)| *c != ' ').unwrap_or(later.len());
    (now, &later[skipped..])
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn page(draw: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(Paper::terminal(Some(60), true, true));
        draw(&mut page);
        page.into_text()
    }

    #[test]
    fn what_is_too_long_is_folded_between_words_and_in_the_middle_of_one_that_is_longer_than_the_paper() {
        let text = page(|page| page.field("label", &Line::of("word ".repeat(20))));
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.len() == 3 && widths.iter().all(|width| *width <= 60), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("              word")), "{text}");
        let text = page(|page| page.line(0, &Line::of("x".repeat(130))));
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [60, 60, 10]);
    }

    #[test]
    fn two_edges_of_a_line_never_touch() {
        let text = page(|page| page.edges(2, Line::of("left ".repeat(30)), Line::of("right")));
        assert_eq!(text.chars().count(), 61, "{text}");
        assert!(text.ends_with("…  right\n"), "{text}");
    }

    #[test]
    fn a_piece_keeps_its_style_through_a_fold_and_spaces_at_the_end_go() {
        let red = AnsiColor::Red.on_default();
        let text = page(|page| page.line(0, &Line::styled(red, "red ".repeat(20))));
        assert_eq!(text.matches(&red.to_string()).count(), 2, "{text:?}");
        assert!(text.lines().all(|line| line.ends_with("red\u{1b}[0m")), "{text:?}");
    }

    #[test]
    fn nothing_can_be_written_that_draws() {
        let text = page(|page| page.line(0, &Line::of("a\u{1b}[2Jb\r\nc\u{202e}d")));
        assert_eq!(text, "a [2Jb  c d\n");
    }

    #[test]
    fn without_unicode_every_character_is_ascii_and_as_wide_as_before() {
        let mut page = Page::new(Paper::terminal(None, false, false));
        page.line(0, &Line::of("█▏ ✓✗ → · … ü 日"));
        assert_eq!(page.into_text(), "#| +x > - ~ ? ?\n");
    }
}
