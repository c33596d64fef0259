//! Signs of life: into the store every few seconds, so that the next start knows how long we were away, and to a
//! watcher outside for as long as everything that must move does.
//!
//! The watcher (a dead man's switch such as healthchecks.io) raises the alarm when we go silent; so we go silent when
//! the probes' door does not answer, or evaluator, outbox or follower stand still, or the database is damaged, and say
//! why in the log and in `nines status`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use nines_shared::sample::detail;
use nines_shared::time::Timestamp;
use nines_shared::wire::AGGREGATOR_NAME;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::alert::channel::client::{Client, Request};
use crate::definition::Heartbeat;
use crate::definition::channel::Address;
use crate::gateway::authority::Authority;
use crate::running::Running;
use crate::secret_values;
use crate::store::gaps;

/// How often a sign of life is written.
pub(super) const BEAT: Duration = Duration::from_secs(5);
/// How long the probes' door may take for a handshake.
const DOOR_PATIENCE: Duration = Duration::from_secs(5);
/// What moves at least once a second or so is taken for stuck when it did not for this long.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Writes signs of life until `running.stop`.
pub(super) async fn beat(running: Running) {
    let mut starting = true;
    while !running.stop.is_cancelled() {
        let (now, first) = (running.clock.now(), starting);
        match running.store.write(move |tx| gaps::beat(tx, first, now)).await {
            Ok(None) => starting = false,
            Ok(Some(gap)) => {
                starting = false;
                tracing::warn!(from = %gap.span.from, to = %gap.span.to, why = gap.why.code(), "monitoring.gap");
            }
            Err(error) => tracing::error!(%error, "life.not_kept: tried again within seconds"),
        }
        tokio::select! {
            () = running.stop.cancelled() => {}
            () = sleep(BEAT) => {}
        }
    }
}

