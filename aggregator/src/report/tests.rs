//! Reports from a real store: who, when, the figures, and the same bytes for the same inputs.

mod renderings;

use std::fmt::Write as _;
use std::path::Path;

use nines_shared::id::RegionId;
use nines_shared::sample::{Outcome, Phase, Phases, Reason, Sample, SampleKind, TraceId};

use super::*;
use crate::fleet_file;
use crate::store::Store;
use crate::uptime::sla::Kept;

/// 2026-10-01T00:00:00Z; the check's slots begin here in every region but for its stagger.
pub(super) const START: i64 = 1_790_812_800_000;
pub(super) const MINUTE: i64 = 60_000;

pub(super) const FLEET: &str = r#"
environment = "test"
[aggregator]
probes   = "127.0.0.1:7443"
web      = "127.0.0.1:8080"
database = "nines.db"
[[region]]
id = "eu-west"
name = "Ireland"
[[region]]
id = "us-east"
name = "Virginia"
[[region]]
id = "ap-south"
name = "Mumbai"
[[customer]]
id = "acme"
name = "Acme GmbH"
timezone = "UTC"
[[service]]
id = "shop"
name = "The shop"
customer = "acme"
since = "2026-01-01T00:00:00Z"
slo = { availability = 99.95, latency_p95 = "39ms", window = "30d" }
sla = { availability = 99.9, period = "month", min_outage = "1m", credits = [{ below = 99.9, percent = 10 }] }
[[check]]
id = "shop-home"
service = "shop"
interval = "1m"
timeout = "10s"
regions = ["eu-west", "us-east", "ap-south"]
http = { url = "https://shop.example/" }
[[maintenance]]
service = "shop"
from = "2026-10-01T00:30:00"
to = "2026-10-01T00:40:00"
reason = "database upgrade"
"#;

pub(super) struct Shelf {
    pub(super) store: Store,
    pub(super) fleet: crate::definition::Fleet,
    _folder: tempfile::TempDir,
}

pub(super) fn shelf(fleet: &str) -> Shelf {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("nines.db")).unwrap();
    let (fleet, _warnings) = fleet_file::parse(fleet, Path::new("nines.toml")).unwrap();
    let loaded = fleet.clone();
    store.write_blocking(move |tx| definitions::load(tx, &loaded, Timestamp::from_ms(START - 1_000_000))).unwrap();
    Shelf { store, fleet, _folder: folder }
}

/// Two hours of samples and what their edges depend on, up but for five minutes in which all regions are refused.
pub(super) fn two_hours(shelf: &Shelf) -> Vec<Sample> {
    month_of(shelf, -3, 126)
}

/// Samples of every region between two minutes of the month.
pub(super) fn month_of(shelf: &Shelf, from: i64, to: i64) -> Vec<Sample> {
    let span = Span::new(Timestamp::from_ms(START + from * MINUTE), Timestamp::from_ms(START + to * MINUTE));
    let check = &shelf.fleet.checks[0];
    let slots = check
        .regions
        .iter()
        .flat_map(|region| check.cadence(region).unwrap().slots_in(span).map(move |slot| (region.clone(), slot)));
    let sample = |(region, slot): (RegionId, Timestamp)| {
        let of = region.clone();
        let down = (70..75).contains(&(slot.since(Timestamp::from_ms(START)) / MINUTE));
        Sample {
            check: check.id.clone(),
            region,
            probe: None,
            kind: SampleKind::Planned,
            scheduled_at: slot,
            started_at: slot.plus_ms(3),
            outcome: if down { Outcome::Down } else { Outcome::Up },
            reason: down.then_some(Reason::ConnectRefused),
            phase: down.then_some(Phase::Connect),
            detail: None,
            duration_us: Some(40_000),
            phases_us: Phases::default(),
            attempt: 1,
            trace_id: Some(TraceId::of(&check.id, &of, SampleKind::Planned, slot)),
            evidence: None,
        }
    };
    slots.map(sample).collect()
}

pub(super) fn store(shelf: &Shelf, samples: &[Sample]) {
    let samples = samples.to_vec();
    shelf.store.write_blocking(move |tx| samples::insert(tx, &samples, Timestamp::from_ms(START))).unwrap();
}

pub(super) fn asked(from: i64, to: i64) -> ReportRequest {
    let window = Span::new(Timestamp::from_ms(START + from * MINUTE), Timestamp::from_ms(START + to * MINUTE));
    ReportRequest { environment: "test".to_owned(), customer: None, service: None, time: Time::Window(window) }
}

