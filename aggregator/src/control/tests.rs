//! Commands, by the socket and without it.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nines_shared::time::{Clock, Span, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::socket::path_beside;
use super::*;
use crate::counters::Counters;
use crate::incident::IncidentId;
use crate::running::Running;
use crate::store::{Store, definitions};

fn fleet(database: &Path) -> Fleet {
    let text = "environment = \"test\"\n[aggregator]\nprobes = \"0.0.0.0:7443\"\nweb = \"127.0.0.1:0\"\n\
        [[region]]\nid = \"eu-west\"\nname = \"Ireland\"\n\
        [[customer]]\nid = \"acme\"\nname = \"Acme\"\ntimezone = \"Europe/Berlin\"\n\
        [[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\
        [[check]]\nid = \"shop-home\"\nservice = \"shop\"\nregions = [\"eu-west\"]\nhttp = { url = \"https://shop.example/\" }\n";
    let (mut fleet, _warnings) = crate::fleet_file::parse(text, Path::new("nines.toml")).unwrap();
    fleet.aggregator.database = database.to_owned();
    fleet
}

/// A server of nothing but the socket.
pub(crate) struct Served {
    pub(crate) fleet: Fleet,
    pub(crate) running: Running,
    task: tokio::task::JoinHandle<()>,
}

pub(crate) async fn serve(database: PathBuf) -> Served {
    let fleet = fleet(&database);
    let store = Store::open(&database).unwrap();
    let clock = Clock::system();
    let (now, loading) = (clock.now(), fleet.clone());
    store.write(move |tx| definitions::load(tx, &loading, now)).await.unwrap();
    let authority = Arc::new(Authority::open(&store, now).await.unwrap());
    let running = Running {
        store,
        fleet: watch::channel(Arc::new(fleet.clone())).1,
        clock,
        arrivals: Arc::new(watch::Sender::new(0)),
        news: Arc::new(watch::Sender::new(0)),
        counters: Arc::new(Counters::default()),
        stop: CancellationToken::new(),
    };
    let context = {
        let (fleet, probes_addr) = (Arc::new(fleet.clone()), "127.0.0.1:7443".parse().unwrap());
        move || Context { fleet: fleet.clone(), probes_addr, authority: authority.clone(), now }
    };
    let socket = Socket::bind(&database).unwrap();
    let task = tokio::spawn(socket.serve(running.clone(), context));
    Served { fleet, running, task }
}

/// As the command line calls it: from a thread that may wait.
async fn carried_out(fleet: &Fleet, command: Command) -> Result<Answer, ControlError> {
    let fleet = fleet.clone();
    tokio::task::spawn_blocking(move || carry_out(&fleet, command)).await.unwrap()
}

fn invite(name: &str) -> Command {
    Command::Invite { region: "eu-west".parse().unwrap(), name: Some(name.parse().unwrap()) }
}

fn add(window: Maintenance, retroactive: bool) -> Command {
    Command::AddMaintenance { window, by: "ann".to_owned(), retroactive }
}

fn cancel(no: i64, reason: Option<&str>) -> Command {
    Command::CancelMaintenance { no, by: "bob".to_owned(), reason: reason.map(str::to_owned) }
}

fn window(from: i64, to: i64) -> Maintenance {
    let span = Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to));
    Maintenance { service: "shop".parse().unwrap(), span, reason: "upgrade".to_owned(), afterwards: None, weekly: None }
}

