//! PURE: records as zone files write them, and what people write brought into the same form.
//!
//! One table says of which fields a type's data is made, so that an answer and an expected answer are
//! equal where they mean the same: names in lower case without the last dot, addresses as usual, hex in
//! capitals and base64 without spaces, the strings of a TXT record joined, the parameters of SVCB in order.
//! Whatever a server sends becomes one clean line.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general form"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE64, HEXUPPER};
use hickory_proto::dnssec::PublicKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{CAA, NAPTR, SOA, SRV, TLSA, TXT};
use hickory_proto::rr::{Name, RData, RecordType as ProtoType};
use nines_shared::check::RecordType;
use nines_shared::sample::clean;

/// No record's text is longer: data is at most 64 KiB, and no byte becomes more than three.
const MAX_TEXT: usize = 3 << 16;

pub(super) const fn proto_type(record_type: RecordType) -> ProtoType {
    match record_type {
        RecordType::A => ProtoType::A,
        RecordType::Aaaa => ProtoType::AAAA,
        RecordType::Caa => ProtoType::CAA,
        RecordType::Cname => ProtoType::CNAME,
        RecordType::Dnskey => ProtoType::DNSKEY,
        RecordType::Ds => ProtoType::DS,
        RecordType::Https => ProtoType::HTTPS,
        RecordType::Mx => ProtoType::MX,
        RecordType::Naptr => ProtoType::NAPTR,
        RecordType::Ns => ProtoType::NS,
        RecordType::Ptr => ProtoType::PTR,
        RecordType::Soa => ProtoType::SOA,
        RecordType::Srv => ProtoType::SRV,
        RecordType::Svcb => ProtoType::SVCB,
        RecordType::Tlsa => ProtoType::TLSA,
        RecordType::Txt => ProtoType::TXT,
    }
}

/// A record's data; `None` for a type that can't be asked for.
pub(super) fn shown(data: &RData) -> Option<String> {
    Some(match data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(aaaa) => aaaa.0.to_string(),
        RData::CNAME(name) => shown_name(&name.0),
        RData::NS(name) => shown_name(&name.0),
        RData::PTR(name) => shown_name(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, shown_name(&mx.exchange)),
        RData::TXT(txt) => shown_txt(txt),
        RData::SOA(soa) => shown_soa(soa),
        RData::SRV(srv) => shown_srv(srv),
        RData::CAA(caa) => shown_caa(caa),
        RData::NAPTR(naptr) => shown_naptr(naptr),
        RData::TLSA(tlsa) => shown_tlsa(tlsa),
        RData::SVCB(svcb) => shown_svcb(svcb),
        RData::HTTPS(https) => shown_svcb(&https.0),
        RData::DNSSEC(DNSSECRData::DS(ds)) => shown_ds(ds),
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => shown_dnskey(key),
        _ => return None,
    })
}

pub(super) fn shown_name(name: &Name) -> String {
    bare_name(&name.to_ascii())
}

fn bare_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.strip_suffix('.') {
        Some("") | None => lower,
        Some(bare) => bare.to_owned(),
    }
}

fn shown_txt(txt: &TXT) -> String {
    text(&clean(&String::from_utf8_lossy(&txt.txt_data.concat()), MAX_TEXT))
}

