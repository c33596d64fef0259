//! The gRPC check: one call of `grpc.health.v1.Health/Check` over HTTP/2.
//!
//! A new connection each time, as for HTTP. The call's own status is told before the service's health. Limits:
//! [`MAX_ANSWER_BYTES`](message::MAX_ANSWER_BYTES), and HTTP's for heads and trailers.

mod message;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use nines_shared::check::{GrpcQuestion, Health};
use nines_shared::sample::{Phase, Reason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::failure::Failure;
use super::handshake::{self, Terms};
use super::http::{AbortOnDrop, HARD_HEAD_BYTES, Tasks, beside, of_http, within_limits};
use super::record::Record;
use super::traceparent::{TRACEPARENT, traceparent};
use super::trust::Alpn;
use super::{Look, connect};
use message::{MAX_ANSWER_BYTES, Status};

const METHOD: &str = "/grpc.health.v1.Health/Check";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The codes of a call that ended otherwise than well, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Asks `question` once. The target is told how long until `deadline`.
pub(crate) async fn ask(
    look: &Look<'_>,
    question: &GrpcQuestion,
    deadline: Instant,
    record: &mut Record,
) -> Result<(), Failure> {
    let (host, port) = question.address.endpoint();
    let stream = connect::open(look, &host, port, question.reach, record).await?;
    let call = Call { question, record, agent: &look.prober.agent };
    let traceparent = traceparent(look.trace, 1);
    if !question.tls {
        return call.over(stream, deadline, traceparent).await;
    }
    let name = match &question.authority {
        Some(authority) => authority.host(),
        None => host,
    };
    let terms = Terms { ca_pem: question.ca_pem.as_deref(), alpn: Alpn::Http2, ..Terms::with(&name) };
    let stream = handshake::secure(look, stream, terms, call.record).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        let detail = "the target does not agree on HTTP/2 (ALPN h2)";
        return Err(Failure::theirs(Reason::HttpVersion, Phase::Tls, detail));
    }
    call.over(stream, deadline, traceparent).await
}

/// One call, over a connection that is made.
struct Call<'a> {
    question: &'a GrpcQuestion,
    record: &'a mut Record,
    agent: &'a HeaderValue,
}

impl Call<'_> {
    async fn over<S>(self, stream: S, deadline: Instant, traceparent: HeaderValue) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = request((self.question, self.agent), deadline, traceparent).map_err(|why| {
            Failure::ours(Reason::Unsupported, Phase::FirstByte, format!("the call can't be written: {why}"))
        })?;
        self.record.enter(Phase::FirstByte);
        let tasks = Tasks::default();
        let opened = http2::Builder::new(tasks.clone())
            .max_header_list_size(HARD_HEAD_BYTES)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await;
        let _ends_with_us = AbortOnDrop(tasks);
        let (mut sender, connection) = opened.map_err(|error| of_http(&error, Phase::FirstByte))?;
        beside(connection, self.receive(sender.send_request(request))).await
    }

    async fn receive(self, response: impl Future<Output = hyper::Result<Response<Incoming>>>) -> Result<(), Failure> {
        let response = response.await.map_err(|error| of_http(&error, Phase::FirstByte))?;
        let (head, body) = response.into_parts();
        within_limits(&head.headers)?;
        let theirs = |reason, detail| Err(Failure::theirs(reason, Phase::FirstByte, detail));
        if head.status != 200 {
            return theirs(
                Reason::HttpStatus,
                format!("HTTP status {} instead of a gRPC answer", head.status.as_u16()),
            );
        }
        let content_type = head.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        if !is_grpc(content_type) {
            let text = String::from_utf8_lossy(content_type);
            return theirs(Reason::GrpcMalformed, format!("content-type {text:?} is not application/grpc"));
        }
        // An answer that is nothing but trailers comes as a head.
        if head.headers.contains_key(GRPC_STATUS) {
            call_status(&head.headers, self.question, Phase::FirstByte)?;
            return Err(malformed("the call ended well without a message", Phase::FirstByte));
        }
        self.record.enter(Phase::Transfer);
        let (bytes, trailers) = read(body).await?;
        self.record.leave();
        call_status(&trailers, self.question, Phase::Transfer)?;
        let status = message::answer(&bytes).map_err(|why| malformed(why, Phase::Transfer))?;
        judge(status, self.question)
    }
}

