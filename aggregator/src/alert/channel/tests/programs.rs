//! Programs: what they are given, how they end, and that nothing of them is left.

use std::fs;

use tempfile::TempDir;

use super::super::{Refused, exec};
use super::{letter, outage};

async fn run(script: &str, timeout_ms: i64, folder: &TempDir) -> Result<(), Refused> {
    let command = ["sh", "-c", script, "notify", folder.path().to_str().unwrap()].map(str::to_owned);
    exec::deliver(&command, timeout_ms, &letter(&outage(), 3)).await
}

#[tokio::test]
async fn a_program_is_given_the_body_and_no_more_of_our_environment_than_the_path() {
    let folder = TempDir::new().unwrap();
    run(
        "cat > $1/body; env | cut -d= -f1 | sort > $1/env; echo $NINES_EVENT $NINES_IDEMPOTENCY_KEY > $1/told",
        20_000,
        &folder,
    )
    .await
    .unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("body"), letter(&outage(), 3).body);
    assert_eq!(read("told"), "opened shop-20260921T141320Z.3\n");
    let given: Vec<String> = read("env").lines().map(str::to_owned).collect();
    let own = ["PWD", "SHLVL", "_", "OLDPWD"];
    let given: Vec<&str> = given.iter().map(String::as_str).filter(|name| !own.contains(name)).collect();
    assert_eq!(given, ["NINES_ABOUT", "NINES_EVENT", "NINES_IDEMPOTENCY_KEY", "PATH"]);
}

#[tokio::test]
async fn an_exit_code_that_is_not_0_is_a_refusal_with_what_was_said() {
    let folder = TempDir::new().unwrap();
    let refused = run("printf 'no \\033[31mroom' >&2; exit 3", 20_000, &folder).await.unwrap_err();
    assert_eq!(refused, Refused::because("sh ended with exit code 3: no  [31mroom"));
    let refused = run("kill -TERM $$", 20_000, &folder).await.unwrap_err();
    assert!(refused.why.contains("was killed by signal 15"), "{refused:?}");
    let none = exec::deliver(&["/nowhere/notify".to_owned()], 20_000, &letter(&outage(), 1)).await.unwrap_err();
    assert!(none.why.contains("can't run /nowhere/notify"), "{none:?}");
}

#[tokio::test]
async fn a_program_that_reads_nothing_or_says_too_much_is_judged_by_its_exit_code() {
    let folder = TempDir::new().unwrap();
    assert_eq!(run("exit 0", 20_000, &folder).await, Ok(()));
    assert_eq!(run("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", 20_000, &folder).await, Ok(()));
    let refused = run("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", 20_000, &folder).await.unwrap_err();
    assert!(refused.why.len() < 300, "{}", refused.why.len());
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
    let folder = TempDir::new().unwrap();
    let script = "sleep 1000 & echo $! > $1/child; echo $$ > $1/self; wait";
    let refused = run(script, 1_500, &folder).await.unwrap_err();
    assert!(refused.why.contains("killed after 1500 ms"), "{refused:?}");
    for name in ["child", "self"] {
        gone(&folder, name).await;
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it() {
    let folder = TempDir::new().unwrap();
    run("sleep 1000 >/dev/null 2>&1 </dev/null & echo $! > $1/child", 20_000, &folder).await.unwrap();
    gone(&folder, "child").await;
}

/// Waits until the process whose number is in the file `name` is no more, or only waits to be reaped.
async fn gone(folder: &TempDir, name: &str) {
    let number = fs::read_to_string(folder.path().join(name)).unwrap();
    let stat = format!("/proc/{}/stat", number.trim());
    for _ in 0..1_000 {
        let state = fs::read_to_string(&stat).ok();
        let alive =
            state.as_deref().and_then(|stat| stat.rsplit_once(')')).is_some_and(|(_, rest)| !rest.starts_with(" Z"));
        if !alive {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{name} is still there");
}
