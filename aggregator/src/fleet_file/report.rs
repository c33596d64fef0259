//! `[report]`: the key that reports are signed with, and where frozen ones are put.

use super::reader::{Table, Value};
use crate::definition::ReportSettings;

/// The settings that `root` has.
pub(super) fn read(root: &Table<'_>) -> Option<ReportSettings> {
    let Some(value) = root.get("report") else { return Some(ReportSettings::default()) };
    let table = value.table()?;
    let key = table.get_if("key", Value::path);
    let folder = table.get_if("folder", Value::path);
    table.finish();
    Some(ReportSettings { key: key?, folder: folder? })
}
