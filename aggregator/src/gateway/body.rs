//! Bodies of requests: read within a time and a size, decompressed within another.

use std::borrow::Cow;
use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;
use nines_shared::wire::MAX_BATCH_DECODED_BYTES;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::answer::Refused;

/// The largest window that a zstd frame may ask for, as a power of two: 8 MiB, what a batch may hold.
const WINDOW_LOG_MAX: u32 = 23;

/// The most values in a body, where an object counts for [`VALUES_OF_AN_OBJECT`]: one of three bytes may parse into
/// hundreds. What probes send has more than ten bytes a value, and a batch of it at most 4 MiB.
const MAX_VALUES: usize = 512 << 10;
/// How many values an object counts for.
const VALUES_OF_AN_OBJECT: usize = 4;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Zstd,
}

impl Encoding {
    /// What the headers say.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
            None | Some(b"identity") => Ok(Self::Plain),
            Some(b"zstd") => Ok(Self::Zstd),
            Some(_other) => Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "encoding",
                "the body is compressed in a way that is not known here; use zstd",
            )),
        }
    }
}

/// The whole body, of at most `limit` bytes and within `patience`.
pub(super) async fn whole(body: Body, limit: usize, patience: Duration) -> Result<Bytes, Refused> {
    match timeout(patience, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large(limit)),
        Ok(Err(_broken)) => {
            Err(Refused::new(StatusCode::BAD_REQUEST, "truncated", "the connection ended before the body did"))
        }
        Err(_elapsed) => {
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not come in time; send less at once"))
        }
    }
}

/// What `body` says once decompressed. One that is larger than a batch may be is given up at the limit:
/// the rest of a bomb is never decompressed.
pub(super) fn decoded<T: DeserializeOwned>(body: &[u8], encoding: Encoding) -> Result<T, Refused> {
    parsed(&plain(body, encoding)?)
}

/// `body` without its compression, and no more of it than a batch may be.
pub(super) fn plain(body: &[u8], encoding: Encoding) -> Result<Cow<'_, [u8]>, Refused> {
    match encoding {
        Encoding::Plain => Ok(Cow::Borrowed(body)),
        Encoding::Zstd => Ok(Cow::Owned(unpacked(body, MAX_BATCH_DECODED_BYTES)?)),
    }
}

fn unpacked(body: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let malformed = |error: std::io::Error| malformed(format!("the body is not whole zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(malformed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(malformed)?;
    let mut plain = Vec::new();
    let more_than_the_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(more_than_the_limit).read_to_end(&mut plain).map_err(malformed)?;
    if limit < plain.len() { Err(too_large(limit)) } else { Ok(plain) }
}

/// What `plain` says.
pub(super) fn parsed<T: DeserializeOwned>(plain: &[u8]) -> Result<T, Refused> {
    if MAX_VALUES < values(plain) {
        let message = format!("the body has more than {MAX_VALUES} values; send less at once");
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
    }
    serde_json::from_slice(plain).map_err(|error| malformed(format!("the body is not what is expected: {error}")))
}

/// About how many values JSON has. What stands in strings is none, whatever a target wrote there.
fn values(json: &[u8]) -> usize {
    let (mut values, mut in_string, mut escaped) = (0, false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{') => values += VALUES_OF_AN_OBJECT,
            (false, b'[' | b',') => values += 1,
            (true | false, _) => {}
        }
    }
    values
}

fn malformed(message: String) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "malformed", message)
}

fn too_large(limit: usize) -> Refused {
    let message = format!("the body has more than {limit} bytes; send less at once");
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_given_up_at_the_limit() {
        // 64 MiB of spaces in some 6 KiB.
        let bomb = zstd::encode_all(std::io::repeat(b' ').take(64 << 20), 3).unwrap();
        assert!(bomb.len() < 64 << 10);
        let refused = unpacked(&bomb, 1 << 20).unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
        let decoder = zstd::stream::read::Decoder::with_buffer(&bomb[..]).unwrap();
        assert_eq!(decoder.take(1 << 20).read_to_end(&mut Vec::new()).unwrap(), 1 << 20);
    }

    #[test]
    fn inv_9_a_body_of_many_empty_things_is_refused_before_it_is_parsed() {
        let many = |thing: &str, times: usize| format!("[{}]", vec![thing; times].join(","));
        let error =
            |body: &str| parsed::<serde::de::IgnoredAny>(body.as_bytes()).err().map(|refused| refused.refusal.error);
        // Each object, and the comma before all but the first, and the list.
        let objects = MAX_VALUES / (VALUES_OF_AN_OBJECT + 1);
        assert_eq!(error(&many("{}", objects)), None);
        assert_eq!(error(&many("{}", objects + 1)).as_deref(), Some("too_large"));
        assert_eq!(error(&many("\"\"", MAX_VALUES)), None);
        assert_eq!(error(&many("\"\"", MAX_VALUES + 1)).as_deref(), Some("too_large"));
        // A target may write whatever it likes into what is kept of it.
        let quoted = serde_json::to_string(&"{\"\\,[".repeat(MAX_VALUES)).unwrap();
        assert_eq!((error(&quoted), values(br#"{"a\"{":["\\",{}]}"#)), (None, 2 * VALUES_OF_AN_OBJECT + 2));
    }

    #[test]
    fn exactly_the_limit_passes() {
        let packed = zstd::encode_all(&[b' '; 1_000][..], 3).unwrap();
        assert_eq!(unpacked(&packed, 1_000).unwrap().len(), 1_000);
        assert_eq!(unpacked(&packed, 999).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_frame_that_ends_early_is_malformed_and_so_is_one_that_wants_a_huge_window() {
        let packed = zstd::encode_all(&br#"{"probe":"a","samples":[]}"#[..], 3).unwrap();
        for cut in 0..packed.len() {
            let refused = decoded::<serde_json::Value>(&packed[..cut], Encoding::Zstd).unwrap_err();
            assert_eq!(refused.refusal.error, "malformed", "cut at {cut}");
        }
        let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        wide.window_log(27).unwrap();
        std::io::copy(&mut std::io::repeat(b' ').take(200 << 20), &mut wide).unwrap();
        let refused = unpacked(&wide.finish().unwrap(), 1 << 20).unwrap_err();
        assert_eq!(refused.refusal.error, "malformed");
    }
}
