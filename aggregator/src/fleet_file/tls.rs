//! `check.tls`: a handshake and what is expected of the chain.

use nines_shared::check::{TlsExpect, TlsQuestion, TlsVersion};

use super::reader::Value;
use super::{ca, reach};

const VERSIONS: &[(&str, TlsVersion)] = &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

/// The question that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<TlsQuestion> {
    let table = value.table()?;
    let address = table.need("address", "write where to connect: address = \"shop.example:443\"");
    let address = address.and_then(|value| value.parse());
    let reach = reach::read(&table);
    let server_name = table.get_if("server_name", server_name);
    let ca_pem = table.get_if("ca", ca::read);
    let expect = table.get_or("expect", TlsExpect::default(), expect);
    let pinned = expect.as_ref().is_some_and(|expect| !expect.pins.is_empty());
    let verify = table.get_or("verify", true, |value| verify(value, pinned));
    table.finish();
    Some(TlsQuestion {
        reach: reach?,
        server_name: server_name?,
        ca_pem: ca_pem?,
        verify: verify?,
        expect: expect?,
        ..TlsQuestion::at(address?)
    })
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

fn expect(value: &Value<'_>) -> Option<TlsExpect> {
    let table = value.table()?;
    let valid_for_ms = table.get_if("valid_for", Value::duration_ms);
    let min_version = table.get_if("min_version", |value| value.one_of(VERSIONS));
    let alpn = table.get_if("alpn", Value::words);
    let issuer = table.get_if("issuer", Value::words);
    let names = table.get_or("names", Vec::new(), |value| value.list(server_name));
    let pins = table.get_or("pins", Vec::new(), |value| value.list(Value::parse));
    table.finish();
    Some(TlsExpect {
        valid_for_ms: valid_for_ms?,
        min_version: min_version?,
        alpn: alpn?,
        issuer: issuer?,
        names: names?,
        pins: pins?,
    })
}