#[tokio::test]
async fn a_command_goes_through_the_running_server_and_wakes_who_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path().join("nines.db")).await;
    let Answer::Invited(invitation) = carried_out(&served.fleet, invite("eu-west-1")).await.unwrap() else { panic!() };
    assert_eq!((invitation.probe.as_str(), invitation.url.as_str()), ("eu-west-1", "https://127.0.0.1:7443"));
    let (secret, fingerprint) = invitation.token.split_once('.').unwrap();
    assert_eq!((secret.len(), fingerprint.len()), (52, 64));
    assert!(invitation.join_line().starts_with("nines-probe join https://127.0.0.1:7443 "));
    assert_eq!(*served.running.news.borrow(), 1);

    let to_come = window(i64::MAX - 1, i64::MAX);
    let Answer::MaintenanceAdded { no } = carried_out(&served.fleet, add(to_come, false)).await.unwrap() else {
        panic!()
    };
    let cancelled = carried_out(&served.fleet, cancel(no, None)).await.unwrap();
    assert!(matches!(cancelled, Answer::MaintenanceCancelled { .. }));
}

#[tokio::test]
async fn time_is_excluded_afterwards_only_by_that_name_and_taken_back_only_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(&folder.path().join("nines.db"));
    let refused = async |command| match carried_out(&fleet, command).await {
        Err(ControlError::Refused(refused)) => refused.message,
        other => panic!("{other:?}"),
    };
    assert!(refused(add(window(1_000, 2_000), false)).await.contains("--retroactive"));
    assert!(refused(add(window(i64::MAX - 1, i64::MAX), true)).await.contains("has not begun"));
    let granted = carried_out(&fleet, add(window(1_000, 2_000), true)).await;
    let Answer::MaintenanceAdded { no } = granted.unwrap() else { panic!() };
    assert!(refused(cancel(no, None)).await.contains("--reason"));
    let taken_back = carried_out(&fleet, cancel(no, Some("the customer objects"))).await.unwrap();
    let Answer::MaintenanceCancelled { until, .. } = taken_back else { panic!() };
    assert_eq!(until, Timestamp::from_ms(1_000), "it counts no more");
    assert!(refused(cancel(no, Some("again"))).await.contains("can be cancelled"));
}

#[tokio::test]
async fn an_announced_window_that_is_over_can_not_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(&folder.path().join("nines.db"));
    let store = Store::open(&fleet.aggregator.database).unwrap();
    let announce = |tx: &Transaction<'_>| maintenance::add(tx, &window(1_000, 2_000), "ann", Timestamp::from_ms(0));
    let no = store.write(announce).await.unwrap();
    drop(store);
    match carried_out(&fleet, cancel(no, Some("a mistake"))).await {
        Err(ControlError::Refused(refused)) => assert!(refused.message.contains("is over and stays on record")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_server_the_command_is_done_on_the_database_itself() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(&folder.path().join("nines.db"));
    let Answer::Invited(first) = carried_out(&fleet, invite("eu-west-1")).await.unwrap() else { panic!() };
    let Answer::Invited(second) = carried_out(&fleet, invite("eu-west-2")).await.unwrap() else { panic!() };
    assert_eq!(first.token.split_once('.').unwrap().1, second.token.split_once('.').unwrap().1, "one authority");
    assert_ne!(first.token, second.token);
    assert_eq!(first.url, "https://127.0.0.1:7443", "every address of this machine stands for its own");
    assert!(first.doubt().unwrap().contains("probes_url = \"https://"), "{:?}", first.doubt());
}

#[tokio::test]
async fn the_line_names_what_the_file_says_of_probes_and_doubts_what_it_says_of_people() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = fleet(&folder.path().join("nines.db"));
    let url = |text: &str| Some(text.parse().unwrap());
    let cases = [
        (url("https://nines.example:9000"), None, "0.0.0.0:7443", "https://nines.example:9000", false),
        (url("https://nines.example"), url("https://cdn.example/"), "0.0.0.0:0", "https://nines.example", false),
        (None, url("https://cdn.example/"), "0.0.0.0:7443", "https://cdn.example:7443", true),
        (None, None, "192.0.2.7:7443", "https://192.0.2.7:7443", false),
        (None, None, "[::]:7443", "https://[::1]:7443", true),
    ];
    for (probes_url, public_url, probes, wanted, is_doubted) in cases {
        let settings = &mut fleet.aggregator;
        (settings.probes_url, settings.public_url, settings.probes) = (probes_url, public_url, probes.parse().unwrap());
        let Answer::Invited(invitation) = carried_out(&fleet, invite("eu-west-1")).await.unwrap() else { panic!() };
        assert_eq!(invitation.url, wanted);
        assert_eq!(invitation.join_line(), format!("nines-probe join {wanted} {}", invitation.token));
        assert_eq!(invitation.doubt().is_some(), is_doubted, "{wanted}");
    }
}

