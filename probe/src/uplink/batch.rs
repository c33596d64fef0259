//! Samples into a request: joined as the spool keeps them, compressed, within the wire's limits.

use std::io;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use nines_shared::id::ProbeId;
use nines_shared::wire::{BATCHES_PATH, Health, MAX_BATCH_BYTES, MAX_BATCH_DECODED_BYTES};

use super::delivery::Refused;
use crate::link::Query;
use crate::spool::Waiting;

/// How long the aggregator may take to commit a batch and say so.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an ack or a refusal.
const MAX_ACK_BYTES: usize = 64 << 10;
/// zstd's quickest: the work is done on the probe, and JSON of samples repeats itself.
const LEVEL: i32 = 1;

/// The request that delivers `rows`.
///
/// # Errors
/// A refusal of our own where they are more than the aggregator would read; fewer may fit.
pub(super) fn query(probe: &ProbeId, rows: &[Waiting], health: &Health) -> Result<Query, Refused> {
    let json = json(probe, rows, health);
    let too_large = |what: &str| Refused {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        why: format!("larger than a batch may be{what}"),
        sample: None,
    };
    if MAX_BATCH_DECODED_BYTES < json.len() {
        return Err(too_large(""));
    }
    let packed = pack(&json).map_err(|error| too_large(&format!(": {error}")))?;
    if MAX_BATCH_BYTES < packed.len() {
        return Err(too_large(""));
    }
    Ok(Query {
        method: Method::POST,
        path: BATCHES_PATH.to_owned(),
        encoding: Some("zstd"),
        body: Bytes::from(packed),
        patience: ACK_TIMEOUT,
        max_answer: MAX_ACK_BYTES,
    })
}

fn pack(json: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(json, LEVEL)
}

/// A [`nines_shared::wire::Batch`], without reading and writing every sample again.
fn json(probe: &ProbeId, rows: &[Waiting], health: &Health) -> Vec<u8> {
    let bytes: usize = rows.iter().map(|row| row.json.len() + 1).sum();
    let mut json = Vec::with_capacity(bytes + 1_024);
    json.extend_from_slice(format!("{{\"probe\":\"{probe}\",\"samples\":[").as_bytes());
    for (index, row) in rows.iter().enumerate() {
        if 0 < index {
            json.push(b',');
        }
        json.extend_from_slice(row.json.as_bytes());
    }
    json.extend_from_slice(b"],\"health\":");
    serde_json::to_writer(&mut json, health).expect("health has only text keys and memory takes it");
    json.push(b'}');
    json
}

/// Puts the pieces of a refused `part` onto `parts`, the first to be sent on top: around the sample that
/// the aggregator names, or halves.
pub(super) fn split<'a>(part: &'a [Waiting], fault: Option<usize>, parts: &mut Vec<&'a [Waiting]>) {
    let (from, to) = match fault {
        Some(index) if index < part.len() => (index, index + 1),
        Some(_) | None => (part.len() / 2, part.len() / 2),
    };
    for piece in [&part[to..], &part[from..to], &part[..from]] {
        if !piece.is_empty() {
            parts.push(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::sample;
    use nines_shared::time::Timestamp;
    use nines_shared::wire::Batch;
    use proptest::prelude::*;

    fn row(id: i64) -> Waiting {
        let sample = sample("home", id);
        Waiting { id, due: sample.scheduled_at, json: serde_json::to_string(&sample).unwrap() }
    }

    #[test]
    fn what_is_joined_reads_back_as_a_batch() {
        let health = Health { version: "1".into(), missed: 7, ..Health::default() };
        for count in [0, 1, 3] {
            let rows: Vec<Waiting> = (0..count).map(row).collect();
            let probe: ProbeId = "eu-west-1".parse().unwrap();
            let batch: Batch = serde_json::from_slice(&json(&probe, &rows, &health)).unwrap();
            let samples = (0..count).map(|second| sample("home", second)).collect();
            assert_eq!(batch, Batch { probe, samples, health: health.clone() });
        }
    }

    #[test]
    fn more_than_the_aggregator_would_read_is_refused_here() {
        let big = Waiting { id: 1, due: Timestamp::MIN, json: "x".repeat(MAX_BATCH_DECODED_BYTES) };
        let refused = query(&"p".parse().unwrap(), &[big], &Health::default()).unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    proptest! {
        #[test]
        fn pieces_are_smaller_and_together_the_whole(count in 2_usize..50, fault in prop::option::of(0_usize..60)) {
            let rows: Vec<Waiting> = (0..count as i64).map(|id| Waiting { id, due: Timestamp::MIN, json: String::new() }).collect();
            let mut parts = Vec::new();
            split(&rows, fault, &mut parts);
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.len() < count));
            let whole: Vec<Waiting> = parts.into_iter().rev().flatten().cloned().collect();
            prop_assert_eq!(whole, rows);
        }
    }
}
