//! `addresses = "every"`: one bad address of several is an outage here, not bad luck.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use nines_shared::check::{Addresses, Family, Reach};
use nines_shared::sample::Part;

use super::names::resolving_at;
use super::reach::Zone;
use super::targets::response;
use super::*;

const THREE: Zone = Zone { v6: &[], v4: &["127.0.0.3", "127.0.0.1", "127.0.0.2"] };

async fn ask_every(prober: &Prober, port: u16, timeout_ms: i64) -> Observation {
    let mut question = get(&format!("http://shop.example:{port}/"));
    question.reach = Reach { family: Family::Any, addresses: Addresses::Every };
    prober.run(&check(Question::Http(Box::new(question)), timeout_ms), TRACE).await
}

/// Three targets on one port, the one at 127.0.0.2 saying `second`, the others well.
async fn three(second: Vec<u8>) -> u16 {
    let good = || vec![response("200 OK", "")];
    let port = targets::turns_at("127.0.0.1:0", good()).await.port();
    targets::turns_at(&format!("127.0.0.2:{port}"), vec![second]).await;
    targets::turns_at(&format!("127.0.0.3:{port}"), good()).await;
    port
}

fn outcomes(seen: &Observation) -> Vec<(String, Outcome)> {
    let address = |part: &Part| part.what.rsplit_once(':').map_or(part.what.clone(), |(host, _)| host.to_owned());
    seen.evidence.parts.iter().map(|part| (address(part), part.outcome)).collect()
}

#[tokio::test]
async fn one_bad_address_of_three_is_down_and_named_each_time() {
    let port = three(response("500 Oops", "")).await;
    let prober = THREE.prober().await;
    for _ in 0..4 {
        let seen = ask_every(&prober, port, LONG_MS).await;
        assert_eq!(verdict(&seen), down(Reason::HttpStatus, Phase::FirstByte), "{seen:?}");
        assert!(seen.detail.as_deref().unwrap().starts_with(&format!("1 of 3 down: 127.0.0.2:{port}: ")), "{seen:?}");
        assert_eq!(seen.evidence.address, Some(format!("127.0.0.2:{port}").parse().unwrap()));
        assert_eq!(seen.evidence.hops[0].status, Some(500));
        let wanted = [("127.0.0.1", Outcome::Up), ("127.0.0.2", Outcome::Down), ("127.0.0.3", Outcome::Up)];
        assert_eq!(outcomes(&seen), wanted.map(|(address, outcome)| (address.to_owned(), outcome)));
        let bad = &seen.evidence.parts[1];
        assert_eq!((bad.duration_us, bad.phases_us), (seen.duration_us, seen.phases_us));
    }
}

#[tokio::test]
async fn where_every_address_is_well_the_slowest_part_gives_the_figures_and_the_name_is_asked_for_once() {
    let port = three(response("200 OK", "")).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = dns::udp(move |question| {
        count.fetch_add(1, Ordering::SeqCst);
        vec![THREE.answer(question)]
    })
    .await;
    let seen = ask_every(&resolving_at(server), port, LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "once for each family");
    let parts = &seen.evidence.parts;
    assert_eq!(parts.iter().map(|part| part.duration_us).max(), Some(seen.duration_us));
    assert!(parts.iter().all(|part| part.phases_us.resolve.is_some() && part.phases_us.connect.is_some()));
}

#[tokio::test]
async fn the_worst_part_decides_whatever_the_others_are() {
    let port = three(response("200 OK", "")).await;
    let (silent, _listener, _queued) = targets::full_at(&format!("127.0.0.9:{port}")).await;
    const FORBIDDEN: &str = "192.0.2.7";
    let table: [(&str, &'static [&'static str], i64, _); 5] = [
        ("refuses", &["127.0.0.1", "127.0.0.8"], LONG_MS, down(Reason::ConnectRefused, Phase::Connect)),
        ("is silent", &["127.0.0.1", "127.0.0.9"], 1_000, down(Reason::ConnectTimeout, Phase::Connect)),
        ("is forbidden", &["127.0.0.1", FORBIDDEN], LONG_MS, ours(Reason::AddressForbidden, Phase::Resolve)),
        (
            "one forbidden, one refuses",
            &[FORBIDDEN, "127.0.0.8"],
            LONG_MS,
            down(Reason::ConnectRefused, Phase::Connect),
        ),
        ("is the only one", &["127.0.0.1"], LONG_MS, UP),
    ];
    for (fault, v4, timeout_ms, wanted) in table {
        let seen = ask_every(&Zone { v6: &[], v4 }.prober().await, port, timeout_ms).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert_eq!(seen.evidence.parts.len(), v4.len(), "{fault}");
    }
    assert_eq!(silent.port(), port);
}

