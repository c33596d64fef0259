//! `[report]`: how reports look, the key that they are signed with, and where frozen ones are put. And logos, which
//! customers may have too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::reader::{Table, Value};
use crate::definition::ReportSettings;
use crate::definition::look::{Colour, Logo, MAX_LOGO_BYTES};

/// The settings that `[report]` describes, without customers' logos. Everything has a default.
pub(super) fn read(root: &Table<'_>) -> Option<ReportSettings> {
    let Some(value) = root.get("report") else { return Some(ReportSettings::default()) };
    let table = value.table()?;
    let key = table.get_if("key", Value::path);
    let folder = table.get_if("folder", Value::path);
    let accent = table.get_if("accent", colour);
    let logo = table.get_if("logo", logo);
    table.finish();
    Some(ReportSettings { key: key?, folder: folder?, accent: accent?, logo: logo?, logos: BTreeMap::new() })
}

fn colour(value: &Value<'_>) -> Option<Colour> {
    let text = value.text()?;
    let Some(colour) = Colour::parse(text) else {
        value.error(format!("{text:?} is not a colour; write one such as \"#0a6b4f\""));
        return None;
    };
    if !colour.is_read_on_white() {
        value.error(format!(
            "{text:?} is too light to be read on white paper; choose a darker one, with a contrast of 4.5 to 1"
        ));
        return None;
    }
    Some(colour)
}

/// The logo that `logo = { file = … }` names.
pub(super) fn logo(value: &Value<'_>) -> Option<Logo> {
    let table = value.table()?;
    let file = table.need("file", "write where the logo is: logo = { file = \"logo.svg\" }");
    table.finish();
    let file = file?;
    let path = file.path()?;
    let bytes = file.accept(bounded(&path).map_err(|error| format!("can't read {}: {error}", path.display())))?;
    let logo = Logo::of(bytes);
    if logo.is_none() {
        file.error(format!("{} is neither SVG nor PNG", path.display()));
    }
    logo
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LOGO_BYTES + 1).read_to_end(&mut bytes)?;
    if MAX_LOGO_BYTES < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_LOGO_BYTES} bytes")));
    }
    Ok(bytes)
}
