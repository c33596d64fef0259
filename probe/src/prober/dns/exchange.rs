//! A question out, its answer in: UDP with TCP where the answer is truncated, TCP, TLS or HTTPS from the start.
//!
//! Over UDP anybody may answer: what is not an answer to this very question (address, port, id, name,
//! type) is passed over until the deadline. Over a connection it is the server itself that speaks, and
//! nonsense is nonsense.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::rand;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use nines_shared::check::{DnsServer, Reach};
use nines_shared::sample::{Phase, Reason};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::client::TlsStream;
use url::Host;

use super::super::failure::{self, Failure};
use super::super::handshake::{self, Terms};
use super::super::record::Record;
use super::super::trust::Alpn;
use super::super::{Look, connect};
use super::https;

/// The largest answer that is asked for over UDP: what no path fragments (RFC 9715).
const MAX_UDP_ANSWER: u16 = 1_232;
/// Room for a datagram; a larger one is cut by the kernel and then passed over.
const DATAGRAM: usize = 4_096;

/// What is asked, in class IN.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    /// Whether the server is to find the answer elsewhere if it does not have it.
    pub(super) recursion: bool,
    /// Whether signatures are wanted, and the server's own judgement of them is not (DO and CD).
    pub(super) dnssec: bool,
    /// Whether the server is to say if it validated the answer (AD, RFC 6840 §5.7).
    pub(super) ad: bool,
}

/// Whom to ask, and from where.
#[derive(Clone, Copy)]
pub(super) struct Peer<'p> {
    pub(super) look: &'p Look<'p>,
    pub(super) server: &'p DnsServer,
    /// Roots to verify its certificate with, instead of Mozilla's.
    pub(super) ca_pem: Option<&'p str>,
}

/// An answer to the question asked.
pub(super) struct Reply {
    pub(super) message: Message,
    /// How it came.
    pub(super) transport: &'static str,
    /// Whether an answer over UDP was cut short before this one.
    pub(super) truncated: bool,
}

/// Asks `peer`, whose address has passed the rule where the server is named by address. Without EDNS a second
/// time where the server does not know EDNS (RFC 6891 §7).
pub(super) async fn exchange(query: &Query, peer: Peer<'_>, record: &mut Record) -> Result<Reply, Failure> {
    let reply = once(&Outgoing::new(query, true)?, peer, record).await?;
    let code = reply.message.metadata.response_code;
    if matches!(code, ResponseCode::FormErr | ResponseCode::NotImp) && reply.message.edns.is_none() {
        return once(&Outgoing::new(query, false)?, peer, record).await;
    }
    Ok(reply)
}

async fn once(outgoing: &Outgoing<'_>, peer: Peer<'_>, record: &mut Record) -> Result<Reply, Failure> {
    let source = peer.look.prober.vantage.source;
    let whole = |message, transport| Reply { message, transport, truncated: false };
    match peer.server {
        DnsServer::Udp(address) => {
            record.contact(*address);
            record.enter(Phase::Resolve);
            let message = over_udp(outgoing, *address, source, record).await?;
            if !message.metadata.truncation {
                return Ok(whole(message, "udp"));
            }
            record.remark = Some("the answer over UDP was truncated, and TCP was tried".to_owned());
            let message = over_tcp(outgoing, *address, source).await.map_err(|failure| {
                let detail = format!("the answer over UDP was truncated, and over TCP: {}", failure.detail);
                Failure { detail, ..failure }
            })?;
            Ok(Reply { message, transport: "tcp", truncated: true })
        }
        DnsServer::Tcp(address) => {
            record.contact(*address);
            record.enter(Phase::Resolve);
            Ok(whole(over_tcp(outgoing, *address, source).await?, "tcp"))
        }
        DnsServer::Tls { address, name } => {
            let host = host_of(address.ip());
            let name = name.as_deref().map_or_else(|| host.clone(), Host::Domain);
            let mut stream = secured(peer, (&host, address.port()), Terms::with(&name), record).await?;
            let bytes = framed(&mut stream, outgoing).await.map_err(|error| of_stream(&error, *address))?;
            Ok(whole(outgoing.answered_by(&bytes)?, "tls"))
        }
        DnsServer::Https(url) => {
            let (host, port) = url
                .host()
                .zip(url.port_or_known_default())
                .ok_or_else(|| Failure::ours(Reason::Unsupported, Phase::Resolve, format!("{url} names no host")))?;
            let terms = Terms { alpn: Alpn::Any, ..Terms::with(&host) };
            let stream = secured(peer, (&host, port), terms, record).await?;
            let bytes = https::post(stream, url, &peer.look.prober.agent, outgoing.bare()).await?;
            Ok(whole(outgoing.answered_by(&bytes)?, "https"))
        }
    }
}

fn host_of(address: IpAddr) -> Host<&'static str> {
    match address {
        IpAddr::V4(v4) => Host::Ipv4(v4),
        IpAddr::V6(v6) => Host::Ipv6(v6),
    }
}

/// A TLS session with the server, with which the exchange begins.
async fn secured(
    peer: Peer<'_>,
    (host, port): (&Host<&str>, u16),
    terms: Terms<'_>,
    record: &mut Record,
) -> Result<TlsStream<TcpStream>, Failure> {
    let stream = connect::open(peer.look, host, port, Reach::default(), record).await?;
    let stream = handshake::secure(peer.look, stream, Terms { ca_pem: peer.ca_pem, ..terms }, record).await?;
    record.enter(Phase::Resolve);
    Ok(stream)
}

/// A question as it goes out.
struct Outgoing<'q> {
    query: &'q Query,
    id: u16,
    /// With the two bytes of length before it that TCP wants.
    framed: Vec<u8>,
}

