//! `nines export`: writes samples as NDJSON, in order of identity. The same samples give the same bytes, and
//! their SHA-256 is what reports print.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use nines_shared::id::{CheckId, CustomerId, ServiceId};
use nines_shared::time::{Clock, Span, Timestamp};
use rusqlite::Connection;

use super::when::Window;
use super::{Failure, Global, progress};
use crate::archive::Writer;
use crate::store::samples::days;
use crate::store::{Store, StoreError, definitions, samples};
use crate::words;

/// How many samples are written between two looks of the progress.
const STEP: u64 = 10_000;

/// Write samples as NDJSON, in a fixed order: the same samples give the same bytes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines export october.ndjson.zst --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z
  nines export --service shop --from -2h | jq .outcome
  nines export --service shop --from 2026-10-01T00:00:00Z --days

A report prints the export command whose `sha256sum` is its digest of samples.")]
pub struct Args {
    /// The file to write, zstd where it ends in .zst; - for stdout
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Not the samples, but what they come to: check, region, day, how many, SHA-256 of their lines
    #[arg(long)]
    days: bool,
    #[command(flatten)]
    window: Window,
    #[command(flatten)]
    selection: Selection,
}

/// Whose samples. Each option narrows; one given more than once names several.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Selection {
    /// Only samples of this customer's services
    #[arg(long, value_name = "ID")]
    pub customer: Vec<CustomerId>,
    /// Only samples of this service
    #[arg(long, value_name = "ID")]
    pub service: Vec<ServiceId>,
    /// Only samples of this check
    #[arg(long, value_name = "ID")]
    pub check: Vec<CheckId>,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] for an id that was never defined, [`Failure::Io`] where the file can't be written.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let span = args.window.span(Clock::system().now())?;
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let written = match args.days {
        true => export_days(&store, &args.selection, span, &args.file).map(|count| words::count(count, "day")),
        false => export(&store, &args.selection, span, &args.file).map(|count| format!("{count} samples")),
    };
    let written = match written {
        Ok(written) => written,
        // Whoever reads has seen enough: `nines export | head`.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => return Err(error.of(&args.file)),
    };
    if !crate::archive::is_stdio(&args.file) {
        anstream::println!("{written} in {}", args.file.display());
    }
    Ok(())
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file or the pipe can't be written.
    #[error("{0}")]
    Write(#[from] io::Error),
    /// An id that was never defined.
    #[error("{0}")]
    Unknown(String),
}

impl ExportError {
    fn of(self, path: &Path) -> Failure {
        match self {
            Self::Store(error) => error.into(),
            Self::Write(error) => Failure::Io(format!("{}: {error}", path.display())),
            Self::Unknown(what) => Failure::Usage(what),
        }
    }
}

/// Writes the samples of `selection` that are scheduled in `span` to `path`; tells how many. All of them are of one
/// snapshot, and memory does not grow with their number.
///
/// # Errors
/// [`ExportError`].
pub fn export(store: &Store, selection: &Selection, span: Span, path: &Path) -> Result<u64, ExportError> {
    let exported = store.read_blocking(|conn| {
        Ok(checks(conn, selection).and_then(|checks| {
            let mut writer = Writer::create(path)?;
            let bar = progress::count("samples");
            let mut count = 0_u64;
            samples::each_in_identity_order(conn, checks.as_deref(), span, |sample| {
                count += 1;
                if count.is_multiple_of(STEP) {
                    bar.set_position(count);
                }
                writer.write(sample).map_err(ExportError::Write)
            })?;
            bar.finish_and_clear();
            writer.finish()?;
            Ok(count)
        }))
    });
    exported?
}

/// Writes the list of days that reports have the digest of (`docs/METHOD.md`) to `path`, worked out from the samples;
/// tells how many. All of them are of one snapshot.
///
/// # Errors
/// [`ExportError`].
pub fn export_days(store: &Store, selection: &Selection, span: Span, path: &Path) -> Result<usize, ExportError> {
    let exported = store.read_blocking(|conn| {
        Ok(checks(conn, selection).and_then(|checks| {
            let mut writer = Writer::create(path)?;
            let spinner = progress::working("reading samples");
            let mut count = 0;
            days::each_line(conn, checks.as_deref(), span, |line| {
                count += 1;
                writer.write_line(line).map_err(ExportError::Write)
            })?;
            spinner.finish_and_clear();
            writer.finish()?;
            Ok(count)
        }))
    });
    exported?
}

