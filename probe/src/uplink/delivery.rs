//! PURE: what an answer means. Anything but a fitting ack is not a delivery.

use std::fmt;

use hyper::StatusCode;
use nines_shared::sample::detail;
use nines_shared::wire::{Ack, Refusal};

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Committed and synced, all of it.
    Acked(Ack),
    /// It will not be taken as it is.
    Refused(Refused),
    /// Nobody knows; it may be sent again.
    Failed(String),
}

/// A 4xx, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
    /// The index of the sample at fault, where the aggregator knows it.
    pub(super) sample: Option<usize>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.why)
    }
}

/// What the answer with `status` and `body` says of a batch of `samples` samples.
pub(super) fn of(status: StatusCode, body: &[u8], samples: usize) -> Delivery {
    if status == StatusCode::OK {
        return match serde_json::from_slice::<Ack>(body) {
            Ok(ack) if ack.samples == samples => Delivery::Acked(ack),
            Ok(ack) => Delivery::Failed(format!("the ack is for {} samples, not {samples}", ack.samples)),
            Err(error) => Delivery::Failed(format!("the ack can't be read: {error}")),
        };
    }
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    let sample = refusal.as_ref().and_then(|refusal| refusal.sample);
    let why = refusal.map_or_else(String::new, |refusal| format!("{}: {}", refusal.error, refusal.message));
    let why = detail(&why);
    if status.is_client_error() && !is_about_now(status) {
        Delivery::Refused(Refused { status, why, sample })
    } else {
        Delivery::Failed(format!("the aggregator answered {status} {why}"))
    }
}

/// A 4xx that speaks of the moment and not of the batch: a conflict is with another process that is this probe now.
fn is_about_now(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::time::Timestamp;

    fn delivery(status: u16, body: &str) -> Delivery {
        of(StatusCode::from_u16(status).unwrap(), body.as_bytes(), 2)
    }

    #[test]
    fn inv_2_only_a_fitting_ack_with_status_200_is_a_delivery() {
        let ack = Ack { samples: 2, stored: 0, now: Timestamp::from_ms(5) };
        let body = r#"{"samples":2,"stored":0,"now":5}"#;
        assert_eq!(delivery(200, body), Delivery::Acked(ack));
        for (status, body) in [
            (200, r#"{"samples":3,"stored":0,"now":5}"#),
            (200, "{}"),
            (200, ""),
            (200, "<html>It works!</html>"),
            (201, body),
            (202, body),
            (204, ""),
            (301, body),
            (500, body),
            (503, body),
            (408, body),
            (409, body),
            (429, body),
        ] {
            assert!(matches!(delivery(status, body), Delivery::Failed(_)), "{status} {body}");
        }
    }

    #[test]
    fn a_4xx_is_a_refusal_with_the_sample_at_fault_where_it_names_one() {
        let body = r#"{"error":"foreign_check","message":"no such check","sample":1}"#;
        let Delivery::Refused(refused) = delivery(422, body) else { panic!() };
        assert_eq!((refused.sample, refused.to_string().as_str()), (Some(1), "422: foreign_check: no such check"));
        assert!(matches!(delivery(400, "garbage"), Delivery::Refused(_)));
    }
}
