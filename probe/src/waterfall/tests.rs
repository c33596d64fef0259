//! Drawings: their structure, their width, and that nothing in them draws but ourselves.

use nines_shared::check::HttpQuestion;
use nines_shared::sample::{Evidence, Phase, Reason};
use serde_json::{Value, json};

use super::*;

mod hostile;

const DAY_MS: i64 = 86_400_000;

fn question() -> Question {
    Question::Http(Box::new(HttpQuestion::get("http://a/".parse().unwrap())))
}

/// An observation with something in every part of its evidence. The evidence is JSON, as whoever reads it has it.
fn seen() -> Observation {
    let phases = |connect: u64, first_byte: u64| json!({ "connect": connect, "first_byte": first_byte });
    let hop = |url: &str, status: u16, phases_us: &Value| {
        json!({
            "url": url, "proxy": "http://p.example:3128", "address": "192.0.2.1:80", "status": status,
            "version": "HTTP/1.1", "phases_us": phases_us,
        })
    };
    let certificate = |subject: &str, issuer: &str, days: i64| {
        json!({
            "subject": subject, "issuer": issuer, "names": ["shop.example", "www.shop.example"],
            "not_before": 0, "not_after": days * DAY_MS, "sha256": "00".repeat(32), "pin": "sha256/AAAA",
            "serial": "07", "key": "EC P-256", "signature": "ECDSA-SHA256",
        })
    };
    let evidence = json!({
        "address": "192.0.2.1:80",
        "tried": [{ "address": "[2001:db8::1]:80", "reason": "connect_refused", "us": 1_500 }],
        "parts": [{
            "what": "192.0.2.9:80", "outcome": "down", "reason": "connect_timeout", "phase": "connect",
            "detail": "no answer", "duration_us": 5_000,
        }],
        "hops": [
            hop("http://a/", 301, &phases(10_000, 30_000)),
            hop("http://b/", 500, &phases(20_000, 40_000)),
        ],
        "response": {
            "status": 500, "version": "HTTP/1.1", "headers": [["server", "shop/1.2"], ["x-request-id", "7f3a"]],
            "headers_left_out": 3, "body": "<h1>Sorry</h1>\n\ncome back later", "truncated": true, "encoding": "gzip",
        },
        "expectations": [
            { "what": "status is 2xx", "verdict": "unmet", "seen": "it is 500" },
            { "what": "body contains \"Cart\"", "verdict": "undecided", "seen": "there is more" },
        ],
        "tls": {
            "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "alpn": "h2",
            "chain": [certificate("CN=shop.example", "CN=R11", 40), certificate("CN=R11", "CN=ISRG Root X1", 20)],
            "path": ["CN=shop.example", "CN=R11", "CN=ISRG Root X1"],
            "unverified": "it would be refused",
            "ocsp": { "status": "good", "this_update": 0, "next_update": DAY_MS, "doubt": "it is out of date" },
            "offers": [{ "asked": "TLSv1.0", "answer": "TLSv1.0 TLS_RSA", "taken": true }],
        },
        "dns": {
            "transport": "udp", "rcode": "NOERROR", "answers": ["192.0.2.1", "192.0.2.2"], "ttl_s": 300,
            "flags": { "aa": true, "ad": true }, "serial": 7,
            "dnssec": { "proof": "bogus", "why": "no signature", "questions": 3 },
            "authority": ["NS ns1.shop.example"], "additional": ["A 192.0.2.53"],
        },
    });
    Observation {
        outcome: Outcome::Down,
        reason: Some(Reason::HttpStatus),
        phase: Some(Phase::FirstByte),
        detail: Some("expected: status is 2xx; it is 500".into()),
        duration_us: 100_000,
        phases_us: serde_json::from_value(phases(30_000, 70_000)).unwrap(),
        attempt: 1,
        evidence: serde_json::from_value(evidence).unwrap(),
    }
}

fn drawn(question: &Question, seen: &Observation, paper: Paper) -> String {
    draw(Look { question, must_fail: None, seen, trace: TraceId(7), now: Timestamp::from_ms(10 * DAY_MS) }, paper)
}

fn plain(page: &str) -> String {
    anstream::adapter::strip_str(page).to_string()
}

#[test]
fn bars_of_all_hops_lie_on_one_scale_each_where_the_last_one_ended() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(80), true, true)));
    let bars: Vec<&str> = page.lines().filter(|line| line.contains('█')).collect();
    let starts: Vec<usize> = bars.iter().map(|line| line.chars().position(|c| c == '█').unwrap()).collect();
    assert_eq!(starts.len(), 4, "{page}");
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{page}");
    assert!(bars.iter().all(|line| line.chars().count() == 80), "{page}");
    assert!(bars[3].ends_with("40.0 ms    40 %"), "{page}");
    assert!(page.contains("→ http://b/") && page.contains("100.0 ms"), "{page}");
}

