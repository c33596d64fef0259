//! `check.tcp`: a connection, and what the target must say over it.

use nines_shared::check::{TcpExpect, TcpQuestion};

use super::reader::Value;
use super::{ca, http_expect, reach};

/// The question that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<TcpQuestion> {
    let table = value.table()?;
    let address = table.need("address", "write where to connect: address = \"mail.example:25\"");
    let address = address.and_then(|value| value.parse());
    let reach = reach::read(&table);
    let tls = table.get_or("tls", false, Value::flag);
    let ca_pem = table.get_if("ca", ca::read);
    let send = table.get_if("send", text);
    let expect = table.get_or("expect", TcpExpect::default(), expect);
    table.finish();
    Some(TcpQuestion { address: address?, reach: reach?, tls: tls?, ca_pem: ca_pem?, send: send?, expect: expect? })
}

fn text(value: &Value<'_>) -> Option<String> {
    value.text().map(ToOwned::to_owned)
}

fn expect(value: &Value<'_>) -> Option<TcpExpect> {
    let table = value.table()?;
    let banner_starts = table.get_if("banner_starts", text);
    let banner_contains = table.get_if("banner_contains", text);
    let banner_matches = table.get_if("banner_matches", http_expect::regex);
    table.finish();
    Some(TcpExpect {
        banner_starts: banner_starts?,
        banner_contains: banner_contains?,
        banner_matches: banner_matches?,
    })
}
