//! `check.dns`: a question to one server and what is expected of the answer.

use std::net::{Ipv4Addr, Ipv6Addr};

use nines_shared::check::{DnsExpect, DnsQuestion, RecordType};

use super::reader::{Table, Value};

/// The response codes of RFC 1035 and RFC 2136 that a check may expect.
const RCODES: &[(&str, &str)] = &[
    ("NOERROR", "NOERROR"),
    ("FORMERR", "FORMERR"),
    ("SERVFAIL", "SERVFAIL"),
    ("NXDOMAIN", "NXDOMAIN"),
    ("NOTIMP", "NOTIMP"),
    ("REFUSED", "REFUSED"),
];

/// The question that `value` describes; as with HTTP, what is wrong is noted and stood in for.
pub(super) fn read(value: &Value<'_>) -> Option<DnsQuestion> {
    let table = value.table()?;
    let name = table.need("name", "write the name to ask for: name = \"shop.example\"");
    let record_type = table.get_or("type", RecordType::A, Value::parse);
    let question = DnsQuestion {
        name: name.and_then(|value| value.text()).unwrap_or("stand-in.invalid").to_owned(),
        record_type: record_type.unwrap_or(RecordType::A),
        server: table.get("server").and_then(|value| value.parse()),
        expect: table.get("expect").and_then(|value| expect(&value, record_type)).unwrap_or_default(),
    };
    table.finish();
    Some(question)
}

fn expect(value: &Value<'_>, record_type: Option<RecordType>) -> Option<DnsExpect> {
    let table = value.table()?;
    let rcode = table.get_if("rcode", |value| value.one_of(RCODES));
    let answers = table.get_if("answers", |value| value.list(|item| answer(item, record_type)));
    if let (Some(Some(rcode)), Some(Some(_))) = (rcode, &answers) {
        answers_of_nothing(&table, rcode)?;
    }
    table.finish();
    Some(DnsExpect { rcode: rcode?.map(ToOwned::to_owned), answers: answers? })
}

fn answers_of_nothing(table: &Table<'_>, rcode: &str) -> Option<()> {
    if rcode == "NOERROR" {
        return Some(());
    }
    let spot = table.spot_of("answers").unwrap_or(table.spot.clone());
    table.notes.error(&spot, format!("a response with {rcode} has no answers; leave answers out"), None);
    None
}

/// An answer as the type writes it.
fn answer(value: &Value<'_>, record_type: Option<RecordType>) -> Option<String> {
    let text = value.text()?;
    let fits = match record_type {
        Some(RecordType::A) => text.parse::<Ipv4Addr>().is_ok(),
        Some(RecordType::Aaaa) => text.parse::<Ipv6Addr>().is_ok(),
        Some(RecordType::Cname | RecordType::Mx | RecordType::Txt | RecordType::Ns) | None => !text.is_empty(),
    };
    if !fits {
        let record_type = record_type.map_or("?", RecordType::code);
        value.error(format!("{text:?} can't be the answer to a question of type {record_type}"));
        return None;
    }
    Some(text.to_owned())
}
