//! Real DNS servers looked at with the probe's own prober: Knot with signed zones, right and wrong, and unbound as a
//! validating resolver that also speaks TLS and HTTPS. Installed by `tests/run`.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use nines_probe::prober::Observation;
use nines_shared::check::{DnsQuestion, Dnssec, FlagsExpect, Question};
use nines_shared::sample::{DnssecProof, Outcome, Phase, Reason};
use nines_tests::process::Process;
use nines_tests::real::{certificate, fails, free_ports, is_up, look};
use nines_tests::wait::until;
use tempfile::TempDir;

/// What every zone has.
const ZONE: &str = "$TTL 300\n@ SOA ns hostmaster 2026112301 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n@ MX 10 mail\n\
                    mail A 192.0.2.25\nwww A 192.0.2.10\nalias CNAME www\na.ent A 192.0.2.12\n*.wild A 192.0.2.11\n";

/// A tree below `example.`, its zones signed by `kzonesign`, and Knot that serves it.
struct Tree {
    folder: TempDir,
    /// The DS record of `example.`: the trust anchor.
    anchor: String,
}

impl Tree {
    /// Everything in it is signed well, except: `plain` is not signed, `wrong` has another key's DS, `old` was signed
    /// in 2020, `bare` lost its signatures. `nsec` denies by NSEC, the others by NSEC3.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("served")).unwrap();
        let tree = Self { folder, anchor: String::new() };
        let good = tree.signed("good", ZONE, &[]);
        let nsec = tree.signed("nsec", ZONE, &[]);
        let old = tree.signed("old", ZONE, &["-t", "1590000000"]);
        let bare = tree.signed("bare", ZONE, &[]);
        // Each digest with another last digit.
        let other =
            |line: &str| format!("{}{}\n", &line[..line.len() - 1], if line.ends_with('0') { '1' } else { '0' });
        let wrong: String = tree.signed("wrong", ZONE, &[]).lines().map(other).collect();
        let file = tree.served("bare.example");
        let stripped: String = fs::read_to_string(&file)
            .unwrap()
            .lines()
            .filter(|line| !line.contains("RRSIG"))
            .map(|l| format!("{l}\n"))
            .collect();
        fs::write(file, stripped).unwrap();
        fs::write(tree.served("plain.example"), format!("$ORIGIN plain.example.\n{ZONE}")).unwrap();
        let names = ["good", "nsec", "old", "bare", "wrong", "plain"];
        let cuts: String = names.iter().map(|name| format!("{name} NS ns\n")).collect();
        let anchor = tree.signed("", &format!("{ZONE}{cuts}{good}{nsec}{old}{bare}{wrong}"), &[]);
        Self { anchor, ..tree }
    }

    fn served(&self, zone: &str) -> std::path::PathBuf {
        self.folder.path().join("served").join(format!("{zone}.zone"))
    }

    /// Signs a zone, and gives its DS record.
    fn signed(&self, label: &str, text: &str, at: &[&str]) -> String {
        let zone = if label.is_empty() { "example".to_owned() } else { format!("{label}.example") };
        let dir = self.folder.path().display();
        let config = self.folder.path().join("sign.conf");
        let nsec3 = if label == "nsec" { "off" } else { "on" };
        let text_of_config = format!(
            "database:\n    storage: {dir}\npolicy:\n  - id: own\n    manual: on\n    nsec3: {nsec3}\n    \
             single-type-signing: on\nzone:\n  - domain: {zone}\n    storage: {dir}\n    file: \"%s.zone\"\n    \
             dnssec-signing: on\n    dnssec-policy: own\n"
        );
        fs::write(&config, text_of_config).unwrap();
        fs::write(self.folder.path().join(format!("{zone}.zone")), format!("$ORIGIN {zone}.\n{text}")).unwrap();
        let keymgr = |arguments: &[&str]| run(Command::new("keymgr").arg("-c").arg(&config).arg(&zone).args(arguments));
        let times =
            ["created=20200101000000", "publish=20200101000000", "ready=20200101000000", "active=20200101000000"];
        keymgr(&[&["generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes"][..], &times].concat());
        let out = self.folder.path().join("served");
        run(Command::new("kzonesign").arg("-c").arg(&config).arg("-o").arg(out).args(at).arg(&zone));
        keymgr(&["ds"]).lines().map(|line| format!("{line}\n")).collect()
    }

    /// Knot that serves every zone of the tree at `address`.
    fn serve(&self, address: SocketAddr) -> Process {
        let dir = self.folder.path();
        let zones = [
            "example",
            "good.example",
            "nsec.example",
            "old.example",
            "bare.example",
            "wrong.example",
            "plain.example",
        ];
        knot(dir, address, &zones.map(|zone| (zone, self.served(zone))))
    }

    /// What is asked of `server`, and must be proven.
    fn question(&self, name: &str, kind: &str, server: &str) -> DnsQuestion {
        let mut question = DnsQuestion::new(name, kind.parse().unwrap(), Some(server.parse().unwrap()));
        question.dnssec = Some(Dnssec { anchors: Some(self.anchor.parse().unwrap()), allow_insecure: false });
        question
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Knot at `address` with these zones and their files.
fn knot(dir: &Path, address: SocketAddr, zones: &[(&str, std::path::PathBuf)]) -> Process {
    let run = dir.join(format!("knot-{}", address.port()));
    fs::create_dir_all(&run).unwrap();
    let zones: String =
        zones.iter().map(|(zone, file)| format!("  - domain: {zone}\n    file: {}\n", file.display())).collect();
    let config = format!(
        "server:\n    listen: {}@{}\n    rundir: {run}\ndatabase:\n    storage: {run}\ntemplate:\n  - id: default\n    \
         storage: {run}\n    zonefile-sync: -1\nzone:\n{zones}",
        address.ip(),
        address.port(),
        run = run.display(),
    );
    let file = run.join("knot.conf");
    fs::write(&file, config).unwrap();
    let mut knot = Process::start("knotd", Command::new("knotd").arg("-c").arg(&file).arg("-v"));
    until("knot listens", || TcpStream::connect(address).ok());
    assert!(knot.runs());
    knot
}

fn seen(question: DnsQuestion) -> Observation {
    look(Question::Dns(Box::new(question)))
}

fn proof(seen: &Observation) -> DnssecProof {
    seen.evidence.dns.as_ref().unwrap().dnssec.as_ref().unwrap().proof
}

#[test]
#[ignore = "needs knot"]
fn a_signed_tree_is_validated_from_its_anchor_and_each_fault_of_it_is_named() {
    let tree = Tree::new();
    let [address] = free_ports();
    let _knot = tree.serve(address);
    for server in [format!("udp://{address}"), format!("tcp://{address}")] {
        for zone in ["good.example", "nsec.example"] {
            for (name, kind, rcode) in [
                ("www", "A", "NOERROR"),
                ("alias", "A", "NOERROR"),
                ("any.wild", "A", "NOERROR"),
                ("a.ent", "A", "NOERROR"),
                ("nothing", "A", "NXDOMAIN"),
                ("deep.nothing", "A", "NXDOMAIN"),
            ] {
                let mut question = tree.question(&format!("{name}.{zone}"), kind, &server);
                question.expect.rcode = Some(rcode.parse().unwrap());
                let seen = seen(question);
                is_up(&seen);
                assert_eq!(proof(&seen), DnssecProof::Secure, "{name}.{zone}: {seen:?}");
            }
            for (name, kind) in [("www", "MX"), ("ent", "A"), ("any.wild", "TXT")] {
                let mut question = tree.question(&format!("{name}.{zone}"), kind, &server);
                question.expect.answers = Some(Vec::new());
                let seen = seen(question);
                is_up(&seen);
                assert_eq!(proof(&seen), DnssecProof::Secure, "{name}.{zone} has no {kind}: {seen:?}");
            }
            for (name, kind) in [(zone, "SOA"), (zone, "DNSKEY"), (zone, "DS"), ("example", "SOA")] {
                let seen = seen(tree.question(name, kind, &server));
                is_up(&seen);
                assert_eq!(proof(&seen), DnssecProof::Secure, "{name} {kind}: {seen:?}");
            }
        }
    }
    let server = format!("udp://{address}");
    for (name, reason, why) in [
        ("www.old.example", Reason::DnssecBogus, " 2020 "),
        ("www.wrong.example", Reason::DnssecBogus, "DS record"),
        ("www.bare.example", Reason::DnssecBogus, "no signature"),
        ("www.plain.example", Reason::DnssecInsecure, "not signed"),
    ] {
        let seen = seen(tree.question(name, "A", &server));
        fails(&seen, &reason, Phase::Resolve);
        assert!(seen.detail.as_ref().unwrap().contains(why), "{name}: {seen:?}");
        assert_ne!(proof(&seen), DnssecProof::Secure);
    }
    let mut plain = tree.question("www.plain.example", "A", &server);
    plain.dnssec.as_mut().unwrap().allow_insecure = true;
    let plain = seen(plain);
    is_up(&plain);
    assert_eq!(proof(&plain), DnssecProof::Insecure);
    // Another tree's anchor vouches for nothing here.
    let mut stranger = tree.question("www.good.example", "A", &server);
    let other = "example. DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000";
    stranger.dnssec.as_mut().unwrap().anchors = Some(other.parse().unwrap());
    fails(&seen(stranger), &Reason::DnssecBogus, Phase::Resolve);
}

/// unbound that validates by the tree's anchor, and asks Knot for everything.
fn unbound(tree: &Tree, knot: SocketAddr, [plain, tls, https]: [SocketAddr; 3]) -> (String, Process) {
    let dir = tree.folder.path();
    let (cert, key) = certificate(dir, "unbound", (2020, 2070));
    let anchors: String = tree.anchor.lines().map(|line| format!("    trust-anchor: \"{line}\"\n")).collect();
    let zones = ["example", "good.example", "old.example", "plain.example"];
    let stubs: String = zones
        .iter()
        .map(|zone| format!("stub-zone:\n    name: \"{zone}\"\n    stub-addr: {}@{}\n", knot.ip(), knot.port()))
        .collect();
    let interfaces: String = [plain, tls, https]
        .iter()
        .map(|address| format!("    interface: {}@{}\n", address.ip(), address.port()))
        .collect();
    let config = format!(
        "server:\n    directory: \"{dir}\"\n    chroot: \"\"\n    username: \"\"\n    pidfile: \"{dir}/unbound.pid\"\n    \
         use-syslog: no\n    do-daemonize: no\n    num-threads: 1\n    do-not-query-localhost: no\n    \
         module-config: \"validator iterator\"\n    tls-port: {}\n    https-port: {}\n    \
         tls-service-pem: \"{}\"\n    tls-service-key: \"{}\"\n{interfaces}{anchors}remote-control:\n    \
         control-enable: no\n{stubs}",
        tls.port(),
        https.port(),
        cert.display(),
        key.display(),
        dir = dir.display(),
    );
    let file = dir.join("unbound.conf");
    fs::write(&file, config).unwrap();
    let process = Process::start("unbound", Command::new("unbound").arg("-d").arg("-c").arg(&file));
    for address in [plain, tls, https] {
        until("unbound listens", || TcpStream::connect(address).ok());
    }
    (fs::read_to_string(cert).unwrap(), process)
}

#[test]
#[ignore = "needs knot and unbound"]
fn unbound_is_asked_over_every_transport_and_its_own_validation_is_seen() {
    let tree = Tree::new();
    let [knot, plain, tls, https] = free_ports();
    let _knot = tree.serve(knot);
    let (ca, _unbound) = unbound(&tree, knot, [plain, tls, https]);
    for (server, transport) in [
        (format!("udp://{plain}"), "udp"),
        (format!("tcp://{plain}"), "tcp"),
        (format!("tls://{tls}"), "tls"),
        (format!("https://{https}/dns-query"), "https"),
    ] {
        let asked = |name: &str| {
            let mut question = DnsQuestion::new(name, "A".parse().unwrap(), Some(server.parse().unwrap()));
            question.ca_pem = (transport == "tls" || transport == "https").then(|| ca.clone());
            question
        };
        let mut good = asked("www.good.example");
        good.expect.answers = Some(vec!["192.0.2.10".to_owned()]);
        let answered = seen(good.clone());
        is_up(&answered);
        assert_eq!(answered.evidence.dns.as_ref().unwrap().transport, transport);
        // What the resolver found bogus it does not give.
        fails(&seen(asked("www.old.example")), &Reason::DnsServfail, Phase::Resolve);
        // Our own validation looks through the resolver, and says why.
        let proven = |name: &str| {
            let mut question = asked(name);
            question.dnssec = tree.question(name, "A", &server).dnssec;
            seen(question)
        };
        let good = proven("www.good.example");
        is_up(&good);
        assert_eq!(proof(&good), DnssecProof::Secure, "{good:?}");
        let old = proven("www.old.example");
        fails(&old, &Reason::DnssecBogus, Phase::Resolve);
        assert!(old.detail.as_ref().unwrap().contains("expired"), "{old:?}");
        fails(&proven("www.plain.example"), &Reason::DnssecInsecure, Phase::Resolve);
    }
    let mut strange = DnsQuestion::new(
        "www.good.example",
        "A".parse().unwrap(),
        Some(format!("tls://{tls}#other.test").parse().unwrap()),
    );
    strange.ca_pem = Some(ca);
    fails(&seen(strange), &Reason::TlsWrongName, Phase::Tls);
}

#[test]
#[ignore = "needs knot and unbound"]
fn the_flag_ad_says_what_a_resolver_validated() {
    let tree = Tree::new();
    let [knot, plain, tls, https] = free_ports();
    let _knot = tree.serve(knot);
    let (_ca, _unbound) = unbound(&tree, knot, [plain, tls, https]);
    for (name, ad) in [("www.good.example", true), ("www.plain.example", false)] {
        for wanted in [true, false] {
            let mut question =
                DnsQuestion::new(name, "A".parse().unwrap(), Some(format!("udp://{plain}").parse().unwrap()));
            question.expect.flags = FlagsExpect { ad: Some(wanted), ra: Some(true), ..FlagsExpect::default() };
            let seen = seen(question);
            let outcome = if ad == wanted { Outcome::Up } else { Outcome::Down };
            assert_eq!(seen.outcome, outcome, "{name}: {seen:?}");
        }
    }
}
