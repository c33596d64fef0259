//! Checks: one question asked of one target every interval, from several regions.
//!
//! [`Check::new`] is the only way in, so a `Check` is valid ever after: regions sorted and unique,
//! `timeout < interval`, `1 ≤ quorum ≤ regions`. On the wire a check is its [`Draft`] and is checked
//! again on arrival.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::duration::Shown;
use crate::id::{CheckId, RegionId, ServiceId};
use crate::pattern::{JsonPath, Regex, StatusRange};
use crate::slot::Cadence;

/// The shortest interval, in ms.
pub const MIN_INTERVAL_MS: i64 = 1_000;
/// The longest interval, in ms: a week.
pub const MAX_INTERVAL_MS: i64 = 604_800_000;
/// The most regions of one check.
pub const MAX_REGIONS: usize = 64;
/// The most retries inside one sample.
pub const MAX_RETRIES: u8 = 5;
/// Re-checks are never closer together than this, in ms.
pub const MIN_RECHECK_MS: i64 = 1_000;
/// The interval where a check names none, in ms.
pub const DEFAULT_INTERVAL_MS: i64 = 60_000;
/// The timeout where a check names none, in ms; never more than half the interval.
pub const DEFAULT_TIMEOUT_MS: i64 = 10_000;
/// The most redirects followed where a check names no limit.
pub const DEFAULT_REDIRECTS: u8 = 10;
/// The most redirects that a check may ask for.
pub const MAX_REDIRECTS: u8 = 20;
/// The most decoded body bytes read where a check names no limit.
pub const DEFAULT_BODY_BYTES: u32 = 1 << 20;
/// The most decoded body bytes that a check may ask for.
pub const MAX_BODY_BYTES: u32 = 8 << 20;

/// A check as someone wrote it, not yet known to make sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Its name for ever: history hangs on it.
    pub id: CheckId,
    /// The service that it is a part of.
    pub service: ServiceId,
    /// ms between two slots of a region.
    pub interval_ms: i64,
    /// ms until a check that has not ended is down.
    pub timeout_ms: i64,
    /// Where it is asked from.
    pub regions: Vec<RegionId>,
    /// How many regions must agree.
    pub quorum: u16,
    /// Further attempts inside one sample.
    pub retries: u8,
    /// ms between re-checks while a region fails.
    pub recheck_ms: i64,
    /// ms above which a success is `degraded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded_after_ms: Option<i64>,
    /// The question.
    pub question: Question,
}

impl Draft {
    /// A draft with the defaults of `docs/METHOD.md` for everything that has one.
    pub fn new(id: CheckId, service: ServiceId, regions: Vec<RegionId>, question: Question) -> Self {
        Self {
            id,
            service,
            interval_ms: DEFAULT_INTERVAL_MS,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            quorum: majority(regions.len()),
            recheck_ms: default_recheck_ms(DEFAULT_INTERVAL_MS),
            regions,
            retries: 0,
            degraded_after_ms: None,
            question,
        }
    }
}

/// The quorum where a check names none: more than half of `regions`.
pub fn majority(regions: usize) -> u16 {
    u16::try_from(regions / 2 + 1).unwrap_or(u16::MAX)
}

/// `recheck` where a check names none: the interval, so that a failing region is asked at its slots and no oftener.
///
/// Re-checks see the end of an outage sooner, and not its start: until every other region is asked to confirm
/// the first failure too, they would make measured outages shorter than the true ones on average.
pub fn default_recheck_ms(interval_ms: i64) -> i64 {
    interval_ms.max(MIN_RECHECK_MS)
}

/// `timeout` where a check names none: ten seconds, or half of a shorter interval.
pub fn default_timeout_ms(interval_ms: i64) -> i64 {
    DEFAULT_TIMEOUT_MS.min(interval_ms / 2)
}

/// A check that makes sense. Its fields are those of its [`Draft`], `regions` sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Draft", into = "Draft")]
pub struct Check(Draft);

impl std::ops::Deref for Check {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0
    }
}

impl From<Check> for Draft {
    fn from(check: Check) -> Self {
        check.0
    }
}

impl TryFrom<Draft> for Check {
    type Error = CheckErrors;

    fn try_from(draft: Draft) -> Result<Self, CheckErrors> {
        Self::new(draft).map_err(CheckErrors)
    }
}

