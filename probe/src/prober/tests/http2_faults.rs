//! What a hostile HTTP/2 target can do, frame by frame: for each fault the outcome, the phase and the reason.

use nines_shared::check::HttpVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::http_faults::{elsewhere, hold, measured};
use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// `:status: 200`, from HPACK's own table.
const OK: &[u8] = &[0x88];

/// A frame of RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        pairs.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

/// A header field that is not put into HPACK's table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// The head of a good response, with further fields.
fn response_head(flags: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 1, &[OK, &fields.concat()].concat())
}

/// A target that reads the client's preface and request, sends settings and `first`, and then `again` for ever.
async fn target(first: Vec<u8>, again: Vec<u8>) -> SocketAddr {
    targets::serving(move |mut stream| {
        let (first, again) = ([settings(&[]), first.clone()].concat(), again.clone());
        async move {
            let mut asked = [0; 4_096];
            // The preface, and the settings that follow it, come before or with the request.
            while matches!(stream.read(&mut asked).await, Ok(read) if 0 < read && read < 60) {}
            let _gone = stream.write_all(&first).await;
            let (mut reading, mut writing) = stream.into_split();
            let drain = tokio::spawn(async move { while matches!(reading.read(&mut asked).await, Ok(1..)) {} });
            while !again.is_empty() && writing.write_all(&again).await.is_ok() {}
            if again.is_empty() {
                let _gone = writing.shutdown().await;
            }
            let _ended = drain.await;
        }
    })
    .await
}

/// A target that says `frames` and goes on listening.
async fn waiting(frames: Vec<u8>) -> SocketAddr {
    targets::serving(move |mut stream| {
        let frames = [settings(&[]), frames.clone()].concat();
        async move {
            let _gone = stream.write_all(&frames).await;
            let mut asked = [0; 4_096];
            while matches!(stream.read(&mut asked).await, Ok(1..)) {}
        }
    })
    .await
}

async fn saying(frames: &[Vec<u8>]) -> SocketAddr {
    target(frames.concat(), Vec::new()).await
}

fn two(question: &mut HttpQuestion) {
    question.version = HttpVersion::Http2;
}

fn head(reason: Reason) -> (Outcome, Option<Reason>, Option<Phase>) {
    down(reason, Phase::FirstByte)
}

fn body(reason: Reason) -> (Outcome, Option<Reason>, Option<Phase>) {
    down(reason, Phase::Transfer)
}

fn reset(code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &code.to_be_bytes())
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

#[tokio::test]
async fn what_is_well_formed_is_taken() {
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let table = vec![
        ("a response", saying(&[response_head(0, &[]), data(END_STREAM, b"hello")]).await, LONG_MS, UP),
        ("no body", saying(&[response_head(END_STREAM, &[])]).await, LONG_MS, UP),
        ("padding", saying(&[response_head(0, &[]), data(END_STREAM | PADDED, b"\x02hello\0\0")]).await, LONG_MS, UP),
        (
            "an early answer",
            saying(&[frame(HEADERS, END_HEADERS, 1, &field(":status", "103")), response_head(END_STREAM, &[])]).await,
            LONG_MS,
            UP,
        ),
        ("trailers", saying(&[response_head(0, &[]), frame(HEADERS, 5, 1, &field("x", "y"))]).await, LONG_MS, UP),
        (
            "a frame of an unknown kind",
            saying(&[frame(99, 0, 0, b"?"), response_head(END_STREAM, &[])]).await,
            LONG_MS,
            UP,
        ),
    ];
    hold(table, two).await;
}

