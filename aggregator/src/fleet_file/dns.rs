//! `check.dns`: a question to one server and what is expected of the answer.

mod dnssec;
mod expect;

use nines_shared::check::{DnsQuestion, RecordType};

use super::ca;
use super::reader::Value;

/// The question that `value` describes; as with HTTP, what is wrong is noted and stood in for.
pub(super) fn read(value: &Value<'_>) -> Option<DnsQuestion> {
    let table = value.table()?;
    let name = table.need("name", "write the name to ask for: name = \"shop.example\"");
    let record_type = table.get_or("type", RecordType::A, Value::parse);
    let question = DnsQuestion {
        name: name.and_then(|value| value.text()).unwrap_or("stand-in.invalid").to_owned(),
        record_type: record_type.unwrap_or(RecordType::A),
        server: table.get("server").and_then(|value| value.parse()),
        ca_pem: table.get("ca").and_then(|value| ca::read(&value)),
        recursion: table.get("recursion").and_then(|value| value.flag()).unwrap_or(true),
        dnssec: table.get("dnssec").and_then(|value| dnssec::read(&value)),
        expect: table.get("expect").and_then(|value| expect::read(&value, record_type)).unwrap_or_default(),
    };
    table.finish();
    Some(question)
}
