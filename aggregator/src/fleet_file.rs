//! The fleet file: TOML → definitions, every error with its place.
//!
//! Owns the form of the file: its keys, their defaults, what is refused and how that is said. A file is
//! taken whole or refused whole, with every error at once; a [`Fleet`] that comes out of here is never
//! checked again. Secrets are named, never read and never shown: a literal is refused without printing it.

pub mod finding;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub use finding::{Finding, Warning};

use crate::definition::Fleet;

/// The largest fleet file that is read, in bytes: some 50,000 checks.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Why a fleet file is refused, all of it.
#[derive(Debug, thiserror::Error)]
pub enum FleetFileErrors {
    /// There is no such file, or it can't be read.
    #[error("can't read the fleet file {}: {source}; name another with --config FILE, or begin with config/fleet.example.toml", path.display())]
    Unreadable {
        /// As named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says things that make no sense.
    #[error("{}", finding::listed(errors))]
    Invalid {
        /// Every error, in the file's order; never empty.
        errors: Vec<Finding>,
        /// What is allowed but unwise, in the file's order.
        warnings: Vec<Warning>,
    },
}

impl FleetFileErrors {
    /// All of it as a terminal shows it: each line quoted, with a caret under what is meant.
    pub fn drawn(&self) -> String {
        match self {
            Self::Unreadable { .. } => format!("nines: {self}\n"),
            Self::Invalid { errors, warnings } => finding::drawn(errors, warnings),
        }
    }
}

/// The fleet that the file at `path` describes, with what is allowed but unwise. Relative paths in the
/// file are relative to the file.
///
/// # Errors
/// [`FleetFileErrors`] with every error at once.
pub fn load(path: &Path) -> Result<(Fleet, Vec<Warning>), FleetFileErrors> {
    let unreadable = |source| FleetFileErrors::Unreadable { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if MAX_FILE_BYTES < size {
        let what = format!("it has {size} bytes; at most {MAX_FILE_BYTES} are read");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, what)));
    }
    parse(&fs::read_to_string(path).map_err(unreadable)?, path)
}

/// The fleet that `text` describes, as [`load`] does; `name` is the path that it has, for messages and for
/// what is relative to it.
///
/// # Errors
/// [`FleetFileErrors::Invalid`] with every error at once.
pub fn parse(text: &str, name: &Path) -> Result<(Fleet, Vec<Warning>), FleetFileErrors> {
    let _ = text;
    Err(FleetFileErrors::Unreadable { path: name.to_owned(), source: io::ErrorKind::Unsupported.into() })
}