pub(super) fn built(shelf: &Shelf, request: &ReportRequest, now: i64) -> Result<Report, ReportError> {
    shelf.store.read_blocking(|conn| Ok(build(conn, request, Timestamp::from_ms(START + now * MINUTE)))).unwrap()
}

fn page(report: &Report) -> String {
    String::from_utf8(render(report, Format::Html, &Look::default())).unwrap()
}

fn filled() -> Shelf {
    let shelf = shelf(FLEET);
    store(&shelf, &two_hours(&shelf));
    shelf
}

#[test]
fn a_report_says_what_was_promised_and_what_was_delivered() {
    let report = built(&filled(), &asked(0, 120), 200).unwrap();
    assert_eq!((report.complete, report.customer.as_str()), (true, "acme"));
    let [service] = &report.services[..] else { panic!("one service") };
    let accounts = service.accounts;
    assert_eq!(accounts.total_ms(), 120 * MINUTE);
    assert_eq!((accounts.down_ms, accounts.excluded_ms, accounts.unknown_ms), (5 * MINUTE, 10 * MINUTE, 0));
    assert_eq!((accounts.down_at_least_ms, accounts.down_at_most_ms), (4 * MINUTE, 6 * MINUTE));
    assert_eq!((service.availability_ppm, service.coverage_ppm), (Some(954_545), Some(1_000_000)));
    let sla = service.sla.as_ref().unwrap();
    assert_eq!((sla.measured_ppm, sla.met, sla.credit_percent), (Some(954_545), Some(false), Some(10)));
    assert_eq!((sla.good, sla.bad), (105 * MINUTE, 5 * MINUTE));
    let slo = service.slo.unwrap();
    assert_eq!((slo.budget_ms, slo.spent_ms, slo.remaining_ms), (3_300, 300_000, -296_700));
    assert_eq!(service.latency_us.unwrap().p95, 40_000);
    assert_eq!(service.latency_slo.unwrap().met, Some(false));
    let [outage] = &service.outages[..] else { panic!("one outage") };
    assert_eq!((&outage.reason, outage.phase), (&Some(Reason::ConnectRefused), Some(Phase::Connect)));
    assert_eq!((outage.at_least_ms, outage.at_most_ms), (4 * MINUTE, 6 * MINUTE));
    assert_eq!(outage.regions.len(), 3);
    let [check] = &service.checks[..] else { panic!("one check") };
    assert_eq!((check.slots_expected, check.slots_answered), (360, 360));
    assert_eq!(check.regions[1].name, "Ireland");
    assert_eq!(service.days.iter().map(|day| day.accounts.total_ms()).sum::<i64>(), 120 * MINUTE);
    assert_eq!(service.maintenance[0].reason, "database upgrade");
}

#[test]
fn inv_7_the_same_samples_give_the_same_bytes_in_whatever_order_and_however_often_they_came() {
    let (one, other) = (shelf(FLEET), shelf(FLEET));
    let samples = two_hours(&one);
    store(&one, &samples);
    let backwards: Vec<Sample> = samples.iter().rev().cloned().collect();
    for batch in backwards.chunks(17) {
        store(&other, batch);
        store(&other, batch);
    }
    let days = (START / 86_400_000 - 1)..=(START / 86_400_000);
    let open =
        |conn: &Connection| days.map(|day| samples::days::never_sealed(conn, day)).collect::<Result<Vec<_>, _>>();
    let open = other.store.read_blocking(open).unwrap().concat();
    assert_eq!(open.len(), 6, "one has its days sealed and the other has not");
    other.store.write_blocking(move |tx| samples::days::seal(tx, &open)).unwrap();
    for format in [Format::Json, Format::Html, Format::Pdf, Format::Csv, Format::Md] {
        let text =
            |shelf: &Shelf, now: i64| render(&built(shelf, &asked(0, 120), now).unwrap(), format, &Look::default());
        assert_eq!(text(&one, 200), text(&other, 200));
        assert_eq!(text(&one, 200), text(&one, 100_000), "when it is written does not show");
    }
}

