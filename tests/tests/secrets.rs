//! A secret reaches the probes that need it, and nothing else that anybody can read: real processes that log all they
//! can, a target that sends everything back, and a search through all that is left.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use data_encoding::{BASE64, BASE64URL};
use nines_tests::fleet::{Fleet, REGIONS, Seat, Seats};
use nines_tests::sink::{SECRET, Sink};
use nines_tests::tls_target;
use nines_tests::wait::until;
use rcgen::{CertificateParams, KeyPair};

const TOKEN: &str = "tok/Vq9+zL4mW8xR2n==";
const PASSWORD: &str = "pass \"Kj7&/+tU5eB3<oQ";
const API_KEY: &str = "key-hT6yP1sD9fG4wZ0c";
const OF_PROXY: &str = "proxy?Nb8%vC5=xM2aL7k";
const OF_CHANNEL: &str = "T00/B00/uE3rI8oY1pA6sS5d";
const OF_HEARTBEAT: &str = "ping-Wm4qX7jH2kF9gB5n";

/// A target that answers 500 and sends back all that it was asked, in several disguises; and what it was asked.
fn echo() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(String::new())));
    let hearing = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let hearing = Arc::clone(&hearing);
            std::thread::spawn(move || {
                let (mut head, mut chunk) = (Vec::new(), [0; 1024]);
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(read) if read != 0 => head.extend_from_slice(&chunk[..read]),
                        _ => return,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let said: Vec<&str> =
                    head.lines().filter_map(|line| line.split_once(": ")).map(|(_, value)| value).collect();
                let encoded: Vec<String> = said.iter().map(|value| BASE64.encode(value.as_bytes())).collect();
                let body = format!("{head}\n{}\n{}", percent(&head), encoded.join("\n"));
                hearing.lock().unwrap().push_str(&head);
                let fields: String = said.iter().enumerate().fold(String::new(), |mut fields, (n, value)| {
                    write!(fields, "x-said-{n}: {value}\r\n").unwrap();
                    fields
                });
                let _gone = write!(
                    stream,
                    "HTTP/1.1 500 {}\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    said.join(" "),
                    body.len()
                );
            });
        }
    });
    (address, heard)
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02X}").unwrap();
        out
    })
}

/// What of `secret` would give it away, in whatever form: as it is, as JSON and HTML write it, percent-encoded in two
/// ways, and in base64 wherever in a longer text it stands.
fn forms(secret: &str) -> Vec<String> {
    let sparing = secret.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(char::from(b)),
            b => write!(out, "%{b:02X}").unwrap(),
        }
        out
    });
    let json = serde_json::to_string(secret).unwrap();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let numbered = secret.replace('&', "&#38;").replace('<', "&#60;").replace('"', "&#34;");
    let mut forms =
        vec![secret.to_owned(), json[1..json.len() - 1].to_owned(), html, numbered, percent(secret), sparing];
    for before in 0..3 {
        // What shares a group of four with its neighbours is left out.
        let (skip, shifted) = ([0, 2, 3][before], [&b"..."[..before], secret.as_bytes()].concat());
        for encoding in [&BASE64, &BASE64URL] {
            let encoded = encoding.encode(&shifted);
            let whole = encoded.len() - if shifted.len() % 3 == 0 { 0 } else { 4 };
            forms.push(encoded[skip..whole].to_owned());
        }
    }
    forms
}

/// All that must not be found, each with its name.
struct Hunted(Vec<(&'static str, Vec<String>)>);

impl Hunted {
    /// Which of them are in `bytes`.
    fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        // All forms are ASCII, and what is not text breaks none of them.
        let text = String::from_utf8_lossy(bytes);
        let is_in = |form: &String| text.contains(form.as_str());
        self.0.iter().filter(|(_, forms)| forms.iter().any(is_in)).map(|(name, _)| *name).collect()
    }

    fn none_in(&self, place: &str, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "{place} is there");
        assert_eq!(self.found_in(bytes), Vec::<&str>::new(), "in {place}");
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The socket that commands speak over is no file.
        if path.is_dir() {
            files_below(&path, found)
        } else if path.is_file() {
            found.push(path)
        }
    }
}

