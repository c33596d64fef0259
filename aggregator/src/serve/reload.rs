//! A fleet file that changes while the aggregator runs: taken whole, or refused whole and loudly. The secrets that its
//! checks name are read again with it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nines_shared::secret::Secret;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::definition::Fleet;
use crate::fleet_file::{self, FleetFileErrors};
use crate::running::Running;
use crate::secret_values;
use crate::store::{StoreError, definitions};

/// How often the file is looked at: probes know of a change within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Puts fleets in force, one after the other.
#[derive(Debug)]
pub(super) struct Reloader {
    running: Running,
    in_force: Mutex<watch::Sender<Arc<Fleet>>>,
}

impl Reloader {
    pub(super) fn new(running: Running, in_force: watch::Sender<Arc<Fleet>>) -> Self {
        Self { running, in_force: Mutex::new(in_force) }
    }

    /// Writes `fleet` to the store, then puts it in force: whoever sees it finds its definitions there. Its secrets
    /// are read anew, so that one that changed counts although the file is as it was.
    pub(super) async fn reload(&self, fleet: Fleet) -> Result<(), StoreError> {
        let in_force = self.in_force.lock().await;
        let fleet = with_secrets(fleet).await;
        if **in_force.borrow() == fleet {
            tracing::debug!("fleet.unchanged");
            return Ok(());
        }
        for key in fixed_until_restart(&in_force.borrow(), &fleet) {
            tracing::warn!(key, "fleet.needs_restart");
        }
        let (loading, now) = (fleet.clone(), self.running.clock.now());
        let changes = self.running.store.write(move |tx| definitions::load(tx, &loading, now)).await?;
        in_force.send_replace(Arc::new(fleet));
        self.running.arrivals.send_modify(|arrivals| *arrivals += 1);
        self.running.news.send_modify(|news| *news += 1);
        tracing::info!(
            added = changes.added.join(", "),
            changed = changes.changed.join(", "),
            removed = changes.removed.join(", "),
            "fleet.reloaded"
        );
        Ok(())
    }

    pub(super) async fn reload_file(&self, file: &Path) {
        let path = file.to_owned();
        let read = tokio::task::spawn_blocking(move || fleet_file::load_to_serve(&path)).await;
        match read {
            Ok(Ok((fleet, warnings))) => {
                for warning in &warnings {
                    tracing::warn!(place = %warning.place(), key = warning.key, "fleet_file.warning: {}", warning.message);
                }
                if let Err(error) = self.reload(fleet).await {
                    tracing::error!(%error, "fleet.refused");
                }
            }
            Ok(Err(errors)) => refused(&errors),
            Err(panicked) => tracing::error!(error = %panicked, "fleet.refused"),
        }
    }
}

/// `fleet` with the values of the secrets that its checks name.
pub(super) async fn with_secrets(mut fleet: Fleet) -> Fleet {
    let checks = fleet.checks.clone();
    match tokio::task::spawn_blocking(move || secret_values::of_checks(&checks)).await {
        Ok(secrets) => fleet.secrets = secrets,
        Err(panicked) => tracing::error!(error = %panicked, "secret.missing"),
    }
    fleet
}

/// Says every error; the old fleet goes on.
fn refused(errors: &FleetFileErrors) {
    match errors {
        FleetFileErrors::Unreadable { .. } => tracing::error!(error = %errors, "fleet.refused"),
        FleetFileErrors::Invalid { errors, .. } => {
            for error in errors {
                tracing::error!(%error, "fleet_file.error");
            }
            tracing::error!(errors = errors.len(), "fleet.refused");
        }
    }
}

/// Settings that are read once, at the start, and differ.
fn fixed_until_restart(old: &Fleet, new: &Fleet) -> Vec<&'static str> {
    let (old, new) = (&old.aggregator, &new.aggregator);
    let differs = [
        ("aggregator.probes", old.probes != new.probes),
        ("aggregator.web", old.web != new.web),
        ("aggregator.database", old.database != new.database),
    ];
    differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

/// Reloads `file` on SIGHUP and when it, or the file of a secret that a check names, is another than before, until
/// `running.stop`.
pub(super) async fn watch(reloader: &Reloader, file: &Path) -> Result<(), String> {
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP can't be caught: {error}"))?;
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watched = watched(file, &reloader.running);
    // The files may have changed since they were read to start with, so the first look reads them again.
    let mut seen = None;
    loop {
        let told = tokio::select! {
            () = reloader.running.stop.cancelled() => return Ok(()),
            _hangup = hangup.recv() => true,
            _tick = look.tick() => false,
        };
        let mut now = Vec::with_capacity(watched.len());
        for file in &watched {
            now.push(Marks::of(file).await);
        }
        if told || seen.as_ref() != Some(&now) {
            reloader.reload_file(file).await;
            let before = std::mem::replace(&mut watched, self::watched(file, &reloader.running));
            // Where there are others now, they are read once more.
            seen = (before == watched).then_some(now);
        }
    }
}

/// The fleet file, and the files of the secrets that the checks in force name.
fn watched(file: &Path, running: &Running) -> Vec<PathBuf> {
    let fleet = running.fleet.borrow();
    let secrets = fleet.checks.iter().flat_map(|check| check.question.secrets());
    let files = secrets.filter_map(|secret| match secret {
        Secret::File(path) => Some(path.clone()),
        Secret::Env(_) => None,
    });
    let files: BTreeSet<PathBuf> = files.collect();
    std::iter::once(file.to_owned()).chain(files).collect()
}

/// What tells one state of a file from another; `None` where there is no file at the moment.
#[derive(Debug, PartialEq, Eq)]
struct Marks(Option<(u64, u64, i64, i64)>);

impl Marks {
    /// Links are followed: what is swapped is often the link.
    async fn of(file: &Path) -> Self {
        let found = tokio::fs::metadata(file).await.ok();
        Self(found.map(|about| (about.ino(), about.len(), about.mtime(), about.mtime_nsec())))
    }
}
