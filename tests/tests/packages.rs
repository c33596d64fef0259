//! Getting onto machines: the Debian packages, and what cloud-init runs on a fresh one.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nines_tests::binaries::{self, repository};
use nines_tests::net::Net;
use tempfile::TempDir;

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// A root of its own, with a package database and the files that users are kept in; never the machine's.
struct Root {
    folder: TempDir,
    packages: Vec<PathBuf>,
}

impl Root {
    fn with_packages() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (built, root) = (folder.path().join("built"), folder.path().join("root"));
        for made in ["built", "root/etc", "root/var/lib/dpkg/updates", "root/var/lib/dpkg/info", "root/tmp"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        for file in ["var/lib/dpkg/status", "var/lib/dpkg/available", "etc/passwd", "etc/group", "etc/shadow"] {
            fs::write(root.join(file), "").unwrap();
        }
        for binary in [binaries::nines(), binaries::nines_probe()] {
            symlink(&binary, built.join(binary.file_name().unwrap())).unwrap();
        }
        let out = folder.path().join("out");
        let made = done(Command::new(repository().join("deploy/deb")).arg(&built).arg(&out));
        let packages: Vec<PathBuf> = made.lines().map(PathBuf::from).collect();
        assert_eq!(packages.len(), 2, "{made}");
        Self { folder, packages }
    }

    fn path(&self, place: &str) -> PathBuf {
        self.folder.path().join("root").join(place)
    }

    fn dpkg(&self, what: &str) -> Command {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.path("").display()));
        dpkg.args(["--force-script-chrootless", "--force-not-root", "--force-architecture", what]);
        dpkg
    }

    fn about(&self, place: &str) -> (u32, u32, u32) {
        let about = fs::symlink_metadata(self.path(place)).unwrap_or_else(|error| panic!("{place}: {error}"));
        (about.permissions().mode() & 0o7777, about.uid(), about.gid())
    }

    /// The number of the group called `name`.
    fn gid(&self, name: &str) -> u32 {
        let groups = fs::read_to_string(self.path("etc/group")).unwrap();
        let line = groups.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("there is the group");
        line.split(':').nth(2).unwrap().parse().unwrap()
    }
}

