//! Progress on a terminal, for whatever may take over a second. In a pipe nothing is drawn.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` bytes.
pub(super) fn bytes(length: u64) -> ProgressBar {
    styled(ProgressBar::new(length), "{bar:32} {percent:>3} %  {eta} left")
}

/// A bar over so many steps.
pub(super) fn steps(count: usize) -> ProgressBar {
    styled(ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX)), "{bar:32} {pos} of {len}  {eta} left")
}

/// A count of what has no known end.
pub(super) fn count(what: &'static str) -> ProgressBar {
    styled(ProgressBar::no_length().with_message(what), "{spinner} {human_pos} {msg}")
}

/// A sign of life while something is done whose steps can't be counted.
pub(super) fn working(what: &'static str) -> ProgressBar {
    let bar = styled(ProgressBar::no_length().with_message(what), "{spinner} {msg} {elapsed}");
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_not_a_template) => bar,
    }
}
