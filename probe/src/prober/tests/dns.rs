//! DNS checks against good and hostile servers.

mod encrypted;
mod servers;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record};
use nines_shared::check::{DnsQuestion, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;

/// What a server sends for a question: datagrams, in order.
type Answers = Vec<Vec<u8>>;

/// A server that answers each question over UDP with what `answer` makes of it.
pub(super) async fn udp(answer: impl Fn(&Message) -> Answers + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = [0; 2_048];
        while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
            let Ok(question) = Message::from_vec(&datagram[..length]) else { continue };
            for bytes in answer(&question) {
                let _gone = socket.send_to(&bytes, peer).await;
            }
        }
    });
    address
}

/// A server that answers each question over TCP, at `address`.
async fn tcp(address: SocketAddr, answer: impl Fn(&Message) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut bytes = vec![0; usize::from(length)];
            stream.read_exact(&mut bytes).await.unwrap();
            let bytes = answer(&Message::from_vec(&bytes).unwrap());
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    address
}

fn reply(question: &Message) -> Message {
    let mut reply = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    reply.add_queries(question.queries.clone());
    reply
}

/// An answer with `code` and no record.
pub(super) fn coded(question: &Message, code: ResponseCode) -> Vec<u8> {
    let mut reply = reply(question);
    reply.metadata.response_code = code;
    reply.to_vec().unwrap()
}

/// An answer with these records.
pub(super) fn with(question: &Message, records: Vec<RData>) -> Vec<u8> {
    let mut reply = reply(question);
    let owner = question.queries[0].name.clone();
    reply.add_answers(records.into_iter().map(|data| Record::from_rdata(owner.clone(), 60, data)));
    reply.to_vec().unwrap()
}

fn good(question: &Message) -> Vec<u8> {
    with(question, vec![RData::A(A::new(192, 0, 2, 10))])
}

fn question(server: SocketAddr) -> DnsQuestion {
    DnsQuestion::new("Shop.Example", RecordType::A, Some(format!("udp://{server}").parse().unwrap()))
}

async fn ask(question: DnsQuestion, timeout_ms: i64) -> Observation {
    prober().run(&check(Question::Dns(Box::new(question)), timeout_ms), TRACE).await
}

#[tokio::test]
async fn every_fault_of_a_server_has_its_reason() {
    let malformed = |question: &Message| {
        let mut bytes = good(question);
        bytes.truncate(20);
        vec![bytes]
    };
    let truncated = |question: &Message| {
        let mut reply = reply(question);
        reply.metadata.truncation = true;
        vec![reply.to_vec().unwrap()]
    };
    let wrong_id = |question: &Message| {
        let mut bytes = good(question);
        bytes[0] ^= 0xff;
        vec![bytes]
    };
    let wrong_name = |question: &Message| {
        let mut other = question.clone();
        other.queries[0].name = Name::from_ascii("evil.example.").unwrap();
        vec![good(&other)]
    };
    let table = [
        ("silence", udp(|_| Vec::new()).await, Reason::DnsTimeout),
        ("nobody", targets::nobody().await, Reason::DnsUnreachable),
        ("a wrong id", udp(wrong_id).await, Reason::DnsWrongId),
        ("another question", udp(wrong_name).await, Reason::DnsWrongId),
        ("the question itself", udp(|question| vec![question.to_vec().unwrap()]).await, Reason::DnsWrongId),
        ("half an answer", udp(malformed).await, Reason::DnsMalformed),
        ("truncated, and nobody on TCP", udp(truncated).await, Reason::DnsUnreachable),
        ("NXDOMAIN", udp(|question| vec![coded(question, ResponseCode::NXDomain)]).await, Reason::DnsNxdomain),
        ("SERVFAIL", udp(|question| vec![coded(question, ResponseCode::ServFail)]).await, Reason::DnsServfail),
        ("REFUSED", udp(|question| vec![coded(question, ResponseCode::Refused)]).await, Reason::DnsRefused),
        ("NOTIMP", udp(|question| vec![coded(question, ResponseCode::NotImp)]).await, Reason::DnsRcode),
        ("no record", udp(|question| vec![coded(question, ResponseCode::NoError)]).await, Reason::DnsNoData),
    ];
    for (fault, server, reason) in table {
        let seen = ask(question(server), SHORT_MS).await;
        assert_eq!(verdict(&seen), down(reason, Phase::Resolve), "{fault}: {seen:?}");
        assert_eq!(seen.evidence.address, Some(server), "{fault}");
    }
}

