//! Bad input gets a clear refusal and loses nothing: at the probes' door, and in the files that people write.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::sync::LazyLock;

use nines_shared::slot::Cadence;
use nines_shared::time::{Clock, Timestamp};
use nines_tests::door::Door;
use nines_tests::fleet::Fleet;
use nines_tests::sink::Sink;
use serde_json::{Value, json};

const CHECKS: &str = r#"
[[service]]
id = "shop"
customer = "acme"

[[check]]
id = "shop-home"
service = "shop"
interval = "10s"
regions = ["ap-south", "ap-tokyo"]
http = { url = "https://shop.example/" }

[[check]]
id = "elsewhere"
service = "shop"
interval = "10s"
regions = ["ap-tokyo"]
http = { url = "https://shop.example/" }
"#;

/// The slot of `shop-home` in ap-south that was due `back` intervals before this test began: slots that were
/// counted from the present would be others by the time they are compared.
fn slot(back: i64) -> i64 {
    static BEGIN: LazyLock<Timestamp> = LazyLock::new(|| Clock::system().now());
    let cadence = Cadence::new(&"shop-home".parse().unwrap(), 10_000, 0, 2);
    cadence.at_or_before(*BEGIN).as_ms() - back * 10_000
}

fn sample(changes: &Value) -> Value {
    let at = slot(1);
    let mut sample = json!({
        "check": "shop-home", "region": "ap-south", "probe": "probe-0", "kind": "planned",
        "scheduled_at": at, "started_at": at, "outcome": "up", "duration_us": 900,
    });
    for (key, value) in changes.as_object().unwrap() {
        sample[key] = value.clone();
    }
    sample
}

fn batch(samples: &[Value]) -> Value {
    json!({"probe": "probe-0", "samples": samples})
}

#[test]
fn what_is_malformed_oversized_foreign_or_from_the_future_is_refused_whole_and_stores_nothing() {
    let sink = Sink::start();
    let fleet = Fleet::without_probes(2, CHECKS, &sink);
    let door = Door::with_identity(fleet.door, &fleet.probe_state(0));
    let good = sample(&json!({}));
    let future = Clock::system().now().as_ms() + 3_600_000;
    let refused: &[(&str, Value)] = &[
        ("another probe's batch", json!({"probe": "probe-1", "samples": [good]})),
        ("another probe's sample", batch(&[good.clone(), sample(&json!({"probe": "probe-1"}))])),
        ("another region's sample", batch(&[good.clone(), sample(&json!({"region": "ap-tokyo"}))])),
        ("a check that nobody knows", batch(&[good.clone(), sample(&json!({"check": "nobody"}))])),
        ("a check of other regions", batch(&[good.clone(), sample(&json!({"check": "elsewhere"}))])),
        (
            "a sample from the future",
            batch(&[good.clone(), sample(&json!({"scheduled_at": slot(-360), "started_at": future}))]),
        ),
        ("a planned sample beside its slot", batch(&[good.clone(), sample(&json!({"scheduled_at": slot(1) + 1}))])),
        ("an outcome that does not exist", batch(&[good.clone(), sample(&json!({"outcome": "fine"}))])),
        ("a batch without samples' list", json!({"probe": "probe-0"})),
        ("too many samples", batch(&vec![good.clone(); 1_001])),
        ("no batch at all", json!([1, 2, 3])),
    ];
    for (what, body) in refused {
        let (status, answer) = door.deliver(body);
        assert!(status.is_client_error(), "{what}: {status} {answer}");
        assert!(
            answer["message"].as_str().is_some_and(|message| 10 < message.len()),
            "{what} is refused with a reason: {answer}"
        );
        assert_eq!(fleet.stored(), 0, "{what} stores nothing");
    }
    let raw: &[(&str, Vec<u8>)] = &[
        ("bytes that are not zstd", b"{}".to_vec()),
        ("a zstd frame that ends too soon", zstd::encode_all([b'x'; 10_000].as_slice(), 1).unwrap()[..9].to_vec()),
        ("a bomb", zstd::encode_all(vec![b' '; 64 << 20].as_slice(), 19).unwrap()),
        ("a body above the limit", vec![7; (1 << 20) + 1]),
    ];
    for (what, bytes) in raw {
        let (status, answer) = door.post(bytes.clone());
        assert!(status.is_client_error(), "{what}: {status} {answer}");
        assert_eq!(fleet.stored(), 0, "{what} stores nothing");
    }
    let (status, ack) =
        door.deliver(&batch(&[good.clone(), sample(&json!({"scheduled_at": slot(2), "started_at": slot(2)}))]));
    assert!(status.is_success(), "{status} {ack}");
    assert_eq!((&ack["samples"], &ack["stored"], fleet.stored()), (&json!(2), &json!(2), 2));
    let (status, ack) = door.deliver(&batch(&[good]));
    assert!(status.is_success());
    assert_eq!(
        (&ack["samples"], &ack["stored"], fleet.stored()),
        (&json!(1), &json!(0), 2),
        "a replay changes nothing"
    );
}

#[test]
fn a_bad_fleet_file_names_every_error_at_once_with_line_and_key_and_exits_78() {
    let sink = Sink::start();
    let fleet = Fleet::without_probes(1, "", &sink);
    let bad = "[[check]]\nid = \"Shop\"\nservice = \"nowhere\"\ninterval = \"5s\"\ntimeout = \"9s\"\nregions = [\"mars\"]\nhtpp = {}\n";
    std::fs::write(fleet.path("bad.toml"), bad).unwrap();
    let output = fleet.nines(&["config", "check", "bad.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    for place in ["bad.toml:2:", "bad.toml:3:", "bad.toml:5:", "bad.toml:6:", "bad.toml:7:", "did you mean"] {
        assert!(text.contains(place), "{place} is missing in:\n{text}");
    }
}

#[test]
fn an_import_with_bad_lines_names_them_and_stores_nothing() {
    let sink = Sink::start();
    let fleet = Fleet::without_probes(2, CHECKS, &sink);
    let lines =
        [sample(&json!({})).to_string(), "{\"check\":".to_owned(), sample(&json!({"check": "nobody"})).to_string()];
    std::fs::write(fleet.path("bad.ndjson"), lines.join("\n")).unwrap();
    let output = fleet.nines(&["import", "--config", "nines.toml", "bad.ndjson"]).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("bad.ndjson:2") && text.contains("bad.ndjson:3") && text.contains("nobody"), "{text}");
    assert_eq!(fleet.stored(), 0);
}
