//! `check.grpc`: a call of the health protocol, and what the service must say.

use nines_shared::check::{GrpcExpect, GrpcQuestion, Health};

use super::reader::Value;
use super::{ca, reach, secrets};

const STATUSES: &[(&str, Health)] = &[("SERVING", Health::Serving), ("NOT_SERVING", Health::NotServing)];

/// The question that `value` describes; as with HTTP, what is wrong is noted and stood in for.
pub(super) fn read(value: &Value<'_>) -> Option<GrpcQuestion> {
    let table = value.table()?;
    let address = table.need("address", "write where to connect: address = \"api.example:443\"");
    let harmless = GrpcQuestion::of("stand-in.invalid:443".parse().expect("it is an address"));
    let question = GrpcQuestion {
        address: address.and_then(|value| value.parse()).unwrap_or(harmless.address),
        reach: reach::read(&table).unwrap_or_default(),
        tls: table.get("tls").and_then(|value| value.flag()).unwrap_or(harmless.tls),
        service: table.get("service").and_then(|value| value.text()).unwrap_or_default().to_owned(),
        authority: table.get("authority").and_then(|value| value.parse()),
        metadata: table.get("metadata").map_or(harmless.metadata, |value| metadata(&value)),
        ca_pem: table.get("ca").and_then(|value| ca::read(&value)),
        expect: table.get("expect").and_then(|value| expect(&value)).unwrap_or_default(),
    };
    table.finish();
    Some(question)
}

/// Metadata, in the file's order.
fn metadata(value: &Value<'_>) -> Vec<(String, String)> {
    let entries = value.table().map(|table| table.entries()).unwrap_or_default();
    let mut metadata = Vec::new();
    for (name, value) in entries {
        if secrets::is_telling(name) {
            value.notes.warn(&value.spot, "this may be a secret, and is sent to every probe as it stands", None);
        }
        metadata.push((name.to_owned(), value.text().unwrap_or_default().to_owned()));
    }
    metadata
}

fn expect(value: &Value<'_>) -> Option<GrpcExpect> {
    let table = value.table()?;
    let status = table.get_or("status", Health::default(), |value| value.one_of(STATUSES));
    table.finish();
    Some(GrpcExpect { status: status? })
}
