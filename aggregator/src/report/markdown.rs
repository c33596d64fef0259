//! The report as Markdown: one file, with tables that the usual hosts show (GitHub, GitLab, CommonMark with tables).
//!
//! Drawings are told in words; every figure stands in a table anyway.

use std::fmt::Write as _;

use super::paper::{Block, Cell, Fact, Figure, Paper, Table};

/// The whole file.
pub(super) fn render(paper: &Paper) -> String {
    let mut text = String::new();
    push(&mut text, paper).expect("a text takes all that is written to it");
    text
}

fn push(text: &mut String, paper: &Paper) -> std::fmt::Result {
    writeln!(text, "# {}\n", escaped(&paper.title))?;
    writeln!(text, "**{}**\n", escaped(&paper.front.headline))?;
    for Fact { label, text: fact, .. } in &paper.front.facts {
        writeln!(text, "- {label}: {}", escaped(fact))?;
    }
    writeln!(text)?;
    blocks(text, &paper.front.blocks)?;
    for section in &paper.sections {
        let beside = section.beside.as_ref().map(|beside| format!(" ({})", escaped(beside))).unwrap_or_default();
        writeln!(text, "<a id=\"{}\"></a>\n\n## {}{beside}\n", section.id, escaped(&section.title))?;
        blocks(text, &section.blocks)?;
    }
    Ok(())
}

fn blocks(text: &mut String, blocks: &[Block]) -> std::fmt::Result {
    for block in blocks {
        match block {
            Block::Heading(heading) => writeln!(text, "### {}\n", escaped(heading))?,
            Block::Text(said) | Block::Soft(said) => writeln!(text, "{}\n", escaped(said))?,
            Block::Chart(chart) => writeln!(text, "*{}*\n", escaped(&chart.alt))?,
            Block::Figures(figures) => self::figures(text, figures)?,
            Block::Table(table) => self::table(text, table)?,
            Block::List(items) => {
                for item in items {
                    writeln!(text, "- {}", escaped(item))?;
                }
                writeln!(text)?;
            }
            Block::Proof(entries) => {
                for (label, proof) in entries {
                    // Neither a digest nor a command holds a backtick.
                    writeln!(text, "{label}:\n\n```text\n{proof}\n```\n")?;
                }
            }
        }
    }
    Ok(())
}

fn figures(text: &mut String, figures: &[Figure]) -> std::fmt::Result {
    for Figure { mark, label, text: figure, notes, .. } in figures {
        let mark = if mark.is_empty() { String::new() } else { format!("{mark}, ") };
        writeln!(text, "- {mark}{}: **{}**; {}", escaped(label), escaped(figure), escaped(&notes.join("; ")))?;
    }
    writeln!(text)
}

fn table(text: &mut String, table: &Table) -> std::fmt::Result {
    let heads: Vec<String> = table.columns.iter().map(|column| escaped(column.title)).collect();
    let rules: Vec<&str> = table.columns.iter().map(|column| if column.figures { "---:" } else { "---" }).collect();
    writeln!(text, "| {} |\n| {} |", heads.join(" | "), rules.join(" | "))?;
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    writeln!(text)
}

fn cell(cell: &Cell) -> String {
    let mut text = escaped(&cell.text);
    if let Some(link) = &cell.link {
        text = format!("[{text}](#{link})");
    }
    if cell.strong && !text.is_empty() {
        text = format!("**{text}**");
    }
    cell.notes.iter().fold(text, |text, note| format!("{text}<br>{}", escaped(note)))
}

/// `text` of which nothing is taken for Markdown or HTML, on one line.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (index, letter) in text.char_indices() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' | '@' => {
                safe.push('\\');
                safe.push(letter);
            }
            // Only where a list, a rule or a numbered item could begin.
            '-' | '+' | '=' if index == 0 => {
                safe.push('\\');
                safe.push(letter);
            }
            // An address is a link without being asked to be one.
            ':' if text[index..].starts_with("://") => safe.push_str("&#58;"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    let digits = safe.len() - safe.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    if digits != 0 && safe[digits..].starts_with(". ") {
        safe.insert(digits, '\\');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        assert_eq!(escaped("a | b"), "a \\| b");
        assert_eq!(escaped("<img src=x>"), "&lt;img src=x&gt;");
        assert_eq!(escaped("[click](https://evil)"), "\\[click\\]\\(https&#58;//evil\\)");
        assert_eq!(escaped("- one\n# two"), "\\- one \\# two");
        assert_eq!(escaped("1. first"), "1\\. first");
        assert_eq!(escaped("99.9 %"), "99.9 %");
        assert_eq!(escaped("shop-home"), "shop-home");
    }
}
