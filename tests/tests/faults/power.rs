//! The power goes: what was acknowledged is there when it comes back, whatever the disk forgot.

use std::time::Duration;

use nines_probe::spool::{Kept, Spool};
use nines_shared::sample::Sample;
use nines_tests::dice::{Dice, from_environment};
use nines_tests::fleet::{Fleet, REGIONS, Seats};
use nines_tests::power::PoweredDisk;
use nines_tests::seen::{no_page, now};
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::{let_pass, until};
use nines_tests::world::{SERVICE, checks};
use serde_json::json;

/// How often the power goes.
const CUTS: u64 = 2;

#[test]
#[ignore = "needs root, nbdkit, nbdfuse and ext4"]
fn fault_3_an_aggregator_whose_power_goes_has_all_that_it_acknowledged() {
    let first = from_environment("NINES_CUT", 1);
    for seed in first..first + CUTS {
        let (target, sink) = (Target::start(), Sink::start());
        let mut disk = PoweredDisk::of_mib(48, seed);
        std::fs::create_dir(disk.path("data")).unwrap();
        let mut seats = Seats::on_loopback(2);
        seats.aggregator.state = Some(disk.path("data"));
        let mut fleet = Fleet::seated(seats, &checks(&target), &sink);
        fleet.until_all_look(1);
        let begun = now();
        let_pass(Duration::from_millis(1_500 + Dice(seed).below(3_000)));
        disk.cut();
        drop(fleet.take_aggregator().kill());
        // A probe forgets what was acknowledged, and nothing else.
        let acknowledged = fleet.committed() - fleet.spooled(0) - fleet.spooled(1);
        assert!(0 < acknowledged, "there was something to lose");
        disk.come_back();
        let stored = fleet.stored();
        assert!(acknowledged <= stored, "cut {seed}: {acknowledged} samples were acknowledged and {stored} are there");
        fleet.start_aggregator();
        let again = now();
        until("both are heard", || fleet.heard_after(again, &[REGIONS[0].0, REGIONS[1].0]));
        fleet.until_all_is_delivered();
        let report = fleet.books(begun, again);
        assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5 {SERVICE}: {report:#}");
        no_page(&sink, "the target was well");
        drop(fleet);
    }
}

#[test]
#[ignore = "needs root, nbdkit, nbdfuse and ext4"]
fn fault_4_a_probe_whose_power_goes_has_every_sample_that_it_took() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let first = from_environment("NINES_CUT", 1);
    for seed in first..first + CUTS {
        let mut disk = PoweredDisk::of_mib(48, seed);
        let state = disk.path("state");
        std::fs::create_dir(&state).unwrap();
        let spool = Spool::open(&state, 16 << 20).unwrap();
        let appending = runtime.spawn(async move {
            let mut taken = 0;
            // In the end the disk has gone, and the spool says so.
            while let Ok(Kept::Durable) = spool.append(&[sample(taken)]).await {
                taken += 1;
            }
            taken
        });
        let_pass(Duration::from_millis(1_500 + Dice(seed).below(1_500)));
        disk.cut();
        let taken = runtime.block_on(appending).unwrap();
        assert!(10 < taken, "there was something to lose: {taken}");
        disk.come_back();
        let spool = Spool::open(&state, 16 << 20).unwrap();
        let waiting = runtime.block_on(spool.peek(usize::MAX, usize::MAX)).unwrap().rows;
        let found: Vec<Sample> = waiting.iter().map(|row| serde_json::from_str(&row.json).unwrap()).collect();
        let wanted: Vec<Sample> = (0..taken).map(sample).collect();
        assert!(found.starts_with(&wanted), "cut {seed}: {taken} were taken and {} are there", found.len());
        assert!(found.len() <= wanted.len() + 1, "at most the one whose commit was not answered is there beside them");
        runtime.block_on(spool.close());
    }
}

/// The sample of a slot.
fn sample(second: i64) -> Sample {
    let at = 1_790_000_000_000 + second * 1_000;
    let sample = json!({
        "check": "shop-home", "region": "eu-west", "kind": "planned", "scheduled_at": at, "started_at": at, "outcome": "up",
    });
    serde_json::from_value(sample).expect("it has what a sample must have")
}