#[tokio::test]
async fn a_file_without_regions_is_told_how_to_have_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = fleet(&folder.path().join("nines.db"));
    fleet.regions.clear();
    match carried_out(&fleet, invite("eu-west-1")).await {
        Err(ControlError::Refused(refused)) => assert!(refused.message.contains("[[region]]\n    id = \"eu-west\"\n")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path().join("nines.db")).await;
    let refused = async |command| match carried_out(&served.fleet, command).await {
        Err(ControlError::Refused(refused)) => refused.message,
        other => panic!("{other:?}"),
    };
    let nowhere = Command::Invite { region: "mars".parse().unwrap(), name: None };
    assert!(refused(nowhere).await.contains("there are eu-west"));
    assert!(refused(Command::Revoke { probe: "x".parse().unwrap() }).await.contains("nines probe list"));
    let by = || "ann".to_owned();
    let other = Maintenance { service: "shoe".parse().unwrap(), ..window(1, 2) };
    assert!(refused(add(other, true)).await.contains("there are shop"));
    assert!(refused(add(window(2, 2), true)).await.contains("before it begins"));
    for (hours, timezone) in [(vec![], "UTC"), (vec!["sun 02:00-04:00".parse().unwrap()], "Mars/Olympus")] {
        let weekly = Some(Weekly { hours, timezone: timezone.to_owned() });
        let rule = Maintenance { weekly, ..window(i64::MIN, i64::MAX) };
        assert!(refused(add(rule, false)).await.contains("weekly rule"), "{timezone}");
    }
    assert!(refused(cancel(99, None)).await.contains("nines maintenance list"));
    let incident: IncidentId = "shop-20261122T031207Z".parse().unwrap();
    let ack = Command::Act { act: Act::Acknowledge { incident: incident.clone() }, by: by() };
    assert!(refused(ack).await.contains("nines incident list"));
    assert!(
        refused(Command::Act { act: Act::Note { incident, text: " ".to_owned() }, by: by() }).await.contains("1 to")
    );
    assert_eq!(*served.running.news.borrow(), 0);
}

#[tokio::test]
async fn the_socket_is_its_owners_goes_with_the_server_and_replaces_one_that_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("nines.db");
    let path = path_beside(&database);
    // A server that was killed leaves its socket; nobody listens there.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(carried_out(&fleet(&database), invite("eu-west-1")).await, Ok(Answer::Invited(_))));
    let served = serve(database).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    carried_out(&served.fleet, invite("eu-west-2")).await.unwrap();
    served.running.stop.cancel();
    served.task.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_database_with_a_long_path_has_a_socket_too() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let served = serve(deep.join("nines.db")).await;
    carried_out(&served.fleet, invite("eu-west-1")).await.unwrap();
    assert_eq!(*served.running.news.borrow(), 1, "the server did it");
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path().join("nines.db")).await;
    for said in ["\n".to_owned(), "{\"command\":\"format\"}\n".to_owned(), format!("\"{}\"\n", "x".repeat(70_000))] {
        let path = path_beside(&served.fleet.aggregator.database);
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            // The server stops reading at its limit.
            let _cut_off = stream.write_all(said.as_bytes());
            let mut answer = String::new();
            let _cut_off = stream.read_to_string(&mut answer);
            answer
        });
        let answer = answer.await.unwrap();
        assert!(answer.is_empty() || answer.contains("not understood"), "{answer}");
    }
    assert_eq!(*served.running.news.borrow(), 0);
}
