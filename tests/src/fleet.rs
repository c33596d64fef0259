//! A real fleet on loopback: one `nines serve`, several `nines-probe run`, each with its own files, enrolled
//! the way people enrol them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nines_shared::time::Timestamp;
use tempfile::TempDir;

use crate::binaries;
use crate::http::{self, Answer};
use crate::net::Host;
use crate::process::Process;
use crate::sink::{SECRET, Sink};
use crate::wait::until;

/// The regions that a fleet of `n` has, and the address that each looks from.
pub const REGIONS: [(&str, &str); 5] = [
    ("ap-south", "127.0.0.11"),
    ("ap-tokyo", "127.0.0.12"),
    ("eu-west", "127.0.0.13"),
    ("sa-east", "127.0.0.14"),
    ("us-east", "127.0.0.15"),
];

/// Where one process of a fleet runs, and what is special about it there.
#[derive(Clone, Debug, Default)]
pub struct Seat {
    /// Its host; on loopback, with the region's address, where there is none.
    pub host: Option<Host>,
    /// What its environment has beside ours.
    pub environment: Vec<(&'static str, String)>,
    /// The folder of its database or its state; a place in the fleet's folder where there is none.
    pub state: Option<PathBuf>,
    /// What a probe's file says beside the usual, TOML.
    pub file: String,
}

/// Where the processes of a fleet run: one probe in each region.
#[derive(Clone, Debug)]
pub struct Seats {
    /// The aggregator's.
    pub aggregator: Seat,
    /// The probes', in the order of [`REGIONS`].
    pub probes: Vec<Seat>,
}

impl Seat {
    /// Does `act` with `command` at this place, in its environment.
    fn with<T: Send>(&self, command: &mut Command, act: impl FnOnce(&mut Command) -> T + Send) -> T {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        match &self.host {
            Some(host) => host.within(|| act(command)),
            None => act(command),
        }
    }
}

impl Seats {
    /// All on loopback, and nothing special.
    pub fn on_loopback(regions: usize) -> Self {
        Self { aggregator: Seat::default(), probes: vec![Seat::default(); regions] }
    }
}

/// A fleet's folder, files and processes. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    folder: TempDir,
    regions: usize,
    seats: Seats,
    /// Further lines of `[aggregator]`.
    settings: String,
    aggregator: Option<Process>,
    probes: Vec<Option<Process>>,
    /// Where probes talk.
    pub door: SocketAddr,
    /// Where people look.
    pub web: SocketAddr,
}

impl Fleet {
    /// Starts an aggregator with `checks` (TOML of `[[service]]` and `[[check]]`), invites and joins one probe per
    /// region, and starts them. Alerts go to `sink`.
    pub fn start(regions: usize, checks: &str, sink: &Sink) -> Self {
        Self::seated(Seats::on_loopback(regions), checks, sink)
    }

    /// Like [`Fleet::start`], with each process in its place.
    pub fn seated(seats: Seats, checks: &str, sink: &Sink) -> Self {
        Self::joined(seats, checks, sink, "").with_probes()
    }

    /// Like [`Fleet::start`], with the probes joined but not started.
    pub fn without_probes(regions: usize, checks: &str, sink: &Sink) -> Self {
        Self::joined(Seats::on_loopback(regions), checks, sink, "")
    }

    /// Like [`Fleet::without_probes`], with further lines of `[aggregator]`.
    pub fn set(regions: usize, checks: &str, sink: &Sink, settings: &str) -> Self {
        Self::joined(Seats::on_loopback(regions), checks, sink, settings)
    }

    /// Like [`Fleet::set`], with each process in its place.
    pub fn seated_with(seats: Seats, checks: &str, sink: &Sink, settings: &str) -> Self {
        Self::joined(seats, checks, sink, settings)
    }

    fn joined(seats: Seats, checks: &str, sink: &Sink, settings: &str) -> Self {
        let folder = TempDir::new().expect("there is room for a temporary folder");
        let home = seats.aggregator.host.as_ref().map_or(Ipv4Addr::LOCALHOST, |host| host.address);
        let (any, regions) = (SocketAddr::from((home, 0)), seats.probes.len());
        let probes = (0..regions).map(|_| None).collect();
        let settings = settings.to_owned();
        let mut fleet = Self { folder, regions, seats, settings, aggregator: None, probes, door: any, web: any };
        fleet.write_config(checks, sink);
        fleet.start_aggregator();
        // The ports stay the same when the aggregator is started again.
        fleet.write_config(checks, sink);
        for index in 0..regions {
            fleet.join(index);
        }
        fleet
    }

