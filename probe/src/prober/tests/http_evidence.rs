//! What is kept of a response that is not as expected, and what a check says that must fail.

use std::time::Duration;

use nines_shared::check::{HeaderExpect, HttpExpect, MustFail, Range, SpokenVersion, TextCondition, TlsExpect, Within};
use nines_shared::sample::{Judged, MAX_EVIDENCE_BODY_LEN, MAX_EVIDENCE_BYTES};

use super::targets::{self, response, response_with};
use super::*;

fn expecting(target: SocketAddr, change: impl FnOnce(&mut HttpExpect)) -> HttpQuestion {
    let mut question = get_from(target);
    change(&mut question.expect);
    question
}

/// Each expectation's verdict, and what was seen where it was not met.
fn judged(seen: &Observation) -> Vec<(&str, Judged, Option<&str>)> {
    let all = seen.evidence.expectations.iter();
    all.map(|one| (one.what.as_str(), one.verdict, one.seen.as_deref())).collect()
}

#[tokio::test]
async fn every_expectation_is_judged_and_the_first_that_fails_decides() {
    let target = targets::saying(response_with("200 OK", "x-a: b\r\n", br#"{"status": "bad", "n": 7}"#)).await;
    let seen = ask(expecting(target, |e| {
        e.headers.push(HeaderExpect { name: "x-a".into(), is: TextCondition::Equals("b".into()) });
        e.version = vec![SpokenVersion::Http11];
        e.body_lacks = vec!["bad".into(), "worse".into()];
        e.body_size = Some(Range { min: None, max: Some(10) });
        e.json = serde_json::from_str(r#"[{"path": "$.n", "at_least": 7}, {"path": "$.x"}]"#).unwrap();
        e.within = Within { total_ms: Some(LONG_MS), ..Within::default() };
    }))
    .await;
    assert_eq!(verdict(&seen), down(Reason::HttpBody, Phase::Transfer));
    assert_eq!(seen.detail.as_deref(), Some("expected: body lacks \"bad\"; it is there"));
    let all = [
        ("status is 2xx", Judged::Met, None),
        ("header x-a is \"b\"", Judged::Met, None),
        ("version is HTTP/1.1", Judged::Met, None),
        ("body lacks \"bad\"", Judged::Unmet, Some("it is there")),
        ("body lacks \"worse\"", Judged::Met, None),
        ("body has at most 10 bytes", Judged::Unmet, Some("it has 25")),
        ("json $.n is at least 7", Judged::Met, None),
        ("json $.x is there", Judged::Unmet, Some("there is no such node")),
        ("all takes at most 20s", Judged::Met, None),
    ];
    assert_eq!(judged(&seen), all);
    let response = seen.evidence.response.unwrap();
    assert_eq!((response.status, response.version.as_str()), (200, "HTTP/1.1"));
    assert_eq!(response.headers, [("content-length".into(), "25".into()), ("x-a".into(), "b".into())]);
    assert_eq!((response.body.as_deref(), response.truncated), (Some(r#"{"status": "bad", "n": 7}"#), false));
}

#[tokio::test]
async fn each_new_expectation_has_its_reason_and_its_phase() {
    let good = targets::saying(response("200 OK", "hello")).await;
    let old = targets::saying("HTTP/1.0 200 OK\r\n\r\nhello").await;
    let late = targets::late(Duration::from_millis(60), response("200 OK", "hello")).await;
    let size = |min, max| Some(Range { min, max });
    let json = |text: &str| serde_json::from_str(text).unwrap();
    let (body, transfer) = (down(Reason::HttpBody, Phase::Transfer), Phase::Transfer);
    let slow = down(Reason::Latency, Phase::FirstByte);
    let table: [(HttpQuestion, _); 13] = [
        (expecting(good, |e| e.version = vec![SpokenVersion::Http2, SpokenVersion::Http11]), UP),
        (expecting(old, |e| e.version = vec![SpokenVersion::Http11]), down(Reason::HttpVersion, Phase::FirstByte)),
        (expecting(good, |e| e.body_contains = vec!["he".into(), "lo".into()]), UP),
        (expecting(good, |e| e.body_contains = vec!["he".into(), "ha".into()]), body.clone()),
        (expecting(good, |e| e.body_lacks_match = Some("^h.l+o$".parse().unwrap())), body),
        (expecting(good, |e| e.body_size = size(Some(5), Some(5))), UP),
        (expecting(good, |e| e.body_size = size(Some(6), None)), down(Reason::BodySize, transfer)),
        (expecting(good, |e| e.body_size = size(None, Some(4))), down(Reason::BodySize, transfer)),
        (expecting(good, |e| e.json.push(json(r#"{"path": "$"}"#))), down(Reason::HttpJson, transfer)),
        (expecting(late, |e| e.within.first_byte_ms = Some(20)), slow.clone()),
        (expecting(late, |e| e.within.total_ms = Some(20)), slow),
        (expecting(good, |e| e.within.tls_ms = Some(1)), UP),
        (expecting(good, |e| e.certificate = Some(TlsExpect::default())), down(Reason::TlsBadCertificate, Phase::Tls)),
    ];
    for (question, wanted) in table {
        let seen = ask(question.clone()).await;
        assert_eq!(verdict(&seen), wanted, "{:?}: {seen:?}", question.expect);
    }
}

#[tokio::test]
async fn a_size_beyond_the_limit_is_decided_where_it_can_be() {
    let target = targets::endless(b"HTTP/1.1 200 OK\r\n\r\n").await;
    for (min, max, wanted) in [
        (None, Some(900), down(Reason::BodySize, Phase::Transfer)),
        (None, Some(1_000), down(Reason::BodySize, Phase::Transfer)),
        (Some(1_000), None, UP),
    ] {
        let mut question = expecting(target, |e| e.body_size = Some(Range { min, max }));
        question.max_body_bytes = 1_000;
        let seen = ask(question).await;
        assert_eq!(verdict(&seen), wanted, "{min:?} {max:?}: {seen:?}");
    }
}

#[tokio::test]
async fn what_a_failing_head_came_with_is_read_and_what_it_does_not_decide_is_said_so() {
    let page = "<h1>upstream timed out</h1>".to_owned() + &"ü".repeat(4_000);
    let target = targets::saying(response("502 Bad Gateway", &page)).await;
    let seen = ask(expecting(target, |e| {
        e.body_contains = vec!["timed out".into(), "Cart".into()];
        e.within.total_ms = Some(LONG_MS);
    }))
    .await;
    assert_eq!(verdict(&seen), down(Reason::HttpStatus, Phase::FirstByte));
    let verdicts: Vec<Judged> = seen.evidence.expectations.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Judged::Unmet, Judged::Met, Judged::Undecided, Judged::Undecided]);
    assert_eq!((seen.phases_us.transfer, seen.evidence.hops[0].status), (None, Some(502)));
    let response = seen.evidence.response.unwrap();
    let body = response.body.unwrap();
    assert!(body.starts_with("<h1>upstream timed out</h1>ü") && body.ends_with('ü'), "{body}");
    assert!((MAX_EVIDENCE_BODY_LEN - 1..=MAX_EVIDENCE_BODY_LEN).contains(&body.len()) && response.truncated);
}

#[tokio::test]
async fn a_body_that_is_slow_to_follow_a_failing_head_is_not_waited_for_long_nor_counted() {
    let target = targets::dripping(b"HTTP/1.1 500 Oops\r\n\r\nfirst").await;
    let started = Instant::now();
    let seen = ask(get_from(target)).await;
    assert_eq!(verdict(&seen), down(Reason::HttpStatus, Phase::FirstByte));
    let took = started.elapsed();
    assert!(Duration::from_secs(1) <= took && took < Duration::from_secs(8), "{took:?}");
    assert!(seen.duration_us < 1_000_000, "{seen:?}");
    let response = seen.evidence.response.unwrap();
    assert!(response.body.unwrap().starts_with("firstx") && response.truncated);
}

#[tokio::test]
async fn the_deadline_does_not_hide_what_the_head_already_said() {
    let target = targets::dripping(b"HTTP/1.1 500 Oops\r\nx-why: disk\r\n\r\n").await;
    let check = check(Question::Http(Box::new(get_from(target))), SHORT_MS);
    let seen = prober().run(&check, TRACE).await;
    assert_eq!(verdict(&seen), down(Reason::HttpStatus, Phase::FirstByte));
    let response = seen.evidence.response.unwrap();
    assert_eq!(response.headers, [("x-why".to_owned(), "disk".to_owned())]);
    assert!(response.body.unwrap().starts_with('x'));
}

#[tokio::test]
async fn a_body_that_never_ends_leaves_its_head_as_evidence() {
    let target = targets::dripping(b"HTTP/1.1 200 OK\r\nserver: s\r\n\r\n").await;
    let question = expecting(target, |e| e.body_contains = vec!["Cart".into()]);
    let seen = prober().run(&check(Question::Http(Box::new(question)), SHORT_MS), TRACE).await;
    assert_eq!(verdict(&seen), down(Reason::BodyTimeout, Phase::Transfer));
    let verdicts: Vec<Judged> = seen.evidence.expectations.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Judged::Met, Judged::Undecided]);
    let response = seen.evidence.response.unwrap();
    assert!(response.body.unwrap().starts_with('x') && response.truncated);
}

#[tokio::test]
async fn a_body_that_is_no_text_is_said_to_be_none() {
    let noise: &[u8] = b"\x89PNG\r\n\x1a\n\0\0";
    let seen = ask(get_from(targets::saying(response_with("404 No", "content-encoding: x\r\n", noise)).await)).await;
    let response = seen.evidence.response.unwrap();
    assert_eq!((response.body, response.encoding.as_deref()), (None, Some("x")));
    let seen = ask(get_from(targets::saying(response_with("404 No", "", noise)).await)).await;
    assert!(seen.evidence.response.unwrap().binary);
}

#[tokio::test]
async fn what_a_target_echoes_of_a_secret_is_hidden() {
    let basic = data_encoding::BASE64.encode(b"me:hunter2");
    let echo = format!("you sent Basic {basic}, that is hunter2, and hunter%32");
    let cut = format!("{}hunter2", "x".repeat(MAX_EVIDENCE_BODY_LEN - 3));
    let headers = "set-cookie: sid=abc; Path=/\r\nx-api-key: abc\r\nlocation: http://me:hunter2@shop/?token=abc\r\n\
                   www-authenticate: Digest nonce=\"abc\"\r\nx-echo: hunter2\r\n";
    for body in [echo, cut] {
        let target = targets::saying(response_with("500 Oops", headers, body.as_bytes())).await;
        let mut question = get(&format!("http://me:hunter2@{target}/"));
        question.expect.headers.push(HeaderExpect { name: "x-echo".into(), is: TextCondition::Equals("no".into()) });
        question.expect.headers.push(HeaderExpect { name: "x-api-key".into(), is: TextCondition::Absent });
        question.expect.body_lacks = vec!["hunter".into()];
        let seen = ask(question).await;
        let all = format!("{seen:?}");
        assert!(!all.contains("hunter2") && !all.contains(&basic) && !all.contains("abc"), "{all}");
        let response = seen.evidence.response.unwrap();
        assert!(!response.body.unwrap().ends_with("hun"));
        let header = |name: &str| response.headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(header("set-cookie"), "sid=[secret]");
        assert_eq!(header("www-authenticate"), "Digest [secret]");
        assert_eq!(header("location"), "http://[secret]@shop/?token=[secret]");
    }
}

#[tokio::test]
async fn inv_9_evidence_is_bounded_whatever_a_target_sends() {
    let headers: String = (0..90).map(|n| format!("x-{n}: {}\r\n", "\"".repeat(600))).collect();
    let target = targets::saying(response_with("500 Oops", &headers, "\\".repeat(5_000).as_bytes())).await;
    let seen = ask(expecting(target, |e| e.body_contains = vec!["\"".repeat(4_000); 64])).await;
    let json = serde_json::to_string(&seen.evidence).unwrap();
    assert!(json.len() <= MAX_EVIDENCE_BYTES, "{} bytes", json.len());
    let response = seen.evidence.response.unwrap();
    assert!(0 < response.headers_left_out && response.body.is_some());
}

#[tokio::test]
async fn what_passes_leaves_no_response_behind() {
    let seen = ask(get_from(targets::saying(response("200 OK", "hello")).await)).await;
    assert_eq!((seen.evidence.response, seen.evidence.expectations), (None, Vec::new()));
}

async fn must(must_fail: MustFail, question: HttpQuestion, timeout_ms: i64) -> Observation {
    let mut draft = draft(Question::Http(Box::new(question)), timeout_ms);
    draft.must_fail = Some(must_fail);
    prober().run(&Check::new(draft).unwrap(), TRACE).await
}

#[tokio::test]
async fn a_check_that_must_fail_is_up_when_it_does_for_the_right_reason() {
    let nobody = targets::nobody().await;
    let good = targets::saying(response("200 OK", "hello")).await;
    let bad = targets::saying(response("500 Oops", "")).await;
    let refused = || MustFail::With(vec![Reason::ConnectRefused, Reason::ConnectTimeout]);
    let success = down(Reason::UnexpectedSuccess, Phase::Transfer);
    for (must_fail, question, wanted) in [
        (refused(), get_from(nobody), UP),
        (MustFail::Anyhow, get_from(bad), UP),
        (refused(), get_from(bad), down(Reason::HttpStatus, Phase::FirstByte)),
        (refused(), get_from(good), success.clone()),
        (MustFail::Anyhow, get_from(good), success),
        // What the machine forbids says nothing about the target.
        (MustFail::Anyhow, get("http://10.0.0.1/"), ours(Reason::AddressForbidden, Phase::Resolve)),
    ] {
        let seen = must(must_fail.clone(), question, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{must_fail:?}: {seen:?}");
        assert_eq!(seen.detail.is_some(), seen.outcome != Outcome::Up);
    }
    let seen = must(MustFail::Anyhow, get_from(good), LONG_MS).await;
    assert_eq!(seen.evidence.response.map(|response| response.status), Some(200));
}

#[tokio::test]
async fn a_failure_that_must_be_is_not_tried_again_and_a_success_that_must_not_is() {
    let answers = vec![response("200 OK", ""), response("500 Oops", "")];
    let target = targets::turns(answers).await;
    let mut draft = draft(Question::Http(Box::new(get_from(target))), LONG_MS);
    (draft.must_fail, draft.retries) = (Some(MustFail::With(vec![Reason::HttpStatus])), 3);
    let seen = prober().run(&Check::new(draft).unwrap(), TRACE).await;
    assert_eq!((seen.outcome, seen.attempt), (Outcome::Up, 2));
}
