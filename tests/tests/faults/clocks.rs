//! Clocks that are put back or forth while all runs: who can't trust its clock says nothing of the target, and
//! nothing is lost, counted twice or paged.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nines_shared::time::Timestamp;
use nines_tests::fleet::{Fleet, REGIONS, Seat, Seats};
use nines_tests::seen::{no_page, now};
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::{let_pass, until, until_within};
use nines_tests::world::{INTERVAL_MS, SERVICE, checks};
use tempfile::TempDir;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// Samples that the aggregator refused are offered again after a minute.
const REFUSED_COME_AGAIN: Duration = Duration::from_secs(150);

/// A wall clock that can be stepped while a process reads it; its monotonic clock goes on as it is.
struct Stepped(TempDir);

impl Stepped {
    fn new() -> Self {
        let clock = Self(TempDir::new().expect("there is room for a temporary folder"));
        clock.step(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }

    /// From now on the clock is so many seconds off.
    fn step(&self, seconds: i64) {
        fs::write(self.0.path().join("new"), format!("{seconds:+}\n")).expect("the folder can be written");
        fs::rename(self.0.path().join("new"), self.file()).expect("the folder can be written");
    }

    /// Where a process runs by this clock.
    fn seat(&self) -> Seat {
        let library = faketime();
        let environment = vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        Seat { environment, ..Seat::default() }
    }
}

fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib can be read").map_while(Result::ok);
    let mut places = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    places.find(|place| place.exists()).expect("libfaketime is there: tests/run installs it")
}

#[test]
#[ignore = "needs libfaketime"]
fn fault_23_a_probe_whose_clock_steps_says_nothing_of_the_target_until_it_is_right_again() {
    let (clock, target, sink) = (Stepped::new(), Target::start(), Sink::start());
    let mut seats = Seats::on_loopback(3);
    seats.probes[0] = clock.seat();
    let fleet = Fleet::seated(seats, &checks(&target), &sink);
    fleet.until_all_look(1);
    let (region, begun) = (REGIONS[0].0, now());
    for seconds in [HOUR_S, -DAY_S] {
        clock.step(seconds);
        until("the region has no voice", || (fleet.region_says(SERVICE, region)? == "unknown").then_some(()));
        until("the others are enough", || (fleet.verdict(SERVICE)? == "up").then_some(()));
        clock.step(0);
        until("the region has its voice again", || (fleet.region_says(SERVICE, region)? == "up").then_some(()));
    }
    let ended = now();
    for sample in fleet.export().iter().filter(|sample| sample["region"] == region) {
        let (slot, start) = (at(sample, "scheduled_at"), at(sample, "started_at"));
        let believed = sample["outcome"] != "inconclusive";
        let true_time = begun.plus_ms(-60_000) <= slot && start <= ended.plus_ms(INTERVAL_MS);
        assert!(!believed || true_time, "a sample by a wrong clock is believed: {sample}");
        assert!(believed || sample["reason"] == "clock" || sample["reason"] == "overrun", "{sample}");
    }
    let report = fleet.books(begun, ended);
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    no_page(&sink, "the target was well");
}

/// Long enough after the end of any month that its time is over, in seconds.
const FAR_AHEAD_S: i64 = 40 * DAY_S;

#[test]
#[ignore = "needs libfaketime"]
fn fault_24_an_aggregator_whose_clock_is_set_far_ahead_closes_no_month_until_somebody_says_so() {
    let (clock, target, sink) = (Stepped::new(), Target::start(), Sink::start());
    let mut seats = Seats::on_loopback(2);
    seats.aggregator = clock.seat();
    let fleet = Fleet::seated(seats, &checks(&target), &sink);
    fleet.until_all_look(1);
    let closed = || fleet.run(&["report", "list", "--config", "nines.toml"]);
    let closed_before = closed();
    clock.step(FAR_AHEAD_S);
    // Whatever closes months in the server looks once in ten seconds.
    let_pass(Duration::from_secs(25));
    assert_eq!(closed(), closed_before, "no month is closed by a clock alone");
    // This works only where the server believes that the month ended more than three days ago.
    let month = calendar_month(now());
    let by_hand =
        ["report", "freeze", "--customer", "acme", "--month", &month, "--by", "ann", "--config", "nines.toml"];
    let said = fleet.run(&by_hand);
    assert!(said.contains("is made and frozen"), "a person may say that the clock is right: {said}");
    assert!(closed().contains(&month));
    clock.step(0);
    let right = now();
    until("both are heard", || fleet.heard_after(right, &[REGIONS[0].0, REGIONS[1].0]));
    until_within(REFUSED_COME_AGAIN, "what was refused meanwhile is delivered", || fleet.all_is_delivered());
    no_page(&sink, "the target was well");
}

/// The month of `at` on the clocks of the fleet's customer.
fn calendar_month(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_ms()).expect("an instant of our days");
    at.in_tz("Europe/Berlin").expect("the zone is known").strftime("%Y-%m").to_string()
}

#[test]
#[ignore = "needs libfaketime"]
fn fault_24_an_aggregator_whose_clock_steps_pages_nobody_closes_no_month_and_loses_nothing() {
    let (clock, target, sink) = (Stepped::new(), Target::start(), Sink::start());
    let mut seats = Seats::on_loopback(2);
    seats.aggregator = clock.seat();
    let fleet = Fleet::seated(seats, &checks(&target), &sink);
    fleet.until_all_look(1);
    let (regions, begun) = (REGIONS.map(|(region, _)| region), now());
    let closed = || fleet.run(&["report", "list", "--config", "nines.toml"]);
    let closed_before = closed();
    for seconds in [DAY_S, -HOUR_S] {
        let refused = fleet.metric("batches_refused_total").unwrap();
        clock.step(seconds);
        until("the probes doubt themselves, whoever is wrong", || {
            let doubts = |region| {
                let offset = fleet.probe_of(region)?["health"]["clock_offset_ms"].as_i64()?;
                (1_000 < offset.abs()).then_some(())
            };
            doubts(regions[0]).or_else(|| (refused < fleet.metric("batches_refused_total")?).then_some(()))
        });
        clock.step(0);
        let right = now();
        until("both are heard and believed", || {
            let believed = |region: &&str| {
                let seen = fleet.planned(region, right, now().plus_ms(INTERVAL_MS));
                seen.iter().any(|sample| sample["outcome"] == "up")
            };
            regions[..2].iter().all(believed).then_some(())
        });
    }
    until_within(REFUSED_COME_AGAIN, "what was refused meanwhile is delivered", || fleet.all_is_delivered());
    let report = fleet.books(begun, now());
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    assert_eq!(closed(), closed_before, "no month was closed");
    no_page(&sink, "the target was well");
}

fn at(sample: &serde_json::Value, key: &str) -> Timestamp {
    Timestamp::from_ms(sample[key].as_i64().expect("a sample has its instants"))
}