/// Every file below `folder`, by its path from there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
#[ignore = "dpkg, systemd-sysusers, root"]
fn packages_install_run_keep_what_is_the_operators_and_leave_nothing_when_purged() {
    let root = Root::with_packages();
    done(root.dpkg("--install").args(&root.packages));
    for name in ["nines", "nines-probe"] {
        let version = done(Command::new(root.path(&format!("usr/bin/{name}"))).arg("--version"));
        assert_eq!(version.trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
        assert_eq!(root.about(&format!("usr/bin/{name}")), (0o755, 0, 0));
        assert_eq!(root.about(&format!("lib/systemd/system/{name}.service")), (0o644, 0, 0));
        assert!(
            fs::read_to_string(root.path("etc/passwd")).unwrap().contains(&format!("{name}:x:")),
            "a user of its own"
        );
    }
    assert_eq!(root.about("etc/nines/nines.toml"), (0o640, 0, root.gid("nines")));
    assert_eq!(root.about("usr/lib/sysctl.d/50-nines-probe.conf"), (0o644, 0, 0));
    done(Command::new(binaries::nines()).args(["config", "check"]).arg(root.path("etc/nines/nines.toml")));

    // What the operator and the services write is theirs: an upgrade keeps it, and so does removing.
    let ours = "environment = \"ours\"\n";
    fs::write(root.path("etc/nines/nines.toml"), ours).unwrap();
    fs::write(root.path("etc/nines/probe.toml"), "# by join\n").unwrap();
    for state in ["var/lib/nines/nines.db", "var/lib/nines-probe/spool.db"] {
        fs::create_dir_all(root.path(state).parent().unwrap()).unwrap();
        fs::write(root.path(state), "measured").unwrap();
    }
    done(root.dpkg("--install").arg("--force-confold").args(&root.packages));
    done(root.dpkg("--remove").args(["nines", "nines-probe"]));
    assert_eq!(fs::read_to_string(root.path("etc/nines/nines.toml")).unwrap(), ours);
    for kept in ["etc/nines/probe.toml", "var/lib/nines/nines.db", "var/lib/nines-probe/spool.db"] {
        assert!(root.path(kept).exists(), "{kept} is kept until purge");
    }
    for gone in ["usr/bin/nines", "usr/bin/nines-probe", "lib/systemd/system/nines.service"] {
        assert!(!root.path(gone).exists(), "{gone} goes with the package");
    }

    done(root.dpkg("--purge").args(["nines", "nines-probe"]));
    assert!(!root.path("etc/nines").exists() && !root.path("var/lib/nines").exists());
    let left: Vec<String> = files(&root.path(""))
        .into_iter()
        .filter(|file| !file.starts_with("var/lib/dpkg/") && !file.starts_with("var/log/"))
        .collect();
    let users = ["passwd", "passwd-", "group", "group-", "shadow", "shadow-", "gshadow", "gshadow-", ".pwd.lock"];
    let strange: Vec<&String> =
        left.iter().filter(|file| !users.iter().any(|name| **file == format!("etc/{name}"))).collect();
    assert!(strange.is_empty(), "left behind: {strange:?}");
}

const TEMPLATE: &str = "deploy/terraform/cloud-init.yaml.tftpl";
const TOKEN: &str = "c2VjcmV0.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const OPTIONS: &str = "--canary 'dns://192.0.2.53' --contact 'ops@shop.example'";

/// What cloud-init is told to run on a fresh machine, with its paths below `folder`, where it has written the script.
fn user_data(folder: &Path, sha256: &str) -> Vec<String> {
    let mut text = fs::read_to_string(repository().join(TEMPLATE)).unwrap();
    assert!(text.starts_with("#cloud-config\n"), "by this line cloud-init knows it");
    for (name, value) in [
        ("aggregator", "https://192.0.2.1:7443"),
        ("token", TOKEN),
        ("package_url", "https://packages.example/nines-probe.deb"),
        ("package_sha256", sha256),
    ] {
        let place = format!("'${{{name}}}");
        assert!(text.contains(&place), "{name} is asked for, in quotes");
        text = text.replace(&format!("${{{name}}}"), value);
    }
    text = text.replace("${join_options}", OPTIONS);
    assert!(!text.replace("$${", "").contains("${"), "nothing else has to be filled in");
    let lines = text.lines().skip_while(|line| line.trim() != "content: |").skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("      "));
    let script: String = lines.map(|line| format!("{}\n", line.get(6..).unwrap_or(""))).collect();
    let here = |text: &str| text.replace("/run/", &format!("{}/", folder.display()));
    let script = here(&script).replace("/etc/nines/", &format!("{}/etc-", folder.display()));
    let written = text.lines().find_map(|line| line.trim().strip_prefix("- path: ")).expect("a file is written");
    fs::write(here(written), script).unwrap();
    // Nothing below /run can be executed on Debian, whatever the file's mode is.
    fs::set_permissions(here(written), fs::Permissions::from_mode(0o600)).unwrap();
    let told: Vec<&str> = text.lines().skip_while(|line| *line != "runcmd:").skip(1).collect();
    let [told] = told[..] else { panic!("one command: {told:?}") };
    let words = told.trim().strip_prefix("- [").and_then(|words| words.strip_suffix(']')).expect("a list of words");
    words.split(", ").map(here).collect()
}