#[test]
fn the_digest_of_samples_is_that_of_the_list_of_their_days_and_changes_with_any_of_them() {
    let shelf = filled();
    let report = built(&shelf, &asked(0, 120), 200).unwrap();
    let mut used: Vec<Sample> = two_hours(&shelf);
    used.retain(|sample| report.samples_from <= sample.scheduled_at && sample.scheduled_at < report.samples_to);
    used.sort_by(|left, right| left.identity().cmp(&right.identity()));
    // The window begins at midnight, and two intervals before it belong to what is used.
    let day = |sample: &Sample| if sample.scheduled_at.as_ms() < START { START - 86_400_000 } else { START };
    let list =
        used.chunk_by(|a, b| (&a.region, day(a)) == (&b.region, day(b))).fold(String::new(), |mut list, part| {
            let lines: String = part.iter().map(|sample| serde_json::to_string(sample).unwrap() + "\n").collect();
            let digest = crate::fingerprint::of(lines.as_bytes()).replace("sha256:", "");
            writeln!(list, "shop-home {} {} {} {digest}", part[0].region, day(&part[0]), part.len()).unwrap();
            list
        });
    assert_eq!(list.lines().count(), 6);
    assert_eq!(report.samples, crate::fingerprint::of(list.as_bytes()));
    let of_region: String = list.split_inclusive('\n').filter(|line| line.contains("eu-west")).collect();
    let series = report.services[0].checks[0].regions[1].samples.as_ref().unwrap();
    assert_eq!((series.count, &series.digest), (126, &crate::fingerprint::of(of_region.as_bytes())));

    let mut late = used[0].clone();
    late.scheduled_at = late.scheduled_at.plus_ms(1);
    late.kind = SampleKind::Extra;
    store(&shelf, &[late]);
    assert_ne!(built(&shelf, &asked(0, 120), 200).unwrap().samples, report.samples);
}

#[test]
fn a_report_is_complete_once_every_region_has_spoken_past_its_end_or_three_days_have_been_seen_to_go_by() {
    let shelf = shelf(FLEET);
    let mut samples = two_hours(&shelf);
    let end = Timestamp::from_ms(START + 120 * MINUTE);
    samples.retain(|sample| sample.region.as_str() != "ap-south" || sample.scheduled_at < end);
    store(&shelf, &samples);
    let complete = |from, to, now| {
        let report = built(&shelf, &asked(from, to), now).unwrap();
        assert_eq!(report.state, State::Preliminary, "inv_8: what is not frozen is never called final");
        report.complete
    };
    assert!(complete(0, 110, 130));
    assert!(!complete(0, 120, 130), "ap-south has not been heard past the end");
    assert!(!complete(0, 120, 120 + 72 * 60 - 1));
    assert!(!complete(0, 120, 120 + 72 * 60), "nobody has seen the time go by");
    store(&shelf, &month_of(&shelf, 120 + 72 * 60, 120 + 72 * 60 + 2));
    assert!(complete(0, 120, 120 + 72 * 60));
    assert!(!complete(0, 200, 130), "it is not over");
}

#[test]
fn a_window_that_is_not_over_is_judged_up_to_now() {
    let report = built(&filled(), &asked(0, 1_000), 90).unwrap();
    let service = &report.services[0];
    assert_eq!((service.accounts.total_ms(), service.accounts.unknown_ms), (90 * MINUTE, 0));
    assert_eq!(report.to, Timestamp::from_ms(START + 1_000 * MINUTE));
}

#[test]
fn an_outage_at_the_windows_edge_is_not_forgiven_for_being_cut() {
    let shelf = filled();
    // The outage of five minutes began less than a minute before this window's end.
    let begins = built(&shelf, &asked(0, 120), 200).unwrap().services[0].outages[0].from;
    let window = Span::new(Timestamp::from_ms(START), begins.plus_ms(30_000));
    let request = ReportRequest { time: Time::Window(window), ..asked(0, 1) };
    let report = built(&shelf, &request, 200).unwrap();
    assert_eq!(report.services[0].sla.as_ref().unwrap().bad, 30_000);
}

