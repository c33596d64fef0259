use nines_shared::id::CheckId;
use nines_shared::sample::{Outcome, Phases, TraceId};
use proptest::prelude::*;

use super::*;

const ROOM: u64 = 64 << 20;
const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

pub(crate) fn sample(check: &str, second: i64) -> Sample {
    let (check, region): (CheckId, _) = (check.parse().unwrap(), "eu-west".parse().unwrap());
    let scheduled_at = NOW.plus_ms(second * 1_000);
    let trace_id = Some(TraceId::of(&check, &region, SampleKind::Planned, scheduled_at));
    Sample {
        check,
        region,
        probe: Some("eu-west-1".parse().unwrap()),
        kind: SampleKind::Planned,
        scheduled_at,
        started_at: scheduled_at,
        outcome: Outcome::Up,
        reason: None,
        phase: None,
        detail: None,
        duration_us: Some(1),
        phases_us: Phases::default(),
        attempt: 1,
        trace_id,
        evidence: None,
    }
}

fn samples(range: std::ops::Range<i64>) -> Vec<Sample> {
    range.map(|second| sample("home", second)).collect()
}

/// Opens the spool again as soon as the thread of the one before has let go of it.
async fn reopen(state: &Path, max_bytes: u64) -> Spool {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match Spool::open(state, max_bytes) {
            Err(SpoolError::InUse(_)) if tokio::time::Instant::now() < deadline => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

async fn all(spool: &Spool) -> Vec<Sample> {
    let waiting = spool.peek(usize::MAX, usize::MAX).await.unwrap();
    waiting.rows.iter().map(|row| serde_json::from_str(&row.json).unwrap()).collect()
}

#[tokio::test]
async fn inv_1_what_was_appended_is_there_after_a_crash() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    assert_eq!(spool.append(&samples(0..10)).await.unwrap(), Kept::Durable);
    // What a crash leaves: the files as they are, the log not folded into the database.
    let after = tempfile::tempdir().unwrap();
    for file in ["spool.db", "spool.db-wal"] {
        std::fs::copy(state.path().join(file), after.path().join(file)).unwrap();
    }
    let spool = Spool::open(after.path(), ROOM).unwrap();
    assert_eq!(all(&spool).await, samples(0..10));
    assert_eq!(spool.counts(), Counts { committed: 10, waiting: 10, ..Counts::default() });
}

#[tokio::test]
async fn inv_1_a_log_torn_anywhere_loses_no_commit_before_the_tear() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    let wal = state.path().join("spool.db-wal");
    let mut ends = Vec::new();
    for second in 0..5 {
        spool.append(&samples(second..second + 1)).await.unwrap();
        ends.push(std::fs::metadata(&wal).unwrap().len());
    }
    for (committed, end) in ends.iter().enumerate() {
        let after = tempfile::tempdir().unwrap();
        std::fs::copy(state.path().join("spool.db"), after.path().join("spool.db")).unwrap();
        let torn = after.path().join("spool.db-wal");
        std::fs::copy(&wal, &torn).unwrap();
        let next = ends.get(committed + 1).copied().unwrap_or(end + 1);
        File::options().write(true).open(&torn).unwrap().set_len((next - 1).min(end + 100)).unwrap();
        let found = all(&Spool::open(after.path(), ROOM).unwrap()).await;
        assert_eq!(found, samples(0..i64::try_from(committed).unwrap() + 1), "torn after byte {end}");
    }
}

#[tokio::test]
async fn inv_1_a_byte_turned_in_the_log_ends_it_there_and_loses_no_commit_before() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    let wal = state.path().join("spool.db-wal");
    spool.append(&samples(0..3)).await.unwrap();
    let end = usize::try_from(std::fs::metadata(&wal).unwrap().len()).unwrap();
    spool.append(&samples(3..6)).await.unwrap();
    for spot in [end, end + 20, end + 200] {
        let after = tempfile::tempdir().unwrap();
        std::fs::copy(state.path().join("spool.db"), after.path().join("spool.db")).unwrap();
        let mut log = std::fs::read(&wal).unwrap();
        log[spot] ^= 0xff;
        std::fs::write(after.path().join("spool.db-wal"), log).unwrap();
        let found = all(&Spool::open(after.path(), ROOM).unwrap()).await;
        assert_eq!(found, samples(0..3), "turned at byte {spot}");
    }
}