impl Check {
    /// The check that `draft` describes.
    ///
    /// # Errors
    /// Every rule that the draft breaks, not only the first.
    pub fn new(mut draft: Draft) -> Result<Self, Vec<CheckError>> {
        draft.regions.sort();
        let mut errors = Vec::new();
        pace_errors(&draft, &mut errors);
        region_errors(&draft, &mut errors);
        if MAX_RETRIES < draft.retries {
            errors.push(CheckError::Retries(draft.retries));
        }
        draft.question.errors(&mut errors);
        if errors.is_empty() { Ok(Self(draft)) } else { Err(errors) }
    }

    /// The place of `region` in the sorted list, which its stagger depends on.
    pub fn region_index(&self, region: &RegionId) -> Option<usize> {
        self.regions.binary_search(region).ok()
    }

    /// When `region` is due; `None` where the check is not asked from there.
    pub fn cadence(&self, region: &RegionId) -> Option<Cadence> {
        let index = self.region_index(region)?;
        Some(Cadence::new(&self.id, self.interval_ms, index, self.regions.len()))
    }
}

fn pace_errors(draft: &Draft, errors: &mut Vec<CheckError>) {
    if !(MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&draft.interval_ms) {
        errors.push(CheckError::Interval(draft.interval_ms));
    }
    if draft.timeout_ms < 1 || draft.interval_ms <= draft.timeout_ms {
        errors.push(CheckError::Timeout { timeout_ms: draft.timeout_ms, interval_ms: draft.interval_ms });
    }
    if draft.recheck_ms < MIN_RECHECK_MS || draft.interval_ms < draft.recheck_ms {
        errors.push(CheckError::Recheck { recheck_ms: draft.recheck_ms, interval_ms: draft.interval_ms });
    }
    if let Some(ms) = draft.degraded_after_ms
        && !(1..=draft.timeout_ms).contains(&ms)
    {
        errors.push(CheckError::DegradedAfter { degraded_after_ms: ms, timeout_ms: draft.timeout_ms });
    }
}

fn region_errors(draft: &Draft, errors: &mut Vec<CheckError>) {
    if !(1..=MAX_REGIONS).contains(&draft.regions.len()) {
        errors.push(CheckError::Regions(draft.regions.len()));
    }
    for pair in draft.regions.windows(2) {
        if pair[0] == pair[1] {
            errors.push(CheckError::RegionTwice(pair[0].clone()));
        }
    }
    if draft.quorum < 1 || draft.regions.len() < usize::from(draft.quorum) {
        errors.push(CheckError::Quorum { quorum: draft.quorum, regions: draft.regions.len() });
    }
}

/// A rule that a draft breaks, and how to mend it. [`CheckError::key`] names the key at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The interval is out of range.
    #[error("interval {} is out of range; use {} to {}", Shown(*.0), Shown(MIN_INTERVAL_MS), Shown(MAX_INTERVAL_MS))]
    Interval(i64),
    /// The timeout is not below the interval, or not positive.
    #[error("timeout {} must be above 0 and below the interval {}, so that a check ends before its next slot", Shown(*.timeout_ms), Shown(*.interval_ms))]
    Timeout {
        /// As written.
        timeout_ms: i64,
        /// As written.
        interval_ms: i64,
    },
    /// Re-checks too close or too rare.
    #[error("recheck {} is out of range; use {} up to the interval {}", Shown(*.recheck_ms), Shown(MIN_RECHECK_MS), Shown(*.interval_ms))]
    Recheck {
        /// As written.
        recheck_ms: i64,
        /// As written.
        interval_ms: i64,
    },
    /// A threshold that no success can pass, or every one does.
    #[error("degraded_after {} must be above 0 and at most the timeout {}", Shown(*.degraded_after_ms), Shown(*.timeout_ms))]
    DegradedAfter {
        /// As written.
        degraded_after_ms: i64,
        /// As written.
        timeout_ms: i64,
    },
    /// No regions, or too many.
    #[error("a check is asked from 1 to {MAX_REGIONS} regions, not from {0}")]
    Regions(usize),
    /// A region named more than once.
    #[error("region {0} is named twice; each region speaks once")]
    RegionTwice(RegionId),
    /// A quorum that can't be reached, or is always.
    #[error("quorum {quorum} must be at least 1 and at most the number of regions, {regions}")]
    Quorum {
        /// As written.
        quorum: u16,
        /// How many regions there are.
        regions: usize,
    },
    /// Too many retries.
    #[error("retries {0} is too many; at most {MAX_RETRIES}, since they share one timeout")]
    Retries(u8),
    /// Something in the question.
    #[error("{mend}")]
    Question {
        /// The key at fault, below the check, such as `http.url`.
        key: &'static str,
        /// What is wrong and how to mend it.
        mend: String,
    },
}

