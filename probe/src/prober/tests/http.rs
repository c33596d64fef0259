//! HTTP checks against good and hostile targets.

use std::convert::Infallible;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nines_shared::check::{HeaderExpect, HttpExpect, HttpVersion, JsonExpect, TextCondition};

use super::targets::{self, response, response_with};
use super::*;

#[tokio::test]
async fn a_response_that_is_as_expected_is_up_with_its_phases_and_its_hop() {
    let target = targets::saying(response("200 OK", "hello")).await;
    let seen = ask(get(&format!("http://user:secret@{target}/a?b"))).await;
    assert_eq!(verdict(&seen), UP);
    let hop = &seen.evidence.hops[0];
    assert_eq!(hop.url, format!("http://{target}/a?b"));
    assert_eq!((hop.status, hop.version.as_deref()), (Some(200), Some("HTTP/1.1")));
    assert_eq!(hop.phases_us, seen.phases_us);
    assert_eq!((seen.phases_us.resolve, seen.phases_us.tls), (None, None));
    let sum: u64 = Phase::ALL.iter().filter_map(|&phase| seen.phases_us.get(phase)).sum();
    assert!(0 < sum && sum <= seen.duration_us);
    assert!(!format!("{seen:?}").contains("secret"));
}

fn expecting(target: SocketAddr, change: impl FnOnce(&mut HttpExpect)) -> HttpQuestion {
    let mut question = get_from(target);
    change(&mut question.expect);
    question
}

fn header(name: &str, is: TextCondition) -> HeaderExpect {
    HeaderExpect { name: name.to_owned(), is }
}

#[tokio::test]
async fn expectations_that_hold_and_that_do_not() {
    let document = br#"{"status": "ok", "items": [1, 2]}"#;
    let target = targets::saying(response_with("200 OK", "x-cache: HIT\r\nx-cache: edge\r\n", document)).await;
    let json = |path: &str, equals: Option<serde_json::Value>| JsonExpect {
        equals,
        ..JsonExpect::exists(path.parse().unwrap())
    };
    let header_down = down(Reason::HttpHeader, Phase::FirstByte);
    let body_down = down(Reason::HttpBody, Phase::Transfer);
    let json_down = down(Reason::HttpJson, Phase::Transfer);
    let table: [(HttpQuestion, _); 16] = [
        (expecting(target, |e| e.status = vec!["404".parse().unwrap(), "2xx".parse().unwrap()]), UP),
        (expecting(target, |e| e.headers.push(header("X-Cache", TextCondition::Present))), UP),
        (expecting(target, |e| e.headers.push(header("x-cache", TextCondition::Equals("edge".into())))), UP),
        (expecting(target, |e| e.headers.push(header("x-cache", TextCondition::Matches("^H".parse().unwrap())))), UP),
        (
            expecting(target, |e| e.headers.push(header("x-cache", TextCondition::Contains("MISS".into())))),
            header_down.clone(),
        ),
        (expecting(target, |e| e.headers.push(header("x-cache", TextCondition::Absent))), header_down.clone()),
        (expecting(target, |e| e.headers.push(header("x-other", TextCondition::Present))), header_down),
        (expecting(target, |e| e.body_contains = vec!["\"ok\"".into()]), UP),
        (expecting(target, |e| e.body_contains = vec!["Cart".into()]), body_down.clone()),
        (expecting(target, |e| e.body_lacks = vec!["error".into()]), UP),
        (expecting(target, |e| e.body_lacks = vec!["items".into()]), body_down.clone()),
        (expecting(target, |e| e.body_matches = Some(r"\[1, \d\]\}$".parse().unwrap())), UP),
        (expecting(target, |e| e.body_matches = Some("^ok".parse().unwrap())), body_down),
        (expecting(target, |e| e.json.push(json("$.items[*]", Some(serde_json::json!(2))))), UP),
        (expecting(target, |e| e.json.push(json("$.status", Some(serde_json::json!("bad"))))), json_down.clone()),
        (expecting(target, |e| e.json.push(json("$.missing", None))), json_down),
    ];
    for (question, wanted) in table {
        let seen = ask(question.clone()).await;
        assert_eq!(verdict(&seen), wanted, "{:?}: {seen:?}", question.expect);
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_said_to_be_none() {
    let target = targets::saying(response("200 OK", "<html>")).await;
    let json = JsonExpect::exists("$.a".parse().unwrap());
    let seen = ask(expecting(target, |expect| expect.json.push(json))).await;
    assert_eq!(verdict(&seen), down(Reason::HttpJson, Phase::Transfer));
    assert!(seen.detail.unwrap().contains("not JSON"));
}

#[tokio::test]
async fn what_the_limit_hides_is_not_decided() {
    let target = targets::endless(b"HTTP/1.1 200 OK\r\n\r\nhello ").await;
    let undecided = down(Reason::BodyTooLarge, Phase::Transfer);
    let table: [(HttpQuestion, _); 6] = [
        (expecting(target, |e| e.body_contains = vec!["hello".into()]), UP),
        (expecting(target, |e| e.body_contains = vec!["Cart".into()]), undecided.clone()),
        (expecting(target, |e| e.body_lacks = vec!["hello".into()]), down(Reason::HttpBody, Phase::Transfer)),
        (expecting(target, |e| e.body_lacks = vec!["error".into()]), undecided.clone()),
        (expecting(target, |e| e.body_matches = Some("lo x".parse().unwrap())), UP),
        // It matches what was read only because nothing more was.
        (expecting(target, |e| e.body_matches = Some("x$".parse().unwrap())), undecided),
    ];
    for (mut question, wanted) in table {
        question.max_body_bytes = 1_000;
        let seen = ask(question.clone()).await;
        assert_eq!(verdict(&seen), wanted, "{:?}: {seen:?}", question.expect);
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_body_is_judged_decoded_and_a_bomb_ends_at_the_limit() {
    let encoded = |body: &[u8]| response_with("200 OK", "content-encoding: gzip\r\n", body);
    let good = targets::saying(encoded(&gzip(b"a Cart"))).await;
    let bomb = targets::saying(encoded(&gzip(&vec![0; 10 << 20]))).await;
    let broken = targets::saying(encoded(b"not gzip at all")).await;
    let cart = |target| expecting(target, |expect| expect.body_contains = vec!["Cart".into()]);
    assert_eq!(verdict(&ask(cart(good)).await), UP);
    assert_eq!(verdict(&ask(cart(bomb)).await), down(Reason::BodyTooLarge, Phase::Transfer));
    assert_eq!(verdict(&ask(cart(broken)).await), down(Reason::BodyEncoding, Phase::Transfer));
    // Nothing wants these bodies, so nobody decodes them.
    assert_eq!(verdict(&ask(get_from(bomb)).await), UP);
    assert_eq!(verdict(&ask(get_from(broken)).await), UP);
}

fn redirect(location: &str) -> Vec<u8> {
    response_with("302 Found", &format!("location: {location}\r\n"), b"")
}

#[tokio::test]
async fn redirects_are_followed_hop_by_hop_up_to_the_limit() {
    let target = targets::turns(vec![redirect("/b"), redirect("/c"), response("200 OK", "there")]).await;
    let seen = ask(get_from(target)).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let statuses: Vec<_> = seen.evidence.hops.iter().map(|hop| hop.status.unwrap()).collect();
    assert_eq!(statuses, [302, 302, 200]);
    assert!(seen.evidence.hops[2].url.ends_with("/c"));
    let sum: u64 = seen.evidence.hops.iter().map(|hop| hop.phases_us.first_byte.unwrap()).sum();
    assert_eq!(seen.phases_us.first_byte, Some(sum));

    let looping = targets::saying(redirect("/")).await;
    let seen = ask(get_from(looping)).await;
    assert_eq!(verdict(&seen), down(Reason::RedirectLimit, Phase::FirstByte));
    assert_eq!(seen.evidence.hops.len(), 11);

    let mut first_only = get_from(looping);
    first_only.redirects = 0;
    first_only.expect.status = vec!["302".parse().unwrap()];
    assert_eq!(verdict(&ask(first_only).await), UP);
}

#[tokio::test]
async fn inv_10_a_redirect_can_not_lead_where_the_machine_forbids() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "https://[::]/",
    ] {
        let target = targets::saying(redirect(location)).await;
        let seen = ask(get_from(target)).await;
        assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve), "{location}: {seen:?}");
        assert_eq!(seen.evidence.address, Some(target), "{location}");
    }
}

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let (tell, mut heads) = tokio::sync::mpsc::channel(1);
    let target = targets::serving(move |mut stream| {
        let tell = tell.clone();
        async move { tell.send(targets::request(&mut stream).await).await.unwrap() }
    })
    .await;
    let mut question = get(&format!("http://{target}/a?b=c#d"));
    question.headers.push(("X-One".into(), "1".into()));
    ask(question).await;
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    for line in
        [format!("host: {target}"), "x-one: 1".into(), format!("user-agent: nines-probe/{}", env!("CARGO_PKG_VERSION"))]
    {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
}

