//! The probe's own file (TOML): whom to report to, where state lives, and what this machine allows.
//!
//! Owns the file's keys and nothing else; every error is told at once, with its line and key. What the
//! file allows can't be widened from outside (INV-10).

mod place;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use nines_shared::address::AddressRule;
use nines_shared::check::Pace;
use nines_shared::duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use crate::canary::Canary;
use crate::prober::{Contact, Vantage};
use place::Place;

/// The spool's size where the file names none, in bytes.
pub const DEFAULT_SPOOL_BYTES: u64 = 256 << 20;
/// The smallest spool that makes sense, in bytes.
pub const MIN_SPOOL_BYTES: u64 = 1 << 20;
/// The most canaries: each is asked whenever one must know.
pub const MAX_CANARIES: usize = 16;
/// How far apart this probe's requests to one target are at least on average where the file says nothing: what somebody
/// who has stolen an aggregator could make one machine do to a stranger. A target in a network of one's own is exempt.
pub const UNSAID_PACE: Pace = Pace::unsaid(20);
/// The longest that may be asked for, in ms.
const MAX_PACE_MS: i64 = 3_600_000;
/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the agent needs to know to run: the file, read and found to make sense.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the aggregator listens for probes; always `https`, with a host and without path.
    pub aggregator: Url,
    /// The directory of key, certificate, spool and the last assignment.
    pub state: PathBuf,
    /// From where to look, and which addresses may be contacted.
    pub vantage: Vantage,
    /// How often one target may be asked, whatever the aggregator assigns.
    pub pace: Pace,
    /// The largest the spool may grow, in bytes.
    pub spool_max_bytes: u64,
    /// Who is asked whether a failure is our own; none: never.
    pub canaries: Vec<Canary>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ProbeFileError {
    /// The file can't be read.
    #[error("can't read {path}: {source}; `nines-probe join URL TOKEN --config {path}` writes it")]
    Unreadable {
        /// As named.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file can be read and is wrong.
    #[error("{}", shown(.0))]
    Wrong(Vec<Fault>),
}

/// One thing that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The dotted key, such as `spool.max`; empty where the file is no TOML there.
    pub key: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// `file:line:column: key: what; how to mend it`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

fn shown(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

/// The settings in the file at `path`; a relative `state` lies beside the file.
///
/// # Errors
/// [`ProbeFileError`]: unreadable, or every fault at once.
pub fn read(path: &Path) -> Result<Settings, ProbeFileError> {
    let name = path.display().to_string();
    let unreadable = |source| ProbeFileError::Unreadable { path: name.clone(), source };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if MAX_FILE_BYTES < length {
        return Err(unreadable(std::io::Error::other(format!("{length} bytes is more than {MAX_FILE_BYTES}"))));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mut settings = parse(&name, &text).map_err(ProbeFileError::Wrong)?;
    settings.state = path.parent().unwrap_or(Path::new("")).join(settings.state);
    Ok(settings)
}

/// The settings that `text` says; `file` is named in faults.
///
/// # Errors
/// Every fault, in the order of the lines.
pub fn parse(file: &str, text: &str) -> Result<Settings, Vec<Fault>> {
    let mut place = Place::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        place.note(error.span().unwrap_or(0..0), "", error.message());
    }
    if !errors.is_empty() {
        return Err(place.faults());
    }
    let settings = settings(document.get_ref(), &mut place);
    let faults = place.faults();
    match settings {
        Some(settings) if faults.is_empty() => Ok(settings),
        Some(_) | None => Err(faults),
    }
}

const KEYS: &[&str] = &["aggregator", "state", "source_address", "spool", "targets", "canaries", "contact"];

fn settings(document: &DeTable<'_>, place: &mut Place<'_>) -> Option<Settings> {
    place.known("", document, KEYS);
    let aggregator = required(document, "aggregator", place).and_then(|value| aggregator(value, place));
    let state = required(document, "state", place).and_then(|value| state(value, place));
    let source = document.get("source_address").and_then(|value| source_address(value, place));
    let spool_max_bytes = document.get("spool").map_or(Some(DEFAULT_SPOOL_BYTES), |value| spool(value, place));
    let unsaid = || Some((AddressRule::default(), UNSAID_PACE));
    let law = document.get("targets").map_or_else(unsaid, |value| targets(value, place));
    let canaries = document.get("canaries").map_or_else(|| Some(Vec::new()), |value| canaries(value, place));
    let contact = document.get("contact").map_or(Some(None), |value| contact(value, place).map(Some));
    let (rule, pace) = law?;
    Some(Settings {
        aggregator: aggregator?,
        state: state?,
        vantage: Vantage { source, rule, contact: contact?, ..Vantage::default() },
        pace,
        spool_max_bytes: spool_max_bytes?,
        canaries: canaries?,
    })
}

fn required<'a, 'i>(
    document: &'a DeTable<'i>,
    key: &'static str,
    place: &mut Place<'_>,
) -> Option<&'a Spanned<DeValue<'i>>> {
    let found = document.get(key);
    if found.is_none() {
        place.note(0..0, key, "is missing; `nines-probe join` writes a whole file");
    }
    found
}

fn aggregator(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Url> {
    let text = place.text("aggregator", value)?;
    match aggregator_url(text) {
        Ok(url) => Some(url),
        Err(message) => place.fault(value.span(), "aggregator", message),
    }
}

/// The aggregator's address as `join` and the file take it.
///
/// # Errors
/// What is wrong with it and how to mend it.
pub fn aggregator_url(text: &str) -> Result<Url, String> {
    const WANTED: &str = "write https://HOST:PORT, as `nines probe invite` prints it";
    let url: Url = text.parse().map_err(|error| format!("{text:?} is not a URL ({error}); {WANTED}"))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || url.host().is_none() || !bare || !anonymous {
        return Err(format!("{text:?} is not the address of an aggregator; {WANTED}"));
    }
    Ok(url)
}

fn state(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<PathBuf> {
    let text = place.text("state", value)?;
    if text.is_empty() {
        return place.fault(value.span(), "state", "is empty; write the directory for key, certificate and spool");
    }
    Some(PathBuf::from(text))
}

fn source_address(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<IpAddr> {
    let text = place.text("source_address", value)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("{text:?} is not an IP address; write one of this machine, without port");
            place.fault(value.span(), "source_address", message)
        }
    }
}

fn spool(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<u64> {
    let table = place.table("spool", value)?;
    place.known("spool", table, &["max"]);
    let Some(max) = table.get("max") else { return Some(DEFAULT_SPOOL_BYTES) };
    let text = place.text("spool.max", max)?;
    match bytes(text) {
        Some(size) if MIN_SPOOL_BYTES <= size => Some(size),
        Some(_) => place.fault(max.span(), "spool.max", format!("{text} is too small; use at least 1MiB")),
        None => {
            let message = format!("{text:?} is not a size; write a whole number and KiB, MiB or GiB, such as 256MiB");
            place.fault(max.span(), "spool.max", message)
        }
    }
}

/// Bytes of a text such as `256MiB`; `None` where it is none or is too large for any file.
fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
    let text = text.trim();
    let (number, factor) = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let number: u64 = number.trim_end().parse().ok()?;
    number.checked_mul(*factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// What this machine lets itself contact, and how often.
fn targets(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<(AddressRule, Pace)> {
    let table = place.table("targets", value)?;
    place.known("targets", table, &["allow", "deny", "min_interval"]);
    let pace = table.get("min_interval").map_or(Some(UNSAID_PACE), |value| pace(value, place));
    let mut networks = |key: &'static str, name: &'static str| match table.get(key) {
        Some(value) => place.list(name, value, network),
        None => Some(Vec::new()),
    };
    let allow = networks("allow", "targets.allow");
    let deny = networks("deny", "targets.deny");
    Some((AddressRule::new(allow?, deny?), pace?))
}

fn pace(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Pace> {
    const KEY: &str = "targets.min_interval";
    let text = place.text(KEY, value)?;
    match duration::parse_ms(text) {
        Ok(ms) if (1..=MAX_PACE_MS).contains(&ms) => Some(Pace::said(ms)),
        Ok(_) => place.fault(value.span(), KEY, format!("{text} is out of range; use 1ms to 1h")),
        Err(error) => place.fault(value.span(), KEY, error.to_string()),
    }
}

fn contact(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Contact> {
    let text = place.text("contact", value)?;
    match text.parse() {
        Ok(contact) => Some(contact),
        Err(message) => place.fault::<Contact>(value.span(), "contact", message),
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse()
        .ok()
        .or_else(single)
        .ok_or_else(|| format!("{text:?} is not a network; write an address or ADDRESS/PREFIX, such as 10.2.0.0/16"))
}

fn canaries(value: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Vec<Canary>> {
    let canaries = place.list("canaries", value, |text| text.parse::<Canary>().map_err(|error| error.to_string()))?;
    if MAX_CANARIES < canaries.len() {
        let message = format!("{} canaries are too many; at most {MAX_CANARIES}", canaries.len());
        return place.fault(value.span(), "canaries", message);
    }
    Some(canaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
aggregator = "https://127.0.0.1:7443"
state      = "/var/lib/nines-probe"
source_address = "127.0.0.11"
spool      = { max = "2MiB" }
targets    = { allow = ["127.0.0.0/8"], deny = ["127.0.0.9"], min_interval = "2s" }
contact    = "https://shop.example/probes"
canaries   = ["dns://192.0.2.53", "tcp://192.0.2.1:443"]
"#;

    fn faults(text: &str) -> Vec<(usize, String)> {
        let faults = parse("probe.toml", text).unwrap_err();
        faults.into_iter().map(|fault| (fault.line, fault.key)).collect()
    }

    #[test]
    fn the_file_of_the_contract_is_read() {
        let settings = parse("probe.toml", WHOLE).unwrap();
        assert_eq!(settings.aggregator.as_str(), "https://127.0.0.1:7443/");
        assert_eq!(settings.state, PathBuf::from("/var/lib/nines-probe"));
        assert_eq!(settings.vantage.source, Some("127.0.0.11".parse().unwrap()));
        assert_eq!(settings.spool_max_bytes, 2 << 20);
        assert!(settings.vantage.rule.check("127.0.0.1".parse().unwrap()).is_ok());
        assert!(settings.vantage.rule.check("127.0.0.9".parse().unwrap()).is_err());
        assert_eq!(settings.canaries.len(), 2);
        assert_eq!(settings.pace, Pace::said(2_000));
        assert_eq!(settings.vantage.contact, Some("https://shop.example/probes".parse().unwrap()));
    }

    #[test]
    fn what_may_be_left_out_has_a_default() {
        let settings = parse("probe.toml", "aggregator = \"https://a.example:7443\"\nstate = \"s\"\n").unwrap();
        assert_eq!(settings.spool_max_bytes, DEFAULT_SPOOL_BYTES);
        assert!(settings.canaries.is_empty() && settings.vantage.source.is_none());
        assert_eq!((settings.pace, settings.vantage.contact), (UNSAID_PACE, None));
        assert!(settings.vantage.rule.check("127.0.0.1".parse().unwrap()).is_err(), "public addresses only");
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_line_and_key() {
        let text = r#"
aggregator = "http://127.0.0.1:7443"
source_address = "here"
colour = "blue"
spool = { max = "256 pigeons", min = "1MiB" }
targets = { allow = ["10.0.0.0/99", 7], min_interval = "2h" }
canaries = "dns://192.0.2.53"
contact = "me"
"#;
        let expected: Vec<(usize, String)> = [
            (1, "state"),
            (2, "aggregator"),
            (3, "source_address"),
            (4, "colour"),
            (5, "spool.max"),
            (5, "spool.min"),
            (6, "targets.allow[0]"),
            (6, "targets.allow[1]"),
            (6, "targets.min_interval"),
            (7, "canaries"),
            (8, "contact"),
        ]
        .map(|(line, key)| (line, key.to_owned()))
        .to_vec();
        assert_eq!(faults(text), expected);
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_with_the_line() {
        assert_eq!(faults("aggregator = \"https://a:1\"\nstate = \n")[0].0, 2);
    }

    #[test]
    fn a_fault_says_what_how_to_mend_it_and_where() {
        let text = "aggregator = \"https://a:1/path\"\nstate = \"s\"\nspool = { max = \"5KiB\" }\n";
        let error = ProbeFileError::Wrong(parse("probe.toml", text).unwrap_err()).to_string();
        assert!(error.contains("probe.toml:1:14: aggregator: "), "{error}");
        assert!(error.contains("nines probe invite"), "{error}");
        assert!(error.contains("probe.toml:3:17: spool.max: 5KiB is too small; use at least 1MiB"), "{error}");
    }

    #[test]
    fn a_relative_state_lies_beside_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("probe.toml");
        std::fs::write(&path, "aggregator = \"https://a:1\"\nstate = \"s\"\n").unwrap();
        assert_eq!(read(&path).unwrap().state, directory.path().join("s"));
        let missing = read(&directory.path().join("none.toml")).unwrap_err().to_string();
        assert!(missing.contains("none.toml") && missing.contains("nines-probe join"), "{missing}");
    }

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        assert_eq!(bytes("256MiB"), Some(256 << 20));
        assert_eq!(bytes("1 GiB"), Some(1 << 30));
        assert_eq!(bytes("4096B"), Some(4096));
        for text in ["", "256", "256MB", "-1MiB", "1.5GiB", "99999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