#[test]
fn a_service_promised_twice_is_reported_to_each_customer_by_their_own_terms_and_zone() {
    let beta = r#"
[[customer]]
id = "beta"
timezone = "America/New_York"
[[sla]]
service = "shop"
customer = "beta"
availability = 95
credits = [{ below = 95, percent = 50 }]
exclusions_by = "Bob"
"#;
    let shelf = shelf(&format!("{FLEET}{beta}"));
    store(&shelf, &two_hours(&shelf));
    let of = |customer: &str| {
        let request = ReportRequest { customer: Some(customer.parse().unwrap()), ..asked(0, 120) };
        built(&shelf, &request, 200).unwrap()
    };
    let (acme, beta) = (of("acme"), of("beta"));
    let terms = |report: &Report| {
        let sla = report.services[0].sla.clone().unwrap();
        (sla.objective_ppm, sla.measured_ppm, sla.verdict, sla.credit_percent)
    };
    assert_eq!(terms(&acme), (999_000, Some(954_545), Kept::Breached, Some(10)));
    assert_eq!(terms(&beta), (950_000, Some(954_545), Kept::Met, Some(0)));
    assert_eq!((acme.timezone.as_str(), beta.timezone.as_str()), ("UTC", "America/New_York"));
    assert_eq!((acme.services[0].days.len(), beta.services[0].days.len()), (1, 1));
    assert_eq!(acme.services[0].accounts, beta.services[0].accounts, "what happened is the same for both");
    for (report, other) in [(&acme, "beta"), (&beta, "acme")] {
        assert!(!json::render(report).contains(other), "who else there is a contract with is nobody's business");
    }
    let month = ReportRequest {
        time: Time::Month("2026-10".to_owned()),
        customer: Some("beta".parse().unwrap()),
        ..asked(0, 1)
    };
    assert_eq!(built(&shelf, &month, 0).unwrap().from, Timestamp::from_ms(START + 4 * 60 * MINUTE));
}

#[test]
fn an_objective_is_judged_over_its_own_window_beside_the_reports_time() {
    let within = shelf(&FLEET.replace("window = \"30d\"", "window = \"1h\""));
    store(&within, &two_hours(&within));
    let report = built(&within, &asked(0, 120), 200).unwrap();
    let service = &report.services[0];
    let rolling = service.slo_window.as_ref().unwrap();
    assert_eq!((rolling.from, rolling.to), (Timestamp::from_ms(START + 60 * MINUTE), report.to));
    assert_eq!((rolling.accounts.total_ms(), rolling.accounts.down_ms), (60 * MINUTE, 5 * MINUTE));
    assert_eq!((rolling.budget.budget_ms, rolling.verdict), (1_800, Kept::Breached));
    assert_eq!(service.slo.unwrap().budget_ms, 3_300, "the report's own time is another");
    let early = built(&within, &asked(0, 65), 200).unwrap();
    assert_eq!(early.services[0].slo_window.as_ref().unwrap().verdict, Kept::Met);
}

#[test]
fn an_objective_reaches_beyond_a_month_but_nobody_who_asks_about_a_day_waits_for_one() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let shelf = shelf(&FLEET.replace("window = \"30d\"", "window = \"35d\""));
    store(&shelf, &two_hours(&shelf));
    let month = ReportRequest { time: Time::Month("2026-10".to_owned()), ..asked(0, 1) };
    let report = built(&shelf, &month, 60 * 24 * 60).unwrap();
    let rolling = report.services[0].slo_window.clone().unwrap();
    let from = report.to.plus_ms(-35 * DAY);
    assert_eq!((rolling.from, rolling.to), (from, report.to));
    assert_eq!(report.samples_from, from.plus_ms(-2 * MINUTE), "what it depends on is among the samples used");
    assert_eq!(rolling.verdict, Kept::Undetermined, "two hours of thirty-five days are known");
    assert_eq!(verify::arithmetic(&report), []);
    let day = built(&shelf, &asked(0, 24 * 60), 60 * 24 * 60).unwrap();
    assert_eq!(day.services[0].slo_window, None);
    assert_eq!(day.samples_from, Timestamp::from_ms(START - 2 * MINUTE - MINUTE));
}

#[test]
fn a_report_that_was_made_before_objectives_had_windows_is_made_again_without() {
    let shelf = shelf(&FLEET.replace("window = \"30d\"", "window = \"35d\""));
    store(&shelf, &two_hours(&shelf));
    let month = ReportRequest { time: Time::Month("2026-10".to_owned()), ..asked(0, 1) };
    let mut earlier = built(&shelf, &month, 60 * 24 * 60).unwrap();
    earlier.samples_from = Timestamp::from_ms(START - 3 * MINUTE);
    let again = shelf.store.read_blocking(|conn| Ok(life::plan_of(&earlier).carried_out(conn))).unwrap().unwrap();
    assert_eq!((again.services[0].slo_window.as_ref(), again.samples_from), (None, earlier.samples_from));
}

