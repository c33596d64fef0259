//! The paper under the pen: pages, the place where the next thing goes, and what everything is (its tag).
//!
//! Lengths are points; x counts from the left margin, y from the top of the page.

use std::sync::Arc;

use super::font::{Fonts, Style};
use super::{LINE, SOFT};
use crate::definition::look::{Colour, Pixels};
use crate::report::drawing::Point;

/// A4.
pub(super) const PAGE: (f32, f32) = (595.28, 841.89);
/// On the left and on the right.
pub(super) const MARGIN: f32 = 56.64;
/// Between the margins.
pub(super) const WIDTH: f32 = 482.0;
/// Where text begins on a page.
pub(super) const TOP: f32 = 66.0;
/// Where it ends.
pub(super) const BOTTOM: f32 = 781.0;

/// What a part of the file is, for those who can't see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// The root.
    Document,
    Section,
    /// Of a level, from 1, with what it says.
    Heading(u16, String),
    Paragraph,
    List,
    Item,
    ItemBody,
    /// With what it lists.
    Table(String),
    TableHead,
    TableBody,
    Row,
    ColumnHead,
    RowHead,
    Cell,
    /// With the same in words.
    Figure(String),
    Code,
    /// To the section of that id.
    Link,
}

/// A part of the file: its index in [`Laid::nodes`].
pub(super) type Tag = usize;

/// A part and the one that it is in.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) parent: Tag,
}

/// Something on a page; without a tag it is there for the eye only.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) tag: Option<Tag>,
    pub(super) shape: Shape,
}

/// What is on a page. All places count from the page's corner.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// From the left end of its baseline.
    Text { at: (f32, f32), text: String, style: Style },
    /// A filled polygon.
    Fill(Vec<(f32, f32)>, Colour),
    /// Strokes.
    Strokes { lines: Vec<Vec<(f32, f32)>>, ink: Colour, width: f32, dashed: bool },
    /// From its upper left corner.
    Picture { at: (f32, f32), size: (f32, f32), pixels: Arc<Pixels> },
}

/// A place that leads to a section.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) page: usize,
    /// Left, top, width, height.
    pub(super) area: (f32, f32, f32, f32),
    pub(super) to: String,
    pub(super) tag: Tag,
    pub(super) words: String,
}

/// Where a section begins.
#[derive(Clone, Debug)]
pub(super) struct Anchor {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) page: usize,
    pub(super) y: f32,
}

/// Everything, laid out.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) pages: Vec<Vec<Mark>>,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    pub(super) anchors: Vec<Anchor>,
}

/// The paper under the pen.
pub(super) struct Sheet<'f> {
    pub(super) fonts: &'f Fonts,
    /// The upper edge of what comes next.
    pub(super) y: f32,
    /// The chosen colour.
    pub(super) accent: Colour,
    /// Of which level headings are here.
    pub(super) level: u16,
    laid: Laid,
    open: Tag,
}

impl<'f> Sheet<'f> {
    pub(super) fn new(fonts: &'f Fonts, accent: Colour) -> Self {
        let root = Node { kind: Kind::Document, parent: 0 };
        let laid = Laid { pages: vec![Vec::new()], nodes: vec![root], links: Vec::new(), anchors: Vec::new() };
        Self { fonts, y: TOP, accent, level: 2, laid, open: 0 }
    }

    /// What has been laid out.
    pub(super) fn finish(self) -> Laid {
        self.laid
    }

    /// Begins a part inside the one that is open, and opens it.
    pub(super) fn open(&mut self, kind: Kind) -> Tag {
        self.laid.nodes.push(Node { kind, parent: self.open });
        self.open = self.laid.nodes.len() - 1;
        self.open
    }

    /// The part that is open.
    pub(super) fn last(&self) -> Tag {
        self.open
    }

    /// Ends `tag`, which is the last that was opened and is still open.
    pub(super) fn close(&mut self, tag: Tag) {
        self.open = self.laid.nodes[tag].parent;
    }

    pub(super) fn next_page(&mut self) {
        self.laid.pages.push(Vec::new());
        self.y = TOP;
    }

