//! `check.http`: a request. What is expected of its response is [`super::http_expect`]'s.

use nines_probe::prober::SPEAKS_HTTP3;
use nines_shared::check::{BasicAuth, HttpAuth, HttpQuestion, HttpVersion, SecretHeader};
use url::Url;

use super::reader::{Table, Value};
use super::{ca, client_certificate, http_expect, proxy, reach, secret, secrets};

const VERSIONS: &[(&str, HttpVersion)] =
    &[("any", HttpVersion::Any), ("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2), ("3", HttpVersion::Http3)];

/// The question that `value` describes. What is wrong in it is noted, which refuses the file, and stood in
/// for here, so that the rules of the rest are looked at too.
pub(super) fn read(value: &Value<'_>) -> Option<HttpQuestion> {
    let table = value.table()?;
    let url = table.need("url", "write the page to ask for: url = \"https://shop.example/\"");
    let harmless = HttpQuestion::get("http://stand-in.invalid/".parse().expect("it is a URL"));
    let (mut headers, secret_headers) = table.get("headers").map(|value| headers(&value)).unwrap_or_default();
    let body = body(&table, &mut headers);
    let question = HttpQuestion {
        url: url.and_then(|value| web_address(&value, Some(OF_URL))).unwrap_or(harmless.url),
        reach: reach::read(&table).unwrap_or_default(),
        method: table.get("method").and_then(|value| value.text()).map_or(harmless.method, str::to_ascii_uppercase),
        headers,
        secret_headers,
        auth: auth(&table),
        client_certificate: table.get("client_certificate").and_then(|value| client_certificate::read(&value)),
        proxy: table.get("proxy").and_then(|value| proxy::read(&value)),
        body,
        version: table.get("version").and_then(|value| version(&value)).unwrap_or(harmless.version),
        redirects: table.get("redirects").and_then(|value| value.whole()).unwrap_or(harmless.redirects),
        max_body_bytes: table.get("max_body").and_then(|value| value.size_bytes()).unwrap_or(harmless.max_body_bytes),
        ca_pem: table.get("ca").and_then(|value| ca::read(&value)),
        expect: table.get("expect").and_then(|value| http_expect::read(&value)).unwrap_or(harmless.expect),
    };
    table.finish();
    Some(question)
}

fn version(value: &Value<'_>) -> Option<HttpVersion> {
    let version = value.one_of(VERSIONS)?;
    if version == HttpVersion::Http3 && !SPEAKS_HTTP3 {
        let mend = "build nines and nines-probe with the cargo feature http3".to_owned();
        value.notes.warn(&value.spot, "a probe that was built like this speaks no HTTP/3: inconclusive", Some(mend));
    }
    Some(version)
}

/// A URL of the web. A user in it is warned of, mended by `mend`.
pub(super) fn web_address(value: &Value<'_>, mend: Option<&str>) -> Option<Url> {
    let text = value.text()?;
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        value.error(format!("{text:?} is not a web address; write http://host/… or https://host/…"));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        value.notes.warn(&value.spot, "the user and password of this URL stand in the open", mend.map(str::to_owned));
    }
    Some(url)
}

/// Request headers in the file's order: those that it says, and those whose values are secrets.
fn headers(value: &Value<'_>) -> (Vec<(String, String)>, Vec<SecretHeader>) {
    let entries = value.table().map(|table| table.entries()).unwrap_or_default();
    let (mut headers, mut hidden) = (Vec::new(), Vec::new());
    for (name, value) in entries {
        if value.is_table() {
            hidden.extend(secret_header(name, &value));
            continue;
        }
        if secrets::is_telling(name) {
            let message = "this header may be a secret, and stands in the open in this file and in the store";
            value.notes.warn(&value.spot, message, Some(OF_HEADER.to_owned()));
        }
        headers.push((name.to_owned(), value.text().unwrap_or_default().to_owned()));
    }
    (headers, hidden)
}

const OF_URL: &str = "leave them out there: basic_auth = { user = \"nines\", password = { env = \"SHOP_PASSWORD\" } }";

const OF_HEADER: &str = "name where it is instead: { env = \"SHOP_TOKEN\" } or { file = \"/run/secrets/shop\" }, \
    with prefix = \"Token \" where something stands before it";

/// `{ env = … }` or `{ file = … }`, perhaps with `prefix = "Token "`.
fn secret_header(name: &str, value: &Value<'_>) -> Option<SecretHeader> {
    let table = value.table()?;
    let prefix = table.get_or("prefix", String::new(), |value| value.text().map(ToOwned::to_owned));
    let secret = secret::of_table(&table);
    Some(SecretHeader { name: name.to_owned(), prefix: prefix?, secret: secret? })
}

/// `bearer` or `basic_auth`.
fn auth(table: &Table<'_>) -> Option<HttpAuth> {
    let bearer = table.get("bearer");
    let basic = table.get("basic_auth");
    if let (Some(_), Some(basic)) = (&bearer, &basic) {
        basic.error("there is a bearer token too; leave one of them out");
    }
    bearer
        .and_then(|value| secret::read(&value).map(HttpAuth::Bearer))
        .or_else(|| basic.and_then(|value| basic_auth(&value)))
}

/// `{ user = "…", password = { … } }`.
pub(super) fn basic_auth(value: &Value<'_>) -> Option<HttpAuth> {
    let table = value.table()?;
    let user = table.need("user", "write who asks: user = \"nines\"");
    let password = table.need("password", "write where it is: password = { env = \"SHOP_PASSWORD\" }");
    table.finish();
    let user = user.and_then(|value| value.text().map(ToOwned::to_owned));
    let password = password.and_then(|value| secret::read(&value));
    Some(HttpAuth::Basic(BasicAuth { user: user?, password: password? }))
}

/// `body` as it stands, or `json`, which says its type too where `headers` do not.
fn body(table: &Table<'_>, headers: &mut Vec<(String, String)>) -> Option<String> {
    let text = table.get("body").and_then(|value| value.text()).map(ToOwned::to_owned);
    let Some(json) = table.get("json") else { return text };
    if text.is_some() {
        json.error("there is a body too; leave one of them out");
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    json.json().map(|document| document.to_string())
}