#[test]
fn a_rule_is_told_with_its_occurrences_and_its_time_is_set_aside() {
    let weekly = "[[maintenance]]\nservice = \"shop\"\nweekly = [\"thu 01:10-01:20\"]\nreason = \"agreed\"\n";
    let shelf = shelf(&format!("{FLEET}{weekly}"));
    store(&shelf, &two_hours(&shelf));
    let report = built(&shelf, &asked(0, 120), 200).unwrap();
    let service = &report.services[0];
    assert_eq!(service.accounts.excluded_ms, 20 * MINUTE);
    assert_eq!(service.accounts.down_ms, 0, "the outage lies inside it");
    let occurrence = &service.maintenance[1];
    assert_eq!(
        (occurrence.from, occurrence.to.since(occurrence.from)),
        (Timestamp::from_ms(START + 70 * MINUTE), 10 * MINUTE)
    );
    let page = page(&report);
    assert!(page.contains("Every week") && page.contains("Thu 01:10–01:20") && page.contains("before, as a rule"));
    assert_eq!(report.basis[0].maintenance[1].weekly, occurrence.weekly, "so that it can be made again");
}

#[test]
fn a_month_is_the_customers() {
    let shelf = shelf(&FLEET.replace("\"UTC\"", "\"Europe/Berlin\""));
    let request = ReportRequest { time: Time::Month("2026-10".to_owned()), ..asked(0, 1) };
    let report = built(&shelf, &request, 0).unwrap();
    assert_eq!(report.from, Timestamp::from_ms(START - 120 * MINUTE));
    assert_eq!(report.to.since(report.from), 745 * 60 * MINUTE);
    assert_eq!(report.services[0].availability_ppm, None, "no data is no number");
    assert_eq!(report.services[0].sla.as_ref().unwrap().met, None);
}

#[test]
fn who_is_not_there_is_named_with_those_who_are() {
    let shelf = filled();
    let error = |request: ReportRequest| built(&shelf, &request, 200).unwrap_err().to_string();
    let nobody = ReportRequest { customer: Some("nobody".parse().unwrap()), ..asked(0, 10) };
    assert_eq!(error(nobody), "there is no customer nobody; customers: acme");
    let nothing = ReportRequest { service: Some("nothing".parse().unwrap()), ..asked(0, 10) };
    assert_eq!(error(nothing), "there is no service nothing; services: shop");
    let month = ReportRequest { time: Time::Month("2026-13".to_owned()), ..asked(0, 1) };
    assert!(error(month).contains("2026-13"));
    assert_eq!(error(asked(10, 10)), "the window ends before it begins");
}

#[test]
fn what_the_fleet_file_and_targets_say_is_escaped() {
    let hostile =
        FLEET.replace("The shop", "<script>alert(1)</script>").replace("database upgrade", "a \\\"b\\\" <i>c</i>");
    let shelf = shelf(&hostile);
    store(&shelf, &two_hours(&shelf));
    let page = page(&built(&shelf, &asked(0, 120), 200).unwrap());
    assert!(!page.contains("<script") && !page.contains("<i>c</i>"));
    assert!(page.contains("&#60;script&#62;alert(1)"), "the name is there, as text");
}

#[test]
fn the_page_needs_no_network() {
    let page = page(&built(&filled(), &asked(0, 120), 200).unwrap());
    assert!(page.contains("default-src 'none'"));
    for way_out in ["src=", "url(http", "@import", "<link", "<script"] {
        assert!(!page.contains(way_out), "{way_out}");
    }
}

#[test]
fn every_availability_on_the_page_has_its_coverage_and_every_gap_its_cases() {
    let shelf = shelf(FLEET);
    let mut samples = two_hours(&shelf);
    let quiet = Span::new(Timestamp::from_ms(START + 10 * MINUTE), Timestamp::from_ms(START + 20 * MINUTE));
    samples.retain(|sample| !quiet.contains(sample.scheduled_at));
    store(&shelf, &samples);
    let page = page(&built(&shelf, &asked(0, 120), 200).unwrap());
    for part in
        ["Delivered", "coverage 90.909\u{202f}%", "at worst 86.363\u{202f}%, at best 95.454\u{202f}%", "at least"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("100.000"), "only the whole is 100 %");
}

#[test]
fn a_file_that_ends_in_a_format_is_written_in_it() {
    assert_eq!(Format::of_ending(Path::new("october.html")), Some(Format::Html));
    assert_eq!(Format::of_ending(Path::new("october.JSON")), Some(Format::Json));
    assert_eq!(Format::of_ending(Path::new("-")), None);
}
