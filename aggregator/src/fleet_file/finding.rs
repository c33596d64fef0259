//! What is wrong or unwise in a fleet file: its place, the key, what and how to mend it; and how a
//! terminal shows that.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};

/// Something wrong, or allowed but unwise ([`Warning`]), at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line, or the part of a long one around the column; what may be a secret is blotted out.
    pub quoted: String,
    /// How many characters of `quoted` stand before what is meant.
    pub indent: usize,
    /// How many characters of it are meant; at least 1.
    pub width: usize,
    /// The dotted key, such as `check[3].timeout`; empty where the file is no TOML there.
    pub key: String,
    /// The id of the element, where it has one.
    pub id: Option<String>,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// How to mend it, where the message does not say.
    pub mend: Option<String>,
}

/// Allowed, but unwise.
pub type Warning = Finding;

impl Finding {
    /// `file:line:column`, as editors and terminals follow it.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// The key with the id of its element: `check[3].timeout of shop-home`.
    pub fn subject(&self) -> String {
        match &self.id {
            Some(id) if !self.key.is_empty() => format!("{} of {id}", self.key),
            Some(_) | None => self.key.clone(),
        }
    }
}

/// `file:line:column: key: what; how to mend it`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.subject())?;
        }
        f.write_str(&self.message)?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "; {mend}"))
    }
}

/// One finding a line.
pub(super) fn listed(findings: &[Finding]) -> String {
    findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const MARGIN: Style = AnsiColor::Blue.on_default().bold();
const BOLD: Style = Style::new().bold();

/// Warnings, then errors and how many there are; with colours, which `anstream` drops where none are wanted.
pub(super) fn drawn(errors: &[Finding], warnings: &[Warning]) -> String {
    let mut out = drawn_warnings(warnings);
    for error in errors {
        draw(&mut out, "error", ERROR, error);
    }
    let file = errors.first().map_or("", |first| first.file.as_str());
    let counted = [count(errors.len(), "error"), count(warnings.len(), "warning")];
    let counted: Vec<String> = counted.into_iter().flatten().collect();
    push(&mut out, format_args!("{ERROR}{file}{ERROR:#} is refused: {}\n", counted.join(", ")));
    out
}

/// Warnings alone.
pub fn drawn_warnings(warnings: &[Warning]) -> String {
    let mut out = String::new();
    for warning in warnings {
        draw(&mut out, "warning", WARNING, warning);
    }
    out
}

/// `3 errors`, `1 error`; nothing of nought.
fn count(n: usize, word: &str) -> Option<String> {
    (n != 0).then(|| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
}

fn draw(out: &mut String, level: &str, style: Style, finding: &Finding) {
    let number = finding.line.to_string();
    let pad = " ".repeat(number.len());
    let place = finding.place();
    // A tab stays a tab in the line of the carets, so that they stand below what they mean.
    let before = finding.quoted.chars().take(finding.indent);
    let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let carets = "^".repeat(finding.width);
    push(out, format_args!("{style}{level}{style:#}{BOLD}: {}{BOLD:#}\n", finding.message));
    push(out, format_args!("{pad}{MARGIN}-->{MARGIN:#} {place}\n{pad} {MARGIN}|{MARGIN:#}\n"));
    push(out, format_args!("{MARGIN}{number} |{MARGIN:#} {}\n", finding.quoted));
    let subject = finding.subject();
    let gap = if subject.is_empty() { "" } else { " " };
    push(out, format_args!("{pad} {MARGIN}|{MARGIN:#} {indent}{style}{carets}{gap}{subject}{style:#}\n"));
    if let Some(mend) = &finding.mend {
        push(out, format_args!("{pad} {MARGIN}={MARGIN:#} {BOLD}help{BOLD:#}: {mend}\n"));
    }
    out.push('\n');
}

fn push(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}
