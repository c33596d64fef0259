//! A whole aggregator in this process.

use std::path::Path;
use std::time::Duration;

use nines_shared::secret::Secret;
use nines_shared::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::store::gaps;

const SOON: Duration = Duration::from_secs(20);

/// A fleet file in `folder` with checks called `checks`.
fn write(folder: &Path, checks: &[&str]) -> PathBuf {
    let mut text = "environment = \"test\"\n[aggregator]\nprobes = \"127.0.0.1:0\"\nweb = \"127.0.0.1:0\"\ndatabase = \"nines.db\"\n\
        [[region]]\nid = \"eu-west\"\nname = \"Ireland\"\n\
        [[customer]]\nid = \"acme\"\nname = \"Acme\"\ntimezone = \"UTC\"\n\
        [[service]]\nid = \"shop\"\ncustomer = \"acme\"\n"
        .to_owned();
    for check in checks {
        text += &format!(
            "[[check]]\nid = \"{check}\"\nservice = \"shop\"\nregions = [\"eu-west\"]\nhttp = {{ url = \"https://shop.example/\" }}\n"
        );
    }
    let path = folder.join("nines.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn read(file: &Path) -> Fleet {
    crate::fleet_file::load(file).unwrap().0
}

async fn checks(served: &Served) -> Vec<String> {
    let found = served.running.store.read(definitions::checks).await.unwrap();
    found.iter().map(|check| check.id.to_string()).collect()
}

#[tokio::test]
async fn it_listens_where_the_kernel_says_invites_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = read(&write(folder.path(), &["shop-home"]));
    let served = start(fleet.clone(), Options::default()).await.unwrap();
    assert_ne!((served.probes_addr.port(), served.web_addr.port()), (0, 0));

    let mut page = TcpStream::connect(served.web_addr).await.unwrap();
    page.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(SOON, page.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let invitation = served.invite("eu-west".parse().unwrap(), None).await.unwrap();
    assert_eq!(invitation.probe.as_str(), "eu-west-1");
    assert_eq!(invitation.url, format!("https://{}", served.probes_addr));
    assert!(served.invite("mars".parse().unwrap(), None).await.is_err());

    let probes = served.probes_addr;
    timeout(SOON, served.stop()).await.unwrap().unwrap();
    assert!(TcpStream::connect(probes).await.is_err());
    // The database is closed: someone else may have it.
    let again = start(fleet, Options::default()).await.unwrap();
    again.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_and_the_database_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut fleet = read(&write(folder.path(), &["shop-home"]));
    fleet.aggregator.web = taken.local_addr().unwrap();
    let error = start(fleet, Options::default()).await.unwrap_err();
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
    assert!(!folder.path().join("nines.db").exists());
}

#[tokio::test]
async fn a_new_fleet_is_in_the_store_before_it_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(read(&write(folder.path(), &["shop-home"])), Options::default()).await.unwrap();
    let mut fleet = served.running.fleet.clone();
    fleet.mark_unchanged();
    let (store, wait) = (served.running.store.clone(), async move {
        fleet.changed().await.unwrap();
        fleet.borrow().checks.len()
    });
    let seen = tokio::spawn(async move { (wait.await, store.read(definitions::checks).await.unwrap().len()) });
    served.reload(read(&write(folder.path(), &["shop-home", "shop-cart"]))).await.unwrap();
    assert_eq!(timeout(SOON, seen).await.unwrap().unwrap(), (2, 2));
    let arrivals = *served.running.arrivals.borrow();
    served.reload(read(&write(folder.path(), &["shop-home", "shop-cart"]))).await.unwrap();
    assert_eq!(*served.running.arrivals.borrow(), arrivals, "the same fleet again wakes nobody");
    served.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_that_changes_is_taken_up_and_a_bad_one_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &["shop-home"]);
    let options = Options { fleet_file: Some(file.clone()), ..Options::default() };
    let served = start(read(&file), options).await.unwrap();
    let mut fleet = served.running.fleet.clone();

    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}\n[[check]]\nid = \"half\"\nsurprise = 1\n")).unwrap();
    served.reloader.reload_file(&file).await;
    assert_eq!(checks(&served).await, ["shop-home"]);
    std::fs::remove_file(&file).unwrap();
    served.reloader.reload_file(&file).await;
    assert_eq!(checks(&served).await, ["shop-home"]);
    assert!(!fleet.has_changed().unwrap());

    // Now nobody tells: the file is looked at.
    write(folder.path(), &["shop-cart"]);
    timeout(SOON, fleet.changed()).await.unwrap().unwrap();
    assert_eq!(checks(&served).await, ["shop-cart"]);
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_are_over_are_sealed_and_so_are_those_that_got_samples_since() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &["shop-home"]);
    let at = |text: &str| crate::uptime::calendar::instant(text).unwrap();
    let store = Store::open(&folder.path().join("nines.db")).unwrap();
    let put = |scheduled_at: Timestamp, received_at: Timestamp| {
        let sample = crate::store::tests::sample("eu-west", scheduled_at.as_ms());
        store.write_blocking(move |tx| crate::store::samples::insert(tx, &[sample], received_at)).unwrap();
    };
    tokio::task::block_in_place(|| {
        put(at("2026-10-14T12:00:00Z"), at("2026-10-14T12:00:01Z"));
        put(at("2026-06-01T12:00:00Z"), at("2026-10-14T12:00:01Z"));
        put(at("2026-10-15T00:00:00Z"), at("2026-10-15T00:00:01Z"));
    });
    drop(store);
    let options = Options { clock: Clock::manual(at("2026-10-15T08:00:00Z")), ..Options::default() };
    let served = start(read(&file), options).await.unwrap();
    let sealed = async || {
        let sql = "SELECT day FROM day WHERE digest IS NOT NULL AND samples = 1 ORDER BY day";
        let days = |conn: &rusqlite::Connection| -> Result<Vec<i64>, rusqlite::Error> {
            conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        served.running.store.read(move |conn| Ok(days(conn)?)).await.unwrap()
    };
    let expected =
        ["2026-06-01T00:00:00Z", "2026-10-14T00:00:00Z"].map(|day| crate::store::samples::days::day_of(at(day)));
    let all = async {
        while sealed().await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, all).await.unwrap();
    served.stop().await.unwrap();
}

