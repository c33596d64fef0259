//! `nines quickstart`: the whole product on one machine in two minutes.
//!
//! Nothing here is make-believe but the demo service: the aggregator is `serve`'s own, the probes are the
//! agent's, let in with real tokens over mutual TLS, and alerts go through the outbox to a webhook. Owns the
//! story and how it is told; decides nothing that a figure depends on.

mod closing;
mod demo;
mod probes;
mod script;
mod sink;
mod stage;
mod story;
mod terminal;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use nines_probe::agent::AgentError;
use nines_probe::identity::JoinError;
use nines_shared::check::Check;
use nines_shared::id::RegionId;
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::definition::{Fleet, Service};
use crate::fleet_file::FleetFileErrors;
use crate::report::ReportError;
use crate::running::Running;
use crate::serve::{ServeError, Served};
use crate::store::{StoreError, definitions, samples};
use crate::uptime::service::assess;
pub use script::MAX_SPEED;

use demo::Demo;
use script::{Mood, Script};
use sink::Sink;
use stage::Stage;
use story::{Line, Mark, Story, View};
use terminal::Terminal;

/// How often the verdicts are looked at where no sample arrives.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long after the story's end its report is made: by then every probe has reported past it.
const REPORT_AFTER: Duration = Duration::from_secs(3);
/// How far back the living story looks, in ms.
const LOOK_BACK_MS: i64 = 600_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Pages to check instead of the demo.
    pub pages: Vec<Url>,
    /// Where to keep everything; `None`: all but the report is removed at the end.
    pub keep: Option<PathBuf>,
    /// How much faster the demo's story is told.
    pub speed: u8,
}

