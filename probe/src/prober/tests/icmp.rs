//! ICMP checks. Where the kernel lets this user send no echoes, they must say so, and how to mend it.

use nines_shared::check::{Addresses, Family, IcmpQuestion, Reach};
use socket2::{Domain, Protocol, Socket, Type};

use super::reach::Zone;
use super::*;

fn question(host: &str) -> IcmpQuestion {
    IcmpQuestion::to(host.parse().unwrap())
}

async fn ask_icmp(prober: &Prober, question: IcmpQuestion, timeout_ms: i64) -> Observation {
    prober.run(&check(Question::Icmp(question), timeout_ms), TRACE).await
}

/// Whether `seen` is `wanted` where the kernel allows echoes, and else says how to allow them.
fn assert_seen(seen: &Observation, wanted: &(Outcome, Option<Reason>, Option<Phase>)) {
    if Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok() {
        assert_eq!(&verdict(seen), wanted, "{seen:?}");
        return;
    }
    assert_eq!(verdict(seen), ours(Reason::Unsupported, Phase::Connect), "{seen:?}");
    assert!(seen.detail.as_deref().unwrap().contains("sysctl -w net.ipv4.ping_group_range="), "{seen:?}");
}

#[tokio::test]
async fn an_echo_comes_back_in_both_families_or_the_check_says_what_the_kernel_wants() {
    for host in ["127.0.0.1", "::1"] {
        let seen = ask_icmp(&prober(), question(host), LONG_MS).await;
        assert_seen(&seen, &UP);
        assert_eq!(seen.evidence.address.unwrap().ip().to_string(), host);
        if seen.outcome == Outcome::Up {
            assert!(0 < seen.phases_us.first_byte.unwrap() && seen.phases_us.connect.is_none());
        }
    }
}

#[tokio::test]
async fn several_echoes_of_any_size_come_back_each_for_itself() {
    for size in [8, 56, 1_452] {
        let asked = IcmpQuestion { count: 3, size, ..question("127.0.0.1") };
        let seen = ask_icmp(&prober(), asked, LONG_MS).await;
        assert_seen(&seen, &UP);
        if seen.outcome == Outcome::Up {
            // Three echoes are 200 ms apart from first to last; a round trip is none of that.
            assert!(200_000 <= seen.duration_us && seen.phases_us.first_byte.unwrap() < 200_000, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn names_sources_and_the_rule_hold_as_for_every_other_protocol() {
    let zone = Zone { v6: &["::1"], v4: &["127.0.0.1", "127.0.0.2"] };
    let prober = zone.prober().await;
    for (family, first) in [(Family::Any, "::1"), (Family::Ipv4, "127.0.0.1")] {
        let asked = IcmpQuestion { reach: Reach { family, addresses: Addresses::One }, ..question("shop.example") };
        let seen = ask_icmp(&prober, asked, LONG_MS).await;
        assert_seen(&seen, &UP);
        let asked_of = seen.evidence.address.unwrap().ip().to_string();
        assert!(asked_of == first || seen.outcome == Outcome::Inconclusive, "{seen:?}");
    }
    let reach = Reach { family: Family::Any, addresses: Addresses::Every };
    let seen = ask_icmp(&prober, IcmpQuestion { reach, ..question("shop.example") }, LONG_MS).await;
    assert_eq!(seen.evidence.parts.len(), 3, "{seen:?}");
    assert_eq!(seen.evidence.parts[1].what, "127.0.0.1");

    let seen = ask_icmp(&prober, question("10.0.0.1"), LONG_MS).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve), "{seen:?}");
    let from = |source: &str| {
        Prober::new(Vantage { source: Some(source.parse().unwrap()), rule: loopback(), ..Vantage::default() })
    };
    let seen = ask_icmp(&from("127.0.0.11"), question("127.0.0.1"), LONG_MS).await;
    assert_seen(&seen, &UP);
    // An address of the documentation, which no machine has.
    let seen = ask_icmp(&from("192.0.2.77"), question("127.0.0.1"), LONG_MS).await;
    assert_seen(&seen, &ours(Reason::SourceAddress, Phase::Connect));
    let seen = ask_icmp(&from("::1"), question("127.0.0.1"), LONG_MS).await;
    assert_eq!(verdict(&seen), ours(Reason::SourceAddress, Phase::Resolve), "{seen:?}");
}
