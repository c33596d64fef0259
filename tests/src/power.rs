//! A disk that loses its power: what was not synced by then is lost, or half of it is, in no order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::Process;
use crate::wait::until;

/// Served by nbdkit: writes stay in a volatile cache until a flush. At the cut a random half of what the cache holds
/// reaches the platters, and from then on the disk answers nothing but errors.
const PLUGIN: &str = r#"
import errno, os, random
import nbdkit

API_VERSION = 2
HERE = os.environ["NINES_POWER_FOLDER"]
SIZE = int(os.environ["NINES_POWER_BYTES"])
platters, cached, waiting, dead = bytearray(SIZE), bytearray(SIZE), [], False

def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS

def open(readonly):
    return 1

def get_size(handle):
    return SIZE

def can_flush(handle):
    return True

def can_fua(handle):
    return nbdkit.FUA_EMULATE

def powered():
    global dead
    if not dead and os.path.exists(os.path.join(HERE, "cut")):
        dead = True
        chance = random.Random(int(os.environ["NINES_POWER_SEED"]))
        for offset, written in waiting:
            if chance.random() < 0.5:
                platters[offset:offset + len(written)] = written
        whole = os.path.join(HERE, "platters.new")
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT), "wb") as image:
            image.write(platters)
        os.rename(whole, os.path.join(HERE, "platters"))
    if dead:
        nbdkit.set_error(errno.EIO)
        raise RuntimeError("no power")

def pread(handle, buffer, offset, flags):
    powered()
    buffer[:] = cached[offset:offset + len(buffer)]

def pwrite(handle, buffer, offset, flags):
    powered()
    written = bytes(buffer)
    cached[offset:offset + len(written)] = written
    waiting.append((offset, written))

def flush(handle, flags):
    powered()
    for offset, written in waiting:
        platters[offset:offset + len(written)] = written
    waiting.clear()
"#;

/// A mounted disk with a plug. Drop what uses it first.
#[derive(Debug)]
pub struct PoweredDisk {
    folder: TempDir,
    /// What serves it, in the order in which it ends; none once it has lost its power.
    serving: Vec<Process>,
}

impl PoweredDisk {
    /// A disk of so many MiB, whose cut is drawn by `seed`.
    ///
    /// # Panics
    /// Where this machine has none, with what it says: it takes root, nbdkit with its Python plugin, nbdfuse and ext4.
    pub fn of_mib(mib: u32, seed: u64) -> Self {
        let folder = TempDir::new().expect("there is room for a temporary folder");
        let at = |name: &str| folder.path().join(name);
        for place in ["fuse", "disk"] {
            fs::create_dir(at(place)).expect("the folder can be written");
        }
        fs::write(at("plugin.py"), PLUGIN).expect("the folder can be written");
        let mut nbdkit = Command::new("nbdkit");
        nbdkit.args(["--foreground", "--unix"]).arg(at("socket")).arg("python").arg(at("plugin.py"));
        nbdkit.env("NINES_POWER_FOLDER", folder.path()).env("NINES_POWER_SEED", seed.to_string());
        nbdkit.env("NINES_POWER_BYTES", (u64::from(mib) << 20).to_string());
        let nbdkit = Process::start("nbdkit", &mut nbdkit);
        until("nbdkit listens", || at("socket").exists().then_some(()));
        let mut nbdfuse = Command::new("nbdfuse");
        nbdfuse.arg(at("fuse")).arg(format!("nbd+unix:///?socket={}", at("socket").display()));
        let nbdfuse = Process::start("nbdfuse", &mut nbdfuse);
        until("the disk is there as a file", || at("fuse/nbd").exists().then_some(()));
        let disk = Self { serving: vec![nbdfuse, nbdkit], folder };
        done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(disk.at("fuse/nbd")));
        done(Command::new("mount").args(["-o", "loop"]).arg(disk.at("fuse/nbd")).arg(disk.at("disk")));
        disk
    }

    /// A place on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.at("disk").join(name)
    }

    /// Pulls the plug. Whatever is asked of the disk from now on fails.
    pub fn cut(&self) {
        fs::write(self.at("cut"), "").expect("the folder can be written");
        until("the power is gone", || {
            // Something has to be asked of it, and what that answers is no matter.
            let _asked = Command::new("sync").arg("-f").arg(self.at("disk")).stderr(Stdio::null()).status();
            let _read = fs::read_dir(self.at("disk")).map(Iterator::count);
            self.at("platters").exists().then_some(())
        });
    }

    /// Plugs it in again: what the platters hold is at the same place, after the check that a machine makes when it
    /// starts. Whoever used it must have ended.
    pub fn come_back(&mut self) {
        unmount(&self.at("disk"));
        self.unplug();
        // It mends what a cut leaves of the file system; 1 says that it did.
        let checked = Command::new("e2fsck").args(["-f", "-y"]).arg(self.at("platters")).output();
        let checked = checked.expect("e2fsck starts");
        assert!(checked.status.code().is_some_and(|code| code <= 1), "{}", String::from_utf8_lossy(&checked.stdout));
        done(Command::new("mount").args(["-o", "loop"]).arg(self.at("platters")).arg(self.at("disk")));
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn unplug(&mut self) {
        if !self.serving.is_empty() {
            unmount(&self.at("fuse"));
            self.serving.drain(..).for_each(drop);
        }
    }
}

impl Drop for PoweredDisk {
    fn drop(&mut self) {
        unmount(&self.at("disk"));
        self.unplug();
    }
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Lazily: whatever still has a file open there goes on with it.
fn unmount(folder: &Path) {
    let unmounted = Command::new("umount").arg("--lazy").arg(folder).status();
    if !unmounted.is_ok_and(|status| status.success()) {
        eprintln!("{} could not be unmounted", folder.display());
    }
}
