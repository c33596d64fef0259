//! What the month of a fleet costs: `nines report --all-customers` over 100 services, five regions, 60 s, 30 days: 21.6
//! million samples, every report frozen and written as JSON, HTML, PDF, CSV and Markdown, each signed. In a process of
//! its own, whose time and peak memory are taken; beside it what SQLite and SHA-256 alone take for as much.
//!
//! `cargo bench -p nines --bench month [-- SERVICES]`; prints a table for `docs/PERFORMANCE.md`. It writes some 3 GB
//! into the folder of temporary files, and takes them away again.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use nines::definition::Fleet;
use nines::fleet_file;
use nines::store::samples::{canonical, days, each_in_identity_order};
use nines::store::{Store, StoreError, definitions};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, params};
use tokio::time::Instant;

/// 2026-09-01T00:00:00Z.
const START: Timestamp = Timestamp::from_ms(1_788_220_800_000);
const DAY_MS: i64 = 86_400_000;
const MONTH: &str = "2026-09";
const SERVICES: usize = 100;
/// How many services a customer has.
const OF_A_CUSTOMER: usize = 10;
const REGIONS: [&str; 5] = ["af-south", "ap-south", "eu-west", "sa-east", "us-east"];
/// How often a process is looked at while it runs.
const LOOK: Duration = Duration::from_millis(20);
/// How many days of a check and region are sealed in one transaction.
const SEALED_AT_ONCE: usize = 500;

fn main() {
    let services = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(SERVICES);
    let folder = tempfile::tempdir().expect("a folder");
    let (cold, warm) = (Place::new(folder.path(), "cold", services), Place::new(folder.path(), "warm", services));
    let (samples, made_in) = timed(|| fill(&cold));
    println!("{samples} samples of {services} services made in {:.1} s.", made_in.as_secs_f64());
    fs::copy(&cold.database, &warm.database).expect("room for a copy");
    let sealed = timed(|| seal(&warm)).1;
    println!("Their days sealed in {:.1} s, as the server does day by day.\n", sealed.as_secs_f64());

    let ((), scanned) = timed(|| scan(&cold.database, samples));
    let line = line_length(&cold.database);
    let hashed = timed(|| hash(samples, line)).1;
    println!("| a month of {services} services, {samples} samples | s | CPU, s | peak memory |");
    println!("|---|--:|--:|--:|");
    cold.report().print("all reports, no day sealed");
    warm.report().print("all reports, days sealed");
    warm.report().print("all reports again: they are frozen");
    println!("| SQLite alone: every row read once, one thread | {:.1} | – | – |", scanned.as_secs_f64());
    println!("| SHA-256 alone, of lines of {line} bytes, one thread | {:.1} | – | – |", hashed.as_secs_f64());
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let made = run();
    (made, begun.elapsed())
}

/// A fleet file, its database and where reports go.
struct Place {
    config: PathBuf,
    database: PathBuf,
    out: PathBuf,
    fleet: Fleet,
}

impl Place {
    fn new(folder: &Path, name: &str, services: usize) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        let mut text = "[aggregator]\ndatabase = \"nines.db\"\n".to_owned();
        for region in REGIONS {
            text += &format!("[[region]]\nid = \"{region}\"\n");
        }
        for customer in 0..services.div_ceil(OF_A_CUSTOMER) {
            text += &format!("[[customer]]\nid = \"customer-{customer}\"\ntimezone = \"UTC\"\n");
        }
        for service in 0..services {
            let customer = service / OF_A_CUSTOMER;
            text += &format!(
                "[[service]]\nid = \"service-{service}\"\ncustomer = \"customer-{customer}\"\nsince = \"2026-01-01T00:00:00Z\"\n\
                 slo = {{ availability = 99.95, window = \"30d\" }}\n\
                 sla = {{ availability = 99.9, min_outage = \"1m\", credits = [{{ below = 99.9, percent = 10 }}] }}\n\
                 [[check]]\nid = \"check-{service}\"\nservice = \"service-{service}\"\ninterval = \"60s\"\n\
                 http = {{ url = \"https://shop-{service}.example/\" }}\n"
            );
        }
        let config = folder.join("nines.toml");
        fs::write(&config, &text).expect("a file");
        let (fleet, _warnings) = fleet_file::parse(&text, &config).expect("the fleet makes sense");
        Self { config, database: folder.join("nines.db"), out: folder.join("reports"), fleet }
    }

    /// Runs `nines report --all-customers`, and watches it.
    fn report(&self) -> Run {
        let begun = Instant::now();
        let mut nines = Command::new(env!("CARGO_BIN_EXE_nines"));
        let nines = nines.args(["report", "--all-customers", "--month", MONTH]);
        let nines = nines.arg("--out").arg(&self.out).arg("--config").arg(&self.config).stdout(Stdio::null());
        // Warnings of the fleet file would stand in the middle of the table.
        let nines = nines.env("NINES_LOG", "error");
        let mut nines = nines.spawn().expect("nines is built");
        let process = PathBuf::from(format!("/proc/{}", nines.id()));
        let (mut peak_kib, mut ticks) = (0, 0);
        let status = loop {
            if let Some(status) = nines.try_wait().expect("it is ours") {
                break status;
            }
            peak_kib = peak(&process).unwrap_or(peak_kib);
            ticks = cpu_ticks(&process).unwrap_or(ticks);
            thread::sleep(LOOK);
        };
        assert!(status.success(), "{status}");
        Run { took: begun.elapsed(), ticks, peak_kib }
    }
}

/// How a process went, as seen within [`LOOK`] of its end.
struct Run {
    took: Duration,
    ticks: u64,
    peak_kib: u64,
}

