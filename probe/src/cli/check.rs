//! `nines-probe check`: one check now, or many times, drawn as a waterfall of its phases or printed as JSON.
//!
//! Owns the command line's way to a [`Check`] and what is told of it; [`look`] is what `nines check` shares. A target
//! that the operator names here may lie anywhere; with `--from` the probe's own file has the last word. Nothing is
//! stored or shipped.

mod flags;
mod from;
mod json;
mod repeat;
mod target;
mod terminal;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use nines_shared::address::AddressRule;
use nines_shared::check::{Addresses, Check, CheckErrors, Draft, Family, MAX_INTERVAL_MS, Question, Reach};
use nines_shared::duration::parse_ms;
use nines_shared::sample::{Outcome, SampleKind, TraceId};
use nines_shared::secret::Secrets;
use nines_shared::time::{Clock, Timestamp};

use super::{Failure, IO, USAGE};
use crate::prober::{Observation, Pin, Prober, Vantage};
use crate::waterfall::{self, Look};

pub use from::unknown;

/// The id of the check that the command line describes: it has none of its own.
const ONE_SHOT: &str = "one-shot";

/// Not a doc comment, which would take the brackets for links.
const TARGET_HELP: &str = "A URL (https:// may be left out), dns:NAME[/TYPE], tls:HOST[:PORT], tcp:HOST:PORT, icmp:HOST or \
    grpc:HOST:PORT[/SERVICE]; with --from the id of a check";

/// What `nines-probe check` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What is looked at
    #[arg(value_name = "TARGET", help = TARGET_HELP)]
    pub target: String,
    #[command(flatten)]
    flags: flags::Flags,
    #[command(flatten)]
    how: How,
    /// Print help
    #[arg(short, long, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

/// How a check is run and told: what `nines-probe check` and `nines check` have in common.
#[derive(Clone, Debug, clap::Args)]
pub struct How {
    /// How long the whole check may take [default: 10s, or what the check says]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Run it N times: a line for each, then a summary
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(waterfall::runs::MAX_RUNS)))]
    pub repeat: Option<u32>,
    /// Begin a run so often [default: 1s]; without --repeat until Ctrl-C
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,
    /// Only over IPv4
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Only over IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Over each of the host's addresses; the worst decides
    #[arg(long)]
    pub every_address: bool,
    /// Dial this address for the host and port; several times
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<Pin>,
    /// Print JSON: one object, or one a line with --repeat
    #[arg(long)]
    pub json: bool,
}

/// The exit code that says `outcome`: 0 up, 1 degraded, 2 down, 3 inconclusive.
pub fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Up => ExitCode::SUCCESS,
        Outcome::Degraded => ExitCode::from(1),
        Outcome::Down => ExitCode::from(2),
        Outcome::Inconclusive => ExitCode::from(3),
    }
}

/// Runs the check and prints what it saw. Exits 0 up, 1 degraded, 2 down, 3 inconclusive; of many runs, as the worst.
///
/// # Errors
/// [`Failure`]: the arguments make no sense (64), a file or standard output fails (74), a configuration is wrong (78).
pub async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (check, vantage, secrets) = match &args.flags.from {
        Some(config) => from::check_of(config, &args.target)?,
        None => (one_shot(args)?, args.flags.vantage(), Arc::new(args.flags.secrets()?)),
    };
    look(check, vantage, secrets, &args.how).await.map(exit_code)
}

/// Where the operator looks from who named the target: every address may be contacted.
pub fn anywhere() -> Vantage {
    let everywhere = ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("both are networks"));
    Vantage { rule: AddressRule::new(everywhere.to_vec(), Vec::new()), ..Vantage::default() }
}