fn shown_soa(soa: &SOA) -> String {
    let (mname, rname) = (shown_name(&soa.mname), shown_name(&soa.rname));
    format!("{mname} {rname} {} {} {} {} {}", soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
}

fn shown_srv(srv: &SRV) -> String {
    format!("{} {} {} {}", srv.priority, srv.weight, srv.port, shown_name(&srv.target))
}

fn shown_caa(caa: &CAA) -> String {
    let tag = word(&caa.tag.to_ascii_lowercase());
    format!("{} {tag} {}", caa.flags(), quoted(&lossy(&caa.value)))
}

fn shown_naptr(naptr: &NAPTR) -> String {
    let [flags, services, regexp] = [&naptr.flags, &naptr.services, &naptr.regexp].map(|field| quoted(&lossy(field)));
    let replacement = shown_name(&naptr.replacement);
    format!("{} {} {flags} {services} {regexp} {replacement}", naptr.order, naptr.preference)
}

fn shown_tlsa(tlsa: &TLSA) -> String {
    let [usage, selector, matching] = [tlsa.cert_usage.into(), tlsa.selector.into(), u8::from(tlsa.matching)];
    format!("{usage} {selector} {matching} {}", HEXUPPER.encode(&tlsa.cert_data))
}

fn shown_ds(ds: &DS) -> String {
    let (algorithm, digest) = (u8::from(ds.algorithm()), u8::from(ds.digest_type()));
    format!("{} {algorithm} {digest} {}", ds.key_tag(), HEXUPPER.encode(ds.digest()))
}

fn shown_dnskey(key: &DNSKEY) -> String {
    let public = key.public_key();
    // The protocol is 3 in every key (RFC 4034 §2.1.2).
    format!("{} 3 {} {}", key.flags(), u8::from(public.algorithm()), BASE64.encode(public.public_bytes()))
}

fn shown_svcb(svcb: &SVCB) -> String {
    let mut params: Vec<(u16, String)> = svcb.svc_params.iter().map(|(key, value)| param(*key, value)).collect();
    params.sort();
    let params: String = params.into_iter().map(|(_, param)| format!(" {param}")).collect();
    format!("{} {}{params}", svcb.svc_priority, shown_name(&svcb.target_name))
}

fn param(key: SvcParamKey, value: &SvcParamValue) -> (u16, String) {
    let list = |items: Vec<String>| items.join(",");
    let value = match value {
        SvcParamValue::Mandatory(keys) => list(keys.0.iter().map(|key| key_name(u16::from(*key))).collect()),
        SvcParamValue::Alpn(alpn) => list(alpn.0.iter().map(|id| word(id)).collect()),
        SvcParamValue::NoDefaultAlpn => String::new(),
        SvcParamValue::Port(port) => port.to_string(),
        SvcParamValue::Ipv4Hint(hint) => list(hint.0.iter().map(|a| a.0.to_string()).collect()),
        SvcParamValue::Ipv6Hint(hint) => list(hint.0.iter().map(|aaaa| aaaa.0.to_string()).collect()),
        SvcParamValue::EchConfigList(list) => BASE64.encode(&list.0),
        SvcParamValue::Unknown(bytes) => word(&lossy(&bytes.0)),
    };
    let number = u16::from(key);
    let name = key_name(number);
    (number, if value.is_empty() { name } else { format!("{name}={value}") })
}

/// The registered names of SVCB's parameters, by their numbers.
const KEYS: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

fn key_name(number: u16) -> String {
    KEYS.get(usize::from(number)).map_or_else(|| format!("key{number}"), |&name| name.to_owned())
}

fn key_number(name: &str) -> u16 {
    let known = KEYS.iter().position(|key| *key == name).and_then(|index| u16::try_from(index).ok());
    known.or_else(|| name.strip_prefix("key")?.parse().ok()).unwrap_or(u16::MAX)
}

fn lossy(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes), MAX_TEXT)
}