#[tokio::test]
async fn inv_10_a_forbidden_address_among_them_is_named_and_never_contacted() {
    let port = three(response("200 OK", "")).await;
    let (other, mut peers) = targets::telling_peers().await;
    let mut prober = Zone { v6: &[], v4: &["127.0.0.1", "127.0.0.2"] }.prober().await;
    let seen = ask_every(&prober, port, LONG_MS).await;
    assert_eq!(verdict(&seen), UP);
    prober.vantage.rule = AddressRule::new(vec!["127.0.0.0/8".parse().unwrap()], vec!["127.0.0.1/32".parse().unwrap()]);
    let seen = ask_every(&prober, other.port(), LONG_MS).await;
    assert_eq!(outcomes(&seen)[0], ("127.0.0.1".to_owned(), Outcome::Inconclusive), "{seen:?}");
    assert!(seen.evidence.parts[0].detail.as_deref().unwrap().contains("127.0.0.1 is denied"), "{seen:?}");
    assert!(peers.try_recv().is_err());
}

#[tokio::test]
async fn a_redirect_back_stays_with_its_address_and_one_elsewhere_goes_there() {
    let elsewhere = targets::saying(response("200 OK", "")).await;
    let answers = |location: String| {
        let head = format!("location: {location}\r\n");
        vec![targets::response_with("302 Found", &head, b""), response("200 OK", "")]
    };
    let port = targets::turns_at("127.0.0.1:0", answers("/again".to_owned())).await.port();
    targets::turns_at(&format!("127.0.0.2:{port}"), answers(format!("http://{elsewhere}/"))).await;
    let seen = ask_every(&Zone { v6: &[], v4: &["127.0.0.1", "127.0.0.2"] }.prober().await, port, LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let last = seen.evidence.hops.last().unwrap();
    assert!(last.address == Some(elsewhere) || last.url.ends_with("/again"), "{seen:?}");
    assert_eq!(seen.evidence.hops.len(), 2);
}

#[tokio::test]
async fn a_set_of_addresses_that_is_not_wholly_known_can_not_be_wholly_up() {
    let port = three(response("200 OK", "")).await;
    for (code, wanted) in [
        (ResponseCode::ServFail, down(Reason::DnsServfail, Phase::Resolve)),
        (ResponseCode::NoError, UP),
        (ResponseCode::NXDomain, UP),
    ] {
        let server = dns::udp(move |question| {
            let v6 = question.queries[0].query_type == RecordType::AAAA;
            vec![if v6 { dns::coded(question, code) } else { THREE.answer(question) }]
        });
        let seen = ask_every(&resolving_at(server.await), port, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{code}: {seen:?}");
    }
    let none = Zone { v6: &[], v4: &[] }.prober().await;
    assert_eq!(verdict(&ask_every(&none, port, LONG_MS).await), down(Reason::DnsNoData, Phase::Resolve));
}

#[tokio::test]
async fn more_addresses_than_the_limit_are_not_passed_over_in_silence() {
    let port = three(response("200 OK", "")).await;
    let v4 = &[
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.3",
        "127.0.1.1",
        "127.0.1.2",
        "127.0.1.3",
        "127.0.1.4",
        "127.0.1.5",
        "127.0.1.6",
        "127.0.1.7",
        "127.0.1.8",
        "127.0.1.9",
        "127.0.1.10",
        "127.0.1.11",
        "127.0.1.12",
        "127.0.1.13",
        "127.0.1.14",
    ];
    let seen = ask_every(&Zone { v6: &[], v4 }.prober().await, port, LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::ConnectRefused, Phase::Connect));
    let rest = seen.evidence.parts.last().unwrap();
    assert_eq!((seen.evidence.parts.len(), rest.what.as_str(), rest.outcome), (17, "the rest", Outcome::Inconclusive));
    assert!(rest.detail.as_deref().unwrap().contains("17 addresses"));
}
