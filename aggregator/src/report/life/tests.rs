//! Frozen, noticed, restated: from a real store.

use nines_shared::sample::{Outcome, Reason, Sample, SampleKind};
use proptest::prelude::*;

use super::*;
use crate::report::tests::{FLEET, MINUTE, START, Shelf, month_of, shelf, store, two_hours};
use crate::store::probes;
use crate::store::samples::days::Form;

/// October 2026 in UTC, which begins at [`START`].
const END: i64 = 31 * 24 * 60;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_ms(START + minutes * MINUTE)
}

fn october() -> Month {
    Month { environment: "test".to_owned(), customer: "acme".parse().unwrap(), month: "2026-10".to_owned() }
}

fn drafted(shelf: &Shelf, wish: &Wish, now: Timestamp) -> Drafted {
    let made = shelf.store.read_blocking(|conn| Ok(draft(conn, &october(), wish, Some("a key"), now)));
    made.unwrap().unwrap()
}

fn kept(shelf: &Shelf, wish: &Wish, now: Timestamp) -> Kept {
    let Drafted::Ready(draft) = drafted(shelf, wish, now) else { panic!("nothing was made") };
    shelf.store.write_blocking(move |tx| keep(tx, &draft)).unwrap().0
}

fn standing_of(shelf: &Shelf, revision: Option<u32>, now: Timestamp) -> Standing {
    let request = october().request();
    shelf.store.read_blocking(|conn| Ok(standing(conn, &request, revision, now))).unwrap().unwrap()
}

fn restate() -> Wish {
    Wish::Restate(Restated { reason: "a probe was cut off".to_owned(), by: "ann".to_owned() })
}

/// Samples of two of three regions from three days after the month's end.
fn three_days_on(shelf: &Shelf) {
    let all = month_of(shelf, END + 72 * 60, END + 72 * 60 + 2).into_iter();
    store(shelf, &all.filter(|sample| sample.region.as_str() != "ap-south").collect::<Vec<_>>());
}

/// A month whose samples are there but for those of `held_back`.
fn frozen(held_back: impl Fn(&Sample) -> bool) -> (Shelf, Vec<Sample>) {
    let shelf = shelf(FLEET);
    let (late, there): (Vec<Sample>, Vec<Sample>) = two_hours(&shelf).into_iter().partition(held_back);
    store(&shelf, &there);
    three_days_on(&shelf);
    kept(&shelf, &Wish::Freeze, at(END + 72 * 60));
    (shelf, late)
}

#[test]
fn a_month_is_not_frozen_before_it_is_complete_and_then_once() {
    let shelf = shelf(FLEET);
    store(&shelf, &two_hours(&shelf));
    three_days_on(&shelf);
    for early in [at(100), at(END), at(END + 72 * 60).plus_ms(-1)] {
        assert!(matches!(drafted(&shelf, &Wish::Freeze, early), Drafted::NotComplete), "{early}");
    }
    assert!(matches!(drafted(&shelf, &restate(), at(END + 72 * 60)), Drafted::NotFrozen));
    let first = kept(&shelf, &Wish::Freeze, at(END + 72 * 60));
    assert_eq!((first.revision, first.restated), (1, None));
    assert!(matches!(drafted(&shelf, &Wish::Freeze, at(END + 90 * 60)), Drafted::Already(_)));
}

#[test]
fn a_month_is_complete_when_every_region_was_heard_past_all_that_it_uses() {
    let shelf = shelf(FLEET);
    let past = |minutes: i64| month_of(&shelf, END - 5, END + minutes);
    store(&shelf, &past(2));
    assert!(matches!(drafted(&shelf, &Wish::Freeze, at(END + 60)), Drafted::NotComplete), "the edge is not seen");
    store(&shelf, &past(5));
    assert!(matches!(drafted(&shelf, &Wish::Freeze, at(END + 60)), Drafted::Ready(_)));
    assert!(matches!(drafted(&shelf, &Wish::Freeze, at(END + 3)), Drafted::NotComplete), "a slot may be on its way");
}

