//! Operating it: reload, refusal of a bad file, clean ends.

use rustix::process::Signal;

use nines_tests::fleet::Fleet;
use nines_tests::sink::Sink;
use nines_tests::target::{Mood, Target};
use nines_tests::wait::until;

fn check(id: &str, target: &Target) -> String {
    format!(
        "\n[[check]]\nid = \"{id}\"\nservice = \"shop\"\ninterval = \"1s\"\nregions = [\"ap-south\"]\nhttp = {{ url = \"{}\" }}\n",
        target.url()
    )
}

const SERVICE: &str = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n";

#[test]
fn a_new_check_is_looked_at_after_a_reload_and_a_bad_file_leaves_the_old_one_in_force() {
    let (target, sink) = (Target::start(), Sink::start());
    let one = format!("{SERVICE}{}", check("first", &target));
    let mut fleet = Fleet::start(1, &one, &sink);
    fleet.until_all_look(1);

    fleet.write_config(&format!("{one}\nnonsense = true\n"), &sink);
    fleet.aggregator().signal(Signal::HUP);
    fleet.aggregator().logged("the error's key", |line| line.contains("nonsense").then_some(()));
    fleet.aggregator().logged("the refusal", |line| line.contains("fleet.refused").then_some(()));
    let asked = target.asked();
    until("the old file goes on", || (asked < target.asked()).then_some(()));

    fleet.write_config(&format!("{one}{}", check("second", &target)), &sink);
    fleet.aggregator().signal(Signal::HUP);
    until("the new check is looked at", || {
        fleet.export().iter().any(|sample| sample["check"] == "second").then_some(())
    });
}

#[test]
fn sigterm_ends_both_programs_cleanly_and_a_probe_starts_from_its_cache_while_the_aggregator_is_away() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &format!("{SERVICE}{}", check("first", &target)), &sink);
    fleet.until_all_look(1);
    let (status, _) = fleet.take_aggregator().terminate();
    assert!(status.success(), "{status}");
    let (status, log) = fleet.take_probe(0).terminate();
    assert!(status.success(), "{status}\n{}", log.join("\n"));

    let asked = target.asked();
    fleet.start_probe(0);
    until("the probe looks by its cached assignment", || (asked + 2 < target.asked()).then_some(()));
    let stored = fleet.stored();
    fleet.start_aggregator();
    until("what it saw meanwhile arrives", || (stored + 2 < fleet.stored()).then_some(()));
}

#[test]
fn programs_learn_of_an_incident_by_which_silence_its_letters_are_withheld() {
    let (target, sink) = (Target::start(), Sink::start());
    let fleet = Fleet::start(1, &format!("{SERVICE}{}", check("first", &target)), &sink);
    target.all(Mood::Status(503));
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&fleet.run(&[arguments, &["--json", "--config", "nines.toml"]].concat())).unwrap()
    };
    let id = until("the incident is recorded", || {
        json(&["incident", "list", "--open"])[0]["id"].as_str().map(str::to_owned)
    });
    assert!(json(&["incident", "show", &id])["silence"].is_null());
    let line = "silence add --service shop --for 2h --reason moving --by ann --config nines.toml";
    fleet.run(&line.split(' ').collect::<Vec<_>>());
    let silence = &json(&["incident", "show", &id])["silence"];
    assert_eq!((silence["by"].as_str(), silence["reason"].as_str()), (Some("ann"), Some("moving")), "{silence}");
    fleet.run(&["silence", "end", &silence["no"].to_string(), "--config", "nines.toml"]);
    assert!(json(&["incident", "show", &id])["silence"].is_null());
}

#[test]
fn a_second_server_on_the_same_database_is_refused_with_a_reason() {
    let sink = Sink::start();
    let fleet = Fleet::without_probes(1, SERVICE, &sink);
    // On ports of its own, so that the database is what they have in common.
    let config = std::fs::read_to_string(fleet.path("nines.toml")).unwrap();
    let other = config.replace(&fleet.door.to_string(), "127.0.0.1:0").replace(&fleet.web.to_string(), "127.0.0.1:0");
    std::fs::write(fleet.path("other.toml"), other).unwrap();
    let output = fleet.nines(&["serve", "--config", "other.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "unavailable: {output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("nines.db"), "{text}");
}
