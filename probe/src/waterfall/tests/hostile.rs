//! Nothing that a target wrote can draw: every text of the evidence is filled with what terminals obey, found by
//! walking its JSON, so that a field that is added later is filled too.

use super::super::runs::{Drawing, Tally};
use super::*;

/// What terminals, logs and readers obey.
const HOSTILE: &str =
    "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\n\t\u{8}\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{feff}\u{0}z";

/// The codes of the styles that drawings use: none, bold, dimmed, and the colours of the terminal's palette.
const OURS: &[&str] = &["0", "1", "2", "31", "32", "33", "34", "35", "36"];

/// Whether `page` has nothing in it that draws but line breaks and our own colours.
fn is_calm(page: &str) -> bool {
    let plain = without_colours(page);
    !plain.chars().any(|c| c != '\n' && (c.is_control() || is_format(c)))
}

/// `page` without the sequences that choose colours and weights, and with every other one.
fn without_colours(page: &str) -> String {
    let mut plain = String::new();
    let mut rest = page;
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        let parameters =
            rest[at + 2..].find(|c: char| !c.is_ascii_digit() && c != ';').map_or(rest.len(), |n| at + 2 + n);
        let ours = rest[at + 2..parameters].split(';').all(|code| OURS.contains(&code));
        if !ours || !rest[parameters..].starts_with('m') {
            plain.push_str(&rest[at..]);
            return plain;
        }
        rest = &rest[parameters + 1..];
    }
    plain + rest
}

fn is_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Puts `text` into every string of `value` that can take it: what the form of the evidence does not let through is
/// left.
fn fill(evidence: &mut Value, path: &mut Vec<String>, text: &str, filled: &mut usize) {
    let here = at(evidence, path).clone();
    let below: Vec<String> = match &here {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
        Value::String(_) => {
            *at(evidence, path) = Value::String(text.to_owned());
            if serde_json::from_value::<Evidence>(evidence.clone()).is_ok() {
                *filled += 1;
            } else {
                *at(evidence, path) = here;
            }
            return;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => return,
    };
    for step in below {
        path.push(step);
        fill(evidence, path, text, filled);
        path.pop();
    }
}

fn at<'v>(value: &'v mut Value, path: &[String]) -> &'v mut Value {
    path.iter().fold(value, |value, step| match step.parse::<usize>() {
        Ok(index) => &mut value[index],
        Err(_) => &mut value[step.as_str()],
    })
}

fn filled_with(text: &str) -> (Observation, usize) {
    let mut seen = seen();
    let mut evidence = serde_json::to_value(&seen.evidence).unwrap();
    let mut filled = 0;
    fill(&mut evidence, &mut Vec::new(), text, &mut filled);
    seen.evidence = serde_json::from_value(evidence).unwrap();
    seen.detail = Some(text.to_owned());
    (seen, filled)
}

/// Everything that is ever drawn of `seen`, on every paper.
fn everything(seen: &Observation) -> String {
    let question = question();
    let mut text = String::new();
    for paper in [Paper::terminal(Some(80), true, true), Paper::terminal(None, false, false), Paper::pipe(true)] {
        text.push_str(&drawn(&question, seen, paper));
        let mut tally = Tally::default();
        tally.count(seen);
        let mut drawing = Drawing::new(&question, paper);
        text.push_str(&drawing.run(1, Timestamp::from_ms(0), seen));
        text.push_str(&drawing.summary(&tally, 1));
    }
    text
}

#[test]
fn nothing_that_a_target_wrote_can_draw_on_the_terminal_wherever_it_stands() {
    let (seen, filled) = filled_with(HOSTILE);
    assert!(20 < filled, "the texts of the evidence are found: {filled}");
    let page = everything(&seen);
    assert!(is_calm(&page), "{page:?}");
    assert!(
        !is_calm(HOSTILE) && !is_calm("\u{1b}[2J") && !is_calm("\u{1b}[5mx") && is_calm("\u{1b}[1;31mred\u{1b}[0m\n"),
        "the test can fail"
    );
}

#[test]
fn no_bytes_of_a_target_ever_draw() {
    bolero::check!().with_type::<String>().with_iterations(200).for_each(|text| {
        let (seen, _) = filled_with(text);
        let page = everything(&seen);
        assert!(is_calm(&page), "{page:?}");
    });
}