impl CheckError {
    /// The key at fault, below the check.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Interval(_) => "interval",
            Self::Timeout { .. } => "timeout",
            Self::Recheck { .. } => "recheck",
            Self::DegradedAfter { .. } => "degraded_after",
            Self::Regions(_) | Self::RegionTwice(_) => "regions",
            Self::Quorum { .. } => "quorum",
            Self::Retries(_) => "retries",
            Self::Question { key, .. } => key,
        }
    }
}

/// All that is wrong with a check, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckErrors(pub Vec<CheckError>);

impl fmt::Display for CheckErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{}: {error}", if index == 0 { "" } else { "; " }, error.key())?;
        }
        Ok(())
    }
}

impl std::error::Error for CheckErrors {}

/// What is asked, by protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// An HTTP(S) request.
    Http(Box<HttpQuestion>),
    /// A DNS question to one server.
    Dns(DnsQuestion),
    /// A TLS handshake and the chain it shows.
    Tls(TlsQuestion),
}

impl Question {
    /// Its protocol's name: the TOML key, and the word on pages.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Tls(_) => "tls",
        }
    }

    /// The target as people write it, without secrets: a URL without user and password, a name, an address.
    pub fn target(&self) -> String {
        match self {
            Self::Http(http) => shown_url(&http.url),
            Self::Dns(dns) => format!("dns:{} {}", dns.name, dns.record_type),
            Self::Tls(tls) => format!("tls:{}", tls.address),
        }
    }

    fn errors(&self, errors: &mut Vec<CheckError>) {
        let mut push = |key, mend: String| errors.push(CheckError::Question { key, mend });
        match self {
            Self::Http(http) => http.errors(&mut push),
            Self::Dns(dns) => dns.errors(&mut push),
            Self::Tls(_) => {}
        }
    }
}

/// `url` without user, password and fragment.
pub fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that can have no user, and then there is nothing to hide.
    let _no_user = url.set_username("");
    let _no_password = url.set_password(None);
    url.set_fragment(None);
    url.into()
}

/// An HTTP(S) request and what is expected of the response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpQuestion {
    /// `http://` or `https://`.
    pub url: Url,
    /// The method, in upper case.
    #[serde(default = "get")]
    pub method: String,
    /// Request headers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Which version of HTTP is spoken.
    #[serde(default)]
    pub version: HttpVersion,
    /// The most redirects to follow; 0 judges the first response.
    #[serde(default = "default_redirects")]
    pub redirects: u8,
    /// The most decoded body bytes to read.
    #[serde(default = "default_body_bytes")]
    pub max_body_bytes: u32,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What the response must be.
    #[serde(default)]
    pub expect: HttpExpect,
}

fn get() -> String {
    "GET".to_owned()
}

const fn default_redirects() -> u8 {
    DEFAULT_REDIRECTS
}

const fn default_body_bytes() -> u32 {
    DEFAULT_BODY_BYTES
}

impl HttpQuestion {
    /// A GET of `url` with every default.
    pub fn get(url: Url) -> Self {
        Self {
            url,
            method: get(),
            headers: Vec::new(),
            body: None,
            version: HttpVersion::default(),
            redirects: DEFAULT_REDIRECTS,
            max_body_bytes: DEFAULT_BODY_BYTES,
            ca_pem: None,
            expect: HttpExpect::default(),
        }
    }

    fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        if !matches!(self.url.scheme(), "http" | "https") || self.url.host_str().is_none() {
            push("http.url", format!("{} is not a web address; write http://host/… or https://host/…", self.url));
        }
        if !is_token(&self.method) {
            push("http.method", format!("{:?} is not an HTTP method; write GET, HEAD, POST …", self.method));
        }
        for (name, value) in &self.headers {
            if !is_token(name) {
                push("http.headers", format!("{name:?} is not a header name"));
            }
            if value.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
                push("http.headers", format!("the value of header {name} has control characters"));
            }
        }
        if MAX_REDIRECTS < self.redirects {
            push("http.redirects", format!("{} redirects are too many; at most {MAX_REDIRECTS}", self.redirects));
        }
        if !(1..=MAX_BODY_BYTES).contains(&self.max_body_bytes) {
            push("http.max_body", format!("a body limit is 1 to {MAX_BODY_BYTES} bytes, not {}", self.max_body_bytes));
        }
    }
}

