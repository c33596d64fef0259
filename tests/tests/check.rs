//! `nines-probe check` and `nines check` as people run them: real processes, their exit codes, their drawings, their
//! JSON.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nines_shared::check::{Check, Draft, HttpQuestion, Question};
use nines_shared::secret::Secrets;
use nines_shared::time::Timestamp;
use nines_shared::wire::Assignment;
use nines_tests::target::{Mood, Target};
use nines_tests::{binaries, dns_target, tls_target};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

fn probe(arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries::nines_probe());
    command.arg("check").args(arguments).env_remove("LANG").env_remove("LC_ALL").env_remove("LC_CTYPE");
    command
}

fn ran(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A port of loopback that nothing listens on.
fn refusing() -> String {
    let target = Target::start();
    target.refuse();
    target.address.to_string()
}

#[test]
fn the_exit_code_says_the_outcome_and_the_drawing_says_why() {
    let target = Target::start();
    let (code, drawn, _) = ran(&mut probe(&[&target.url()]));
    assert_eq!(code, Some(0), "{drawn}");
    assert!(drawn.contains("✓ status is 2xx") && drawn.contains("UP") && !drawn.contains('\u{1b}'), "{drawn}");

    target.all(Mood::Status(503));
    let (code, drawn, _) = ran(&mut probe(&[&target.url()]));
    assert_eq!(code, Some(2), "{drawn}");
    assert!(drawn.contains("✗ status is 2xx") && drawn.contains("DOWN  http_status in first_byte"), "{drawn}");
    assert_eq!(ran(&mut probe(&[&target.url(), "--expect-status", "200,5xx"])).0, Some(0));

    let (code, drawn, _) = ran(&mut probe(&[&format!("http://{}/", refusing())]));
    assert_eq!(code, Some(2), "{drawn}");
    assert!(drawn.contains("connect_refused") && drawn.contains("→ nothing listens on port"), "{drawn}");

    // An address that no machine has: our own fault, whatever the target is.
    let (code, drawn, _) = ran(&mut probe(&[&target.url(), "--source-address", "192.0.2.77"]));
    assert_eq!(code, Some(3), "{drawn}");
    assert!(drawn.contains("INCONCLUSIVE  source_address"), "{drawn}");
}

#[test]
fn what_makes_no_sense_is_wrong_usage_and_says_what_to_write() {
    for (arguments, words) in [
        (&["shop-home"][..], "--from CONFIG shop-home"),
        (&["ftp://shop.example/"], "write https://HOST"),
        (&["dns:shop.example", "-X", "PUT"], "--method goes with a URL only"),
        (&["https://shop.example/", "--timeout", "soon"], "--timeout: \"soon\" is not a duration"),
        (&["https://shop.example/", "-H", "nonsense"], "'NAME: VALUE'"),
        (&["https://shop.example/", "--repeat", "0"], "0"),
        (&["https://shop.example/", "-4", "-6"], "--ipv6"),
    ] {
        let (code, stdout, stderr) = ran(&mut probe(arguments));
        assert_eq!((code, stdout.as_str()), (Some(64), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
    let (code, _, stderr) = ran(&mut probe(&["https://shop.example/", "--ca", "/nowhere/ca.pem"]));
    assert_eq!(code, Some(74), "{stderr}");
    assert!(stderr.contains("/nowhere/ca.pem"), "{stderr}");
}

#[test]
fn json_is_one_object_with_the_keys_of_a_sample() {
    let target = Target::start();
    let (code, json, _) = ran(&mut probe(&[&target.url(), "--json"]));
    assert_eq!(code, Some(0));
    let [seen] = objects(&json).try_into().unwrap();
    assert_eq!(
        (&seen["schema"], &seen["outcome"], &seen["attempt"]),
        (&"nines.check/1".into(), &"up".into(), &1.into())
    );
    assert_eq!(seen["target"], target.url());
    assert_eq!(seen["evidence"]["hops"][0]["status"], 200);
    assert!(seen["trace_id"].as_str().unwrap().len() == 32 && 0 < seen["duration_us"].as_u64().unwrap());
    assert!(seen["phases_us"]["connect"].is_u64() && seen["started_at"].is_i64() && seen["check"].is_null());

    let (code, json, _) = ran(&mut probe(&[&format!("http://{}/", refusing()), "--json"]));
    assert_eq!(code, Some(2));
    assert_eq!(objects(&json)[0]["reason"], "connect_refused");
}

#[test]
fn names_and_certificates_are_drawn_too() {
    let server = format!("udp://{}", dns_target::start());
    let (code, drawn, _) = ran(&mut probe(&["dns:shop.example", "--server", &server]));
    assert_eq!(code, Some(0), "{drawn}");
    assert!(drawn.contains("NOERROR") && drawn.contains("192.0.2.10"), "{drawn}");

    let tls = tls_target::start();
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &tls.ca_pem).unwrap();
    let asked = format!("tls:{}", tls.address);
    let (code, drawn, _) = ran(&mut probe(&[&asked, "--ca", ca.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{drawn}");
    assert!(drawn.contains("chain") && drawn.contains("days left") && drawn.contains("Test Authority"), "{drawn}");
    let (code, drawn, _) = ran(&mut probe(&[&asked]));
    assert_eq!(code, Some(2), "{drawn}");
    assert!(drawn.contains("--ca FILE"), "what to try next: {drawn}");
}

#[test]
fn a_pinned_address_stands_in_for_the_names_own() {
    let target = Target::start();
    let port = target.address.port();
    let url = format!("http://shop.example:{port}/");
    let (code, drawn, _) = ran(&mut probe(&[&url, "--resolve", &format!("shop.example:{port}:127.0.0.1")]));
    assert_eq!(code, Some(0), "{drawn}");
    assert!(drawn.contains(&format!("127.0.0.1:{port} · IPv4")), "{drawn}");
}

#[test]
fn many_runs_are_a_line_each_and_a_summary_and_leave_with_the_worst() {
    let target = Target::start();
    let (code, drawn, _) = ran(&mut probe(&[&target.url(), "--repeat", "3", "--every", "10ms"]));
    assert_eq!(code, Some(0), "{drawn}");
    assert!(drawn.contains("3 runs in") && drawn.contains("3 up · 0 degraded · 0 down"), "{drawn}");
    assert!(drawn.contains("median") && drawn.contains(&format!("always {}", target.address)), "{drawn}");
    assert_eq!(drawn.lines().filter(|line| line.contains("  up  ")).count(), 3, "{drawn}");

    let (code, json, _) = ran(&mut probe(&[&target.url(), "--repeat", "2", "--every", "10ms", "--json"]));
    let lines = objects(&json);
    assert_eq!((code, lines.len()), (Some(0), 3), "{json}");
    assert_eq!((&lines[0]["run"], &lines[1]["run"]), (&1.into(), &2.into()));
    assert_ne!(lines[0]["trace_id"], lines[1]["trace_id"], "each run is a request of its own");
    assert_eq!((&lines[2]["schema"], &lines[2]["up"]), (&"nines.check.summary/1".into(), &2.into()));
    assert!(lines[2]["total_us"]["p95"].is_u64() && lines[2]["phases_us"]["tls"].is_null(), "{json}");

    target.all(Mood::Hangup);
    let (code, drawn, _) = ran(&mut probe(&[&target.url(), "--repeat", "2", "--every", "10ms"]));
    assert_eq!(code, Some(2), "{drawn}");
    assert!(drawn.contains("2 x  http_closed in first_byte"), "{drawn}");
}

/// Starts `command` and waits until it has printed `lines` lines.
fn started(command: &mut Command, lines: usize) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..lines {
        assert_ne!(out.read_line(&mut String::new()).unwrap(), 0, "it goes on until somebody says stop");
    }
    (child, out)
}

#[test]
fn runs_without_end_are_ended_by_ctrl_c_with_the_summary() {
    let target = Target::start();
    let (mut child, out) = started(&mut probe(&[&target.url(), "--every", "10ms", "--json"]), 3);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let summary: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert!(summary["schema"] == "nines.check.summary/1" && 3 <= summary["runs"].as_u64().unwrap(), "{summary}");
}

#[test]
fn stopped_before_the_first_run_has_ended_nothing_is_known() {
    let target = Target::start();
    target.all(Mood::Mute);
    // The head is printed before the first run begins.
    let (mut child, _out) = started(&mut probe(&[&target.url(), "--repeat", "9", "--timeout", "60s"]), 2);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// A probe's file and its state, with an assignment of one check of `url`.
fn probe_of(folder: &Path, url: &str, more: &str) -> String {
    let region = "eu-west".parse().unwrap();
    let question = Question::Http(Box::new(HttpQuestion::get(url.parse().unwrap())));
    let draft = Draft::new("shop-home".parse().unwrap(), "shop".parse().unwrap(), vec![region], question);
    let assignment = Assignment {
        digest: "d".to_owned(),
        version: 0,
        probe: None,
        region: "eu-west".parse().unwrap(),
        checks: vec![Check::new(draft).unwrap()],
        secrets: Secrets::default(),
        now: Timestamp::from_ms(0),
    };
    std::fs::create_dir_all(folder.join("state")).unwrap();
    std::fs::write(folder.join("state/assignment.json"), serde_json::to_vec(&assignment).unwrap()).unwrap();
    let file = folder.join("probe.toml");
    std::fs::write(&file, format!("aggregator = \"https://127.0.0.1:1\"\nstate = \"state\"\n{more}\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn inv_10_a_check_of_this_probe_is_run_from_its_cache_and_held_against_its_own_rule() {
    let target = Target::start();
    let folder = TempDir::new().unwrap();
    let file = probe_of(folder.path(), &target.url(), "targets = { allow = [\"127.0.0.0/8\"] }");
    let (code, json, stderr) = ran(&mut probe(&["--from", &file, "shop-home", "--json"]));
    assert_eq!(code, Some(0), "{json}{stderr}");
    assert_eq!(objects(&json)[0]["check"], "shop-home");
    assert_eq!(target.asked(), 1);

    // Nobody can widen what the probe's file allows, nor from where it looks.
    let file = probe_of(folder.path(), &target.url(), "");
    let (code, drawn, _) = ran(&mut probe(&["--from", &file, "shop-home"]));
    assert_eq!(code, Some(3), "{drawn}");
    assert!(drawn.contains("address_forbidden"), "{drawn}");
    let (code, _, stderr) = ran(&mut probe(&["--from", &file, "shop-home", "--source-address", "127.0.0.9"]));
    assert_eq!(code, Some(64), "{stderr}");
    let port = target.address.port();
    let pin = format!("127.0.0.1:{port}:127.0.0.1");
    assert_eq!(ran(&mut probe(&["--from", &file, "shop-home", "--resolve", &pin])).0, Some(3));
    assert_eq!(target.asked(), 1, "it was not contacted");
}

#[test]
fn what_is_wrong_with_from_is_said_with_its_mend() {
    let folder = TempDir::new().unwrap();
    let file = probe_of(folder.path(), "http://127.0.0.1:1/", "");
    let (code, _, stderr) = ran(&mut probe(&["--from", &file, "shop-hme"]));
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("did you mean shop-home?"), "{stderr}");

    std::fs::remove_file(folder.path().join("state/assignment.json")).unwrap();
    let (code, _, stderr) = ran(&mut probe(&["--from", &file, "shop-home"]));
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("nines-probe run --config"), "{stderr}");

    let fleet = binaries::repository().join("config/fleet.example.toml");
    let (code, _, stderr) = ran(&mut probe(&["--from", fleet.to_str().unwrap(), "shop-home"]));
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("nines check shop-home --config"), "{stderr}");
}

/// A fleet file with a check of `url` that shows a secret of the environment.
fn fleet_of(folder: &Path, url: &str) -> String {
    let file = folder.join("nines.toml");
    let text = format!(
        "[aggregator]\nprobes = \"127.0.0.1:0\"\nweb = \"127.0.0.1:0\"\ndatabase = \"nines.db\"\n\n\
         [[region]]\nid = \"eu-west\"\nname = \"Ireland\"\n\n\
         [[customer]]\nid = \"acme\"\nname = \"Acme\"\ntimezone = \"UTC\"\n\n\
         [[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\n\
         [[check]]\nid = \"shop-home\"\nservice = \"shop\"\nregions = [\"eu-west\"]\n\
         http = {{ url = \"{url}\", bearer = {{ env = \"NINES_TEST_TOKEN\" }} }}\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_check_of_the_fleet_is_run_once_from_here_with_its_secrets() {
    let target = Target::start();
    let folder = TempDir::new().unwrap();
    let file = fleet_of(folder.path(), &target.url());
    let nines = |arguments: &[&str], token: Option<&str>| {
        let mut command = Command::new(binaries::nines());
        command.args(["check", "--config", &file]).args(arguments).env_remove("NINES_TEST_TOKEN");
        ran(command.envs(token.map(|token| ("NINES_TEST_TOKEN", token))))
    };
    let (code, drawn, stderr) = nines(&["shop-home"], Some("hunter2-hunter2"));
    assert_eq!(code, Some(0), "{drawn}{stderr}");
    assert!(drawn.contains("✓ status is 2xx") && !drawn.contains("hunter2"), "{drawn}");
    let (code, json, _) = nines(&["shop-home", "--json", "--repeat", "2", "--every", "1ms"], Some("hunter2-hunter2"));
    assert_eq!((code, objects(&json).len()), (Some(0), 3), "{json}");

    let (code, drawn, _) = nines(&["shop-home"], None);
    assert_eq!(code, Some(3), "{drawn}");
    assert!(drawn.contains("INCONCLUSIVE  secret_missing"), "{drawn}");

    target.all(Mood::Status(500));
    assert_eq!(nines(&["shop-home"], Some("hunter2-hunter2")).0, Some(2));
    let (code, _, stderr) = nines(&["shop-hoem"], None);
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("did you mean shop-home?"), "{stderr}");
    std::fs::write(&file, "nonsense = 1\n").unwrap();
    assert_eq!(nines(&["shop-home"], None).0, Some(78));
}