#[test]
fn a_month_is_not_complete_while_a_probe_of_its_regions_has_a_backlog_that_reaches_into_it() {
    let shelf = shelf(FLEET);
    store(&shelf, &month_of(&shelf, END - 5, END + 5));
    let tells = |backlog_from: Option<Timestamp>| {
        let health = nines_shared::wire::Health { backlog_from, ..Default::default() };
        let told = shelf.store.write_blocking(move |tx| {
            tx.execute("INSERT OR IGNORE INTO probe (id, region, joined_at) VALUES ('eu-west-1', 'eu-west', 1)", [])?;
            probes::seen(tx, &"eu-west-1".parse().unwrap(), &health, at(END + 10))
        });
        told.unwrap();
        matches!(drafted(&shelf, &Wish::Freeze, at(END + 60)), Drafted::Ready(_))
    };
    assert!(!tells(Some(at(END - 60))), "what it says of the present is not all that it has");
    assert!(tells(Some(at(END + 30))), "what is to come is of the next month");
    assert!(!tells(Some(at(100))));
    assert!(tells(None));
}

#[test]
fn a_month_is_not_complete_while_a_probe_that_was_heard_in_it_has_not_been_heard_since() {
    let shelf = shelf(FLEET);
    store(&shelf, &month_of(&shelf, END - 5, END + 5));
    // Two of one region: the second may have been cut off, and the first does its work.
    let ready = |heard: Timestamp, health: nines_shared::wire::Health| {
        let told = shelf.store.write_blocking(move |tx| {
            for id in ["eu-west-1", "eu-west-2"] {
                let sql = "INSERT OR IGNORE INTO probe (id, region, joined_at) VALUES (?1, 'eu-west', 1)";
                tx.execute(sql, [id])?;
            }
            probes::seen(tx, &"eu-west-1".parse().unwrap(), &Default::default(), at(END + 30))?;
            probes::seen(tx, &"eu-west-2".parse().unwrap(), &health, heard)
        });
        told.unwrap();
        matches!(drafted(&shelf, &Wish::Freeze, at(END + 60)), Drafted::Ready(_))
    };
    let well = nines_shared::wire::Health::default;
    assert!(!ready(at(END - 1), well()));
    assert!(!ready(at(0), well()));
    assert!(!ready(at(END), well()), "what it looked at last may have been on its way");
    assert!(ready(at(0).plus_ms(-1), well()), "who was gone before the month began has nothing of it");
    assert!(ready(at(END + 30), well()));
    for held_back in
        [nines_shared::wire::Health { held: 1, ..well() }, nines_shared::wire::Health { refused: 1, ..well() }]
    {
        assert!(!ready(at(END + 30), held_back.clone()), "{held_back:?}");
    }
    assert!(!ready(at(END - 1), well()));
    let revoked = shelf.store.write_blocking(|tx| probes::revoke(tx, &"eu-west-2".parse().unwrap(), at(END + 40)));
    assert!(revoked.unwrap());
    assert!(
        matches!(drafted(&shelf, &Wish::Freeze, at(END + 60)), Drafted::Ready(_)),
        "nobody waits for who is shut out"
    );
}

#[test]
fn a_clock_alone_closes_no_month_and_two_regions_or_a_person_bear_it_out() {
    let shelf = shelf(FLEET);
    store(&shelf, &two_hours(&shelf));
    let far = at(END * 3);
    let final_now = |wish: &Wish, now| matches!(drafted(&shelf, wish, now), Drafted::Ready(_));
    assert!(!final_now(&Wish::Freeze, far), "whatever the aggregator's clock says");
    assert!(!final_now(&Wish::FreezeByHand, at(END + 72 * 60).plus_ms(-1)));
    assert!(final_now(&Wish::FreezeByHand, at(END + 72 * 60)));

    let on = month_of(&shelf, END + 72 * 60, END + 72 * 60 + 2);
    let of = |region: &str, nth| on.iter().filter(|sample| sample.region.as_str() == region).nth(nth).unwrap().clone();
    store(&shelf, &[of("eu-west", 0)]);
    assert!(!final_now(&Wish::Freeze, far), "one may be wrong with it");
    let doubted = Sample { outcome: Outcome::Inconclusive, reason: Some(Reason::Clock), ..of("us-east", 0) };
    store(&shelf, &[doubted]);
    assert!(!final_now(&Wish::Freeze, far), "and one that doubts its clock says nothing of the time");
    store(&shelf, &[of("us-east", 1)]);
    assert!(final_now(&Wish::Freeze, far));
}

