//! `[[channel]]`: where alerts go, one way each.

mod email;

use nines_shared::check::HttpAuth;

use super::ca;
use super::http::{basic_auth, web_address};
use super::ids::own_id;
use super::reader::{Table, Value};
use super::secret;
use crate::definition::channel::{Address, Server, Texts, ntfy_topic};
use crate::definition::{Channel, ChannelKind};

/// How long a program may take where the file does not say, in ms.
const DEFAULT_EXEC_TIMEOUT_MS: i64 = 10_000;
/// The longest that a program may be given, in ms.
const MAX_EXEC_TIMEOUT_MS: i64 = 60_000;
/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// How a kind is read.
type Read = fn(&Value<'_>) -> Option<ChannelKind>;

/// The kinds by their keys.
const KINDS: [(&str, Read); 9] = [
    ("webhook", webhook),
    ("slack", |value| Some(ChannelKind::Slack { url: secret_url(value)? })),
    ("pagerduty", pagerduty),
    ("alertmanager", |value| server(value, "http://127.0.0.1:9093").map(ChannelKind::Alertmanager)),
    ("teams", |value| Some(ChannelKind::Teams { url: secret_url(value)? })),
    ("discord", |value| Some(ChannelKind::Discord { url: secret_url(value)? })),
    ("ntfy", ntfy),
    ("email", |value| email::read(value).map(|email| ChannelKind::Email(Box::new(email)))),
    ("exec", exec),
];

/// The channel that `table` describes.
pub(super) fn read(table: Table<'_>) -> Option<Channel> {
    let id = own_id(&table);
    let kind = kind(&table);
    let template = table.get_or("template", Texts::default(), texts);
    table.finish();
    Some(Channel { id: id?, kind: kind?, template: template? })
}

/// The one way in which a channel is reached.
fn kind(table: &Table<'_>) -> Option<ChannelKind> {
    let mut ways = KINDS.iter().filter_map(|(key, read)| table.get(key).map(|value| (read(&value), value)));
    let Some((first, _)) = ways.next() else {
        let keys = KINDS.map(|(key, _)| key).join(", ");
        let mend = format!("write one of {keys}: slack = {{ url = {{ env = \"NINES_SLACK_URL\" }} }}");
        table.notes.error(&table.spot, "nothing says how it is reached", Some(mend));
        return None;
    };
    let mut alone = true;
    for (_, value) in ways {
        let mend = "make a second [[channel]] of it; a route names as many as you like".to_owned();
        value.notes.error(&value.spot, "a channel is reached in one way", Some(mend));
        alone = false;
    }
    first.filter(|_| alone)
}

fn texts(value: &Value<'_>) -> Option<Texts> {
    let table = value.table()?;
    let title = table.get_if("title", Value::parse);
    let body = table.get_if("body", Value::parse);
    table.finish();
    Some(Texts { title: title?, body: body? })
}

fn webhook(value: &Value<'_>) -> Option<ChannelKind> {
    let table = value.table()?;
    let url = table.need("url", "write where it is posted to: url = \"https://hooks.example/nines\"");
    let url = url.and_then(|value| address(&value, NAMED_ADDRESS));
    let secret = table.get_if("secret", secret::read);
    if let Some(None) = secret {
        let mend = "add secret = { env = \"…\" }; the receiver checks the signature with it".to_owned();
        table.notes.warn(
            &table.spot,
            "alerts are not signed, so the receiver can't tell them from forged ones",
            Some(mend),
        );
    }
    table.finish();
    Some(ChannelKind::Webhook { url: url?, secret: secret? })
}

fn pagerduty(value: &Value<'_>) -> Option<ChannelKind> {
    let table = value.table()?;
    let mend = "write where the integration's key is: routing_key = { env = \"NINES_PAGERDUTY_KEY\" }";
    let routing_key = table.need("routing_key", mend).and_then(|value| secret::read(&value));
    let default = PAGERDUTY.parse().expect("it is a URL");
    let url = table.get_or("url", default, |value| web_address(value, None));
    table.finish();
    Some(ChannelKind::Pagerduty { routing_key: routing_key?, url: url? })
}

fn ntfy(value: &Value<'_>) -> Option<ChannelKind> {
    let server = server(value, "https://ntfy.sh/topic")?;
    if let Address::Open(url) = &server.url
        && ntfy_topic(url).is_none()
    {
        let spot = value.table()?.spot_of("url").unwrap_or_else(|| value.spot.clone());
        let mend = "write the server and the topic: https://ntfy.sh/topic".to_owned();
        value.notes.error(&spot, "this address names no topic", Some(mend));
        return None;
    }
    Some(ChannelKind::Ntfy(server))
}

fn exec(value: &Value<'_>) -> Option<ChannelKind> {
    let table = value.table()?;
    let command = table.need("command", "write the program and its arguments: command = [\"/usr/local/bin/notify\"]");
    let command = command.and_then(|value| {
        let mut command = value.list(Value::words)?;
        // A program that is named by a path is where the file says, wherever the server was started.
        if command[0].contains('/') {
            let path = value.notes.resolve(&command[0]);
            command[0] = value.accept(path.into_os_string().into_string().map_err(|_odd| "the path is not text"))?;
        }
        Some(command)
    });
    let timeout_ms = table.get_or("timeout", DEFAULT_EXEC_TIMEOUT_MS, |value| {
        let ms = value.duration_ms()?;
        let fits = (1..=MAX_EXEC_TIMEOUT_MS).contains(&ms);
        value.accept(if fits { Ok(ms) } else { Err("a program has between 1ms and 1m") })
    });
    table.finish();
    Some(ChannelKind::Exec { command: command?, timeout_ms: timeout_ms? })
}

/// `{ url = { env = … } }`: an address that lets whoever knows it write to the channel.
fn secret_url(value: &Value<'_>) -> Option<nines_shared::secret::Secret> {
    let table = value.table()?;
    let mend = "write where the webhook's address is: url = { env = \"NINES_CHANNEL_URL\" }";
    let url = table.need("url", mend);
    table.finish();
    let url = url?;
    if !url.is_table() {
        let mend = "name where it is instead: url = { env = \"NINES_CHANNEL_URL\" } or { file = \"/run/secrets/url\" }";
        url.notes.error(
            &url.spot,
            "who knows this address can write to the channel: it is a secret",
            Some(mend.into()),
        );
        return None;
    }
    secret::read(&url)
}

/// A server that an operator may run, such as the one at `example`.
fn server(value: &Value<'_>, example: &str) -> Option<Server> {
    let table = value.table()?;
    let url = table.need("url", &format!("write where it is: url = \"{example}\""));
    let url = url.and_then(|value| address(&value, NAMED_ADDRESS));
    let token = table.get("token");
    let basic = table.get("basic_auth");
    if let (Some(_), Some(basic)) = (&token, &basic) {
        basic.error("there is a token too; leave one of them out");
    }
    // Where one of them is there and wrong that is noted, and the file is refused.
    let token = token.and_then(|value| secret::read(&value).map(HttpAuth::Bearer));
    let auth = token.or_else(|| basic.and_then(|value| basic_auth(&value)));
    let ca_pem = table.get_if("ca", ca::read);
    table.finish();
    Some(Server { url: url?, auth, ca_pem: ca_pem? })
}

/// What mends a channel's address that holds a secret.
const NAMED_ADDRESS: &str = "write where the whole address is instead: url = { env = \"NINES_HOOK_URL\" }";

/// A web address, or where it is. `mend` says how one is written that holds a secret.
pub(super) fn address(value: &Value<'_>, mend: &str) -> Option<Address> {
    if value.is_table() {
        return secret::read(value).map(Address::Secret);
    }
    web_address(value, Some(mend)).map(Address::Open)
}

#[cfg(test)]
mod tests;
