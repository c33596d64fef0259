//! How the story looks on a terminal, and in a pipe: calm lines, each with the time since the start; below
//! them, on a terminal, one that lives.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nines_shared::sample::Outcome;

use super::story::{Line, Mark};
use crate::uptime::Verdict;

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const BLUE: Style = AnsiColor::Cyan.on_default();
/// How many characters a line may have after its time.
const WIDTH: usize = 88;

/// Where the story is told.
#[derive(Debug)]
pub(super) struct Terminal {
    living: ProgressBar,
}

impl Terminal {
    /// The terminal, or the pipe, that stdout is.
    pub(super) fn open() -> Self {
        let shown = io::stdout().is_terminal() && io::stderr().is_terminal();
        let living = if shown {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        };
        let style = ProgressStyle::with_template("  {spinner} {msg}").expect("the template is good");
        living.set_style(style.tick_strings(&["◜", "◠", "◝", "◞", "◡", "◟", "·"]));
        if shown {
            living.enable_steady_tick(Duration::from_millis(250));
        }
        Self { living }
    }

    /// A line without time.
    pub(super) fn say(&self, text: &str) {
        // A pipe that nobody reads any more is no reason to stop: Ctrl-C is.
        self.living.suspend(|| {
            let _closed = writeln!(anstream::stdout(), "{text}");
        });
    }

    /// A line of the head: a label and what it is about.
    pub(super) fn head(&self, label: &str, text: &str) {
        self.say(&format!("  {FAINT}{label:<9}{FAINT:#} {text}"));
    }

    /// A line of the story, `elapsed_ms` after its start.
    pub(super) fn tell(&self, elapsed_ms: i64, line: &Line) {
        self.say(&drawn(elapsed_ms, line));
    }

    /// What the living line says.
    pub(super) fn now(&self, text: String) {
        self.living.set_message(text);
    }

    /// Takes the living line away.
    pub(super) fn close(&self) {
        self.living.finish_and_clear();
    }
}

/// Minutes and seconds.
pub(super) fn clock(ms: i64) -> String {
    format!("{:02}:{:02}", ms / 60_000, ms / 1_000 % 60)
}

fn drawn(elapsed_ms: i64, line: &Line) -> String {
    let time = clock(elapsed_ms);
    let mut texts = line.text.lines();
    let first = texts.next().unwrap_or_default();
    let (mark, style) = mark(line.mark);
    if line.mark == Mark::Scene {
        let rule = "─".repeat(WIDTH.saturating_sub(first.chars().count() + 14));
        return format!("\n  {FAINT}{time}{FAINT:#}  {FAINT}──{FAINT:#} {BOLD}{first}{BOLD:#} {FAINT}{rule}{FAINT:#}");
    }
    let mut out = format!("  {FAINT}{time}{FAINT:#}  {style}{mark}{style:#} ");
    match line.mark {
        Mark::Verdict(_) | Mark::Letter => out += &format!("{style}{first}{style:#}"),
        Mark::Seen(_) | Mark::Scene => out += first,
        Mark::Remark => out += &format!("{FAINT}{first}{FAINT:#}"),
    }
    for more in texts.flat_map(wrapped) {
        out += &format!("\n           {FAINT}{more}{FAINT:#}");
    }
    out
}

/// `text` in lines of at most [`WIDTH`] characters, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn mark(mark: Mark) -> (&'static str, Style) {
    match mark {
        Mark::Scene => ("─", FAINT),
        Mark::Remark => ("·", FAINT),
        Mark::Letter => ("✉", BLUE.bold()),
        Mark::Seen(Outcome::Up) => ("●", GREEN),
        Mark::Seen(Outcome::Degraded) => ("●", YELLOW),
        Mark::Seen(Outcome::Down) => ("●", RED),
        Mark::Seen(Outcome::Inconclusive) => ("○", FAINT),
        Mark::Verdict(Verdict::Up) => ("■", GREEN.bold()),
        Mark::Verdict(Verdict::Degraded) => ("■", YELLOW.bold()),
        Mark::Verdict(Verdict::Down) => ("■", RED.bold()),
        Mark::Verdict(Verdict::Unknown) => ("□", FAINT.bold()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words() {
        let lines = wrapped(&"word ".repeat(40));
        assert!(lines.len() == 3 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert_eq!(wrapped("one"), ["one"]);
    }

    #[test]
    fn a_line_bears_its_time_and_its_mark() {
        let line = Line { mark: Mark::Verdict(Verdict::Down), text: "Shop is down\nseen from Ireland".to_owned() };
        let plain = anstream::adapter::strip_str(&drawn(65_000, &line)).to_string();
        assert_eq!(plain, "  01:05  ■ Shop is down\n           seen from Ireland");
    }
}
