//! The web side over a real listener: what strangers, readers and programs get.

mod actions;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nines_shared::sample::{Outcome, Phases, Reason, Sample, SampleKind};
use nines_shared::time::{Clock, Span, Timestamp};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::places::Places;
use crate::report::life::{self, Drafted, Month, Wish};
use crate::running::Running;
use crate::store::reports::Restated;
use crate::store::{Store, definitions, samples};

/// 2026-11-22T13:00:00Z.
const NOW: Timestamp = Timestamp::from_ms(1_795_352_400_000);
const HOUR: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const FLEET: &str = r#"
environment = "<b>test</b>"
[aggregator]
probes = "127.0.0.1:0"
web = "127.0.0.1:0"
database = "nines.db"
[[region]]
id = "eu-west"
name = "Ireland"
[[region]]
id = "us-east"
name = "<img src=x onerror=alert(1)>"
[[customer]]
id = "acme"
name = "Acme & <i>Sons</i>"
timezone = "Europe/Berlin"
[[service]]
id = "shop"
name = "<script>alert('shop')</script>"
customer = "acme"
since = "2026-11-21T13:00:00Z"
slo = { availability = 99.9, window = "30d" }
[[check]]
id = "shop-home"
service = "shop"
interval = "1m"
regions = ["eu-west", "us-east"]
http = { url = "https://shop.example/?a=<b>&c=\"d\"" }
"#;

/// A web side that serves until it is dropped.
struct Served {
    running: Running,
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

async fn serve() -> Served {
    serve_with(FLEET, TempDir::new().unwrap()).await
}

async fn serve_with(file: &str, folder: TempDir) -> Served {
    let (fleet, _warnings) = crate::fleet_file::parse(file, Path::new("nines.toml")).unwrap();
    let store = Store::open(&folder.path().join("nines.db")).unwrap();
    let fleet = Arc::new(fleet);
    let loaded = fleet.clone();
    store.write(move |tx| definitions::load(tx, &loaded, NOW.plus_ms(-48 * HOUR))).await.unwrap();
    let running = Running {
        store,
        fleet: watch::Sender::new(fleet).subscribe(),
        clock: Clock::manual(NOW),
        arrivals: Arc::new(watch::Sender::new(0)),
        news: Arc::new(watch::Sender::new(0)),
        counters: Arc::default(),
        stop: CancellationToken::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(super::run(listener, running.clone()));
    Served { running, address, serving, _folder: folder }
}

impl Served {
    /// Takes the slots of both regions in `span`, all with one outcome.
    async fn take(&self, span: Span, outcome: Outcome) {
        let fleet = self.running.fleet.borrow().clone();
        let check = &fleet.checks[0];
        let mut all = Vec::new();
        for region in &check.regions {
            let slots = check.cadence(region).unwrap().slots_in(span);
            all.extend(slots.map(|slot| sample(check.id.as_str(), region.as_str(), slot, outcome)));
        }
        self.running.store.write(move |tx| samples::insert(tx, &all, NOW)).await.unwrap();
        // Figures are kept for a second.
        self.running.clock.set(self.running.clock.now().plus_ms(1_000));
    }

    async fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        Answer::of(&bytes)
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
    }

    async fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path).await;
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body))
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

fn sample(check: &str, region: &str, at: Timestamp, outcome: Outcome) -> Sample {
    Sample {
        check: check.parse().unwrap(),
        region: region.parse().unwrap(),
        probe: None,
        kind: SampleKind::Planned,
        scheduled_at: at,
        started_at: at,
        outcome,
        reason: (outcome == Outcome::Down).then_some(Reason::ConnectRefused),
        phase: None,
        detail: (outcome == Outcome::Down).then(|| "</td><script>alert('detail')</script>".to_owned()),
        duration_us: Some(12_000),
        phases_us: Phases::default(),
        attempt: 1,
        trace_id: None,
        evidence: None,
    }
}