/// A target that speaks HTTP/2, with that many header fields of that many bytes.
async fn http2_target(fields: usize, bytes: usize) -> SocketAddr {
    targets::serving(move |stream| async move {
        let service = service_fn(move |_request| async move {
            let mut response = hyper::Response::new(Full::new(Bytes::from_static(b"hello")));
            for field in 0..fields {
                let name = hyper::header::HeaderName::try_from(format!("x-{field}")).unwrap();
                response.headers_mut().insert(name, "y".repeat(bytes).parse().unwrap());
            }
            Ok::<_, Infallible>(response)
        });
        let _ended = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await
}

#[tokio::test]
async fn http_2_is_spoken_by_prior_knowledge_where_the_check_says_so() {
    let mut question = expecting(http2_target(0, 0).await, |expect| expect.body_contains = vec!["hello".into()]);
    question.version = HttpVersion::Http2;
    let seen = ask(question).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(seen.evidence.hops[0].version.as_deref(), Some("HTTP/2"));
}

#[tokio::test]
async fn the_limits_of_a_head_hold_for_http_2_too() {
    let too_large = Reason::HttpHeadersTooLarge;
    for (fields, bytes, reason) in
        [(200, 1, too_large.clone()), (3, 30_000, too_large), (10, 100_000, Reason::HttpMalformed)]
    {
        let mut question = get_from(http2_target(fields, bytes).await);
        question.version = HttpVersion::Http2;
        let seen = ask(question).await;
        assert_eq!(verdict(&seen), down(reason, Phase::FirstByte), "{fields} × {bytes}: {seen:?}");
    }
}

#[tokio::test]
async fn a_target_that_speaks_http_1_to_http_2_is_malformed_and_silence_is_silence() {
    let table = [
        (targets::saying(response("400 Bad Request", "")).await, LONG_MS, Reason::HttpMalformed),
        (targets::resetting(1, b"").await, LONG_MS, Reason::HttpClosed),
        (targets::silent().await, SHORT_MS, Reason::HttpTimeout),
    ];
    for (target, timeout_ms, reason) in table {
        let mut question = get_from(target);
        question.version = HttpVersion::Http2;
        let seen = prober().run(&check(Question::Http(Box::new(question)), timeout_ms), TRACE).await;
        assert_eq!(verdict(&seen), down(reason, Phase::FirstByte), "{seen:?}");
    }
}
