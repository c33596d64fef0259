//! A probe that is stopped in the middle of a look: what it then calls late, it was late for itself.

use std::time::Duration;

use nines_tests::fleet::Fleet;
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::{let_pass, until};
use rustix::process::Signal;

#[test]
fn inv_5_a_probe_that_was_stopped_while_it_waited_does_not_blame_its_target_for_that() {
    let (target, sink) = (Target::start(), Sink::start());
    target.all(Mood::Mute);
    let check = format!(
        "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"shop-home\"\nservice = \"shop\"\n\
         interval = \"4s\"\ntimeout = \"1500ms\"\nhttp = {{ url = \"{}\" }}\n",
        target.url()
    );
    let mut fleet = Fleet::start(1, &check, &sink);
    let of_reason = |fleet: &Fleet, reason: &str| {
        let samples = fleet.export();
        samples.into_iter().find(|sample| sample["reason"] == reason)
    };
    until("a target that is silent is down", || of_reason(&fleet, "http_timeout"));
    let stalled = until("a look in the midst of which the probe stood still says so", || {
        let asked = target.asked();
        until("the target is asked", || (asked < target.asked()).then_some(()));
        fleet.probe(0).signal(Signal::STOP);
        let_pass(Duration::from_secs(2));
        fleet.probe(0).signal(Signal::CONT);
        let_pass(Duration::from_secs(1));
        of_reason(&fleet, "stalled")
    });
    assert_eq!(stalled["outcome"], "inconclusive", "{stalled}");
    let detail = stalled["detail"].as_str().unwrap_or_default();
    assert!(
        detail.starts_with("the probe stood still for ") && detail.contains("seen: down http_timeout"),
        "{stalled}"
    );
}
