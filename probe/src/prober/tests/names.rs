//! From names to connections: resolution, the rule on every address, and addresses in turn.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use nines_shared::check::MustFail;

use super::super::resolve::Resolver;
use super::targets::response;
use super::*;

/// A prober whose machine has `server` for its resolver.
pub(super) fn resolving_at(server: SocketAddr) -> Prober {
    let mut udp = ConnectionConfig::udp();
    udp.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![udp]);
    let mut prober = prober();
    prober.resolver = Resolver::asking(ResolverConfig::from_name_servers(vec![server]));
    prober
}

/// A prober for whom every name has these IPv4 addresses and no other.
async fn knowing(addresses: &'static [[u8; 4]]) -> Prober {
    let server = dns::udp(move |question| {
        let records = |own: bool| if own { addresses } else { &[] };
        let own = question.queries[0].query_type == RecordType::A;
        vec![dns::with(question, records(own).iter().map(|&[a, b, c, d]| RData::A(A::new(a, b, c, d))).collect())]
    })
    .await;
    resolving_at(server)
}

async fn get_named(prober: &Prober, port: u16, timeout_ms: i64) -> Observation {
    let question = get(&format!("http://shop.example:{port}/"));
    prober.run(&check(Question::Http(Box::new(question)), timeout_ms), TRACE).await
}

#[tokio::test]
async fn a_name_is_resolved_and_its_resolution_is_a_phase() {
    let target = targets::saying(response("200 OK", "")).await;
    let seen = get_named(&knowing(&[[127, 0, 0, 1]]).await, target.port(), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.resolve.is_some());
    assert_eq!(seen.evidence.address, Some(target));
}

#[tokio::test]
async fn inv_10_a_name_can_not_lead_where_the_machine_forbids() {
    let target = targets::saying(response("200 OK", "")).await;
    let forbidden = knowing(&[[10, 0, 0, 1], [169, 254, 169, 254]]).await;
    let seen = get_named(&forbidden, target.port(), LONG_MS).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve));
    assert_eq!(seen.evidence.address, None);
    // Among several addresses only the permitted ones are contacted.
    let mixed = knowing(&[[10, 0, 0, 1], [127, 0, 0, 1]]).await;
    let seen = get_named(&mixed, target.port(), LONG_MS).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)));
}

#[tokio::test]
async fn an_address_in_ipv6_clothes_is_judged_by_what_it_wears_beneath() {
    let server = dns::udp(|question| {
        let aaaa = question.queries[0].query_type == RecordType::AAAA;
        let mapped = "::ffff:169.254.169.254".parse().map(AAAA).map(RData::AAAA).unwrap();
        vec![dns::with(question, if aaaa { vec![mapped] } else { Vec::new() })]
    })
    .await;
    let seen = get_named(&resolving_at(server), 80, LONG_MS).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve), "{seen:?}");
}

/// A resolver that answers the root's question with `root` and every other with `code`; with nothing where that is
/// `None`.
async fn answering(root: Option<ResponseCode>, code: Option<ResponseCode>) -> Prober {
    let answer = move |question: &Message| {
        let code = if question.queries[0].name.is_root() { root } else { code };
        code.map(|code| dns::coded(question, code)).into_iter().collect()
    };
    resolving_at(dns::udp(answer).await)
}

const CODES: [(Option<ResponseCode>, Reason); 3] = [
    (Some(ResponseCode::ServFail), Reason::DnsServfail),
    (Some(ResponseCode::Refused), Reason::DnsRefused),
    (None, Reason::DnsTimeout),
];

#[tokio::test]
async fn every_answer_that_is_no_address_has_its_reason() {
    let more = [(Some(ResponseCode::NXDomain), Reason::DnsNxdomain), (Some(ResponseCode::NoError), Reason::DnsNoData)];
    for (code, reason) in CODES.into_iter().chain(more) {
        let prober = answering(Some(ResponseCode::NoError), code).await;
        let seen = get_named(&prober, 80, SHORT_MS).await;
        assert_eq!(verdict(&seen), down(reason, Phase::Resolve), "{code:?}: {seen:?}");
    }
}

#[tokio::test]
async fn inv_5_a_resolver_of_ours_that_fails_at_every_name_accuses_nobody() {
    for (code, reason) in CODES {
        let seen = get_named(&answering(code, code).await, 80, SHORT_MS).await;
        assert_eq!(verdict(&seen), ours(Reason::Resolver, Phase::Resolve), "{code:?}: {seen:?}");
        let text = seen.detail.unwrap();
        assert!(text.starts_with("this machine's resolver 127.0.0.1:"), "{text}");
        assert!(text.contains(&format!("seen: {reason}: ")), "{text}");
        assert!(
            seen.duration_us < 1_000 * SHORT_MS.unsigned_abs() + 1_000_000,
            "our own doubt is not the target's time"
        );
    }
}

#[tokio::test]
async fn inv_5_a_check_that_must_fail_earns_nothing_by_our_own_resolver() {
    let question = Question::Http(Box::new(get("http://shop.example/")));
    let mut draft = draft(question, SHORT_MS);
    draft.must_fail = Some(MustFail::Anyhow);
    let check = Check::new(draft).unwrap();
    let seen = answering(None, None).await.run(&check, TRACE).await;
    assert_eq!(verdict(&seen), ours(Reason::Resolver, Phase::Resolve), "{seen:?}");
    let seen = answering(Some(ResponseCode::NoError), None).await.run(&check, TRACE).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
}

#[tokio::test]
async fn a_resolver_that_drops_questions_for_ipv6_delays_nobody() {
    let target = targets::saying(response("200 OK", "")).await;
    let server = dns::udp(|question| {
        let answered = question.queries[0].query_type == RecordType::A;
        let answer = dns::with(question, vec![RData::A(A::new(127, 0, 0, 1))]);
        if answered { vec![answer] } else { Vec::new() }
    })
    .await;
    let seen = get_named(&resolving_at(server), target.port(), 2_000).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.resolve.unwrap() < 1_000_000, "{seen:?}");
}

#[tokio::test]
async fn where_one_address_refuses_or_is_silent_the_next_is_tried() {
    let target = targets::saying(response("200 OK", "")).await;
    let seen = get_named(&knowing(&[[127, 0, 0, 7], [127, 0, 0, 1]]).await, target.port(), LONG_MS).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)), "refuses");

    let silent = format!("127.0.0.7:{}", target.port());
    let (_address, _listener, _queued) = targets::full_at(&silent).await;
    let seen = get_named(&knowing(&[[127, 0, 0, 7], [127, 0, 0, 1]]).await, target.port(), LONG_MS).await;
    assert_eq!((verdict(&seen), seen.evidence.address), (UP, Some(target)), "is silent");
    assert!(seen.phases_us.connect.unwrap() < 900_000, "{seen:?}");
}

#[tokio::test]
async fn where_every_address_refuses_the_target_is_down() {
    let port = targets::nobody().await.port();
    let seen = get_named(&knowing(&[[127, 0, 0, 7], [127, 0, 0, 8]]).await, port, LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::ConnectRefused, Phase::Connect));
}
