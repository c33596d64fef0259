//! `nines backup`: a whole, checked copy of the database and of the key that signs reports.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Failure, Global, progress};
use crate::store::backup;

/// Readable by its owner alone.
const PRIVATE: u32 = 0o600;

/// Copy the database and the key of reports, beside a running server or without one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  nines backup /var/backups/nines-$(date +%F).db --config /etc/nines/nines.toml

The copy is of one instant, checked, and readable by its owner alone: it holds the private authority's key.
The key that signs reports is copied to FILE.report-key. To restore: stop the server, put both where the
originals were, remove what ends in -wal and -shm, start. docs/OPERATIONS.md says what is lost by it.")]
pub struct Args {
    /// The file to write; must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Unavailable`] where there is no database of this version, [`Failure::Io`] where a file is there
/// already or can't be written, or the copy is not sound.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let mut key_copy = args.file.clone().into_os_string();
    key_copy.push(".report-key");
    let key_copy = PathBuf::from(key_copy);
    let working = progress::working("copying and checking");
    // The database last: where it has its name, all of the backup is there.
    let with_key = copy_key(&fleet.report.key(&fleet.aggregator), &key_copy)
        .map_err(|error| Failure::Io(format!("{}: {error}", key_copy.display())))?;
    let written = backup::write(&fleet.aggregator.database, &args.file);
    working.finish_and_clear();
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(error) => {
            if with_key {
                // Only what this run has made is taken back.
                let _removed = fs::remove_file(&key_copy);
            }
            return Err(error.into());
        }
    };
    anstream::println!("{bytes} bytes in {}, checked", args.file.display());
    if with_key {
        anstream::println!("the key of reports in {}", key_copy.display());
    } else {
        anstream::println!("no key of reports: none has been made yet");
    }
    Ok(())
}

/// Copies the key where there is one; says whether.
fn copy_key(key: &Path, to: &Path) -> io::Result<bool> {
    let bytes = match fs::read(key) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(to)?;
    io::Write::write_all(&mut file, &bytes)?;
    file.sync_all()?;
    Ok(true)
}