#[tokio::test]
async fn a_month_that_turns_final_while_the_server_was_away_is_frozen_published_and_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &["shop-home"]);
    let text = std::fs::read_to_string(&file).unwrap();
    let told = "[report]\nfolder = \"out\"\n\
        [[channel]]\nid = \"desk\"\nwebhook = { url = \"http://127.0.0.1:9/\" }\n[[route]]\nchannels = [\"desk\"]\n";
    std::fs::write(&file, format!("{text}{told}")).unwrap();
    let at = |text: &str| crate::uptime::calendar::instant(text).unwrap();
    let served = async |now: &str| {
        let options = Options { clock: Clock::manual(at(now)), ..Options::default() };
        start(read(&file), options).await.unwrap()
    };
    served("2026-10-15T00:00:00Z").await.stop().await.unwrap();
    let early = served("2026-11-03T23:59:59Z").await;
    assert_eq!(early.running.store.read(|conn| crate::store::reports::list(conn, None)).await.unwrap(), []);
    // That so much time has passed two regions bear out.
    let seen =
        ["eu-west", "us-east"].map(|region| crate::store::tests::sample(region, at("2026-11-04T00:00:00Z").as_ms()));
    let storing = move |tx: &rusqlite::Transaction<'_>| crate::store::samples::insert(tx, &seen, Timestamp::from_ms(0));
    early.running.store.write(storing).await.unwrap();
    early.stop().await.unwrap();
    for _twice in 0..2 {
        let served = served("2026-11-04T00:00:00Z").await;
        let out = folder.path().join("out");
        let published = async {
            while !out.join("acme-2026-10-r1.json").exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, published).await.unwrap();
        let kept = served.running.store.read(|conn| crate::store::reports::list(conn, None)).await.unwrap();
        let names: Vec<_> = kept.iter().map(|kept| (kept.month.as_str(), kept.revision)).collect();
        assert_eq!(names, [("2026-10", 1)], "september had ended when the customer came");
        let bytes = std::fs::read(out.join("acme-2026-10-r1.html")).unwrap();
        let signature = std::fs::read_to_string(out.join("acme-2026-10-r1.html.minisig")).unwrap();
        let key = Key::at(&folder.path().join("nines.db.report-key")).unwrap();
        let comment = key.public().verify(&bytes, &signature).unwrap().to_owned();
        assert!(comment.contains("acme") && comment.ends_with("revision 1 final"), "{comment}");
        let letters = served.running.store.read(|conn| crate::store::outbox::next(conn, 8)).await.unwrap();
        let [letter] = &letters[..] else { panic!("one letter: {letters:?}") };
        assert_eq!(letter.idempotency_key(), "report-acme-2026-10.1");
        assert!(
            letter.body.contains(r#""kind":"report""#) && letter.body.contains(r#""event":"final""#),
            "{}",
            letter.body
        );
        served.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_secret_that_changes_is_taken_up_although_the_fleet_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (write(folder.path(), &["shop-home"]), folder.path().join("token"));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("example/\" }", "example/\", bearer = { file = \"token\" } }")).unwrap();
    let name = Secret::File(token.clone());
    let known = |fleet: &Fleet| fleet.secrets.get(&name).map(|value| value.reveal().to_owned());
    let options = Options { fleet_file: Some(file.clone()), ..Options::default() };
    let served = start(read(&file), options).await.unwrap();
    let mut fleet = served.running.fleet.clone();
    assert_eq!(known(&fleet.borrow()), None, "a check may wait for its secret");
    for value in ["hunter2", "hunter3"] {
        std::fs::write(&token, format!("{value}\n")).unwrap();
        let taken = fleet.wait_for(|fleet| known(fleet).as_deref() == Some(value));
        timeout(SOON, taken).await.unwrap().unwrap();
    }
    let stored = served.running.store.read(definitions::checks).await.unwrap();
    assert!(!format!("{stored:?}{:?}", served.running.fleet.borrow()).contains("hunter"));
    served.stop().await.unwrap();
}

