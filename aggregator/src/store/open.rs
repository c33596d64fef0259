//! How a database file is made, locked and opened: private, one writer, every commit synced.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{OLDEST_SQLITE, StoreError};

/// Only the owner reads and writes: the file holds the private key of the authority.
const PRIVATE: u32 = 0o600;
/// How long a statement waits for another process (a backup, a person's shell) before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many pages of 4 KiB the write-ahead log holds before it is copied into the file: more than a busy
/// second's, so that a page which changes with every commit is copied once for many.
const WAL_PAGES: i64 = 8_192;
/// The write-ahead log is cut back to this when it is reset, in bytes.
const WAL_KEPT_BYTES: i64 = 64 << 20;
/// Pages that a connection keeps in memory, in KiB.
const CACHE_KIB: i64 = 32 << 10;
/// How many statements a connection keeps prepared: more than the store has.
const PREPARED: usize = 128;

/// Refuses a SQLite whose write-ahead log can be corrupted.
pub(super) fn refuse_old_library() -> Result<(), StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::OldLibrary { found: rusqlite::version() });
    }
    Ok(())
}

/// Makes the file where there is none and takes it away from everyone but its owner. SQLite gives the
/// files that it puts beside it the same mode. Returns the path without links, so that the lock is the same
/// by whatever name the file is called.
pub(super) fn make_private(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o777 != PRIVATE {
        file.set_permissions(Permissions::from_mode(PRIVATE)).map_err(failed)?;
    }
    path.canonicalize().map_err(failed)
}

/// Takes the lock of the one process that may write. The system gives it up with the file handle, however
/// the process ends.
pub(super) fn lock(database: &Path) -> Result<File, StoreError> {
    let path = beside(database, ".lock");
    let failed = |source| StoreError::Open { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).truncate(false).read(true).write(true).mode(PRIVATE).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Taken { path: database.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

/// Who wrote its number into the lock file; only for the message.
fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    let read: io::Result<usize> = lock.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        (Ok(_) | Err(_), _) => "a process unknown".to_owned(),
    }
}

/// `database` with `ending` after its whole name.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    name.into()
}

/// The writer's connection: write-ahead log, every commit synced before it counts.
pub(super) fn read_write(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    settle(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    must_be(&connection, path, "journal_mode", "wal")?;
    must_be(&connection, path, "synchronous", "2")?;
    must_be(&connection, path, "foreign_keys", "1")?;
    Ok(connection)
}

/// A reader's connection: it can't write, whatever it is asked.
pub(super) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    settle(&connection)?;
    Ok(connection)
}

/// What both kinds of connection share. No memory mapping: an I/O error would be a signal, not an error. And plans that
/// do not hang on what is bound: else SQLite prepares most statements anew each time that they are used.
fn settle(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(())
}

/// Asserts that a setting which durability rests on is in force: SQLite ignores silently what it can't do.
fn must_be(
    connection: &Connection,
    path: &Path,
    setting: &'static str,
    wanted: &'static str,
) -> Result<(), StoreError> {
    let found = connection.pragma_query_value(None, setting, |row| row.get::<_, rusqlite::types::Value>(0))?;
    let found = match found {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other @ (rusqlite::types::Value::Null | rusqlite::types::Value::Real(_) | rusqlite::types::Value::Blob(_)) => {
            format!("{other:?}")
        }
    };
    if found == wanted { Ok(()) } else { Err(StoreError::Setting { path: path.to_owned(), setting, wanted, found }) }
}
