//! Where a secret is to be found: `{ env = … }` or `{ file = … }`. A literal is refused and never shown.

use super::reader::{Table, Value};
use nines_shared::secret::Secret;

const MEND: &str = "name where it is instead: { env = \"NINES_HOOK_SECRET\" } or { file = \"/run/secrets/hook\" }";

/// The place that `value` names.
pub(super) fn read(value: &Value<'_>) -> Option<Secret> {
    if !value.is_table() {
        value.notes.error(&value.spot, "a secret is never written into this file", Some(MEND.to_owned()));
        return None;
    }
    let table = value.table()?;
    of_table(&table)
}

/// The place that `table` names, which says nothing else than what was asked for before.
pub(super) fn of_table(table: &Table<'_>) -> Option<Secret> {
    let env = table.get_if("env", variable);
    let file = table.get_if("file", Value::path);
    table.finish();
    let (notes, spot) = (table.notes, &table.spot);
    match (env?, file?) {
        (Some(name), None) => Some(Secret::Env(name)),
        (None, Some(path)) => Some(Secret::File(path)),
        (Some(_), Some(_)) => {
            notes.error(spot, "a secret is in one place", Some("leave out env or file".to_owned()));
            None
        }
        (None, None) => {
            notes.error(spot, "where the secret is, is missing", Some(MEND.to_owned()));
            None
        }
    }
}

fn variable(value: &Value<'_>) -> Option<String> {
    let name = value.text()?;
    if name.is_empty() || name.contains(['=', '\0']) {
        value.error("is not the name of an environment variable");
        return None;
    }
    Some(name.to_owned())
}
