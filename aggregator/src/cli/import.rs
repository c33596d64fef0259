//! `nines import`: takes samples in from NDJSON. The whole file or nothing, and the same file again changes
//! nothing.
//!
//! Where no server runs the file is one transaction. Through a running server it is read twice: once to judge every
//! line, and only then batch by batch to be stored, beside the probes' own.

mod alone;
mod served;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nines_shared::sample::Sample;
use nines_shared::time::{Clock, Span, Timestamp};

pub use alone::import;

use super::when::Window;
use super::{Failure, Global, progress};
use crate::acceptance::{Acceptance, MAX_IMPORT_AGE_MS};
use crate::archive::{self, BadLine, Reader};
use crate::store::samples::Inserted;
use crate::store::{Store, StoreError, definitions};

/// How many bad lines are told one by one.
const TOLD: usize = 20;

/// Take samples in from NDJSON; the same samples again change nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines import october.ndjson.zst                  zstd by the file's ending
  zcat old.gz | nines import - --from -90d         from a pipe, the last ninety days of it

Each line is a sample, as `nines export` writes them. Only check, region, kind, scheduled_at, started_at and
outcome are required; times are milliseconds since 1970 or RFC 3339. Checks and regions must be in the fleet file. A
file with a line that can't be taken is refused whole, unless --skip-bad says otherwise.")]
pub struct Args {
    /// The file to read; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    window: Window,
    /// Take the good lines of a file that has bad ones
    #[arg(long)]
    skip_bad: bool,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Io`] where the file can't be read or has bad lines, [`Failure::Unavailable`] where a process that is
/// no server has the database open.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let now = Clock::system().now();
    let span = args.window.span(now)?;
    let terms = |rules| Terms { rules, span, now, skip_bad: args.skip_bad };
    let imported = match Store::open(&fleet.aggregator.database) {
        Ok(store) => {
            let rules = store.write_blocking(move |tx| {
                definitions::load(tx, &fleet, now)?;
                rules(tx)
            })?;
            let terms = terms(rules);
            with_progress(&args.file, |reader| import(&store, reader, &terms))?
        }
        Err(StoreError::Taken { .. }) => {
            let store = Store::open_read_only(&fleet.aggregator.database)?;
            served::import(&fleet, &args.file, &terms(store.read_blocking(rules)?))?
        }
        Err(error) => return Err(error.into()),
    };
    anstream::eprint!("{}", told(&imported, &args.file));
    if imported.refused {
        let file = args.file.display();
        return Err(Failure::Io(format!(
            "{file}: nothing was imported; mend the lines, or leave them out with --skip-bad"
        )));
    }
    let Inserted { stored, same } = imported.inserted;
    anstream::println!("{stored} new, {same} already there");
    Ok(())
}

fn rules(conn: &rusqlite::Connection) -> Result<Acceptance, StoreError> {
    Ok(Acceptance::new(definitions::all_check_versions(conn)?, MAX_IMPORT_AGE_MS))
}

/// Opens the file, or stdin, and hands it to `read` under a bar.
fn with_progress<T>(path: &Path, read: impl FnOnce(&mut Reader<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let failed = |error: io::Error| Failure::Io(format!("{}: {error}", path.display()));
    if archive::is_stdio(path) {
        let bar = progress::count("bytes read");
        return read(&mut Reader::new(bar.wrap_read(io::stdin()), path).map_err(failed)?);
    }
    let file = File::open(path).map_err(failed)?;
    let bar = progress::bytes(file.metadata().map_err(failed)?.len());
    let result = read(&mut Reader::new(bar.wrap_read(file), path).map_err(failed)?);
    bar.finish_and_clear();
    result
}

/// On which terms samples are taken.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Which may be stored.
    pub rules: Acceptance,
    /// Only those scheduled in it are taken.
    pub span: Span,
    /// What time it is.
    pub now: Timestamp,
    /// Whether bad lines are left out, instead of refusing everything.
    pub skip_bad: bool,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What is stored now.
    pub inserted: Inserted,
    /// The first bad lines.
    pub bad: Vec<BadLine>,
    /// How many bad lines there were.
    pub bad_count: u64,
    /// Whether nothing was stored because of them.
    pub refused: bool,
}

impl Imported {
    fn note(&mut self, bad: BadLine) {
        self.bad_count += 1;
        if self.bad.len() < TOLD {
            self.bad.push(bad);
        }
    }
}

/// Hands every sample that the terms let in to `each`, until it answers `false`; the bad lines are noted.
fn judge_each(
    reader: &mut Reader<'_>,
    terms: &Terms,
    imported: &mut Imported,
    mut each: impl FnMut(Sample) -> bool,
) -> Result<(), Failure> {
    while let Some(line) =
        reader.next_line().map_err(|error| Failure::Io(format!("can't read the samples: {error}")))?
    {
        match line.and_then(|(number, sample)| judged(number, sample, terms)) {
            Ok(Some(sample)) => {
                if !each(sample) {
                    return Ok(());
                }
            }
            Ok(None) => {}
            Err(bad) => imported.note(bad),
        }
    }
    Ok(())
}

/// The sample, where it is in the window and may be stored.
fn judged(number: u64, sample: Sample, terms: &Terms) -> Result<Option<Sample>, BadLine> {
    if !terms.span.contains(sample.scheduled_at) {
        return Ok(None);
    }
    match terms.rules.judge(&sample, terms.now) {
        Ok(()) => Ok(Some(sample)),
        Err(why) => Err(BadLine { number, why: why.to_string() }),
    }
}

/// The bad lines for people: the first ones, then how many more.
fn told(imported: &Imported, path: &Path) -> String {
    let Imported { bad, bad_count, .. } = imported;
    let mut text: String =
        bad.iter().map(|line| format!("{}:{}: {}\n", path.display(), line.number, line.why)).collect();
    let more = bad_count.saturating_sub(bad.len().try_into().unwrap_or(u64::MAX));
    if more != 0 {
        text.push_str(&format!("{}: and {more} more bad lines\n", path.display()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;
    use crate::store::tests::{check, fleet, sample, store};

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn terms(store: &Store, skip_bad: bool) -> Terms {
        let fleet = fleet(vec![check("shop-home", 60_000, &["eu-west", "us-east"])]);
        let rules = store.write_blocking(move |tx| {
            definitions::load(tx, &fleet, NOW)?;
            Ok(Acceptance::new(definitions::all_check_versions(tx)?, MAX_IMPORT_AGE_MS))
        });
        let span = Span { from: Timestamp::MIN, to: Timestamp::MAX };
        Terms { rules: rules.unwrap(), span, now: NOW, skip_bad }
    }

    /// The lines of `count` good samples, more than a batch of them.
    fn lines(count: i64) -> String {
        let cadence = check("shop-home", 60_000, &["eu-west", "us-east"]).cadence(&"us-east".parse().unwrap()).unwrap();
        let last = cadence.at_or_before(NOW).as_ms();
        let line = |n: i64| samples::canonical(&sample("us-east", last - n * 60_000));
        (0..count).map(|n| line(n) + "\n").collect()
    }

    fn imported(store: &Store, text: &str, terms: &Terms) -> Result<Imported, Failure> {
        import(store, &mut Reader::new(text.as_bytes(), Path::new("-")).unwrap(), terms)
    }

    fn count(store: &Store) -> u64 {
        store.read_blocking(samples::count).unwrap()
    }

    #[test]
    fn the_same_file_again_changes_nothing() {
        let (_folder, store) = store();
        let (terms, text) = (terms(&store, false), lines(2_500));
        assert_eq!(imported(&store, &text, &terms).unwrap().inserted, Inserted { stored: 2_500, same: 0 });
        let digest = store.read_blocking(samples::content_digest).unwrap();
        assert_eq!(imported(&store, &text, &terms).unwrap().inserted, Inserted { stored: 0, same: 2_500 });
        assert_eq!(store.read_blocking(samples::content_digest).unwrap(), digest);
    }

    #[test]
    fn a_file_with_bad_lines_is_refused_whole_and_every_line_is_counted() {
        let (_folder, store) = store();
        let strangers = lines(30).replace("shop-home", "other");
        let text = format!("{}{strangers}not a sample\n", lines(1_500));
        let refused = imported(&store, &text, &terms(&store, false)).unwrap();
        assert!(refused.refused);
        assert_eq!((refused.bad_count, refused.bad.len()), (31, TOLD));
        assert_eq!(count(&store), 0);
        let said = told(&refused, Path::new("october.ndjson"));
        assert!(said.starts_with("october.ndjson:1501: check other is not defined"), "{said}");
        assert!(said.ends_with("october.ndjson: and 11 more bad lines\n"), "{said}");
        let taken = imported(&store, &text, &terms(&store, true)).unwrap();
        assert_eq!((taken.inserted.stored, taken.bad_count, taken.refused), (1_500, 31, false));
        assert_eq!(count(&store), 1_500);
    }

    #[test]
    fn where_reading_fails_in_the_middle_nothing_is_stored() {
        struct Broken<'a>(&'a [u8]);
        impl io::Read for Broken<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buffer)? {
                    0 => Err(io::ErrorKind::ConnectionReset.into()),
                    read => Ok(read),
                }
            }
        }
        let (_folder, store) = store();
        let (terms, text) = (terms(&store, false), lines(2_500));
        let mut reader = Reader::new(Broken(text.as_bytes()), Path::new("-")).unwrap();
        assert!(matches!(import(&store, &mut reader, &terms), Err(Failure::Io(_))));
        assert_eq!(count(&store), 0);
    }

    #[test]
    fn only_samples_of_the_window_are_taken() {
        let (_folder, store) = store();
        let span = Span::new(NOW.plus_ms(-600_000), NOW);
        let terms = Terms { span, ..terms(&store, false) };
        assert_eq!(imported(&store, &lines(100), &terms).unwrap().inserted.stored, 10);
    }

    #[test]
    fn a_database_that_a_server_has_open_is_not_imported_into() {
        let (folder, store) = store();
        let failure = Failure::from(Store::open(&folder.path().join("nines.db")).unwrap_err());
        assert!(matches!(&failure, Failure::Unavailable(what) if what.contains("another nines")), "{failure}");
        drop(store);
    }
}
