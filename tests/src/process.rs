//! A process of ours: started with its log in memory, ended by pid, killed at the latest when dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::wait::until;

/// A running process whose standard error is kept line by line.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// What a process uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time since its start, in ms, to 10 ms (the kernel counts in ticks of 100 a second).
    pub cpu_ms: u64,
    /// Resident memory now, in KiB.
    pub memory_kib: u64,
    /// The most resident memory so far, in KiB.
    pub memory_peak_kib: u64,
}

impl Process {
    /// Starts `command` under a `name` for messages.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().expect("no holder of the log panics").push(line);
            }
        });
        Self { name: name.to_owned(), child, log, reader: Some(reader) }
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no holder of the log panics").clone()
    }

    /// Waits for the first line that `found` makes something of.
    pub fn logged<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        let name = self.name.clone();
        until(&format!("{name} logs {what}"), || {
            let log = self.log();
            if let Some(value) = log.iter().find_map(|line| found(line)) {
                return Some(value);
            }
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{name} ended ({ended:?}) before it logged {what}:\n{}", log.join("\n"));
            None
        })
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(mut self) -> Vec<String> {
        self.end()
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("our own child can be signalled");
    }

    /// SIGTERM, then waits for its end.
    pub fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(Signal::TERM);
        let name = self.name.clone();
        let status =
            until(&format!("{name} ends on SIGTERM"), || self.child.try_wait().expect("a child can be waited for"));
        (status, self.end())
    }

    /// Waits for it to end by itself.
    pub fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let name = self.name.clone();
        let status = until(&format!("{name} ends"), || self.child.try_wait().expect("a child can be waited for"));
        (status, self.end())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// From now on it can open a file or a socket only while it has fewer than `most` open.
    pub fn limit_files(&self, most: u64) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        prlimit(Some(self.pid()), Resource::Nofile, Rlimit { current: Some(most), maximum })
            .expect("our own child can be limited");
    }

    /// What it uses now, by /proc.
    pub fn usage(&self) -> Usage {
        let folder = format!("/proc/{}", self.child.id());
        let read = |file: &str| std::fs::read_to_string(format!("{folder}/{file}")).unwrap_or_default();
        let status = read("status");
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
            line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
        };
        let stat = read("stat");
        // After the name, which may hold anything but a closing parenthesis: utime and stime are fields 14 and 15
        // (proc(5)).
        let ticks: u64 =
            stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
        Usage { cpu_ms: ticks * 10, memory_kib: kib("VmRSS:"), memory_peak_kib: kib("VmHWM:") }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn end(&mut self) -> Vec<String> {
        // Both fail only where the process has ended already, which is what is wanted.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log's reader does not panic");
        }
        self.log()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let log = self.end();
        if std::thread::panicking() {
            let last = log.len().saturating_sub(60);
            eprintln!("--- the last lines of {}:\n{}", self.name, log[last..].join("\n"));
        }
    }
}
