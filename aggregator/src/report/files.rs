//! Reports as files: whole or not there, and each with its signature beside it.
//!
//! A frozen revision has a name of its own, so that no file is ever written over by another's content.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nines_shared::id::CustomerId;

use super::Format;
use super::csv::{self, Table};
use super::life::Standing;
use super::model::{Report, State};
use super::sign::{self, Key};
use crate::definition::look::Look;
use crate::fingerprint;
use crate::uptime::calendar;

/// The ending of a file that is not whole yet.
const PARTIAL: &str = ".partial";

/// Writes `bytes` to `path`: under another name until they are whole and synced.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}{PARTIAL}", std::process::id()));
    let partial = PathBuf::from(partial);
    let mut file = File::create(&partial)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&partial, path)).inspect_err(
        |_told| {
            // What is left is of no use, and the error that is told is the first.
            let _left = fs::remove_file(&partial);
        },
    )
}

/// [`write()`], and before it the signature: whoever sees the file finds it signed.
///
/// # Errors
/// What the system says.
pub fn write_signed(path: &Path, bytes: &[u8], comment: &str, key: &Key) -> io::Result<()> {
    write(&sign::beside(path), key.sign(bytes, comment).as_bytes())?;
    write(path, bytes)
}

/// What a signature says of a report: the trusted comment of its file.
pub fn comment(report: &Report) -> String {
    let state = match report.state {
        State::Final => "final",
        State::Preliminary => "preliminary",
    };
    format!(
        "nines report of {} from {} to {} revision {} {state}",
        report.customer,
        calendar::utc_exact(report.from),
        calendar::utc_exact(report.to),
        report.revision
    )
}

/// What the files of a month's report are called, their ending apart: `acme-2026-10-r1`.
pub fn stem(report: &Report, month: &str) -> String {
    match report.state {
        State::Final => format!("{}-{month}-r{}", report.customer, report.revision),
        State::Preliminary => format!("{}-{month}-preliminary", report.customer),
    }
}

/// The file that is written last of all of a frozen revision's: where it is, they all are.
pub fn name_of_index(customer: &CustomerId, month: &str, revision: u32) -> String {
    format!("{customer}-{month}-r{revision}.json")
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    /// Its name.
    pub file: String,
    /// SHA-256 of it.
    pub digest: String,
}

/// What the file of a table is called: `acme-2026-10-r1.csv`, and but for the first one with its name,
/// `acme-2026-10-r1.days.csv`.
pub fn name_of_table(stem: &str, table: Table) -> String {
    if table == Table::default() { format!("{stem}.csv") } else { format!("{stem}.{}.csv", table.name()) }
}

/// Writes every table of a report into `folder`, a file each; signed where there is a key.
///
/// # Errors
/// What the system says.
pub fn write_tables(folder: &Path, stem: &str, report: &Report, key: Option<&Key>) -> io::Result<Vec<Written>> {
    let comment = comment(report);
    let write_one = |table| {
        let (file, bytes) = (name_of_table(stem, table), csv::render(report, table).into_bytes());
        match key {
            Some(key) => write_signed(&folder.join(&file), &bytes, &comment, key)?,
            None => write(&folder.join(&file), &bytes)?,
        }
        Ok(Written { file, digest: fingerprint::of(&bytes) })
    };
    Table::ALL.into_iter().map(write_one).collect()
}

/// Writes a month's report in every format and every table into `folder`, signed.
///
/// # Errors
/// What the system says.
pub fn publish(
    folder: &Path,
    standing: &Standing,
    month: &str,
    (key, look): (&Key, &Look),
) -> io::Result<Vec<Written>> {
    let (stem, comment) = (stem(&standing.report, month), comment(&standing.report));
    let mut written = write_tables(folder, &stem, &standing.report, Some(key))?;
    let formats = <Format as clap::ValueEnum>::value_variants();
    // JSON last: where it is, the others are.
    let others = formats.iter().filter(|format| !matches!(format, Format::Json | Format::Csv));
    for format in others.chain([&Format::Json]) {
        let ending =
            clap::ValueEnum::to_possible_value(format).map_or_else(String::new, |value| value.get_name().to_owned());
        let (file, bytes) = (format!("{stem}.{ending}"), standing.written(*format, look));
        write_signed(&folder.join(&file), &bytes, &comment, key)?;
        written.push(Written { file, digest: fingerprint::of(&bytes) });
    }
    Ok(written)
}
