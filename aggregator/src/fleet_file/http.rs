//! `check.http`: a request. What is expected of its response is [`super::http_expect`]'s.

use nines_shared::check::{HttpQuestion, HttpVersion};
use url::Url;

use super::reader::Value;
use super::{ca, http_expect, reach, secrets};

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
        reach: reach::read(&table).unwrap_or_default(),
        method: table.get("method").and_then(|value| value.text()).map_or(harmless.method, str::to_ascii_uppercase),
        headers: table.get("headers").map_or(harmless.headers, |value| headers(&value)),
        body: table.get("body").and_then(|value| value.text()).map(ToOwned::to_owned),
        version: table.get("version").and_then(|value| value.one_of(VERSIONS)).unwrap_or(harmless.version),
        redirects: table.get("redirects").and_then(|value| value.whole()).unwrap_or(harmless.redirects),
        max_body_bytes: table.get("max_body").and_then(|value| value.size_bytes()).unwrap_or(harmless.max_body_bytes),
        ca_pem: table.get("ca").and_then(|value| ca::read(&value)),
        expect: table.get("expect").and_then(|value| http_expect::read(&value)).unwrap_or(harmless.expect),
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
