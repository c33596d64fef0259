//! Files that are damaged, missing or can't be written: refused by name and left as they are, never begun anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use nines::store::soundness::LOOKED_THROUGH_FIRST;
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

/// The section that says what to do.
const RESTORE: &str = "docs/OPERATIONS.md, Backup and restore";

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
    damaged(&fleet.database(), || assert!(refused(serve(&fleet), "nines.db").contains(RESTORE)));
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

/// That a program ends with an error that names `file`; what it said.
fn refused(process: Process, file: &str) -> String {
    let (status, log) = process.ended();
    let said = log.join("\n");
    assert!(matches!(status.code(), Some(69 | 74)), "{status}: {said}");
    assert!(said.contains(file), "the error names {file}: {said}");
    said
}

#[test]
fn fault_31_a_database_with_a_page_turned_is_not_served_where_it_is_small_and_says_so_where_it_is_large() {
    let (target, sink) = (Target::start(), Sink::start());
    let mut fleet = Fleet::start(1, &checks(&target), &sink);
    fleet.until_all_look(1);
    assert!(fleet.take_aggregator().terminate().0.success());
    let database = fleet.database();
    let note = fleet.path("nines.db.damaged");
    let good = fs::read(&database).unwrap();
    for of in ["name", "gap_to"] {
        turn_page(&database, of);
        let bad = fs::read(&database).unwrap();
        let log =
            refused(Process::start("nines serve", &mut fleet.nines(&["serve", "--config", "nines.toml"])), "nines.db");
        assert!(log.contains("is damaged") && log.contains(RESTORE), "{of}: {log}");
        assert!(fs::read(&database).unwrap() == bad, "{of}: it was left as it is");
        assert!(note.exists(), "{of}");
        fs::write(&database, &good).unwrap();
    }
    fleet.start_aggregator();
    assert!(!note.exists(), "it was looked through and is sound");
    assert!(!fleet.run(&["status", "--config", "nines.toml"]).contains("damaged"));

    assert!(fleet.take_aggregator().terminate().0.success());
    let ballast = rusqlite::Connection::open(&database).unwrap();
    ballast.execute_batch("CREATE TABLE ballast (bytes BLOB)").unwrap();
    let large = i64::try_from(LOOKED_THROUGH_FIRST).unwrap();
    ballast.execute("INSERT INTO ballast VALUES (zeroblob(?1))", [large]).unwrap();
    drop(ballast);
    let good = fs::read(&database).unwrap();
    turn_page(&database, "gap_to");
    fleet.start_aggregator();
    fleet.aggregator().logged("that it is damaged", |line| {
        let line = serde_json::from_str::<serde_json::Value>(line).ok()?;
        let names = |key: &str, what: &str| line[key].as_str().is_some_and(|said| said.contains(what));
        (line["level"] == "ERROR"
            && line["message"] == "store.damaged"
            && names("database", "nines.db")
            && names("mend", RESTORE))
        .then_some(())
    });
    assert_eq!(fleet.get("/healthz").unwrap().status, 503);
    assert_eq!(fleet.get("/readyz").unwrap().status, 503);
    assert_eq!(fleet.metric("database_damaged"), Some(1.0));
    let status = fleet.run(&["status", "--config", "nines.toml"]);
    assert!(status.contains("nines.db is damaged") && status.contains(RESTORE), "{status}");
    let meanwhile = now();
    until("what can be served is served", || fleet.heard_after(meanwhile, &["ap-south"]));

    assert!(fleet.take_aggregator().terminate().0.success());
    fs::write(&database, good).unwrap();
    fleet.start_aggregator();
    fleet.aggregator().logged("that it is sound", |line| line.contains("store.looked_through").then_some(()));
    assert_eq!(fleet.get("/healthz").unwrap().status, 200);
    assert_eq!(fleet.metric("database_damaged"), Some(0.0));
    assert!(!fleet.run(&["status", "--config", "nines.toml"]).contains("damaged"));
}

/// Turns a byte of the first page of a table or an index of `database`: the one that says how many entries the page
/// has.
fn turn_page(database: &Path, of: &str) {
    let connection = rusqlite::Connection::open(database).expect("a database is there");
    let sql = "SELECT (rootpage - 1) * (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
    let start: i64 = connection.query_row(sql, [of], |row| row.get(0)).expect("it has such a page");
    drop(connection);
    let mut bytes = fs::read(database).expect("the file is there");
    bytes[usize::try_from(start).expect("a place in a file") + 3] ^= 0xff;
    fs::write(database, bytes).expect("the file can be written");
}
