//! The command line's end: asks the running server, or does it itself where none runs.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nines_shared::time::{Clock, Timestamp};

use super::socket::{Reach, Reply, path_beside};
use super::{Answer, Command, Context, Refused, perform, prepare};
use crate::definition::Fleet;
use crate::gateway::authority::{Authority, AuthorityError};
use crate::store::{Store, StoreError};

/// The most bytes of an answer.
const MAX_REPLY_BYTES: u64 = 1 << 20;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It makes no sense.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The running server could not do it.
    #[error("the aggregator could not do it: {0}")]
    Failed(String),
    /// The running server does not answer as it should; whether it was done is not known.
    #[error("the aggregator at {} does not answer: {source}", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No server runs and the database can't be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No server runs and the authority in the database is of no use.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Carries `command` out: through the server that runs on the fleet's database, or without one.
///
/// Must not be called from async code.
///
/// # Errors
/// [`ControlError`].
pub fn carry_out(fleet: &Fleet, command: Command) -> Result<Answer, ControlError> {
    Carrier::new(fleet).carry_out(command)
}

/// Carries commands out, from several threads at once. Where no server runs, the database is its own from the first
/// command on, until it goes.
#[derive(Debug)]
pub struct Carrier<'f> {
    fleet: &'f Fleet,
    own: Mutex<Option<(Store, Arc<Authority>)>>,
}

impl<'f> Carrier<'f> {
    /// For commands to `fleet`.
    pub fn new(fleet: &'f Fleet) -> Self {
        Self { fleet, own: Mutex::new(None) }
    }

    /// [`carry_out`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn carry_out(&self, command: Command) -> Result<Answer, ControlError> {
        match ask(&self.fleet.aggregator.database, &command)? {
            Some(answer) => Ok(answer),
            None => self.alone(command),
        }
    }

    fn alone(&self, command: Command) -> Result<Answer, ControlError> {
        let now = Clock::system().now();
        let (store, authority) = self.own(now)?;
        let fleet = Arc::new(self.fleet.clone());
        let context = Context { probes_addr: fleet.aggregator.probes, fleet, authority, now };
        let prepared = store.read_blocking(|conn| prepare(conn, &command, &context))??;
        Ok(store.write_blocking(move |tx| perform(tx, &command, prepared, &context))??)
    }

    fn own(&self, now: Timestamp) -> Result<(Store, Arc<Authority>), ControlError> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &*own {
            return Ok(own.clone());
        }
        let store = Store::open(&self.fleet.aggregator.database)?;
        let authority = Arc::new(Authority::open_blocking(&store, now)?);
        Ok(own.insert((store, authority)).clone())
    }
}

/// What the running server answers; `None` where none runs.
fn ask(database: &Path, command: &Command) -> Result<Option<Answer>, ControlError> {
    let path = path_beside(&database.canonicalize().unwrap_or_else(|_not_there| database.to_owned()));
    let stream = match Reach::of(&path).and_then(|reach| UnixStream::connect(&reach.path)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(source) => return Err(ControlError::Silent { path, source }),
    };
    match exchange(&stream, command) {
        Ok(Reply::Done(answer)) => Ok(Some(answer)),
        Ok(Reply::Refused(refused)) => Err(refused.into()),
        Ok(Reply::Failed(why)) => Err(ControlError::Failed(why)),
        Err(source) => Err(ControlError::Silent { path, source }),
    }
}

fn exchange(mut stream: &UnixStream, command: &Command) -> io::Result<Reply> {
    stream.set_read_timeout(Some(command.patience()))?;
    stream.set_write_timeout(Some(command.patience()))?;
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream.take(MAX_REPLY_BYTES)).read_line(&mut reply)?;
    Ok(serde_json::from_str(&reply)?)
}