/// A text that is one word: what would end it is a `?`.
fn word(text: &str) -> String {
    let good = |c: char| if c.is_whitespace() || matches!(c, '"' | '\\' | '\0') { '?' } else { c };
    clean(text, MAX_TEXT).chars().map(good).collect()
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A TXT record's text: bare, and in quotes only where bare it would be read as something else.
fn text(joined: &str) -> String {
    if joined.is_empty() || joined.starts_with('"') || joined.trim() != joined {
        quoted(joined)
    } else {
        joined.to_owned()
    }
}

/// One field of a type's data.
#[derive(Clone, Copy)]
enum Field {
    /// A number or a word, in lower case.
    Word,
    Name,
    Quoted,
    /// All that is left, as hex in capitals.
    Hex,
    /// All that is left, as base64.
    Base64,
    /// All that is left, as parameters of SVCB.
    Params,
}

const fn fields(record_type: RecordType) -> &'static [Field] {
    use Field::{Base64, Hex, Name, Params, Quoted, Word};
    match record_type {
        RecordType::A | RecordType::Aaaa | RecordType::Txt => &[],
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => &[Name],
        RecordType::Mx => &[Word, Name],
        RecordType::Srv => &[Word, Word, Word, Name],
        RecordType::Soa => &[Name, Name, Word, Word, Word, Word, Word],
        RecordType::Caa => &[Word, Word, Quoted],
        RecordType::Naptr => &[Word, Word, Quoted, Quoted, Quoted, Name],
        RecordType::Ds | RecordType::Tlsa => &[Word, Word, Word, Hex],
        RecordType::Dnskey => &[Word, Word, Word, Base64],
        RecordType::Svcb | RecordType::Https => &[Word, Name, Params],
    }
}

/// `answer` as someone wrote it, in the form of [`shown`].
pub(super) fn normal(answer: &str, record_type: RecordType) -> String {
    let address = match record_type {
        RecordType::A => answer.trim().parse::<Ipv4Addr>().map(|v4| v4.to_string()).ok(),
        RecordType::Aaaa => answer.trim().parse::<Ipv6Addr>().map(|v6| v6.to_string()).ok(),
        _ => None,
    };
    address.unwrap_or_else(|| {
        let answer = clean(answer, MAX_TEXT);
        match (record_type, answer.trim()) {
            (RecordType::Txt, answer) if answer.starts_with('"') => text(&tokens(answer).concat()),
            (RecordType::Txt, answer) => text(answer),
            (_, answer) => normal_fields(answer, fields(record_type)),
        }
    })
}

fn normal_fields(answer: &str, fields: &[Field]) -> String {
    let mut left = tokens(answer).into_iter();
    let mut written = Vec::with_capacity(fields.len());
    for field in fields {
        match field {
            Field::Word => written.extend(left.next().map(|token| token.to_ascii_lowercase())),
            Field::Name => written.extend(left.next().map(|token| bare_name(&token))),
            Field::Quoted => written.extend(left.next().map(|token| quoted(&token))),
            Field::Hex => written.push(left.by_ref().collect::<String>().to_ascii_uppercase()),
            Field::Base64 => written.push(left.by_ref().collect()),
            Field::Params => {
                let mut params: Vec<(u16, String)> = left.by_ref().map(|param| normal_param(&param)).collect();
                params.sort();
                written.extend(params.into_iter().map(|(_, param)| param));
            }
        }
    }
    // What the type has no field for stays, so that it is equal to nothing.
    written.extend(left);
    written.join(" ")
}

fn normal_param(param: &str) -> (u16, String) {
    let (name, value) = param.split_once('=').unwrap_or((param, ""));
    let number = key_number(&name.to_ascii_lowercase());
    let name = if number == u16::MAX { name.to_ascii_lowercase() } else { key_name(number) };
    (number, if value.is_empty() { name } else { format!("{name}={value}") })
}

/// The words of a zone file's line; `"…"` keeps spaces and `\` the character after it.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token: Option<String> = None;
    let mut inside = false;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                inside = !inside;
                token.get_or_insert_default();
            }
            // Names keep their escapes: they are compared as they stand.
            '\\' => match characters.next() {
                Some(quoted) if inside => token.get_or_insert_default().push(quoted),
                next => token.get_or_insert_default().extend(std::iter::once('\\').chain(next)),
            },
            _ if c.is_whitespace() && !inside => tokens.extend(token.take()),
            _ => token.get_or_insert_default().push(c),
        }
    }
    tokens.extend(token);
    tokens
}

#[cfg(test)]
mod tests;
