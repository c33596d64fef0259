//! PURE: what an answer means. Anything but a fitting ack is not a delivery.

use std::fmt;
use std::time::Duration;

use hyper::StatusCode;
use nines_shared::sample::detail;
use nines_shared::wire::{Ack, Refusal};

use crate::link::Answer;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Committed and synced, all of it.
    Acked(Ack),
    /// It will not be taken as it is.
    Refused(Refused),
    /// Nobody knows; it may be sent again.
    Failed(Failed),
}

/// Why it is not known to be delivered, and how long the aggregator asks to be left alone, where it does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Failed {
    pub(super) why: String,
    pub(super) again: Option<Duration>,
}

impl Failed {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: None }
    }
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

/// What `answer` says of a batch of `samples` samples.
pub(super) fn of(answer: &Answer, samples: usize) -> Delivery {
    let (status, body) = (answer.status, &*answer.body);
    if status == StatusCode::OK {
        return match serde_json::from_slice::<Ack>(body) {
            Ok(ack) if ack.samples == samples => Delivery::Acked(ack),
            Ok(ack) => {
                let why = format!("the ack is for {} samples, not {samples}", ack.samples);
                Delivery::Failed(Failed::because(why))
            }
            Err(error) => Delivery::Failed(Failed::because(format!("the ack can't be read: {error}"))),
        };
    }
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    let sample = refusal.as_ref().and_then(|refusal| refusal.sample);
    let why = refusal.map_or_else(String::new, |refusal| format!("{}: {}", refusal.error, refusal.message));
    let why = detail(&why);
    if status.is_client_error() && !is_about_now(status) {
        Delivery::Refused(Refused { status, why, sample })
    } else {
        let why = format!("the aggregator answered {status} {why}");
        Delivery::Failed(Failed { why, again: answer.retry_after })
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
    use tokio::time::Instant;

    fn delivery(status: u16, body: &str) -> Delivery {
        let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_owned().into());
        of(&Answer { status, body, retry_after: Some(Duration::from_secs(3)), sent: Instant::now() }, 2)
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
    fn an_answer_that_is_about_now_says_when_to_come_again() {
        for status in [429, 503] {
            let Delivery::Failed(failed) = delivery(status, "{}") else { panic!("{status}") };
            assert_eq!(failed.again, Some(Duration::from_secs(3)), "{status}");
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
