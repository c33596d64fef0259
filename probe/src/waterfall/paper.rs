//! PURE: what is drawn on: how wide it is, which characters and bars it takes.

/// The narrowest paper; what is narrower still folds its lines itself.
const MIN_WIDTH: usize = 60;
/// The widest paper: beyond it the eye loses the line.
const MAX_WIDTH: usize = 120;
/// The width where nobody says one, as in a pipe.
const WIDTH: usize = 80;

/// What is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    width: usize,
    unicode: bool,
    bars: bool,
    colour: bool,
}

impl Paper {
    /// A terminal of `columns` columns, where it tells them; drawings are 60 to 120 wide.
    pub fn terminal(columns: Option<u16>, unicode: bool, colour: bool) -> Self {
        let width = columns.map_or(WIDTH, usize::from).clamp(MIN_WIDTH, MAX_WIDTH);
        Self { width, unicode, bars: true, colour }
    }

    /// A pipe or a file: no colours, and figures in the place of bars.
    pub const fn pipe(unicode: bool) -> Self {
        Self { width: WIDTH, unicode, bars: false, colour: false }
    }

    /// How many columns a line may have.
    pub const fn width(self) -> usize {
        self.width
    }

    /// Whether bars are drawn.
    pub const fn bars(self) -> bool {
        self.bars
    }

    /// Whether colours tell things apart.
    pub const fn colour(self) -> bool {
        self.colour
    }

    /// `c` as this paper can show it: always one column of what it takes.
    pub(super) const fn shown(self, c: char) -> char {
        if self.unicode || c.is_ascii() {
            return c;
        }
        match c {
            '█' | '▉' | '▊' | '▋' | '▌' => '#',
            '▍' | '▎' | '▏' | '│' | '├' => '|',
            '─' | '·' => '-',
            '└' => '`',
            '✓' => '+',
            '✗' => 'x',
            '→' | '»' => '>',
            '◂' => '<',
            '●' => '*',
            '…' => '~',
            'µ' => 'u',
            _ => '?',
        }
    }
}

/// Whether the first of `locales` that says anything (`LC_ALL`, `LC_CTYPE`, `LANG`, in this order) is for more than
/// ASCII. Where none does, a terminal of today is taken to be.
pub fn is_unicode(locales: impl IntoIterator<Item = String>) -> bool {
    let said = locales.into_iter().find(|locale| !locale.is_empty());
    said.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_that_says_anything_decides() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (locales, unicode) in [
            (&["", "", "de_DE.UTF-8"][..], true),
            (&["C", "", "de_DE.UTF-8"], false),
            (&["", "C.utf8", "C"], true),
            (&["", "", "en_US.ISO-8859-1"], false),
            (&["POSIX"], false),
            (&["", ""], true),
            (&[], true),
        ] {
            assert_eq!(is_unicode(texts(locales)), unicode, "{locales:?}");
        }
    }

    #[test]
    fn a_terminal_is_neither_too_narrow_nor_too_wide() {
        let width = |columns| Paper::terminal(columns, true, true).width();
        assert_eq!([Some(0), Some(20), Some(97), Some(400), None].map(width), [60, 60, 97, 120, 80]);
    }
}
