//! Tables for people: aligned columns, a quiet header, nothing around them.

use std::fmt::Write as _;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// `rows` under `columns`, ready to print; every row has as many cells as there are columns. Cells may not
/// hold anything that draws: ids and what was checked, not what a stranger wrote.
pub(super) fn drawn<const N: usize>(columns: [(&str, Align); N], rows: &[[String; N]]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.chain([columns[index].0.chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let quiet = anstyle::Style::new().dimmed();
    let head = line(&columns.map(|(name, _)| name.to_owned()), &columns, &widths);
    let mut text = format!("{quiet}{head}{quiet:#}\n");
    for row in rows {
        text.push_str(&line(row, &columns, &widths));
        text.push('\n');
    }
    text
}

fn line<const N: usize>(cells: &[String; N], columns: &[(&str, Align); N], widths: &[usize; N]) -> String {
    let mut text = String::new();
    for index in 0..N {
        let (cell, width) = (&cells[index], widths[index]);
        let written = match columns[index].1 {
            Align::Left => write!(text, "{cell:<width$}  "),
            Align::Right => write!(text, "{cell:>width$}  "),
        };
        written.expect("a String takes text");
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let rows = [["a".to_owned(), "12".to_owned()], ["longer".to_owned(), "3".to_owned()]];
        let text = drawn([("NAME", Align::Left), ("N", Align::Right)], &rows);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "NAME     N\na       12\nlonger   3\n");
    }
}
