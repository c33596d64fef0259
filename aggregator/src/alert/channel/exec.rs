//! A program of this machine: the body on its standard input, nothing on its command line that a target said.
//!
//! No shell reads the command. Of our environment it gets `PATH` alone, and `NINES_…` beside it. It runs in a process
//! group of its own, which is killed when its time is up and when it has ended: it leaves nothing behind. Exit code 0
//! is an acceptance, and nothing else is; of what it says on standard error the beginning is told.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nines_shared::sample::detail;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Refused;
use crate::store::outbox::Letter;

/// The most bytes that are kept of what it says on standard error; the rest is read and dropped.
const MAX_SAID_BYTES: u64 = 4 << 10;
/// The most bytes of its output that are read at all; one that writes more finds its pipe closed.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;
/// How long what it said is waited for once it has ended.
const SAYING: Duration = Duration::from_secs(1);
/// How much of what it said is told, in characters.
const MAX_SAID: usize = 200;

/// Runs `command` for `letter`, within `timeout_ms`.
///
/// # Errors
/// [`Refused`] where it can't be run, takes too long, or ends with anything but 0.
pub(super) async fn deliver(command: &[String], timeout_ms: i64, letter: &Letter) -> Result<(), Refused> {
    let (program, arguments) = command.split_first().ok_or_else(|| Refused::for_good("the command is empty"))?;
    let unusable = |why: io::Error| Refused::because(format!("can't run {program}: {why}"));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("NINES_EVENT", &letter.event)
        .env("NINES_ABOUT", &letter.about)
        .env("NINES_IDEMPOTENCY_KEY", letter.idempotency_key())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unusable)?;
    let group = Group(Pid::from_child(&child));
    let said = pipes(&mut child, letter.body.clone());
    let leader = group.0;
    // Seen ended, but not yet reaped: until the group is killed its number is nobody else's.
    let ended = spawn_blocking(move || waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
    let limit = Duration::from_millis(timeout_ms.unsigned_abs());
    let in_time = timeout(limit, ended).await.is_ok();
    drop(group);
    let status = spawn_blocking(move || child.wait()).await;
    let status = status.map_err(|lost| Refused::because(lost.to_string()))?.map_err(unusable)?;
    let said = timeout(SAYING, said).await.ok().and_then(Result::ok).unwrap_or_default();
    if !in_time {
        return Err(Refused::because(format!("{program} was killed after {timeout_ms} ms: it had not ended")));
    }
    if status.success() { Ok(()) } else { Err(Refused::because(format!("{program} {}{said}", ended_with(status)))) }
}

/// A process group, killed when nobody waits for it any more.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // That there is nobody left to kill is what is wanted.
        let _gone = kill_process_group(self.0, Signal::KILL);
    }
}

/// Feeds the body in, drains both outputs, and gives the beginning of what was said on standard error, for a message. A
/// pipe that closes early is the program's choice: its exit code decides. The threads are nobody's to wait for: a
/// program that left its group behind may hold a pipe for as long as it lives.
fn pipes(child: &mut Child, body: String) -> oneshot::Receiver<String> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (tell, told) = oneshot::channel();
    thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(body.as_bytes())));
    thread::spawn(move || stdout.map(|pipe| io::copy(&mut pipe.take(MAX_OUTPUT_BYTES), &mut io::sink())));
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = stderr {
            // What was read before the pipe failed is still worth telling.
            let _cut = pipe.by_ref().take(MAX_SAID_BYTES).read_to_end(&mut said);
            let _cut = io::copy(&mut pipe.take(MAX_OUTPUT_BYTES), &mut io::sink());
        }
        let said = detail(&String::from_utf8_lossy(&said));
        let said: String = said.trim().chars().take(MAX_SAID).collect();
        // Nobody asks any more where the time is up.
        let _late = tell.send(if said.is_empty() { said } else { format!(": {said}") });
    });
    told
}

fn ended_with(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended without an exit code".to_owned(),
    }
}
