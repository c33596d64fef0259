//! `nines-probe join`: one-time enrolment, and a probe file to run with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hyper::StatusCode;
use url::Url;

use super::{CONFIGURATION, Failure, IO, SERVICE_FILE, UNAVAILABLE, USAGE};
use crate::canary::Canary;
use crate::identity::{self, JoinError};
use crate::probe_file::{self, MAX_CANARIES};
use crate::prober::Contact;

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
    /// The probe's file; written where there is none [default: /etc/nines/probe.toml for root, else probe.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for key, certificate and spool [default: the file's, else /var/lib/nines-probe for root, else beside
    /// the file]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Who should always answer, such as dns://192.0.2.53 or tcp://192.0.2.1:443; several times for several. Put into
    /// the file
    #[arg(long = "canary", value_name = "CANARY")]
    pub canaries: Vec<Canary>,
    /// Whom targets can write to: a page or a mailbox. Put into the file
    #[arg(long, value_name = "CONTACT")]
    pub contact: Option<Contact>,
}

/// Enrols this machine, or enrols it again as the probe that it is, and writes the probe's file where there is none.
///
/// # Errors
/// [`Failure`]: usage (64), the aggregator does not answer or refuses (69), files (74), a wrong file (78).
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let url = probe_file::aggregator_url(&args.url).map_err(|error| Failure::new(USAGE, error))?;
    let service_is_there = Path::new(SERVICE_FILE).exists();
    let config = file(args.config, super::is_root(), service_is_there).map_err(|error| Failure::new(USAGE, error))?;
    let there = config.exists();
    may_say(&config, there, &args.canaries, args.contact.as_ref()).map_err(|error| Failure::new(USAGE, error))?;
    let state = match (args.state, there) {
        (Some(state), _) => state,
        (None, true) => probe_file::read(&config).map_err(|error| Failure::new(CONFIGURATION, error))?.state,
        (None, false) => default_state(&config),
    };
    let state = std::path::absolute(&state).map_err(|error| Failure::new(IO, error))?;
    make_folder(&config)?;
    let joined = identity::join(&url, &args.token, &state).await;
    let joined = joined.map_err(|error| Failure::new(code(&error), format!("{url}: {error}")))?;
    if !there {
        let content = content(&url, &state, &args.canaries, args.contact.as_ref());
        identity::write_atomically(&config, content.as_bytes())
            .map_err(|error| Failure::new(IO, format!("joined, but can't write {}: {error}", config.display())))?;
    }
    let (probe, region) = (joined.probe, joined.region);
    anstream::println!("joined as {probe} in {region}; key and certificate are in {}", state.display());
    anstream::println!("next: {}", next(&config));
    if !there && args.canaries.is_empty() {
        anstream::eprintln!(
            "It has no canaries: should it lose the internet, it will call targets down. Name some in {} before it starts.",
            config.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The probe's file: as named, else the service's for root, else one here. Who forgets `sudo` on a machine that is a
/// probe must not make another one of it, which would take the first one's place.
fn file(named: Option<PathBuf>, is_root: bool, service_is_there: bool) -> Result<PathBuf, String> {
    if named.is_none() && !is_root && service_is_there {
        return Err(format!(
            "this machine is a probe already, by {SERVICE_FILE}: have it join anew as root (`sudo nines-probe join …`), or name \
             another file with --config for another probe; the token is not spent"
        ));
    }
    Ok(named.unwrap_or_else(|| super::default_config(is_root)))
}

/// What is to be put into the file can be: there is none yet, and `run` will read it.
fn may_say(config: &Path, there: bool, canaries: &[Canary], contact: Option<&Contact>) -> Result<(), String> {
    if there && (!canaries.is_empty() || contact.is_some()) {
        let file = config.display();
        return Err(format!(
            "{file} is there and stays as it is: leave --canary and --contact out, and write them there"
        ));
    }
    if MAX_CANARIES < canaries.len() {
        return Err(format!("{} canaries are too many; at most {MAX_CANARIES}", canaries.len()));
    }
    Ok(())
}

/// Before the token is spent: a file that can't be written later would leave a probe that nobody starts.
fn make_folder(config: &Path) -> Result<(), Failure> {
    let Some(folder) = config.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(IO, format!("can't make {}: {error}", folder.display())))
}

fn next(config: &Path) -> String {
    let run = format!("nines-probe run --config {}", config.display());
    if config == Path::new(SERVICE_FILE) {
        format!("systemctl enable --now nines-probe; where the package is not installed: {run}")
    } else {
        run
    }
}

fn code(error: &JoinError) -> u8 {
    match error {
        JoinError::Token => USAGE,
        // It has judged the token, and will not judge otherwise the next time.
        JoinError::Refused { status, .. } if status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS => {
            USAGE
        }
        JoinError::Link(_) | JoinError::Refused { .. } | JoinError::Answer(_) => UNAVAILABLE,
        JoinError::Key(_) | JoinError::Tls(_) => UNAVAILABLE,
        JoinError::Write { .. } | JoinError::Identity(_) => IO,
    }
}

fn default_state(config: &Path) -> PathBuf {
    if super::is_root() { PathBuf::from(ROOT_STATE) } else { config.with_file_name(STATE_BESIDE) }
}

fn content(url: &Url, state: &Path, canaries: &[Canary], contact: Option<&Contact>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let contact = contact.map_or_else(
        || "# contact  = \"https://shop.example/probes\"  ".to_owned(),
        |contact| format!("contact    = {}", quoted(&contact.to_string())),
    );
    let canaries: Vec<String> = canaries.iter().map(|canary| quoted(&canary.to_string())).collect();
    let canaries = match canaries[..] {
        [] => "# canaries = [\"dns://192.0.2.53\", \"tcp://192.0.2.1:443\"]".to_owned(),
        [..] => format!("canaries   = [{}]", canaries.join(", ")),
    };
    format!(
        "\
aggregator = {}
state      = {}        # key, certificate, spool
# source_address = \"192.0.2.11\"                # look from this address
# spool    = {{ max = \"256MiB\" }}               # oldest goes first when full; what went is counted and reported
# targets  = {{ allow = [\"10.2.0.0/16\"], deny = [] }}   # on top of the built-in rule: public addresses only
{contact}   # whom targets can write to: a page or a mailbox, in every user-agent
{canaries}   # where none answers, a failure is our own
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
        let text = content(&url, Path::new("/a \"strange\"\\ directory"), &[], None);
        let settings = probe_file::parse("probe.toml", &text).unwrap();
        assert_eq!(settings.aggregator, url);
        assert_eq!(settings.state, Path::new("/a \"strange\"\\ directory"));
        let uncommented: String = text.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
        assert_eq!(probe_file::parse("probe.toml", &uncommented).unwrap().canaries.len(), 2);

        let canaries = ["dns://192.0.2.53", "tcp://[2001:db8::1]:443"].map(|text| text.parse().unwrap());
        let contact = "ops'@shop.example".parse().unwrap();
        let text = content(&url, Path::new("/state"), &canaries, Some(&contact));
        let settings = probe_file::parse("probe.toml", &text).unwrap();
        assert_eq!((settings.canaries, settings.vantage.contact), (canaries.to_vec(), Some(contact)));
    }

    #[test]
    fn the_file_is_the_services_for_root_and_nobody_makes_a_second_probe_by_leaving_sudo_out() {
        let named = || Some(PathBuf::from("x.toml"));
        for (is_root, service_is_there) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(file(named(), is_root, service_is_there).unwrap(), Path::new("x.toml"));
        }
        for service_is_there in [false, true] {
            assert_eq!(file(None, true, service_is_there).unwrap(), Path::new(SERVICE_FILE));
        }
        assert_eq!(file(None, false, false).unwrap(), Path::new("probe.toml"));
        let refused = file(None, false, true).unwrap_err();
        assert!(refused.contains("sudo nines-probe join") && refused.contains("--config"), "{refused}");
    }

    #[test]
    fn what_would_be_left_out_of_the_file_is_refused_before_the_token_is_spent() {
        let canary = |count| vec!["dns://192.0.2.53".parse().unwrap(); count];
        let contact = "ops@shop.example".parse().unwrap();
        let file = Path::new("probe.toml");
        assert!(may_say(file, true, &[], None).is_ok() && may_say(file, false, &canary(1), Some(&contact)).is_ok());
        for refused in [may_say(file, true, &canary(1), None), may_say(file, true, &[], Some(&contact))] {
            assert!(refused.unwrap_err().contains("probe.toml is there"));
        }
        assert!(may_say(file, false, &canary(MAX_CANARIES + 1), None).unwrap_err().contains("too many"));
    }

    #[test]
    fn who_was_refused_need_not_try_again_and_who_got_no_answer_may() {
        let refused = |status| JoinError::Refused { status, message: String::new() };
        assert_eq!(code(&JoinError::Token), USAGE);
        for status in [StatusCode::FORBIDDEN, StatusCode::CONFLICT, StatusCode::BAD_REQUEST] {
            assert_eq!(code(&refused(status)), USAGE, "{status}");
        }
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            assert_eq!(code(&refused(status)), UNAVAILABLE, "{status}");
        }
    }

    #[test]
    fn state_lies_beside_the_file_for_those_who_are_not_root() {
        let state = default_state(Path::new("/etc/nines/probe.toml"));
        assert!(state == Path::new(ROOT_STATE) || state == Path::new("/etc/nines/nines-probe-state"));
    }
}