#[tokio::test]
async fn a_page_of_the_file_that_is_turned_is_told_and_the_file_is_not_begun_anew() {
    for of in ["sample", "sqlite_autoindex_sample_1", "counter"] {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(SPOOL_FILE);
        let spool = Spool::open(state.path(), ROOM).unwrap();
        spool.append(&samples(0..100)).await.unwrap();
        spool.close().await;
        let conn = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT (rootpage - 1) * (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
        let start: i64 = conn.query_row(sql, [of], |row| row.get(0)).unwrap();
        drop(conn);
        let mut bytes = std::fs::read(&path).unwrap();
        let start = usize::try_from(start).unwrap();
        bytes[start + 3] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        match Spool::open(state.path(), ROOM) {
            Err(error) => assert!(error.to_string().contains("move it away"), "{of}: {error}"),
            Ok(spool) => {
                assert!(matches!(spool.peek(usize::MAX, usize::MAX).await, Err(SpoolError::Closed)), "{of}");
                spool.ended().await;
            }
        }
        // The first page counts how often the file was opened.
        assert!(
            std::fs::read(&path).unwrap()[start..] == bytes[start..],
            "{of}: what was turned and all behind it is left"
        );
    }
}

#[tokio::test]
async fn inv_3_the_same_sample_twice_is_one() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    spool.append(&samples(0..3)).await.unwrap();
    spool.append(&samples(1..4)).await.unwrap();
    assert_eq!(all(&spool).await, samples(0..4));
    assert_eq!(spool.counts().committed, 4);
}

#[tokio::test]
async fn what_is_acknowledged_is_forgotten_and_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    spool.append(&samples(0..10)).await.unwrap();
    let batch = spool.peek(4, usize::MAX).await.unwrap();
    spool.acknowledge(batch.rows.iter().map(|row| row.id).collect()).await.unwrap();
    spool.acknowledge(batch.rows.iter().map(|row| row.id).collect()).await.unwrap();
    assert_eq!(all(&spool).await, samples(2..8), "two of each end");
    spool.close().await;
    let spool = reopen(state.path(), ROOM).await;
    assert_eq!(all(&spool).await, samples(2..8));
    assert_eq!(spool.counts(), Counts { committed: 10, waiting: 6, ..Counts::default() });
}

#[tokio::test]
async fn a_batch_is_bounded_in_samples_and_bytes_but_never_empty() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    spool.append(&samples(0..10)).await.unwrap();
    assert_eq!(spool.peek(3, usize::MAX).await.unwrap().rows.len(), 3);
    assert_eq!(spool.peek(10, 1).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_batch_is_of_both_ends_and_says_what_it_leaves_between_them() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    spool.append(&samples(0..10)).await.unwrap();
    let one = spool.peek(1, usize::MAX).await.unwrap().rows[0].json.len();
    for (limit, max_bytes, seconds, behind) in [
        (10, usize::MAX, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], None),
        (9, usize::MAX, &[0, 1, 2, 3, 4, 6, 7, 8, 9], Some(5)),
        (4, usize::MAX, &[0, 1, 8, 9], Some(2)),
        (1, usize::MAX, &[0], Some(1)),
        (10, 4 * one, &[0, 1, 8, 9], Some(2)),
        (10, 1, &[9], Some(0)),
    ] {
        let Load { rows, behind: left } = spool.peek(limit, max_bytes).await.unwrap();
        let due = |second: i64| NOW.plus_ms(second * 1_000);
        assert_eq!(
            rows.iter().map(|row| row.due).collect::<Vec<_>>(),
            seconds.iter().map(|s| due(*s)).collect::<Vec<_>>()
        );
        assert_eq!(left, behind.map(due), "at most {limit} and {max_bytes} bytes");
    }
}

