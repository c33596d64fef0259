//! The quickstart as a newcomer sees it: the real binary, its words, and what it leaves behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nines_tests::binaries::nines;
use nines_tests::target::Target;
use nines_tests::wait::until_within;
use rustix::process::{Pid, Signal, kill_process};

/// The story at speed 4 takes half a minute; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running quickstart and what it has said so far.
struct Quickstart {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Quickstart {
    fn start(arguments: &[&str], temporary: &Path) -> Self {
        let mut command = Command::new(nines());
        command.arg("quickstart").args(arguments).env("TMPDIR", temporary).env("NO_COLOR", "1");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("nines starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let mut said = sink.lock().expect("no holder panics");
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().expect("no holder panics").clone()
    }

    fn until_said(&mut self, words: &str) {
        until_within(PATIENCE, &format!("the quickstart says {words:?}"), || {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "it ended ({ended:?}):\n{}", self.said());
            self.said().contains(words).then_some(())
        });
    }

    /// Ctrl-C, and what it had said by its end.
    fn interrupt(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("our own child can be signalled");
        let status = until_within(PATIENCE, "the quickstart ends on Ctrl-C", || {
            self.child.try_wait().expect("a child can be waited for")
        });
        assert!(status.success(), "{status}:\n{}", self.said());
        self.said()
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        // Both fail only where it has ended already, which is what is wanted.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the quickstart said:\n{}", self.said());
        }
    }
}

/// Where each of `words` is said first; they must come in this order.
fn in_order(said: &str, words: &[&str]) {
    let mut from = 0;
    for word in words {
        let at = said[from..].find(word);
        from += at.unwrap_or_else(|| panic!("{word:?} is not said, or not after the words before it:\n{said}"));
    }
}

/// The names of what is left in the quickstart's directory below `temporary`.
fn left(temporary: &Path) -> Vec<String> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("the folder can be read");
        entries
            .map(|entry| entry.expect("an entry can be read").file_name().into_string().expect("it is text"))
            .collect()
    };
    let mut left: Vec<String> = names(temporary).iter().flat_map(|name| names(&temporary.join(name))).collect();
    left.sort();
    left
}

#[test]
fn the_demo_tells_its_story_and_its_truth_lies_within_the_bounds() {
    let temporary = tempfile::tempdir().expect("a folder can be made");
    let mut quickstart = Quickstart::start(&["--speed", "4"], temporary.path());
    quickstart.until_said("That was the story");
    let said = quickstart.interrupt();
    in_order(
        &said,
        &[
            "http://127.0.0.1:",
            "the demo shop opens",
            "Acme Shop is up",
            "the shop grows slow",
            "of it first byte",
            "Acme Shop is degraded",
            "it is quick again",
            "Acme Shop is up again",
            "it fails, but for Mumbai alone",
            "down, http status in first byte",
            "it fails for everyone",
            "down, tls closed in tls",
            "Acme Shop is down: quorum reached",
            "it recovers",
            "Acme Shop is up again: it was down for",
            "the figures of these 00:26",
            "within the bounds",
            "the report is in",
            "stopping",
        ],
    );
    let page = said.find("page sent to the webhook, signed").expect("somebody is paged");
    let for_everyone = said.find("it fails for everyone").expect("it was found above");
    assert!(for_everyone < page, "one region alone pages nobody:\n{said}");
    assert_eq!(said.matches("page sent").count(), 1, "one outage, one page:\n{said}");
    assert_eq!(left(temporary.path()), ["report.html", "report.json"]);
}

#[test]
fn pages_of_the_users_are_looked_at_and_reported_when_it_ends() {
    let (target, temporary) = (Target::start(), tempfile::tempdir().expect("a folder can be made"));
    let mut quickstart = Quickstart::start(&[&target.url()], temporary.path());
    quickstart.until_said("is up: the regions agree");
    let said = quickstart.interrupt();
    in_order(&said, &[&target.url(), "up in", "is up", "availability  100", "the report is in"]);
    assert_eq!(left(temporary.path()), ["report.html", "report.json"]);
}
