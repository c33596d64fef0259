//! `check.http.expect`: what is expected of the response to a request.

use std::fmt::Display;

use nines_shared::check::{HeaderExpect, HttpExpect, JsonExpect, TextCondition};
use nines_shared::pattern::{JsonPath, Regex, StatusRange};

use super::reader::{Table, Value};

/// The expectations that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<HttpExpect> {
    let table = value.table()?;
    let status = table.get_or("status", HttpExpect::default().status, |value| value.list(status));
    let headers = table.get_or("headers", Vec::new(), header_expectations);
    let text = |value: &Value<'_>| value.text().map(ToOwned::to_owned);
    let contains = table.get_if("body_contains", text);
    let lacks = table.get_if("body_lacks", text);
    let matches = table.get_if("body_matches", regex);
    let json = table.get_or("json", Vec::new(), |value| value.list(json));
    table.finish();
    Some(HttpExpect {
        status: status?,
        headers: headers?,
        body_contains: contains?,
        body_lacks: lacks?,
        body_matches: matches?,
        json: json?,
    })
}

/// `"2xx"`, `"200-204"` or 200.
fn status(value: &Value<'_>) -> Option<StatusRange> {
    if value.peek().is_some() {
        return value.parse();
    }
    let number: u16 = value.whole()?;
    value.accept(number.to_string().parse())
}

/// A regular expression; of the engine's many lines only the last says what is wrong.
pub(super) fn regex(value: &Value<'_>) -> Option<Regex> {
    let short = |error: &dyn Display| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        format!("not a regular expression: {}", last.trim_start_matches("error: "))
    };
    value.accept(value.text()?.parse::<Regex>().map_err(|error| short(&error)))
}

fn header_expectations(value: &Value<'_>) -> Option<Vec<HeaderExpect>> {
    let entries = value.table()?.entries();
    let read = |(name, value): (&str, Value<'_>)| Some(HeaderExpect { name: name.to_owned(), is: condition(&value)? });
    let read: Vec<Option<HeaderExpect>> = entries.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// `"text"`, or one of `{ equals = … }`, `{ contains = … }`, `{ matches = … }`, `{ present = true }`.
fn condition(value: &Value<'_>) -> Option<TextCondition> {
    if let Some(text) = value.peek() {
        return Some(TextCondition::Equals(text.to_owned()));
    }
    let table = value.table()?;
    let text = |value: &Value<'_>| value.text().map(ToOwned::to_owned);
    let found = [
        table.get("equals").map(|value| text(&value).map(TextCondition::Equals)),
        table.get("contains").map(|value| text(&value).map(TextCondition::Contains)),
        table.get("matches").map(|value| regex(&value).map(TextCondition::Matches)),
        table
            .get("present")
            .map(|value| value.flag().map(|there| if there { TextCondition::Present } else { TextCondition::Absent })),
    ];
    one(&table, found.into_iter().flatten().collect())
}

/// The one condition of a table.
fn one(table: &Table<'_>, found: Vec<Option<TextCondition>>) -> Option<TextCondition> {
    if found.len() != 1 {
        let mend = "use one of equals, contains, matches, present".to_owned();
        table.notes.error(&table.spot, "wants exactly one condition", Some(mend));
        return None;
    }
    found.into_iter().next().flatten()
}

fn json(value: &Value<'_>) -> Option<JsonExpect> {
    let table = value.table()?;
    let path = table.need("path", "write which part is meant, such as path = \"$.status\"");
    let path = path.and_then(|value| {
        let text = value.text()?;
        value.accept(text.parse::<JsonPath>().map_err(|_other| {
            format!(
                "{text:?} is not a JSONPath of RFC 9535; write one such as \"$.status\" or \"$.items[?@.stock > 0]\""
            )
        }))
    });
    let equals = table.get_if("equals", Value::json);
    table.finish();
    Some(JsonExpect { path: path?, equals: equals? })
}