fn last(hours: i64) -> Span {
    Span::new(NOW.plus_ms(-hours * HOUR), NOW)
}

#[tokio::test]
async fn inv_5_a_page_without_samples_says_no_data_and_never_a_hundred_per_cent() {
    let served = serve().await;
    for path in ["/", "/service/shop"] {
        let page = served.get(path).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("no data"), "{path} says that there is no data");
        assert!(!page.body.contains(">100\u{202f}%<"), "{path} shows no figure");
    }
    let services = served.json("/api/v1/services").await;
    assert!(services["services"][0]["availability_ppm"].is_null());
    assert_eq!(services["services"][0]["verdict"], "unknown");
    assert!(!served.get("/metrics").await.body.contains("sla_uptime_ratio{"));
}

#[tokio::test]
async fn a_gap_is_shown_as_a_gap_and_the_figures_carry_their_coverage() {
    let served = serve().await;
    served.take(Span::new(NOW.plus_ms(-24 * HOUR), NOW.plus_ms(-12 * HOUR)), Outcome::Up).await;
    served.take(last(6), Outcome::Up).await;
    let page = served.get("/").await.body;
    assert!(page.contains("fill-unknown"), "the gap is hatched");
    assert!(page.contains("coverage 7"), "about three quarters are covered: {page}");
    assert!(page.contains("between 7"), "the worst case takes the gap for down");
    let shop = &served.json("/api/v1/services").await["services"][0];
    let accounts = &shop["accounts"];
    let spent: i64 = ["up_ms", "degraded_ms", "down_ms", "unknown_ms", "excluded_ms"]
        .iter()
        .map(|key| accounts[*key].as_i64().unwrap())
        .sum();
    assert_eq!(spent, shop["to"].as_i64().unwrap() - shop["from"].as_i64().unwrap(), "INV-4 holds on the wire");
}

#[tokio::test]
async fn an_outage_is_told_with_its_reason_and_its_bounds() {
    let served = serve().await;
    served.take(Span::new(NOW.plus_ms(-24 * HOUR), NOW.plus_ms(-HOUR)), Outcome::Up).await;
    served.take(last(1), Outcome::Down).await;
    let index = served.get("/").await.body;
    assert!(index.contains("is down."), "{index}");
    let page = served.get("/service/shop").await.body;
    assert!(page.contains("Connect refused"), "{page}");
    assert!(page.contains("<td data-label=\"To\">now</td>"), "the outage goes on");
    let shop = served.json("/api/v1/services/shop").await;
    let outage = &shop["month"]["outages"][0];
    let length = outage["to"].as_i64().unwrap() - outage["from"].as_i64().unwrap();
    assert!(outage["at_least_ms"].as_i64().unwrap() <= length && length <= outage["at_most_ms"].as_i64().unwrap());
    assert!(shop["slo"]["remaining_ms"].as_i64().unwrap() < 0, "an hour is more than 99.9 % of a day allow");
}

#[tokio::test]
async fn whatever_targets_and_operators_write_stays_text() {
    let served = serve().await;
    served.take(last(1), Outcome::Down).await;
    for path in ["/", "/service/shop", "/nothing/<script>alert('path')</script>", "/service/<script>"] {
        let page = served.get(&path.replace('<', "%3C").replace('>', "%3E")).await.body;
        for hostile in ["<script>", "<img", "<i>Sons", "<b>test"] {
            assert!(!page.contains(hostile), "{path} holds {hostile}");
        }
        assert!(!page.contains(" style=") && !page.contains(" onclick="), "{path} has nothing inline");
    }
}