#[tokio::test]
async fn what_is_refused_is_kept_aside_and_comes_up_again_after_a_minute_then_hourly() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    spool.append(&samples(0..2)).await.unwrap();
    let id = spool.peek(1, usize::MAX).await.unwrap().rows[0].id;
    spool.refuse(id, "foreign_check".into(), NOW).await.unwrap();
    assert_eq!(all(&spool).await, samples(1..2), "it is in nobody's way");
    assert_eq!(spool.counts(), Counts { committed: 2, waiting: 1, refused: 1, ..Counts::default() });
    let due = async |ms| spool.peek_refused(NOW.plus_ms(ms)).await.unwrap().is_some();
    assert!(!due(FIRST_RETRY_MS - 1).await && due(FIRST_RETRY_MS).await);
    spool.refuse(id, "foreign_check".into(), NOW).await.unwrap();
    assert!(!due(NEXT_RETRY_MS - 1).await && due(NEXT_RETRY_MS).await);
    assert!(due(-NEXT_RETRY_MS).await, "a clock put back by an hour does not hide it");
    spool.acknowledge(vec![id]).await.unwrap();
    assert_eq!(spool.counts(), Counts { committed: 2, waiting: 1, ..Counts::default() });
}

#[tokio::test]
async fn inv_1_when_the_spool_is_full_the_oldest_go_and_are_counted() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), 256 << 10).unwrap();
    for start in 0..20 {
        spool.append(&samples(start * 100..start * 100 + 100)).await.unwrap();
    }
    let (counts, kept) = (spool.counts(), all(&spool).await);
    assert_eq!(counts.waiting + counts.dropped, 2_000);
    assert!(0 < counts.dropped && 300 < counts.waiting, "{counts:?}");
    assert_eq!(kept, samples(2_000 - i64::try_from(counts.waiting).unwrap()..2_000));
    let size = std::fs::metadata(state.path().join(SPOOL_FILE)).unwrap().len();
    assert!(size <= 512 << 10, "{size} bytes");
    spool.close().await;
    assert_eq!(reopen(state.path(), ROOM).await.counts(), counts);
}