    fn with_probes(mut self) -> Self {
        for index in 0..self.regions {
            self.start_probe(index);
        }
        self
    }

    /// The file called `name` in the fleet's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the fleet file anew; the running aggregator takes it up when told or when it notices.
    pub fn write_config(&self, checks: &str, sink: &Sink) {
        let mut toml = format!(
            "environment = \"test\"\n\n[aggregator]\nprobes = \"{}\"\nweb = \"{}\"\ndatabase = \"{}\"\n\
             webhook_allow = [\"127.0.0.0/8\", \"198.18.0.0/15\"]\n{}\n\
             [[customer]]\nid = \"acme\"\nname = \"Acme GmbH\"\ntimezone = \"Europe/Berlin\"\n\n\
             [[channel]]\nid = \"oncall\"\nwebhook = {{ url = \"http://{}/\", secret = {{ env = \"NINES_HOOK_SECRET\" }} }}\n\n\
             [[route]]\nchannels = [\"oncall\"]\n",
            self.door,
            self.web,
            self.database().display(),
            self.settings,
            sink.address
        );
        for (region, _) in &REGIONS[..self.regions] {
            write!(toml, "\n[[region]]\nid = \"{region}\"\nname = \"{region}\"\n").expect("a String takes text");
        }
        toml.push_str(checks);
        // As people should write it: beside, then renamed, so that nobody ever reads half a file.
        std::fs::write(self.path("nines.toml.new"), toml).expect("the folder can be written");
        std::fs::rename(self.path("nines.toml.new"), self.path("nines.toml")).expect("the folder can be written");
    }