/// Why the quickstart can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// Loopback gives no port.
    #[error("can't listen on 127.0.0.1: {0}")]
    Loopback(#[source] io::Error),
    /// A probe can't look from its address.
    #[error(
        "can't look from {address}: {source}; the demo tells its three regions apart by 127.0.0.11 to .13, which Linux has and other systems must be given, such as by `sudo ifconfig lo0 alias {address}`; `nines quickstart URL` needs none of them"
    )]
    Vantage {
        /// The address.
        address: IpAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The working directory can't be made or written.
    #[error("can't write to {}: {source}; name another directory with --keep DIR", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The pages make no fleet.
    #[error(transparent)]
    Fleet(#[from] FleetFileErrors),
    /// The aggregator can't run.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A probe was not let in.
    #[error("the probe of {region} could not join: {source}")]
    Join {
        /// Its region.
        region: RegionId,
        /// Why.
        source: Box<JoinError>,
    },
    /// There is no report.
    #[error("can't write the report: {0}")]
    Report(#[from] Box<ReportError>),
    /// A probe can't go on.
    #[error("a probe stopped: {0}")]
    Agent(#[from] AgentError),
}

/// Runs the quickstart until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`QuickstartError`].
pub async fn run(plan: Plan) -> Result<(), QuickstartError> {
    let stage = Stage::set_up(plan.keep.clone())?;
    let stop = CancellationToken::new();
    let result = play(&plan, &stage, &stop).await;
    stop.cancel();
    stage.clear();
    result
}

async fn play(plan: &Plan, stage: &Stage, stop: &CancellationToken) -> Result<(), QuickstartError> {
    let script = Script::new(plan.speed);
    let sink = sink::start(stage.secret.as_bytes(), stop.clone()).await?;
    let demo = if plan.pages.is_empty() { Some(demo::start(stop.clone()).await?) } else { None };
    let text = match &demo {
        Some(demo) => stage.demo_fleet(demo, sink.address, script)?,
        None => stage::pages_fleet(&plan.pages, sink.address),
    };
    let vantages = probes::vantages(&plan.pages).await?;
    let served = stage.serve(&text).await?;
    let fleet = Fleet::clone(&served.running.fleet.borrow());
    let terminal = Terminal::open();
    head(&terminal, &served, &fleet, plan, stage);
    let probes = JoinSet::new();
    let mut play =
        Play { terminal, story: Story::new(&fleet), fleet, served, probes, sink, demo, script, changes: Vec::new() };
    play.probes = probes::start(&play.served, &play.fleet, &stage.directory, vantages, stop).await?;
    let told = play.tell(stage).await;
    play.end(stop, told).await
}

/// What there is and where, before anything happens.
fn head(terminal: &Terminal, served: &Served, fleet: &Fleet, plan: &Plan, stage: &Stage) {
    let bold = anstyle::Style::new().bold();
    terminal.say(&format!("\n  {bold}nines quickstart{bold:#}\n"));
    terminal.head("page", &format!("{bold}http://{}/{bold:#}", served.web_addr));
    let names: Vec<&str> = fleet.regions.iter().map(|region| region.name.as_str()).collect();
    if plan.pages.is_empty() {
        terminal.head("demo", "a shop on this machine: HTTPS, its certificate, and its name in DNS");
        terminal.head("probes", &format!("{}, from 127.0.0.11, .12 and .13, over mutual TLS", names.join(", ")));
    } else {
        for check in &fleet.checks {
            terminal.head("checks", &check.question.target());
        }
        terminal.head("probes", &format!("{}, over mutual TLS, all from this machine", names.join(", ")));
    }
    let kept = if plan.keep.is_some() { "kept" } else { "removed at the end, but for the report" };
    terminal.head("data", &format!("{}, {kept}", stage.directory.display()));
    terminal.head("ask", &format!("nines status --config {}", stage.fleet_file().display()));
    terminal.head("end", "Ctrl-C");
}

/// Everything that plays.
struct Play {
    terminal: Terminal,
    story: Story,
    fleet: Fleet,
    served: Served,
    probes: JoinSet<Result<(), AgentError>>,
    sink: Sink,
    demo: Option<Demo>,
    script: Script,
    changes: Vec<(Timestamp, Mood)>,
}

impl Play {
    /// Tells the story until somebody ends it.
    async fn tell(&mut self, stage: &Stage) -> Result<(), QuickstartError> {
        let (begin, start) = (Instant::now(), self.now());
        let mut signals = Signals::listen().map_err(QuickstartError::Loopback)?;
        let mut arrivals = self.served.running.arrivals.subscribe();
        let mut looks = interval(LOOK_EVERY);
        let mut cues = self.cues(begin).into_iter().peekable();
        loop {
            let cue = cues.peek().map(|cue| cue.at);
            tokio::select! {
                () = signals.received() => break,
                () = sleep_until(cue.unwrap_or(begin)), if cue.is_some() => {
                    if let Some(cue) = cues.next() { self.play_cue(cue.what, start, stage).await?; }
                }
                Some(alert) = self.sink.alerts.recv() => {
                    let line = self.story.alert(&alert);
                    self.say(start, &line);
                }
                ended = self.served.wait() => return Ok(ended?),
                Some(ended) = self.probes.join_next() => return Ok(ended.unwrap_or(Ok(()))?),
                () = either(&mut arrivals, &mut looks) => self.look(start).await?,
            }
        }
        self.terminal.close();
        if self.demo.is_none() { self.close(Span::new(start, self.now()), stage).await } else { Ok(()) }
    }

    /// What the demo does when; nothing where there is none.
    fn cues(&self, begin: Instant) -> Vec<Cue> {
        if self.demo.is_none() {
            return Vec::new();
        }
        let at = |ms: i64| begin + Duration::from_millis(ms.unsigned_abs());
        let scenes = self.script.scenes().map(|(from, scene)| Cue { at: at(from), what: What::Scene(scene) });
        let end = at(self.script.end_ms()) + REPORT_AFTER;
        scenes.chain([Cue { at: end, what: What::End }]).collect()
    }

    async fn play_cue(&mut self, what: What, start: Timestamp, stage: &Stage) -> Result<(), QuickstartError> {
        match what {
            What::Scene(scene) => {
                self.say(start, &Line { mark: Mark::Scene, text: scene.title.to_owned() });
                self.changes.push((self.now(), scene.mood));
                if let Some(demo) = &self.demo {
                    demo.mood.send_replace(scene.mood);
                }
                Ok(())
            }
            What::End => {
                self.close(Span::new(start, start.plus_ms(self.script.end_ms())), stage).await?;
                self.terminal
                    .say("\n  That was the story. The shop stays open, the probes go on looking: see the page.\n");
                Ok(())
            }
        }
    }

    /// Looks at what is new and tells it.
    async fn look(&mut self, start: Timestamp) -> Result<(), QuickstartError> {
        let now = self.now();
        let (samples, views) = look(&self.served.running, &self.fleet, now).await?;
        let mut lines: Vec<Line> = samples.iter().filter_map(|sample| self.story.sample(sample)).collect();
        for (service, view) in self.fleet.services.iter().zip(&views) {
            if let Some(view) = view {
                lines.extend(self.story.verdict(&service.name, view, now));
            }
        }
        for line in lines {
            self.say(start, &line);
        }
        self.terminal.now(self.living(&views));
        Ok(())
    }

    fn living(&self, views: &[Option<View>]) -> String {
        let verdicts = self.fleet.services.iter().zip(views);
        let says = |view: &Option<View>| view.as_ref().map_or("not looked at yet", |view| story::word(view.verdict));
        let verdicts: Vec<String> =
            verdicts.map(|(service, view)| format!("{} {}", service.name, says(view))).collect();
        let samples = self.served.running.counters.samples_stored.get();
        format!("{} · {samples} samples · http://{}/ · Ctrl-C ends it", verdicts.join(" · "), self.served.web_addr)
    }

    /// Tells the figures of `window` and writes its report.
    async fn close(&self, window: Span, stage: &Stage) -> Result<(), QuickstartError> {
        let report = closing::report(&self.served.running, window).await?;
        let truth = script::truth(&self.changes);
        for service in &report.services {
            for text in closing::figures(service, truth) {
                self.terminal.say(&text);
            }
        }
        let [html, json] = closing::write(&report, stage)?;
        self.terminal.say(&format!("\n  the report is in {}\n           and in {}", html.display(), json.display()));
        Ok(())
    }

    fn say(&self, start: Timestamp, line: &Line) {
        self.terminal.tell(self.now().since(start), line);
    }

    fn now(&self) -> Timestamp {
        self.served.running.clock.now()
    }

    /// Takes everything down: first the probes, so that what they spooled still arrives.
    async fn end(mut self, stop: &CancellationToken, told: Result<(), QuickstartError>) -> Result<(), QuickstartError> {
        self.terminal.close();
        self.terminal.say("\n  stopping");
        stop.cancel();
        while self.probes.join_next().await.is_some() {}
        let stopped = self.served.stop().await;
        told?;
        Ok(stopped?)
    }
}

/// Something that is to happen at a time.
struct Cue {
    at: Instant,
    what: What,
}

enum What {
    Scene(script::Scene),
    End,
}

/// The newest sample of every check from every region, and what the fleet says of every service now.
async fn look(
    running: &Running,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<(Vec<Sample>, Vec<Option<View>>), StoreError> {
    let checks: Vec<_> = fleet.checks.iter().map(|check: &Check| check.id.clone()).collect();
    let services: Vec<_> = fleet.services.iter().map(|service: &Service| service.id.clone()).collect();
    let window = Span::new(now.plus_ms(-LOOK_BACK_MS), now);
    let read = running.store.read(move |conn| {
        let mut newest = Vec::new();
        for check in &checks {
            newest.extend(samples::latest_of(conn, check)?);
        }
        newest.sort_by_key(|sample| sample.started_at);
        let mut views = Vec::new();
        for service in &services {
            let record = definitions::service_record(conn, service, window)?;
            views.push(record.and_then(|record| View::of(service, &assess(&record, window, now))));
        }
        Ok((newest, views))
    });
    read.await
}

/// Returns when samples arrived or it is time to look anyway.
async fn either(arrivals: &mut watch::Receiver<u64>, looks: &mut tokio::time::Interval) {
    tokio::select! {
        changed = arrivals.changed() => {
            if changed.is_err() { std::future::pending::<()>().await; }
        }
        _ = looks.tick() => {}
    }
}

/// The signals that end the quickstart.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
