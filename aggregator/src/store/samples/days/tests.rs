//! What is kept of a day is what its rows give, whatever was stored when.

use std::collections::BTreeMap;

use nines_shared::sample::{Outcome, Reason, SampleKind};
use proptest::prelude::*;

use super::*;
use crate::fingerprint;
use crate::store::Store;
use crate::store::samples::sweep::sweep;
use crate::store::samples::{canonical, each_in_identity_order, insert};
use crate::store::tests::{sample, store};

const EVER: Span = Span { from: Timestamp::MIN, to: Timestamp::MAX };

fn put(store: &Store, samples: Vec<Sample>) {
    store.write_blocking(move |tx| insert(tx, &samples, Timestamp::from_ms(0))).unwrap();
}

/// Seals every day from `from` to `to`, as the server does.
fn seal_all(store: &Store, from: i64, to: i64) {
    let open = store.read_blocking(|conn| {
        let mut open = opened_again(conn, u32::MAX)?;
        for day in from..to {
            open.extend(never_sealed(conn, day)?);
        }
        Ok(open)
    });
    let open = open.unwrap();
    store.write_blocking(move |tx| seal(tx, &open)).unwrap();
}

fn checks() -> [CheckId; 2] {
    ["shop-dns", "shop-home"].map(|check| check.parse().unwrap())
}

/// The list of days as a sweep gives it, which uses what is sealed.
fn swept(store: &Store, span: Span) -> Vec<String> {
    let mut lines = Vec::new();
    for check in checks() {
        for swept in store.read_blocking(|conn| sweep(conn, &check, span, Form::Days)).unwrap() {
            lines.extend(swept.days.iter().map(|day| line((&check, &swept.region), day)));
        }
    }
    lines
}

/// The same by the words of `docs/METHOD.md`, from the samples as they are exported.
fn by_the_book(store: &Store, span: Span) -> Vec<String> {
    let mut days: BTreeMap<(String, String, i64), Vec<String>> = BTreeMap::new();
    let read = store.read_blocking(|conn| {
        each_in_identity_order(conn, None, span, |sample| {
            let day = sample.scheduled_at.as_ms().div_euclid(86_400_000) * 86_400_000;
            let key = (sample.check.to_string(), sample.region.to_string(), day);
            days.entry(key).or_default().push(canonical(sample) + "\n");
            Ok::<_, StoreError>(())
        })
    });
    read.unwrap();
    let line = |((check, region, day), lines): (&(String, String, i64), &Vec<String>)| {
        let digest = fingerprint::of(lines.concat().as_bytes());
        format!("{check} {region} {day} {} {}", lines.len(), digest.trim_start_matches("sha256:"))
    };
    days.iter().map(line).collect()
}

fn sealed_digests(store: &Store) -> i64 {
    store.read_blocking(|conn| Ok(conn.query_row("SELECT count(digest) FROM day", [], |row| row.get(0))?)).unwrap()
}

fn on_day(day: i64) -> Sample {
    sample("eu-west", day * DAY_MS + 60_000)
}

#[test]
fn a_day_has_the_digest_of_its_lines_and_the_list_is_in_order() {
    let (_folder, store) = store();
    let extra = Sample { kind: SampleKind::Extra, ..on_day(3) };
    let dns = Sample { check: "shop-dns".parse().unwrap(), ..on_day(4) };
    put(&store, vec![on_day(4), extra.clone(), on_day(3), dns]);
    let lines = swept(&store, EVER);
    let names: Vec<&str> = lines.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(
        names,
        ["shop-dns eu-west 345600000 1", "shop-home eu-west 259200000 2", "shop-home eu-west 345600000 1"]
    );
    assert_eq!(lines, by_the_book(&store, EVER));
    let mut listed = Vec::new();
    let list = store.read_blocking(|conn| {
        each_line(conn, Some(&checks()), EVER, |line| {
            listed.push(line.to_owned());
            Ok::<_, StoreError>(())
        })
    });
    list.unwrap();
    assert_eq!(listed, lines);
}

#[test]
fn a_sealed_day_is_not_digested_again_and_one_at_the_edge_of_the_span_is() {
    let (_folder, store) = store();
    put(&store, vec![on_day(3), on_day(4)]);
    seal_all(&store, 3, 5);
    // Only somebody who goes behind the triggers can make the two differ; so it shows which of them was used.
    store.write_blocking(|tx| Ok(tx.execute("UPDATE day SET digest = zeroblob(32)", [])?)).unwrap();
    let zeros = |lines: Vec<String>| lines.iter().filter(|line| line.ends_with(&"0".repeat(64))).count();
    let until = |to| Span { from: span_of(3).from, to };
    assert_eq!(zeros(swept(&store, until(span_of(4).to))), 2);
    assert_eq!(zeros(swept(&store, until(span_of(4).to.plus_ms(-1)))), 1);
    assert_eq!(zeros(swept(&store, Span { from: span_of(3).from.plus_ms(1), to: span_of(4).to })), 1);
}

