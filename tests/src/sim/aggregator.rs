//! The aggregator of a simulated world: the real store, ingest, evaluator, plan of letters and reports, without
//! sockets.
//!
//! Everything that happens to it is an [`Act`] at an instant of its own clock, and it does nothing by itself. So a
//! journal of acts is all that a second aggregator needs to become the same (INV-7). A kill leaves what the file holds
//! behind any commit; the next life begins from that.

use std::path::PathBuf;
use std::sync::Arc;

use nines::alert::{notice, telling};
use nines::counters::Counters;
use nines::definition::{Fleet, Maintenance};
use nines::evaluator::{self, desk::Desk};
use nines::gateway::authority::Authority;
use nines::gateway::{Gateway, Limits, Peer, Refused};
use nines::incident::Incident;
use nines::report::life::{self, Drafted, Month, Wish};
use nines::report::{self, ReportError};
use nines::running::Running;
use nines::store::certificates::CertificateRow;
use nines::store::definitions::{self, maintenance};
use nines::store::outbox::{self, Attempt, Letter};
use nines::store::probes::{self, NewProbe};
use nines::store::reports::{self, Kept, Restated};
use nines::store::silences::{self, Silence};
use nines::store::{Store, StoreError, incidents};
use nines_shared::time::{Clock, Timestamp};
use nines_shared::wire::{Ack, Ask, Assignment, Batch};
use rusqlite::{Connection, Transaction};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::log_cut::{self, Commits};

/// The evaluator looks at least this often, in ms; looks at which nothing can have changed are only counted.
const TICK_MS: i64 = 1_000;
/// The most letters of one channel that are looked at in one round.
const LOOKED_AT: u32 = 8;
/// A wall clock that differs from the time that went by this much was set, in ms.
const STEP_MS: i64 = 1_000;

/// Something that happens to the aggregator.
#[derive(Clone, Debug)]
pub enum Act {
    /// The process begins, with this fleet file.
    Start(usize),
    /// The fleet file is this one now.
    Load(usize),
    /// A batch of this probe.
    Batch(usize, Box<Batch>),
    /// The evaluator looks, so many ms of its life after it did before.
    Tick(i64),
    /// Letters that are due without a change are written.
    Follow,
    /// An attempt to deliver this letter ended so.
    Settle(Box<Letter>, Attempt),
    /// A person silences something.
    Silence(Box<Silence>),
    /// A person announces or grants maintenance.
    Exclude(Box<Maintenance>),
    /// The month's report is to be frozen, if it is complete.
    Freeze(String),
    /// The month's report is to be restated.
    Restate(String),
}

/// An act, and when, by the clock of the aggregator.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub now: Timestamp,
    /// What.
    pub act: Act,
}

/// What came of an act.
#[derive(Debug)]
pub enum Did {
    /// Nothing that anybody waits for.
    Nothing,
    /// What the probe is answered.
    Answered(Result<Ack, Refused>),
    /// A report went on record.
    Kept(Box<(Kept, String)>),
}

/// Who the probes of a world are.
pub type Peers = Arc<[Peer]>;

/// The host of the aggregator, whether its process lives or not.
#[derive(Debug)]
pub struct Aggregator {
    runtime: Runtime,
    house: TempDir,
    authority: Arc<Authority>,
    fleets: Vec<Arc<Fleet>>,
    peers: Peers,
    clock: Clock,
    lives: u32,
    path: PathBuf,
    life: Option<Life>,
    /// What was in the log before the last act.
    before: Commits,
}

#[derive(Debug)]
struct Life {
    running: Running,
    gateway: Gateway,
    desk: Desk,
    fleet: watch::Sender<Arc<Fleet>>,
    ticked: Timestamp,
}

impl Aggregator {
    /// A host with an empty database that knows `peers`.
    ///
    /// # Panics
    /// Where the machine has no room for a database.
    pub fn new(fleets: &[Arc<Fleet>], peers: &Peers, now: Timestamp) -> Self {
        // In memory a commit is as ordered as on a disk, and costs no wait for one.
        let memory = std::path::Path::new("/dev/shm");
        let house = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let house = house.expect("a folder can be made");
        let path = house.path().join("life-0.db");
        let store = Store::open(&path).expect("a database can be made");
        let authority = Arc::new(Authority::open_blocking(&store, now).expect("an authority can be made"));
        let (known, number) = (Arc::clone(peers), authority.circle().presenting());
        store.write_blocking(move |tx| join(tx, &known, number, now)).expect("probes can join");
        drop(store);
        Self {
            runtime: runtime(),
            house,
            authority,
            fleets: fleets.to_vec(),
            peers: Arc::clone(peers),
            clock: Clock::manual(now),
            lives: 0,
            path,
            life: None,
            before: Commits::default(),
        }
    }