#[tokio::test]
async fn a_part_that_ends_unasked_takes_all_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = start(read(&write(folder.path(), &["shop-home"])), Options::default()).await.unwrap();
    served.part("the test", async { Ok(()) });
    let error = timeout(SOON, served.wait()).await.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("the test ended unasked"), "{error}");
    served.part("the other test", async { Err("out of paper".to_owned()) });
    let error = timeout(SOON, served.wait()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("out of paper"), "{error}");
    served.stop().await.unwrap();
}

#[tokio::test]
async fn a_watcher_is_told_that_it_lives_while_it_does_and_the_time_that_it_was_away_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = read(&write(folder.path(), &["shop-home"]));
    let watcher = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/alive", watcher.local_addr().unwrap()).parse().unwrap();
    fleet.aggregator.webhook_allow = vec!["127.0.0.0/8".parse().unwrap()];
    fleet.aggregator.heartbeat =
        Some(crate::definition::Heartbeat { url: crate::definition::channel::Address::Open(url), every_ms: 10_000 });
    let before = Clock::system().now().plus_ms(-3_600_000);
    let store = Store::open(&fleet.aggregator.database).unwrap();
    store.write(move |tx| gaps::beat(tx, true, before)).await.unwrap();
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();

    let served = start(fleet, Options::default()).await.unwrap();
    let told = async {
        let (mut stream, _) = watcher.accept().await.unwrap();
        let mut request = [0; 1_024];
        let read = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let request = timeout(SOON, told).await.expect("the watcher is told");
    assert!(request.starts_with("GET /alive HTTP/1.1"), "{request}");
    let lives = || async { served.running.store.read(gaps::life).await.unwrap().unwrap() };
    let kept = async {
        while lives().await.heartbeat_at.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, kept).await.expect("it is kept that the watcher was told");
    let gaps = served
        .running
        .store
        .read(|conn| gaps::within(conn, nines_shared::time::Span { from: Timestamp::MIN, to: Timestamp::MAX }))
        .await
        .unwrap();
    assert_eq!((gaps.len(), gaps[0].span.from, gaps[0].why), (1, before, gaps::Why::Stopped));
    let damage = StoreError::Damaged { path: folder.path().join("nines.db"), why: "a page is turned".to_owned() };
    served.running.store.damaged(damage);
    let silent = async {
        while lives().await.heartbeat_fault.as_deref() != Some("the database is damaged") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, silent).await.expect("the watcher is not told once the database is damaged");
    timeout(SOON, served.stop()).await.unwrap().unwrap();
}