/// The checks of `selection`, removed ones too, by the last definition of each; `None` for all of them.
///
/// # Errors
/// [`ExportError::Unknown`] with the id that was never defined.
pub fn checks(conn: &Connection, selection: &Selection) -> Result<Option<Vec<CheckId>>, ExportError> {
    if *selection == Selection::default() {
        return Ok(None);
    }
    let all = definitions::all_check_versions(conn)?;
    let mut wanted: Vec<(CheckId, ServiceId)> = Vec::with_capacity(all.len());
    for (id, versions) in all {
        wanted.extend(versions.last().map(|version| (id, version.check.service.clone())));
    }
    let ever = Span { from: Timestamp::MIN, to: Timestamp::MAX };
    if !selection.customer.is_empty() {
        let mut services = BTreeSet::new();
        for customer in &selection.customer {
            let theirs = definitions::services_of(conn, customer, ever)?;
            known(!theirs.is_empty(), "customer with services", customer)?;
            services.extend(theirs);
        }
        wanted.retain(|(_check, service)| services.contains(service));
    }
    if !selection.service.is_empty() {
        for id in &selection.service {
            known(wanted.iter().any(|(_check, service)| service == id), "service with checks", id)?;
        }
        wanted.retain(|(_check, service)| selection.service.contains(service));
    }
    if !selection.check.is_empty() {
        for id in &selection.check {
            known(wanted.iter().any(|(check, _service)| check == id), "check", id)?;
        }
        wanted.retain(|(check, _service)| selection.check.contains(check));
    }
    Ok(Some(wanted.into_iter().map(|(check, _service)| check).collect()))
}

fn known(is: bool, what: &str, id: &impl std::fmt::Display) -> Result<(), ExportError> {
    if is { Ok(()) } else { Err(ExportError::Unknown(format!("there is no {what} {id} in what is selected"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{check, fleet, sample, store};

    const EVER: Span = Span { from: Timestamp::MIN, to: Timestamp::MAX };

    fn filled() -> (tempfile::TempDir, Store) {
        let (folder, store) = store();
        let fleet = fleet(vec![check("shop-home", 60_000, &["eu-west"]), check("shop-dns", 60_000, &["eu-west"])]);
        let dns = |at| nines_shared::sample::Sample { check: "shop-dns".parse().unwrap(), ..sample("eu-west", at) };
        let both = [sample("eu-west", 2_000), dns(1_000), sample("eu-west", 1_000)];
        let write = store.write_blocking(move |tx| {
            definitions::load(tx, &fleet, Timestamp::from_ms(0))?;
            samples::insert(tx, &both, Timestamp::from_ms(0))
        });
        write.unwrap();
        (folder, store)
    }

    fn exported(store: &Store, folder: &Path, selection: &Selection, span: Span) -> String {
        let path = folder.join("out.ndjson");
        export(store, selection, span, &path).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_digest_of_the_samples_is_that_of_the_bytes_exported() {
        let (folder, store) = filled();
        let text = exported(&store, folder.path(), &Selection::default(), EVER);
        let hash = crate::fingerprint::of(text.as_bytes());
        assert_eq!(store.read_blocking(samples::content_digest).unwrap(), hash);
        let order: Vec<&str> = text.lines().map(|line| &line[..20]).collect();
        assert_eq!(order, [r#"{"check":"shop-dns","#, r#"{"check":"shop-home""#, r#"{"check":"shop-home""#]);
    }

    #[test]
    fn the_days_of_an_export_are_what_its_lines_come_to() {
        let (folder, store) = filled();
        let path = folder.path().join("days.txt");
        let second = Span::new(Timestamp::from_ms(1_000), Timestamp::from_ms(2_000));
        assert_eq!(export_days(&store, &Selection::default(), second, &path).unwrap(), 2);
        let text = exported(&store, folder.path(), &Selection::default(), second);
        let digest = |line: &str| crate::fingerprint::of(format!("{line}\n").as_bytes()).replace("sha256:", "");
        let expected: Vec<String> = ["shop-dns", "shop-home"]
            .iter()
            .zip(text.lines())
            .map(|(check, line)| format!("{check} eu-west 0 1 {}\n", digest(line)))
            .collect();
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected.concat());
    }

    #[test]
    fn each_option_narrows_what_is_exported() {
        let (folder, store) = filled();
        let count = |selection: Selection, span| exported(&store, folder.path(), &selection, span).lines().count();
        let shop = Selection { service: vec!["shop".parse().unwrap()], ..Selection::default() };
        assert_eq!(count(shop.clone(), EVER), 3);
        assert_eq!(count(Selection { customer: vec!["acme".parse().unwrap()], ..shop.clone() }, EVER), 3);
        assert_eq!(count(Selection { check: vec!["shop-home".parse().unwrap()], ..shop.clone() }, EVER), 2);
        let second = Span::new(Timestamp::from_ms(1_000), Timestamp::from_ms(2_000));
        assert_eq!(count(shop, second), 2);
    }

    #[test]
    fn an_id_that_never_was_is_named_and_nothing_is_written() {
        let (folder, store) = filled();
        let path = folder.path().join("none.ndjson");
        for selection in [
            Selection { customer: vec!["nobody".parse().unwrap()], ..Selection::default() },
            Selection { service: vec!["nobody".parse().unwrap()], ..Selection::default() },
            Selection { check: vec!["nobody".parse().unwrap()], ..Selection::default() },
        ] {
            let error = export(&store, &selection, EVER, &path).unwrap_err();
            assert!(matches!(&error, ExportError::Unknown(what) if what.contains("nobody")), "{error}");
        }
        assert!(!path.exists());
    }
}