#[tokio::test]
async fn a_server_on_loopback_is_forbidden_unless_allowed() {
    let server = udp(|question| vec![good(question)]).await;
    let strict = Prober::new(Vantage::default());
    let seen = strict.run(&check(Question::Dns(Box::new(question(server))), SHORT_MS), TRACE).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve));
    assert_eq!(seen.evidence.address, None);
}

#[tokio::test]
async fn the_true_answer_is_found_among_forgeries() {
    let server = udp(|question| {
        let mut forged = good(question);
        forged[1] ^= 1;
        vec![vec![0], forged, good(question)]
    })
    .await;
    let seen = ask(question(server), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let dns = seen.evidence.dns.unwrap();
    assert_eq!((dns.transport.as_str(), dns.rcode.as_str()), ("udp", "NOERROR"));
    assert_eq!((dns.answers, dns.ttl_s), (vec!["192.0.2.10".to_owned()], Some(60)));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = udp(|question| {
        let mut cut = reply(question);
        cut.metadata.truncation = true;
        vec![cut.to_vec().unwrap()]
    })
    .await;
    tcp(server, good).await;
    let seen = ask(question(server), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(seen.evidence.dns.unwrap().transport, "tcp");
}

#[tokio::test]
async fn over_tcp_nonsense_is_nonsense() {
    let other = tcp("127.0.0.1:0".parse().unwrap(), |question| {
        let mut bytes = good(question);
        bytes[0] ^= 1;
        bytes
    })
    .await;
    let mut asked = question(other);
    asked.server = Some(format!("tcp://{other}").parse().unwrap());
    assert_eq!(verdict(&ask(asked, LONG_MS).await), down(Reason::DnsMalformed, Phase::Resolve));
}

#[tokio::test]
async fn a_server_that_knows_no_edns_is_asked_without() {
    let server = udp(|question| {
        vec![if question.edns.is_some() { coded(question, ResponseCode::FormErr) } else { good(question) }]
    })
    .await;
    assert_eq!(verdict(&ask(question(server), LONG_MS).await), UP);
    // One that does know it means what it says.
    let strict = udp(|question| {
        let mut reply = reply(question);
        reply.metadata.response_code = ResponseCode::FormErr;
        reply.set_edns(Edns::new());
        vec![reply.to_vec().unwrap()]
    })
    .await;
    assert_eq!(verdict(&ask(question(strict), LONG_MS).await), down(Reason::DnsRcode, Phase::Resolve));
}

#[tokio::test]
async fn answers_are_held_against_the_expected_ones_through_aliases() {
    let server = udp(|question| {
        let mut reply = reply(question);
        let edge = Name::from_ascii("edge.example.").unwrap();
        let owner = question.queries[0].name.clone();
        reply.add_answer(Record::from_rdata(owner, 300, RData::CNAME(CNAME(edge.clone()))));
        for last in [11, 10] {
            reply.add_answer(Record::from_rdata(edge.clone(), 60, RData::A(A::new(192, 0, 2, last))));
        }
        vec![reply.to_vec().unwrap()]
    })
    .await;
    for (expected, wanted) in [
        (vec!["192.0.2.10", "192.0.2.11"], UP),
        (vec!["192.0.2.10"], down(Reason::DnsAnswers, Phase::Resolve)),
        (vec![], down(Reason::DnsAnswers, Phase::Resolve)),
    ] {
        let mut asked = question(server);
        asked.expect.answers = Some(expected.into_iter().map(str::to_owned).collect());
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
    }
}
