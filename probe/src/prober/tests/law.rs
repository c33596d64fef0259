//! The probe's own law (INV-10), by every way out that there is: names that lead elsewhere when they are asked for
//! again, and addresses in every spelling. A trap at a forbidden address counts who comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::rr::rdata::{A, NS};
use hickory_proto::rr::{Name, RData, RecordType};
use nines_shared::check::{Addresses, DnsQuestion, DnsServers, HttpProxy, StartTls, TlsVersion};
use tokio::net::{TcpListener, UdpSocket};

use super::names::resolving_at;
use super::*;

/// Where nobody may be contacted.
const TRAP: [u8; 4] = [127, 0, 0, 66];
/// Long enough for whoever would walk into it.
const WHILE_MS: i64 = 2_000;

/// Loopback may be contacted, but for the trap.
fn law() -> AddressRule {
    AddressRule::new(vec!["127.0.0.0/8".parse().unwrap()], vec!["127.0.0.66/32".parse().unwrap()])
}

/// A place that counts who comes, over TCP and UDP.
struct Place {
    port: u16,
    came: Arc<AtomicUsize>,
}

impl Place {
    /// At `address`, at `port` or any.
    async fn at(address: [u8; 4], port: u16) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((address, port))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = UdpSocket::bind(SocketAddr::from((address, port))).await.unwrap();
        let came = Arc::new(AtomicUsize::new(0));
        let (over_tcp, over_udp) = (Arc::clone(&came), Arc::clone(&came));
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                over_tcp.fetch_add(1, Ordering::SeqCst);
            }
        });
        tokio::spawn(async move {
            while socket.recv_from(&mut [0; 2_048]).await.is_ok() {
                over_udp.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, came }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

/// A resolver by whose word every name is the first of `addresses`, asked again the second, and so on; the last for
/// ever.
async fn resolver(addresses: &'static [[u8; 4]]) -> SocketAddr {
    let turn = AtomicUsize::new(0);
    dns::udp(move |question| {
        if question.queries[0].query_type != RecordType::A {
            return vec![dns::with(question, Vec::new())];
        }
        let [a, b, c, d] = addresses[turn.fetch_add(1, Ordering::SeqCst).min(addresses.len() - 1)];
        vec![dns::with(question, vec![RData::A(A::new(a, b, c, d))])]
    })
    .await
}

/// A prober under `rule` that hears of names what `addresses` say in turn.
async fn hearing(addresses: &'static [[u8; 4]], rule: AddressRule) -> Prober {
    let mut prober = resolving_at(resolver(addresses).await);
    prober.vantage.rule = rule;
    prober
}

/// Every way to a host that a check can name, each to `host` and `port`.
fn ways(host: &str, port: u16) -> Vec<(&'static str, Question)> {
    let http = |url: &str| get(url);
    let of = |json: serde_json::Value| serde_json::from_value::<Question>(json).unwrap();
    let (at, plain) = (format!("{host}:{port}"), format!("http://{host}:{port}/"));
    let mut every = http(&plain);
    every.reach.addresses = Addresses::Every;
    let proxied = |url: &str| {
        let proxy = Some(HttpProxy { url: plain.parse().unwrap(), auth: None });
        Question::Http(Box::new(HttpQuestion { proxy, ..http(url) }))
    };
    let Question::Tls(mut starttls) = of(serde_json::json!({ "tls": { "address": at } })) else { panic!("it is TLS") };
    starttls.starttls = Some(StartTls::Smtp);
    let Question::Tls(mut offers) = of(serde_json::json!({ "tls": { "address": at } })) else { panic!("it is TLS") };
    offers.expect.refuses = vec![TlsVersion::Tls10];
    let https_dns = format!("https://{host}:{port}/dns-query").parse().unwrap();
    let mut ways = vec![
        ("http", Question::Http(Box::new(http(&plain)))),
        ("every address", Question::Http(Box::new(every))),
        ("https", Question::Http(Box::new(http(&format!("https://{host}:{port}/"))))),
        ("proxy, absolute form", proxied("http://127.0.0.1:9/")),
        ("proxy, tunnel", proxied("https://127.0.0.1:9/")),
        ("tls", of(serde_json::json!({ "tls": { "address": at } }))),
        ("starttls", Question::Tls(starttls)),
        ("tls offers", Question::Tls(offers)),
        ("tcp", of(serde_json::json!({ "tcp": { "address": at } }))),
        ("icmp", of(serde_json::json!({ "icmp": { "host": host.trim_matches(['[', ']']) } }))),
        ("grpc", of(serde_json::json!({ "grpc": { "address": at } }))),
        ("dns over https", Question::Dns(Box::new(DnsQuestion::new("a.example", record_type(), Some(https_dns))))),
    ];
    if cfg!(feature = "http3") {
        let mut http3 = http(&format!("https://{host}:{port}/"));
        http3.version = nines_shared::check::HttpVersion::Http3;
        ways.push(("http3", Question::Http(Box::new(http3))));
    }
    ways
}

const fn record_type() -> nines_shared::check::RecordType {
    nines_shared::check::RecordType::A
}

fn is_forbidden(seen: &Observation) -> bool {
    verdict(seen) == ours(Reason::AddressForbidden, Phase::Resolve)
}

#[tokio::test]
async fn inv_10_no_way_out_leads_to_a_name_that_turns_to_a_forbidden_address() {
    let trap = Place::at(TRAP, 0).await;
    let open = Place::at([127, 0, 0, 1], trap.port).await;
    for (way, question) in ways("shop.example", trap.port) {
        let prober = hearing(&[[127, 0, 0, 1], TRAP], law()).await;
        let check = check(question, WHILE_MS);
        let (before, first) = (open.came(), prober.run(&check, TRACE).await);
        assert!(!is_forbidden(&first), "{way}, while the name is good: {first:?}");
        let again = prober.run(&check, TRACE).await;
        assert!(is_forbidden(&again), "{way}, once it is not: {again:?}");
        assert_eq!(trap.came(), 0, "{way}");
        // Who is not seen where it may go would not be seen in the trap either. Echoes have no port.
        assert!(before < open.came() || way == "icmp", "{way}: {first:?}");
    }
}

#[tokio::test]
async fn inv_10_what_a_check_asks_again_is_resolved_again_and_judged_again() {
    let trap = Place::at(TRAP, 0).await;
    let target = targets::turns_at(
        &format!("127.0.0.1:{}", trap.port),
        vec![
            targets::response_with("302 Found", &format!("location: http://shop.example:{}/b\r\n", trap.port), b""),
            targets::response("500 Oops", ""),
        ],
    )
    .await;
    let url = format!("http://shop.example:{}/", target.port());
    let prober = hearing(&[[127, 0, 0, 1], TRAP], law()).await;
    let seen = prober.run(&check(Question::Http(Box::new(get(&url))), LONG_MS), TRACE).await;
    assert!(is_forbidden(&seen), "a redirect to the very name that it came from: {seen:?}");

    let prober = hearing(&[[127, 0, 0, 1], TRAP], law()).await;
    let mut retried = draft(Question::Http(Box::new(get(&url))), LONG_MS);
    retried.retries = 1;
    let seen = prober.run(&Check::new(retried).unwrap(), TRACE).await;
    assert!(is_forbidden(&seen) && seen.attempt == 2, "a retry: {seen:?}");
    assert_eq!(trap.came(), 0);
}

#[tokio::test]
async fn inv_10_a_second_connection_of_one_check_goes_to_the_address_that_was_judged() {
    let trap = Place::at(TRAP, 0).await;
    let authority = tls::fixture::Authority::new("ours");
    let shown = tls::fixture::signed(&tls::fixture::leaf(), &authority);
    let config = tls::fixture::server(shown, rustls::ALL_VERSIONS, &[]);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let target = targets::serving_at(&format!("127.0.0.1:{}", trap.port), move |stream| {
        let acceptor = acceptor.clone();
        async move { drop(acceptor.accept(stream).await) }
    })
    .await;
    let json = serde_json::json!({ "tls": { "address": format!("shop.example:{}", target.port()) } });
    let Question::Tls(mut asked) = serde_json::from_value(json).unwrap() else { panic!("it is TLS") };
    (asked.server_name, asked.ca_pem) = (Some("localhost".into()), Some(authority.pem.clone()));
    asked.expect.refuses = vec![TlsVersion::Tls10];
    let prober = hearing(&[[127, 0, 0, 1], TRAP], law()).await;
    let seen = prober.run(&check(Question::Tls(asked), LONG_MS), TRACE).await;
    assert_eq!((verdict(&seen), trap.came()), (UP, 0), "{seen:?}");
}

#[tokio::test]
async fn inv_10_name_servers_are_judged_however_they_are_found() {
    let trap = Place::at(TRAP, 0).await;
    let resolver = dns::udp(|question| {
        let asked = &question.queries[0];
        let answer = if asked.query_type == RecordType::NS {
            vec![RData::NS(NS(Name::from_ascii("ns.shop.example.").unwrap()))]
        } else if asked.query_type == RecordType::A {
            vec![RData::A(A::new(127, 0, 0, 66))]
        } else {
            Vec::new()
        };
        vec![dns::with(question, answer)]
    })
    .await;
    let at = |server: &str| DnsQuestion::new("shop.example", record_type(), Some(server.parse().unwrap()));
    let several = |servers: &[String]| DnsQuestion {
        servers: Some(DnsServers::Named(servers.iter().map(|server| server.parse().unwrap()).collect())),
        ..DnsQuestion::new("shop.example", record_type(), None)
    };
    let mut delegated = at(&format!("udp://{resolver}"));
    delegated.servers = Some(DnsServers::Authoritative { port: trap.port });
    let to = |scheme: &str, host: &str| format!("{scheme}://{host}:{}", trap.port);
    let table = [
        ("udp", at(&to("udp", "127.0.0.66"))),
        ("udp, mapped", at(&to("udp", "[::ffff:127.0.0.66]"))),
        ("tcp", at(&to("tcp", "127.0.0.66"))),
        ("tls", at(&to("tls", "127.0.0.66"))),
        ("https", at(&format!("{}/dns-query", to("https", "127.0.0.66")))),
        ("several", several(&[to("udp", "127.0.0.66"), to("tcp", "127.0.0.66")])),
        ("of the zone", delegated),
        ("the resolver by which the zone's are found", {
            let mut question = at(&to("udp", "127.0.0.66"));
            question.servers = Some(DnsServers::Authoritative { port: 53 });
            question
        }),
    ];
    let prober = Prober::new(Vantage { rule: law(), ..Vantage::default() });
    for (way, question) in table {
        let seen = prober.run(&check(Question::Dns(Box::new(question)), WHILE_MS), TRACE).await;
        assert!(is_forbidden(&seen), "{way}: {seen:?}");
        assert_eq!(trap.came(), 0, "{way}");
    }
}

#[tokio::test]
async fn inv_10_a_forbidden_address_is_forbidden_in_every_spelling_by_every_way() {
    let trap = Place::at([127, 0, 0, 1], 0).await;
    let prober = Prober::new(Vantage::default());
    let only = AddressRule::new(vec!["127.0.0.5/32".parse().unwrap()], Vec::new());
    let led = Prober::new(Vantage { rule: only, ..Vantage::default() });
    let spellings = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "127%2e0%2e0%2e1",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::1]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    ];
    for spelling in spellings {
        let location = format!("location: http://{spelling}:{}/\r\n", trap.port);
        for (way, question) in ways(spelling, trap.port) {
            let seen = prober.run(&check(question, WHILE_MS), TRACE).await;
            assert!(is_forbidden(&seen), "{spelling} by {way}: {seen:?}");
        }
        let redirect = targets::response_with("307 Elsewhere", &location, b"");
        let from = targets::turns_at("127.0.0.5:0", vec![redirect]).await;
        let seen = led.run(&check(Question::Http(Box::new(get_from(from))), WHILE_MS), TRACE).await;
        assert!(is_forbidden(&seen), "{spelling} by redirect: {seen:?}");
    }
    assert_eq!(trap.came(), 0);
}
