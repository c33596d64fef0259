//! The header of W3C Trace Context: the sample's id, and one for each request, so that the target's own traces and
//! logs lead to the sample and back.

use std::io::Write as _;

use hyper::header::{HeaderName, HeaderValue};
use nines_shared::hash::fnv1a64;
use nines_shared::sample::TraceId;

/// Its name.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// `00-`, 32 digits, `-`, 16 digits, `-01`.
const LENGTH: usize = 55;

/// The value for the `number`th request of the sample with this id. Marked as sampled, so that the target's traces
/// show it. Written on the stack: every request has one.
pub(crate) fn traceparent(trace: TraceId, number: usize) -> HeaderValue {
    let mut origin = [0; 24];
    origin[..16].copy_from_slice(&trace.0.to_be_bytes());
    origin[16..].copy_from_slice(&(number as u64).to_be_bytes());
    let request = fnv1a64(&origin);
    let mut text = [b'0'; LENGTH];
    // It fits to the byte.
    let _written = write!(&mut text[..], "00-{trace}-{request:016x}-01");
    HeaderValue::from_bytes(&text).expect("hex digits and dashes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_of_a_sample_has_an_id_of_its_own_under_the_samples() {
        let of = |number| traceparent(TraceId(0xab), number).to_str().unwrap().to_owned();
        let parts: Vec<String> = of(1).split('-').map(str::to_owned).collect();
        assert_eq!([&parts[0], &parts[1], &parts[3]], ["00", "000000000000000000000000000000ab", "01"]);
        assert!(parts[2].len() == 16 && parts[2] != "0000000000000000");
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
    }
}
