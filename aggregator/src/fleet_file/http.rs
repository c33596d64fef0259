//! `check.http`: a request and what is expected of the response.

use std::fmt::Display;

use nines_shared::check::{HeaderExpect, HttpExpect, HttpQuestion, HttpVersion, JsonExpect, TextCondition};
use nines_shared::pattern::{JsonPath, Regex, StatusRange};
use url::Url;

use super::reader::{Table, Value};
use super::{ca, secrets};

const VERSIONS: &[(&str, HttpVersion)] =
    &[("any", HttpVersion::Any), ("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)];

/// The question that `value` describes. What is wrong in it is noted, which refuses the file, and stood in
/// for here, so that the rules of the rest are looked at too.
pub(super) fn read(value: &Value<'_>) -> Option<HttpQuestion> {
    let table = value.table()?;
    let url = table.need("url", "write the page to ask for: url = \"https://shop.example/\"");
    let harmless = HttpQuestion::get("http://stand-in.invalid/".parse().expect("it is a URL"));
    let question = HttpQuestion {
        url: url.and_then(|value| web_address(&value)).unwrap_or(harmless.url),
        method: table.get("method").and_then(|value| value.text()).map_or(harmless.method, str::to_ascii_uppercase),
        headers: table.get("headers").map_or(harmless.headers, |value| headers(&value)),
        body: table.get("body").and_then(|value| value.text()).map(ToOwned::to_owned),
        version: table.get("version").and_then(|value| value.one_of(VERSIONS)).unwrap_or(harmless.version),
        redirects: table.get("redirects").and_then(|value| value.whole()).unwrap_or(harmless.redirects),
        max_body_bytes: table.get("max_body").and_then(|value| value.size_bytes()).unwrap_or(harmless.max_body_bytes),
        ca_pem: table.get("ca").and_then(|value| ca::read(&value)),
        expect: table.get("expect").and_then(|value| expect(&value)).unwrap_or(harmless.expect),
    };
    table.finish();
    Some(question)
}

/// A URL of the web.
pub(super) fn web_address(value: &Value<'_>) -> Option<Url> {
    let text = value.text()?;
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        value.error(format!("{text:?} is not a web address; write http://host/… or https://host/…"));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        value.notes.warn(&value.spot, "the user and password of this URL stand in the open", None);
    }
    Some(url)
}

/// Request headers, in the file's order.
fn headers(value: &Value<'_>) -> Vec<(String, String)> {
    let entries = value.table().map(|table| table.entries()).unwrap_or_default();
    let mut headers = Vec::new();
    for (name, value) in entries {
        if secrets::is_telling(name) {
            value.notes.warn(&value.spot, "this header may be a secret, and is sent to every probe as it stands", None);
        }
        headers.push((name.to_owned(), value.text().unwrap_or_default().to_owned()));
    }
    headers
}

fn expect(value: &Value<'_>) -> Option<HttpExpect> {
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
fn regex(value: &Value<'_>) -> Option<Regex> {
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
