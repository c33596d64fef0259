//! Whether the file is still what SQLite wrote: every page looked at, and what was found kept beside it.
//!
//! What is looked at is how pages hang together, what each row must be by its table, and that the rows are in order
//! (SQLite's `quick_check`). **What is turned within a text or a number, so that it is a text or a number still, is not
//! noticed**, and no look notices what a log lost that was torn. Nothing is ever mended here: a backup is what mends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nines_shared::sample::detail;
use rusqlite::{ErrorCode, InterruptHandle};

use super::{StoreError, open};

/// A database of up to so many bytes, its log among them, is looked through before it is served; a larger one
/// meanwhile.
pub const LOOKED_THROUGH_FIRST: u64 = 64 << 20;
/// What a person does about it.
pub const MEND: &str = "put a backup in its place (docs/OPERATIONS.md, Backup and restore)";
/// The most bytes that are read of a note.
const MAX_NOTE_BYTES: u64 = 4 << 10;
/// Readable by its owner alone, as all that lies beside the database.
const PRIVATE: u32 = 0o600;

/// Looks through the database at `path` where that is quick, and tells whether it did; one that is not there yet is
/// sound. The file is only read. Waits for the disk.
///
/// # Errors
/// [`StoreError::Damaged`], which then lies in a note beside the file; what SQLite says.
pub fn look_first(path: &Path) -> Result<bool, StoreError> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
    match bytes(path) + bytes(&open::beside(path, "-wal")) {
        0 => Ok(true),
        1..=LOOKED_THROUGH_FIRST => look(path, |_never| {}).map(|()| true),
        _more => Ok(false),
    }
}

/// Looks through the database at `path`, on a connection of its own; `begun` gets what ends it early. While it reads,
/// the write-ahead log can't be cut back. Waits for the disk: about 10 s a GiB.
///
/// # Errors
/// [`StoreError::Damaged`], which then lies in a note beside the file; what SQLite says.
pub fn look(path: &Path, begun: impl FnOnce(InterruptHandle)) -> Result<(), StoreError> {
    open::refuse_old_library()?;
    let look = || -> Result<String, StoreError> {
        let connection = open::read_only(path)?;
        begun(connection.get_interrupt_handle());
        Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?)
    };
    let why = match look() {
        Ok(said) if said == "ok" => None,
        Ok(said) => Some(detail(&said)),
        Err(error) => Some(damage_of(&error).ok_or_else(|| error.of(path))?),
    };
    let Some(why) = why else {
        forget(path);
        return Ok(());
    };
    keep(path, &why);
    Err(StoreError::Damaged { path: path.to_owned(), why })
}

/// What was last found in the database at `path` and not mended since, as far as its note tells.
pub fn noted(path: &Path) -> Option<String> {
    let mut why = String::new();
    File::open(note(path)).ok()?.take(MAX_NOTE_BYTES).read_to_string(&mut why).ok()?;
    Some(detail(&why))
}

/// What is damaged, where `error` says that the file is not what SQLite wrote.
pub(super) fn damage_of(error: &StoreError) -> Option<String> {
    if let StoreError::Damaged { why, .. } = error {
        return Some(why.clone());
    }
    let source = if let StoreError::NotCommitted(source) = error {
        source.as_ref()
    } else if let StoreError::Sqlite(source) | StoreError::Unusable { source, .. } = error {
        source
    } else {
        return None;
    };
    let is_damage = matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
    is_damage.then(|| source.to_string())
}

/// What was found in an open database, by a look or by whoever read or wrote there.
#[derive(Debug, Default)]
pub(super) struct Damage(OnceLock<String>);