    /// Whether its process lives.
    pub fn lives(&self) -> bool {
        self.life.is_some()
    }

    /// Does `entry`; the process must live, or be about to start.
    ///
    /// # Panics
    /// Where the store fails, which no fault here makes it do.
    pub fn act(&mut self, entry: &Entry) -> Did {
        self.clock.set(entry.now);
        if let Act::Start(fleet) = entry.act {
            self.start(fleet);
            return Did::Nothing;
        }
        let Self { runtime, life, fleets, peers, .. } = self;
        let life = life.as_mut().expect("only a process that lives does something");
        done(runtime, life, (fleets, peers), entry)
    }

    /// Does `entry` as one that a kill may cut short: notes where the log ended before.
    pub fn act_before_a_kill(&mut self, entry: &Entry) -> Did {
        self.before = Commits::of(&self.path);
        self.act(entry)
    }

    /// `kill -9`: the next life begins from what the file holds after any commit of the last act, or before its first;
    /// `die` draws one of so many. Says whether all of the last act is there.
    pub fn kill(&mut self, mut die: impl FnMut(usize) -> usize) -> bool {
        let cuts = Commits::of(&self.path).cuts_since(&self.before);
        let cut = cuts.get(die(cuts.len() + 1)).copied();
        self.lives += 1;
        let next = self.house.path().join(format!("life-{}.db", self.lives));
        log_cut::copy(&self.path, &next, cut);
        self.life = None;
        // What the process was about to do dies with it.
        self.runtime = runtime();
        std::fs::remove_file(&self.path).expect("the old file can be removed");
        self.path = next;
        cut.is_none()
    }

    /// Reads the database, whether the process lives or not.
    ///
    /// # Panics
    /// Where it can't be read.
    pub fn read<T>(&self, job: impl FnOnce(&Connection) -> Result<T, StoreError>) -> T {
        let read = match &self.life {
            Some(life) => life.running.store.read_blocking(job),
            None => Store::open(&self.path).and_then(|store| store.read_blocking(job)),
        };
        read.expect("the database can be read")
    }

    /// What is open.
    pub fn open(&self) -> Vec<Incident> {
        self.read(incidents::open)
    }

    /// Which letters come next.
    pub fn letters(&self) -> Vec<Letter> {
        self.read(|conn| outbox::next(conn, LOOKED_AT))
    }

    /// The number of the letter that was written last.
    pub fn last_letter(&self) -> i64 {
        self.read(|conn| Ok(conn.query_row("SELECT coalesce(max(no), 0) FROM outbox", [], |row| row.get(0))?))
    }

    /// How many asks its process has made.
    pub fn asks_made(&self) -> u64 {
        self.life.as_ref().map_or(0, |life| life.running.counters.asks_made.get())
    }

    /// What probe number `probe` is asked to look at now; it listens from now on.
    pub fn asked(&mut self, probe: usize, have: u64, now: Timestamp) -> Vec<Ask> {
        self.clock.set(now);
        let Some(life) = &self.life else { return Vec::new() };
        let peer = &self.peers[probe];
        let asked = life.gateway.asked(peer, have);
        life.gateway.listens(peer);
        asked.map(|asks| asks.asks).unwrap_or_default()
    }

    /// Probe number `probe` has the work called `have`, and asks for other at `now`.
    pub fn assigned(&mut self, probe: usize, have: &str, now: Timestamp) -> Option<Assignment> {
        self.clock.set(now);
        self.life.as_ref()?.gateway.assigned(&self.peers[probe], have)
    }