impl Run {
    fn print(&self, what: &str) {
        let cpu = Duration::from_millis(self.ticks * 10);
        let (took, cpu) = (self.took.as_secs_f64(), cpu.as_secs_f64());
        println!("| {what} | {took:.1} | {cpu:.1} | {} MiB |", self.peak_kib / 1_024);
    }
}

fn peak(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time, in hundredths of a second.
fn cpu_ticks(process: &Path) -> Option<u64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Writes the samples of the month and of what its edges depend on, row by row in the order of the table: up, but for a
/// minute of failure every day and 1 % slow ones. The quick way, beside the store: nothing is judged or synced.
fn fill(place: &Place) -> usize {
    let store = Store::open(&place.database).expect("a database");
    let fleet = place.fleet.clone();
    store.write_blocking(move |tx| definitions::load(tx, &fleet, START)).expect("definitions are stored");
    drop(store);
    let mut connection = Connection::open(&place.database).expect("a database");
    connection.execute_batch("PRAGMA synchronous = off; PRAGMA cache_size = -65536").expect("settings");
    let transaction = connection.transaction().expect("a transaction");
    let used = Span::new(START.plus_ms(-120_000), START.plus_ms(30 * DAY_MS + 120_000));
    let mut count = 0;
    {
        let mut name = transaction.prepare("INSERT INTO name (text) VALUES (?1) RETURNING no").expect("SQL");
        let mut named = |text: &str| name.query_row([text], |row| row.get::<_, i64>(0)).expect("a name");
        let regions: Vec<(i64, i64)> =
            REGIONS.iter().map(|region| (named(region), named(&format!("{region}-1")))).collect();
        let sql = "INSERT INTO sample VALUES (?1, ?2, ?3, 0, ?4, ?5, 1, ?6, ?7, ?8, 10000, 20000, ?9, 100, 250, ?10)";
        let mut insert = transaction.prepare(sql).expect("SQL");
        for check in &place.fleet.checks {
            let check_no = named(check.id.as_str());
            for (region, (region_no, probe_no)) in check.regions.iter().zip(&regions) {
                let cadence = check.cadence(region).expect("the check is asked from its regions");
                for slot in cadence.slots_in(used) {
                    let n = (slot.as_ms() / 100).wrapping_add(check_no).wrapping_mul(0x1e37_79b9_7f4a_7c15) >> 40;
                    let n = n & 0xff_ffff;
                    let (outcome, rest) = match (slot.as_ms() % DAY_MS < 60_000, n % 100) {
                        (true, _) => {
                            (2, Some(r#"{"reason":"http_status","phase":"first_byte","detail":"503 instead of 2xx"}"#))
                        }
                        (false, 0) => (1, Some(r#"{"reason":"slow"}"#)),
                        (false, _) => (0, None),
                    };
                    let first_byte = 20_000 + n % 30_000;
                    let (late, resolve, duration) = (n % 5, 900 + n % 500, 31_000 + first_byte);
                    let row = params![
                        check_no,
                        region_no,
                        slot.as_ms(),
                        late,
                        outcome,
                        probe_no,
                        duration,
                        resolve,
                        first_byte,
                        rest
                    ];
                    insert.execute(row).expect("a row");
                    count += 1;
                }
            }
        }
    }
    transaction.commit().expect("a commit");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("one file");
    count
}

fn seal(place: &Place) {
    let store = Store::open(&place.database).expect("a database");
    let first = days::day_of(START);
    for day in first - 1..=first + 30 {
        let open = store.read_blocking(|conn| days::never_sealed(conn, day)).expect("it can be read");
        for some in open.chunks(SEALED_AT_ONCE) {
            let some = some.to_vec();
            store.write_blocking(move |tx| days::seal(tx, &some)).expect("it can be written");
        }
    }
}

/// Reads every column of every row that is in a line.
fn scan(database: &Path, samples: usize) {
    let connection = Connection::open(database).expect("a database");
    connection.execute_batch("PRAGMA cache_size = -32768").expect("settings");
    let sql =
        "SELECT scheduled_at, late_ms, kind, outcome, duration_us, attempt, probe_no, resolve_us, connect_us, tls_us,
        first_byte_us, transfer_us, rest FROM sample";
    let mut statement = connection.prepare(sql).expect("SQL");
    let mut rows = statement.query([]).expect("rows");
    let (mut count, mut sum) = (0, 0_i64);
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..12 {
            sum = sum.wrapping_add(row.get::<_, Option<i64>>(column).expect("a number").unwrap_or_default());
        }
        count += 1;
    }
    assert_eq!((count, sum != 0), (samples, true));
}

/// How long the line of a sample is, in bytes: on average over a day of one check.
fn line_length(database: &Path) -> usize {
    let store = Store::open_read_only(database).expect("a database");
    let (mut lines, mut bytes) = (0, 0);
    let first = ["check-0".parse().expect("an id")];
    let day = Span::new(START, START.plus_ms(DAY_MS));
    let read = store.read_blocking(|conn| {
        each_in_identity_order(conn, Some(&first), day, |sample| {
            (lines, bytes) = (lines + 1, bytes + canonical(sample).len() + 1);
            Ok::<_, StoreError>(())
        })
    });
    read.expect("it can be read");
    bytes / lines
}

fn hash(samples: usize, line: usize) {
    let line = vec![b'x'; line];
    let mut context = Context::new(&SHA256);
    for _sample in 0..samples {
        context.update(&line);
    }
    assert_ne!(context.finish().as_ref(), [0; 32]);
}
