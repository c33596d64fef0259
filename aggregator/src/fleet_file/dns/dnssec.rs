//! `check.dns.dnssec`: how the answer must be proven. Trust anchors travel with the check.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use nines_shared::check::{Anchors, Dnssec};

use super::super::reader::Value;

/// The largest file of trust anchors that is read, in bytes.
const MAX_ANCHOR_BYTES: u64 = 64 << 10;

/// `true`, or `{ anchor = …, allow_insecure = … }`; `None` where it is `false` or wrong.
pub(super) fn read(value: &Value<'_>) -> Option<Dnssec> {
    if !value.is_table() {
        return value.flag()?.then(Dnssec::default);
    }
    let table = value.table()?;
    let anchors = table.get_if("anchor", anchors);
    let allow_insecure = table.get_or("allow_insecure", false, Value::flag);
    table.finish();
    Some(Dnssec { anchors: anchors?, allow_insecure: allow_insecure? })
}

/// Records as text, or `{ file = … }`.
fn anchors(value: &Value<'_>) -> Option<Anchors> {
    if let Some(text) = value.peek() {
        return value.accept(text.parse());
    }
    let table = value.table()?;
    let file = table.need("file", "write where the records are: anchor = { file = \"anchor.txt\" }");
    table.finish();
    let file = file?;
    let path = file.path()?;
    let text = file.accept(bounded(&path).map_err(|error| format!("can't read {}: {error}", path.display())))?;
    file.accept(text.parse())
}

fn bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_ANCHOR_BYTES + 1).read_to_string(&mut text)?;
    Ok(text)
}