/// Looks at `check` from `vantage` as `how` says, with the `secrets` that it names, and tells it on standard output.
///
/// # Errors
/// [`Failure`]: `how` makes no sense (64), standard output fails (74).
pub async fn look(check: Check, mut vantage: Vantage, secrets: Arc<Secrets>, how: &How) -> Result<Outcome, Failure> {
    let check = how.applied(check)?;
    let pace = how.pace()?;
    vantage.pins.extend(how.resolve.iter().cloned());
    let one = One { prober: Prober::new(vantage), check, clock: Clock::system() };
    one.prober.know(secrets);
    match pace {
        Some(pace) => repeat::run(&one, pace, how.json).await,
        None => {
            let (started_at, trace, seen) = one.run().await;
            let text = if how.json {
                json::of_run(&one.check, &json::Run { number: None, started_at, trace, seen: &seen })
            } else {
                let look = Look {
                    question: &one.check.question,
                    must_fail: one.check.must_fail.as_ref(),
                    seen: &seen,
                    trace,
                    now: one.clock.now(),
                };
                waterfall::draw(look, terminal::paper())
            };
            print(&text)?;
            Ok(seen.outcome)
        }
    }
}

/// What it takes to run a check once more.
#[derive(Debug)]
struct One {
    prober: Prober,
    check: Check,
    clock: Clock,
}

impl One {
    /// One run: when it began, what went out with it, what it saw.
    async fn run(&self) -> (Timestamp, TraceId, Observation) {
        let started_at = self.clock.now();
        let trace = TraceId::of(&self.check.id, &self.check.regions[0], SampleKind::Extra, started_at);
        (started_at, trace, self.prober.run(&self.check, trace).await)
    }
}

impl How {
    /// `check` with the timeout and the reach that are asked for here.
    fn applied(&self, check: Check) -> Result<Check, Failure> {
        let mut draft = Draft::from(check);
        if let Some(timeout) = &self.timeout {
            draft.timeout_ms = parse_ms(timeout).map_err(|error| usage(format!("--timeout: {error}")))?;
            // There is no next slot to run into.
            draft.interval_ms = MAX_INTERVAL_MS;
            draft.degraded_after_ms = draft.degraded_after_ms.map(|ms| ms.min(draft.timeout_ms));
        }
        if self.ipv4 || self.ipv6 || self.every_address {
            let reach = reach_of(&mut draft.question).ok_or_else(|| {
                usage("-4, -6 and --every-address go with what has a host to resolve; a DNS server has one address")
            })?;
            reach.family = match (self.ipv4, self.ipv6) {
                (true, _) => Family::Ipv4,
                (false, true) => Family::Ipv6,
                (false, false) => reach.family,
            };
            if self.every_address {
                reach.addresses = Addresses::Every;
            }
        }
        valid(draft)
    }

    /// How many runs and how often, where more than one is asked for.
    fn pace(&self) -> Result<Option<repeat::Pace>, Failure> {
        let every_ms = match &self.every {
            Some(text) => Some(parse_ms(text).map_err(|error| usage(format!("--every: {error}")))?),
            None => None,
        };
        Ok(match (self.repeat, every_ms) {
            (None, None) => None,
            (runs, every_ms) => Some(repeat::Pace {
                runs: runs.unwrap_or(waterfall::runs::MAX_RUNS),
                every_ms: every_ms.unwrap_or(repeat::EVERY_MS).unsigned_abs(),
            }),
        })
    }
}

/// Over which addresses `question` is asked; `None` where it has no host to resolve.
fn reach_of(question: &mut Question) -> Option<&mut Reach> {
    match question {
        Question::Http(http) => Some(&mut http.reach),
        Question::Tls(tls) => Some(&mut tls.reach),
        Question::Tcp(tcp) => Some(&mut tcp.reach),
        Question::Icmp(icmp) => Some(&mut icmp.reach),
        Question::Grpc(grpc) => Some(&mut grpc.reach),
        Question::Dns(_) => None,
    }
}

fn usage<M: std::fmt::Display>(message: M) -> Failure {
    Failure::new(USAGE, message)
}

/// The check that the command line describes.
fn one_shot(args: &Args) -> Result<Check, Failure> {
    let question: Question = target::question(&args.target, &args.flags)?;
    let region = vec![ONE_SHOT.parse().expect("it is an id")];
    let id = ONE_SHOT.parse().expect("it is an id");
    let mut draft = Draft::new(id, ONE_SHOT.parse().expect("it is an id"), region, question);
    draft.interval_ms = MAX_INTERVAL_MS;
    valid(draft)
}

fn valid(draft: Draft) -> Result<Check, Failure> {
    Check::new(draft).map_err(|errors| usage(CheckErrors(errors)))
}

/// Prints `text`; whoever has closed the pipe has seen enough.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(IO, format!("can't write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
