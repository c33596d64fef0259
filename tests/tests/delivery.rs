//! kill -9 at random moments while people are being told: every letter arrives, in order, and the same each time.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nines_tests::dice::{Dice, from_environment};
use nines_tests::fleet::{Fleet, REGIONS};
use nines_tests::sink::{Alert, Manner, Sink};
use nines_tests::target::{Mood, Target};
use nines_tests::wait::{let_pass, until_within};

const SERVICES: usize = 8;
/// How often a service fails, at most: what fails four times flaps, and is told seldom.
const FALLS: usize = 2;
const ROUNDS: u64 = 16;
/// Fixed, so that a failure can be looked at again; `NINES_DELIVERY_SEED` and `NINES_DELIVERY_ROUNDS` go further by
/// hand.
const SEED: u64 = 20_261_123;
/// How long it may take until nothing is waiting: letters that were refused often wait for up to a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// A letter as the outbox has it.
#[derive(Debug)]
struct Row {
    about: String,
    key: String,
    event: String,
    settled: bool,
    delivered: bool,
}

/// What a target has been through.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    falls: usize,
    is_down: bool,
}

impl Course {
    /// Lets the target fall or recover, as the dice say.
    fn go_on(&mut self, target: &Target, dice: &mut Dice) {
        if self.is_down && dice.below(3) == 0 {
            target.all(Mood::Well);
            self.is_down = false;
        } else if !self.is_down && self.falls < FALLS && dice.below(4) == 0 {
            target.all(Mood::Status(503));
            (self.falls, self.is_down) = (self.falls + 1, true);
        }
    }
}

#[test]
fn inv_6_whenever_the_server_is_killed_every_letter_arrives_at_least_once_in_order_and_unchanged() {
    let seed = from_environment("NINES_DELIVERY_SEED", SEED);
    let (sink, calm, accepts) = moody(Dice(seed ^ 1));
    let targets: Vec<Target> = (0..SERVICES).map(|_| Target::start()).collect();
    let mut fleet = Fleet::start(1, &services(&targets), &sink);
    fleet.until_all_look(SERVICES);
    let mut dice = Dice(seed);
    let mut courses = [Course::default(); SERVICES];
    for round in 0..from_environment("NINES_DELIVERY_ROUNDS", ROUNDS) {
        for (target, course) in targets.iter().zip(&mut courses) {
            course.go_on(target, &mut dice);
        }
        acknowledge(&fleet);
        if round % 2 == 0 {
            // In the very moment in which the receiver accepts: before the server can note it, or just after.
            while accepts.try_recv().is_ok() {}
            let _quiet = accepts.recv_timeout(Duration::from_secs(5));
        } else {
            let_pass(Duration::from_millis(dice.below(1_500)));
        }
        fleet.take_aggregator().kill();
        fleet.start_aggregator();
    }
    calm.store(true, Ordering::SeqCst);
    for target in &targets {
        target.all(Mood::Well);
    }
    let rows = until_within(PATIENCE, "all is over and nothing is waiting", || {
        let (rows, open) = outbox(&fleet.database());
        (open == 0 && rows.iter().all(|row| row.settled)).then_some(rows)
    });
    let arrived = sink.arrived();
    assert!(rows.iter().all(|row| row.delivered), "nothing is given up: {rows:#?}");
    the_same_key_has_the_same_bytes(&arrived);
    let abouts: BTreeSet<&str> = rows.iter().map(|row| row.about.as_str()).collect();
    for about in abouts {
        in_order(&rows, &arrived, about);
    }
    it_was_worth_it(&rows, &arrived);
}

/// A receiver that refuses, hangs or accepts as the dice fall until it is calm, and tells when it accepts.
fn moody(mut dice: Dice) -> (Sink, Arc<AtomicBool>, Receiver<()>) {
    let calm = Arc::new(AtomicBool::new(false));
    let (accepting, accepts) = mpsc::channel();
    let calmed = Arc::clone(&calm);
    let sink = Sink::scripted(move || match dice.below(8) {
        0 | 1 if !calmed.load(Ordering::SeqCst) => Manner::Refuse,
        2 if !calmed.load(Ordering::SeqCst) => Manner::Hang,
        _ => {
            // Nobody listens any more once the test is at its end.
            let _ended = accepting.send(());
            Manner::Accept
        }
    });
    (sink, calm, accepts)
}

