//! Files that are there whole or not at all, even when the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Mode of what only the probe may read.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;
/// The user id of root.
pub const ROOT: u32 = 0;

/// Makes `directory` for its owner alone, with those above it; one that is there is left as it is.
pub(super) fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(directory)
}

/// Opens `path` to write to it, and makes it for its owner alone where it is not there: then it is whose the folder is,
/// also where root makes it. What is there stays whose it is, since a name in somebody else's folder may lead anywhere.
///
/// # Errors
/// What the system says.
pub fn open_or_make(path: &Path) -> io::Result<File> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path) {
        Ok(made) => hand_over(&made, folder_of(path)).map(|()| made),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => OpenOptions::new().write(true).open(path),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives `file`, which was just made, to whoever owns `folder`, where root has made it in a folder of somebody else:
/// the service that lives there has a user of its own, and nobody else would let it read.
fn hand_over(file: &File, folder: &Path) -> io::Result<()> {
    let (made, folder) = (file.metadata()?, fs::metadata(folder)?);
    if made.uid() != ROOT || folder.uid() == ROOT {
        return Ok(());
    }
    fchown(file, Some(folder.uid()), Some(folder.gid()))
}

/// Puts `content` into `path`, readable by its owner alone, who is whose the folder is: written beside it, synced,
/// renamed.
///
/// # Errors
/// What the system says; `path` then holds what it held before.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    // One that a crash has left is not ours to trust, and may have another mode.
    match fs::remove_file(beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let directory = folder_of(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(beside)?;
    hand_over(&file, directory)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    File::open(directory)?.sync_all()
}