#[test]
fn what_was_expected_and_what_is_to_be_done_stand_at_the_end() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(80), true, true)));
    let expected = page.find("✗ status is 2xx").unwrap();
    let verdict = page.find("DOWN  http_status in first_byte").unwrap();
    let next = page.find("→ the application's log").unwrap();
    assert!(expected < verdict && verdict < next, "{page}");
    assert!(page.contains("✗ status is 2xx; it is 500") && page.contains("? body contains"), "{page}");
    assert!(page.contains("trace id was 00000000000000000000000000000007"), "{page}");
}

#[test]
fn the_chain_is_a_tree_up_to_who_signed_it_and_the_first_to_end_is_marked() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(80), true, true)));
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    let at = lines.iter().position(|line| line.starts_with("  chain       shop.example")).expect(&page);
    assert!(lines[at].ends_with("30 days left · 1970-02-10"), "{page}");
    assert_eq!(lines[at + 1], "              │ for shop.example, www.shop.example");
    assert_eq!(lines[at + 2], "              │ key EC P-256, signed ECDSA-SHA256, serial 07");
    assert!(lines[at + 3].starts_with("              └ R11  ◂ ends first"), "{page}");
    assert!(lines[at + 3].ends_with("  10 days left · 1970-01-21"), "{page}");
    assert_eq!(lines[at + 4], "                └ ISRG Root X1  ✓ trusted here");
    assert_eq!(lines[at + 5], "  ocsp        good · until 1970-01-02 · it is out of date");
    assert_eq!(lines[at + 6], "  offered     took    TLSv1.0  TLSv1.0 TLS_RSA");
    assert_eq!(lines[at + 7], "              not verified, and would be refused: it would be refused");
}

#[test]
fn addresses_that_took_no_connection_stand_below_with_why() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(80), true, true)));
    assert!(page.contains("  tried too   [2001:db8::1]:80 · IPv6  connect_refused after 1.50 ms"), "{page}");
}

#[test]
fn an_answer_is_shown_with_flags_ttl_and_sections() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(80), true, true)));
    for line in [
        "  answer      NOERROR · flags aa ad · over udp · TTL 5m",
        "              192.0.2.1",
        "  dnssec      bogus · no signature · 3 questions",
        "  authority   NS ns1.shop.example",
        "  additional  A 192.0.2.53",
    ] {
        assert!(page.lines().any(|drawn| drawn == line), "{line:?} is missing in:\n{page}");
    }
}

#[test]
fn a_response_that_failed_is_shown_as_far_as_it_was_kept() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(80), true, true)));
    let lines: Vec<&str> = page.lines().collect();
    let at = lines.iter().position(|line| *line == "  response    HTTP/1.1 500").expect(&page);
    let below = [
        "              server: shop/1.2",
        "              x-request-id: 7f3a",
        "              and 3 more headers",
        "  body        <h1>Sorry</h1>",
        "              come back later",
        "              … and more",
    ];
    assert_eq!(lines[at + 1..at + 7], below);
    assert!(page.contains("192.0.2.1:80 · IPv4 · proxy http://p.example:3128 · HTTP/1.1"), "{page}");
}

#[test]
fn each_part_has_a_row_with_its_outcome_and_why() {
    let page = plain(&drawn(&question(), &seen(), Paper::terminal(Some(120), true, true)));
    let row = "  each        192.0.2.9:80  ✗ down              5.00 ms  connect_timeout in connect  no answer";
    assert!(page.contains(row), "{page}");
}

#[test]
fn every_line_fits_the_paper_whatever_it_is() {
    let mut long = seen();
    let words = "https://very-long.example/".to_owned() + &"path/".repeat(60);
    long.detail = Some(words.clone());
    long.evidence.hops[1].url = words.clone();
    long.evidence.tls.as_mut().unwrap().chain[0].subject = words.clone();
    long.evidence.dns.as_mut().unwrap().answers.push(words);
    for columns in [60, 80, 97, 120] {
        for paper in [Paper::terminal(Some(columns), true, true), Paper::terminal(Some(columns), false, false)] {
            let page = plain(&drawn(&question(), &long, paper));
            let widest = page.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(usize::from(columns)), "{columns}: {widest:?}\n{page}");
        }
    }
    let piped = plain(&drawn(&question(), &long, Paper::pipe(true)));
    assert!(piped.lines().all(|line| line.chars().count() <= 80) && !piped.contains('█'), "{piped}");
}

#[test]
fn without_unicode_the_drawing_is_ascii() {
    let page = drawn(&question(), &seen(), Paper::terminal(Some(80), false, true));
    assert!(page.is_ascii(), "{page}");
    assert!(plain(&page).contains("x status is 2xx") && page.contains("####"), "{page}");
}
