//! The server's end: `<database>.sock`, its owner's alone. One line of JSON in, one line out.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Answer, Command, Context, PATIENCE, Refused, act, perform, prepare};
use crate::running::Running;

/// The most bytes of a command.
pub(super) const MAX_COMMAND_BYTES: u64 = 1 << 20;
/// Commands at one time; further ones wait in the kernel's queue.
const MAX_AT_ONCE: usize = 8;
/// The longest path of a socket that every system takes, in bytes.
const MAX_SOCKET_PATH: usize = 100;

/// What came of a command, as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It was done.
    Done(Answer),
    /// It makes no sense.
    Refused(Refused),
    /// It could not be done.
    Failed(String),
}

/// The socket of a database.
pub(crate) fn path_beside(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".sock");
    name.into()
}

/// A path by which a socket can be reached although its own may be too long for a socket.
pub(super) struct Reach {
    pub(super) path: PathBuf,
    /// Kept open for as long as `path` leads through it.
    _folder: Option<File>,
}

impl Reach {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        let folder = File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

/// The socket, listened on; its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Socket {
    /// Listens beside `database`, whose lock the caller must hold: a socket that is there already was left
    /// by a server that was killed, and is replaced.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn bind(database: &Path) -> io::Result<Self> {
        let path = path_beside(database);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&Reach::of(&path)?.path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&path)?.uid();
        Ok(Self { listener, path, owner })
    }

    /// Answers commands until `running.stop`.
    pub(crate) async fn serve(self, running: Running, context: impl Fn() -> Context + Send + Sync + 'static) {
        let context: Arc<dyn Fn() -> Context + Send + Sync> = Arc::new(context);
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
                self.listener.accept().await.map(|(stream, _from)| (stream, place))
            };
            let (stream, place) = tokio::select! {
                () = running.stop.cancelled() => return,
                accepted = accepted => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "control.accept_failed");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                },
            };
            if !self.is_ours(&stream) {
                tracing::warn!("control.stranger");
                continue;
            }
            let (running, context) = (running.clone(), context.clone());
            tokio::spawn(async move {
                talk(stream, &running, &*context).await;
                drop(place);
            });
        }
    }

    /// Whether the one at the other end is who owns the socket, or root. The file's mode says the same; it
    /// does not hold in the moment between making the file and setting its mode.
    fn is_ours(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "control.socket_left");
        }
    }
}

async fn talk(mut stream: UnixStream, running: &Running, context: &(dyn Fn() -> Context + Send + Sync)) {
    let reply = async {
        match timeout(PATIENCE, read(&mut stream)).await? {
            Ok(command) => timeout(command.patience(), obey(command, running, context())).await,
            Err(message) => Ok(Reply::Refused(Refused { message })),
        }
    };
    let Ok(reply) = reply.await else { return tracing::warn!("control.timeout") };
    let mut line = serde_json::to_vec(&reply).expect("a reply has only text keys and writes to memory");
    line.push(b'\n');
    match timeout(PATIENCE, stream.write_all(&line)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "control.unheard"),
        Err(_elapsed) => tracing::warn!("control.timeout"),
    }
}

async fn read(stream: &mut UnixStream) -> Result<Command, String> {
    let mut line = String::new();
    let mut limited = BufReader::new(stream.take(MAX_COMMAND_BYTES));
    limited.read_line(&mut line).await.map_err(|error| format!("the command can't be read: {error}"))?;
    serde_json::from_str(&line).map_err(|error| format!("the command is not understood: {error}"))
}

/// Does what `command` says, and wakes whoever shows or judges what it changed.
pub(crate) async fn done(
    command: Command,
    running: &Running,
    context: Context,
) -> Result<Result<Answer, Refused>, crate::store::StoreError> {
    if let Command::Act { act, by } = command {
        return act::done(act, by, running).await;
    }
    let told = command.told();
    let (authority, changes_who_is_in) = (context.authority.clone(), command.changes_who_is_in());
    let prepared = running.store.read(move |conn| Ok((prepare(conn, &command, &context)?, command, context))).await?;
    let (prepared, command, context) = prepared;
    let done = match prepared {
        Ok(prepared) => running.store.write(move |tx| perform(tx, &command, prepared, &context)).await?,
        Err(refused) => Err(refused),
    };
    match &done {
        Ok(_answer) => {
            tracing::info!(command = told, "control.done");
            if changes_who_is_in && let Err(error) = authority.refresh(&running.store).await {
                tracing::error!(%error, "authority.not_read");
            }
            running.arrivals.send_modify(|arrivals| *arrivals += 1);
            running.news.send_modify(|news| *news += 1);
        }
        Err(refused) => tracing::info!(command = told, %refused, "control.refused"),
    }
    Ok(done)
}

async fn obey(command: Command, running: &Running, context: Context) -> Reply {
    match done(command, running, context).await {
        Ok(Ok(answer)) => Reply::Done(answer),
        Ok(Err(refused)) => Reply::Refused(refused),
        Err(error) => Reply::Failed(error.to_string()),
    }
}
