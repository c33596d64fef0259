//! gRPC health checks against servers that speak the protocol, and that do not.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nines_shared::check::{GrpcQuestion, Health};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::targets::response;
use super::tls::fixture::{Authority, leaf, server, signed};
use super::*;

/// `SERVING`, framed.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// What a server answers.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    head: Vec<(&'static str, String)>,
    body: Vec<u8>,
    trailers: Vec<(&'static str, String)>,
}

impl Answer {
    fn of(body: &[u8], status: &str, message: &str) -> Self {
        let trailers = vec![("grpc-status", status.to_owned()), ("grpc-message", message.to_owned())];
        Self { status: 200, head: grpc(), body: body.to_vec(), trailers }
    }

    /// All in the head, as servers answer that have no message.
    fn only(status: &str, message: &str) -> Self {
        let Self { mut head, trailers, .. } = Self::of(&[], status, message);
        head.extend(trailers);
        Self { status: 200, head, body: Vec::new(), trailers: Vec::new() }
    }
}

fn grpc() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/grpc+proto".to_owned())]
}

fn fields(pairs: &[(&'static str, String)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, String)| {
        (HeaderName::from_static(name), HeaderValue::try_from(value.as_str()).unwrap())
    };
    pairs.iter().map(field).collect()
}

/// Serves one connection, and tells what was asked.
async fn serve<S>(stream: S, answer: Answer, tell: mpsc::Sender<(HeaderMap, String, Bytes)>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, tell) = (answer.clone(), tell.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let _nobody_listens = tell.try_send((head.headers, head.uri.to_string(), body));
            let trailers = fields(&answer.trailers);
            let body = Full::new(Bytes::from(answer.body));
            let body = body.with_trailers(async move { (!trailers.is_empty()).then_some(Ok(trailers)) });
            let mut response = Response::new(body);
            *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap();
            *response.headers_mut() = fields(&answer.head);
            Ok::<_, Infallible>(response)
        }
    });
    let _gone = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(1 << 20)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answering(answer: Answer) -> SocketAddr {
    let (tell, _) = mpsc::channel(1);
    targets::serving(move |stream| serve(stream, answer.clone(), tell.clone())).await
}

fn question(target: SocketAddr) -> GrpcQuestion {
    GrpcQuestion { tls: false, ..GrpcQuestion::of(target.to_string().parse().unwrap()) }
}

