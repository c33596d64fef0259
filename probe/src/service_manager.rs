//! What the service manager is told: that we are up, that we get on, that we end.
//!
//! Speaks `sd_notify(3)`: a datagram a message, to the unix socket that `NOTIFY_SOCKET` names. Where no manager
//! asks, nothing is sent and nothing waits. What getting on means is said by whoever counts the rounds; nothing
//! is fed for the mere fact that a process is there, so a loop that is stuck starves the watchdog, and the
//! manager starts the process again.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often we look within the manager's patience: one look that comes late does not starve the watchdog.
const LOOKS: u32 = 4;
/// The least patience that is taken at its word; a shorter one could not be told from a busy machine.
const MIN_PATIENCE: Duration = Duration::from_secs(1);

/// The manager that started this process, or nobody.
#[derive(Debug, Default)]
pub struct ServiceManager {
    way: Option<(UnixDatagram, SocketAddr)>,
    /// How long it waits for the next sign of progress; `None` where it does not watch.
    patience: Option<Duration>,
}

/// What a manager says of itself in the environment of what it starts.
#[derive(Clone, Debug, Default)]
struct Said {
    socket: Option<OsString>,
    watchdog_us: Option<String>,
    watchdog_pid: Option<String>,
}

impl ServiceManager {
    /// The one that the environment names. One that can't be reached is logged and then taken for nobody: to look
    /// at targets matters more than to be seen at it.
    pub fn of_environment() -> Self {
        Self::of(&Said {
            socket: env::var_os("NOTIFY_SOCKET"),
            watchdog_us: env::var("WATCHDOG_USEC").ok(),
            watchdog_pid: env::var("WATCHDOG_PID").ok(),
        })
    }

    fn of(said: &Said) -> Self {
        let Some(name) = &said.socket else { return Self::default() };
        match way(name) {
            Ok(way) => Self { way: Some(way), patience: patience(said) },
            Err(error) => {
                tracing::warn!(socket = %name.display(), %error, "service_manager.not_reached");
                Self::default()
            }
        }
    }

    /// Tells that we are up; then, until `stop`, that we get on whenever `rounds` has grown; and that we end.
    pub async fn accompany(&self, rounds: impl Fn() -> u64, stop: &CancellationToken) {
        self.tell("READY=1");
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.feed(rounds) => {}
        }
        self.tell("STOPPING=1");
    }

    /// Never ends.
    async fn feed(&self, rounds: impl Fn() -> u64) {
        let Some(patience) = self.patience else { return std::future::pending().await };
        let mut before = rounds();
        loop {
            sleep(patience / LOOKS).await;
            let now = rounds();
            if now == before {
                tracing::error!(rounds = now, "service_manager.no_progress: the watchdog is not fed");
                continue;
            }
            before = now;
            self.tell("WATCHDOG=1");
        }
    }

    /// A message that is not delivered is logged: the manager draws its own conclusions.
    fn tell(&self, message: &str) {
        let Some((socket, to)) = &self.way else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), to) {
            tracing::warn!(message, %error, "service_manager.not_told");
        }
    }
}

/// A socket of our own, and the manager's: a path, or a name that begins with `@` and is in no folder.
fn way(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold us up.
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

/// How long the manager waits, where it is this very process that it watches.
fn patience(said: &Said) -> Option<Duration> {
    if said.watchdog_pid.as_ref().is_some_and(|pid| *pid != std::process::id().to_string()) {
        return None;
    }
    let patience = Duration::from_micros(said.watchdog_us.as_ref()?.parse().ok()?);
    Some(patience.max(MIN_PATIENCE))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A manager's end: a real socket that a test reads.
    struct Manager {
        socket: UnixDatagram,
        said: Said,
        _folder: tempfile::TempDir,
    }

    impl Manager {
        fn watching(patience_us: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            let said =
                Said { socket: Some(path.into()), watchdog_us: Some(patience_us.to_owned()), watchdog_pid: None };
            Self { socket, said, _folder: folder }
        }

        /// What came since the last time.
        fn heard(&self) -> Vec<String> {
            let mut heard = Vec::new();
            let mut bytes = [0; 64];
            while let Ok(length) = self.socket.recv(&mut bytes) {
                heard.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
            heard
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_while_rounds_grow_and_starves_when_they_are_stuck() {
        let manager = Manager::watching("20000000");
        let ours = ServiceManager::of(&manager.said);
        let (rounds, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let (counted, stopped) = (Arc::clone(&rounds), stop.clone());
        let told = tokio::spawn(async move { ours.accompany(|| counted.load(Ordering::SeqCst), &stopped).await });
        sleep(Duration::from_secs(1)).await;
        assert_eq!(manager.heard(), ["READY=1"]);
        for _ in 0..4 {
            rounds.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(manager.heard(), ["WATCHDOG=1"; 4]);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(manager.heard(), [""; 0], "stuck for three times the manager's patience");
        rounds.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(manager.heard(), ["WATCHDOG=1"], "it got on in time after all");
        stop.cancel();
        told.await.unwrap();
        assert_eq!(manager.heard(), ["STOPPING=1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_that_does_not_watch_us_is_told_of_start_and_end_only() {
        let manager = Manager::watching("1000000");
        for other in [
            Said { watchdog_us: None, ..manager.said.clone() },
            Said { watchdog_us: Some("soon".to_owned()), ..manager.said.clone() },
            Said { watchdog_pid: Some("1".to_owned()), ..manager.said.clone() },
        ] {
            let stop = CancellationToken::new();
            let (rounds, ours) = (AtomicU64::new(0), ServiceManager::of(&other));
            let growing = || rounds.fetch_add(1, Ordering::SeqCst);
            tokio::join!(ours.accompany(growing, &stop), async {
                sleep(Duration::from_secs(9)).await;
                stop.cancel();
            });
            assert_eq!(manager.heard(), ["READY=1", "STOPPING=1"], "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_manager_that_is_not_there_changes_nothing() {
        let stop = CancellationToken::new();
        stop.cancel();
        for name in ["", "relative", "/nowhere/notify", "@nines-nobody-listens"] {
            let said = Said { socket: Some(name.into()), ..Said::default() };
            ServiceManager::of(&said).accompany(|| 0, &stop).await;
        }
        ServiceManager::default().accompany(|| 0, &stop).await;
    }

    #[test]
    fn a_name_that_is_in_no_folder_is_reached_too() {
        let name = format!("nines-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        ServiceManager::of(&Said { socket: Some(format!("@{name}").into()), ..Said::default() }).tell("READY=1");
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1");
    }
}
