//! What a check costs the probe in CPU, hot, beside a bare loop of the same libraries in the same run.
//!
//!     cargo bench -p nines-probe --bench cost
//!
//! Targets run on threads of their own; only the probing thread is measured, user and system time, by
//! Linux's `/proc/thread-self/schedstat`. Ours and bare take turns, round by round, so that a noisy
//! neighbour meets both; the medians of the rounds are printed. Hot figures: a closed loop, no wake-ups.
//! Allocations are counted on the same thread, and are exact but for what a reallocation is counted as.

#![expect(clippy::print_stdout, reason = "a benchmark is there to print its table")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType as ProtoType};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nines_probe::prober::{Prober, Vantage};
use nines_shared::address::AddressRule;
use nines_shared::check::{Check, DnsQuestion, Draft, HttpQuestion, HttpVersion, Question, RecordType};
use nines_shared::sample::{Outcome, TraceId};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Checks a round.
const CHECKS: u32 = 300;
/// Rounds of each; the first is not counted.
const ROUNDS: usize = 12;
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
const NAME: &str = "shop.example.";

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
    let connector = TlsConnector::from(Arc::new(authority.client()));
    let (http, https, dns) = (http_target(None), http_target(Some(acceptor)), dns_target());
    let prober = Prober::new(Vantage {
        rule: AddressRule::new(vec!["127.0.0.0/8".parse().expect("a network")], Vec::new()),
        ..Vantage::default()
    })
    .terse();
    let mut table = String::from(
        "| check, hot | ours, CPU µs | bare loop, CPU µs | ratio | allocations, ours (bytes) | bare loop (bytes) |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );

    let check = http_check(&format!("http://{http}/"), None);
    row(&mut table, &runtime, "HTTP, new connection", || run(&prober, &check), || bare_http(http));

    let check = http_check(&format!("https://{https}/"), Some(authority.pem.clone()));
    let bare = || bare_https(https, connector.clone());
    row(&mut table, &runtime, "HTTPS, TLS 1.3 P-256, full handshake", || run(&prober, &check), bare);

    let check = dns_check(dns);
    row(&mut table, &runtime, "DNS, UDP, A", || run(&prober, &check), || bare_dns(dns));
    println!("{table}");
}

/// Measures `ours` and `bare` and writes their line of the table.
fn row<F: Future<Output = ()>, G: Future<Output = ()>>(
    table: &mut String,
    runtime: &Runtime,
    name: &str,
    ours: impl Fn() -> F,
    bare: impl Fn() -> G,
) {
    let (ours_ns, bare_ns) = runtime.block_on(rounds(&ours, &bare));
    let hundredths = ours_ns * 100 / bare_ns.max(1);
    let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let (allocated, bare_allocated) = (allocations(runtime, ours), allocations(runtime, bare));
    // Writing to a string can't fail.
    let _written = writeln!(
        table,
        "| {name} | {} | {} | {ratio} | {allocated} | {bare_allocated} |",
        ours_ns / 1_000,
        bare_ns / 1_000
    );
}

/// How often, and how much, this thread allocates for one check, of which everything else is warm by now.
fn allocations<F: Future<Output = ()>>(runtime: &Runtime, work: impl Fn() -> F) -> String {
    let counted = allocation_counter::measure(|| {
        for _ in 0..CHECKS {
            runtime.block_on(work());
        }
    });
    let each = u64::from(CHECKS);
    format!("{} ({})", counted.count_total / each, counted.bytes_total / each)
}

/// The median CPU nanoseconds of one check of each, over the rounds.
async fn rounds<F: Future<Output = ()>, G: Future<Output = ()>>(
    ours: impl Fn() -> F,
    bare: impl Fn() -> G,
) -> (u64, u64) {
    let (mut all_ours, mut all_bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (one, other) = (cost(&ours).await, cost(&bare).await);
        if 0 < round {
            all_ours.push(one);
            all_bare.push(other);
        }
    }
    (median(all_ours), median(all_bare))
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

async fn cost<F: Future<Output = ()>>(work: impl Fn() -> F) -> u64 {
    let before = cpu_ns();
    for _ in 0..CHECKS {
        work().await;
    }
    (cpu_ns() - before) / u64::from(CHECKS)
}

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with scheduler statistics");
    stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("the first field is nanoseconds")
}