async fn ask_grpc(question: GrpcQuestion, timeout_ms: i64) -> Observation {
    prober().run(&check(Question::Grpc(Box::new(question)), timeout_ms), TRACE).await
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of faults is read as one")]
async fn every_fault_of_a_server_has_its_reason_and_its_phase() {
    let (head, rest) = (Phase::FirstByte, Phase::Transfer);
    let bare = |body: &[u8]| Answer { trailers: Vec::new(), ..Answer::of(body, "0", "") };
    let with = |answer: Answer, name, value: String| {
        let mut answer = answer;
        answer.trailers.push((name, value));
        answer
    };
    let not_grpc = Answer { head: vec![("content-type", "text/html".to_owned())], ..Answer::of(SERVING, "0", "") };
    let status = |number, message| Answer::only(number, message);
    let answers = [
        ("serves", Answer::of(SERVING, "0", ""), UP, ""),
        ("says nothing of its status", Answer::of(&[0; 5], "0", ""), down(Reason::GrpcNotServing, rest), "UNKNOWN"),
        (
            "does not serve",
            Answer::of(&[0, 0, 0, 0, 2, 8, 2], "0", ""),
            down(Reason::GrpcNotServing, rest),
            "NOT_SERVING",
        ),
        (
            "knows no such service, in words",
            Answer::of(&[0, 0, 0, 0, 2, 8, 3], "0", ""),
            down(Reason::GrpcNotServing, rest),
            "SERVICE_UNKNOWN",
        ),
        (
            "is of another age",
            Answer::of(&[0, 0, 0, 0, 2, 8, 9], "0", ""),
            down(Reason::GrpcNotServing, rest),
            "status 9",
        ),
        (
            "knows no such service",
            status("5", "unknown%20service"),
            down(Reason::GrpcStatus, head),
            "NOT_FOUND, the server knows no service \"\": unknown service",
        ),
        (
            "has no health service",
            status("12", ""),
            down(Reason::GrpcStatus, head),
            "UNIMPLEMENTED, the server does not speak",
        ),
        (
            "is unavailable",
            status("14", "no%1Bhealthy upstream"),
            down(Reason::GrpcStatus, head),
            "UNAVAILABLE, the call failed: no healthy upstream",
        ),
        ("is slower than it was told", status("4", ""), down(Reason::GrpcTimeout, head), "DEADLINE_EXCEEDED"),
        ("has a code of its own", status("99", ""), down(Reason::GrpcStatus, head), "code 99"),
        (
            "fails after its message",
            Answer::of(SERVING, "13", "oops"),
            down(Reason::GrpcStatus, rest),
            "INTERNAL, the call failed: oops",
        ),
        (
            "has a status that is no number",
            Answer::of(SERVING, "ok", ""),
            down(Reason::GrpcMalformed, rest),
            "is no number",
        ),
        ("ends without a status", bare(SERVING), down(Reason::GrpcMalformed, rest), "without grpc-status"),
        ("ends well without a message", status("0", ""), down(Reason::GrpcMalformed, head), "without a message"),
        ("sends no message", Answer::of(&[], "0", ""), down(Reason::GrpcMalformed, rest), "there is no message"),
        ("sends half a message", Answer::of(&SERVING[..6], "0", ""), down(Reason::GrpcMalformed, rest), "cut short"),
        (
            "sends two",
            Answer::of(&[SERVING, SERVING].concat(), "0", ""),
            down(Reason::GrpcMalformed, rest),
            "more than one",
        ),
        ("compresses", Answer::of(&[1, 0, 0, 0, 0], "0", ""), down(Reason::GrpcMalformed, rest), "compressed"),
        (
            "sends noise",
            Answer::of(&[0, 0, 0, 0, 2, 0xff, 0xff], "0", ""),
            down(Reason::GrpcMalformed, rest),
            "cut short",
        ),
        ("sends too much", Answer::of(&[7; 5_000], "0", ""), down(Reason::GrpcMalformed, rest), "more than 4096 bytes"),
        ("is a web page", not_grpc, down(Reason::GrpcMalformed, head), "text/html"),
        (
            "is a proxy without it",
            Answer { status: 503, ..Answer::of(&[], "0", "") },
            down(Reason::HttpStatus, head),
            "HTTP status 503",
        ),
        (
            "has endless trailers",
            with(Answer::of(SERVING, "0", ""), "x", "y".repeat(100_000)),
            down(Reason::HttpHeadersTooLarge, rest),
            "header fields",
        ),
    ];
    for (fault, answer, wanted, detail) in answers {
        let seen = ask_grpc(question(answering(answer).await), LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert!(seen.detail.as_deref().unwrap_or_default().contains(detail), "{fault}: {seen:?}");
    }
    let http1 = targets::serving(|mut stream| async move {
        let _gone = stream.write_all(&response("400 Bad Request", "")).await;
        std::future::pending::<()>().await;
    });
    let connections = [
        ("nobody listens", targets::nobody().await, LONG_MS, down(Reason::ConnectRefused, Phase::Connect)),
        ("silence", targets::silent().await, SHORT_MS, down(Reason::GrpcTimeout, head)),
        ("a reset", targets::resetting(1, b"").await, LONG_MS, down(Reason::HttpClosed, head)),
        ("HTTP/1.1", http1.await, LONG_MS, down(Reason::HttpMalformed, head)),
        ("noise", targets::resetting(1, &[0xff; 64]).await, LONG_MS, down(Reason::HttpMalformed, head)),
    ];
    for (fault, target, timeout_ms, wanted) in connections {
        let seen = ask_grpc(question(target), timeout_ms).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
    }
}

#[tokio::test]
async fn a_call_says_what_it_wants_until_when_and_who_asks() {
    let (tell, mut asked) = mpsc::channel(1);
    let target = targets::serving(move |stream| serve(stream, Answer::of(SERVING, "0", ""), tell.clone())).await;
    let mut question = question(target);
    question.service = "shop".to_owned();
    question.metadata = vec![("x-tenant".to_owned(), "acme".to_owned())];
    question.authority = Some("api.example".parse().unwrap());
    let seen = ask_grpc(question, LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.first_byte.is_some() && seen.phases_us.transfer.is_some());
    let (headers, uri, body) = asked.recv().await.unwrap();
    assert_eq!(uri, "http://api.example/grpc.health.v1.Health/Check");
    assert_eq!(body, [&[0, 0, 0, 0, 6, 0x0a, 4][..], b"shop"].concat());
    let field = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (field("te"), field("content-type"), field("x-tenant")),
        ("trailers".into(), "application/grpc".into(), "acme".into())
    );
    let timeout: i64 = field("grpc-timeout").strip_suffix('m').unwrap().parse().unwrap();
    assert!((1..=LONG_MS).contains(&timeout), "{timeout}");
    assert!(field("traceparent").contains(&TRACE.to_string()) && field("user-agent").starts_with("nines-probe/"));
}

#[tokio::test]
async fn a_service_that_is_not_meant_to_serve_must_not() {
    for (answer, wanted) in [
        (&[0, 0, 0, 0, 2, 8, 2][..], UP),
        (SERVING, down(Reason::UnexpectedSuccess, Phase::Transfer)),
        (&[0, 0, 0, 0, 2, 8, 3][..], down(Reason::GrpcNotServing, Phase::Transfer)),
    ] {
        let mut asked = question(answering(Answer::of(answer, "0", "")).await);
        asked.expect.status = Health::NotServing;
        let seen = ask_grpc(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
    }
}

#[tokio::test]
async fn over_tls_http_2_is_agreed_on_and_the_authority_verified() {
    let ca = Authority::new("ours");
    let over = async |alpn: &[&str]| {
        let acceptor = TlsAcceptor::from(Arc::new(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, alpn)));
        targets::serving(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                serve(stream, Answer::of(SERVING, "0", ""), mpsc::channel(1).0).await;
            }
        })
        .await
    };
    let asked = |target: SocketAddr| {
        let authority = Some("localhost".parse().unwrap());
        GrpcQuestion { tls: true, ca_pem: Some(ca.pem.clone()), authority, ..question(target) }
    };
    let good = over(&["h2"]).await;
    let seen = ask_grpc(asked(good), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(seen.evidence.tls.unwrap().alpn.as_deref(), Some("h2"));
    let other = GrpcQuestion { authority: Some("other.example".parse().unwrap()), ..asked(good) };
    assert_eq!(verdict(&ask_grpc(other, LONG_MS).await), down(Reason::TlsWrongName, Phase::Tls));
    let seen = ask_grpc(asked(over(&[]).await), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::HttpVersion, Phase::Tls), "{seen:?}");
    let seen = ask_grpc(asked(over(&["http/1.1"]).await), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::HttpVersion, Phase::Tls), "{seen:?}");
}

#[tokio::test]
async fn a_token_that_a_server_repeats_is_not_told() {
    let target = answering(Answer::only("16", "bad token s3cret-t0ken")).await;
    let metadata = vec![("authorization".to_owned(), "Bearer s3cret-t0ken".to_owned())];
    let seen = ask_grpc(GrpcQuestion { metadata, ..question(target) }, LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::GrpcStatus, Phase::FirstByte), "{seen:?}");
    assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
    assert!(seen.detail.unwrap().starts_with("UNAUTHENTICATED, the call failed: bad token"));
}
