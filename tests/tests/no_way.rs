//! A target that can't be reached, by the kernel's own word: a router's answer is the target's fault, a route that we
//! lack is ours.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::process::Command;

use nines_tests::binaries;
use nines_tests::net::{Host, Line, Net};
use nines_tests::target::Target;

/// Outcome and reason of one look from `host` at `url`.
fn look(host: &Host, url: &str) -> (String, String) {
    let program = binaries::nines_probe();
    let output = host.within(|| Command::new(program).args(["check", url, "--json", "--timeout", "20s"]).output());
    let output = output.unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let text = |key: &str| seen[key].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("reason"))
}

#[test]
#[ignore = "needs root, ip, nft and unshare"]
fn inv_5_a_routers_word_is_the_targets_fault_and_a_route_that_we_lack_is_ours() {
    let mut net = Net::new();
    let (probe, shop) = (net.host(), net.host());
    let target = Target::on(shop.listen());
    let theirs = ("down".to_owned(), "connect_unreachable".to_owned());
    let ours = ("inconclusive".to_owned(), "no_route".to_owned());
    assert_eq!(look(&probe, &target.url()).0, "up");

    for line in [Line::HostUnreachable, Line::NetUnreachable] {
        net.worsen(line, &probe, &shop);
        assert_eq!(look(&probe, &target.url()), theirs, "{line:?}");
        net.mend(&probe);
    }
    // What is thrown goes on to the next table, and there is none.
    for kind in ["unreachable", "prohibit", "blackhole", "throw"] {
        probe.route(kind, &shop);
        let seen = look(&probe, &target.url());
        probe.unroute(kind, &shop);
        assert_eq!(seen, ours, "{kind}");
    }
    assert_eq!(look(&probe, &target.url()).0, "up");
}
