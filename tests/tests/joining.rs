//! What becomes of the line that `nines probe invite` prints where people type it: on the machine of a packaged
//! service, as root and without `sudo`, for the first time and again.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nines_tests::binaries::{self, repository};
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::process::Process;
use nines_tests::sink::Sink;
use tempfile::TempDir;

/// The user and the group of a service, which no user of this machine has.
const SERVICE: (u32, u32) = (4711, 4712);

/// A fleet without checks: who joins it is all that matters.
fn fleet(sink: &Sink) -> Fleet {
    Fleet::without_probes(1, "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n", sink)
}

/// A folder that every user of this machine may enter.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The words of a line that lets the probe called `name` in.
fn line(fleet: &Fleet, name: &str) -> Vec<String> {
    let line = fleet.run(&["probe", "invite", "--region", REGIONS[0].0, "--name", name]);
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    assert_eq!((words.len(), words[0].as_str(), words[1].as_str()), (4, "nines-probe", "join"), "{line}");
    words
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The program where every user of this machine can reach it.
fn program(folder: &Path) -> PathBuf {
    let program = folder.join("nines-probe");
    fs::copy(binaries::nines_probe(), &program).unwrap();
    program
}

/// The probe as its service starts it: under a user of its own.
fn start_service(program: &Path, config: &Path) -> Process {
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG").uid(SERVICE.0).gid(SERVICE.1);
    command.args(["--log-format", "json", "run", "--config"]).arg(config);
    Process::start("the service", &mut command)
}

fn logged(line: &str, message: &str) -> Option<()> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    json["message"].as_str()?.starts_with(message).then_some(())
}

#[test]
#[ignore = "root"]
fn what_root_writes_for_a_service_is_the_services_when_it_joins_anew_and_when_root_runs_it() {
    let (sink, folder) = (Sink::start(), open_folder());
    let fleet = fleet(&sink);
    let (state, config) = (folder.path().join("state"), folder.path().join("probe.toml"));
    let program = program(folder.path());
    let join = || {
        let mut command = Command::new(&program);
        command.args(&line(&fleet, "packaged")[1..]).arg("--config").arg(&config).arg("--state").arg(&state);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    let owner = |path: &Path| {
        let about = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (about.uid(), about.gid())
    };
    join();
    assert_eq!(owner(&state.join("identity.pem")), (0, 0), "root's own folder has root's files");
    // As the service manager does before the first start, and then never again, since the folder is the service's by
    // then.
    for given in [&state, &state.join("identity.pem"), &config] {
        chown(given, Some(SERVICE.0), Some(SERVICE.1)).unwrap();
    }
    let mut service = start_service(&program, &config);
    service.logged("that it runs", |line| logged(line, "agent.started"));

    join();
    service.logged("that it goes on with the new identity", |line| logged(line, "identity.joined_anew"));
    assert_eq!(owner(&state.join("identity.pem")), SERVICE);
    service.terminate();
    // Somebody runs it as root to see what is wrong: nothing stays behind that the service can't open.
    for file in ["spool.db", "spool.lock"] {
        fs::remove_file(state.join(file)).unwrap();
    }
    let start_root = || {
        let mut as_root = Command::new(binaries::nines_probe());
        as_root.env_remove("RUST_LOG").args(["--log-format", "json", "run", "--config"]).arg(&config);
        Process::start("root", &mut as_root)
    };
    let mut as_root = start_root();
    as_root.logged("that it runs", |line| logged(line, "agent.started"));
    for file in fs::read_dir(&state).unwrap().map(Result::unwrap) {
        assert_eq!(owner(&file.path()), SERVICE, "{}", file.path().display());
    }
    as_root.kill();
    // A service that was taken over may put anything there: root gives away what it made, and nothing else.
    let (roots, lock) = (folder.path().join("roots"), state.join("spool.lock"));
    fs::write(&roots, "root's own").unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&roots, &lock).unwrap();
    let mut as_root = start_root();
    as_root.logged("that it runs", |line| logged(line, "agent.started"));
    assert_eq!(owner(&roots), (0, 0), "it is still root's");
    as_root.kill();
    fs::remove_file(&lock).unwrap();
    let mut service = start_service(&program, &config);
    service.logged("that it starts", |line| logged(line, "agent.started"));
}

