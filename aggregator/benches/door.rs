//! What delivering samples costs: samples per second through the real door, from bytes on a TLS connection to
//! an ack after a synced commit, against SQLite alone with the same rows, the same key and the same commits.
//!
//! Four probes in four regions, one connection each, one batch under way on each; what they send is made before
//! the watch starts, and they share the machine's cores with the aggregator.
//!
//! `cargo bench -p nines --bench door [-- SAMPLES]`; prints a table for `docs/PERFORMANCE.md`.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod reference;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use nines::counters::Counters;
use nines::definition::Fleet;
use nines::gateway::authority::{Authority, AuthorityError, sha256};
use nines::gateway::{self, Limits};
use nines::running::Running;
use nines::store::probes::Invited;
use nines::store::{Store, definitions, probes};
use nines_shared::check::Check;
use nines_shared::id::RegionId;
use nines_shared::sample::Sample;
use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::{AGGREGATOR_NAME, Ack, BATCHES_PATH, Batch, Health, JOIN_PATH, JoinRequest, JoinResponse};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

type Lane = SendRequest<Full<Bytes>>;

const BATCH: usize = 500;
const CHECKS: usize = 100;
const REGIONS: [&str; 4] = ["region-0", "region-1", "region-2", "region-3"];

fn main() {
    let wanted = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(200_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let fleet = fleet(Path::new("/nonexistent"));
    let shares: Vec<Vec<Batch>> =
        REGIONS.iter().map(|region| batches(&fleet, region, wanted / REGIONS.len())).collect();
    println!(
        "| batches of {BATCH} from {} connections | samples/s | commits/s | ack p50 | ack p99 | B/sample on the wire |",
        REGIONS.len()
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for _round in 0..3 {
        alone(&shares).print("SQLite alone, one commit a batch");
        runtime.block_on(through_the_door(&shares)).print("through the door: TLS, zstd, JSON, rules, commit, ack");
    }
}

/// How a run went.
struct Run {
    samples: usize,
    took: Duration,
    /// From the first byte out to the ack in, one a batch.
    acks: Vec<Duration>,
    /// On the wire, compressed.
    bytes: usize,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn print(&mut self, what: &str) {
        self.acks.sort();
        let at = |q: usize| {
            self.acks.get(self.acks.len() * q / 100).map_or("–".to_owned(), |ack| format!("{} ms", ack.as_millis()))
        };
        let seconds = self.took.as_secs_f64();
        let (rate, commits) = (self.samples as f64 / seconds, (self.samples / BATCH) as f64 / seconds);
        let wire =
            if self.bytes == 0 { "–".to_owned() } else { format!("{:.1}", self.bytes as f64 / self.samples as f64) };
        println!("| {what} | {rate:.0} | {commits:.0} | {} | {} | {wire} |", at(50), at(99));
    }
}

fn fleet(folder: &Path) -> Fleet {
    let mut text = "environment = \"bench\"\n[aggregator]\nprobes = \"127.0.0.1:0\"\nweb = \"127.0.0.1:0\"\ndatabase = \"nines.db\"\n\
        [[customer]]\nid = \"acme\"\nname = \"Acme\"\ntimezone = \"UTC\"\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n"
        .to_owned();
    for region in REGIONS {
        text += &format!("[[region]]\nid = \"{region}\"\nname = \"{region}\"\n");
    }
    for check in 0..CHECKS {
        text += &format!(
            "[[check]]\nid = \"check-{check}\"\nservice = \"shop\"\ninterval = \"30s\"\nhttp = {{ url = \"https://shop-{check}.example/\" }}\n"
        );
    }
    nines::fleet_file::parse(&text, &folder.join("nines.toml")).expect("a good file").0
}

/// The last `wanted` samples of `region` before now, in the order in which they would come.
fn batches(fleet: &Fleet, region: &str, wanted: usize) -> Vec<Batch> {
    let region: RegionId = region.parse().expect("an id");
    let slots = i64::try_from(wanted / CHECKS).expect("few");
    let now = Clock::system().now();
    let all: Vec<Sample> = (0..slots)
        .rev()
        .flat_map(|ago| fleet.checks.iter().map(move |check| (ago, check)))
        .map(|(ago, check)| sample(check, &region, now, ago))
        .collect();
    let probe = format!("{region}-1");
    let batch = |samples: &[Sample]| Batch {
        probe: probe.parse().expect("an id"),
        samples: samples.to_vec(),
        health: Health::default(),
    };
    all.chunks(BATCH).map(batch).collect()
}

fn sample(check: &Check, region: &RegionId, now: Timestamp, ago: i64) -> Sample {
    let cadence = check.cadence(region).expect("asked from there");
    let scheduled_at = cadence.at_or_before(now).plus_ms(-ago * check.interval_ms);
    reference::sample(check.id.clone(), region.clone(), scheduled_at)
}

async fn through_the_door(shares: &[Vec<Batch>]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let door = Door::open(folder.path()).await;
    let mut lanes = Vec::new();
    for (region, share) in REGIONS.iter().zip(shares) {
        lanes.push((door.joined(region).await, share.iter().map(packed).collect::<Vec<Bytes>>()));
    }
    let bytes = lanes.iter().flat_map(|(_, bodies)| bodies.iter().map(Bytes::len)).sum();
    let began = Instant::now();
    let sending: Vec<_> = lanes.into_iter().map(|(lane, bodies)| tokio::spawn(send(lane, bodies))).collect();
    let mut acks = Vec::new();
    for lane in sending {
        acks.extend(lane.await.expect("a lane"));
    }
    let took = began.elapsed();
    door.running.stop.cancel();
    door.open.await.expect("no panic").expect("a door");
    Run { samples: count(shares), took, acks, bytes }
}

/// The probes' door and the store behind it, without those who judge and show what comes.
struct Door {
    running: Running,
    authority: Arc<Authority>,
    address: SocketAddr,
    open: JoinHandle<Result<(), AuthorityError>>,
}

impl Door {
    async fn open(folder: &Path) -> Self {
        let fleet = fleet(folder);
        let store = Store::open(&fleet.aggregator.database).expect("a database");
        let clock = Clock::system();
        let (now, loading) = (clock.now(), fleet.clone());
        store.write(move |tx| definitions::load(tx, &loading, now)).await.expect("definitions");
        let authority = Arc::new(Authority::open(&store, now).await.expect("an authority"));
        let running = Running {
            store,
            fleet: watch::channel(Arc::new(fleet)).1,
            clock,
            arrivals: Arc::new(watch::Sender::new(0)),
            news: Arc::new(watch::Sender::new(0)),
            counters: Arc::new(Counters::default()),
            stop: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let open = tokio::spawn(gateway::run(listener, running.clone(), authority.clone(), Limits::default()));
        Self { running, authority, address, open }
    }

    /// A probe's connection, enrolled as probes are.
    async fn joined(&self, region: &str) -> Lane {
        let (invited, now) = (region.parse().expect("an id"), Clock::system().now());
        let secret = sha256(region.as_bytes());
        let inviting = self.running.store.write(move |tx| {
            let invited = Invited { region: &invited, name: None, secret_sha256: secret, authority: 1 };
            probes::invite(tx, &invited, now)
        });
        inviting.await.expect("a store").expect("a free name");
        let key = KeyPair::generate().expect("a key");
        let csr = CertificateParams::default().serialize_request(&key).expect("a request");
        let request = JoinRequest { token: region.to_owned(), csr_pem: csr.pem().expect("PEM"), probe: None };
        let body = serde_json::to_vec(&request).expect("JSON");
        let answer: JoinResponse = post(&mut self.dial(None).await, JOIN_PATH, body.into()).await;
        let chain = vec![CertificateDer::from_pem_slice(answer.certificate_pem.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        self.dial(Some((chain, key))).await
    }

    async fn dial(&self, identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>) -> Lane {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.circle().presented().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots);
        let config = match identity {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).expect("a key that fits"),
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await.expect("an open door");
        let name = ServerName::try_from(AGGREGATOR_NAME).expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
        let (lane, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        lane
    }
}

fn packed(batch: &Batch) -> Bytes {
    let json = serde_json::to_vec(batch).expect("a batch is JSON");
    zstd::encode_all(&json[..], 3).expect("memory").into()
}

/// Delivers all of it, one after the other; how long each ack took.
async fn send(mut lane: Lane, bodies: Vec<Bytes>) -> Vec<Duration> {
    let mut acks = Vec::with_capacity(bodies.len());
    for body in bodies {
        let began = Instant::now();
        let ack: Ack = post(&mut lane, BATCHES_PATH, body).await;
        assert_eq!((ack.samples, ack.stored), (BATCH, BATCH));
        acks.push(began.elapsed());
    }
    acks
}

async fn post<T: DeserializeOwned>(lane: &mut Lane, path: &str, body: Bytes) -> T {
    let encoding = if path == BATCHES_PATH { "zstd" } else { "identity" };
    let request = Request::post(path).header("host", AGGREGATOR_NAME).header("content-encoding", encoding);
    let request = request.body(Full::new(body)).expect("a request");
    lane.ready().await.expect("an open connection");
    let answer = lane.send_request(request).await.expect("an answer");
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("all of the answer").to_bytes();
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("what was asked for")
}

fn count(shares: &[Vec<Batch>]) -> usize {
    shares.iter().flatten().map(|batch| batch.samples.len()).sum()
}

/// The same rows into the same table by a bare loop, in the order in which the door takes turns.
fn alone(shares: &[Vec<Batch>]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let mut connection = reference::open(&folder.path().join("alone.db"));
    let longest = shares.iter().map(Vec::len).max().unwrap_or(0);
    let began = Instant::now();
    for batch in (0..longest).flat_map(|turn| shares.iter().filter_map(move |share| share.get(turn))) {
        reference::insert(&mut connection, &batch.samples);
    }
    Run { samples: count(shares), took: began.elapsed(), acks: Vec::new(), bytes: 0 }
}
