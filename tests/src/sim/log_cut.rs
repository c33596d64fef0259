//! What `kill -9` leaves of a database: its file, and its write-ahead log up to the end of any commit.
//!
//! Everything that a commit adds lies behind what was there in the log, so a log that is cut behind a commit is the log
//! as that commit left it (<https://sqlite.org/fileformat2.html#walformat>), as long as nothing was copied back into
//! the database meanwhile.

use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Beyond so many pages SQLite copies the log back: more than the store lets it grow to may have been.
const MAX_FRAMES: usize = 8_000;

/// Where a log's commits end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commits {
    /// Names the log's life: it begins anew once all of it was copied back.
    salt: [u8; 8],
    /// In bytes, one a commit, in order.
    ends: Vec<usize>,
    frames: usize,
}

impl Commits {
    /// Reads the log of the database at `path`.
    ///
    /// # Panics
    /// Where a log is there and can't be read.
    pub(super) fn of(path: &Path) -> Self {
        let log = log_of(path);
        if !log.exists() {
            return Self::default();
        }
        let bytes = std::fs::read(&log).expect("the log can be read");
        let Some(header) = bytes.get(..HEADER) else { return Self::default() };
        let page = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let salt: [u8; 8] = header[16..24].try_into().expect("eight bytes");
        let mut commits = Self { salt, ..Self::default() };
        let mut at = HEADER;
        while let Some(frame) = bytes.get(at..at + FRAME_HEADER + page)
            && frame[8..16] == salt
        {
            at += FRAME_HEADER + page;
            commits.frames += 1;
            // A frame that ends a commit says how large the database is by then.
            if frame[4..8] != [0; 4] {
                commits.ends.push(at);
            }
        }
        commits
    }

    /// The lengths at which the log may be cut so that some of what came after `before` is lost: behind each of the
    /// commits, but the last, that were made since, and before the first of them. None where that can't be told.
    pub(super) fn cuts_since(&self, before: &Self) -> Vec<usize> {
        if self.salt != before.salt || MAX_FRAMES < self.frames || self.ends.len() <= before.ends.len() {
            return Vec::new();
        }
        let first = before.ends.last().copied();
        let lost = self.ends[before.ends.len()..self.ends.len() - 1].iter().copied();
        first.into_iter().chain(lost).collect()
    }
}

/// Copies the database at `from` to `to`, with its log cut to `length` where that is given.
///
/// # Panics
/// Where the files can't be copied.
pub(super) fn copy(from: &Path, to: &Path, length: Option<usize>) {
    std::fs::copy(from, to).expect("the database can be copied");
    let (log, copy) = (log_of(from), log_of(to));
    if log.exists() {
        std::fs::copy(&log, &copy).expect("the log can be copied");
        if let Some(length) = length {
            let file = std::fs::File::options().write(true).open(&copy).expect("the copy can be opened");
            file.set_len(length as u64).expect("the copy can be cut");
        }
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
