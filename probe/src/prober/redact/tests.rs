use nines_shared::check::HttpQuestion;
use nines_shared::sample::{ExpectationEvidence, Hop, Judged, Phases, ResponseEvidence};

use super::*;

fn secrets(url: &str, headers: &[(&str, &str)]) -> Forms {
    let mut question = HttpQuestion::get(url.parse().unwrap());
    question.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Forms::of_http(&question, std::iter::empty::<&str>())
}

#[test]
fn a_secret_is_hidden_in_whatever_form_it_comes_back() {
    let secrets =
        secrets("https://me:p%40ss%20w%22rd@shop.example/", &[("X-Api-Key", "k3y&<"), ("Accept", "text/html")]);
    for echo in [
        "p@ss w\"rd",
        "p%40ss%20w%22rd",
        "p%40ss+w%22rd",
        "p@ss w\\\"rd",
        "p@ss w&quot;rd",
        &BASE64.encode(b"me:p@ss w\"rd"),
        "k3y&<",
        "k3y&amp;&lt;",
        "k3y%26%3C",
        "k3y%26%3c",
        &BASE64URL_NOPAD.encode(b"k3y&<"),
    ] {
        assert_eq!(secrets.hidden(&format!("a {echo} b")), "a [secret] b", "{echo}");
    }
    assert_eq!(secrets.hidden("text/html for me"), "text/html for me");
}

#[test]
fn a_header_that_comes_back_whole_in_base64_gives_no_more_than_its_ends_away() {
    const TOKEN: &str = "t0k3n/of+the=shop";
    let secrets = secrets("https://shop.example/", &[("Authorization", &format!("Bearer {TOKEN}"))]);
    for before in ["Bearer ", "x-said: Bearer ", "Authorization: Bearer "] {
        for encoding in [BASE64, BASE64_NOPAD, BASE64URL_NOPAD] {
            let hidden = secrets.hidden(&encoding.encode(format!("{before}{TOKEN}\r\n").as_bytes()));
            let (head, tail) = hidden.split_once("[secret]").unwrap_or_else(|| panic!("{before}: {hidden}"));
            let left = encoding.encode(before.as_bytes()).len() + encoding.encode(b"\r\n").len() + 8;
            assert!(head.len() + tail.len() <= left, "{before}: {hidden}");
        }
    }
    assert_eq!(secrets.hidden("%74%30%6B%33%6E%2F%6F%66%2B%74%68%65%3D%73%68%6F%70"), "[secret]");
    assert_eq!(secrets.hidden("%74%30%6b%33%6e%2f%6f%66%2b%74%68%65%3d%73%68%6f%70"), "[secret]");
}

#[test]
fn a_credential_is_a_secret_without_its_scheme_and_a_cookie_without_its_name() {
    let secrets =
        secrets("https://shop.example/", &[("Authorization", "Bearer t0k3n"), ("Cookie", "a=sid1; b=\"sid2\"")]);
    assert_eq!(secrets.hidden("t0k3n sid1 sid2 Bearer a"), "[secret] [secret] [secret] Bearer a");
}

#[test]
fn a_secret_that_the_end_cuts_in_two_is_hidden_too() {
    let secrets = secrets("https://me:hunter2@shop.example/", &[]);
    assert_eq!(secrets.hidden_cut("password hunte"), "password [secret]");
    assert_eq!(secrets.hidden_cut("password hunter2"), "password [secret]");
    assert_eq!(secrets.hidden_cut("passwords"), "passwords");
}

#[test]
fn logins_are_hidden_in_every_url() {
    for (text, shown) in [
        ("https://a:b@shop.example/@x", "https://[secret]@shop.example/@x"),
        ("//a@shop.example", "//[secret]@shop.example"),
        ("see http://a:b@c@shop/ and https://shop/?m=a@b", "see http://[secret]@shop/ and https://shop/?m=a@b"),
        ("no // url @ here", "no // url @ here"),
    ] {
        assert_eq!(without_logins(text), shown);
    }
}

#[test]
fn what_a_name_tells_of_is_hidden() {
    for (name, value, shown) in [
        ("set-cookie", "sid=abc; Path=/", "sid=[secret]"),
        ("set-cookie", "abc", "[secret]"),
        ("www-authenticate", "Digest realm=\"a\", nonce=\"b\"", "Digest [secret]"),
        ("x-session-id", "abc", "[secret]"),
        (
            "location",
            "/next?a=1&access_token=abc&b=2#id_token=x",
            "/next?a=1&access_token=[secret]&b=2#id_token=[secret]",
        ),
        ("content-type", "text/html; charset=utf-8", "text/html; charset=utf-8"),
    ] {
        assert_eq!(field_value(name, value), shown);
    }
}

fn evidence_of(text: &str) -> Evidence {
    let text = text.to_owned();
    Evidence {
        hops: vec![Hop {
            url: text.clone(),
            proxy: None,
            address: None,
            status: None,
            version: None,
            phases_us: Phases::default(),
        }],
        expectations: vec![ExpectationEvidence {
            what: text.clone(),
            verdict: Judged::Unmet,
            seen: Some(text.clone()),
        }],
        response: Some(Box::new(ResponseEvidence {
            headers: vec![(text.clone(), text.clone())],
            body: Some(text.clone()),
            truncated: true,
            encoding: Some(text),
            ..ResponseEvidence::default()
        })),
        ..Evidence::default()
    }
}

#[test]
fn fuzz_no_secret_is_left_in_any_part_of_evidence() {
    bolero::check!().with_type::<(String, Vec<u8>, u8)>().with_iterations(400).for_each(|(secret, noise, form)| {
        // The mark may hold a piece of a secret that is made of marks, and one that is too short is anybody's word.
        if secret.len() < MIN_BYTES
            || secret.trim().is_empty()
            || secret.contains('•')
            || secret.chars().any(char::is_control)
        {
            return;
        }
        let secrets = secrets("https://shop.example/", &[("x-token", secret)]);
        let noise = String::from_utf8_lossy(noise);
        let echo = match form % 4 {
            0 => secret.clone(),
            1 => percent_encoded(secret),
            2 => BASE64.encode(secret.as_bytes()),
            _ => serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
        };
        let cut: String = echo.chars().take(echo.chars().count() / 2).collect();
        let mut evidence = evidence_of(&format!("{noise}{echo}{noise}{echo}{cut}"));
        secrets.hide(&mut evidence);
        for text in [
            &evidence.hops[0].url,
            &evidence.expectations[0].what,
            evidence.expectations[0].seen.as_ref().unwrap(),
            &evidence.response.as_ref().unwrap().headers[0].0,
            &evidence.response.as_ref().unwrap().headers[0].1,
            evidence.response.as_ref().unwrap().body.as_ref().unwrap(),
            evidence.response.as_ref().unwrap().encoding.as_ref().unwrap(),
        ] {
            assert!(!text.contains(secret.as_str()), "{secret:?} in {text:?}");
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    });
}
