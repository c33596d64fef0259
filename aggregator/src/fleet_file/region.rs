//! `[[region]]`: where we look from.

use super::ids::own_id;
use super::reader::{Table, Value};
use crate::definition::Region;

/// The region that `table` describes.
pub(super) fn read(table: Table<'_>) -> Option<Region> {
    let id = own_id(&table);
    let name = table.get_if("name", Value::words);
    table.finish();
    let id: nines_shared::id::RegionId = id?;
    Some(Region { name: name?.unwrap_or_else(|| id.to_string()), id })
}