#[tokio::test]
async fn every_way_to_end_a_stream_has_its_reason_and_its_phase() {
    let begun = || response_head(0, &[]);
    let table = vec![
        ("the end before the head", saying(&[]).await, LONG_MS, head(Reason::HttpClosed)),
        ("a reset stream", saying(&[reset(7)]).await, LONG_MS, head(Reason::HttpClosed)),
        ("another version is required", saying(&[reset(0xd)]).await, LONG_MS, head(Reason::HttpVersion)),
        ("a reset in the body", saying(&[begun(), reset(2)]).await, LONG_MS, body(Reason::HttpClosed)),
        ("going away", saying(&[goaway(0, 0)]).await, LONG_MS, head(Reason::HttpClosed)),
        ("calm, please", saying(&[goaway(0, 0xb)]).await, LONG_MS, head(Reason::HttpClosed)),
        ("going away in the body", saying(&[begun(), goaway(1, 2)]).await, LONG_MS, body(Reason::HttpClosed)),
        ("the end in the body", saying(&[begun(), frame(DATA, 0, 1, b"x")]).await, LONG_MS, body(Reason::HttpClosed)),
        ("silence after the settings", waiting(Vec::new()).await, SHORT_MS, head(Reason::HttpTimeout)),
        (
            "silence after the head",
            target(begun(), frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await,
            SHORT_MS,
            body(Reason::BodyTimeout),
        ),
    ];
    hold(table, two).await;
}

#[tokio::test]
async fn every_way_to_break_the_rules_is_malformed() {
    let begun = || response_head(0, &[]);
    let raw = |block: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
    for (fault, frames, phase) in [
        ("data before the head", vec![frame(DATA, 0, 1, b"x")], Phase::FirstByte),
        ("a head on another stream", vec![frame(HEADERS, 5, 3, OK)], Phase::FirstByte),
        ("a frame beyond its size", vec![frame(DATA, 0, 1, &[0; 20_000])], Phase::FirstByte),
        ("an index that HPACK does not have", vec![raw(&[0xff, 0xff, 0x03])], Phase::FirstByte),
        ("a table larger than agreed", vec![raw(&[0x3f, 0xe1, 0xff, 0x7f, 0x88])], Phase::FirstByte),
        ("no status", vec![raw(&field("x", "y"))], Phase::FirstByte),
        ("a status that is none", vec![raw(&field(":status", "2xx"))], Phase::FirstByte),
        ("a name in upper case", vec![raw(&[OK, &field("X-Up", "y")].concat())], Phase::FirstByte),
        ("a field of HTTP/1", vec![raw(&[OK, &field("connection", "close")].concat())], Phase::FirstByte),
        ("a head cut by another frame", vec![frame(HEADERS, 0, 1, OK), frame(PING, 0, 0, &[0; 8])], Phase::FirstByte),
        ("a promise that was not asked for", vec![frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82])], Phase::FirstByte),
        ("settings of a wrong length", vec![frame(SETTINGS, 0, 0, &[0; 5])], Phase::FirstByte),
        ("a window beyond its size", vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])], Phase::FirstByte),
        ("more padding than frame", vec![begun(), frame(DATA, PADDED, 1, &[200, 0])], Phase::Transfer),
        (
            "less than its content-length",
            vec![response_head(0, &[field("content-length", "9")]), frame(DATA, END_STREAM, 1, b"x")],
            Phase::Transfer,
        ),
        (
            "more than its content-length",
            vec![response_head(0, &[field("content-length", "1")]), frame(DATA, END_STREAM, 1, b"xyz")],
            Phase::Transfer,
        ),
    ] {
        hold(vec![(fault, saying(&frames).await, LONG_MS, down(Reason::HttpMalformed, phase))], two).await;
    }
}

#[tokio::test]
async fn a_window_that_never_opens_ends_with_the_deadline() {
    let table = vec![
        ("no room at first", waiting(settings(&[(4, 0)])).await, SHORT_MS, head(Reason::HttpTimeout)),
        ("no room after the first", waiting(Vec::new()).await, SHORT_MS, head(Reason::HttpTimeout)),
        ("no streams at all", waiting(settings(&[(3, 0)])).await, SHORT_MS, head(Reason::HttpTimeout)),
    ];
    hold(table, |question| {
        two(question);
        question.method = "POST".to_owned();
        question.body = Some("x".repeat(1 << 20));
    })
    .await;
}

#[test]
fn inv_9_no_flood_takes_more_than_its_limit() {
    let elsewhere = elsewhere();
    // One field of 4,000 bytes goes into HPACK's table, and one byte each names it again.
    let value = "y".repeat(4_000);
    let mut entry = vec![0x40, 1, b'x', 0x7f, 0xa1, 0x1e];
    entry.extend_from_slice(value.as_bytes());
    let bomb = [OK, &entry, &[0xbe; 10_000]].concat();
    let begun = || response_head(0, &[]);
    let faults = elsewhere.block_on(async {
        let timeout = || head(Reason::HttpTimeout);
        let malformed = || head(Reason::HttpMalformed);
        let begin = || frame(HEADERS, 0, 1, OK);
        let fields = || frame(CONTINUATION, 0, 1, &field("x", "y").repeat(50));
        let early = || frame(HEADERS, END_HEADERS, 1, &field(":status", "103"));
        let unknown = || frame(RST_STREAM, 0, 99, &[0, 0, 0, 8]).repeat(200);
        let full = || frame(DATA, 0, 1, &[b'x'; 16_000]);
        vec![
            ("settings", target(Vec::new(), settings(&[(4, 65_535)]).repeat(200)).await, SHORT_MS, timeout()),
            ("pings", target(Vec::new(), frame(PING, 0, 0, &[7; 8]).repeat(200)).await, SHORT_MS, timeout()),
            ("resets of another stream", target(Vec::new(), unknown()).await, LONG_MS, malformed()),
            ("fields", target(begin(), fields()).await, LONG_MS, malformed()),
            (
                "pieces of a head",
                target(begin(), frame(CONTINUATION, 0, 1, b"").repeat(200)).await,
                LONG_MS,
                malformed(),
            ),
            ("fields in HPACK's table", saying(&[frame(HEADERS, 5, 1, &bomb)]).await, LONG_MS, malformed()),
            ("early answers", target(Vec::new(), early()).await, SHORT_MS, timeout()),
            (
                "data of nothing",
                target(begun(), frame(DATA, 0, 1, b"").repeat(200)).await,
                LONG_MS,
                body(Reason::HttpMalformed),
            ),
            ("data beyond our window", target(begun(), full()).await, LONG_MS, body(Reason::HttpMalformed)),
        ]
    });
    for (fault, target, timeout_ms, wanted) in faults {
        let mut question = get_from(target);
        two(&mut question);
        let (seen, bytes) = measured(question, timeout_ms);
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert!(bytes < 3 << 20, "{fault}: {bytes} bytes");
    }
}
