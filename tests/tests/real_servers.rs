//! Real servers, as users meet them, looked at with the probe's own probers: nginx for HTTP and TLS, Knot for DNS,
//! `openssl s_server` for what nginx would not do. Installed by `tests/run`.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use nines_probe::prober::Observation;
use nines_shared::check::{DnsQuestion, HttpQuestion, HttpVersion, Question, TlsQuestion};
use nines_shared::sample::{Outcome, Phase, Reason};
use nines_tests::process::Process;
use nines_tests::real::{certificate, fails, free_ports, is_up, look};
use nines_tests::wait::until;
use tempfile::TempDir;

#[test]
#[ignore = "needs nginx"]
fn nginx_is_looked_at_over_http_1_and_2_and_over_tls_and_its_faults_are_named() {
    let folder = TempDir::new().unwrap();
    let (cert, key) = certificate(folder.path(), "good", (2020, 2070));
    let (old_cert, old_key) = certificate(folder.path(), "old", (2020, 2021));
    let [plain, tls, old, h2c] = free_ports();
    let config = format!(
        "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; default_type text/plain; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;\n\
         uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; gzip on; gzip_min_length 1; gzip_types *;\n\
         server {{ listen {plain}; location / {{ return 200 'Cart of nginx'; }} location /gone {{ return 410; }} location /there {{ return 302 /; }}\n\
           location /loop {{ return 302 /loop; }} location /inside {{ return 302 http://169.254.169.254/; }} }}\n\
         server {{ listen {tls} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key}; location / {{ return 200 ok; }} }}\n\
         server {{ listen {old} ssl; ssl_certificate {old_cert}; ssl_certificate_key {old_key}; }}\n\
         server {{ listen {h2c} http2; location / {{ return 200 ok; }} }} }}\n",
        dir = folder.path().display(),
        cert = cert.display(),
        key = key.display(),
        old_cert = old_cert.display(),
        old_key = old_key.display(),
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let _nginx = Process::start("nginx", Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(folder.path()));
    until("nginx listens", || TcpStream::connect(plain).ok());

    let get = |url: String| HttpQuestion::get(url.parse().unwrap());
    is_up(&look_http(get(format!("http://{plain}/"))));
    let mut cart = get(format!("http://{plain}/there"));
    cart.expect.body_contains = vec!["Cart".to_owned()];
    let seen = look_http(cart);
    is_up(&seen);
    assert_eq!(seen.evidence.hops.len(), 2, "each hop is on record: {seen:?}");
    fails(&look_http(get(format!("http://{plain}/gone"))), &Reason::HttpStatus, Phase::FirstByte);
    fails(&look_http(get(format!("http://{plain}/loop"))), &Reason::RedirectLimit, Phase::FirstByte);
    let inside = look_http(get(format!("http://{plain}/inside")));
    assert_eq!((inside.outcome, inside.reason), (Outcome::Inconclusive, Some(Reason::AddressForbidden)), "INV-10");

    let mut prior = get(format!("http://{h2c}/"));
    prior.version = HttpVersion::Http2;
    is_up(&look_http(prior));
    let mut trusted = get(format!("https://{tls}/"));
    trusted.ca_pem = Some(fs::read_to_string(&cert).unwrap());
    let seen = look_http(trusted);
    is_up(&seen);
    assert_eq!(seen.evidence.hops[0].version.as_deref(), Some("HTTP/2"), "agreed by ALPN: {seen:?}");

    let seen = look_http(get(format!("https://{tls}/")));
    fails(&seen, &Reason::TlsSelfSigned, Phase::Tls);
    let shown = &seen.evidence.tls.as_ref().unwrap().chain[0];
    assert!(shown.subject.contains("nines.test"), "an invalid certificate is still described: {shown:?}");
    let mut expired = tls_question(old);
    expired.ca_pem = Some(fs::read_to_string(&old_cert).unwrap());
    fails(&look(Question::Tls(Box::new(expired))), &Reason::TlsExpired, Phase::Tls);
}

#[test]
#[ignore = "needs openssl"]
fn openssl_s_server_is_told_apart_by_what_it_refuses_to_speak() {
    let folder = TempDir::new().unwrap();
    let (cert, key) = certificate(folder.path(), "good", (2020, 2070));
    let [address] = free_ports();
    let mut command = Command::new("openssl");
    command.args([
        "s_server",
        "-quiet",
        "-accept",
        &address.to_string(),
        "-tls1",
        "-cipher",
        "DEFAULT@SECLEVEL=0",
        "-cert",
    ]);
    command.arg(&cert).arg("-key").arg(&key);
    let _server = Process::start("openssl s_server", &mut command);
    until("openssl listens", || TcpStream::connect(address).ok());
    let seen = look(Question::Tls(Box::new(tls_question(address))));
    assert_eq!((seen.outcome, seen.reason), (Outcome::Inconclusive, Some(Reason::TlsLegacy)));
}

#[test]
#[ignore = "needs knot"]
fn knot_answers_what_its_zone_says_and_its_refusals_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let [address] = free_ports();
    let zone = "$ORIGIN shop.example.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.53\n@ A 192.0.2.10\n@ AAAA 2001:db8::10\n\
                @ MX 10 mail\nmail A 192.0.2.25\n@ TXT \"v=spf1 -all\"\nwww CNAME shop.example.\n";
    let long: String = (0..40).map(|n| format!("long TXT \"{n} {}\"\n", "x".repeat(100))).collect();
    fs::write(folder.path().join("shop.example.zone"), format!("{zone}{long}")).unwrap();
    let config = format!(
        "server:\n    listen: {}@{}\n    rundir: {dir}\ndatabase:\n    storage: {dir}\ntemplate:\n  - id: default\n    storage: {dir}\n    file: \"%s.zone\"\n    zonefile-sync: -1\nzone:\n  - domain: shop.example\n",
        address.ip(),
        address.port(),
        dir = folder.path().display()
    );
    let file = folder.path().join("knot.conf");
    fs::write(&file, config).unwrap();
    let mut knot = Process::start("knotd", Command::new("knotd").arg("-c").arg(&file).args(["-v"]));
    until("knot listens", || TcpStream::connect(address).ok());
    assert!(knot.runs());

    let ask = |name: &str, kind: &str| {
        let server = format!("udp://{address}").parse().unwrap();
        look(Question::Dns(Box::new(DnsQuestion::new(name, kind.parse().unwrap(), Some(server)))))
    };
    for (name, kind, answer) in [
        ("shop.example", "A", "192.0.2.10"),
        ("shop.example", "AAAA", "2001:db8::10"),
        ("shop.example", "MX", "mail.shop.example"),
        ("shop.example", "NS", "ns.shop.example"),
        ("shop.example", "TXT", "v=spf1 -all"),
        ("www.shop.example", "CNAME", "shop.example"),
        ("www.shop.example", "A", "192.0.2.10"),
    ] {
        let seen = ask(name, kind);
        is_up(&seen);
        let answers = &seen.evidence.dns.as_ref().unwrap().answers;
        assert!(answers.iter().any(|one| one.contains(answer)), "{name} {kind}: {answers:?}");
    }
    // Its zone is too long for one datagram: the answer is truncated, and comes over TCP.
    let long = ask("long.shop.example", "TXT");
    is_up(&long);
    assert_eq!(long.evidence.dns.unwrap().transport, "tcp");
    fails(&ask("nothing.shop.example", "A"), &Reason::DnsNxdomain, Phase::Resolve);
    fails(&ask("mail.shop.example", "MX"), &Reason::DnsNoData, Phase::Resolve);
    fails(&ask("elsewhere.example", "A"), &Reason::DnsRefused, Phase::Resolve);
}

fn tls_question(address: SocketAddr) -> TlsQuestion {
    TlsQuestion::at(address.to_string().parse().unwrap())
}

fn look_http(question: HttpQuestion) -> Observation {
    look(Question::Http(Box::new(question)))
}
