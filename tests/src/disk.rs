//! A small disk that can be filled: a file system in memory, with an end.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const BALLAST: &str = "ballast";

/// A mounted disk; it is unmounted when dropped. Drop what uses it first.
#[derive(Debug)]
pub struct Disk(TempDir);

impl Disk {
    /// A disk of so many KiB.
    ///
    /// # Panics
    /// Where this machine does not let us mount one, with what it says: that needs root.
    pub fn of_kib(kib: u32) -> Self {
        let folder = TempDir::new().expect("there is room for a temporary folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0700"), "nines-test"]).arg(folder.path());
        let output = mount.output().unwrap_or_else(|error| panic!("mount does not start: {error}"));
        assert!(output.status.success(), "no disk in memory: {}", String::from_utf8_lossy(&output.stderr));
        Self(folder)
    }

    /// A place on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path(BALLAST)).expect("a disk has room for a name");
        for piece in [1 << 16, 1 << 12, 1] {
            let zeros = vec![0; piece];
            let full = std::iter::repeat_with(|| ballast.write_all(&zeros)).find_map(Result::err);
            let full = full.expect("a disk has an end");
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
    }

    /// From now on nothing on it can be written, or it can again. Nobody may have a file open there for writing.
    pub fn read_only(&self, read_only: bool) {
        let mut mount = Command::new("mount");
        mount.args(["-o", if read_only { "remount,ro" } else { "remount,rw" }]).arg(self.0.path());
        let output = mount.output().expect("mount has started before");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Takes away what [`Disk::fill`] put there.
    pub fn make_room(&self) {
        fs::remove_file(self.path(BALLAST)).expect("it was filled before");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.0.path());
    }
}

/// Lazily: whatever still has a file open there goes on with it, and the disk goes when it ends.
fn unmount(folder: &Path) {
    let unmounted = Command::new("umount").arg("--lazy").arg(folder).status();
    if !unmounted.is_ok_and(|status| status.success()) {
        eprintln!("{} could not be unmounted", folder.display());
    }
}
