use std::panic::AssertUnwindSafe;

use nines_shared::sample::MAX_DETAIL_LEN;

use super::*;

fn head(status: u16) -> Head {
    Head { status, version: "HTTP/1.1", headers: HeaderMap::new() }
}

/// Expectations of every kind that a body decides.
fn of_every_kind() -> HttpExpect {
    serde_json::from_str(
        r#"{
            "body_contains": ["a", "{"], "body_lacks": "zz", "body_matches": "[a-f]+$", "body_lacks_match": "x.z",
            "body_size": {"min": 2, "max": 40},
            "json": [
                {"path": "$..a"}, {"path": "$.a[*]", "above": 3, "every": true}, {"path": "$[?@.a]", "count": {"max": 2}},
                {"path": "$..*..*", "contains": "q"}, {"path": "$.b", "exists": false}, {"path": "$", "not_equals": 0}
            ],
            "within": {"total_ms": 5}
        }"#,
    )
    .unwrap()
}

fn body(bytes: &[u8], whole: bool) -> Body {
    Body { bytes: bytes.to_vec(), size: bytes.len() as u64, whole }
}

fn verdicts(expect: &HttpExpect, body: Option<&Body>) -> Vec<(Expectation<'static>, Judged)> {
    // Leaked so that expectations and verdicts can be walked together: a test ends with its process.
    let expect: &'static HttpExpect = Box::leak(Box::new(expect.clone()));
    let (head, clock) = (head(200), Clock::system());
    let seen = Seen { head: &head, body, took: Some((Phases::default(), 4_000)), session: None, clock: &clock };
    each(expect).zip(judge_all(expect, seen)).map(|(of, judged)| (of, judged.verdict)).collect()
}

/// The first expectation in order that does not hold is what decides; and what is told of it is what all are told.
fn agree(expect: &HttpExpect, body: &Body) {
    let (head, clock) = (head(200), Clock::system());
    let seen =
        Seen { head: &head, body: Some(body), took: Some((Phases::default(), 4_000)), session: None, clock: &clock };
    let all = judge_all(expect, seen);
    assert_eq!(all.len(), each(expect).count());
    let decided = judge_rest(expect, seen);
    let first = all.iter().find(|one| one.verdict != Judged::Met);
    match (&decided, first) {
        (Ok(()), None) => {}
        (Err(failure), Some(first)) => {
            let told = format!("expected: {}; {}", first.what, first.seen.as_deref().unwrap_or_default());
            assert_eq!(failure.detail, told);
        }
        (decided, first) => panic!("{decided:?} {first:?}"),
    }
    assert!(all.iter().all(|one| one.seen.as_ref().is_none_or(|seen| seen.len() < 4 * MAX_DETAIL_LEN)));
    assert!(all.iter().all(|one| (one.verdict == Judged::Met) == one.seen.is_none()));
}

#[test]
fn fuzz_whatever_a_body_is_the_first_expectation_that_fails_decides() {
    let expect = AssertUnwindSafe(of_every_kind());
    bolero::check!().with_type::<(Vec<u8>, bool)>().with_iterations(1_000).for_each(|(bytes, whole)| {
        agree(&expect, &body(bytes, *whole));
    });
}

/// JSON of the pieces that `choices` choose, most of it well formed.
fn json_of(choices: &[u8]) -> String {
    const PIECES: [&str; 12] =
        ["{\"a\":", "[", "1", ",", "]", "}", "\"q\"", "9007199254740993", "null", ",\"a\":", "1e400", "{}"];
    choices.iter().map(|choice| PIECES[usize::from(*choice) % PIECES.len()]).collect()
}

#[test]
fn fuzz_whatever_json_a_body_is_the_first_expectation_that_fails_decides() {
    let expect = AssertUnwindSafe(of_every_kind());
    bolero::check!().with_type::<Vec<u8>>().with_iterations(1_000).for_each(|choices| {
        agree(&expect, &body(json_of(choices).as_bytes(), true));
    });
}

#[test]
fn fuzz_what_is_decided_of_a_part_of_a_body_is_never_undone_by_the_rest() {
    let mut expect = AssertUnwindSafe(of_every_kind());
    expect.body_matches = Some("[a-f]+".parse().unwrap());
    bolero::check!().with_type::<(Vec<u8>, u8)>().with_iterations(500).for_each(|(choices, cut)| {
        let text = json_of(choices);
        let end = usize::from(*cut).min(text.len());
        if end == text.len() {
            return;
        }
        let part = verdicts(&expect, Some(&body(&text.as_bytes()[..end], false)));
        let whole = verdicts(&expect, Some(&body(text.as_bytes(), true)));
        for ((of, early), (_, late)) in part.iter().zip(&whole) {
            assert!(
                *early == Judged::Undecided || early == late,
                "{of}: {early:?} then {late:?} of {text:?} cut at {end}"
            );
        }
    });
}

#[test]
fn without_a_body_nothing_of_it_is_decided() {
    let verdicts = verdicts(&of_every_kind(), None);
    for (of, verdict) in verdicts {
        let decided = matches!(of, Expectation::Status(_) | Expectation::Within(..));
        assert_eq!(verdict == Judged::Undecided, !decided, "{of}");
    }
}

#[test]
fn what_a_header_tells_of_is_not_quoted() {
    let mut expect = HttpExpect::default();
    expect.headers.push(HeaderExpect { name: "X-Api-Key".into(), is: TextCondition::Equals("opensesame".into()) });
    let mut head = head(200);
    head.headers.insert("x-api-key", "opensesamE".parse().unwrap());
    let failure = judge_head(&expect, &head).unwrap_err();
    assert_eq!(failure.detail, format!("expected: header X-Api-Key is {REDACTED}; it is {REDACTED}"));
}