impl Damage {
    pub(super) fn known(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Makes known what was found; what is known already stays.
    pub(super) fn found(&self, path: &Path, why: &str) {
        if self.0.set(why.to_owned()).is_ok() {
            keep(path, why);
            tracing::error!(database = %path.display(), why, mend = MEND, "store.damaged");
        }
    }
}

/// Writes the note.
fn keep(path: &Path, why: &str) {
    let note = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(note(path));
    if let Err(error) = note.and_then(|mut note| note.write_all(why.as_bytes())) {
        tracing::error!(%error, "store.damage_not_kept");
    }
}

/// Removes the note: what it says has been mended.
fn forget(path: &Path) {
    match fs::remove_file(note(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(%error, "store.damage_not_forgotten"),
        Ok(()) | Err(_) => {}
    }
}

/// Where the note is, by whatever name the file is called.
fn note(path: &Path) -> PathBuf {
    open::beside(&path.canonicalize().unwrap_or_else(|_missing| path.to_owned()), ".damaged")
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    /// A database of ours, closed, and where its index of gaps begins.
    fn database(folder: &Path) -> (PathBuf, usize) {
        let path = folder.join("nines.db");
        let store = Store::open(&path).unwrap();
        let sql =
            "SELECT (rootpage - 1) * (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'gap_to'";
        let start = store.read_blocking(|conn| Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))?)).unwrap();
        (path.clone(), usize::try_from(start).unwrap())
    }

    /// Turns what says how many entries the page has that begins at `start`.
    fn turn(path: &Path, start: usize) {
        let mut bytes = fs::read(path).unwrap();
        bytes[start + 3] ^= 0xff;
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_page_that_is_turned_is_found_kept_beside_the_file_and_forgotten_when_it_is_sound_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, start) = database(folder.path());
        let good = fs::read(&path).unwrap();
        assert!(look_first(&path).unwrap());
        assert_eq!(noted(&path), None);
        turn(&path, start);
        let bad = fs::read(&path).unwrap();
        let said = look_first(&path).unwrap_err().to_string();
        assert!(said.contains("nines.db") && said.contains("docs/OPERATIONS.md, Backup and restore"), "{said}");
        assert!(fs::read(&path).unwrap() == bad, "it is left as it is");
        assert!(said.contains(&noted(&path).unwrap()), "{said}");
        fs::write(&path, good).unwrap();
        assert!(look_first(&path).unwrap());
        assert_eq!(noted(&path), None);
    }

    #[test]
    fn a_large_database_is_left_for_later_and_one_that_is_not_there_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nines.db");
        assert!(look_first(&path).unwrap());
        assert!(!path.exists());
        let file = File::create(&path).unwrap();
        file.set_len(LOOKED_THROUGH_FIRST + 1).unwrap();
        assert!(!look_first(&path).unwrap());
        file.set_len(LOOKED_THROUGH_FIRST).unwrap();
        assert!(look_first(&path).is_err());
    }

    #[test]
    fn whoever_reads_or_writes_what_is_damaged_makes_it_known() {
        let folder = tempfile::tempdir().unwrap();
        let (path, start) = database(folder.path());
        turn(&path, start);
        let gaps = "SELECT count(*) FROM gap INDEXED BY gap_to WHERE 0 < to_at";
        let gap = "INSERT INTO gap (from_at, to_at, why) VALUES (1, 2, 'stopped')";
        for reads in [true, false] {
            let store = Store::open(&path).unwrap();
            assert_eq!(store.damage(), None);
            let failed = if reads {
                store.read_blocking(|conn| Ok(conn.query_row(gaps, [], |row| row.get::<_, i64>(0))?)).map(drop)
            } else {
                store.write_blocking(move |tx| Ok(tx.execute(gap, [])?)).map(drop)
            };
            assert!(failed.is_err(), "reads: {reads}");
            assert!(store.damage().is_some(), "reads: {reads}: {failed:?}");
            assert_eq!(noted(&path).as_deref(), store.damage());
            fs::remove_file(note(&path)).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_damage_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("nines.db")).unwrap();
        let nonsense = "INSERT INTO gap (no) VALUES ('x')";
        store.write(move |tx| Ok(tx.execute(nonsense, [])?)).await.unwrap_err();
        store.read(move |conn| Ok(conn.execute(nonsense, [])?)).await.unwrap_err();
        assert_eq!(store.damage(), None);
    }
}
