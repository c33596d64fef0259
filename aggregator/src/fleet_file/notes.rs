//! Gathers what is found while a file is read, and turns byte ranges into lines, columns and quotes.
//!
//! Invariant: what may be a secret is in no finding. Its ranges are known before anything is noted; a
//! quote blots them out, and a message that was put together at run time is not told about them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::finding::Finding;

/// The most characters of a line that are quoted.
const MAX_QUOTED: usize = 160;
/// How many of them stand before the column where a line is longer.
const BEFORE: usize = 60;

/// What a finding is about.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// Its bytes in the file.
    pub(super) span: Range<usize>,
    /// Its dotted key.
    pub(super) key: String,
    /// The id of the element that it is in.
    pub(super) id: Option<String>,
}

/// A message: borrowed where it is fixed, owned where it was put together and so may quote the value.
pub(super) type Message = Cow<'static, str>;

/// Everything found so far.
#[derive(Debug)]
pub(super) struct Notes<'t> {
    name: String,
    directory: PathBuf,
    text: &'t str,
    line_starts: Vec<usize>,
    secrets: Vec<Range<usize>>,
    errors: RefCell<Vec<(usize, Finding)>>,
    warnings: RefCell<Vec<(usize, Finding)>>,
}

impl<'t> Notes<'t> {
    /// Nothing found yet in `text`, which is the file `name`; `secrets` are not to be shown.
    pub(super) fn new(text: &'t str, name: &Path, secrets: Vec<Range<usize>>) -> Self {
        let directory = name.parent().unwrap_or(Path::new("")).to_owned();
        let name = name.display().to_string();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, directory, text, line_starts, secrets, errors: RefCell::default(), warnings: RefCell::default() }
    }

    /// `path` as the file means it: relative to where the file is.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The line of the byte at `offset`, from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Something that is wrong.
    pub(super) fn error(&self, spot: &Spot, message: impl Into<Message>, mend: Option<String>) {
        let finding = self.finding_unless_secret(spot, message.into(), mend);
        self.errors.borrow_mut().push((spot.span.start, finding));
    }

    /// An error of the file's form, in the parser's words, which quote nothing of the file.
    pub(super) fn error_in_form(&self, spot: &Spot, words: &str) {
        let finding = self.finding(spot, words, None);
        self.errors.borrow_mut().push((spot.span.start, finding));
    }

    /// Something allowed but unwise.
    pub(super) fn warn(&self, spot: &Spot, message: impl Into<Message>, mend: Option<String>) {
        let finding = self.finding_unless_secret(spot, message.into(), mend);
        self.warnings.borrow_mut().push((spot.span.start, finding));
    }

    /// Errors and warnings, each in the file's order.
    pub(super) fn into_findings(self) -> (Vec<Finding>, Vec<Finding>) {
        let sorted = |cell: RefCell<Vec<(usize, Finding)>>| {
            let mut found = cell.into_inner();
            found.sort_by_key(|(offset, _)| *offset);
            found.into_iter().map(|(_, finding)| finding).collect()
        };
        (sorted(self.errors), sorted(self.warnings))
    }

    fn finding_unless_secret(&self, spot: &Spot, message: Message, mend: Option<String>) -> Finding {
        let inside = |secret: &Range<usize>| secret.start <= spot.span.start && spot.span.end <= secret.end;
        if matches!(message, Cow::Owned(_)) && self.secrets.iter().any(inside) {
            return self.finding(spot, "this value is not accepted; it is not shown, since it may be a secret", None);
        }
        self.finding(spot, &message, mend)
    }

    fn finding(&self, spot: &Spot, message: &str, mend: Option<String>) -> Finding {
        let quote = self.quote(&spot.span);
        Finding {
            file: self.name.clone(),
            line: self.line_of(spot.span.start),
            column: quote.column,
            quoted: quote.text,
            indent: quote.indent,
            width: quote.width,
            key: clean(&spot.key),
            id: spot.id.as_deref().map(clean),
            message: clean(message),
            mend: mend.as_deref().map(clean),
        }
    }

    fn quote(&self, span: &Range<usize>) -> Quote {
        let start = self.line_starts[self.line_of(span.start) - 1];
        let end = self.text[span.start..].find('\n').map_or(self.text.len(), |at| span.start + at);
        let secrets: Vec<_> = self.secrets.iter().filter(|secret| secret.start < end && start < secret.end).collect();
        let (mut text, mut indent, mut width) = (String::new(), 0, 0);
        let mut blotted = false;
        for (at, c) in self.text[start..end].char_indices().map(|(at, c)| (start + at, c)) {
            let secret = secrets.iter().any(|secret| secret.contains(&at));
            let shown = if secret { (!blotted).then_some('…') } else { Some(c).filter(|c| *c != '\r') };
            blotted = secret;
            let Some(shown) = shown else { continue };
            text.push(shown);
            indent += usize::from(at < span.start);
            width += usize::from(span.contains(&at));
        }
        let column = self.text[start..span.start].chars().count() + 1;
        Quote { text: clean(&text), indent, width: width.max(1), column }.cut()
    }
}

struct Quote {
    text: String,
    indent: usize,
    width: usize,
    column: usize,
}

impl Quote {
    /// The part around the column where the line is too long to show.
    fn cut(mut self) -> Self {
        let length = self.text.chars().count();
        if MAX_QUOTED < length {
            let from = self.indent.saturating_sub(BEFORE);
            let part: String = self.text.chars().skip(from).take(MAX_QUOTED).collect();
            let (head, tail) = (if from == 0 { "" } else { "…" }, if from + MAX_QUOTED < length { "…" } else { "" });
            self.indent = self.indent - from + head.chars().count();
            self.width = self.width.min(MAX_QUOTED.saturating_sub(self.indent)).max(1);
            self.text = format!("{head}{part}{tail}");
        }
        self
    }
}

/// `text` without what a terminal would obey.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
