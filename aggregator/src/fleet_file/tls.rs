//! `check.tls`: a handshake and what is expected of the chain.

use nines_shared::check::{HostPort, OcspExpect, StartTls, TlsExpect, TlsQuestion, TlsVersion};

use super::reader::Value;
use super::{ca, client_certificate, reach};

/// Below these no handshake is made, so that nothing older can be the lowest that is acceptable.
const SPOKEN: &[(&str, TlsVersion)] = &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
const VERSIONS: &[(&str, TlsVersion)] =
    &[("1.0", TlsVersion::Tls10), ("1.1", TlsVersion::Tls11), ("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
const OCSP: &[(&str, OcspExpect)] = &[("stapled", OcspExpect::Stapled), ("good", OcspExpect::Good)];
const STARTTLS: &[(&str, StartTls)] =
    &[("smtp", StartTls::Smtp), ("imap", StartTls::Imap), ("pop3", StartTls::Pop3), ("postgres", StartTls::Postgres)];

/// The question that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<TlsQuestion> {
    let table = value.table()?;
    let address = table.need("address", "write where to connect: address = \"shop.example:443\"");
    let starttls = table.get_if("starttls", |value| value.one_of(STARTTLS));
    let ports = table.get_or("ports", Vec::new(), |value| value.list(Value::whole::<u16>));
    let first = ports.as_ref().and_then(|ports| ports.first().copied());
    let address = address.and_then(|value| where_to(&value, starttls.flatten(), first));
    let reach = reach::read(&table);
    let server_name = table.get_if("server_name", server_name);
    let ca_pem = table.get_if("ca", ca::read);
    let client_certificate = table.get_if("client_certificate", client_certificate::read);
    let expect = table.get_or("expect", TlsExpect::default(), expect);
    let pinned = expect.as_ref().is_some_and(|expect| !expect.pins.is_empty());
    let verify = table.get_or("verify", true, |value| verify(value, pinned));
    table.finish();
    Some(TlsQuestion {
        reach: reach?,
        server_name: server_name?,
        ca_pem: ca_pem?,
        starttls: starttls?,
        ports: ports?,
        client_certificate: client_certificate?,
        verify: verify?,
        expect: expect?,
        ..TlsQuestion::at(address?)
    })
}

/// Where to connect; the port may be left to STARTTLS's protocol, and must be where there are several.
fn where_to(value: &Value<'_>, starttls: Option<StartTls>, first: Option<u16>) -> Option<HostPort> {
    let text = value.text()?;
    let (host, port) = (url::Host::parse(text), first.or(starttls.map(StartTls::port)));
    match (host, port) {
        (Err(_), _) if first.is_some() => {
            value.error(format!("{text:?} is not a host; the ports are named by ports"));
            None
        }
        (Ok(host), Some(port)) => Some(HostPort { host, port }),
        (Ok(_) | Err(_), _) => value.parse(),
    }
}

fn verify(value: &Value<'_>, pinned: bool) -> Option<bool> {
    let verify = value.flag()?;
    if !verify && !pinned {
        let mend = "pin its key: expect = { pins = [\"sha256/…\"] }, or trust its authority: ca = { file = … }";
        value.notes.warn(&value.spot, "anybody can answer for this target and be up", Some(mend.to_owned()));
    }
    Some(verify)
}

/// A name that a certificate can be for.
fn server_name(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = rustls::pki_types::ServerName::try_from(text).is_ok();
    if !good {
        value.error(format!("{text:?} is not a host's name or address"));
    }
    good.then(|| text.to_owned())
}

pub(super) fn expect(value: &Value<'_>) -> Option<TlsExpect> {
    let table = value.table()?;
    let valid_for_ms = table.get_if("valid_for", Value::duration_ms);
    let min_version = table.get_if("min_version", |value| value.one_of(SPOKEN));
    let alpn = table.get_if("alpn", Value::words);
    let issuer = table.get_if("issuer", Value::words);
    let names = table.get_or("names", Vec::new(), |value| value.list(server_name));
    let pins = table.get_or("pins", Vec::new(), |value| value.list(Value::parse));
    let ocsp = table.get_if("ocsp", |value| value.one_of(OCSP));
    let versions = |key| table.get_or(key, Vec::new(), |value| value.list(|item| item.one_of(VERSIONS)));
    let (versions, refuses) = (versions("versions"), versions("refuses"));
    let suites = |key| table.get_or(key, Vec::new(), |value| value.list(Value::parse));
    let (ciphers, refuses_ciphers) = (suites("ciphers"), suites("refuses_ciphers"));
    table.finish();
    Some(TlsExpect {
        valid_for_ms: valid_for_ms?,
        min_version: min_version?,
        alpn: alpn?,
        issuer: issuer?,
        names: names?,
        pins: pins?,
        versions: versions?,
        refuses: refuses?,
        ciphers: ciphers?,
        refuses_ciphers: refuses_ciphers?,
        ocsp: ocsp?,
    })
}
