//! How a command fails: what it says and the exit code it leaves. The codes are those of `sysexits.h`
//! and an interface: scripts rely on them.

use std::process::ExitCode;

use crate::control::Answer;
use crate::fleet_file::FleetFileErrors;
use crate::store::StoreError;

/// What was looked at is not as it should be.
pub const DIFFERS: u8 = 1;
/// Wrong usage: `EX_USAGE`.
pub const USAGE: u8 = 64;
/// Something that is needed is not there or does not answer: `EX_UNAVAILABLE`.
pub const UNAVAILABLE: u8 = 69;
/// Reading or writing failed: `EX_IOERR`.
pub const IO: u8 = 74;
/// The configuration is wrong: `EX_CONFIG`.
pub const CONFIGURATION: u8 = 78;

/// Why a command did not do what it was asked. Messages are lower-case fragments that carry the path or
/// id involved and the mend.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was to be checked is not as it should be; what differs has been told.
    #[error("{0}")]
    Differs(String),
    /// What was asked makes no sense: an unknown id, a window that ends before it begins.
    #[error("{0}")]
    Usage(String),
    /// Something needed is not there: no server, a port taken, nothing to report.
    #[error("{0}")]
    Unavailable(String),
    /// A file, the database or a socket failed.
    #[error("{0}")]
    Io(String),
    /// The configuration is wrong, apart from the fleet file's own errors.
    #[error("{0}")]
    Configuration(String),
    /// The fleet file is wrong, with every error and its place.
    #[error(transparent)]
    FleetFile(#[from] FleetFileErrors),
}

impl Failure {
    /// The server's `answer` is none to what it was asked: it is of another version.
    pub(super) fn strange(answer: &Answer) -> Self {
        Self::Unavailable(format!("the server gave another answer: {answer:?}"))
    }
}

impl From<StoreError> for Failure {
    /// No database, or one that another process or another version has: something needed is not there. The
    /// rest is a fault of the file.
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Missing(_)
            | StoreError::Taken { .. }
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::OldLibrary { .. }
            | StoreError::Closed => Self::Unavailable(message),
            StoreError::Foreign(_) => Self::Configuration(message),
            StoreError::Open { .. }
            | StoreError::Unusable { .. }
            | StoreError::Damaged { .. }
            | StoreError::Setting { .. }
            | StoreError::ReadOnly
            | StoreError::Sqlite(_)
            | StoreError::NotCommitted(_)
            | StoreError::Unreadable { .. }
            | StoreError::Panicked
            | StoreError::Abandoned => Self::Io(message),
        }
    }
}

impl Failure {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Differs(_) => DIFFERS,
            Self::Usage(_) => USAGE,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Io(_) => IO,
            Self::Configuration(_) | Self::FleetFile(_) => CONFIGURATION,
        }
    }

    /// Tells the person at the terminal, and gives the code to leave with.
    pub fn tell(&self) -> ExitCode {
        match self {
            Self::FleetFile(errors) => anstream::eprint!("{}", errors.drawn()),
            Self::Differs(_) | Self::Usage(_) | Self::Unavailable(_) | Self::Io(_) | Self::Configuration(_) => {
                anstream::eprintln!("nines: {self}");
            }
        }
        ExitCode::from(self.exit_code())
    }
}