#[test]
fn a_late_sample_opens_its_day_again_and_no_other_and_a_repeated_one_opens_none() {
    let (_folder, store) = store();
    put(&store, vec![on_day(3), on_day(4), on_day(5)]);
    seal_all(&store, 3, 6);
    assert_eq!(sealed_digests(&store), 3);
    put(&store, vec![on_day(3), on_day(6)]);
    assert_eq!(sealed_digests(&store), 3, "what is there already, and what is later than all, changes nothing");
    put(&store, vec![Sample { kind: SampleKind::Extra, ..on_day(4) }]);
    assert_eq!(sealed_digests(&store), 2);
    let open = || store.read_blocking(|conn| opened_again(conn, 10)).unwrap();
    assert_eq!(open().iter().map(|(_, day)| *day).collect::<Vec<_>>(), [4]);
    seal_all(&store, 3, 6);
    assert_eq!((sealed_digests(&store), open()), (3, vec![]));
    put(&store, vec![Sample { started_at: on_day(5).scheduled_at, ..on_day(5) }]);
    assert_eq!(sealed_digests(&store), 2, "an earlier start takes the place of the one that was there");
    put(&store, vec![Sample { region: "us-east".parse().unwrap(), ..on_day(3) }]);
    assert_eq!(open().len(), 2, "a series that is new to a sealed day is to be sealed too");
}

#[test]
fn history_that_comes_days_late_is_to_be_sealed_although_nothing_was_sealed_before() {
    let (_folder, store) = store();
    let samples = [3, 4, 5, 6].map(on_day);
    store.write_blocking(move |tx| insert(tx, &samples, on_day(6).started_at)).unwrap();
    let open = store.read_blocking(|conn| opened_again(conn, 10)).unwrap();
    assert_eq!(open.iter().map(|(_, day)| *day).collect::<Vec<_>>(), [3, 4], "yesterday may still be on its way");
}

#[test]
fn a_row_that_a_person_changes_or_deletes_opens_its_day_again() {
    for sql in ["UPDATE sample SET outcome = 2", "DELETE FROM sample", "UPDATE sample SET scheduled_at = 259200001"] {
        let (_folder, store) = store();
        put(&store, vec![on_day(4)]);
        seal_all(&store, 3, 5);
        store.write_blocking(move |tx| Ok(tx.execute(sql, [])?)).unwrap();
        assert_eq!(swept(&store, EVER), by_the_book(&store, EVER), "{sql}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<Sample>),
    Seal(i64, i64),
    /// A look at a span, in hours from the first day.
    Look(i64, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = (0..2_usize, 0..2_usize, 0..48_i64, any::<bool>(), 0..3_i64, 0..4_usize).prop_map(
        |(check, region, hour, extra, late, outcome)| {
            let mut sample = sample(["eu-west", "us-east"][region], 3 * DAY_MS + hour * 3_600_000 + hour % 2);
            sample.check = checks()[check].clone();
            sample.kind = if extra { SampleKind::Extra } else { SampleKind::Planned };
            sample.started_at = sample.scheduled_at.plus_ms(late);
            sample.outcome = Outcome::ALL[outcome];
            sample.reason = (outcome == 2).then_some(Reason::ConnectRefused);
            sample.detail = (outcome == 3).then(|| "no route".to_owned());
            sample
        },
    );
    let step = prop_oneof![
        3 => prop::collection::vec(one, 1..10).prop_map(Step::Put),
        2 => (3..6_i64, 3..6_i64).prop_map(|(from, to)| Step::Seal(from, to)),
        2 => (0..50_i64, 0..50_i64).prop_map(|(from, to)| Step::Look(from.min(to), from.max(to))),
    ];
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_stored_and_sealed_when_a_sweep_gives_what_the_rows_give(steps in steps()) {
        let (_folder, store) = store();
        for step in steps.into_iter().chain([Step::Seal(3, 6), Step::Look(0, 50)]) {
            match step {
                Step::Put(samples) => put(&store, samples),
                Step::Seal(from, to) => seal_all(&store, from, to),
                Step::Look(from, to) => {
                    let hour = |hour| Timestamp::from_ms(3 * DAY_MS + hour * 3_600_000);
                    let span = Span { from: hour(from), to: hour(to) };
                    prop_assert_eq!(swept(&store, span), by_the_book(&store, span));
                    for check in checks() {
                        let by = |form| store.read_blocking(|conn| sweep(conn, &check, span, form)).unwrap();
                        for (days, lines) in by(Form::Days).into_iter().zip(by(Form::Lines)) {
                            prop_assert_eq!((days.samples, days.failures), (lines.samples, lines.failures));
                        }
                    }
                }
            }
        }
    }
}
