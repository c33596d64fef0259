//! TLS as real servers break it: `openssl s_server` and nginx, each fault looked at with the probe's own prober.
//! Installed by `tests/run`.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use nines_probe::prober::Observation;
use nines_shared::check::{CipherSuite, OcspExpect, Question, TlsQuestion, TlsVersion};
use nines_shared::sample::{Outcome, Phase, Reason};
use nines_tests::process::Process;
use nines_tests::real::{fails, free_ports, is_up, look};
use nines_tests::wait::until;
use tempfile::TempDir;

/// An authority, one below it, and what they sign: made by `openssl` itself, as an operator would.
struct Authority {
    folder: TempDir,
}

/// How a certificate of the target differs from a good one.
#[derive(Clone, Copy)]
struct Flaw {
    name: &'static str,
    days: (&'static str, &'static str),
    digest: &'static str,
    key: &'static str,
    alt: &'static str,
}

const GOOD: Flaw = Flaw {
    name: "good",
    days: ("20200101000000Z", "20700101000000Z"),
    digest: "-sha256",
    key: "rsa:2048",
    alt: "IP:127.0.0.1",
};

impl Authority {
    fn new() -> Self {
        let this = Self { folder: TempDir::new().unwrap() };
        let ca = "basicConstraints=critical,CA:TRUE";
        let root = ["-x509", "-newkey", "rsa:2048", "-keyout", "root.key", "-out", "root.pem", "-days", "3650"];
        this.openssl(&[&["req", "-nodes", "-subj", "/CN=Real Root", "-addext", ca][..], &root].concat());
        this.request("between", "rsa:2048", "/CN=Real Between");
        fs::write(this.path("between.ext"), "basicConstraints=critical,CA:TRUE\n").unwrap();
        this.sign("between", "root", GOOD);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pem(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn request(&self, name: &str, key: &str, subject: &str) {
        let (key_file, out) = (format!("{name}.key"), format!("{name}.csr"));
        let arguments = ["req", "-nodes", "-newkey", key, "-keyout", &key_file, "-out", &out, "-subj", subject];
        self.openssl(&arguments);
    }

    fn sign(&self, name: &str, by: &str, flaw: Flaw) {
        let config = "[ca]\ndefault_ca=it\n[it]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\npolicy=any\nunique_subject=no\n\
             default_md=sha256\n[any]\ncommonName=supplied\n";
        fs::write(self.path("ca.cnf"), config).unwrap();
        if !self.path("index.txt").exists() {
            fs::write(self.path("index.txt"), "").unwrap();
        }
        let files = [".csr", ".pem", ".ext"].map(|end| format!("{name}{end}"));
        let (issuer, issuer_key) = (format!("{by}.pem"), format!("{by}.key"));
        let digest = flaw.digest.trim_start_matches('-');
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "ca.cnf",
            "-in",
            &files[0],
            "-out",
            &files[1],
            "-extfile",
            &files[2],
            "-cert",
            &issuer,
            "-keyfile",
            &issuer_key,
            "-startdate",
            flaw.days.0,
            "-enddate",
            flaw.days.1,
            "-md",
            digest,
        ]);
    }

    /// A certificate of the target with `flaw`, signed by the one between, which also goes into the file `chain`.
    fn issue(&self, flaw: Flaw, extra: &str) {
        self.request(flaw.name, flaw.key, "/CN=shop");
        let extensions = format!("subjectAltName={}\nkeyUsage=digitalSignature,keyEncipherment\n{extra}", flaw.alt);
        fs::write(self.path(&format!("{}.ext", flaw.name)), extensions).unwrap();
        self.sign(flaw.name, "between", flaw);
    }

    fn question(&self, address: SocketAddr) -> TlsQuestion {
        let ca_pem = Some(self.pem("root"));
        TlsQuestion { ca_pem, ..TlsQuestion::at(address.to_string().parse().unwrap()) }
    }

    /// A server that shows the certificate `name`, with the one between where `chain`.
    fn serve(&self, name: &str, chain: bool, more: &[&str]) -> (Process, SocketAddr) {
        let [address] = free_ports();
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path()).args(["s_server", "-quiet", "-accept", &address.to_string()]);
        command.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]);
        if chain {
            command.args(["-cert_chain", "between.pem"]);
        }
        let server = Process::start("openssl s_server", command.args(more));
        until("openssl listens", || TcpStream::connect(address).ok());
        (server, address)
    }
}

fn tls(question: TlsQuestion) -> Observation {
    look(Question::Tls(Box::new(question)))
}

const LAX: [&str; 2] = ["-cipher", "DEFAULT:@SECLEVEL=0"];