async fn run(prober: &Prober, check: &Check) {
    let seen = prober.run(check, TraceId(7)).await;
    assert_eq!(seen.outcome, Outcome::Up, "{seen:?}");
}

fn check(question: Question) -> Check {
    let id = "cost";
    let region = vec![id.parse().expect("an id")];
    Check::new(Draft::new(id.parse().expect("an id"), id.parse().expect("an id"), region, question)).expect("a check")
}

fn http_check(url: &str, ca_pem: Option<String>) -> Check {
    let mut question = HttpQuestion::get(url.parse().expect("a URL"));
    question.ca_pem = ca_pem;
    question.version = HttpVersion::Http1;
    check(Question::Http(Box::new(question)))
}

fn dns_check(address: SocketAddr) -> Check {
    let server = format!("udp://{address}").parse().expect("an address makes a server");
    let mut question = DnsQuestion::new(NAME, RecordType::A, Some(server));
    question.expect.answers = Some(vec!["192.0.2.10".to_owned()]);
    check(Question::Dns(Box::new(question)))
}

// The bare loops: what one would write first with the same libraries.

async fn bare_http(to: SocketAddr) {
    exchange(TcpStream::connect(to).await.expect("a connection")).await;
}

async fn bare_https(to: SocketAddr, connector: TlsConnector) {
    let tcp = TcpStream::connect(to).await.expect("a connection");
    let name = ServerName::from(to.ip());
    exchange(connector.connect(name, tcp).await.expect("a handshake")).await;
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.expect("a client");
    let connection = tokio::spawn(connection);
    let request = hyper::Request::builder()
        .uri("/")
        .header("host", "127.0.0.1")
        .header("user-agent", "bare")
        .header("accept", "*/*")
        .body(Full::default())
        .expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(&body[..], b"hello");
    connection.abort();
}

async fn bare_dns(server: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(server).await.expect("an address");
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(NAME).expect("a name"), ProtoType::A));
    socket.send(&question.to_vec().expect("a message")).await.expect("sent");
    let mut datagram = [0; 1_500];
    let length = socket.recv(&mut datagram).await.expect("an answer");
    let answer = Message::from_vec(&datagram[..length]).expect("a message");
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.answers.len(), 1);
}

// The targets.

fn http_target(acceptor: Option<TlsAcceptor>) -> SocketAddr {
    elsewhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        (address, async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                match acceptor.clone() {
                    None => drop(tokio::spawn(answer(stream))),
                    Some(acceptor) => drop(tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            answer(stream).await;
                        }
                    })),
                }
            }
        })
    })
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut bytes = [0; 2_048];
    let asked = stream.read(&mut bytes).await.unwrap_or(0);
    if 0 < asked && stream.write_all(RESPONSE).await.is_ok() {
        // The client closes.
        let _closed = stream.read(&mut bytes).await;
    }
}

fn dns_target() -> SocketAddr {
    elsewhere(|| async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("bound");
        (address, async move {
            let mut datagram = [0; 1_500];
            while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
                let question = Message::from_vec(&datagram[..length]).expect("a message");
                let mut reply = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
                let owner = question.queries[0].name.clone();
                reply.add_queries(question.queries);
                reply.add_answer(Record::from_rdata(owner, 60, RData::A(A::new(192, 0, 2, 10))));
                socket.send_to(&reply.to_vec().expect("a message"), peer).await.expect("sent");
            }
        })
    })
}

/// Runs a target on a thread of its own; returns where it listens.
fn elsewhere<S, T>(start: impl FnOnce() -> S + Send + 'static) -> SocketAddr
where
    S: Future<Output = (SocketAddr, T)>,
    T: Future<Output = ()>,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (address, serve) = start().await;
            tell.send(address).expect("someone waits");
            serve.await;
        });
    });
    told.recv().expect("an address")
}

struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn server(&self) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .expect("a pair")
    }

    fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config
    }
}

/// The same key exchange as the prober's: the comparison is of code, not of curves.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    Arc::new(provider)
}
