//! INV-3 and INV-7: whatever the order of batches and however often they are repeated, the store holds the same
//! samples and the report has the same bytes.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::path::Path;

use nines::definition::Fleet;
use nines::definition::look::Look;
use nines::report::{self, Format, ReportRequest, Time};
use nines::store::{Store, StoreError, definitions, samples};
use nines_shared::sample::{Outcome, Reason, Sample, SampleKind};
use nines_shared::time::{Span, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

const FLEET: &str = r#"
environment = "test"
[aggregator]
probes = "127.0.0.1:0"
web = "127.0.0.1:0"
database = "nines.db"
[[region]]
id = "ap-south"
name = "Mumbai"
[[region]]
id = "eu-west"
name = "Ireland"
[[region]]
id = "us-east"
name = "Virginia"
[[customer]]
id = "acme"
name = "Acme GmbH"
timezone = "Europe/Berlin"
[[service]]
id = "shop"
customer = "acme"
since = "2026-09-21T00:00:00Z"
slo = { availability = 99.95, window = "30d" }
sla = { availability = 99.9, period = "month" }
[[check]]
id = "shop-home"
service = "shop"
interval = "60s"
regions = ["ap-south", "eu-west", "us-east"]
http = { url = "https://shop.example/" }
"#;
const BEGIN: Timestamp = Timestamp::from_ms(1_790_000_000_000);
const SLOTS: i64 = 40;
const REGIONS: usize = 3;
const PER_BATCH: usize = 12;

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn inv_3_7_any_order_and_repetition_of_batches_gives_the_same_store_and_the_same_report(
        outcomes in prop::collection::vec(0..10_u8, REGIONS * usize::try_from(SLOTS).unwrap()),
        order in prop::collection::vec(0..1_000_usize, 30),
    ) {
        let fleet = nines::fleet_file::parse(FLEET, Path::new("nines.toml")).unwrap().0;
        let samples = samples_of(&fleet, &outcomes);
        let batches: Vec<&[Sample]> = samples.chunks(PER_BATCH).collect();
        let straight: Vec<usize> = (0..batches.len()).collect();
        // Every batch at least once, and thirty more as they come, in an order that has nothing to do with time.
        let mut shuffled: Vec<usize> = order.iter().map(|n| n % batches.len()).chain(straight.iter().rev().copied()).collect();
        shuffled.rotate_left(order[0] % order.len());
        let one = received(&fleet, &batches, &straight);
        let other = received(&fleet, &batches, &shuffled);
        prop_assert_eq!(&one.0, &other.0, "the same content");
        for (left, right) in one.1.iter().zip(&other.1) {
            prop_assert!(left == right, "the same bytes");
            prop_assert!(500 < left.len(), "a report has something to say");
        }
    }
}

/// The content's digest, and the report as JSON and as HTML, of a store that received `batches` in `order`.
fn received(fleet: &Fleet, batches: &[&[Sample]], order: &[usize]) -> (String, [Vec<u8>; 3]) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("nines.db")).unwrap();
    let definitions = fleet.clone();
    store.write_blocking(move |tx| definitions::load(tx, &definitions, BEGIN)).unwrap();
    for (minute, index) in order.iter().enumerate() {
        let batch = batches[*index].to_vec();
        let received_at = BEGIN.plus_ms(i64::try_from(minute).unwrap() * 60_000);
        store.write_blocking(move |tx| samples::insert(tx, &batch, received_at)).unwrap();
    }
    let request = ReportRequest {
        environment: "test".to_owned(),
        customer: None,
        service: None,
        time: Time::Window(Span::new(BEGIN, BEGIN.plus_ms(SLOTS * 60_000))),
    };
    let now = BEGIN.plus_ms(30 * 86_400_000);
    let build = |conn: &rusqlite::Connection| Ok::<_, StoreError>(report::build(conn, &request, now).unwrap());
    let report = store.read_blocking(build).unwrap();
    let digest = store.read_blocking(samples::content_digest).unwrap();
    (digest, [Format::Json, Format::Html, Format::Pdf].map(|format| report::render(&report, format, &Look::default())))
}

/// One sample a slot and region, with an outcome for each die that was cast; some slots stay empty.
fn samples_of(fleet: &Fleet, outcomes: &[u8]) -> Vec<Sample> {
    let check = &fleet.checks[0];
    let span = Span::new(BEGIN, BEGIN.plus_ms(SLOTS * 60_000));
    let slots = check
        .regions
        .iter()
        .flat_map(|region| check.cadence(region).unwrap().slots_in(span).map(move |slot| (region, slot)));
    slots
        .zip(outcomes)
        .filter_map(|((region, slot), die)| {
            let (outcome, reason) = match die {
                0 => return None,
                1 => (Outcome::Inconclusive, Some(Reason::NoRoute)),
                2 => (Outcome::Degraded, Some(Reason::Slow)),
                3..=5 => (Outcome::Down, Some(Reason::ConnectRefused)),
                _ => (Outcome::Up, None),
            };
            let sample = serde_json::json!({
                "check": check.id, "region": region, "probe": format!("{region}-1"), "kind": SampleKind::Planned, "scheduled_at": slot,
                "started_at": slot.plus_ms(i64::from(*die)), "outcome": outcome, "reason": reason, "duration_us": 900 + u64::from(*die),
            });
            Some(serde_json::from_value(sample).unwrap())
        })
        .collect()
}
