//! `check.icmp`: echoes, and how many must come back.

use nines_shared::check::{IcmpExpect, IcmpQuestion};

use super::reach;
use super::reader::Value;

/// The question that `value` describes; as with HTTP, what is wrong is noted and stood in for.
pub(super) fn read(value: &Value<'_>) -> Option<IcmpQuestion> {
    let table = value.table()?;
    let host = table.need("host", "write whom to ask: host = \"shop.example\"");
    let harmless = IcmpQuestion::to("stand-in.invalid".parse().expect("it is a host"));
    let question = IcmpQuestion {
        host: host.and_then(|value| value.parse()).unwrap_or(harmless.host),
        reach: reach::read(&table).unwrap_or_default(),
        count: table.get("count").and_then(|value| value.whole()).unwrap_or(harmless.count),
        size: table.get("size").and_then(|value| value.whole()).unwrap_or(harmless.size),
        expect: table.get("expect").and_then(|value| expect(&value)).unwrap_or_default(),
    };
    table.finish();
    Some(question)
}

fn expect(value: &Value<'_>) -> Option<IcmpExpect> {
    let table = value.table()?;
    let max_loss = table.get_or("max_loss", 0, Value::whole);
    table.finish();
    Some(IcmpExpect { max_loss: max_loss? })
}