/// Somebody takes the newest incident that is open, which is told as an update.
fn acknowledge(fleet: &Fleet) {
    let list = fleet.run(&["incident", "list", "--open", "--limit", "1", "--json", "--config", "nines.toml"]);
    let open: serde_json::Value = serde_json::from_str(&list).unwrap();
    if let Some(id) = open[0]["id"].as_str() {
        // It may be over by now, and then there is nothing to take.
        let _over = fleet.nines(&["incident", "ack", id, "--by", "ann", "--config", "nines.toml"]).output().unwrap();
    }
}

fn the_same_key_has_the_same_bytes(arrived: &[Alert]) {
    let mut first: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for alert in arrived {
        let bytes = first.entry(&alert.key).or_insert(&alert.bytes);
        assert_eq!(*bytes, alert.bytes, "{} came with another text", alert.key);
    }
}

/// What came about one thing is what was written about it, in that order; nothing came before what it follows was
/// accepted.
fn in_order(rows: &[Row], arrived: &[Alert], about: &str) {
    let written: Vec<&str> = rows.iter().filter(|row| row.about == about).map(|row| row.key.as_str()).collect();
    let came: Vec<&Alert> = arrived.iter().filter(|alert| written.contains(&alert.key.as_str())).collect();
    let runs: Vec<&[&Alert]> = came.chunk_by(|one, next| one.key == next.key).collect();
    let keys: Vec<&str> = runs.iter().map(|run| run[0].key.as_str()).collect();
    assert_eq!(keys, written, "{about}: every letter came, and in the order written");
    for run in runs {
        assert!(run[run.len() - 1].accepted, "{about}: {} was passed over", run[0].key);
    }
    // What was over before we learned of it is history, and told as an update alone.
    let mut open = false;
    for row in rows.iter().filter(|row| row.about == about) {
        match row.event.as_str() {
            "opened" => open = true,
            "resolved" => assert!(std::mem::take(&mut open), "{} resolves what nobody was told of", row.key),
            _ => {}
        }
    }
    assert!(!open, "nobody was told that {about} is over");
}

/// Incidents came and went, and the receiver got letters twice: refused or unanswered once, and accepted twice because
/// the server was killed before it could note it.
fn it_was_worth_it(rows: &[Row], arrived: &[Alert]) {
    let of = |event: &str| rows.iter().filter(|row| row.event == event).count();
    let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
    for alert in arrived.iter().filter(|alert| alert.accepted) {
        *accepted.entry(&alert.key).or_default() += 1;
    }
    let twice = accepted.values().filter(|times| 1 < **times).count();
    let refused = arrived.iter().filter(|alert| !alert.accepted).count();
    let seen = [of("opened"), of("updated"), of("resolved"), refused, twice];
    eprintln!("opened, updated, resolved, not accepted, accepted twice: {seen:?}");
    assert!(seen.iter().all(|count| 0 < *count), "opened, updated, resolved, not accepted, accepted twice: {seen:?}");
}

/// Every letter in the order written, and how many incidents are open, at one moment.
fn outbox(database: &Path) -> (Vec<Row>, i64) {
    let mut connection =
        rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let moment = connection.transaction().unwrap();
    let mut statement = moment
        .prepare(
            "SELECT about, about || '.' || revision || iif(step = 0, '', '.' || step), event, settled_at IS NOT NULL, delivered
             FROM outbox ORDER BY no",
        )
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let (about, key, event) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Row { about, key, event, settled: row.get(3)?, delivered: row.get(4)? })
    };
    let rows = statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap();
    let sql = "SELECT count(*) FROM incident WHERE resolved_at IS NULL";
    (rows, moment.query_row(sql, [], |row| row.get(0)).unwrap())
}

fn services(targets: &[Target]) -> String {
    let service = |(index, target): (usize, &Target)| {
        format!(
            "\n[[service]]\nid = \"shop-{index}\"\ncustomer = \"acme\"\n\n[[check]]\nid = \"home-{index}\"\n\
             service = \"shop-{index}\"\ninterval = \"1s\"\ntimeout = \"900ms\"\nregions = [\"{}\"]\nquorum = 1\n\
             http = {{ url = \"{}\" }}\n",
            REGIONS[0].0,
            target.url()
        )
    };
    targets.iter().enumerate().map(service).collect()
}