/// Whether `text` is a token of RFC 9110 §5.6.2: a method or a header name.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Which version of HTTP a check speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/2 where the target agrees by ALPN, else HTTP/1.1.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only: by ALPN over TLS, by prior knowledge without.
    #[serde(rename = "2")]
    Http2,
}

/// What an HTTP response must be; every part that is there must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpExpect {
    /// The status must be in one of them.
    pub status: Vec<StatusRange>,
    /// Each must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderExpect>,
    /// The body must contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// The body must not contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_lacks: Option<String>,
    /// The body must match it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<Regex>,
    /// Each must hold of the body as JSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonExpect>,
}

impl Default for HttpExpect {
    fn default() -> Self {
        let success = "2xx".parse().expect("2xx is a status class");
        Self {
            status: vec![success],
            headers: Vec::new(),
            body_contains: None,
            body_lacks: None,
            body_matches: None,
            json: Vec::new(),
        }
    }
}

impl HttpExpect {
    /// Whether the body must be looked at.
    pub fn wants_body(&self) -> bool {
        self.body_contains.is_some()
            || self.body_lacks.is_some()
            || self.body_matches.is_some()
            || !self.json.is_empty()
    }
}

/// What one response header must be. With no condition it must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderExpect {
    /// Its name, in any case.
    pub name: String,
    /// The condition on one of its values.
    #[serde(default)]
    pub is: TextCondition,
}

/// A condition on a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextCondition {
    /// It is there.
    #[default]
    Present,
    /// It is not there.
    Absent,
    /// It is exactly this.
    Equals(String),
    /// It has this in it.
    Contains(String),
    /// It matches this.
    Matches(Regex),
}

/// What the nodes that a JSONPath selects must be. With no condition there must be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonExpect {
    /// Which nodes.
    pub path: JsonPath,
    /// The value that at least one of them must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
}

/// A DNS question to one server, and what is expected of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsQuestion {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    pub record_type: RecordType,
    /// Who is asked; the probe's own first resolver where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<DnsServer>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: DnsExpect,
}

impl DnsQuestion {
    fn errors(&self, push: &mut impl FnMut(&'static str, String)) {
        let name = self.name.strip_suffix('.').unwrap_or(&self.name);
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
        };
        let root = self.name == ".";
        if !root && (253 < name.len() || !name.split('.').all(label)) {
            push(
                "dns.name",
                format!(
                    "{:?} is not a domain name; write one such as shop.example (in its xn-- form if it has other letters)",
                    self.name
                ),
            );
        }
    }
}

/// What a DNS answer must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsExpect {
    /// The response code; `NOERROR` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// Exactly these answers, in any order; any (but at least one) where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<String>>,
}

/// The record types that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The canonical name.
    Cname,
    /// Mail exchangers.
    Mx,
    /// Texts.
    Txt,
    /// Name servers.
    Ns,
}

impl RecordType {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::A, Self::Aaaa, Self::Cname, Self::Mx, Self::Txt, Self::Ns];

    /// Its name in DNS.
    pub const fn code(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Ns => "NS",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for RecordType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|kind| kind.code().eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| {
            format!("{text:?} is not a record type that can be asked for; use A, AAAA, CNAME, MX, TXT or NS")
        })
    }
}

/// A DNS server by address: `udp://192.0.2.53:53` or `tcp://[2001:db8::53]:53`. UDP falls back to TCP
/// where the answer is truncated; the port may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsServer {
    /// Ask over TCP from the start.
    pub tcp: bool,
    /// Where it listens.
    pub address: SocketAddr,
}