/// The checks that name secrets, all of one region, and one that names none.
fn checks(echo: SocketAddr, tls: SocketAddr) -> String {
    let alone = REGIONS[0].0;
    let check = |id: &str, keys: &str| {
        format!(
            "\n[[check]]\nid = \"{id}\"\nservice = \"shop\"\ninterval = \"1s\"\ntimeout = \"900ms\"\nregions = [\"{alone}\"]\nhttp = {{ {keys} }}\n"
        )
    };
    let mut toml = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n".to_owned();
    toml += &check("bearer", &format!("url = \"http://{echo}/a\", bearer = {{ file = \"token\" }}"));
    let api_key = "headers = { \"x-api-key\" = { file = \"api-key\" } }";
    let basic = "basic_auth = { user = \"nines\", password = { env = \"SHOP_PASSWORD\" } }";
    toml += &check("basic", &format!("url = \"http://{echo}/b\", {api_key}, {basic}"));
    let proxy =
        format!("proxy = {{ url = \"http://{echo}\", user = \"nines\", password = {{ file = \"of-proxy\" }} }}");
    toml += &check("proxied", &format!("url = \"http://shop.example/c\", {proxy}"));
    let shown = "client_certificate = { certificate = { file = \"client.pem\" }, key = { file = \"client.key\" } }";
    toml += &check("shown", &format!("url = \"https://{tls}/\", ca = {{ file = \"ca.pem\" }}, {shown}"));
    toml += &format!(
        "\n[[check]]\nid = \"open\"\nservice = \"shop\"\ninterval = \"1s\"\ntimeout = \"900ms\"\nhttp = {{ url = \"http://{echo}/d\" }}\n\
         \n[[channel]]\nid = \"chat\"\nslack = {{ url = {{ file = \"of-channel\" }} }}\n"
    );
    toml
}

/// A fleet of two regions that logs all it can, one of which asks with secrets and is told them back.
struct Scene {
    fleet: Fleet,
    sink: Sink,
    hunted: Hunted,
    /// Where the secrets are meant to lie.
    homes: Vec<PathBuf>,
    heard: Arc<Mutex<String>>,
}