    /// Starts the aggregator (again) and waits until it listens.
    pub fn start_aggregator(&mut self) {
        let mut command = self.nines(&["--log-format", "json", "serve", "--config", "nines.toml"]);
        let mut process = self.seats.aggregator.with(&mut command, |command| Process::start("nines serve", command));
        (self.door, self.web) = process.logged("serve.listening", |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let address = |key: &str| line[key].as_str()?.parse().ok();
            (line["message"] == "serve.listening").then(|| Some((address("probes")?, address("web")?)))?
        });
        self.aggregator = Some(process);
    }

    /// The running aggregator.
    pub fn aggregator(&mut self) -> &mut Process {
        self.aggregator.as_mut().expect("the aggregator runs")
    }

    /// Takes the aggregator's process out, to end it.
    pub fn take_aggregator(&mut self) -> Process {
        self.aggregator.take().expect("the aggregator runs")
    }

    /// Starts probe number `index` (again).
    pub fn start_probe(&mut self, index: usize) {
        self.start_probe_logging(index, "nines_probe=debug,info");
    }

    /// Like [`Fleet::start_probe`], with a log filter of its own.
    pub fn start_probe_logging(&mut self, index: usize, filter: &str) {
        let mut command = Command::new(binaries::nines_probe());
        command.current_dir(self.folder.path()).env_remove("RUST_LOG");
        command.args(["--log-format", "json", "--log", filter, "run", "--config"]);
        command.arg(format!("probe-{index}.toml"));
        let name = format!("nines-probe {index}");
        let process = self.seats.probes[index].with(&mut command, |command| Process::start(&name, command));
        self.probes[index] = Some(process);
    }

    /// The running probe number `index`.
    pub fn probe(&mut self, index: usize) -> &mut Process {
        self.probes[index].as_mut().expect("the probe runs")
    }

    /// Takes a probe's process out, to end it.
    pub fn take_probe(&mut self, index: usize) -> Process {
        self.probes[index].take().expect("the probe runs")
    }

    /// The folder where probe number `index` keeps its key and its spool.
    pub fn probe_state(&self, index: usize) -> PathBuf {
        let elsewhere = self.seats.probes[index].state.clone();
        elsewhere.unwrap_or_else(|| self.path(&format!("probe-{index}")))
    }

    /// The aggregator's database.
    pub fn database(&self) -> PathBuf {
        let elsewhere = self.seats.aggregator.state.as_ref();
        elsewhere.map_or_else(|| self.path("nines.db"), |folder| folder.join("nines.db"))
    }

    /// Where probe number `index` looks from, as a target sees it.
    pub fn source(&self, index: usize) -> String {
        let host = self.seats.probes[index].host.as_ref();
        host.map_or_else(|| REGIONS[index].1.to_owned(), |host| host.address.to_string())
    }

    /// How many samples wait in the spool of probe number `index`.
    pub fn spooled(&self, index: usize) -> i64 {
        number(&self.probe_state(index).join("spool.db"), "SELECT count(*) FROM sample")
    }

    /// How many samples the spools of all probes ever committed; each counts in a commit what it adds.
    pub fn committed(&self) -> i64 {
        let sql = "SELECT value FROM counter WHERE name = 'committed'";
        (0..self.regions).map(|index| number(&self.probe_state(index).join("spool.db"), sql)).sum()
    }

    /// From its next start on, probe number `index` reaches the aggregator by way of `relay`.
    pub fn reach_through(&self, index: usize, relay: SocketAddr) {
        let path = self.path(&format!("probe-{index}.toml"));
        let written = std::fs::read_to_string(&path).expect("the probe has its file");
        let direct = self.door.to_string();
        assert!(written.contains(&direct), "{written}");
        std::fs::write(path, written.replace(&direct, &relay.to_string())).expect("the folder can be written");
    }

    /// `nines` with `arguments`, in the fleet's folder, ready to run.
    pub fn nines(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::nines());
        command.current_dir(self.folder.path()).env_remove("RUST_LOG").env("NINES_HOOK_SECRET", SECRET).args(arguments);
        command
    }

    /// Runs `nines` with `arguments` to its end; it must succeed. Returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        printed(arguments, &self.nines(arguments).output().expect("nines runs"))
    }

    /// GETs a path of the web side.
    pub fn get(&self, path: &str) -> Option<Answer> {
        let web = self.web;
        match &self.seats.aggregator.host {
            Some(host) => host.within(|| http::get(web, path)),
            None => http::get(web, path),
        }
    }

    /// How many samples the aggregator has stored, by reading its database beside it.
    pub fn stored(&self) -> i64 {
        count_samples(&self.database())
    }

    /// The export of all samples, one JSON object a line, in identity order.
    pub fn export(&self) -> Vec<serde_json::Value> {
        let text = self.run(&["export", "--config", "nines.toml"]);
        text.lines().map(|line| serde_json::from_str(line).expect("an exported line is JSON")).collect()
    }

    /// Invites and joins probe number `index`, in the place of the one that it was.
    pub fn join(&self, index: usize) {
        let (region, source) = REGIONS[index];
        let (seat, state) = (&self.seats.probes[index], self.probe_state(index));
        let line = self.run(&[
            "probe",
            "invite",
            "--region",
            region,
            "--name",
            &format!("probe-{index}"),
            "--config",
            "nines.toml",
        ]);
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "join").expect("the join line is printed");
        let token = words[at + 2];
        let (url, file) = (format!("https://{}", self.door), format!("probe-{index}.toml"));
        let mut command = Command::new(binaries::nines_probe());
        command.current_dir(self.folder.path()).args(["join", &url, token, "--config", &file, "--state"]).arg(&state);
        printed(
            &["join"],
            &seat.with(&mut command, |command: &mut Command| command.output().expect("nines-probe runs")),
        );
        let path = self.path(&file);
        let written = std::fs::read_to_string(&path).expect("join writes the probe's file");
        assert!(written.contains(&self.door.to_string()), "{written}");
        let source = if seat.host.is_some() { String::new() } else { format!("source_address = \"{source}\"\n") };
        let toml = format!(
            "aggregator = \"{url}\"\nstate = \"{}\"\n{source}targets = {{ allow = [\"127.0.0.0/8\", \"198.18.0.0/15\"] }}\n{}",
            state.display(),
            seat.file
        );
        std::fs::write(path, toml).expect("the folder can be written");
    }

    /// Waits until every probe has delivered a sample of every check.
    pub fn until_all_look(&self, checks: usize) {
        let wanted = i64::try_from(checks * self.regions).expect("a small number");
        until("every region has looked at every check", || (wanted <= distinct_series(&self.database())).then_some(()));
    }
}

/// An instant as commands take it: RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_ms()).expect("an instant of our days").to_string()
}

fn printed(arguments: &[&str], output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?} failed with {}:\n{out}\n{err}", output.status);
    out.into_owned()
}

fn number(database: &Path, sql: &str) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(connection) = rusqlite::Connection::open_with_flags(database, flags) else { return 0 };
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
}

fn count_samples(database: &Path) -> i64 {
    number(database, "SELECT count(*) FROM sample")
}

fn distinct_series(database: &Path) -> i64 {
    number(database, "SELECT count(*) FROM (SELECT DISTINCT check_no, region_no FROM sample)")
}
