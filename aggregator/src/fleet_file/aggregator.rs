//! `[aggregator]`: where it listens and keeps its data. Everything has a default.

use std::net::SocketAddr;

use nines_shared::check::Pace;

use super::pace;
use super::reader::{Table, Value};
use crate::definition::AggregatorSettings;

/// How long a probe's certificate is good where nobody says, in ms: a key that is lost is worth little soon.
const CERTIFICATES_MS: i64 = 30 * DAY_MS;
/// The shortest life of one, in ms: below it a probe would do nothing else.
const SHORTEST_CERTIFICATES_MS: i64 = 10_000;
/// The longest, in ms.
const LONGEST_CERTIFICATES_MS: i64 = 365 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

/// The settings that `table` describes, with `notes.resolve` for the default database; and how often a target may be
/// asked, which nobody needs to know once the file is good.
pub(super) fn read(root: &Table<'_>) -> Option<(AggregatorSettings, Pace)> {
    let Some(value) = root.get("aggregator") else { return Some((default(root), pace::UNSAID)) };
    let table = value.table()?;
    let default = default(root);
    let probes = table.get_or("probes", default.probes, listen);
    let web = table.get_or("web", default.web, listen);
    let database = table.get_or("database", default.database, Value::path);
    let public_url = table.get_if("public_url", public_url);
    let probes_url = table.get_if("probes_url", probes_url);
    let allow = table.get_or("webhook_allow", Vec::new(), |value| value.list(network));
    let heartbeat = table.get_if("heartbeat", super::heartbeat::read);
    let certificates = table.get_or("probe_certificates", default.probe_certificates_ms, certificates);
    let pace = table.get_or("target_min_interval", pace::UNSAID, pace::read);
    table.finish();
    let settings = AggregatorSettings {
        probes: probes?,
        web: web?,
        database: database?,
        public_url: public_url?,
        probes_url: probes_url?,
        webhook_allow: allow?,
        heartbeat: heartbeat?,
        probe_certificates_ms: certificates?,
    };
    Some((settings, pace?))
}

fn default(root: &Table<'_>) -> AggregatorSettings {
    AggregatorSettings {
        probes: SocketAddr::from(([0, 0, 0, 0], 7443)),
        web: SocketAddr::from(([127, 0, 0, 1], 8080)),
        database: root.notes.resolve("nines.db"),
        public_url: None,
        probes_url: None,
        webhook_allow: Vec::new(),
        heartbeat: None,
        probe_certificates_ms: CERTIFICATES_MS,
    }
}

fn listen(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    let read = text.parse();
    value.accept(read.map_err(|_other| {
        format!(
            "{text:?} is not an address to listen on; write ADDRESS:PORT, such as \"127.0.0.1:8080\" or \"[::]:7443\""
        )
    }))
}

fn certificates(value: &Value<'_>) -> Option<i64> {
    let life_ms = value.duration_ms()?;
    let fits = (SHORTEST_CERTIFICATES_MS..=LONGEST_CERTIFICATES_MS).contains(&life_ms);
    let why = "certificates of probes live 10s to 365d; leave the key out for 30d";
    value.accept(if fits { Ok(life_ms) } else { Err(why) })
}

fn public_url(value: &Value<'_>) -> Option<url::Url> {
    super::http::web_address(value, None)
}

fn probes_url(value: &Value<'_>) -> Option<url::Url> {
    let text = value.text()?;
    let bare = |url: &url::Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = |url: &url::Url| url.username().is_empty() && url.password().is_none();
    let fits = |url: &url::Url| url.scheme() == "https" && url.has_host() && bare(url) && anonymous(url);
    let read = text.parse::<url::Url>().ok().filter(fits);
    value.accept(read.ok_or_else(|| {
        format!(
            "{text:?} is not where probes can talk; write https://HOST:PORT, such as \"https://nines.example:7443\""
        )
    }))
}

fn network(value: &Value<'_>) -> Option<ipnet::IpNet> {
    let text = value.text()?;
    let one = text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    let read = text.parse().or(one);
    value.accept(
        read.map_err(|_other| format!("{text:?} is not a network; write one such as \"10.0.0.0/8\" or \"192.0.2.7\"")),
    )
}