impl FromStr for DnsServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tcp, rest) = match text.split_once("://") {
            Some(("udp", rest)) => (false, rest),
            Some(("tcp", rest)) => (true, rest),
            Some(_) | None => {
                return Err(format!("{text:?} is not a DNS server; write udp://ADDRESS:53 or tcp://ADDRESS:53"));
            }
        };
        let bare = rest.trim_matches(['[', ']']).parse().map(|ip| SocketAddr::new(ip, 53));
        let address = rest.parse().or(bare).map_err(|_not_an_address| format!("{rest:?} is not an IP address with an optional port; a DNS server is named by address, such as udp://192.0.2.53:53"))?;
        Ok(Self { tcp, address })
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tcp { "tcp" } else { "udp" }, self.address)
    }
}

impl TryFrom<String> for DnsServer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DnsServer> for String {
    fn from(server: DnsServer) -> Self {
        server.to_string()
    }
}

/// A TLS handshake, and what is expected of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsQuestion {
    /// Where to connect.
    pub address: HostPort,
    /// The name to ask for and to verify, where it is not the address's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Trust these roots (PEM) instead of Mozilla's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What the handshake must show.
    #[serde(default)]
    pub expect: TlsExpect,
}

/// What a TLS handshake must show, beside a chain that is valid for the name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsExpect {
    /// ms for which every certificate of the chain must stay valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<i64>,
    /// The lowest acceptable protocol version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
}

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// A host, by name or address, and a port: `shop.example:443`, `192.0.2.1:443`, `[2001:db8::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// A name or an address in canonical form.
    pub host: url::Host<String>,
    /// The port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || format!("{text:?} is not an address; write host:port, such as shop.example:443 or [2001:db8::1]:443");
        let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
        let host = url::Host::parse(host).map_err(|_not_a_host| wanted())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wanted)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let regions = ["us-east", "eu-west", "ap-south"].map(|id| id.parse().unwrap()).to_vec();
        let question = Question::Http(Box::new(HttpQuestion::get("https://shop.example/".parse().unwrap())));
        Draft::new("shop-home".parse().unwrap(), "shop".parse().unwrap(), regions, question)
    }

    #[test]
    fn regions_are_sorted_since_the_stagger_depends_on_their_order() {
        let check = Check::new(draft()).unwrap();
        let order: Vec<&str> = check.regions.iter().map(RegionId::as_str).collect();
        assert_eq!(order, ["ap-south", "eu-west", "us-east"]);
        assert_eq!(check.quorum, 2);
    }

    #[test]
    fn every_broken_rule_is_named_at_once_by_its_key() {
        let mut bad = draft();
        bad.timeout_ms = bad.interval_ms;
        bad.quorum = 4;
        bad.retries = 99;
        bad.regions[1] = bad.regions[0].clone();
        let keys: Vec<&str> = Check::new(bad).unwrap_err().iter().map(CheckError::key).collect();
        assert_eq!(keys, ["timeout", "regions", "quorum", "retries"]);
    }

    #[test]
    fn a_check_that_makes_no_sense_is_refused_on_the_wire_too() {
        let check = Check::new(draft()).unwrap();
        let wire = serde_json::to_string(&check).unwrap();
        assert_eq!(serde_json::from_str::<Check>(&wire).unwrap(), check);
        let bad = wire.replace("\"quorum\":2", "\"quorum\":0");
        assert!(serde_json::from_str::<Check>(&bad).unwrap_err().to_string().contains("quorum"));
    }

    #[test]
    fn a_header_can_not_smuggle_a_second_one() {
        let mut bad = draft();
        let mut http = HttpQuestion::get("https://shop.example/".parse().unwrap());
        http.headers = vec![("x".to_owned(), "a\r\nb: c".to_owned())];
        bad.question = Question::Http(Box::new(http));
        assert_eq!(Check::new(bad).unwrap_err()[0].key(), "http.headers");
    }

    #[test]
    fn servers_and_addresses_are_read_in_both_families() {
        for text in ["udp://192.0.2.53:53", "tcp://[2001:db8::53]:5353"] {
            assert_eq!(text.parse::<DnsServer>().unwrap().to_string(), text);
        }
        assert_eq!("udp://192.0.2.53".parse::<DnsServer>().unwrap().address.port(), 53);
        assert!("https://dns.example/".parse::<DnsServer>().is_err());
        for text in ["shop.example:443", "[2001:db8::1]:443"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert!("shop.example".parse::<HostPort>().is_err());
    }

    #[test]
    fn a_shown_target_hides_user_and_password() {
        let url = "https://user:secret@shop.example/a#b".parse().unwrap();
        assert_eq!(shown_url(&url), "https://shop.example/a");
    }
}
