//! Disks that are full, fail or are held: nothing is acknowledged that is not kept, nothing that was kept is lost,
//! and a target is never blamed for it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nines_tests::disk::Disk;
use nines_tests::fleet::{Fleet, REGIONS, Seats};
use nines_tests::process::Process;
use nines_tests::seen::{no_page, now, of_region};
use nines_tests::sink::Sink;
use nines_tests::target::Target;
use nines_tests::wait::{let_pass, until};
use nines_tests::world::{INTERVAL_MS, SERVICE, checks};

#[test]
#[ignore = "needs root and mount"]
fn fault_28_a_probe_whose_disk_is_full_goes_on_looking_and_fills_the_gap_when_there_is_room() {
    let disk = Disk::of_kib(4 << 10);
    let (target, sink) = (Target::start(), Sink::start());
    let mut seats = Seats::on_loopback(3);
    seats.probes[0].state = Some(disk.path("state"));
    let mut fleet = Fleet::seated(seats, &checks(&target), &sink);
    fleet.until_all_look(1);
    let (region, begun) = (REGIONS[0].0, now());
    disk.fill();
    fleet.probe(0).logged("that the disk is full", |line| line.contains("spool.disk_full").then_some(()));
    until("the aggregator is told", || {
        let held = fleet.probe_of(region)?["health"]["held"].as_u64()?;
        (2 <= held).then_some(())
    });
    until("the others are enough", || (fleet.verdict(SERVICE)? == "up").then_some(()));
    assert!(fleet.probe(0).runs());

    disk.make_room();
    let roomy = now();
    fleet.probe(0).logged("that it is kept again", |line| line.contains("disk_takes_samples_again").then_some(()));
    until("the region is heard", || fleet.heard_after(roomy, &[region]));
    fleet.until_all_is_delivered();
    let report = fleet.books(begun, roomy);
    let slots = fleet.planned(region, begun, roomy);
    assert_eq!(Some(slots.len()), usize::try_from(of_region(&report, region, "slots_expected")).ok(), "no gap");
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    no_page(&sink, "the target was well");
}

#[test]
#[ignore = "needs root and mount"]
fn fault_29_an_aggregator_whose_disk_is_full_acknowledges_nothing_and_gets_everything_later() {
    let disk = Disk::of_kib(12 << 10);
    let (target, sink) = (Target::start(), Sink::start());
    let mut seats = Seats::on_loopback(2);
    std::fs::create_dir(disk.path("data")).unwrap();
    seats.aggregator.state = Some(disk.path("data"));
    let mut fleet = Fleet::seated(seats, &checks(&target), &sink);
    fleet.until_all_look(1);
    let begun = now();
    disk.fill();
    fleet.aggregator().logged("that it can't commit", |line| line.contains("store.not_committed").then_some(()));
    let stored = fleet.stored();
    fleet.probe(0).logged("that it is not delivered", |line| line.contains("uplink.not_delivered").then_some(()));
    until("what is not acknowledged stays on the probe", || (3 <= fleet.spooled(0)).then_some(()));
    assert_eq!(fleet.stored(), stored, "INV-2: what is not committed is not there");
    assert!(fleet.aggregator().runs());

    disk.make_room();
    let roomy = now();
    until("both are heard", || fleet.heard_after(roomy, &[REGIONS[0].0, REGIONS[1].0]));
    fleet.until_all_is_delivered();
    let report = fleet.books(begun, roomy);
    for (region, _) in &REGIONS[..2] {
        let slots = fleet.planned(region, begun, roomy);
        assert_eq!(Some(slots.len()), usize::try_from(of_region(&report, region, "slots_expected")).ok(), "no gap");
    }
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    sound(&mut fleet);
    no_page(&sink, "the target was well");
}

#[test]
#[ignore = "needs root and strace"]
fn fault_30_a_sync_that_fails_ends_the_probe_which_starts_anew_and_leaves_the_aggregator_honest() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &checks(&target), &sink);
    fleet.until_all_look(1);
    let begun = now();
    {
        let _failing = failing_syncs(fleet.probe(0));
        fleet.probe(0).logged("that its file can't be trusted", |line| line.contains("spool.broken").then_some(()));
        let (status, log) = fleet.take_probe(0).ended();
        assert_eq!(status.code(), Some(74), "reading or writing failed: {}", log.join("\n"));
    }
    fleet.start_probe(0);
    let again = now();
    until("the probe goes on with what it had", || fleet.heard_after(again, &[REGIONS[0].0]));

    let failing = failing_syncs(fleet.aggregator());
    fleet.aggregator().logged("that it can't commit", |line| line.contains("store.not_committed").then_some(()));
    until("what is not acknowledged stays on the probe", || (2 <= fleet.spooled(1)).then_some(()));
    failing.terminate();
    let mended = now();
    until("both are heard", || fleet.heard_after(mended, &[REGIONS[0].0, REGIONS[1].0]));
    fleet.until_all_is_delivered();
    let report = fleet.books(begun, mended);
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    sound(&mut fleet);
    no_page(&sink, "the target was well");
}