/// Runs `script` with the words of `line` as its arguments, on a machine whose /etc and /var/lib are empty.
fn on_a_fresh_machine(script: &str, line: &[String]) -> Output {
    let script = format!(
        "set -eu\nmount -t tmpfs none /etc\nmount -t tmpfs none /var/lib\nmkdir -m 0777 /etc/here\ncd /etc/here\n{script}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(binaries::nines_probe()).args(&line[1..]);
    command.output().unwrap()
}

#[test]
#[ignore = "root, unshare, mount"]
fn the_line_typed_as_root_makes_the_probe_that_the_service_runs() {
    let sink = Sink::start();
    let fleet = fleet(&sink);
    let script =
        "\"$@\"\nls -A /etc/here\nstat -c '%a %n' /etc/nines/* /var/lib/nines-probe/*\ncat /etc/nines/probe.toml";
    let output = on_a_fresh_machine(script, &line(&fleet, "fresh"));
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    for part in [
        "next: systemctl enable --now nines-probe",
        "600 /etc/nines/probe.toml",
        "600 /var/lib/nines-probe/identity.pem",
        "state      = \"/var/lib/nines-probe\"",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.lines().any(|line| line == "probe.toml"), "nothing where it was typed: {told}");
}

#[test]
#[ignore = "root, unshare, mount"]
fn the_line_typed_without_sudo_on_a_machine_that_is_a_probe_is_refused_and_spends_nothing() {
    let (sink, folder) = (Sink::start(), open_folder());
    let fleet = fleet(&sink);
    let mut line = line(&fleet, "probe-0");
    let script = format!(
        "mkdir -m 0755 /etc/nines\n: >/etc/nines/probe.toml\nchmod 0600 /etc/nines/probe.toml\nshift\n\
         setpriv --reuid={} --regid={} --clear-groups {} \"$@\" || code=$?\nls -A /etc/here\nexit $code",
        SERVICE.0,
        SERVICE.1,
        program(folder.path()).display()
    );
    let output = on_a_fresh_machine(&script, &line);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains("sudo nines-probe join") && output.stdout.is_empty(), "{told}");

    line.extend(["--config".to_owned(), fleet.path("probe-0.toml").display().to_string()]);
    let joined = Command::new(binaries::nines_probe()).args(&line[1..]).output().unwrap();
    assert!(joined.status.success(), "the token is still good: {}", text(&joined));
}

#[test]
fn canaries_and_contact_that_join_is_told_are_in_its_file_and_a_probe_without_canaries_says_so() {
    let (sink, folder) = (Sink::start(), open_folder());
    let fleet = fleet(&sink);
    let join = |name: &str, told: &[&str]| {
        let mut command = Command::new(binaries::nines_probe());
        command.current_dir(folder.path()).args(&line(&fleet, name)[1..]).args(["--config", &format!("{name}.toml")]);
        command.args(["--state", name]).args(told).output().unwrap()
    };
    let canaries = ["--canary", "dns://127.0.0.1:9", "--canary", "tcp://127.0.0.1:9", "--contact", "ops@shop.example"];
    let output = join("with", &canaries);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
    let written = fs::read_to_string(folder.path().join("with.toml")).unwrap();
    assert!(written.contains("\ncanaries   = [\"dns://127.0.0.1:9\", \"tcp://127.0.0.1:9\"]"), "{written}");
    assert!(written.contains("\ncontact    = \"ops@shop.example\""), "{written}");
    let output = join("with", &canaries);
    assert_eq!(output.status.code(), Some(64), "a file that is there stays as it is: {}", text(&output));
    let output = join("without", &[]);
    assert!(output.status.success() && text(&output).contains("no canaries"), "{}", text(&output));

    for (name, is_warned) in [("with", false), ("without", true)] {
        let mut command = Command::new(binaries::nines_probe());
        command.current_dir(folder.path()).env_remove("RUST_LOG").args(["--log-format", "json", "run", "--config"]);
        let mut probe = Process::start(name, command.arg(format!("{name}.toml")));
        probe.logged("that it runs", |line| logged(line, "agent.started"));
        assert_eq!(probe.log().iter().any(|line| logged(line, "canary.none").is_some()), is_warned, "{name}");
    }
}

#[test]
fn the_packaged_fleet_file_says_what_it_lacks_until_a_probe_elsewhere_can_be_invited() {
    let folder = tempfile::tempdir().unwrap();
    let packaged = fs::read_to_string(repository().join("deploy/nines.toml")).unwrap();
    let packaged = packaged.replace("/var/lib/nines/nines.db", "nines.db");
    let invite = |text: &str| {
        fs::write(folder.path().join("nines.toml"), text).unwrap();
        let mut command = Command::new(binaries::nines());
        command.current_dir(folder.path()).env_remove("RUST_LOG").args(["probe", "invite", "--region", "eu-west"]);
        command.output().unwrap()
    };
    let refused = invite(&packaged);
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(64), "{told}");
    let region: String =
        told.lines().filter_map(|line| line.strip_prefix("    ")).map(|line| format!("{line}\n")).collect();
    let with_region = format!("{packaged}\n{region}");
    let doubted = invite(&with_region);
    let told = text(&doubted);
    assert!(doubted.status.success(), "{told}");
    assert!(told.contains("Beware: https://127.0.0.1:7443"), "{told}");
    let mend = told.lines().find_map(|line| line.strip_prefix("    ")).expect("the mend is shown");
    let said = with_region.replace("[aggregator]\n", &format!("[aggregator]\n{mend}\n"));
    let invited = invite(&said);
    let (line, told) = (String::from_utf8_lossy(&invited.stdout).into_owned(), text(&invited));
    assert!(line.starts_with("nines-probe join https://nines.example:7443 ") && line.lines().count() == 1, "{told}");
    assert!(!told.contains("Beware") && !told.contains("probes_url"), "{told}");
}