fn request(
    (question, agent): (&GrpcQuestion, &HeaderValue),
    deadline: Instant,
    traceparent: HeaderValue,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let scheme = if question.tls { "https" } else { "http" };
    let uri = match &question.authority {
        Some(authority) => format!("{scheme}://{authority}{METHOD}"),
        None => format!("{scheme}://{}{METHOD}", question.address),
    };
    let mut headers = HeaderMap::with_capacity(8 + question.metadata.len());
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(TE, TRAILERS);
    // At most eight digits, of at least one millisecond.
    let left = deadline.saturating_duration_since(Instant::now()).as_millis().clamp(1, 99_999_999);
    headers.insert(GRPC_TIMEOUT, HeaderValue::try_from(format!("{left}m"))?);
    for (name, value) in &question.metadata {
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::try_from(value)?);
    }
    headers.entry(USER_AGENT).or_insert_with(|| agent.clone());
    headers.entry(TRACEPARENT).or_insert(traceparent);
    let mut request = Request::new(Full::new(Bytes::from(message::request(&question.service))));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(uri)?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

fn malformed(why: &str, phase: Phase) -> Failure {
    Failure::theirs(Reason::GrpcMalformed, phase, format!("not an answer of the gRPC health protocol: {why}"))
}

/// All of an answer and its trailers, which are empty where none came.
async fn read(mut body: Incoming) -> Result<(Vec<u8>, HeaderMap), Failure> {
    let mut bytes = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| of_http(&error, Phase::Transfer))?.into_data() {
            Ok(data) if MAX_ANSWER_BYTES < bytes.len() + data.len() => {
                return Err(malformed("it has more than 4096 bytes", Phase::Transfer));
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    within_limits(&trailers).map_err(|failure| Failure { phase: Phase::Transfer, ..failure })?;
    Ok((bytes, trailers))
}

/// Whether the call itself ended well, as `fields` say, which are trailers or a head in their place.
fn call_status(fields: &HeaderMap, question: &GrpcQuestion, phase: Phase) -> Result<(), Failure> {
    let Some(status) = fields.get(GRPC_STATUS) else {
        return Err(malformed("it ended without grpc-status", phase));
    };
    let code: Option<usize> = status.to_str().ok().and_then(|digits| digits.parse().ok());
    let Some(code) = code else {
        let text = String::from_utf8_lossy(status.as_bytes());
        return Err(malformed(&format!("grpc-status {text:?} is no number"), phase));
    };
    let name = CODES.get(code).map_or_else(|| format!("code {code}"), |name| (*name).to_owned());
    let meaning = match name.as_str() {
        "OK" => return Ok(()),
        "NOT_FOUND" => format!("the server knows no service {:?}", question.service),
        "UNIMPLEMENTED" => "the server does not speak the health protocol".to_owned(),
        _ => "the call failed".to_owned(),
    };
    // What a target did not get done until our deadline is the same to us whoever looks at the clock first.
    let reason = if name == "DEADLINE_EXCEEDED" { Reason::GrpcTimeout } else { Reason::GrpcStatus };
    let said = fields.get(GRPC_MESSAGE).map(|text| message::unescaped(text.as_bytes())).unwrap_or_default();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(Failure::theirs(reason, phase, format!("{name}, {meaning}{said}")))
}

fn judge(status: Status, question: &GrpcQuestion) -> Result<(), Failure> {
    let wanted = question.expect.status;
    let reason = match (status, wanted) {
        (Status::Serving, Health::Serving) | (Status::NotServing, Health::NotServing) => return Ok(()),
        (Status::Serving, Health::NotServing) => Reason::UnexpectedSuccess,
        (Status::Unknown | Status::NotServing | Status::ServiceUnknown | Status::Other(_), _) => Reason::GrpcNotServing,
    };
    let whose = if question.service.is_empty() { "the server".to_owned() } else { format!("{:?}", question.service) };
    Err(Failure::theirs(reason, Phase::Transfer, format!("{whose} says {status}; {} is expected", wanted.code())))
}