    fn start(&mut self, fleet: usize) {
        self.life = None;
        let now = self.clock.now();
        let store = Store::open(&self.path).expect("the database opens again after whatever happened to it");
        let file = Arc::clone(&self.fleets[fleet]);
        let (sender, receiver) = watch::channel(Arc::clone(&file));
        let loaded = Arc::clone(&file);
        store.write_blocking(move |tx| definitions::load(tx, &loaded, now)).expect("definitions can be loaded");
        let running = Running {
            store,
            fleet: receiver,
            clock: self.clock.clone(),
            arrivals: Arc::new(watch::Sender::new(0)),
            news: Arc::new(watch::Sender::new(0)),
            counters: Arc::new(Counters::default()),
            stop: CancellationToken::new(),
        };
        let gateway = Gateway::new(running.clone(), Arc::clone(&self.authority), Limits::default());
        self.runtime.block_on(gateway.learn()).expect("the probes of the fleet can be read");
        self.peers.iter().for_each(|peer| gateway.listens(peer));
        self.life = Some(Life { desk: Desk::new(&file, now), running, gateway, fleet: sender, ticked: now });
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made")
}

fn join(tx: &Transaction<'_>, peers: &[Peer], authority: u32, now: Timestamp) -> Result<(), StoreError> {
    for peer in peers {
        let certificate = CertificateRow {
            sha256: peer.sha256,
            authority,
            told: String::new(),
            issued_at: now,
            until: peer.until,
            shown_at: None,
        };
        let probe = NewProbe { id: peer.probe.clone(), region: peer.region.clone(), certificate };
        probes::join(tx, &peer.sha256, &probe, now)?;
    }
    Ok(())
}

fn done(runtime: &Runtime, life: &mut Life, (fleets, peers): (&[Arc<Fleet>], &[Peer]), entry: &Entry) -> Did {
    let (now, store) = (entry.now, life.running.store.clone());
    let fleet = Arc::clone(&life.running.fleet.borrow());
    match entry.act.clone() {
        // The caller's.
        Act::Start(_) => {}
        Act::Load(index) => {
            let file = Arc::clone(&fleets[index]);
            let loaded = Arc::clone(&file);
            store.write_blocking(move |tx| definitions::load(tx, &loaded, now)).expect("definitions can be loaded");
            life.desk.reload(&file, now);
            life.fleet.send_replace(file);
        }
        Act::Batch(probe, batch) => {
            return Did::Answered(runtime.block_on(life.gateway.deliver(&peers[probe], *batch)));
        }
        Act::Tick(lived_ms) => {
            life.live(now, lived_ms);
            runtime.block_on(evaluator::tick(&life.running, &mut life.desk)).expect("the evaluator can read and write");
        }
        Act::Follow => {
            store.write_blocking(move |tx| telling::write_due(tx, &fleet, now)).expect("letters can be written");
        }
        Act::Settle(letter, attempt) => {
            store.write_blocking(move |tx| settle(tx, &fleet, (&letter, &attempt), now)).expect("it can be noted");
        }
        Act::Silence(silence) => {
            store.write_blocking(move |tx| silences::add(tx, &silence)).expect("a silence can be made");
        }
        Act::Exclude(window) => {
            store.write_blocking(move |tx| maintenance::add(tx, &window, "ann", now)).expect("it can be announced");
        }
        Act::Freeze(month) => return kept(&store, &fleet, &month, &Wish::Freeze, now),
        Act::Restate(month) => {
            let restated = Restated { reason: "what came late".to_owned(), by: "ann".to_owned() };
            return kept(&store, &fleet, &month, &Wish::Restate(restated), now);
        }
    }
    Did::Nothing
}

impl Life {
    /// The looks of the evaluator since the one before, at which nothing had changed.
    fn live(&mut self, now: Timestamp, lived_ms: i64) {
        let steady = now.since(self.ticked).abs_diff(lived_ms) < STEP_MS.unsigned_abs();
        if steady {
            let looks = lived_ms / TICK_MS;
            for look in 1..looks {
                self.desk.tick(self.ticked.plus_ms(look * TICK_MS));
            }
        }
        self.ticked = now;
    }
}

fn settle(
    tx: &Transaction<'_>,
    fleet: &Fleet,
    (letter, attempt): (&Letter, &Attempt),
    now: Timestamp,
) -> Result<(), StoreError> {
    outbox::keep_attempt(tx, letter.no, attempt, now)?;
    match attempt {
        Attempt::GaveUp { failure } => notice::given_up(tx, fleet, (letter, failure), now),
        Attempt::Accepted | Attempt::Failed { .. } => Ok(()),
    }
}

/// Makes and keeps what `wish` wants of a month, where that can be had.
fn kept(store: &Store, fleet: &Arc<Fleet>, month: &str, wish: &Wish, now: Timestamp) -> Did {
    let customer = fleet.customers[0].id.clone();
    let of = Month { environment: fleet.environment.clone(), customer, month: month.to_owned() };
    let drafted = store.read_blocking(|conn| match life::draft(conn, &of, wish, None, now) {
        Ok(drafted) => Ok(Some(drafted)),
        Err(ReportError::Store(error)) => Err(error),
        Err(_nothing_to_report) => Ok(None),
    });
    let draft = match drafted.expect("a report can be made") {
        Some(Drafted::Ready(draft)) => draft,
        // Kept by a life that died before it could say so.
        Some(Drafted::Already(Kept { customer, month, .. })) => {
            let found = store.read_blocking(|conn| reports::find(conn, &customer, &month, None));
            return found.expect("what is kept can be read").map_or(Did::Nothing, |found| Did::Kept(Box::new(found)));
        }
        Some(Drafted::NotComplete | Drafted::NotFrozen | Drafted::Unchanged(_)) | None => return Did::Nothing,
    };
    let fleet = Arc::clone(fleet);
    let kept = store.write_blocking(move |tx| {
        let (kept, new) = life::keep(tx, &draft)?;
        if new {
            report::notice::write(tx, &fleet, &draft, now)?;
        }
        Ok((kept, draft.text.clone()))
    });
    Did::Kept(Box::new(kept.expect("a report can be kept")))
}
