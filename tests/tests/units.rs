//! How services are run: what the units promise, and what the programs tell the manager that started them.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nines_tests::binaries::{self, repository};
use nines_tests::fleet::{Fleet, Seats};
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::until;

/// The most that a unit may be exposed, in the tenths that systemd-analyze counts; a bare unit has 96.
const MAX_EXPOSURE: u32 = 13;

fn unit(name: &str) -> String {
    std::fs::read_to_string(repository().join("deploy").join(format!("{name}.service"))).unwrap()
}

#[test]
#[ignore = "systemd-analyze"]
fn the_units_are_ones_that_systemd_takes_and_leave_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, binary) in [("nines", binaries::nines()), ("nines-probe", binaries::nines_probe())] {
        let text = unit(name);
        let installed = format!("/usr/bin/{name}");
        assert!(text.contains(&installed), "{name} runs {installed}");
        let path = folder.path().join(format!("{name}.service"));
        std::fs::write(&path, text.replace(&installed, binary.to_str().unwrap())).unwrap();
        let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = told.lines().filter(|line| line.contains(name)).collect();
        assert!(verified.status.success() && ours.is_empty(), "{name}: {told}");
        let mut judge = Command::new("systemd-analyze");
        let judged = judge.args(["security", "--offline=true", "--no-pager"]).arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&judged.stdout);
        let score = told.lines().find_map(|line| line.split_once("Overall exposure level for")).expect("a score").1;
        let tenths: String = score.split_whitespace().nth(1).unwrap().chars().filter(char::is_ascii_digit).collect();
        assert!(tenths.parse::<u32>().unwrap() <= MAX_EXPOSURE, "{name}:{score}\n{told}");
    }
}

/// A service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn listening(folder: &tempfile::TempDir, name: &str) -> (Self, Vec<(&'static str, String)>) {
        let path = folder.path().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let said = vec![("NOTIFY_SOCKET", path.display().to_string()), ("WATCHDOG_USEC", "8000000".to_owned())];
        (Self { socket, heard: Vec::new() }, said)
    }

    fn hears(&mut self, message: &str, times: usize) {
        until(&format!("the manager hears {message} {times} times"), || {
            let mut bytes = [0; 64];
            if let Ok(length) = self.socket.recv(&mut bytes) {
                self.heard.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
            (times <= self.heard.iter().filter(|heard| *heard == message).count()).then_some(())
        });
    }
}

#[test]
fn both_programs_tell_the_manager_that_they_are_up_that_they_get_on_and_that_they_end() {
    let (target, sink, folder) = (Target::start(), Sink::start(), tempfile::tempdir().unwrap());
    let mut seats = Seats::on_loopback(1);
    let (mut of_aggregator, said) = Manager::listening(&folder, "aggregator");
    seats.aggregator.environment = said;
    let (mut of_probe, said) = Manager::listening(&folder, "probe");
    seats.probes[0].environment = said;
    let check = format!(
        "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"home\"\nservice = \"shop\"\n\
         interval = \"1s\"\nregions = [\"ap-south\"]\nhttp = {{ url = \"{}\" }}\n",
        target.url()
    );
    let mut fleet = Fleet::seated(seats, &check, &sink);
    for manager in [&mut of_aggregator, &mut of_probe] {
        manager.hears("READY=1", 1);
        manager.hears("WATCHDOG=1", 2);
        assert_eq!(manager.heard.first().map(String::as_str), Some("READY=1"), "{:?}", manager.heard);
        assert!(!manager.heard.iter().any(|heard| heard == "STOPPING=1"), "{:?}", manager.heard);
    }
    let (status, _log) = fleet.take_probe(0).terminate();
    assert!(status.success(), "{status}");
    of_probe.hears("STOPPING=1", 1);
    let (status, _log) = fleet.take_aggregator().terminate();
    assert!(status.success(), "{status}");
    of_aggregator.hears("STOPPING=1", 1);
}
