//! Files that are damaged, missing or can't be written: refused by name and left as they are, never begun anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use nines_tests::binaries;
use nines_tests::disk::Disk;
use nines_tests::fleet::{Fleet, Seats};
use nines_tests::process::Process;
use nines_tests::seen::now;
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::until;
use nines_tests::world::checks;

/// Where a byte of an SQLite file is turned: in its name of itself, and in what says of what kind its first page is.
const SPOTS: [usize; 2] = [3, 100];

#[test]
#[ignore = "needs root and mount"]
fn fault_31_32_files_that_are_damaged_or_can_not_be_written_are_refused_by_name_and_left_as_they_are() {
    let disk = Disk::of_kib(16 << 10);
    fs::create_dir(disk.path("data")).unwrap();
    let (target, sink) = (Target::start(), Sink::start());
    let mut seats = Seats::on_loopback(1);
    seats.aggregator.state = Some(disk.path("data"));
    let mut fleet = Fleet::seated(seats, &checks(&target), &sink);
    fleet.until_all_look(1);

    let stored = fleet.stored();
    fleet.take_aggregator().kill();
    fs::remove_file(disk.path("data/nines.db-shm")).unwrap();
    fleet.start_aggregator();
    assert!(stored <= fleet.stored(), "an index of the log that is lost is made anew from the log");

    assert!(fleet.take_aggregator().terminate().0.success());
    let serve = |fleet: &Fleet| Process::start("nines serve", &mut fleet.nines(&["serve", "--config", "nines.toml"]));
    damaged(&fleet.database(), || refused(serve(&fleet), "nines.db"));
    disk.read_only(true);
    refused(serve(&fleet), "nines.db");
    disk.read_only(false);

    assert!(fleet.take_probe(0).terminate().0.success());
    let spool = fleet.probe_state(0).join("spool.db");
    damaged(&spool, || {
        let mut probe = Command::new(binaries::nines_probe());
        probe.args(["run", "--config"]).arg(fleet.path("probe-0.toml"));
        refused(Process::start("nines-probe", &mut probe), "spool.db");
    });

    fleet.start_aggregator();
    fleet.start_probe(0);
    let whole = now();
    until("with its files as they were, all goes on", || fleet.heard_after(whole, &["ap-south"]));
    fleet.until_all_is_delivered();
}

/// Turns one byte of `file` after another, does `act`, and puts it back; `act` may not have changed the file.
fn damaged(file: &Path, act: impl Fn()) {
    let good = fs::read(file).expect("the file is there");
    for spot in SPOTS {
        let mut bad = good.clone();
        bad[spot] ^= 0xff;
        fs::write(file, &bad).expect("the file can be written");
        act();
        assert!(fs::read(file).expect("the file is there") == bad, "{} was left as it is", file.display());
    }
    fs::write(file, good).expect("the file can be written");
}

/// That a program ends with an error that names `file`.
fn refused(process: Process, file: &str) {
    let (status, log) = process.ended();
    let said = log.join("\n");
    assert!(matches!(status.code(), Some(69 | 74)), "{status}: {said}");
    assert!(said.contains(file), "the error names {file}: {said}");
}