/// Runs what cloud-init is told to, with commands that write down how they were called.
/// `nines-probe` exits with `codes`, one after the other, and with 0 from then on.
fn run(folder: &Path, told: &[String], codes: &[u8]) -> (Output, String) {
    let commands = folder.join("bin");
    fs::create_dir_all(&commands).unwrap();
    let log = folder.join("calls");
    let exits = folder.join("exits");
    fs::write(&exits, codes.iter().map(|code| format!("{code}\n")).collect::<String>()).unwrap();
    for name in ["dpkg", "nines-probe", "systemctl", "curl", "sleep"] {
        let does = match name {
            "curl" => format!("printf package >'{}'", folder.join("nines-probe.deb").display()),
            "nines-probe" => format!("code=$(head -n 1 '{0}')\nsed -i 1d '{0}'\nexit ${{code:-0}}", exits.display()),
            _ => String::new(),
        };
        let text = format!("#!/bin/sh\necho {name} \"$@\" >>'{}'\n{does}\n", log.display());
        fs::write(commands.join(name), text).unwrap();
        fs::set_permissions(commands.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", commands.display(), std::env::var("PATH").unwrap());
    let output = Command::new(&told[0]).args(&told[1..]).env("PATH", path).output().unwrap();
    (output, fs::read_to_string(log).unwrap_or_default())
}

fn sha256(text: &str) -> String {
    data_encoding::HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

#[test]
fn a_fresh_machine_joins_with_a_token_and_an_address_and_one_that_has_joined_keeps_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (output, calls) = run(folder.path(), &user_data(folder.path(), &sha256("package")), &[]);
    assert!(output.status.success(), "{output:?}");
    let calls: Vec<&str> = calls.lines().collect();
    let [fetched, installed, joined, started] = calls[..] else { panic!("{calls:?}") };
    assert!(fetched.ends_with("https://packages.example/nines-probe.deb") && fetched.contains("--fail"), "{fetched}");
    assert!(installed.starts_with("dpkg --install"), "{installed}");
    assert!(joined.starts_with(&format!("nines-probe join https://192.0.2.1:7443 {TOKEN} --config ")), "{joined}");
    assert!(joined.ends_with(" --canary dns://192.0.2.53 --contact ops@shop.example"), "{joined}");
    assert_eq!(started, "systemctl enable --now nines-probe");

    fs::write(folder.path().join("etc-probe.toml"), "").unwrap();
    fs::remove_file(folder.path().join("calls")).unwrap();
    let (output, calls) = run(folder.path(), &user_data(folder.path(), &sha256("package")), &[]);
    assert!(output.status.success() && !calls.contains("join") && calls.contains("enable"), "{calls}");
}

#[test]
fn a_package_that_is_not_the_one_named_is_never_installed() {
    let folder = tempfile::tempdir().unwrap();
    let (output, calls) = run(folder.path(), &user_data(folder.path(), &sha256("another package")), &[]);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(calls.lines().count(), 1, "fetched, and no more: {calls}");
}

#[test]
fn a_fresh_machine_tries_again_while_nobody_answers_and_gives_up_at_once_when_it_is_refused() {
    let tried = |codes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let (output, calls) = run(folder.path(), &user_data(folder.path(), &sha256("package")), codes);
        let count = |what: &str| calls.lines().filter(|call| call.starts_with(what)).count();
        (output.status.code(), count("nines-probe join"), count("sleep 30"), count("systemctl enable"))
    };
    assert_eq!(tried(&[69, 69]), (Some(0), 3, 2, 1));
    for refused in [64, 74, 77, 78] {
        assert_eq!(tried(&[69, refused]), (Some(i32::from(refused)), 2, 1, 0), "{refused}");
    }
    assert_eq!(tried(&[69; 50]), (Some(69), 40, 39, 0), "it ends");
}

#[test]
fn all_that_the_user_data_asks_for_is_given_by_terraform_and_can_be_set() {
    let template = fs::read_to_string(repository().join(TEMPLATE)).unwrap().replace("$${", "");
    let module = fs::read_to_string(repository().join("deploy/terraform/main.tf")).unwrap();
    let names: Vec<&str> = template.split("${").skip(1).filter_map(|rest| rest.split('}').next()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for name in names {
        let given = module.lines().filter_map(|line| line.trim().split_once('=')).find(|(key, _)| key.trim() == name);
        let given = given.unwrap_or_else(|| panic!("{name} is not given")).1;
        assert!(given.contains("var."), "{name} is given {given}");
    }
    for variable in module.split("var.").skip(1) {
        let end = variable.find(|c: char| !c.is_ascii_lowercase() && c != '_' && !c.is_ascii_digit());
        let name = &variable[..end.unwrap_or(variable.len())];
        assert!(module.contains(&format!("variable \"{name}\" {{")), "{name} is no variable");
    }
    for option in ["--canary '${canary}'", "--contact '${var.contact}'"] {
        assert!(module.contains(option), "{option}");
    }
    assert!(!template.contains("envsubst"), "it would take the shell's own words out");
}

/// Runs the `postinst` of `package` as an upgrade does, with commands that write down how they were called; those of
/// `failing` fail. Says whether the package is configured, what was told, and what was called.
fn upgraded(package: &str, failing: &[&str]) -> (bool, String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (commands, log) = (folder.path().join("bin"), folder.path().join("calls"));
    for made in ["bin", "systemd"] {
        fs::create_dir(folder.path().join(made)).unwrap();
    }
    for name in ["systemctl", "systemd-sysusers", "sysctl", "nines"] {
        let fails: Vec<String> = failing.iter().map(|call| format!("\"{call}\"*) exit 1 ;;\n")).collect();
        let text = format!(
            "#!/bin/sh\necho {name} \"$@\" >>'{}'\ncase \"{name} $*\" in {} esac\n",
            log.display(),
            fails.concat()
        );
        fs::write(commands.join(name), text).unwrap();
        fs::set_permissions(commands.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = fs::read_to_string(repository().join(format!("deploy/debian/{package}/postinst"))).unwrap();
    let script = script.replace("/run/systemd/system", &folder.path().join("systemd").display().to_string());
    let path = format!("{}:{}", commands.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "postinst", "configure", "0.0.9"]).env("PATH", path).env_remove("DPKG_ROOT");
    let output = shell.output().unwrap();
    let calls = fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned(), calls)
}

#[test]
fn an_upgrade_that_the_service_does_not_like_says_what_to_do_and_leaves_no_package_half_configured() {
    let restarted = |calls: &[String], name: &str| calls.contains(&format!("systemctl try-restart {name}.service"));
    for name in ["nines", "nines-probe"] {
        let (is_configured, told, calls) = upgraded(name, &[]);
        assert!(is_configured && told.is_empty() && restarted(&calls, name), "{name}: {told} {calls:?}");
        let (is_configured, told, calls) = upgraded(name, &["systemctl try-restart", "sysctl"]);
        assert!(is_configured && restarted(&calls, name), "{name}: {told} {calls:?}");
        assert!(told.contains(&format!("systemctl restart {name}")), "{name}: {told}");
    }
    let (is_configured, told, calls) = upgraded("nines", &["nines config check /etc/nines/nines.toml"]);
    assert!(is_configured && !restarted(&calls, "nines"), "what runs goes on: {calls:?}");
    assert!(told.contains("the one before goes on"), "{told}");
    let (is_configured, _told, calls) = upgraded("nines", &["systemctl is-active", "nines config check"]);
    assert!(is_configured && !calls.iter().any(|call| call.starts_with("nines ")), "nothing runs: {calls:?}");
    let (_is_configured, _told, calls) = upgraded("nines-probe", &[]);
    assert!(calls.contains(&"sysctl --quiet --load=/usr/lib/sysctl.d/50-nines-probe.conf".to_owned()), "{calls:?}");
}

#[test]
#[ignore = "root, unshare, ip, nft"]
fn with_what_the_package_says_to_the_kernel_an_echo_comes_back_to_a_service_without_rights() {
    let sysctl = fs::read_to_string(repository().join("deploy/debian/nines-probe/sysctl.conf")).unwrap();
    let (key, range) =
        sysctl.lines().find(|line| !line.starts_with('#')).and_then(|line| line.split_once(" = ")).unwrap();
    let file = format!("/proc/sys/{}", key.replace('.', "/"));
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("nines-probe");
    fs::copy(binaries::nines_probe(), &program).unwrap();
    let host = Net::new().host();
    let asked = || {
        let mut command = Command::new(&program);
        command.args(["check", "icmp:127.0.0.1", "--json"]).uid(4711).gid(4712);
        let output = host.within(|| command.output().unwrap());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // As a kernel is before anybody has told it otherwise: no group may.
    host.within(|| fs::write(&file, "1 0").unwrap());
    let (code, told) = asked();
    assert_eq!(code, Some(3), "our own fault: {told}");
    host.within(|| fs::write(&file, range).unwrap());
    let (code, told) = asked();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("\"outcome\":\"up\"") || told.contains("\"outcome\": \"up\""), "{told}");
}
