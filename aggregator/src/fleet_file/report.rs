//! `[report]`: how reports look, the key that they are signed with, and where frozen ones are put. And logos, which
//! customers may have too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::reader::{Table, Value};
use crate::definition::ReportSettings;
use crate::definition::look::{Colour, Logo, LogoFormat, MAX_LOGO_BYTES, MAX_LOGO_PIXELS, Pixels};

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

/// The logo that `logo = { file = …, paper = … }` names. What paper can't show is told at once, and not first by a
/// report.
pub(super) fn logo(value: &Value<'_>) -> Option<Logo> {
    let table = value.table()?;
    let file = table.need("file", "write where the logo is: logo = { file = \"logo.svg\" }");
    let paper = table.get_if("paper", |value| picture(value));
    table.finish();
    let file = file?;
    let bytes = read_file(&file)?;
    let logo = Logo::of(bytes).map(|logo| Logo { paper: paper.clone().flatten(), ..logo });
    match &logo {
        None => file.error(format!("{} is neither SVG nor PNG", file.path()?.display())),
        Some(logo) if paper.is_some() && logo.pixels().is_none() => match logo.format {
            LogoFormat::Png => {
                not_drawn(&file);
                return None;
            }
            LogoFormat::Svg => {
                let mend = "name a PNG of it too: logo = { file = \"logo.svg\", paper = \"logo.png\" }".to_owned();
                table.notes.warn(&file.spot, "a PDF can't show an SVG, so only HTML has this logo", Some(mend));
            }
        },
        Some(_) => {}
    }
    paper?;
    logo
}

/// The file of a PNG that can be drawn.
fn picture(value: &Value<'_>) -> Option<Vec<u8>> {
    let bytes = read_file(value)?;
    if Pixels::of(&bytes).is_none() {
        not_drawn(value);
        return None;
    }
    Some(bytes)
}

fn not_drawn(value: &Value<'_>) {
    value.error(format!("it is no whole PNG of at most {MAX_LOGO_PIXELS} pixels, so a PDF can't show it"));
}

fn read_file(value: &Value<'_>) -> Option<Vec<u8>> {
    let path = value.path()?;
    value.accept(bounded(&path).map_err(|error| format!("can't read {}: {error}", path.display())))
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LOGO_BYTES + 1).read_to_end(&mut bytes)?;
    if MAX_LOGO_BYTES < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_LOGO_BYTES} bytes")));
    }
    Ok(bytes)
}
