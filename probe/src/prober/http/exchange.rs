//! One request and its response over one connection, timed and told apart from every way to fail.
//!
//! The connection is driven by the same task as the request, so that it ends with the attempt: no task
//! outlives a sample, whatever the target does.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::error::Error as _;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderMap;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use nines_shared::check::HttpQuestion;
use nines_shared::sample::{Phase, Reason, TraceId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::expect::{self, Body, Head};
use super::super::failure::{self, Failure};
use super::super::handshake;
use super::super::record::Record;
use super::super::traceparent::traceparent;
use super::body::{self, Keep, Plan};
use super::evidence::{EXCERPT_BYTES, MAX_EVIDENCE_WAIT};
use super::request::Target;
use super::{LOCATION, MAX_HEAD_BYTES, MAX_HEADERS, redirect};

/// How many bytes of a body an HTTP/2 or HTTP/3 target may send ahead of our reading.
pub(super) const WINDOW_BYTES: u32 = 1 << 20;

/// Beyond this an HTTP/2 or HTTP/3 head is not even taken in. Larger than [`MAX_HEAD_BYTES`], since all that the
/// library says of it is that the protocol was broken.
pub(crate) const HARD_HEAD_BYTES: u32 = 256 << 10;

/// Which HTTP is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// One hop, ready to be asked.
pub(super) struct Ask<'a, 'q> {
    pub(super) question: &'q HttpQuestion,
    pub(super) target: &'a Target<'q>,
    pub(super) trace: TraceId,
    pub(super) record: &'a mut Record,
}

impl<'q> Ask<'_, 'q> {
    /// Asks over `stream`. `None` where the response was the last and is as expected, else the next hop.
    pub(super) async fn over<S>(self, stream: S, protocol: Protocol) -> Result<Option<Target<'q>>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = self.request(protocol)?;
        let io = TokioIo::new(stream);
        self.record.enter(Phase::FirstByte);
        match protocol {
            Protocol::Http1 => {
                let opened = http1::Builder::new()
                    .max_headers(MAX_HEADERS)
                    .max_header_size(MAX_HEAD_BYTES)
                    .max_buf_size(2 * MAX_HEAD_BYTES)
                    .handshake::<_, Full<Bytes>>(io)
                    .await;
                let (mut sender, connection) = opened.map_err(|error| of_http(&error, Phase::FirstByte))?;
                beside(connection, self.receive(answer(sender.send_request(request)))).await
            }
            Protocol::Http2 => {
                let tasks = Tasks::default();
                let opened = http2::Builder::new(tasks.clone())
                    .initial_stream_window_size(WINDOW_BYTES)
                    .initial_connection_window_size(WINDOW_BYTES)
                    .max_header_list_size(HARD_HEAD_BYTES)
                    .handshake(io)
                    .await;
                let _ends_with_us = AbortOnDrop(tasks);
                let (mut sender, connection) = opened.map_err(|error| of_http(&error, Phase::FirstByte))?;
                beside(connection, self.receive(answer(sender.send_request(request)))).await
            }
        }
    }

    /// The request, as `protocol` wants it.
    pub(super) fn request(&self, protocol: Protocol) -> Result<Request<Full<Bytes>>, Failure> {
        let hop = self.record.evidence.hops.len();
        self.target.request(self.question, protocol, traceparent(self.trace, hop))
    }

    /// Judges `response`, whatever it comes over.
    pub(super) async fn receive<B>(
        self,
        response: impl Future<Output = Result<Response<B>, Failure>>,
    ) -> Result<Option<Target<'q>>, Failure>
    where
        B: hyper::body::Body<Data = Bytes, Error = Failure> + Unpin,
    {
        let (head, incoming) = response.await?.into_parts();
        let status = head.status.as_u16();
        let version = shown_version(head.version);
        if let Some(hop) = self.record.evidence.hops.last_mut() {
            hop.status = Some(status);
            hop.version = Some(version.to_owned());
        }
        let head = self.record.head.insert(Head { status, version, headers: head.headers });
        within_limits(&head.headers)?;
        if 0 < self.question.redirects && redirect::is_redirect(status) {
            let next = self.next(status);
            self.record.leave();
            return next.map(Some);
        }
        if let Err(failure) = expect::judge_head(&self.question.expect, head) {
            return Err(self.excerpt(failure, incoming).await);
        }
        self.body(incoming).await.map(|()| None)
    }

    /// Reads the body as far as the check wants it.
    async fn body<B>(self, incoming: B) -> Result<(), Failure>
    where
        B: hyper::body::Body<Data = Bytes, Error = Failure> + Unpin,
    {
        self.record.enter(Phase::Transfer);
        let expect = &self.question.expect;
        let keep = match (expect.wants_body(), expect.body_size) {
            (true, _) => Keep::Bytes,
            (false, Some(_)) => Keep::Size,
            (false, None) => Keep::Nothing,
        };
        let plan = Plan { limit: self.question.max_body_bytes as usize, keep };
        let read =
            body::read(incoming, plan, self.record.head.as_ref(), self.record.body.insert(Body::default())).await;
        self.record.leave();
        self.record.is_read = read.is_ok();
        read
    }

    /// Reads the beginning of the body, which only people want now that the head is not as expected. What
    /// goes wrong with it is no news.
    async fn excerpt<B>(self, failure: Failure, incoming: B) -> Failure
    where
        B: hyper::body::Body<Data = Bytes, Error = Failure> + Unpin,
    {
        self.record.settle(failure.clone());
        let plan = Plan { limit: EXCERPT_BYTES, keep: Keep::Bytes };
        let body = self.record.body.insert(Body::default());
        let _cut_or_broken =
            timeout(MAX_EVIDENCE_WAIT, body::read(incoming, plan, self.record.head.as_ref(), body)).await;
        failure
    }

    fn next(&self, status: u16) -> Result<Target<'q>, Failure> {
        let head = self.record.head.as_ref();
        let location = head.and_then(|head| head.headers.get(LOCATION)).map(|value| value.as_bytes());
        let url = redirect::destination(&self.target.url, location).map_err(|why| {
            Failure::theirs(Reason::RedirectInvalid, Phase::FirstByte, format!("status {status}: {why}"))
        })?;
        Ok(self.target.redirected(status, url))
    }
}

