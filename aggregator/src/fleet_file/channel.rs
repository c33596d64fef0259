//! `[[channel]]`: where alerts go.

use super::http::web_address;
use super::ids::own_id;
use super::reader::{Table, Value};
use super::secret;
use crate::definition::{Channel, ChannelKind};

/// The channel that `table` describes.
pub(super) fn read(table: Table<'_>) -> Option<Channel> {
    let id = own_id(&table);
    let webhook =
        table.need("webhook", "say how it is reached: webhook = { url = \"https://…\", secret = { env = \"…\" } }");
    let kind = webhook.and_then(|value| self::webhook(&value));
    table.finish();
    Some(Channel { id: id?, kind: kind? })
}

fn webhook(value: &Value<'_>) -> Option<ChannelKind> {
    let table = value.table()?;
    let url = table.need("url", "write where it is posted to: url = \"https://hooks.example/nines\"");
    let url = url.and_then(|value| web_address(&value, None));
    let secret = table.get_if("secret", secret::read);
    if let Some(None) = secret {
        let mend = "add secret = { env = \"…\" }; the receiver checks the signature with it".to_owned();
        table.notes.warn(
            &table.spot,
            "alerts are not signed, so the receiver can't tell them from forged ones",
            Some(mend),
        );
    }
    table.finish();
    Some(ChannelKind::Webhook { url: url?, secret: secret? })
}