#[tokio::test]
async fn every_answer_bears_the_strict_headers() {
    let served = serve().await;
    for path in ["/", "/api/v1/services", "/metrics", "/healthz", "/nothing", "/style.css", "/badge/shop.svg"] {
        let head = served.get(path).await.head;
        for wanted in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: ",
        ] {
            assert!(head.contains(wanted), "{path} lacks {wanted}: {head}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_nothing_can_be_changed() {
    let served = serve().await;
    for path in [
        "/service/nothing",
        "/service/NOT%20AN%20ID",
        "/incident/nothing",
        "/badge/nothing.svg",
        "/badge/shop.png",
        "/report/acme/2026-13",
        "/report/nobody/2026-10",
        "/api/v1/services/nothing",
        "/nothing",
    ] {
        assert_eq!(served.get(path).await.status, 404, "{path}");
    }
    let post = served.ask("POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn a_months_report_comes_with_only_its_own_style_let_through() {
    let served = serve().await;
    served.take(last(24), Outcome::Up).await;
    let page = served.get("/report/acme/2026-11").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.head.contains("content-security-policy: default-src 'none'; img-src data:; style-src 'sha256-"),
        "{}",
        page.head
    );
    assert!(!page.body.contains(" style=") && !page.body.contains("<script"), "{}", page.body);
    let report = served.json("/report/acme/2026-11.json").await;
    assert_eq!(report["schema"], "nines.report/1");
    assert_eq!(report["services"][0]["availability_ppm"], 1_000_000);
}

#[tokio::test]
async fn a_months_report_comes_in_every_format_by_its_ending() {
    let served = serve().await;
    served.take(last(24), Outcome::Up).await;
    for (ending, kind, part) in [
        ("csv", "text/csv", "availability_ppm"),
        ("days.csv", "text/csv", "\r\nshop,2026-11-"),
        ("md", "text/markdown", "| Service |"),
        ("pdf", "application/pdf", "%PDF-1.7"),
    ] {
        let file = served.get(&format!("/report/acme/2026-11.{ending}")).await;
        assert_eq!(file.status, 200, "{ending}");
        assert!(file.head.contains(&format!("content-type: {kind}")), "{}", file.head);
        assert!(file.body.contains(part), "{ending}");
    }
    for ending in ["docx", "nothing.csv", "days.pdf"] {
        assert_eq!(served.get(&format!("/report/acme/2026-11.{ending}")).await.status, 404, "{ending}");
    }
}

#[tokio::test]
async fn a_report_says_beside_it_what_is_due_and_which_revisions_there_are() {
    let served = serve().await;
    served.take(last(24), Outcome::Up).await;
    let keep = async |wish: Wish, at: Timestamp| {
        let (environment, customer, month) = ("test".to_owned(), "acme".parse().unwrap(), "2026-11".to_owned());
        let month = Month { environment, customer, month };
        let made = served.running.store.read(move |conn| Ok(life::draft(conn, &month, &wish, None, at))).await;
        let Drafted::Ready(draft) = made.unwrap().unwrap() else { panic!("nothing was made") };
        served.running.store.write(move |tx| life::keep(tx, &draft)).await.unwrap();
    };
    let page = async |name: &str| served.get(&format!("/report/acme/{name}")).await.body;
    let fresh = page("2026-11").await;
    assert!(fresh.contains("/report/acme/2026-11.pdf") && !fresh.contains("Revisions"), "{fresh}");
    let later = NOW.plus_ms(20 * 24 * HOUR);
    served.running.clock.set(later);
    keep(Wish::FreezeByHand, later).await;
    assert!(!page("2026-11").await.contains("is due"));

    served.take(Span::new(NOW, NOW.plus_ms(HOUR)), Outcome::Down).await;
    let due = page("2026-11").await;
    assert!(due.contains("A restatement of this report is due: 120 samples arrived late."), "{due}");
    keep(Wish::Restate(Restated { reason: "late".to_owned(), by: "ann".to_owned() }), later).await;
    let (first, second) = (page("2026-11-r1").await, page("2026-11").await);
    assert!(
        first.contains("This revision was replaced: revision 2 stands.")
            && first.contains("/report/acme/2026-11-r1.pdf")
    );
    assert!(
        second.contains("<a href=\"/report/acme/2026-11-r1\">1</a> <b>2</b>") && !second.contains("is due"),
        "{second}"
    );
    let frozen = served.get("/report/acme/2026-11-r1.json").await.body;
    assert!(!frozen.contains("aside") && frozen.contains("\"revision\": 1"));
    assert_eq!(served.get("/report/acme/2026-11-r3").await.status, 404);
}

#[tokio::test]
async fn inv_9_a_head_beyond_the_limit_is_refused() {
    let served = serve().await;
    let cookie = "x".repeat(super::door::MAX_HEAD_BYTES);
    let answer = served.ask(&format!("GET / HTTP/1.1\r\nhost: test\r\ncookie: {cookie}\r\n\r\n")).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn inv_9_an_address_that_has_its_share_of_connections_is_turned_away_and_counted() {
    let served = serve().await;
    let (places, running) = (Places::new(8, 2), served.running.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        super::door::serve(listener, axum::Router::new(), &places, &running).await;
    });
    let _storm = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut one_more = TcpStream::connect(address).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, one_more.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_or(0), 0);
    assert_eq!(served.running.counters.people_turned_away.get(), 1);
    serving.abort();
}

#[tokio::test]
async fn health_is_the_process_and_readiness_is_its_work() {
    let served = serve().await;
    assert_eq!(served.get("/healthz").await.body, "ok\n");
    let answer = served.get("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "the evaluator has not ticked yet\n"));
    served.running.counters.ticks.add(1);
    let ready = async {
        while served.get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("a tick makes it ready");
}

#[tokio::test]
async fn metrics_are_valid_text_and_say_what_the_page_says() {
    let served = serve().await;
    served.take(last(24), Outcome::Up).await;
    served.running.counters.samples_stored.add(7);
    let text = served.get("/metrics").await.body;
    let mut families = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(rest.split(' ').next().unwrap().to_owned()), "{rest} is declared once");
        } else if !line.starts_with("# HELP ") {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(families.contains(name), "{line} follows its declaration");
            line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        }
    }
    assert!(text.contains("results_ingested_total 7"), "{text}");
    assert!(text.contains(r#"service_state{service="shop",state="up"} 1"#), "{text}");
    assert!(text.contains(r#"sla_uptime_ratio{customer="acme",service="shop",window="24h"} 1.000000"#), "{text}");
}

#[tokio::test]
async fn a_crowd_costs_what_one_reader_costs() {
    let served = serve().await;
    served.take(last(24), Outcome::Up).await;
    let shop = "shop".parse().unwrap();
    let cache = super::figures::Cache::default();
    let now = served.running.clock.now();
    let ask = || cache.figures(&served.running.store, &shop, super::figures::DAY_MS, now);
    let (one, other) = tokio::join!(ask(), ask());
    assert!(Arc::ptr_eq(&one.unwrap().unwrap(), &other.unwrap().unwrap()), "both got the same figures");
}

#[tokio::test]
async fn an_open_page_is_told_of_news_once_a_second_and_let_go_at_the_end() {
    let served = serve().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut got = String::new();
    read_until(&mut stream, &mut got, "retry:").await;
    assert!(got.contains("text/event-stream"), "{got}");
    for _ in 0..100 {
        served.running.news.send_modify(|count| *count += 1);
    }
    read_until(&mut stream, &mut got, "event: change").await;
    assert_eq!(got.matches("event: change").count(), 1, "a burst is one event");
    served.running.stop.cancel();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the stream ends").unwrap();
    let ended = tokio::time::timeout(PATIENCE, served.serving).await.expect("the web side ends");
    ended.unwrap().unwrap();
}

async fn read_until(stream: &mut TcpStream, got: &mut String, wanted: &str) {
    let mut buffer = [0; 4_096];
    while !got.contains(wanted) {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect(wanted).unwrap();
        assert_ne!(read, 0, "the stream ended before {wanted}");
        got.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}
