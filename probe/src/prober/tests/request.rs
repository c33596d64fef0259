//! What goes out with every request, as a target sees it.

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::targets::{self, response, response_with};
use super::*;

/// A target that redirects `redirects` times, then answers well; and the heads of what it was asked.
async fn asked(redirects: usize) -> (SocketAddr, mpsc::Receiver<String>) {
    let (tell, heads) = mpsc::channel(8);
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let target = targets::serving(move |mut stream| {
        let (tell, turn) = (tell.clone(), std::sync::Arc::clone(&turn));
        async move {
            let head = targets::request(&mut stream).await;
            let again = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < redirects;
            let redirect = response_with("302 Found", "location: /next\r\n", b"");
            let _gone = stream.write_all(&if again { redirect } else { response("200 OK", "") }).await;
            let _gone = stream.shutdown().await;
            tell.send(head).await.unwrap();
        }
    })
    .await;
    (target, heads)
}

fn value_of<'h>(head: &'h str, name: &str) -> &'h str {
    let mut values = head.lines().filter_map(|line| line.split_once(": ")).filter(|(key, _)| *key == name);
    let (_, value) = values.next().unwrap_or_else(|| panic!("no {name} in {head}"));
    assert_eq!(values.next(), None, "{name} goes out once");
    value
}

#[tokio::test]
async fn every_hop_bears_the_samples_trace_and_a_span_of_its_own() {
    let (target, mut heads) = asked(2).await;
    let trace = TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    let seen = prober().run(&check(Question::Http(Box::new(get_from(target))), LONG_MS), trace).await;
    assert_eq!(verdict(&seen), UP);
    let mut spans = Vec::new();
    for _hop in 0..3 {
        let head = heads.recv().await.unwrap();
        // W3C Trace Context: version, trace, span, flags; of these neither may be all zeros.
        let [version, of, span, flags]: [&str; 4] =
            value_of(&head, "traceparent").split('-').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((version, of, flags), ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01"));
        assert!(span.len() == 16 && span.bytes().all(|b| b.is_ascii_hexdigit()) && span != "0000000000000000");
        assert_eq!(value_of(&head, "user-agent"), concat!("nines-probe/", env!("CARGO_PKG_VERSION")));
        spans.push(span.to_owned());
    }
    spans.sort();
    spans.dedup();
    assert_eq!(spans.len(), 3, "each hop has another span");
}

#[tokio::test]
async fn a_checks_own_headers_win_over_ours() {
    let (target, mut heads) = asked(0).await;
    let mut question = get_from(target);
    for (name, value) in [("TraceParent", "mine"), ("User-Agent", "me"), ("Accept", "a/b")] {
        question.headers.push((name.into(), value.into()));
    }
    assert_eq!(verdict(&ask(question).await), UP);
    let head = heads.recv().await.unwrap();
    for (name, value) in [("traceparent", "mine"), ("user-agent", "me"), ("accept", "a/b")] {
        assert_eq!(value_of(&head, name), value);
    }
}

#[tokio::test]
async fn whoever_finds_us_in_a_log_learns_whom_to_write_to() {
    const WANTED: &str = concat!("nines-probe/", env!("CARGO_PKG_VERSION"), " (+https://shop.example/probes)");
    let contact = Some("https://shop.example/probes".parse().unwrap());
    let prober = Prober::new(Vantage { rule: loopback(), contact, ..Vantage::default() });
    let (target, mut heads) = asked(1).await;
    let direct = get_from(target);
    assert_eq!(verdict(&prober.run(&check(Question::Http(Box::new(direct.clone())), LONG_MS), TRACE).await), UP);
    for _hop in 0..2 {
        assert_eq!(value_of(&heads.recv().await.unwrap(), "user-agent"), WANTED);
    }
    let mut own = direct.clone();
    own.headers.push(("user-agent".into(), "mine".into()));
    prober.run(&check(Question::Http(Box::new(own)), LONG_MS), TRACE).await;
    assert_eq!(value_of(&heads.recv().await.unwrap(), "user-agent"), "mine", "a check's own word wins");

    // What is said to a proxy, before and within a tunnel.
    let proxy = Some(nines_shared::check::HttpProxy { url: format!("http://{target}").parse().unwrap(), auth: None });
    for url in ["http://shop.example/", "https://shop.example/"] {
        let through = HttpQuestion { proxy: proxy.clone(), ..get(url) };
        prober.run(&check(Question::Http(Box::new(through)), LONG_MS), TRACE).await;
        assert_eq!(value_of(&heads.recv().await.unwrap(), "user-agent"), WANTED, "{url}");
    }
}

#[cfg(not(feature = "http3"))]
#[tokio::test]
async fn a_probe_that_was_built_without_http3_says_so() {
    let mut question = get("https://127.0.0.1/");
    question.version = nines_shared::check::HttpVersion::Http3;
    let seen = ask(question).await;
    assert_eq!(verdict(&seen), ours(Reason::Unsupported, Phase::Connect));
    assert!(seen.detail.unwrap().contains("cargo feature http3"));
}