#[test]
fn fault_33_a_database_that_somebody_holds_makes_probes_wait_and_nobody_down() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &checks(&target), &sink);
    fleet.until_all_look(1);
    let begun = now();
    let somebody = rusqlite::Connection::open(fleet.database()).unwrap();
    somebody.busy_timeout(Duration::from_secs(20)).unwrap();
    somebody.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stored = fleet.stored();
    fleet.aggregator().logged("that it can't commit", |line| line.contains("store.not_committed").then_some(()));
    assert_eq!(fleet.stored(), stored, "INV-2: what is not committed is not there");
    assert_eq!(fleet.incidents_of("outage"), [] as [serde_json::Value; 0]);
    somebody.execute_batch("ROLLBACK").unwrap();
    drop(somebody);
    let free = now();
    until("both are heard", || fleet.heard_after(free, &[REGIONS[0].0, REGIONS[1].0]));
    fleet.until_all_is_delivered();
    let report = fleet.books(begun, free);
    for (region, _) in &REGIONS[..2] {
        let slots = fleet.planned(region, begun, free);
        assert_eq!(Some(slots.len()), usize::try_from(of_region(&report, region, "slots_expected")).ok(), "no gap");
    }
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    no_page(&sink, "the target was well");
}

#[test]
fn fault_34_what_is_delivered_while_backups_and_reports_are_made_is_all_taken() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(2, &checks(&target), &sink);
    fleet.until_all_look(1);
    let (begun, regions) = (now(), [REGIONS[0].0, REGIONS[1].0]);
    let stored = fleet.stored();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (fleet, done) = (&fleet, &done);
        let working = scope.spawn(move || {
            let mut copies = 0;
            while !done.load(Ordering::SeqCst) {
                copies += 1;
                fleet.run(&["backup", &format!("copy-{copies}.db"), "--config", "nines.toml"]);
                fleet.run(&["report", "--service", SERVICE, "--from", "-24h", "--config", "nines.toml"]);
            }
            copies
        });
        until("samples are taken meanwhile", || (stored + 8 <= fleet.stored()).then_some(()));
        until("of every region", || fleet.heard_after(begun.plus_ms(INTERVAL_MS), &regions));
        done.store(true, Ordering::SeqCst);
        assert!(0 < working.join().unwrap(), "a copy was made meanwhile");
    });
    for probe in 0..regions.len() {
        let log = fleet.probe(probe).log();
        assert!(!log.iter().any(|line| line.contains("uplink.not_delivered")), "{log:#?}");
    }
    fleet.until_all_is_delivered();
    let report = fleet.books(begun, now());
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    no_page(&sink, "the target was well");
}

#[test]
fn fault_36_who_is_out_of_descriptors_blames_itself_and_does_not_spin() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(3, &checks(&target), &sink);
    fleet.until_all_look(1);
    let (region, begun) = (REGIONS[0].0, now());
    fleet.probe(0).limit_files(0);
    until("the probe says that it is its own fault", || {
        let seen = fleet.planned(region, begun, now());
        seen.iter().any(|sample| sample["reason"] == "resources").then_some(())
    });
    fleet.probe(0).limit_files(1_024);
    let enough = now();
    until("it looks again", || {
        let seen = fleet.planned(region, enough, now());
        seen.iter().any(|sample| sample["outcome"] == "up").then_some(())
    });

    fleet.aggregator().limit_files(0);
    let (_log, door) = (fleet.take_probe(1).kill(), fleet.door);
    let _one_more = std::net::TcpStream::connect(door).unwrap();
    fleet.aggregator().logged("that it can't accept", |line| line.contains("gateway.accept_failed").then_some(()));
    let (before, watched) = (fleet.aggregator().usage().cpu_ms, now());
    let_pass(Duration::from_secs(4));
    let used = i64::try_from(fleet.aggregator().usage().cpu_ms - before).unwrap();
    let passed = now().since(watched);
    assert!(2 * used < passed, "an accept that fails is not tried as fast as it can: {used} ms of {passed} ms");
    fleet.aggregator().limit_files(1_024);
    fleet.start_probe(1);
    let ended = now();
    until("all are heard", || fleet.heard_after(ended.plus_ms(INTERVAL_MS), &REGIONS.map(|(region, _)| region)[..3]));
    let report = fleet.books(begun, ended);
    assert_eq!(report["services"][0]["accounts"]["down_ms"], 0, "INV-5: {report:#}");
    no_page(&sink, "the target was well");
}

/// Makes every sync of `process` fail with an I/O error, until it ends.
fn failing_syncs(process: &Process) -> Process {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    strace.args(["-e", "inject=fsync,fdatasync:error=EIO", "-p", &process.id().to_string()]);
    let mut strace = Process::start("strace", &mut strace);
    strace.logged("that it has attached", |line| line.contains("attached").then_some(()));
    strace
}

/// That the database is whole, once its server has ended.
fn sound(fleet: &mut Fleet) {
    let (status, log) = fleet.take_aggregator().terminate();
    assert!(status.success(), "{status}\n{}", log.join("\n"));
    let database = rusqlite::Connection::open(fleet.database()).expect("a database is there");
    let sound: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("SQLite looks it through");
    assert_eq!(sound, "ok");
}
