//! Headers that every answer bears, and the time every answer may take.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// How long an answer's head may take to make; streams go on after it.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What a page may load: its own style, its own script, itself. Nothing inline, nothing foreign.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                          connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const STRICT: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-site"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Runs the request within [`ANSWER_TIMEOUT`] and adds the strict headers to its answer.
pub(super) async fn strict(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => (StatusCode::SERVICE_UNAVAILABLE, "the answer took too long; try again\n").into_response(),
    };
    add(response.headers_mut());
    response
}

fn add(headers: &mut HeaderMap) {
    for (name, value) in STRICT {
        // What a handler has set stands: a badge may be shown anywhere, a report brings its own style.
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    // What is true now is not true in a second: only assets say that they may be kept.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
