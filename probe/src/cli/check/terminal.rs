//! What standard output is: a terminal of some width, or a pipe.

use std::io::{self, IsTerminal};

use anstream::{AutoStream, ColorChoice};

use crate::waterfall::{Paper, is_unicode};

/// The paper that standard output is.
pub(super) fn paper() -> Paper {
    let out = io::stdout();
    let locales = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).unwrap_or_default());
    let unicode = is_unicode(locales);
    if !out.is_terminal() {
        return Paper::pipe(unicode);
    }
    let columns = terminal_size::terminal_size_of(&out).map(|(width, _height)| width.0);
    Paper::terminal(columns, unicode, AutoStream::choice(&out) != ColorChoice::Never)
}