#[test]
fn inv_8_a_frozen_report_is_what_a_fresh_one_says_and_stays_so_whatever_comes() {
    let (shelf, late) = frozen(|sample| sample.region.as_str() == "us-east");
    let fresh = shelf
        .store
        .read_blocking(|conn| Ok(crate::report::build(conn, &october().request(), at(END * 2))))
        .unwrap()
        .unwrap();
    let first = standing_of(&shelf, None, at(END * 2));
    assert_eq!(first.report.state, State::Final);
    assert_eq!(Report { state: State::Preliminary, signed_by: None, ..first.report.clone() }, fresh);
    assert_eq!(first.due, None);
    let bytes = first.json();

    store(&shelf, &late);
    let mut fleet = shelf.fleet.clone();
    fleet.services[0].sla = None;
    fleet.checks[0] = crate::store::tests::check("shop-home", 30_000, &["eu-west"]);
    shelf.store.write_blocking(move |tx| definitions::load(tx, &fleet, at(END * 2))).unwrap();
    let again = standing_of(&shelf, None, at(END * 3));
    assert_eq!(again.json(), bytes);
    assert_eq!(again.due.unwrap().to_string(), format!("{} samples arrived late", late.len()));
}

#[test]
fn a_restatement_says_why_who_and_what_changed_and_both_revisions_stay() {
    let in_outage = |sample: &Sample| sample.outcome == Outcome::Down && sample.region.as_str() != "eu-west";
    let (shelf, late) = frozen(in_outage);
    assert!(matches!(drafted(&shelf, &restate(), at(END * 2)), Drafted::Unchanged(_)), "there is nothing to restate");
    let first = standing_of(&shelf, None, at(END * 2)).json();
    store(&shelf, &late);
    let second = kept(&shelf, &restate(), at(END * 2));
    assert_eq!((second.revision, second.restated.unwrap().by.as_str()), (2, "ann"));
    let standing = standing_of(&shelf, None, at(END * 2));
    assert_eq!(standing.due, None, "it knows of them");
    let restatement = standing.report.restatement.as_ref().unwrap();
    assert_eq!((restatement.of, &restatement.of_digest), (1, &fingerprint::of(first.as_bytes())));
    assert_eq!((restatement.at, restatement.reason.as_str()), (at(END * 2), "a probe was cut off"));
    let change = |path: &str| restatement.changes.iter().find(|change| change.path == path);
    let down = change("services[shop].accounts.down_ms").unwrap();
    assert_eq!((&down.before, &down.after), (&0.into(), &(5 * MINUTE).into()));
    assert!(restatement.changes.iter().any(|change| change.path.starts_with("services[shop].outages[")));
    assert!(change("samples").is_some() && change("definitions").is_none() && change("revision").is_none());
    assert_eq!(standing_of(&shelf, Some(1), at(END * 2)).json(), first);
    assert!(matches!(drafted(&shelf, &restate(), at(END * 3)), Drafted::Unchanged(kept) if kept.revision == 2));
    let request = october().request();
    let third = shelf.store.read_blocking(|conn| Ok(super::standing(conn, &request, Some(3), at(0)))).unwrap();
    assert_eq!(third.unwrap_err().to_string(), "customer acme has no revision 3 of 2026-10; revisions: 1, 2");
}

