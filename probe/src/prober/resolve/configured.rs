//! Which resolvers the machine has now: the file that names them is read anew when it has changed.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::system_conf::parse_resolv_conf;
use tokio::time::Instant;

use super::{System, build};

/// Where a Unix machine names its resolvers.
pub(super) const SYSTEM_FILE: &str = "/etc/resolv.conf";
/// How often it is looked at, at most: a question asked of a name costs no system call besides.
const LOOKED_AT: Duration = Duration::from_secs(5);

/// Where the resolvers are named.
#[derive(Debug)]
pub(super) enum Configured {
    /// In a file.
    File(PathBuf, Mutex<Known>),
    /// Once for all.
    #[cfg(test)]
    Fixed(Arc<System>),
}

/// The file as it was read last.
#[derive(Debug)]
pub(super) struct Known {
    looked_at: Instant,
    version: Option<(SystemTime, u64)>,
    /// What was wrong with it, where something was.
    system: Result<Arc<System>, String>,
}

impl Configured {
    pub(super) fn in_file(path: PathBuf) -> Self {
        let version = version(&path);
        let known = Known { looked_at: Instant::now(), version, system: read(&path) };
        Self::File(path, Mutex::new(known))
    }

    /// The resolvers of now.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn now(&self) -> Result<Arc<System>, String> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Result<Arc<System>, String> {
        let (path, known) = match self {
            Self::File(path, known) => (path, known),
            #[cfg(test)]
            Self::Fixed(system) => return Ok(Arc::clone(system)),
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if LOOKED_AT <= now.saturating_duration_since(known.looked_at) {
            known.looked_at = now;
            let version = version(path);
            if version != known.version {
                known.version = version;
                known.system = read(path);
                tell(&known.system);
            }
        }
        known.system.clone()
    }
}

/// What tells one content of the file from another; `None` where it can't be looked at.
fn version(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &PathBuf) -> Result<Arc<System>, String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parsed = parse_resolv_conf(text).and_then(|(config, options)| build(config, options));
    parsed.map(Arc::new).map_err(|error| format!("{}: {error}", path.display()))
}

fn tell(system: &Result<Arc<System>, String>) {
    match system {
        Ok(system) => tracing::info!(servers = ?system.servers, "resolvers.changed"),
        Err(error) => tracing::warn!(error, "resolvers.unusable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_resolvers_change_is_followed_also_from_and_to_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let configured = Configured::in_file(path.clone());
        let begun = Instant::now();
        let servers = |late: u64| {
            let system = configured.at(begun + Duration::from_secs(late));
            system.map(|system| system.servers.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(servers(0).unwrap_err().contains("resolv.conf"));
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        assert!(servers(1).is_err(), "not every question looks");
        assert_eq!(servers(6).unwrap(), ["192.0.2.1:53"]);
        fs::write(&path, "nameserver 192.0.2.53\nnameserver 2001:db8::53\n").unwrap();
        assert_eq!(servers(12).unwrap(), ["192.0.2.53:53", "[2001:db8::53]:53"]);
        fs::remove_file(&path).unwrap();
        assert!(servers(18).is_err());
    }
}