impl<'q> Outgoing<'q> {
    fn new(query: &'q Query, edns: bool) -> Result<Self, Failure> {
        let internal = |why: String| Failure::ours(Reason::Internal, Phase::Resolve, why);
        let mut random = [0; 2];
        rand::fill(&mut random).map_err(|_no_detail| internal("no random bytes for the question's id".to_owned()))?;
        let id = u16::from_be_bytes(random);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = query.recursion;
        message.metadata.checking_disabled = query.dnssec;
        message.metadata.authentic_data = query.ad;
        message.add_query(Asked::query(query.name.clone(), query.record_type));
        if edns {
            let mut options = Edns::new();
            options.set_max_payload(MAX_UDP_ANSWER);
            options.set_dnssec_ok(query.dnssec);
            message.set_edns(options);
        }
        let bytes = message.to_vec().map_err(|error| internal(error.to_string()))?;
        let length = u16::try_from(bytes.len()).map_err(|error| internal(error.to_string()))?;
        Ok(Self { query, id, framed: [&length.to_be_bytes()[..], &bytes].concat() })
    }

    fn bare(&self) -> &[u8] {
        &self.framed[2..]
    }

    fn has_id(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.id.to_be_bytes())
    }

    /// The answer in `bytes`, which came over a connection of our own: nonsense there is the server's.
    fn answered_by(&self, bytes: &[u8]) -> Result<Message, Failure> {
        let message = decode(bytes)?;
        if self.is_answered_by(&message) {
            return Ok(message);
        }
        Err(Failure::theirs(Reason::DnsMalformed, Phase::Resolve, "the answer is not to our question"))
    }

    /// Whether `message` answers this question. A server that could not read the question may leave it out.
    fn is_answered_by(&self, message: &Message) -> bool {
        let head = &message.metadata;
        let echoed = match message.queries.as_slice() {
            [asked] => asked.name == self.query.name && asked.query_type == self.query.record_type,
            [] => head.response_code != ResponseCode::NoError,
            _ => false,
        };
        head.message_type == MessageType::Response && head.op_code == OpCode::Query && head.id == self.id && echoed
    }
}

async fn over_udp(
    outgoing: &Outgoing<'_>,
    server: SocketAddr,
    source: Option<IpAddr>,
    record: &mut Record,
) -> Result<Message, Failure> {
    let of_server = |error: &io::Error| of_dial(failure::of_connect(error, server, source));
    let from = source.unwrap_or(match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    });
    let socket = UdpSocket::bind(SocketAddr::new(from, 0)).await.map_err(|error| match source {
        Some(source) => failure::of_bind(&error, Phase::Resolve, source),
        None => of_server(&error),
    })?;
    // Connected: the kernel passes on only what comes from the server, and tells of refusals.
    socket.connect(server).await.map_err(|error| of_server(&error))?;
    socket.send(outgoing.bare()).await.map_err(|error| of_server(&error))?;
    let mut datagram = [0; DATAGRAM];
    let mut passed_over = 0_u32;
    loop {
        let length = socket.recv(&mut datagram).await.map_err(|error| of_server(&error))?;
        let bytes = &datagram[..length];
        if outgoing.has_id(bytes) {
            let message = decode(bytes)?;
            if outgoing.is_answered_by(&message) {
                record.overdue = None;
                return Ok(message);
            }
        }
        passed_over = passed_over.saturating_add(1);
        let detail =
            format!("{server} sent {passed_over} datagrams, and none answers the question: other ids or names");
        record.overdue = Some(Failure::theirs(Reason::DnsWrongId, Phase::Resolve, detail));
    }
}

async fn over_tcp(outgoing: &Outgoing<'_>, server: SocketAddr, source: Option<IpAddr>) -> Result<Message, Failure> {
    let mut stream = connect::dial(server, source).await.map_err(of_dial)?;
    let bytes = framed(&mut stream, outgoing).await.map_err(|error| of_stream(&error, server))?;
    outgoing.answered_by(&bytes)
}

/// What comes for `outgoing` over a stream, with its two bytes of length before it. At most 65,535 bytes.
async fn framed(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), outgoing: &Outgoing<'_>) -> io::Result<Vec<u8>> {
    stream.write_all(&outgoing.framed).await?;
    stream.flush().await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Why no answer came over a stream.
fn of_stream(error: &io::Error, server: SocketAddr) -> Failure {
    if let Some(tls) = handshake::tls_error(error) {
        return Failure::theirs(handshake::reason_of(tls), Phase::Tls, format!("{server}: {tls}"));
    }
    let detail = format!("{server}: the connection ended before the answer: {error}");
    failure::our_own(error, Phase::Resolve)
        .unwrap_or_else(|| Failure::theirs(Reason::DnsUnreachable, Phase::Resolve, detail))
}

fn decode(bytes: &[u8]) -> Result<Message, Failure> {
    Message::from_vec(bytes).map_err(|error| {
        Failure::theirs(Reason::DnsMalformed, Phase::Resolve, format!("the answer can't be read: {error}"))
    })
}

/// In a DNS check a server that takes no connection is unreachable; what was ours stays so.
fn of_dial(failure: Failure) -> Failure {
    let refused = [Reason::ConnectRefused, Reason::ConnectReset, Reason::ConnectUnreachable];
    let reason = if refused.contains(&failure.reason) { Reason::DnsUnreachable } else { failure.reason };
    let reason = if reason == Reason::ConnectTimeout { Reason::DnsTimeout } else { reason };
    Failure { reason, phase: Phase::Resolve, ..failure }
}
