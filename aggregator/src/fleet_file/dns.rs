//! `check.dns`: a question to one server and what is expected of the answer.

mod dnssec;
mod expect;

use nines_shared::check::{Agreement, DnsQuestion, DnsServers, RecordType};

use super::ca;
use super::reader::{Table, Value};

const AGREEMENTS: &[(&str, Agreement)] = &[("serial", Agreement::Serial), ("answers", Agreement::Answers)];

/// The port of name servers.
const PORT: u16 = 53;

/// The question that `value` describes; as with HTTP, what is wrong is noted and stood in for.
pub(super) fn read(value: &Value<'_>) -> Option<DnsQuestion> {
    let table = value.table()?;
    let name = table.need("name", "write the name to ask for: name = \"shop.example\"");
    let record_type = table.get_or("type", RecordType::A, Value::parse);
    let question = DnsQuestion {
        name: name.and_then(|value| value.text()).unwrap_or("stand-in.invalid").to_owned(),
        record_type: record_type.unwrap_or(RecordType::A),
        server: table.get("server").and_then(|value| value.parse()),
        servers: servers(&table),
        agree: table.get("agree").and_then(|value| value.one_of(AGREEMENTS)),
        ca_pem: table.get("ca").and_then(|value| ca::read(&value)),
        recursion: table.get("recursion").and_then(|value| value.flag()).unwrap_or(true),
        dnssec: table.get("dnssec").and_then(|value| dnssec::read(&value)),
        expect: table.get("expect").and_then(|value| expect::read(&value, record_type)).unwrap_or_default(),
    };
    table.finish();
    Some(question)
}

/// A list, or `"authoritative"`: all that speak for the zone, at `port`.
fn servers(table: &Table<'_>) -> Option<DnsServers> {
    let port = table.get("port");
    let value = table.get("servers");
    if let Some(value) = value.as_ref().filter(|value| value.peek().is_some()) {
        value.one_of(&[("authoritative", ())])?;
        return Some(DnsServers::Authoritative { port: port.map_or(Some(PORT), |port| port.whole())? });
    }
    if let Some(port) = port {
        port.error("only servers = \"authoritative\" has a port of its own; write it after an address, as in udp://192.0.2.53:53");
    }
    value?.list(Value::parse).map(DnsServers::Named)
}
