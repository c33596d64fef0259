//! One network namespace, and acting in it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A namespace without a name: this handle is what keeps it.
#[derive(Debug)]
pub(super) struct Space(File);

impl Space {
    /// A new namespace, empty but for loopback.
    pub(super) fn new() -> Self {
        let mut command = Command::new("unshare");
        // `cat` answers once it is in there, and ends with its standard input.
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("unshare does not start: {error}"));
        let (mut asking, mut answer) = (child.stdin.take(), [0]);
        let asked = asking.as_mut().expect("standard input is piped").write_all(b".");
        let answered = child.stdout.take().expect("standard output is piped").read_exact(&mut answer);
        let space = (asked.is_ok() && answered.is_ok()).then(|| File::open(format!("/proc/{}/ns/net", child.id())));
        drop(asking);
        let ended = child.wait_with_output().expect("a child can be waited for");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let Some(space) = space else {
            panic!("this machine makes no network namespace ({}): {said}\nthese tests need root", ended.status)
        };
        Self(space.expect("the namespace of a child of ours can be opened"))
    }

    /// The namespace as other processes find it, for as long as this handle lives.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Does `act` in a thread that is in the namespace.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace of its own");
            act()
        };
        let joined = std::thread::scope(|scope| scope.spawn(inside).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs a tool in the namespace with `input`; it must succeed. Returns what it printed.
    pub(super) fn run(&self, tool: &str, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(tool);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.within(|| command.spawn());
        let mut child = child.unwrap_or_else(|error| panic!("{tool} does not start: {error}; tests/run installs it"));
        let given = child.stdin.take().expect("standard input is piped").write_all(input.as_bytes());
        let ended = child.wait_with_output().expect("a child can be waited for");
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(given.is_ok() && ended.status.success(), "{tool} refuses ({}):\n{input}\n{out}{err}", ended.status);
        out.into_owned()
    }
}