#[test]
fn an_exclusion_granted_afterwards_is_noticed_and_restated_and_so_is_its_end() {
    let (shelf, _none) = frozen(|_| false);
    let window = Maintenance {
        service: "shop".parse().unwrap(),
        span: Span::new(at(60), at(80)),
        reason: "agreed by phone".to_owned(),
        afterwards: None,
        weekly: None,
    };
    let no = shelf.store.write_blocking(move |tx| maintenance::add(tx, &window, "ann", at(END * 2))).unwrap();
    let due = standing_of(&shelf, None, at(END * 2)).due.unwrap();
    assert_eq!(due.to_string(), "time of shop was excluded afterwards by ann: agreed by phone");
    kept(&shelf, &restate(), at(END * 2));
    let report = standing_of(&shelf, None, at(END * 2)).report;
    assert_eq!(report.services[0].accounts.down_ms, 0);
    let afterwards = report.services[0].maintenance[1].afterwards.as_ref().unwrap();
    assert_eq!((afterwards.at, afterwards.by.as_str()), (at(END * 2), "ann"));
    let page = String::from_utf8(crate::report::render(&report, Format::Html, &Look::default())).unwrap();
    assert!(page.contains("excluded afterwards on") && page.contains(" by ann<") && page.contains("agreed by phone"));
    assert!(report.restatement.unwrap().changes.iter().any(|change| change.path == "definitions"));

    let back = ("bob", Some("they did not agree"));
    shelf.store.write_blocking(move |tx| maintenance::cancel(tx, no, back, at(END * 3))).unwrap().unwrap();
    let due = standing_of(&shelf, None, at(END * 3)).due.unwrap();
    assert_eq!(due.to_string(), "an exclusion of shop was taken back: agreed by phone");
    kept(&shelf, &restate(), at(END * 3));
    let (first, third) = (standing_of(&shelf, Some(1), at(0)).report, standing_of(&shelf, None, at(END * 3)).report);
    assert_eq!((third.revision, &third.services, &third.basis), (3, &first.services, &first.basis));
}

#[test]
fn what_was_defined_since_has_no_say_in_a_restatement() {
    let (shelf, late) = frozen(|sample| sample.region.as_str() == "us-east");
    let mut fleet = shelf.fleet.clone();
    fleet.checks.push(crate::store::tests::check("shop-new", 60_000, &["eu-west"]));
    shelf.store.write_blocking(move |tx| definitions::load(tx, &fleet, at(END * 2))).unwrap();
    assert_eq!(standing_of(&shelf, None, at(END * 2)).due, None);
    store(&shelf, &late);
    kept(&shelf, &restate(), at(END * 2));
    let report = standing_of(&shelf, None, at(END * 2)).report;
    assert_eq!(report.services[0].checks.len(), 1);
}

#[test]
fn a_report_of_an_earlier_program_is_given_out_as_it_was_and_drawn_by_this_one() {
    let shelf = shelf(FLEET);
    let text = include_str!("fixture-1.json").to_owned();
    let report: Report = serde_json::from_str(&text).unwrap();
    assert!(report.basis.is_empty() && report.signed_by.is_none(), "it is of a time before those");
    let (window, digest) = (Span { from: report.from, to: report.to }, fingerprint::of(text.as_bytes()));
    let kept = Kept {
        customer: "acme".parse().unwrap(),
        month: "2026-10".to_owned(),
        revision: 1,
        window,
        samples_span: window,
        arrival: 0,
        made_at: at(END * 2),
        restated: None,
        definitions: report.definitions.clone(),
        samples: report.samples.clone(),
        digest,
    };
    let body = text.clone();
    shelf.store.write_blocking(move |tx| reports::keep(tx, &kept, &body)).unwrap();
    let standing = standing_of(&shelf, None, at(END * 3));
    assert_eq!(standing.json(), text);
    assert!(String::from_utf8(standing.written(Format::Html, &Look::default())).unwrap().contains("The shop"));
}

#[test]
fn a_restatement_has_the_form_of_digest_of_what_it_restates() {
    let shelf = shelf(FLEET);
    let (late, there): (Vec<Sample>, Vec<Sample>) =
        two_hours(&shelf).into_iter().partition(|sample| sample.region.as_str() == "us-east");
    store(&shelf, &there);
    three_days_on(&shelf);
    let Drafted::Ready(draft) = drafted(&shelf, &Wish::Freeze, at(END + 72 * 60)) else { panic!("a complete month") };
    let before = plan_of(&Report { samples_form: Form::Lines, ..draft.report.clone() });
    let report = shelf.store.read_blocking(|conn| Ok(before.carried_out(conn))).unwrap().unwrap();
    let text = json::render(&Report { state: State::Final, ..report });
    let kept = Kept { digest: fingerprint::of(text.as_bytes()), ..draft.kept };
    shelf.store.write_blocking(move |tx| reports::keep(tx, &kept, &text)).unwrap();
    assert!(matches!(drafted(&shelf, &restate(), at(END * 2)), Drafted::Unchanged(_)), "another form is no change");
    store(&shelf, &late);
    self::kept(&shelf, &restate(), at(END * 2));
    let second = standing_of(&shelf, None, at(END * 2)).report;
    assert_eq!((second.revision, second.samples_form), (2, Form::Lines));
}