/// Tells the watcher that we live until `running.stop`, where the fleet file names one.
pub(super) async fn heartbeat(running: Running, authority: Arc<Authority>, probes: SocketAddr) {
    let mut pulse = Pulse::default();
    let mut last: Option<Instant> = None;
    while !running.stop.is_cancelled() {
        pulse.look(&running, Instant::now());
        let wanted = running.fleet.borrow().aggregator.heartbeat.clone();
        let damaged = || running.store.damage().map(|_why| "the database is damaged".to_owned());
        let fault = pulse.fault(Instant::now()).or_else(damaged);
        let due = |heartbeat: &Heartbeat| {
            let every = Duration::from_millis(heartbeat.every_ms.unsigned_abs());
            (pulse.has_begun() || fault.is_some()) && last.is_none_or(|at| every <= at.elapsed())
        };
        if let Some(heartbeat) = wanted.filter(due) {
            last = Some(Instant::now());
            let went = match fault {
                Some(fault) => Err(fault),
                None => match knock(&authority, probes).await {
                    Err(fault) => Err(fault),
                    Ok(()) => told(&running, &heartbeat).await,
                },
            };
            if let Err(why) = &went {
                tracing::error!(why, "heartbeat.silent");
            }
            if let Err(error) = running.store.write(move |tx| gaps::keep_heartbeat(tx, &went)).await {
                tracing::error!(%error, "heartbeat.not_kept");
            }
        }
        tokio::select! {
            () = running.stop.cancelled() => {}
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// When each part was last seen to move.
#[derive(Debug, Default)]
struct Pulse([Option<(u64, Instant)>; 3]);

const PARTS: [&str; 3] = ["the evaluator", "the outbox", "the follower of incidents"];

impl Pulse {
    fn look(&mut self, running: &Running, now: Instant) {
        let counters = &running.counters;
        let counts = [counters.ticks.get(), counters.outbox_rounds.get(), counters.follow_rounds.get()];
        for (seen, count) in self.0.iter_mut().zip(counts) {
            if seen.is_none_or(|(before, _)| before != count) {
                *seen = Some((count, now));
            }
        }
    }

    /// Whether every part has moved at all: before that there is nothing to tell of.
    fn has_begun(&self) -> bool {
        self.0.iter().all(|seen| seen.is_some_and(|(count, _)| count != 0))
    }

    /// Which part stands still; one that never moved does so since it was first looked at.
    fn fault(&self, now: Instant) -> Option<String> {
        let stuck = |(part, seen): (&&str, &Option<(u64, Instant)>)| {
            let still = now.duration_since((*seen)?.1);
            (STANDSTILL <= still).then(|| format!("{part} has not moved for {} s", still.as_secs()))
        };
        PARTS.iter().zip(&self.0).find_map(stuck)
    }
}

/// Shakes hands with the probes' door, as a probe without a certificate would.
async fn knock(authority: &Authority, door: SocketAddr) -> Result<(), String> {
    let failed = |why: String| format!("the probes' door does not answer: {why}");
    let here = match door.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        named @ (IpAddr::V4(_) | IpAddr::V6(_)) => named,
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority.circle().presented().clone()).map_err(|why| failed(why.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| failed(why.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(AGGREGATOR_NAME).map_err(|why| failed(why.to_string()))?;
    let handshake = async {
        let stream = TcpStream::connect(SocketAddr::new(here, door.port())).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    match timeout(DOOR_PATIENCE, handshake).await {
        Ok(Ok(_shaken)) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_elapsed) => Err(failed(format!("not within {} s", DOOR_PATIENCE.as_secs()))),
    }
}

/// Tells the watcher once; any 2xx will do.
async fn told(running: &Running, heartbeat: &Heartbeat) -> Result<Timestamp, String> {
    let url = match &heartbeat.url {
        Address::Open(url) => url.clone(),
        Address::Secret(name) => {
            let name = name.clone();
            let read = tokio::task::spawn_blocking(move || secret_values::read(&name)).await;
            let text = read.map_err(|panicked| panicked.to_string())??;
            // What is no URL may still be a secret, so it is not quoted.
            text.reveal().parse().map_err(|_wrong| "the heartbeat's secret is no URL".to_owned())?
        }
    };
    let client = Client::new(&running.fleet.borrow().aggregator.webhook_allow);
    let request = Request { method: Method::GET, url: &url, headers: Vec::new(), body: String::new(), ca_pem: None };
    let failed = |why: &str| format!("the watcher was not told: {}", detail(why));
    let answer = client.send(request).await.map_err(|error| failed(&error.to_string()))?;
    if answer.status.is_success() {
        Ok(running.clock.now())
    } else {
        Err(failed(&format!("it answered {}", answer.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(from: Instant, seconds: u64) -> Instant {
        from + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_part_that_stands_still_or_never_moved_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let served = crate::control::tests::serve(folder.path().join("nines.db")).await;
        let (counters, start, mut pulse) = (&served.running.counters, Instant::now(), Pulse::default());
        let mut look = |seconds| {
            pulse.look(&served.running, later(start, seconds));
            (pulse.has_begun(), pulse.fault(later(start, seconds)))
        };
        assert_eq!(look(0), (false, None));
        assert!(look(30).1.unwrap().contains("the evaluator"), "it never moved");
        counters.ticks.add(1);
        counters.outbox_rounds.add(1);
        assert!(look(31).1.unwrap().contains("the follower"));
        counters.follow_rounds.add(1);
        assert_eq!(look(32), (true, None));
        counters.ticks.add(1);
        counters.follow_rounds.add(1);
        assert_eq!(look(60), (true, None));
        assert_eq!(look(61).1, Some("the outbox has not moved for 30 s".to_owned()));
    }

    #[tokio::test]
    async fn a_door_that_takes_connections_and_says_nothing_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::Store::open(&folder.path().join("nines.db")).unwrap();
        let authority = Authority::open(&store, nines_shared::time::Clock::system().now()).await.unwrap();
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fault = knock(&authority, mute.local_addr().unwrap()).await.unwrap_err();
        assert!(fault.contains("does not answer: not within 5 s"), "{fault}");
        let address = mute.local_addr().unwrap();
        drop(mute);
        assert!(knock(&authority, address).await.unwrap_err().contains("does not answer"));
    }
}