#[test]
#[ignore = "needs openssl"]
fn each_fault_of_a_certificate_that_openssl_makes_is_told_apart() {
    let authority = Authority::new();
    let flaws = [
        (
            Flaw { name: "expired", days: ("20200101000000Z", "20210101000000Z"), ..GOOD },
            Reason::TlsExpired,
            "CN=shop, expired",
        ),
        (
            Flaw { name: "early", days: ("20690101000000Z", "20700101000000Z"), ..GOOD },
            Reason::TlsNotYetValid,
            "valid only in",
        ),
        (
            Flaw { name: "other", alt: "DNS:other.example", ..GOOD },
            Reason::TlsWrongName,
            "is for other.example, not for 127.0.0.1",
        ),
        (Flaw { name: "sha1", digest: "-sha1", ..GOOD }, Reason::TlsWeakSignature, "is signed by RSA-SHA1"),
        (Flaw { name: "short", key: "rsa:1024", ..GOOD }, Reason::TlsWeakSignature, "an RSA key of 1024 bits"),
    ];
    for (flaw, reason, words) in flaws {
        authority.issue(flaw, "");
        let (_server, address) = authority.serve(flaw.name, true, &LAX);
        let seen = tls(authority.question(address));
        fails(&seen, &reason, Phase::Tls);
        assert!(seen.detail.as_deref().unwrap().contains(words), "{seen:?}");
        assert!(!seen.evidence.tls.unwrap().chain.is_empty());
    }
    authority.issue(GOOD, "");
    let (_server, address) = authority.serve("good", true, &[]);
    let mut untrusted = authority.question(address);
    is_up(&tls(untrusted.clone()));
    untrusted.ca_pem = None;
    fails(&tls(untrusted), &Reason::TlsUnknownIssuer, Phase::Tls);
    let (_server, address) = authority.serve("root", false, &[]);
    let mut myself = authority.question(address);
    myself.ca_pem = None;
    fails(&tls(myself), &Reason::TlsSelfSigned, Phase::Tls);
}

#[test]
#[ignore = "needs openssl"]
fn an_intermediate_that_openssl_does_not_send_is_missing_for_certain_where_it_can_be_fetched() {
    let authority = Authority::new();
    authority.openssl(&["x509", "-in", "between.pem", "-outform", "DER", "-out", "between.der"]);
    let file = fs::read(authority.path("between.der")).unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let aia = format!("authorityInfoAccess=caIssuers;URI:http://{}/between.der\n", web.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in web.incoming().map_while(Result::ok) {
            let _asked = stream.read(&mut [0; 1_024]);
            let _gone = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", file.len());
            let _gone = stream.write_all(&file);
        }
    });
    authority.issue(GOOD, &aia);
    let (_server, address) = authority.serve("good", false, &[]);
    let seen = tls(authority.question(address));
    fails(&seen, &Reason::TlsMissingIntermediate, Phase::Tls);
    assert!(seen.detail.unwrap().contains("CN=Real Between"));
    let silent = Flaw { name: "silent", ..GOOD };
    authority.issue(silent, "");
    let (_server, address) = authority.serve("silent", false, &[]);
    let seen = tls(authority.question(address));
    fails(&seen, &Reason::TlsUnknownIssuer, Phase::Tls);
    assert!(seen.detail.unwrap().contains("an intermediate may be missing"));
}

#[test]
#[ignore = "needs openssl"]
fn old_versions_and_ciphers_of_openssl_are_ours_to_miss_and_can_be_asked_for() {
    let authority = Authority::new();
    authority.issue(GOOD, "");
    let old: [(&[&str], &str); 3] = [
        (&["-tls1"], "TLSv1.0"),
        (&["-tls1_1"], "TLSv1.1"),
        (&["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"], "TLSv1.2 with TLS_RSA_WITH_AES_128_CBC_SHA"),
    ];
    for (arguments, words) in old {
        let (_server, address) = authority.serve("good", true, &[&LAX[..], arguments].concat());
        let seen = tls(authority.question(address));
        let said = (seen.outcome, seen.reason.as_ref(), seen.phase);
        assert_eq!(said, (Outcome::Inconclusive, Some(&Reason::TlsLegacy), Some(Phase::Tls)), "{seen:?}");
        assert!(seen.detail.as_deref().unwrap().contains(words), "{seen:?}");
    }
    let (_server, address) = authority.serve("good", true, &["-cipher", "DEFAULT"]);
    let mut asked = authority.question(address);
    asked.expect.versions = vec![TlsVersion::Tls12, TlsVersion::Tls13];
    asked.expect.refuses = vec![TlsVersion::Tls10, TlsVersion::Tls11];
    asked.expect.ciphers = vec![CipherSuite(0xc02f), CipherSuite(0x1302)];
    asked.expect.refuses_ciphers = vec![CipherSuite(0x000a), CipherSuite(0x0005)];
    is_up(&tls(asked.clone()));
    let (_lax, address) = authority.serve("good", true, &[&LAX[..], &["-min_protocol", "TLSv1"]].concat());
    asked.address = address.to_string().parse().unwrap();
    let seen = tls(asked);
    fails(&seen, &Reason::TlsOffers, Phase::Tls);
    assert!(seen.detail.as_deref().unwrap().contains("takes TLSv1.0, takes TLSv1.1"), "{seen:?}");
}