#[tokio::test]
async fn two_agents_never_share_a_spool() {
    let state = tempfile::tempdir().unwrap();
    let _first = Spool::open(state.path(), ROOM).unwrap();
    let error = Spool::open(state.path(), ROOM).unwrap_err().to_string();
    assert!(error.contains("another nines-probe"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_spool_or_a_later_one_is_refused_with_its_path() {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join(SPOOL_FILE), "a shopping list, surely no database at all".repeat(100)).unwrap();
    let error = Spool::open(state.path(), ROOM).unwrap_err().to_string();
    assert!(error.contains(SPOOL_FILE) && error.contains("move it away"), "{error}");
    let state = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(state.path().join(SPOOL_FILE)).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Spool::open(state.path(), ROOM), Err(SpoolError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn a_closed_spool_says_so() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    let other = spool.clone();
    spool.close().await;
    other.ended().await;
    assert!(matches!(other.append(&samples(0..1)).await, Err(SpoolError::Closed)));
}

#[tokio::test]
async fn a_file_that_fails_ends_the_spool_and_promises_nothing() {
    let state = tempfile::tempdir().unwrap();
    let spool = Spool::open(state.path(), ROOM).unwrap();
    rusqlite::Connection::open(state.path().join(SPOOL_FILE)).unwrap().execute_batch("DROP TABLE sample").unwrap();
    assert!(matches!(spool.append(&samples(0..1)).await, Err(SpoolError::Closed)));
    spool.ended().await;
}

/// A spool whose disk is full from the start, worked by hand: its thread is this test.
struct FullDisk {
    keeper: Keeper,
    commands: mpsc::Sender<Command>,
    counts: watch::Receiver<Counts>,
    _state: tempfile::TempDir,
}

impl FullDisk {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let disk = Disk::open(&state.path().join(SPOOL_FILE), ROOM).unwrap();
        let (commands, inbox) = mpsc::channel(8);
        let (telling, counts) = watch::channel(Counts::default());
        let full = Self { keeper: Keeper::new(disk, inbox, telling), commands, counts, _state: state };
        full.pages(1);
        full
    }

    /// SQLite answers "disk full" beyond this many pages.
    fn pages(&self, max: i64) {
        let conn = self.keeper.disk().conn();
        conn.pragma_update_and_check(None, "max_page_count", max, |_| Ok(())).unwrap();
    }

    fn append(&mut self, samples: &[Sample]) -> Kept {
        let (reply, mut answer) = oneshot::channel();
        let rows = samples.iter().map(Row::of).collect();
        self.commands.try_send(Command::Append { rows, reply }).unwrap();
        self.keeper.once();
        answer.try_recv().unwrap().unwrap()
    }
}

#[test]
fn while_the_disk_is_full_samples_are_held_and_committed_once_there_is_room() {
    let mut spool = FullDisk::new();
    assert_eq!(spool.append(&samples(0..100)), Kept::Held);
    assert_eq!(spool.counts.borrow().held, 100);
    spool.pages(1 << 20);
    assert_eq!(spool.append(&samples(100..101)), Kept::Durable);
    assert_eq!(*spool.counts.borrow(), Counts { committed: 101, waiting: 101, ..Counts::default() });
}

#[test]
fn what_memory_can_not_hold_either_is_counted_as_dropped() {
    let mut spool = FullDisk::new();
    let many = i64::try_from(MAX_HELD).unwrap() + 50;
    assert_eq!(spool.append(&samples(0..many)), Kept::Held);
    assert_eq!(*spool.counts.borrow(), Counts { held: MAX_HELD as u64, dropped: 50, ..Counts::default() });
    spool.pages(1 << 20);
    assert_eq!(spool.append(&[]), Kept::Durable);
    let committed = MAX_HELD as u64;
    assert_eq!(*spool.counts.borrow(), Counts { committed, waiting: committed, dropped: 50, ..Counts::default() });
    assert_eq!(spool.keeper.disk().counts().unwrap(), *spool.counts.borrow());
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<i64>),
    Deliver(usize),
    Refuse,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0_i64..40, 0..8).prop_map(Step::Append),
        2 => (0_usize..6).prop_map(Step::Deliver),
        1 => Just(Step::Refuse),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_spool_behaves_like_a_list_without_repetitions(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let state = tempfile::tempdir().unwrap();
            let mut spool = Spool::open(state.path(), ROOM).unwrap();
            let (mut model, mut refused) = (Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Append(seconds) => {
                        let new: Vec<Sample> = seconds.iter().map(|second| sample("home", *second)).collect();
                        spool.append(&new).await.unwrap();
                        new.into_iter().for_each(|sample| if !model.contains(&sample) { model.push(sample) });
                    }
                    Step::Deliver(count) => {
                        let batch = spool.peek(count, usize::MAX).await.unwrap().rows;
                        model.retain(|sample: &Sample| !batch.iter().any(|row| row.due == sample.scheduled_at));
                        spool.acknowledge(batch.iter().map(|row| row.id).collect()).await.unwrap();
                    }
                    Step::Refuse => {
                        if let Some(row) = spool.peek(1, usize::MAX).await.unwrap().rows.first() {
                            spool.refuse(row.id, "test".into(), NOW).await.unwrap();
                            model.remove(0);
                            refused += 1;
                        }
                    }
                    Step::Reopen => {
                        drop(spool);
                        spool = reopen(state.path(), ROOM).await;
                    }
                }
                assert_eq!(all(&spool).await, model);
                let counts = spool.counts();
                assert_eq!((counts.waiting, counts.refused), (model.len() as u64, refused));
            }
        });
    }
}
