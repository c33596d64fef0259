//! `check.http.expect`: what is expected of the response to a request.

use std::fmt::Display;

use nines_shared::check::{HeaderExpect, HttpExpect, JsonExpect, Range, SpokenVersion, TextCondition, Within};
use nines_shared::pattern::{JsonPath, Regex, StatusRange};

use super::reader::{Table, Value};
use super::tls;

const VERSIONS: &[(&str, SpokenVersion)] = &[
    ("1.0", SpokenVersion::Http10),
    ("1.1", SpokenVersion::Http11),
    ("2", SpokenVersion::Http2),
    ("3", SpokenVersion::Http3),
];

/// The expectations that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<HttpExpect> {
    let table = value.table()?;
    let status = table.get_or("status", HttpExpect::default().status, |value| value.list(status));
    let headers = table.get_or("headers", Vec::new(), header_expectations);
    let version = table.get_or("version", Vec::new(), |value| value.list(|item| item.one_of(VERSIONS)));
    let contains = table.get_or("body_contains", Vec::new(), texts);
    let lacks = table.get_or("body_lacks", Vec::new(), texts);
    let matches = table.get_if("body_matches", regex);
    let lacks_match = table.get_if("body_lacks_match", regex);
    let size = table.get_if("body_size", |value| bounds(value, |value| value.size_bytes().map(u64::from)));
    let json = table.get_or("json", Vec::new(), |value| value.list(json));
    let within = table.get_or("within", Within::default(), within);
    let certificate = table.get_if("certificate", tls::expect);
    table.finish();
    Some(HttpExpect {
        status: status?,
        headers: headers?,
        version: version?,
        body_contains: contains?,
        body_lacks: lacks?,
        body_matches: matches?,
        body_lacks_match: lacks_match?,
        body_size: size?,
        json: json?,
        within: within?,
        certificate: certificate?,
    })
}

/// A text, or a list of them.
fn texts(value: &Value<'_>) -> Option<Vec<String>> {
    let text = |value: &Value<'_>| value.text().map(ToOwned::to_owned);
    if value.is_list() { value.list(text) } else { text(value).map(|text| vec![text]) }
}

/// A number as `read` takes it, or `{ min = …, max = … }`.
fn bounds(value: &Value<'_>, read: impl Fn(&Value<'_>) -> Option<u64>) -> Option<Range> {
    if !value.is_table() {
        return read(value).map(Range::exactly);
    }
    let table = value.table()?;
    let (min, max) = (table.get_if("min", &read), table.get_if("max", &read));
    table.finish();
    Some(Range { min: min?, max: max? })
}

/// How long each phase may take.
fn within(value: &Value<'_>) -> Option<Within> {
    let table = value.table()?;
    let ms = |key| table.get_if(key, Value::duration_ms);
    let (resolve_ms, connect_ms, tls_ms) = (ms("resolve"), ms("connect"), ms("tls"));
    let (first_byte_ms, transfer_ms, total_ms) = (ms("first_byte"), ms("transfer"), ms("total"));
    table.finish();
    Some(Within {
        resolve_ms: resolve_ms?,
        connect_ms: connect_ms?,
        tls_ms: tls_ms?,
        first_byte_ms: first_byte_ms?,
        transfer_ms: transfer_ms?,
        total_ms: total_ms?,
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
    let text = |value: &Value<'_>| value.text().map(ToOwned::to_owned);
    let value = |key| table.get_if(key, Value::json);
    let number = |key| table.get_if(key, Value::number);
    let (equals, not_equals) = (value("equals"), value("not_equals"));
    let (above, at_least, below, at_most) = (number("above"), number("at_least"), number("below"), number("at_most"));
    let (contains, matches) = (table.get_if("contains", text), table.get_if("matches", regex));
    let count = table.get_if("count", |value| bounds(value, |value| value.whole()));
    let (every, exists) = (table.get_or("every", false, Value::flag), table.get_or("exists", true, Value::flag));
    table.finish();
    Some(JsonExpect {
        path: path?,
        equals: equals?,
        not_equals: not_equals?,
        above: above?,
        at_least: at_least?,
        below: below?,
        at_most: at_most?,
        contains: contains?,
        matches: matches?,
        every: every?,
        count: count?,
        exists: exists?,
    })
}
