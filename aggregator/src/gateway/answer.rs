//! Answers that are not what was asked for: a status, a stable code, and how to mend it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nines_shared::wire::Refusal;

use super::limits::RETRY_AFTER_S;
use crate::store::StoreError;

/// A refusal and its status. A 4xx says that the request is wrong, a 5xx that we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A 4xx or a 5xx.
    pub status: StatusCode,
    /// The body of the answer.
    pub refusal: Refusal,
    /// When to come again, in seconds, where that is known.
    pub again_s: Option<u64>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            refusal: Refusal { error: code.to_owned(), message: message.into(), sample: None },
            again_s: None,
        }
    }

    /// The same, of the sample at `index`.
    pub(super) fn of_sample(mut self, index: usize) -> Self {
        self.refusal.sample = Some(index);
        self
    }

    /// We can't now; the probe keeps what it has and comes again.
    pub(super) fn later(code: &str, message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).again_after(RETRY_AFTER_S)
    }

    /// The same, with when to come again.
    pub(super) fn again_after(mut self, seconds: u64) -> Self {
        self.again_s = Some(seconds);
        self
    }
}

impl From<StoreError> for Refused {
    /// A probe is told that the store failed and nothing of why: that is the operator's affair.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "gateway.store_failed");
        Self::later("store", "the aggregator can't store or read at the moment")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.refusal)).into_response();
        if let Some(seconds) = self.again_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
