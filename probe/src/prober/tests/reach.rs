//! Which addresses a question goes to: families, pins, and what is told of those tried in vain.

use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, RecordType};
use nines_shared::check::{Addresses, Family, Reach};
use nines_shared::sample::Tried;
use tokio::net::UdpSocket;

use super::names::resolving_at;
use super::targets::response;
use super::*;

/// The addresses of shop.example, in each family.
#[derive(Clone, Copy)]
pub(super) struct Zone {
    pub(super) v6: &'static [&'static str],
    pub(super) v4: &'static [&'static str],
}

impl Zone {
    pub(super) fn answer(self, question: &hickory_proto::op::Message) -> Vec<u8> {
        let v6 = |text: &&str| RData::AAAA(AAAA(text.parse().unwrap()));
        let v4 = |text: &&str| RData::A(A(text.parse().unwrap()));
        let records = if question.queries[0].query_type == RecordType::AAAA {
            self.v6.iter().map(v6).collect()
        } else {
            self.v4.iter().map(v4).collect()
        };
        dns::with(question, records)
    }

    pub(super) async fn prober(self) -> Prober {
        resolving_at(dns::udp(move |question| vec![self.answer(question)]).await)
    }

    /// A prober that gets the answer of type `late` only after `pause`.
    async fn prober_late(self, late: RecordType, pause: Duration) -> Prober {
        let socket = std::sync::Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 2_048];
            while let Ok((length, peer)) = socket.recv_from(&mut datagram).await {
                let question = hickory_proto::op::Message::from_vec(&datagram[..length]).unwrap();
                let (socket, pause) = (std::sync::Arc::clone(&socket), pause);
                tokio::spawn(async move {
                    if question.queries[0].query_type == late {
                        tokio::time::sleep(pause).await;
                    }
                    let _gone = socket.send_to(&self.answer(&question), peer).await;
                });
            }
        });
        resolving_at(address)
    }
}

const BOTH: Zone = Zone { v6: &["::1"], v4: &["127.0.0.1"] };

async fn ask_over(prober: &Prober, url: &str, family: Family) -> Observation {
    let mut question = get(url);
    question.reach = Reach { family, addresses: Addresses::One };
    prober.run(&check(Question::Http(Box::new(question)), LONG_MS), TRACE).await
}

async fn ask_shop(prober: &Prober, port: u16, family: Family) -> Observation {
    ask_over(prober, &format!("http://shop.example:{port}/"), family).await
}

#[tokio::test]
async fn a_family_is_kept_to_even_where_only_the_other_one_works() {
    let target = targets::saying(response("200 OK", "")).await;
    let prober = BOTH.prober().await;
    let seen = ask_shop(&prober, target.port(), Family::Ipv4).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)), "{seen:?}");
    assert_eq!(seen.evidence.tried, []);
    let seen = ask_shop(&prober, target.port(), Family::Ipv6).await;
    assert_eq!(verdict(&seen), down(Reason::ConnectRefused, Phase::Connect), "{seen:?}");
    assert!(seen.evidence.address.unwrap().is_ipv6());
}

#[tokio::test]
async fn a_name_without_an_address_of_the_family_is_down_in_resolve() {
    for (zone, family) in [
        (Zone { v6: &[], v4: &["127.0.0.1"] }, Family::Ipv6),
        (Zone { v6: &["::1"], v4: &[] }, Family::Ipv4),
        (Zone { v6: &["::ffff:127.0.0.1"], v4: &[] }, Family::Ipv6),
    ] {
        let seen = ask_shop(&zone.prober().await, 80, family).await;
        assert_eq!(verdict(&seen), down(Reason::DnsNoData, Phase::Resolve), "{seen:?}");
        assert!(seen.detail.unwrap().ends_with(&format!("has no {} address", family.name())));
    }
}

#[tokio::test]
async fn a_redirect_to_an_address_of_the_other_family_is_down() {
    let target = targets::saying(targets::response_with("302 Found", "location: http://[::1]:9/\r\n", b"")).await;
    let seen = ask_over(&prober(), &format!("http://{target}/"), Family::Ipv4).await;
    assert_eq!(verdict(&seen), down(Reason::DnsNoData, Phase::Resolve), "{seen:?}");
    assert_eq!(seen.detail.unwrap(), "[::1] has no IPv4 address");
}