/// hyper's answer, with its errors told apart.
async fn answer(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Failure> + Unpin>, Failure> {
    let broken = |error: hyper::Error| of_http(&error, Phase::Transfer);
    let response = response.await.map_err(|error| of_http(&error, Phase::FirstByte))?;
    Ok(response.map(|incoming| incoming.map_err(broken)))
}

/// Whether a head is within the limits. The connection holds to them only as it reads: what comes in one
/// piece may be larger, and this must not depend on how a response is cut into pieces.
pub(crate) fn within_limits(headers: &HeaderMap) -> Result<(), Failure> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() <= MAX_HEADERS && bytes <= MAX_HEAD_BYTES {
        return Ok(());
    }
    let detail = format!(
        "{} header fields of {bytes} bytes; at most {MAX_HEADERS} of {MAX_HEAD_BYTES} bytes are read",
        headers.len()
    );
    Err(Failure::theirs(Reason::HttpHeadersTooLarge, Phase::FirstByte, detail))
}

/// Polls `connection` while `work` goes on, and ends with `work`. What a connection ends with is told to
/// the request that waits on it.
pub(crate) async fn beside<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let (mut connection, mut work) = (pin!(connection), pin!(work));
    let mut open = true;
    poll_fn(|cx| {
        if open && connection.as_mut().poll(cx).is_ready() {
            open = false;
        }
        let done = work.as_mut().poll(cx);
        if open && done.is_pending() && connection.as_mut().poll(cx).is_ready() {
            open = false;
            return work.as_mut().poll(cx);
        }
        done
    })
    .await
}

fn shown_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// Why an exchange failed in `phase`.
pub(crate) fn of_http(error: &hyper::Error, phase: Phase) -> Failure {
    let detail = with_causes(error);
    let theirs = |reason| Failure::theirs(reason, phase, detail.clone());
    if error.is_parse_too_large() {
        return theirs(Reason::HttpHeadersTooLarge);
    }
    if error.is_parse() {
        return theirs(Reason::HttpMalformed);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return of_h2(error, phase, &detail);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return of_io(error, phase, &detail);
        }
        cause = error.source();
    }
    // What remains is an end of the connection: before the head, within the body, or before we could write.
    theirs(Reason::HttpClosed)
}

fn of_h2(error: &h2::Error, phase: Phase, detail: &str) -> Failure {
    if let Some(error) = error.get_io() {
        return of_io(error, phase, detail);
    }
    let reason = match error.reason() {
        Some(h2::Reason::HTTP_1_1_REQUIRED) => Reason::HttpVersion,
        _ if error.is_remote() => Reason::HttpClosed,
        Some(_) | None => Reason::HttpMalformed,
    };
    Failure::theirs(reason, phase, detail)
}

fn of_io(error: &io::Error, phase: Phase, detail: &str) -> Failure {
    if let Some(tls) = handshake::tls_error(error) {
        return Failure::theirs(handshake::reason_of(tls), phase, tls.to_string());
    }
    let reason = match error.kind() {
        // hyper tells of broken chunks so.
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Reason::HttpMalformed,
        ErrorKind::TimedOut if phase == Phase::Transfer => Reason::BodyTimeout,
        ErrorKind::TimedOut => Reason::HttpTimeout,
        _ => match failure::our_own(error, phase) {
            Some(ours) => return ours,
            None => Reason::HttpClosed,
        },
    };
    Failure::theirs(reason, phase, detail)
}

fn with_causes(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The tasks that an HTTP/2 connection asks for.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move {
            task.await;
        });
    }
}

/// Ends the tasks with the attempt.
pub(crate) struct AbortOnDrop(pub(crate) Tasks);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
