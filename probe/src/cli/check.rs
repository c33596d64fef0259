//! `nines-probe check`: one check now, drawn as a waterfall of its phases or printed as JSON.
//!
//! The operator at the keyboard asked, so every address may be contacted. Nothing is stored or shipped.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use nines_shared::address::AddressRule;
use nines_shared::check::{
    Check, DnsQuestion, DnsServer, Draft, HostPort, HttpQuestion, MAX_INTERVAL_MS, Question, RecordType, TlsQuestion,
};
use nines_shared::duration::parse_ms;
use nines_shared::sample::{Evidence, Outcome, Phase, Phases, Reason, SampleKind, TraceId};
use nines_shared::time::{Clock, Timestamp};
use serde::Serialize;

use crate::prober::{Observation, Prober, Vantage};
use crate::waterfall;

/// Exit code: the arguments make no sense.
const USAGE: u8 = 64;
/// Exit code: a file or standard output failed.
const IO: u8 = 74;
/// The port of a TLS check that names none.
const HTTPS_PORT: u16 = 443;

/// What `nines-probe check` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to check: a URL, `dns:NAME[/TYPE]` or `tls:HOST[:PORT]`
    #[arg(value_name = "URL|dns:NAME[/TYPE]|tls:HOST[:PORT]")]
    pub target: String,
    /// Print one JSON object instead of a drawing
    #[arg(long)]
    pub json: bool,
    /// How long the whole check may take
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub timeout: String,
    /// Ask this DNS server, such as udp://192.0.2.53 (dns: only)
    #[arg(long, value_name = "SERVER")]
    pub server: Option<DnsServer>,
    /// Trust the roots of this PEM file instead of Mozilla's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Look from this address of the machine
    #[arg(long, value_name = "ADDRESS")]
    pub source_address: Option<IpAddr>,
}

/// Why a check could not even be begun, or its result not be told.
#[derive(Debug, thiserror::Error)]
enum CheckFailed {
    #[error("{0}")]
    Usage(String),
    #[error("can't read {path}: {source}")]
    Ca { path: PathBuf, source: io::Error },
    #[error("can't write to standard output: {0}")]
    Output(io::Error),
}

impl CheckFailed {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Ca { .. } | Self::Output(_) => IO,
        }
    }
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

