//! What the pages tell people to type does what they say, to the letter.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use nines_shared::time::{Span, Timestamp};
use nines_tests::binaries::{self, repository};

/// The lines of `page` from the heading `from` to the next of its level that are set as code.
fn code(page: &str, from: &str) -> Vec<String> {
    let page = fs::read_to_string(repository().join(page)).unwrap();
    let section = page.split_once(&format!("\n{from}\n")).unwrap_or_else(|| panic!("there is no {from}")).1;
    let section = section.split("\n## ").next().unwrap();
    // Below a numbered step code stands further in; an empty line may be a part of it.
    let deep = section.lines().any(|line| line.starts_with("1. "));
    let indent = if deep { "       " } else { "    " };
    let lines = section.lines().filter_map(|line| if line.is_empty() { Some(line) } else { line.strip_prefix(indent) });
    lines.map(str::to_owned).collect()
}

/// Types `lines` into a shell in `folder`, where `sudo` gives nobody any rights and what would change this machine is
/// only written to `calls`. Returns what was shown.
fn type_in(folder: &Path, lines: &[String]) -> String {
    let commands = folder.join("bin");
    fs::create_dir(&commands).unwrap();
    let nines = binaries::nines();
    let called = format!("echo \"${{0##*/}} $*\" >>'{}'", folder.join("calls").display());
    for (name, does) in [
        ("sudo", "[ \"$1\" != -u ] || shift 2\nexec \"$@\"".to_owned()),
        ("nines", format!("exec '{}' \"$@\"", nines.display())),
        ("install", format!("{called}\nfor last; do :; done\nmkdir -p \"$last\"")),
        ("apt", called.clone()),
        ("systemctl", called.clone()),
        ("nines-probe", called.clone()),
    ] {
        fs::write(commands.join(name), format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(commands.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let script = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let script = script.replace("/etc/nines/", &format!("{}/", folder.display()));
    let script = script.replace("/var/backups/", &format!("{}/backups/", folder.display()));
    let path = format!("{}:{}", commands.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.current_dir(folder).env("PATH", path).env_remove("RUST_LOG").args(["-euxc", &script]);
    let output = shell.output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    told
}

/// The packaged fleet file, with its database in `folder`.
fn packaged(folder: &Path) {
    let text = fs::read_to_string(repository().join("deploy/nines.toml")).unwrap();
    fs::write(folder.join("nines.toml"), text.replace("/var/lib/nines/nines.db", "nines.db")).unwrap();
}

#[test]
fn the_first_day_can_be_typed_from_the_packaged_file_to_a_line_for_a_probe_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    packaged(folder.path());
    let told = type_in(folder.path(), &code("docs/OPERATIONS.md", "## The first day"));
    let line = told.lines().find(|line| line.starts_with("nines-probe join ")).expect("the line is printed");
    assert!(line.starts_with("nines-probe join https://nines.example:7443 "), "{line}");
    assert!(!told.contains("Beware"), "{told}");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls.matches("enable --now").count(), 2, "{calls}");
}

#[test]
fn a_backup_can_be_typed_on_a_machine_that_never_had_one() {
    let folder = tempfile::tempdir().unwrap();
    packaged(folder.path());
    let mut lines = code("docs/OPERATIONS.md", "## Backup and restore");
    let region = "printf '[[region]]\\nid = \"eu-west\"\\n' >>/etc/nines/nines.toml";
    // The first invitation makes the database.
    let invite = "nines probe invite --region eu-west --config /etc/nines/nines.toml";
    lines.splice(0..0, [region, invite].map(str::to_owned));
    type_in(folder.path(), &lines);
    let copies = fs::read_dir(folder.path().join("backups/nines")).unwrap().count();
    assert_eq!(copies, 1, "the database; the key of reports comes with the first start of the server");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert!(calls.contains("install -d -m 0700 -o nines "), "nobody else may read it: {calls}");
}

#[test]
fn the_proof_of_a_month_can_be_typed_with_the_example_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nines.toml");
    fs::copy(repository().join("config/fleet.example.toml"), &file).unwrap();
    // The month begins in Berlin two hours before it does in UTC; the report looks beyond its edges, too.
    let begins: jiff::Timestamp = "2026-09-30T22:00:00Z".parse().unwrap();
    let begins = Timestamp::from_ms(begins.as_millisecond());
    let (fleet, _warnings) = nines::fleet_file::load(&file).unwrap();
    let check = fleet.checks.iter().find(|check| check.id.as_str() == "shop-home").unwrap();
    let mut samples = String::new();
    for region in ["eu-west", "us-east", "ap-south"] {
        let cadence = check.cadence(&region.parse().unwrap()).unwrap();
        for slot in cadence.slots_in(Span::new(begins.plus_ms(-1_800_000), begins.plus_ms(10_800_000))) {
            let sample = serde_json::json!({
                "check": "shop-home", "region": region, "kind": "planned", "scheduled_at": slot,
                "started_at": slot.plus_ms(2), "outcome": "up", "duration_us": 900,
            });
            samples.push_str(&format!("{sample}\n"));
        }
    }
    fs::write(folder.path().join("samples.ndjson"), samples).unwrap();
    let typed = code("README.md", "## A fleet of your own");
    let typed = typed.iter().filter(|line| line.starts_with("nines report ") || line.starts_with("nines export "));
    let mut lines = vec!["nines import samples.ndjson".to_owned()];
    lines.extend(typed.cloned());
    assert_eq!(lines.len(), 4, "{lines:?}");
    let told = type_in(folder.path(), &lines);
    for part in ["signature   good", "arithmetic  good", "samples     good"] {
        assert!(told.lines().any(|line| line.starts_with(part)), "{part}: {told}");
    }
}