#[test]
#[ignore = "needs openssl"]
fn openssl_that_wants_our_certificate_agrees_on_a_protocol_or_staples_is_told_so() {
    let authority = Authority::new();
    authority.issue(GOOD, "");
    for version in ["-tls1_2", "-tls1_3"] {
        let (_server, address) = authority.serve("good", true, &["-Verify", "1", "-CAfile", "root.pem", version]);
        fails(&tls(authority.question(address)), &Reason::TlsClientCertificate, Phase::Tls);
    }
    let (_server, address) = authority.serve("good", true, &["-alpn", "imap"]);
    let mut asked = authority.question(address);
    asked.expect.alpn = Some("imap".to_owned());
    is_up(&tls(asked.clone()));
    asked.expect.alpn = Some("h2".to_owned());
    fails(&tls(asked), &Reason::TlsAlpn, Phase::Tls);

    authority.openssl(&["ocsp", "-issuer", "between.pem", "-cert", "good.pem", "-no_nonce", "-reqout", "ocsp.req"]);
    let answer = |file: &str| {
        authority.openssl(&[
            "ocsp",
            "-index",
            "index.txt",
            "-CA",
            "between.pem",
            "-rsigner",
            "between.pem",
            "-rkey",
            "between.key",
            "-reqin",
            "ocsp.req",
            "-respout",
            file,
            "-ndays",
            "7",
        ]);
    };
    answer("good.ocsp");
    authority.openssl(&[
        "ca",
        "-config",
        "ca.cnf",
        "-cert",
        "between.pem",
        "-keyfile",
        "between.key",
        "-revoke",
        "good.pem",
    ]);
    answer("revoked.ocsp");
    let (_server, address) = authority.serve("good", true, &["-status_file", "good.ocsp"]);
    let mut asked = authority.question(address);
    asked.expect.ocsp = Some(OcspExpect::Good);
    let seen = tls(asked.clone());
    is_up(&seen);
    assert_eq!(seen.evidence.tls.unwrap().ocsp.unwrap().status, "good");
    let (_server, address) = authority.serve("good", true, &["-status_file", "revoked.ocsp"]);
    fails(&tls(authority.question(address)), &Reason::TlsRevoked, Phase::Tls);
    let (_server, address) = authority.serve("good", true, &[]);
    asked.address = address.to_string().parse().unwrap();
    fails(&tls(asked), &Reason::TlsOcsp, Phase::Tls);
}

#[test]
#[ignore = "needs nginx"]
fn nginx_is_told_apart_by_what_it_serves_at_each_of_its_ports() {
    let authority = Authority::new();
    authority.issue(GOOD, "");
    let expired = Flaw { name: "expired", days: ("20200101000000Z", "20210101000000Z"), ..GOOD };
    authority.issue(expired, "");
    for name in ["good", "expired"] {
        fs::write(authority.path(&format!("{name}.chain")), authority.pem(name) + &authority.pem("between")).unwrap();
    }
    let [good, old, alone] = free_ports();
    let folder = authority.folder.path();
    let _nginx =
        nginx(folder, &[(good, "good.chain", "good"), (old, "expired.chain", "expired"), (alone, "good.pem", "good")]);
    until("nginx listens", || TcpStream::connect(good).ok());
    let mut asked = authority.question(good);
    asked.expect.valid_for_ms = Some(14 * 86_400_000);
    asked.expect.refuses = vec![TlsVersion::Tls10];
    let seen = tls(asked.clone());
    is_up(&seen);
    assert_eq!(seen.evidence.tls.unwrap().path, ["CN=shop", "CN=Real Between", "CN=Real Root"]);
    fails(&tls(authority.question(old)), &Reason::TlsExpired, Phase::Tls);
    fails(&tls(authority.question(alone)), &Reason::TlsUnknownIssuer, Phase::Tls);
    asked.ports = vec![good.port(), old.port()];
    let seen = tls(asked);
    fails(&seen, &Reason::TlsExpired, Phase::Tls);
    assert_eq!(seen.evidence.parts.len(), 2);
}

/// nginx with a server for each address, certificate file and name of the key.
fn nginx(folder: &Path, servers: &[(SocketAddr, &str, &str)]) -> Process {
    let dir = folder.display();
    let server = |(address, chain, key): &(SocketAddr, &str, &str)| {
        format!(
            "server {{ listen {address} ssl; ssl_certificate {dir}/{chain}; ssl_certificate_key {dir}/{key}.key; }}\n"
        )
    };
    let servers: String = servers.iter().map(server).collect();
    let config = format!(
        "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;\n\
         uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n{servers}}}\n"
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let file = folder.join("nginx.conf");
    Process::start("nginx", Command::new("nginx").arg("-c").arg(file).arg("-p").arg(folder))
}