/// Runs the check and prints what it saw. Exits 0 up, 1 degraded, 2 down, 3 inconclusive; 64 where the
/// arguments make no sense, 74 where a file or standard output fails.
pub async fn run(args: Args) -> ExitCode {
    match check(&args).await {
        Ok(outcome) => exit_code(outcome),
        Err(error) => {
            // Nothing is left to tell where even this fails.
            let _told = writeln!(anstream::stderr(), "nines-probe check: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn check(args: &Args) -> Result<Outcome, CheckFailed> {
    let check = one_shot(args)?;
    let rule = AddressRule::new(everywhere(), Vec::new());
    let prober = Prober::new(Vantage { source: args.source_address, rule, pins: Vec::new() });
    let clock = Clock::system();
    let trace = TraceId::of(&check.id, &check.regions[0], SampleKind::Extra, clock.now());
    let started_at = clock.now();
    let seen = prober.run(&check, trace).await;
    let page = if args.json {
        as_json(&check.question, started_at, &seen)
    } else {
        waterfall::draw(&check.question, &seen, clock.now())
    };
    let mut out = anstream::stdout().lock();
    out.write_all(page.as_bytes()).and_then(|()| out.flush()).map_err(CheckFailed::Output)?;
    Ok(seen.outcome)
}

fn everywhere() -> Vec<ipnet::IpNet> {
    ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("both are networks")).to_vec()
}

fn one_shot(args: &Args) -> Result<Check, CheckFailed> {
    let timeout_ms = parse_ms(&args.timeout).map_err(|error| CheckFailed::Usage(format!("--timeout: {error}")))?;
    let ca_pem = match &args.ca {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            Some(read.map_err(|source| CheckFailed::Ca { path: path.clone(), source })?)
        }
        None => None,
    };
    let question = question(&args.target, args.server, ca_pem).map_err(CheckFailed::Usage)?;
    let own = "one-shot";
    let region = vec![own.parse().expect("it is an id")];
    let mut draft = Draft::new(own.parse().expect("it is an id"), own.parse().expect("it is an id"), region, question);
    draft.timeout_ms = timeout_ms;
    // There is no next slot to run into.
    draft.interval_ms = MAX_INTERVAL_MS;
    Check::new(draft).map_err(|errors| CheckFailed::Usage(nines_shared::check::CheckErrors(errors).to_string()))
}

/// The question that `target` asks.
///
/// # Errors
/// What is wrong with it and how to write it, for people.
fn question(target: &str, server: Option<DnsServer>, ca_pem: Option<String>) -> Result<Question, String> {
    if let Some(rest) = target.strip_prefix("dns:") {
        let (name, record_type) = rest.split_once('/').unwrap_or((rest, "A"));
        let record_type: RecordType = record_type.parse()?;
        return Ok(Question::Dns(Box::new(DnsQuestion::new(name, record_type, server))));
    }
    if server.is_some() {
        return Err("--server goes with dns:NAME only".to_owned());
    }
    if let Some(rest) = target.strip_prefix("tls:") {
        let address = host_port(rest)?;
        return Ok(Question::Tls(TlsQuestion { ca_pem, ..TlsQuestion::at(address) }));
    }
    if !target.starts_with("http://") && !target.starts_with("https://") {
        return Err(format!("{target:?} can't be checked; write https://HOST/…, dns:NAME or tls:HOST"));
    }
    let url = target.parse().map_err(|error| format!("{target:?} is no URL: {error}"))?;
    Ok(Question::Http(Box::new(HttpQuestion { ca_pem, ..HttpQuestion::get(url) })))
}

fn host_port(text: &str) -> Result<HostPort, String> {
    let bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let bare = if bare_v6 { format!("[{text}]:{HTTPS_PORT}") } else { format!("{text}:{HTTPS_PORT}") };
    // A port that is named wins; what is no address either way is reported as it was written.
    if bare_v6 { bare.parse() } else { text.parse().or_else(|error: String| bare.parse().map_err(|_same| error)) }
}

/// The observation with the keys of a sample, and what was asked.
#[derive(Serialize)]
struct Shown<'s> {
    target: String,
    started_at: Timestamp,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'s str>,
    duration_us: u64,
    phases_us: Phases,
    attempt: u8,
    evidence: &'s Evidence,
}

fn as_json(question: &Question, started_at: Timestamp, seen: &Observation) -> String {
    let shown = Shown {
        target: question.target(),
        started_at,
        outcome: seen.outcome,
        reason: seen.reason.as_ref(),
        phase: seen.phase,
        detail: seen.detail.as_deref(),
        duration_us: seen.duration_us,
        phases_us: seen.phases_us,
        attempt: seen.attempt,
        evidence: &seen.evidence,
    };
    let mut json = serde_json::to_string(&shown).expect("strings and numbers are always JSON");
    json.push('\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_people_write_them() {
        for (target, shown) in [
            ("https://shop.example", "https://shop.example/"),
            ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
            ("dns:shop.example", "dns:shop.example A"),
            ("dns:shop.example/mx", "dns:shop.example MX"),
            ("tls:shop.example", "tls:shop.example:443"),
            ("tls:shop.example:8443", "tls:shop.example:8443"),
            ("tls:[2001:db8::1]", "tls:[2001:db8::1]:443"),
            ("tls:2001:db8::1", "tls:[2001:db8::1]:443"),
            ("tls:[2001:db8::1]:8443", "tls:[2001:db8::1]:8443"),
        ] {
            assert_eq!(question(target, None, None).unwrap().target(), shown);
        }
        for target in ["shop.example", "ftp://shop.example/", "dns:shop.example/SOA", "tls:", "https://"] {
            assert!(question(target, None, None).is_err(), "{target}");
        }
        assert!(question("tls:shop.example", "udp://192.0.2.53".parse().ok(), None).is_err());
    }
}