#[test]
fn all_that_is_due_is_found_by_the_basis_of_the_last_revisions() {
    let (shelf, late) = frozen(|sample| sample.region.as_str() == "us-east");
    let all = || shelf.store.read_blocking(all_due).unwrap();
    assert_eq!(all(), []);
    store(&shelf, &late);
    let [(kept_first, due)] = &all()[..] else { panic!("one is due") };
    assert_eq!((kept_first.revision, due.late_samples), (1, late.len() as u64));
    assert_eq!(Some(due), standing_of(&shelf, None, at(END * 2)).due.as_ref(), "as whoever reads the report is told");
    kept(&shelf, &restate(), at(END * 2));
    assert_eq!(all(), []);
}

#[test]
fn what_is_to_be_frozen_is_a_whole_month_that_is_complete_and_not_frozen_yet() {
    let shelf = shelf(FLEET);
    store(&shelf, &two_hours(&shelf));
    three_days_on(&shelf);
    let to_be = |request: &ReportRequest, now| {
        shelf.store.read_blocking(|conn| Ok(to_be_frozen(conn, request, now))).unwrap().unwrap()
    };
    let request = october().request();
    assert_eq!(to_be(&request, at(END)), None, "it is not complete");
    assert_eq!(to_be(&request, at(END + 72 * 60)), Some(october().customer));
    let nobody_named = ReportRequest { customer: None, ..request.clone() };
    assert_eq!(to_be(&nobody_named, at(END + 72 * 60)), Some(october().customer), "there is one customer only");
    let of_service = ReportRequest { service: Some("shop".parse().unwrap()), ..request.clone() };
    assert_eq!(to_be(&of_service, at(END + 72 * 60)), None);
    kept(&shelf, &Wish::Freeze, at(END + 72 * 60));
    assert_eq!(to_be(&request, at(END + 72 * 60)), None);
}

#[test]
fn a_published_month_is_there_in_every_form_and_every_table_and_each_is_signed() {
    use crate::report::{files, sign};
    let (shelf, _none) = frozen(|_| false);
    let folder = tempfile::tempdir().unwrap();
    let key = sign::Key::at(&folder.path().join("key")).unwrap();
    let standing = standing_of(&shelf, None, at(END * 2));
    let written = files::publish(folder.path(), &standing, "2026-10", (&key, &Look::default())).unwrap();
    let mut names: Vec<&str> = written.iter().map(|written| written.file.as_str()).collect();
    assert_eq!(names.last(), Some(&"acme-2026-10-r1.json"), "where it is, the others are");
    names.sort_unstable();
    let endings =
        ["csv", "days.csv", "html", "json", "latency.csv", "maintenance.csv", "md", "outages.csv", "pdf", "slots.csv"];
    assert_eq!(names, endings.map(|ending| format!("acme-2026-10-r1.{ending}")));
    let public: sign::PublicKey = key.public().to_string().parse().unwrap();
    for file in &written {
        let path = folder.path().join(&file.file);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(fingerprint::of(&bytes), file.digest);
        let signature = std::fs::read_to_string(sign::beside(&path)).unwrap();
        assert!(public.verify(&bytes, &signature).unwrap().contains("revision 1 final"), "{}", file.file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn inv_7_any_order_of_late_arrivals_gives_the_same_restatement(order in any::<[u64; 4]>(), size in 1_usize..40) {
        let restated = |shuffle: &dyn Fn(&mut Vec<Sample>)| {
            let (shelf, mut late) = frozen(|sample| sample.scheduled_at.as_ms() % 7 < 2 && sample.kind == SampleKind::Planned);
            shuffle(&mut late);
            for batch in late.chunks(size) {
                store(&shelf, batch);
            }
            kept(&shelf, &restate(), at(END * 2));
            standing_of(&shelf, None, at(END * 2)).json()
        };
        let shuffled = restated(&|late| {
            late.sort_by_key(|sample| {
                let mix = sample.scheduled_at.as_ms().unsigned_abs().wrapping_mul(order[0] | 1) ^ order[1];
                mix.wrapping_mul(order[2] | 1) ^ order[3]
            });
        });
        prop_assert_eq!(restated(&|_| {}), shuffled);
    }
}
