//! Several servers that are asked the same: those of a list, and those of a zone.

use hickory_proto::rr::rdata::{NS, SOA};
use nines_shared::check::{Agreement, DnsServers};

use super::*;

fn named(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn soa(question: &Message, serial: u32) -> Vec<u8> {
    let soa = SOA::new(named("ns1.shop.example."), named("admin.shop.example."), serial, 1, 1, 1, 1);
    let mut reply = reply(question);
    reply.metadata.authoritative = true;
    reply.add_answer(Record::from_rdata(question.queries[0].name.clone(), 60, RData::SOA(soa)));
    reply.to_vec().unwrap()
}

async fn zone(serial: u32) -> SocketAddr {
    udp(move |question| vec![soa(question, serial)]).await
}

fn several(servers: &[SocketAddr], agree: Agreement) -> DnsQuestion {
    let named = servers.iter().map(|server| format!("udp://{server}").parse().unwrap()).collect();
    DnsQuestion {
        servers: Some(DnsServers::Named(named)),
        agree: Some(agree),
        ..DnsQuestion::new("shop.example", RecordType::Soa, None)
    }
}

#[tokio::test]
async fn servers_that_should_say_the_same_are_all_asked_and_their_differences_told() {
    let (one, same, other) = (zone(7).await, zone(7).await, zone(8).await);
    let seen = ask(several(&[one, same], Agreement::Serial), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let dns = seen.evidence.dns.unwrap();
    let serials: Vec<Option<u32>> = dns.servers.iter().map(|server| server.serial).collect();
    assert_eq!((serials, dns.serial), (vec![Some(7), Some(7)], Some(7)));

    for agree in [Agreement::Serial, Agreement::Answers] {
        let seen = ask(several(&[one, same, other], agree), LONG_MS).await;
        assert_eq!(verdict(&seen), down(Reason::DnsDisagree, Phase::Resolve), "{seen:?}");
        let told = seen.detail.unwrap();
        assert!(told.contains(&other.to_string()) && told.contains('8'), "{told}");
    }

    let refusing = udp(|question| vec![coded(question, ResponseCode::Refused)]).await;
    let seen = ask(several(&[one, refusing], Agreement::Serial), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::DnsRefused, Phase::Resolve), "expectations hold for each: {seen:?}");
    assert_eq!(seen.evidence.dns.unwrap().servers[1].reason, Some(Reason::DnsRefused));

    let silent = udp(|_| Vec::new()).await;
    let seen = ask(several(&[one, silent], Agreement::Serial), SHORT_MS).await;
    assert_eq!(verdict(&seen), down(Reason::DnsTimeout, Phase::Resolve), "{seen:?}");
    assert!(seen.detail.as_ref().unwrap().contains(&silent.to_string()), "{seen:?}");
    let servers = seen.evidence.dns.unwrap().servers;
    assert_eq!((servers[0].serial, servers[1].reason.clone()), (Some(7), Some(Reason::DnsTimeout)));
}

/// A resolver that knows the zone's two name servers, at the given addresses of loopback.
async fn resolver(addresses: [&'static str; 2]) -> SocketAddr {
    udp(move |question| {
        let asked = &question.queries[0];
        let mut reply = reply(question);
        let data = match (asked.name.to_ascii().as_str(), asked.query_type().to_string().as_str()) {
            ("shop.example.", "NS") => {
                vec![RData::NS(NS(named("ns1.shop.example."))), RData::NS(NS(named("ns2.shop.example.")))]
            }
            ("ns1.shop.example.", "A") => vec![RData::A(A(addresses[0].parse().unwrap()))],
            ("ns2.shop.example.", "A") => vec![RData::A(A(addresses[1].parse().unwrap()))],
            _ => Vec::new(),
        };
        reply.add_answers(data.into_iter().map(|data| Record::from_rdata(asked.name.clone(), 60, data)));
        vec![reply.to_vec().unwrap()]
    })
    .await
}

/// A server at `address` and `port`.
async fn speaking(address: &str, port: u16, answer: impl Fn(&Message) -> Answers + Send + 'static) {
    let socket = UdpSocket::bind((address, port)).await.unwrap();
    tokio::spawn(async move {
        let mut datagram = [0; 2_048];
        while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
            let question = Message::from_vec(&datagram[..length]).unwrap();
            assert!(!question.metadata.recursion_desired, "who speaks for a zone needs nobody else");
            for bytes in answer(&question) {
                let _gone = socket.send_to(&bytes, peer).await;
            }
        }
    });
}

#[tokio::test]
async fn a_server_that_the_zone_is_delegated_to_but_that_does_not_speak_for_it_is_lame() {
    let upward = |question: &Message| {
        let mut reply = reply(question);
        reply.add_authority(Record::from_rdata(Name::root(), 60, RData::NS(NS(named("a.root.example.")))));
        vec![reply.to_vec().unwrap()]
    };
    let unsure = |question: &Message| {
        let mut bytes = soa(question, 7);
        bytes[2] &= !0x04;
        vec![bytes]
    };
    type Answer = Box<dyn Fn(&Message) -> Answers + Send>;
    let table: Vec<(&str, Option<Answer>, _, &str)> = vec![
        ("it speaks for it", Some(Box::new(|question| vec![soa(question, 7)])), UP, ""),
        (
            "another serial",
            Some(Box::new(|question| vec![soa(question, 8)])),
            down(Reason::DnsDisagree, Phase::Resolve),
            "8",
        ),
        (
            "REFUSED",
            Some(Box::new(|question| vec![coded(question, ResponseCode::Refused)])),
            down(Reason::DnsLame, Phase::Resolve),
            "REFUSED",
        ),
        (
            "SERVFAIL",
            Some(Box::new(|question| vec![coded(question, ResponseCode::ServFail)])),
            down(Reason::DnsLame, Phase::Resolve),
            "SERVFAIL",
        ),
        ("AA is clear", Some(Box::new(unsure)), down(Reason::DnsLame, Phase::Resolve), "AA"),
        ("upward referral", Some(Box::new(upward)), down(Reason::DnsLame, Phase::Resolve), "refers"),
        ("silence", Some(Box::new(|_| Vec::new())), down(Reason::DnsLame, Phase::Resolve), "no answer"),
        ("nobody", None, down(Reason::DnsLame, Phase::Resolve), "127.0.0.32"),
    ];
    for (fault, second, wanted, told) in table {
        // The same port on two addresses of loopback that nothing else uses.
        let port = std::net::UdpSocket::bind("127.0.0.31:0").unwrap().local_addr().unwrap().port();
        speaking("127.0.0.31", port, |question| vec![soa(question, 7)]).await;
        if let Some(second) = second {
            speaking("127.0.0.32", port, second).await;
        }
        let resolver = resolver(["127.0.0.31", "127.0.0.32"]).await;
        let mut question = question(resolver);
        (question.name, question.record_type) = ("shop.example".to_owned(), RecordType::Soa);
        (question.servers, question.agree) = (Some(DnsServers::Authoritative { port }), Some(Agreement::Serial));
        let timeout = if fault == "silence" { SHORT_MS } else { LONG_MS };
        let seen = ask(question, timeout).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        let said = seen.detail.unwrap_or_default();
        assert!(said.contains(told), "{fault}: {said}");
        if !told.is_empty() {
            assert!(said.contains("ns2.shop.example"), "{fault}: {said}");
        }
    }
}