impl Scene {
    fn start() -> Self {
        let (echo, heard) = echo();
        let (tls, sink) = (tls_target::start(), Sink::start());
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["nines.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let key_pem = key.serialize_pem();
        let mut seats = Seats::on_loopback(2);
        let environment = vec![
            ("NINES_LOG", "trace".to_owned()),
            ("SHOP_PASSWORD", PASSWORD.to_owned()),
            ("NINES_HEARTBEAT", format!("http://{echo}/{OF_HEARTBEAT}")),
        ];
        seats.aggregator = Seat { environment, ..Seat::default() };
        let settings = "heartbeat = { url = { env = \"NINES_HEARTBEAT\" }, every = \"10s\" }\n";
        let plain = "\n[[service]]\nid = \"shop\"\ncustomer = \"acme\"\n";
        let mut fleet = Fleet::seated_with(seats, plain, &sink, settings);
        let of_channel = format!("http://{echo}/{OF_CHANNEL}");
        let secrets = [
            ("token", TOKEN),
            ("api-key", API_KEY),
            ("of-proxy", OF_PROXY),
            ("of-channel", &of_channel),
            ("client.key", &key_pem),
        ];
        for (file, secret) in secrets {
            std::fs::write(fleet.path(file), secret).unwrap();
        }
        std::fs::write(fleet.path("client.pem"), certificate.pem()).unwrap();
        std::fs::write(fleet.path("ca.pem"), &tls.ca_pem).unwrap();
        fleet.write_config(&checks(echo, tls.address), &sink);
        fleet.aggregator().signal(rustix::process::Signal::HUP);
        (0..2).for_each(|probe| fleet.start_probe_logging(probe, "trace"));
        let assignment = fleet.probe_state(0).join("assignment.json");
        let homes = secrets.iter().map(|(file, _)| fleet.path(file)).chain([assignment]).collect();
        Self { hunted: hunted(&key_pem), fleet, sink, homes, heard }
    }

    /// The ids of the outages, once every check has said what it has to say.
    fn until_all_is_told(&self) -> Vec<String> {
        for check in ["bearer", "basic", "proxied"] {
            until("what fails is stored", || {
                let of_check = |sample: &serde_json::Value| sample["check"] == check && sample["outcome"] == "down";
                self.fleet.export().iter().any(of_check).then_some(())
            });
        }
        let outages = until("it is told", || {
            let outages = self.fleet.incidents_of("outage");
            (!outages.is_empty() && !self.sink.arrived().is_empty()).then_some(outages)
        });
        let seen = |what: &str, wanted: fn(&serde_json::Value) -> bool| {
            until(what, || self.fleet.export().iter().any(wanted).then_some(()));
        };
        seen("a certificate is shown", |sample| sample["check"] == "shown" && sample["outcome"] == "up");
        seen("the other region looks too", |sample| sample["region"] == REGIONS[1].0);
        outages.iter().map(|incident| incident["id"].as_str().unwrap().to_owned()).collect()
    }

    /// What commands print.
    fn printed(&self, outages: &[String]) -> Vec<(String, String)> {
        let mut commands: Vec<Vec<&str>> = vec![
            vec!["export"],
            vec!["config", "check"],
            vec!["probe", "list", "--json"],
            vec!["status", "--json"],
            vec!["incident", "list", "--json"],
            vec!["report", "--from", "-1h"],
            vec!["report", "--from", "-1h", "--format", "html"],
            vec!["report", "--from", "-1h", "--format", "md"],
            vec!["backup", "copy.db"],
        ];
        for outage in outages {
            commands.extend([vec!["incident", "show", outage], vec!["incident", "show", outage, "--json"]]);
        }
        let run = |arguments: Vec<&str>| (format!("nines {}", arguments.join(" ")), self.fleet.run(&arguments));
        let mut printed: Vec<_> = commands.into_iter().map(run).collect();
        // It fails, since its receiver does.
        let tried = self.fleet.nines(&["channel", "test", "chat", "--log", "trace"]).output().unwrap();
        printed
            .push(("nines channel test".to_owned(), String::from_utf8([tried.stdout, tried.stderr].concat()).unwrap()));
        printed
    }

    /// Ends every process; returns what each has logged.
    fn logs(&mut self) -> Vec<(String, String)> {
        let mut logs = Vec::new();
        for probe in 0..2 {
            logs.push((format!("the log of probe {probe}"), self.fleet.take_probe(probe).terminate().1.join("\n")));
        }
        logs.push(("the server's log".to_owned(), self.fleet.take_aggregator().terminate().1.join("\n")));
        logs
    }
}

fn hunted(key_pem: &str) -> Hunted {
    // Any of its lines would be half of it.
    let of_key: Vec<String> = key_pem.lines().filter(|line| 40 < line.len()).flat_map(forms).collect();
    assert!(!of_key.is_empty());
    Hunted(vec![
        ("the token", forms(TOKEN)),
        ("the password", forms(PASSWORD)),
        ("the key of the API", forms(API_KEY)),
        ("the proxy's password", forms(OF_PROXY)),
        ("the client's key", of_key),
        ("the channel's address", forms(OF_CHANNEL)),
        ("the heartbeat's address", forms(OF_HEARTBEAT)),
        ("the webhook's secret", forms(SECRET)),
    ])
}

#[test]
fn a_secret_is_found_with_the_probes_that_need_it_and_nowhere_else() {
    let mut scene = Scene::start();
    let outages = scene.until_all_is_told();
    // They were sent, and the search finds them where they are.
    let printed = scene.printed(&outages);
    let heard = scene.hunted.found_in(scene.heard.lock().unwrap().as_bytes());
    let sent = ["the token", "the password", "the key of the API", "the proxy's password"];
    assert!(sent.iter().all(|name| heard.contains(name)), "{heard:?}");
    assert!(heard.contains(&"the channel's address") && heard.contains(&"the heartbeat's address"), "{heard:?}");
    let assigned = |probe: usize| std::fs::read(scene.fleet.probe_state(probe).join("assignment.json")).unwrap();
    assert_eq!(
        scene.hunted.found_in(&assigned(0)),
        [&sent[..], &["the client's key"]].concat(),
        "of the region that asks"
    );
    scene.hunted.none_in("the assignment of a region that does not ask", &assigned(1));

    for (command, text) in &printed {
        scene.hunted.none_in(command, text.as_bytes());
    }
    let shown = |(_, text): &(String, String)| text.contains("[secret]");
    assert!(printed.iter().any(shown), "what the target sent back is kept, without them");
    let fixed = ["/", "/service/shop", "/metrics", "/api/v1/services", "/api/v1/services/shop", "/api/v1/incidents"];
    let pages = fixed.map(ToOwned::to_owned).into_iter().chain(["/api/v1/probes".to_owned()]);
    for path in pages.chain(outages.iter().map(|id| format!("/incident/{id}"))) {
        let page = scene.fleet.get(&path).unwrap();
        assert_eq!(page.status, 200, "{path}");
        scene.hunted.none_in(&path, page.body.as_bytes());
    }
    assert!(!scene.sink.arrived().is_empty());
    for alert in scene.sink.arrived() {
        scene.hunted.none_in("an alert", alert.body.to_string().as_bytes());
    }

    let logs = scene.logs();
    assert!(logs.iter().any(|(_, log)| log.contains("\"level\":\"DEBUG\"")), "they log more than they usually do");
    for (whose, log) in &logs {
        scene.hunted.none_in(whose, log.as_bytes());
    }
    let mut files = Vec::new();
    files_below(&scene.fleet.path(""), &mut files);
    assert!(["nines.db", "copy.db"].iter().all(|file| files.contains(&scene.fleet.path(file))), "{files:?}");
    for file in files.iter().filter(|file| !scene.homes.contains(file)) {
        let found = scene.hunted.found_in(&std::fs::read(file).unwrap());
        assert_eq!(found, Vec::<&str>::new(), "in {}", file.display());
    }
}
