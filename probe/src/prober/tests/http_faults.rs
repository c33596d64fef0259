//! What a hostile HTTP/1 target can do: for each fault the outcome, the phase and the reason.

use std::time::Duration;

use super::targets::{self, response, response_with};
use super::*;

/// What the tables of faults say of each.
type Fault = (&'static str, SocketAddr, i64, (Outcome, Option<Reason>, Option<Phase>));

/// Holds each fault of `table` against what it must end in.
pub(super) async fn hold(table: Vec<Fault>, change: impl Fn(&mut HttpQuestion)) {
    for (fault, target, timeout_ms, wanted) in table {
        let started = Instant::now();
        let mut question = get_from(target);
        change(&mut question);
        let seen = prober().run(&check(Question::Http(Box::new(question)), timeout_ms), TRACE).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert_eq!(seen.detail.is_some(), seen.outcome != Outcome::Up, "{fault}");
        assert_eq!(seen.evidence.address, Some(target), "{fault}");
        let most = Duration::from_millis(timeout_ms.unsigned_abs()) + Duration::from_secs(5);
        assert!(started.elapsed() < most, "{fault}: {:?}", started.elapsed());
    }
}

fn head(reason: Reason) -> (Outcome, Option<Reason>, Option<Phase>) {
    down(reason, Phase::FirstByte)
}

fn body(reason: Reason) -> (Outcome, Option<Reason>, Option<Phase>) {
    down(reason, Phase::Transfer)
}

#[tokio::test]
async fn every_way_not_to_answer_has_its_reason_and_its_phase() {
    let (full, _listener, _queued) = targets::full_at("127.0.0.1:0").await;
    let refused = down(Reason::ConnectRefused, Phase::Connect);
    let table = vec![
        ("nobody listens", targets::nobody().await, LONG_MS, refused),
        ("the queue is full", full, SHORT_MS, down(Reason::ConnectTimeout, Phase::Connect)),
        ("silence", targets::silent().await, SHORT_MS, head(Reason::HttpTimeout)),
        ("reset after accept", targets::resetting(0, b"").await, LONG_MS, head(Reason::HttpClosed)),
        ("reset in the request", targets::resetting(1, b"").await, LONG_MS, head(Reason::HttpClosed)),
        (
            "reset in the head",
            targets::resetting(1, b"HTTP/1.1 200 OK\r\nx-a").await,
            LONG_MS,
            head(Reason::HttpClosed),
        ),
        (
            "reset in the body",
            targets::resetting(1, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await,
            LONG_MS,
            body(Reason::HttpClosed),
        ),
        ("end before the head", targets::saying("").await, LONG_MS, head(Reason::HttpClosed)),
        ("end in the head", targets::saying("HTTP/1.1 2").await, LONG_MS, head(Reason::HttpClosed)),
        (
            "end after the head's last field",
            targets::saying("HTTP/1.1 200 OK\r\na: b\r\n").await,
            LONG_MS,
            head(Reason::HttpClosed),
        ),
        (
            "end in the body",
            targets::saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await,
            LONG_MS,
            body(Reason::HttpClosed),
        ),
        (
            "end in a chunk",
            targets::saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nx").await,
            LONG_MS,
            body(Reason::HttpClosed),
        ),
        (
            "end after a chunk",
            targets::saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await,
            LONG_MS,
            body(Reason::HttpClosed),
        ),
        ("a dripping head", targets::dripping(b"HTTP/1.1 200 OK\r\nx: ").await, SHORT_MS, head(Reason::HttpTimeout)),
        ("a dripping body", targets::dripping(b"HTTP/1.1 200 OK\r\n\r\n").await, SHORT_MS, body(Reason::BodyTimeout)),
        ("another status", targets::saying(response("500 Oops", "")).await, LONG_MS, head(Reason::HttpStatus)),
        (
            "a redirect to nowhere",
            targets::saying(response("302 Found", "")).await,
            LONG_MS,
            head(Reason::RedirectInvalid),
        ),
    ];
    hold(table, |_| {}).await;
}

#[tokio::test]
async fn every_way_to_break_the_rules_of_a_head_is_malformed() {
    for bytes in [
        "220 mail.example ESMTP\r\n",
        "<html>an answer of HTTP/0.9</html>",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.7 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nn\0: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    ] {
        hold(vec![("a malformed head", targets::saying(bytes).await, LONG_MS, head(Reason::HttpMalformed))], |_| {})
            .await;
    }
    hold(vec![("noise", targets::saying(vec![0xff; 300]).await, LONG_MS, head(Reason::HttpMalformed))], |_| {}).await;
}

#[tokio::test]
async fn every_way_to_break_the_rules_of_chunks_is_malformed() {
    let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(100_000));
    for chunks in
        ["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n", "\r\n", "1\r\nxyz\r\n", "1 1\r\nx\r\n0\r\n\r\n", &long_extension]
    {
        let target = targets::saying(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")).await;
        hold(vec![("broken chunks", target, LONG_MS, body(Reason::HttpMalformed))], |_| {}).await;
    }
}

#[tokio::test]
async fn what_is_odd_but_within_the_rules_is_taken() {
    for bytes in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more than that",
        "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 7\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\ntrailer: t\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: \u{fc}\r\n\r\n",
    ] {
        hold(vec![("odd", targets::saying(bytes).await, LONG_MS, UP)], |_| {}).await;
    }
}

#[tokio::test]
async fn a_request_that_nobody_reads_ends_with_the_deadline() {
    let table = vec![
        ("nobody reads", targets::silent().await, SHORT_MS, head(Reason::HttpTimeout)),
        ("reset while we write", targets::resetting(1_000, b"").await, LONG_MS, head(Reason::HttpClosed)),
    ];
    hold(table, |question| {
        question.method = "POST".to_owned();
        question.body = Some("x".repeat(8 << 20));
    })
    .await;
}

/// What `question` came to, and the most memory that it took at a time. Its target must run elsewhere.
pub(super) fn measured(question: HttpQuestion, timeout_ms: i64) -> (Observation, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (prober, check) = (prober(), check(Question::Http(Box::new(question)), timeout_ms));
    let run = || runtime.block_on(prober.run(&check, TRACE));
    let mut seen = None;
    let used = allocation_counter::measure(|| seen = Some(run()));
    (seen.unwrap(), used.bytes_max)
}

/// A runtime of its own, for targets whose memory is not ours.
pub(super) fn elsewhere() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn inv_9_no_flood_takes_more_than_its_limit() {
    let elsewhere = elsewhere();
    let many: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let huge = format!("x: {}\r\n", "y".repeat(1 << 20));
    let faults = elsewhere.block_on(async {
        let too_large = || head(Reason::HttpHeadersTooLarge);
        vec![
            ("ten thousand fields", targets::saying(response_with("200 OK", &many, b"")).await, LONG_MS, too_large()),
            ("a field of a MiB", targets::saying(response_with("200 OK", &huge, b"")).await, LONG_MS, too_large()),
            ("a head without end", targets::endless(b"HTTP/1.1 200 OK\r\nx: ").await, LONG_MS, too_large()),
            ("a status line without end", targets::endless(b"HTTP/1.1 200 ").await, LONG_MS, too_large()),
            ("a body without end", targets::endless(b"HTTP/1.1 200 OK\r\n\r\n").await, LONG_MS, UP),
            (
                "early answers without end",
                targets::repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n").await,
                SHORT_MS,
                head(Reason::HttpTimeout),
            ),
            (
                "chunks of nothing much",
                targets::repeating(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n").await,
                LONG_MS,
                UP,
            ),
            (
                "trailers without end",
                targets::repeating(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n").await,
                LONG_MS,
                body(Reason::HttpMalformed),
            ),
        ]
    });
    for (fault, target, timeout_ms, wanted) in faults {
        let mut question = get_from(target);
        question.max_body_bytes = 20_000;
        let (seen, bytes) = measured(question, timeout_ms);
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert!(bytes < 2 << 20, "{fault}: {bytes} bytes");
    }
}

#[test]
fn a_passing_plain_check_allocates_no_more_than_it_did() {
    let elsewhere = elsewhere();
    let target = elsewhere
        .block_on(targets::saying("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (prober, check) = (prober().terse(), check(Question::Http(Box::new(get_from(target))), LONG_MS));
    let once = || assert_eq!(verdict(&runtime.block_on(prober.run(&check, TRACE))), UP);
    once();
    let used = allocation_counter::measure(once);
    // As many as when this was written; fewer are welcome.
    assert!(used.count_total <= 30, "{} allocations of {} bytes", used.count_total, used.bytes_total);
}