#[test]
fn an_address_of_the_other_family_is_refused_before_it_is_asked() {
    for (url, family) in [("http://127.0.0.1/", Family::Ipv6), ("http://[::1]/", Family::Ipv4)] {
        let mut question = get(url);
        question.reach.family = family;
        let errors = Check::new(draft(Question::Http(Box::new(question)), LONG_MS)).unwrap_err();
        assert_eq!(errors[0].key(), "http.family");
    }
}

#[tokio::test]
async fn a_broken_ipv6_shows_in_what_was_tried_although_ipv4_works() {
    let target = targets::saying(response("200 OK", "")).await;
    let seen = ask_shop(&BOTH.prober().await, target.port(), Family::Any).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)), "{seen:?}");
    let [tried] = &seen.evidence.tried[..] else { panic!("{seen:?}") };
    assert!(tried.address.is_ipv6() && tried.us.is_some());
    assert_eq!(tried.reason, Some(Reason::ConnectRefused));
}

#[tokio::test]
async fn an_address_that_is_still_silent_when_another_answers_is_told_without_a_reason() {
    let target = targets::saying(response("200 OK", "")).await;
    let (full, _listener, _queued) = targets::full_at(&format!("127.0.0.7:{}", target.port())).await;
    let zone = Zone { v6: &[], v4: &["127.0.0.7", "127.0.0.1"] };
    let seen = ask_shop(&zone.prober().await, target.port(), Family::Any).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)), "{seen:?}");
    assert_eq!(seen.evidence.tried, [Tried { address: full, reason: None, us: None }]);
}

#[tokio::test]
async fn an_answer_that_comes_late_joins_in() {
    let target = targets::saying(response("200 OK", "")).await;
    let late = Duration::from_millis(400);
    // IPv6 is tried at once, and refuses long before the IPv4 addresses are known.
    let seen = ask_shop(&BOTH.prober_late(RecordType::A, late).await, target.port(), Family::Any).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)), "{seen:?}");
    assert!(seen.phases_us.resolve.unwrap() < 390_000, "{seen:?}");
    let v6 = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let port = v6.local_addr().unwrap().port();
    let seen = BOTH.prober_late(RecordType::AAAA, late).await;
    let answering = tokio::spawn(async move {
        let (mut stream, _peer) = v6.accept().await.unwrap();
        targets::request(&mut stream).await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, &response("200 OK", "")).await.unwrap();
    });
    let seen = ask_shop(&seen, port, Family::Any).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.evidence.address.unwrap().is_ipv6());
    answering.await.unwrap();
}

fn pinning(pin: String) -> Prober {
    let pins = vec![pin.parse().unwrap()];
    let mut prober = resolving_at("127.0.0.1:1".parse().unwrap());
    prober.vantage = Vantage { source: None, rule: loopback(), pins, contact: None };
    prober
}

#[tokio::test]
async fn a_pinned_host_is_not_asked_for_and_its_addresses_are_held_against_the_rule() {
    let target = targets::saying(response("200 OK", "")).await;
    let port = target.port();
    let seen = ask_shop(&pinning(format!("shop.example:{port}:127.0.0.1")), port, Family::Any).await;
    assert_eq!((verdict(&seen), seen.evidence.address, seen.phases_us.resolve), (UP, Some(target), None));
    let seen = ask_shop(&pinning(format!("shop.example:{port}:169.254.169.254")), port, Family::Any).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (ours(Reason::AddressForbidden, Phase::Resolve), None));
    let seen = ask_shop(&pinning(format!("shop.example:{port}:127.0.0.1")), port, Family::Ipv6).await;
    assert_eq!(verdict(&seen), ours(Reason::Unsupported, Phase::Resolve), "{seen:?}");
    // Another port is another matter.
    let elsewhere = check(Question::Http(Box::new(get("http://shop.example:9/"))), SHORT_MS);
    let seen = pinning("shop.example:1:127.0.0.1".to_owned()).run(&elsewhere, TRACE).await;
    assert_eq!(seen.phase, Some(Phase::Resolve), "{seen:?}");
}
