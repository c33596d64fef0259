//! A whole copy of the database, written beside a running server or without one.
//!
//! The copy is of one snapshot, in one file, readable by its owner alone. It is checked and synced before it
//! gets its name: what has the name is whole. While it is written the write-ahead log can't be cut back past the
//! snapshot, so the log grows by what the server commits meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, open, schema};

/// Readable by its owner alone: the private authority's key is in it.
const PRIVATE: u32 = 0o600;

/// Writes what `database` holds to `to`, which must not be there yet; tells its bytes. Waits for the disk.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Newer`] or [`StoreError::Older`] of `database`; [`StoreError::Open`] where
/// `to` is there or can't be written; [`StoreError::Unreadable`] where the copy is not sound, which then is removed.
pub fn write(database: &Path, to: &Path) -> Result<u64, StoreError> {
    open::refuse_old_library()?;
    if !database.exists() {
        return Err(StoreError::Missing(database.to_owned()));
    }
    if to.exists() {
        let source = io::Error::new(io::ErrorKind::AlreadyExists, "there is such a file already; name another");
        return Err(StoreError::Open { path: to.to_owned(), source });
    }
    let part = open::beside(to, ".part");
    let written = copy(database, &part).and_then(|bytes| give_name(&part, to).map(|()| bytes));
    if written.is_err() {
        // What is half written is of no use; where it can't be removed either, that is the lesser trouble.
        let _removed = fs::remove_file(&part);
    }
    written
}

fn copy(database: &Path, part: &Path) -> Result<u64, StoreError> {
    let failed = |source| StoreError::Open { path: part.to_owned(), source };
    // One that a crash has left.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    // SQLite writes into an empty file as it is, and would make one that others can read.
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(part).map_err(failed)?;
    let name = part.to_str().ok_or_else(|| failed(io::Error::other("the name of a backup must be UTF-8")))?;
    let connection = open::read_only(database).map_err(|error| error.of(database))?;
    schema::must_be_current(&connection, database).map_err(|error| error.of(database))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    drop(connection);
    file.sync_all().map_err(failed)?;
    must_be_sound(part)?;
    Ok(file.metadata().map_err(failed)?.len())
}

/// Reads every page and index of the copy.
fn must_be_sound(part: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(part, flags)?;
    schema::must_be_current(&connection, part)?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(StoreError::Unreadable { what: format!("the copy {}", part.display()), why: found })
    }
}

/// By a link and not by renaming, which would replace what came to be there meanwhile.
fn give_name(part: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Open { path: to.to_owned(), source };
    fs::hard_link(part, to).and_then(|()| fs::remove_file(part)).map_err(failed)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Store;
    use super::*;

    #[test]
    fn a_copy_is_whole_private_and_of_everything_that_was_committed_beside_an_open_store() {
        let folder = tempfile::tempdir().unwrap();
        let (database, to) = (folder.path().join("nines.db"), folder.path().join("copy.db"));
        let store = Store::open(&database).unwrap();
        let sql = "CREATE TABLE mark (number INTEGER); INSERT INTO mark VALUES (42)";
        store.write_blocking(move |tx| Ok(tx.execute_batch(sql)?)).unwrap();
        // What a crash has left is in nobody's way.
        fs::write(folder.path().join("copy.db.part"), "half").unwrap();
        let bytes = write(&database, &to).unwrap();
        let about = fs::metadata(&to).unwrap();
        assert_eq!((about.len(), about.permissions().mode() & 0o777), (bytes, PRIVATE));
        assert!(!folder.path().join("copy.db.part").exists());
        let copy = Store::open(&to).unwrap();
        let mark =
            copy.read_blocking(|conn| Ok(conn.query_row("SELECT number FROM mark", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(mark.unwrap(), 42);
    }

    #[test]
    fn what_is_there_is_never_replaced_and_what_is_no_database_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (database, to) = (folder.path().join("nines.db"), folder.path().join("copy.db"));
        assert!(matches!(write(&database, &to), Err(StoreError::Missing(_))));
        drop(Store::open(&database).unwrap());
        fs::write(&to, "precious").unwrap();
        assert!(matches!(write(&database, &to), Err(StoreError::Open { .. })));
        assert_eq!(fs::read_to_string(&to).unwrap(), "precious");
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
        let refused = write(&other, &folder.path().join("third.db"));
        assert!(matches!(refused, Err(StoreError::Foreign(_))), "{refused:?}");
        let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("third")), "nothing half written");
    }
}
