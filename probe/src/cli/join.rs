//! `nines-probe join`: one-time enrolment, and a probe file to run with.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use url::Url;

use super::{CONFIGURATION, Failure, IO, UNAVAILABLE, USAGE};
use crate::identity::{self, JoinError};
use crate::probe_file;

/// Where state lives on a machine that is a probe.
const ROOT_STATE: &str = "/var/lib/nines-probe";
/// Where state lives beside the probe's file, for everybody else.
const STATE_BESIDE: &str = "nines-probe-state";

/// What `nines-probe join` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The aggregator, as `nines probe invite` prints it
    #[arg(value_name = "URL")]
    pub url: String,
    /// The one-time token, as `nines probe invite` prints it
    #[arg(value_name = "TOKEN")]
    pub token: String,
    /// The probe's file; written where there is none
    #[arg(long, value_name = "FILE", default_value = "probe.toml")]
    pub config: PathBuf,
    /// Directory for key, certificate and spool [default: the file's, else /var/lib/nines-probe for root, else beside the file]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Enrols this machine, or enrols it again as the probe that it is, and writes the probe's file where there is none.
///
/// # Errors
/// [`Failure`]: usage (64), the aggregator does not answer or refuses (69), files (74), a wrong file (78).
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let url = probe_file::aggregator_url(&args.url).map_err(|error| Failure::new(USAGE, error))?;
    let there = args.config.exists();
    let state = match (&args.state, there) {
        (Some(state), _) => state.clone(),
        (None, true) => probe_file::read(&args.config).map_err(|error| Failure::new(CONFIGURATION, error))?.state,
        (None, false) => default_state(&args.config),
    };
    let state = std::path::absolute(&state).map_err(|error| Failure::new(IO, error))?;
    let joined = identity::join(&url, &args.token, &state).await;
    let joined = joined.map_err(|error| Failure::new(code(&error), format!("{url}: {error}")))?;
    if !there {
        write_file(&args.config, &url, &state)?;
    }
    let (probe, region, config) = (joined.probe, joined.region, args.config.display());
    anstream::println!("joined as {probe} in {region}; key and certificate are in {}", state.display());
    anstream::println!("next: nines-probe run --config {config}");
    Ok(ExitCode::SUCCESS)
}

fn code(error: &JoinError) -> u8 {
    match error {
        JoinError::Token => USAGE,
        JoinError::Link(_) | JoinError::Refused { .. } | JoinError::Answer(_) => UNAVAILABLE,
        JoinError::Key(_) | JoinError::Tls(_) => UNAVAILABLE,
        JoinError::Write { .. } | JoinError::Identity(_) => IO,
    }
}

fn default_state(config: &Path) -> PathBuf {
    // Whose process this is, without a call that the standard library does not have.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if is_root { PathBuf::from(ROOT_STATE) } else { config.with_file_name(STATE_BESIDE) }
}

fn write_file(config: &Path, url: &Url, state: &Path) -> Result<(), Failure> {
    let content = content(url, state);
    identity::write_atomically(config, content.as_bytes())
        .map_err(|error| Failure::new(IO, format!("joined, but can't write {}: {error}", config.display())))
}

fn content(url: &Url, state: &Path) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "\
aggregator = {}
state      = {}        # key, certificate, spool
# source_address = \"192.0.2.11\"                # look from this address
# spool    = {{ max = \"256MiB\" }}               # oldest goes first when full; what went is counted and reported
# targets  = {{ allow = [\"10.2.0.0/16\"], deny = [] }}   # on top of the built-in rule: public addresses only
# contact  = \"https://shop.example/probes\"     # whom targets can write to: a page or a mailbox, in every user-agent
# canaries = [\"dns://192.0.2.53\", \"tcp://192.0.2.1:443\"]   # where none answers, a failure is our own
",
        quoted(url.as_str().trim_end_matches('/')),
        quoted(&state.to_string_lossy()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_file_is_one_that_run_reads() {
        let url = "https://[2001:db8::1]:7443".parse().unwrap();
        let text = content(&url, Path::new("/a \"strange\"\\ directory"));
        let settings = probe_file::parse("probe.toml", &text).unwrap();
        assert_eq!(settings.aggregator, url);
        assert_eq!(settings.state, Path::new("/a \"strange\"\\ directory"));
        let uncommented: String = text.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
        assert_eq!(probe_file::parse("probe.toml", &uncommented).unwrap().canaries.len(), 2);
    }

    #[test]
    fn state_lies_beside_the_file_for_those_who_are_not_root() {
        let state = default_state(Path::new("/etc/nines/probe.toml"));
        assert!(state == Path::new(ROOT_STATE) || state == Path::new("/etc/nines/nines-probe-state"));
    }
}