    /// Whether nothing is on the page yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.laid.pages.last().is_none_or(Vec::is_empty)
    }

    /// Goes on to the next page where `height` has no room on this one.
    pub(super) fn need(&mut self, height: f32) {
        if BOTTOM < self.y + height && !self.is_fresh() {
            self.next_page();
        }
    }

    /// Leaves room, but not at the top of a page.
    pub(super) fn space(&mut self, height: f32) {
        if !self.is_fresh() {
            self.y += height;
        }
    }

    /// What is left of the page.
    pub(super) fn room(&self) -> f32 {
        BOTTOM - self.y
    }

    pub(super) fn anchor(&mut self, id: &str, title: &str) {
        let page = self.page();
        self.laid.anchors.push(Anchor { id: id.to_owned(), title: title.to_owned(), page, y: self.y });
    }

    /// Makes an area of this page lead to a section. `tag` is a [`Kind::Link`].
    pub(super) fn link(&mut self, (x, y, width, height): (f32, f32, f32, f32), to: &str, words: &str, tag: Tag) {
        let (page, area) = (self.page(), (MARGIN + x, y, width, height));
        self.laid.links.push(Link { page, area, to: to.to_owned(), tag, words: words.to_owned() });
    }

    fn page(&self) -> usize {
        self.laid.pages.len() - 1
    }

    /// One line, from the left end of its baseline.
    pub(super) fn words(&mut self, (x, y): (f32, f32), text: &str, style: Style, tag: Option<Tag>) {
        if !text.is_empty() {
            let text = super::font::clean(text);
            self.put(Shape::Text { at: (MARGIN + x, y), text, style }, tag);
        }
    }

    /// A paragraph over the whole width: never one line of it alone on a page.
    pub(super) fn text(&mut self, text: &str, style: Style, tag: Option<Tag>) {
        self.flow(text, style, (0.0, WIDTH), tag);
    }

    /// [`Sheet::text`] from `x` on, no wider than `width`.
    pub(super) fn flow(&mut self, text: &str, style: Style, (x, width): (f32, f32), tag: Option<Tag>) {
        let lines = self.fonts.lines(text, style, width);
        let left = lines.len();
        for (index, line) in lines.iter().enumerate() {
            // Two lines begin a paragraph on a page, and two end it.
            let together = if index == 0 || left - index == 2 { 2.min(left - index) } else { 1 };
            let together = if left == 3 && index == 0 { 3 } else { together };
            #[expect(clippy::cast_precision_loss, reason = "at most three lines")]
            self.need(style.leading() * together as f32);
            self.words((x, self.y + style.ascent()), line, style, tag);
            self.y += style.leading();
        }
    }

    /// A line across the page.
    pub(super) fn rule(&mut self, ink: Colour, width: f32) {
        self.line((0.0, WIDTH), ink, width);
        self.y += width;
    }

    /// A line from `x` to `x`, at the pen.
    pub(super) fn line(&mut self, (from, to): (f32, f32), ink: Colour, width: f32) {
        let y = self.y + width / 2.0;
        let lines = vec![vec![(MARGIN + from, y), (MARGIN + to, y)]];
        self.put(Shape::Strokes { lines, ink, width, dashed: false }, None);
    }

    pub(super) fn put(&mut self, shape: Shape, tag: Option<Tag>) {
        if let Some(page) = self.laid.pages.last_mut() {
            page.push(Mark { tag, shape });
        }
    }

    /// A drawing's point on the page, where the drawing's corner is at the pen.
    #[expect(clippy::cast_precision_loss, reason = "drawings are some thousand units wide")]
    pub(super) fn place(&self, (x, y): Point) -> (f32, f32) {
        (MARGIN + x as f32 / 10.0, self.y + y as f32 / 10.0)
    }
}

impl Laid {
    /// Puts head and foot on every page, now that their number is known.
    pub(super) fn with_margins(mut self, fonts: &Fonts, head: (&str, &str), foot: &str) -> Self {
        let style = Style::new(super::Face::Regular, 7.5, SOFT);
        let count = self.pages.len();
        for (index, page) in self.pages.iter_mut().enumerate() {
            let mut put = |x: f32, y: f32, text: &str| {
                let text = super::font::clean(text);
                page.push(Mark { tag: None, shape: Shape::Text { at: (x, y), text, style } });
            };
            let number = format!("page {} of {count}", index + 1);
            let end = |text: &str| MARGIN + WIDTH - fonts.width(text, style);
            let (low, high) = (PAGE.1 - 34.0, 40.0);
            put(MARGIN, low, fonts.lines(foot, style, WIDTH - 80.0).first().map_or("", String::as_str));
            put(end(&number), low, &number);
            let mut lines = vec![vec![(MARGIN, low - 13.0), (MARGIN + WIDTH, low - 13.0)]];
            if index != 0 {
                let room = WIDTH - 20.0 - fonts.width(head.1, style);
                put(MARGIN, high, fonts.lines(head.0, style, room).first().map_or("", String::as_str));
                put(end(head.1), high, head.1);
                lines.push(vec![(MARGIN, high + 7.0), (MARGIN + WIDTH, high + 7.0)]);
            }
            let rules = Shape::Strokes { lines, ink: LINE, width: 0.5, dashed: false };
            page.push(Mark { tag: None, shape: rules });
        }
        self
    }
}
