//! `check.dns.expect`: what the answer must be.

use std::net::{Ipv4Addr, Ipv6Addr};

use nines_shared::check::{AnswerPattern, Bounds, DnsExpect, FlagsExpect, Rcodes, RecordType};

use super::super::http_expect;
use super::super::reader::{Table, Value};

/// The response codes of RFC 1035 and RFC 2136 that a check may expect.
const RCODES: &[(&str, &str)] = &[
    ("NOERROR", "NOERROR"),
    ("FORMERR", "FORMERR"),
    ("SERVFAIL", "SERVFAIL"),
    ("NXDOMAIN", "NXDOMAIN"),
    ("NOTIMP", "NOTIMP"),
    ("REFUSED", "REFUSED"),
];

pub(super) fn read(value: &Value<'_>, record_type: Option<RecordType>) -> Option<DnsExpect> {
    let table = value.table()?;
    let answers = |value: &Value<'_>| value.list(|item| answer(item, record_type));
    let lines = |value: &Value<'_>| value.list(|item| item.text().map(ToOwned::to_owned));
    let rcode = table.get_if("rcode", rcodes);
    let exactly = table.get_if("answers", answers);
    let contains = table.get_or("contains", Vec::new(), answers);
    let any_of = table.get_or("any_of", Vec::new(), answers);
    let matches = table.get_if("matches", pattern);
    let count = table.get_if("count", |value| bounds(value, |value| value.whole()));
    let ttl_s = table.get_if("ttl", |value| bounds(value, seconds));
    let serial = table.get_if("serial", at_least);
    let flags = table.get_or("flags", FlagsExpect::default(), flags);
    let authority = table.get_or("authority", Vec::new(), lines);
    let additional = table.get_or("additional", Vec::new(), lines);
    if let Some(Some(rcodes)) = &rcode {
        answers_of_nothing(&table, rcodes);
    }
    table.finish();
    Some(DnsExpect {
        rcode: rcode?,
        answers: exactly?,
        contains: contains?,
        any_of: any_of?,
        matches: matches?,
        count: count?,
        ttl_s: ttl_s?,
        serial_at_least: serial?,
        flags: flags?,
        authority: authority?,
        additional: additional?,
    })
}

/// One response code, or a list of which one must come.
fn rcodes(value: &Value<'_>) -> Option<Rcodes> {
    let codes = match value.peek() {
        Some(_) => vec![value.one_of(RCODES)?],
        None => value.list(|item| item.one_of(RCODES))?,
    };
    value.accept(codes.join("|").parse())
}

/// Notes what is expected of the answers of a response that has none.
fn answers_of_nothing(table: &Table<'_>, rcodes: &Rcodes) {
    if rcodes.contains("NOERROR") {
        return;
    }
    for key in ["answers", "contains", "any_of", "matches", "ttl", "serial"] {
        if let Some(spot) = table.spot_of(key) {
            table.notes.error(&spot, format!("a response with {rcodes} has no answers; leave {key} out"), None);
        }
    }
}

/// An answer as the type writes it.
fn answer(value: &Value<'_>, record_type: Option<RecordType>) -> Option<String> {
    let text = value.text()?;
    let fits = match record_type {
        Some(RecordType::A) => text.parse::<Ipv4Addr>().is_ok(),
        Some(RecordType::Aaaa) => text.parse::<Ipv6Addr>().is_ok(),
        Some(_) | None => !text.trim().is_empty(),
    };
    if !fits {
        let record_type = record_type.map_or("?", RecordType::code);
        value.error(format!("{text:?} can't be the answer to a question of type {record_type}"));
        return None;
    }
    Some(text.to_owned())
}

/// `{ any = regex }` or `{ every = regex }`.
fn pattern(value: &Value<'_>) -> Option<AnswerPattern> {
    let table = value.table()?;
    let any = table.get("any").map(|value| http_expect::regex(&value).map(AnswerPattern::Any));
    let every = table.get("every").map(|value| http_expect::regex(&value).map(AnswerPattern::Every));
    table.finish();
    match (any, every) {
        (Some(one), None) | (None, Some(one)) => one,
        (Some(_), Some(_)) | (None, None) => {
            let mend = "write any = \"…\" where one answer must match, every = \"…\" where each must".to_owned();
            table.notes.error(&table.spot, "wants exactly one of any and every", Some(mend));
            None
        }
    }
}

/// `{ min = …, max = … }`, one of them at least.
fn bounds(value: &Value<'_>, number: impl Fn(&Value<'_>) -> Option<u32>) -> Option<Bounds> {
    let table = value.table()?;
    let (min, max) = (table.get_if("min", &number), table.get_if("max", &number));
    table.finish();
    let bounds = Bounds { min: min?, max: max? };
    if bounds == Bounds::default() {
        table.notes.error(&table.spot, "wants min, max or both", None);
        return None;
    }
    Some(bounds)
}

/// A duration in whole seconds, which is what a TTL counts.
fn seconds(value: &Value<'_>) -> Option<u32> {
    let ms = value.duration_ms()?;
    let whole = (ms % 1_000 == 0).then(|| u32::try_from(ms / 1_000).ok()).flatten();
    if whole.is_none() {
        value.error("a TTL counts whole seconds, and fewer than 137 years; write one such as \"60s\" or \"1d\"");
    }
    whole
}

/// `{ at_least = … }`.
fn at_least(value: &Value<'_>) -> Option<u32> {
    let table = value.table()?;
    let serial = table.need("at_least", "write the lowest serial that is right: serial = { at_least = 2026112301 }");
    table.finish();
    serial?.whole()
}

fn flags(value: &Value<'_>) -> Option<FlagsExpect> {
    let table = value.table()?;
    let [aa, ad, ra, tc] = ["aa", "ad", "ra", "tc"].map(|flag| table.get_if(flag, Value::flag));
    table.finish();
    Some(FlagsExpect { aa: aa?, ad: ad?, ra: ra?, tc: tc? })
}
