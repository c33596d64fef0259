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
    table.finish();
    Some(TlsQuestion { address: address?, reach: reach?, server_name: server_name?, ca_pem: ca_pem?, expect: expect? })
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
    table.finish();
    Some(TlsExpect { valid_for_ms: valid_for_ms?, min_version: min_version? })
}
