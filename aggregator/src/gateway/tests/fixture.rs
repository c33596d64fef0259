//! A door with a fleet behind it, and probes that knock.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::sample::Sample;
use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::{
    AGGREGATOR_NAME, Ack, BATCHES_PATH, BOOT_HEADER, Batch, Health, JOIN_PATH, JoinRequest, JoinResponse, RENEW_PATH,
    Refusal, RenewRequest, RenewResponse,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::control::{self, Command, Context};
use crate::counters::Counters;
use crate::definition::Fleet;
use crate::gateway::authority::{Authority, AuthorityError, sha256};
use crate::gateway::{self, Limits};
use crate::running::Running;
use crate::store::probes::Invited;
use crate::store::tests::{check, sample};
use crate::store::{Store, StoreError, definitions, probes, samples};

/// Nothing here takes this long; a test that waits longer has failed.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A fleet of two regions, with `shop-home` asked from both every `interval_ms`.
pub(super) fn fleet(interval_ms: i64) -> Fleet {
    let text = "environment = \"test\"\n[aggregator]\nprobes = \"127.0.0.1:0\"\nweb = \"127.0.0.1:0\"\n\
        [[region]]\nid = \"eu-west\"\nname = \"Ireland\"\n[[region]]\nid = \"us-east\"\nname = \"Virginia\"\n\
        [[customer]]\nid = \"acme\"\nname = \"Acme\"\ntimezone = \"Europe/Berlin\"\n\
        [[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\
        [[check]]\nid = \"shop-home\"\nservice = \"shop\"\nhttp = { url = \"https://shop.example/\" }\n";
    let (mut fleet, _warnings) = crate::fleet_file::parse(text, Path::new("nines.toml")).unwrap();
    fleet.checks = vec![check("shop-home", interval_ms, &["eu-west", "us-east"])];
    fleet
}

/// A door that is open.
pub(super) struct Door {
    pub(super) running: Running,
    pub(super) authority: Arc<Authority>,
    pub(super) address: SocketAddr,
    pub(super) fleet: watch::Sender<Arc<Fleet>>,
    pub(super) task: JoinHandle<Result<(), AuthorityError>>,
    pub(super) folder: TempDir,
}

impl Door {
    pub(super) async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        Self::at(tempfile::tempdir().unwrap(), limits).await
    }

    /// The same door after a restart, with another address.
    pub(super) async fn reopened(self) -> Self {
        let Self { running, authority, task, folder, fleet, .. } = self;
        running.stop.cancel();
        task.await.unwrap().unwrap();
        drop((running, authority, fleet));
        Self::at(folder, Limits::default()).await
    }

    async fn at(folder: TempDir, limits: Limits) -> Self {
        let path = folder.path().join("nines.db");
        // One that has just ended may still hold it for a moment.
        let opening = async {
            loop {
                match Store::open(&path) {
                    Err(StoreError::Taken { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                    opened => return opened.unwrap(),
                }
            }
        };
        let store = tokio::time::timeout(SOON, opening).await.unwrap();
        // A clock that stands where the system's does, since the client's side of TLS reads that one.
        let clock = Clock::manual(Clock::system().now());
        let now = clock.now();
        let authority = Arc::new(Authority::open(&store, now).await.unwrap());
        let loading = fleet(60_000);
        store.write(move |tx| definitions::load(tx, &loading, now)).await.unwrap();
        let (in_force, fleet) = watch::channel(Arc::new(fleet(60_000)));
        let running = Running {
            store,
            fleet,
            clock,
            arrivals: Arc::new(watch::Sender::new(0)),
            news: Arc::new(watch::Sender::new(0)),
            counters: Arc::new(Counters::default()),
            stop: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(gateway::run(listener, running.clone(), authority.clone(), limits));
        Self { running, authority, address, fleet: in_force, task, folder }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.running.clock.now()
    }

    /// Invites a probe whose secret is `secret`.
    pub(super) async fn invite(&self, region: &str, name: &str, secret: &str) {
        let (region, name): (RegionId, ProbeId) = (region.parse().unwrap(), name.parse().unwrap());
        let (secret, now) = (sha256(secret.as_bytes()), self.now());
        let authority = self.authority.circle().presenting();
        let inviting = self.running.store.write(move |tx| {
            let invited = Invited { region: &region, name: Some(&name), secret_sha256: secret, authority };
            probes::invite(tx, &invited, now)
        });
        inviting.await.unwrap().unwrap();
    }

    /// A probe that has joined.
    pub(super) async fn probe(&self, region: &str, name: &str) -> Probe {
        self.invite(region, name, name).await;
        let (status, probe) = self.join(name).await;
        assert_eq!(status, StatusCode::OK);
        probe.unwrap()
    }

    /// Keeps the store's writer busy until something is sent; then what holds it ends.
    pub(super) fn hold_the_writer(&self) -> (mpsc::Sender<()>, JoinHandle<()>) {
        let (release, held) = mpsc::channel::<()>();
        let store = self.running.store.clone();
        let holding = tokio::spawn(async move {
            store.write(move |_tx| Ok(held.recv().is_ok())).await.unwrap();
        });
        (release, holding)
    }

    /// Joins with `secret`; the key never leaves here.
    pub(super) async fn join(&self, secret: &str) -> (StatusCode, Result<Probe, Refusal>) {
        self.join_with(secret, &KeyPair::generate().unwrap()).await
    }

    /// The same, with this key.
    pub(super) async fn join_with(&self, secret: &str, key: &KeyPair) -> (StatusCode, Result<Probe, Refusal>) {
        // It asks to be someone else; the authority must not care.
        let mut params = CertificateParams::new(vec!["us-east-1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "us-east-1");
        let csr_pem = params.serialize_request(key).unwrap().pem().unwrap();
        let body = serde_json::to_vec(&JoinRequest { token: secret.to_owned(), csr_pem, probe: None }).unwrap();
        let mut stranger = self.connect(None).await.unwrap();
        let answer = stranger.send(Method::POST, JOIN_PATH, &[], body).await.unwrap();
        if answer.status != StatusCode::OK {
            return (answer.status, Err(answer.json()));
        }
        let joined: JoinResponse = answer.json();
        let identity = Identity {
            chain: vec![CertificateDer::from_pem_slice(joined.certificate_pem.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        };
        (answer.status, Ok(Probe { joined, identity }))
    }

    /// Does what `command` says, as the control socket would.
    pub(super) async fn command(&self, command: Command) -> Result<control::Answer, control::Refused> {
        let fleet = self.running.fleet.borrow().clone();
        let authority = self.authority.clone();
        let context = Context { fleet, probes_addr: self.address, authority, now: self.now() };
        control::done(command, &self.running, context).await.unwrap()
    }

    /// Moves the clock by `ms`.
    pub(super) fn pass(&self, ms: i64) {
        self.running.clock.set(self.now().plus_ms(ms));
    }

    /// TLS to the door, as `identity` or as a stranger; the gateway's name is verified.
    pub(super) async fn dial(&self, identity: Option<&Identity>) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for certificate in self.authority.circle().certificates() {
            roots.add(certificate.clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = match identity {
            Some(Identity { chain, key }) => config.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap(),
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(AGGREGATOR_NAME).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub(super) async fn connect(&self, identity: Option<&Identity>) -> std::io::Result<Connection> {
        let io = TokioIo::new(self.dial(identity).await?);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Ok(Connection { sender, boot: identity.map(|_| "one") })
    }

    pub(super) async fn stored(&self) -> u64 {
        self.running.store.read(samples::count).await.unwrap()
    }

    /// A planned sample of `shop-home` from `region`, `ago` slots before the last one; by nobody yet.
    pub(super) fn sample(&self, region: &str, ago: i64) -> Sample {
        let cadence = check("shop-home", 60_000, &["eu-west", "us-east"]).cadence(&region.parse().unwrap()).unwrap();
        let due = cadence.at_or_before(self.now()).plus_ms(-60_000 * ago);
        Sample { probe: None, ..sample(region, due.as_ms()) }
    }
}

/// A certificate and its key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// A probe that has joined.
pub(super) struct Probe {
    pub(super) joined: JoinResponse,
    pub(super) identity: Identity,
}

impl Probe {
    pub(super) fn batch(&self, samples: Vec<Sample>) -> Batch {
        Batch { probe: self.joined.probe.clone(), samples, health: Health::default() }
    }
}

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Which process it says that it is, where it has a certificate and a request does not say so itself.
    pub(super) boot: Option<&'static str>,
}

impl Connection {
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> hyper::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header("host", AGGREGATOR_NAME);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(boot) = self.boot.filter(|_| !headers.iter().any(|(name, _)| *name == BOOT_HEADER)) {
            request = request.header(BOOT_HEADER, boot);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::from(body)).unwrap()).await?;
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        tokio::time::timeout(SOON, self.send(Method::GET, path, &[], Vec::new())).await.unwrap().unwrap()
    }

    pub(super) async fn post_raw(&mut self, encoding: &str, body: Vec<u8>) -> Answer {
        self.send(Method::POST, BATCHES_PATH, &[("content-encoding", encoding)], body).await.unwrap()
    }

    /// Asks for the next certificate.
    pub(super) async fn renew(&mut self) -> (Answer, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let csr_pem = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let body = serde_json::to_vec(&RenewRequest { csr_pem }).unwrap();
        (self.send(Method::POST, RENEW_PATH, &[], body).await.unwrap(), key)
    }

    /// A next certificate, which must be given.
    pub(super) async fn renewed(&mut self) -> (Identity, String) {
        let (answer, key) = self.renew().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let renewed: RenewResponse = answer.json();
        let identity = Identity {
            chain: vec![CertificateDer::from_pem_slice(renewed.certificate_pem.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        };
        (identity, renewed.ca_pem)
    }

    pub(super) async fn post(&mut self, batch: &Batch) -> Answer {
        self.post_raw("zstd", packed(batch)).await
    }
}

pub(super) fn packed(batch: &Batch) -> Vec<u8> {
    zstd::encode_all(&serde_json::to_vec(batch).unwrap()[..], 3).unwrap()
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The delivery, as a probe sees one.
    pub(super) fn ack(&self) -> Ack {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()
    }

    /// The code of the refusal, which must be one.
    pub(super) fn refusal(&self) -> String {
        assert_ne!(self.status, StatusCode::OK);
        assert!(serde_json::from_slice::<Ack>(&self.body).is_err(), "a refusal must not read as an ack");
        self.json::<Refusal>().error
    }
}
