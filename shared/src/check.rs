//! Checks: one question asked of one target every interval, from several regions.
//!
//! [`Check::new`] is the only way in, so a `Check` is valid ever after: regions sorted and unique,
//! `timeout < interval`, `1 ≤ quorum ≤ regions`. On the wire a check is its [`Draft`] and is checked
//! again on arrival.

mod credentials;
mod dns;
mod grpc;
mod host_port;
mod http;
mod http_expect;
mod icmp;
mod pace;
mod proxy;
mod reach;
mod tcp;
mod tls;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::credentials::{BasicAuth, ClientCertificate, HttpAuth, SecretHeader};
pub use self::dns::{
    Agreement, Anchor, Anchors, AnswerPattern, Bounds, DnsExpect, DnsQuestion, DnsServer, DnsServers, Dnssec,
    FlagsExpect, MAX_EXPECTED, MAX_SERVERS, Rcodes, RecordType, shown_seconds,
};
pub use self::grpc::{Authority, GrpcExpect, GrpcQuestion, Health, MAX_METADATA, MAX_SERVICE_BYTES};
pub use self::host_port::{BareHost, HostPort};
pub use self::http::{
    DEFAULT_BODY_BYTES, DEFAULT_REDIRECTS, HttpQuestion, HttpVersion, MAX_BODY_BYTES, MAX_REDIRECTS, shown_url,
};
pub use self::http_expect::{
    HeaderExpect, HttpExpect, JsonExpect, MAX_EXPECTATIONS, Range, SpokenVersion, TextCondition, Within, exact_order,
    same_json,
};
pub use self::icmp::{DEFAULT_ECHO_BYTES, IcmpExpect, IcmpQuestion, MAX_ECHO_BYTES, MAX_ECHOES, MIN_ECHO_BYTES};
pub use self::pace::{Pace, gap_ms};
pub use self::proxy::HttpProxy;
pub use self::reach::{Addresses, Family, Reach};
pub use self::tcp::{MAX_SEND_BYTES, TcpExpect, TcpQuestion};
pub use self::tls::{
    CipherSuite, MAX_EXPECTED_NAMES, MAX_OFFERS, MAX_PINS, MAX_PORTS, OcspExpect, Pin, StartTls, TlsExpect,
    TlsQuestion, TlsVersion,
};
use crate::duration::Shown;
use crate::id::{CheckId, RegionId, ServiceId};
use crate::sample::{Fault, Reason};
use crate::secret::Secret;
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
/// Re-checks of an interval that are reckoned with one by one where their bias is; more change nothing of note.
const MAX_RECHECKS_RECKONED: i64 = 10_000;
/// The interval where a check names none, in ms.
pub const DEFAULT_INTERVAL_MS: i64 = 60_000;
/// The timeout where a check names none, in ms; never more than half the interval.
pub const DEFAULT_TIMEOUT_MS: i64 = 10_000;

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
    /// The check is right when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_fail: Option<MustFail>,
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
            must_fail: None,
            question,
        }
    }
}

/// With which faults of the target a check is right that must fail. Our own faults say nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MustFail {
    /// With any.
    Anyhow,
    /// With one of these.
    With(Vec<Reason>),
}

impl MustFail {
    /// Whether failing for `reason` is right.
    pub fn allows(&self, reason: &Reason) -> bool {
        match self {
            Self::Anyhow => true,
            Self::With(reasons) => reasons.contains(reason),
        }
    }
}

/// The quorum where a check names none: more than half of `regions`.
pub fn majority(regions: usize) -> u16 {
    u16::try_from(regions / 2 + 1).unwrap_or(u16::MAX)
}

/// `recheck` where a check names none: the interval, so that a failing region is asked at its slots and no oftener.
///
/// The first failing sample makes the aggregator ask every other region at once, and so does the first good one: both
/// edges of an outage are seen by the next slot of any region, and errors of both lie alike. Re-checks would
/// see its end sooner, and not its start: measured outages would be shorter than the true ones on average, by
/// [`Check::recheck_bias_ms`].
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
        if let Some(MustFail::With(reasons)) = &draft.must_fail {
            let not_theirs = |reason: &&Reason| reason.fault() != Some(Fault::Target);
            errors.extend(reasons.iter().filter(not_theirs).cloned().map(CheckError::MustFail));
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

    /// How much too short, in ms, an outage of this check is measured on average because failing regions are asked
    /// every `recheck` and good ones are not; 0 where `recheck` adds no look that no slot of the others has.
    ///
    /// An edge is seen by the first look after it, on average half the gap between two looks later, where longer gaps
    /// are met oftener: Σ gap² / 2·interval. The start waits for a slot of any region, the end for a slot or a
    /// re-check.
    pub fn recheck_bias_ms(&self) -> i64 {
        let slots = self.regions.iter().filter_map(|region| Some(self.cadence(region)?.phase_ms()));
        let slots: Vec<i64> = slots.collect();
        let step_ms = self.recheck_ms.max(self.interval_ms / MAX_RECHECKS_RECKONED).max(1);
        let mut looks = slots.clone();
        for slot in &slots {
            let rechecks = (1..).map(|nth| nth * step_ms).take_while(|later| *later < self.interval_ms);
            looks.extend(rechecks.map(|later| (slot + later) % self.interval_ms));
        }
        mean_wait_ms(slots, self.interval_ms) - mean_wait_ms(looks, self.interval_ms)
    }
}

/// How long an instant waits on average for the next of `looks`, which come again every `interval_ms`; rounded to ms.
fn mean_wait_ms(mut looks: Vec<i64>, interval_ms: i64) -> i64 {
    looks.sort_unstable();
    let around = looks.first().map(|first| first + interval_ms);
    let next = looks.iter().skip(1).copied().chain(around);
    let squares: i128 = looks.iter().zip(next).map(|(look, next)| i128::from(next - look).pow(2)).sum();
    let twice = 2 * i128::from(interval_ms.max(1));
    i64::try_from((squares + twice / 2) / twice).unwrap_or(i64::MAX)
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
    /// Something that no target can be blamed for.
    #[error("{0} is no fault of a target; name reasons of samples that are down, such as connect_refused")]
    MustFail(Reason),
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
            Self::MustFail(_) => "must_fail",
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
    Dns(Box<DnsQuestion>),
    /// A TLS handshake and the chain it shows.
    Tls(Box<TlsQuestion>),
    /// A TCP connection and what the target says over it.
    Tcp(Box<TcpQuestion>),
    /// Echoes.
    Icmp(IcmpQuestion),
    /// A call of the gRPC health protocol.
    Grpc(Box<GrpcQuestion>),
}

impl Question {
    /// Its protocol's name: the TOML key, and the word on pages.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Tls(_) => "tls",
            Self::Tcp(_) => "tcp",
            Self::Icmp(_) => "icmp",
            Self::Grpc(_) => "grpc",
        }
    }

    /// The host and port that it is asked of; `None` where it names servers instead. The port is 0 where the
    /// protocol has none.
    pub fn endpoint(&self) -> Option<(url::Host<&str>, u16)> {
        match self {
            Self::Http(http) => Some((http.url.host()?, http.url.port_or_known_default()?)),
            Self::Dns(_) => None,
            Self::Tls(tls) => Some(tls.address.endpoint()),
            Self::Tcp(tcp) => Some(tcp.address.endpoint()),
            Self::Icmp(icmp) => Some((icmp.host.host(), 0)),
            Self::Grpc(grpc) => Some(grpc.address.endpoint()),
        }
    }

    /// Over which of its host's addresses it is asked.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Http(http) => http.reach,
            Self::Dns(_) => Reach::default(),
            Self::Tls(tls) => tls.reach,
            Self::Tcp(tcp) => tcp.reach,
            Self::Icmp(icmp) => icmp.reach,
            Self::Grpc(grpc) => grpc.reach,
        }
    }

    /// The target as people write it, without secrets: a URL without user and password, a name, an address.
    pub fn target(&self) -> String {
        match self {
            Self::Http(http) => shown_url(&http.url),
            Self::Dns(dns) => format!("dns:{} {}", dns.name, dns.record_type),
            Self::Tls(tls) => tls.target(),
            Self::Tcp(tcp) => format!("tcp:{}", tcp.address),
            Self::Icmp(icmp) => format!("icmp:{}", icmp.host),
            Self::Grpc(grpc) if grpc.service.is_empty() => format!("grpc:{}", grpc.address),
            Self::Grpc(grpc) => format!("grpc:{}/{}", grpc.address, grpc.service),
        }
    }

    /// The secrets that it names: their values travel beside the check, see [`crate::wire::Assignment`].
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Http(http) => http.secrets().collect(),
            Self::Tls(tls) => tls.client_certificate.iter().map(|shown| &shown.key).collect(),
            Self::Dns(_) | Self::Tcp(_) | Self::Icmp(_) | Self::Grpc(_) => Vec::new(),
        }
    }

    fn errors(&self, errors: &mut Vec<CheckError>) {
        let mut push = |key, mend: String| errors.push(CheckError::Question { key, mend });
        match self {
            Self::Http(http) => http.errors(&mut push),
            Self::Dns(dns) => dns.errors(&mut push),
            Self::Tls(tls) => tls.errors(&mut push),
            Self::Tcp(tcp) => tcp.errors(&mut push),
            Self::Icmp(icmp) => icmp.errors(&mut push),
            Self::Grpc(grpc) => grpc.errors(&mut push),
        }
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
    fn rechecks_make_outages_shorter_unless_they_fall_on_slots_of_the_others() {
        let bias = |regions: usize, recheck_ms| {
            let names = (0..regions).map(|n| format!("region-{n}").parse().unwrap()).collect();
            let question = draft().question;
            let draft = Draft::new("shop-home".parse().unwrap(), "shop".parse().unwrap(), names, question);
            Check::new(Draft { recheck_ms, ..draft }).unwrap().recheck_bias_ms()
        };
        // One region: seen after 30 s on average at the start, after 5 s at the end.
        assert_eq!([60_000, 30_000, 10_000].map(|recheck| bias(1, recheck)), [0, 15_000, 25_000]);
        // Five look every 12 s, whether each of them does so once a minute or every 12 s.
        assert_eq!([60_000, 12_000].map(|recheck| bias(5, recheck)), [0, 0]);
        // Every 10 s they look every 2 s: 6 s at the start, 1 s at the end. Every 30 s: 3 s at the end.
        assert_eq!([30_000, 10_000].map(|recheck| bias(5, recheck)), [3_000, 5_000]);
    }

    #[test]
    fn every_broken_rule_is_named_at_once_by_its_key() {
        let mut bad = draft();
        bad.timeout_ms = bad.interval_ms;
        bad.quorum = 4;
        bad.retries = 99;
        bad.must_fail = Some(MustFail::With(vec![Reason::TlsExpired, Reason::NoRoute, Reason::Slow]));
        bad.regions[1] = bad.regions[0].clone();
        let keys: Vec<&str> = Check::new(bad).unwrap_err().iter().map(CheckError::key).collect();
        assert_eq!(keys, ["timeout", "regions", "quorum", "retries", "must_fail", "must_fail"]);
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
    fn a_check_shows_one_thing_of_who_it_is_and_names_its_secrets() {
        let secret = || Secret::Env("SHOP_TOKEN".to_owned());
        let asked = |change: fn(&mut HttpQuestion)| {
            let mut http = HttpQuestion::get("https://shop.example/".parse().unwrap());
            http.auth = Some(HttpAuth::Bearer(secret()));
            change(&mut http);
            Check::new(Draft { question: Question::Http(Box::new(http)), ..draft() })
        };
        assert_eq!(asked(|_| {}).unwrap().question.secrets(), [&secret()]);
        let twice: [fn(&mut HttpQuestion); 3] = [
            |http| http.headers.push(("Authorization".to_owned(), "x".to_owned())),
            |http| http.url = "https://me@shop.example/".parse().unwrap(),
            |http| {
                let secret = Secret::Env("OTHER".to_owned());
                http.secret_headers.push(SecretHeader { name: "authorization".into(), prefix: String::new(), secret });
            },
        ];
        for change in twice {
            assert_eq!(asked(change).unwrap_err()[0].key(), "http.bearer");
        }
        let colon = |http: &mut HttpQuestion| {
            http.auth = Some(HttpAuth::Basic(BasicAuth { user: "a:b".into(), password: Secret::Env("P".into()) }));
        };
        assert_eq!(asked(colon).unwrap_err()[0].key(), "http.basic_auth");
        let open = |http: &mut HttpQuestion| {
            let key = Secret::Env("KEY".into());
            http.client_certificate = Some(ClientCertificate { certificate_pem: String::new(), key });
            http.url = "http://shop.example/".parse().unwrap();
        };
        assert_eq!(asked(open).unwrap_err()[0].key(), "http.client_certificate");
        let smuggler = |http: &mut HttpQuestion| {
            let (name, prefix) = ("x-token".into(), "a\r\nb: ".into());
            http.secret_headers = vec![SecretHeader { name, prefix, secret: Secret::Env("T".into()) }];
        };
        assert_eq!(asked(smuggler).unwrap_err()[0].key(), "http.headers");
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_goes_with_what_can_go_through_it() {
        let asked = |change: fn(&mut HttpQuestion, &mut HttpProxy)| {
            let mut http = HttpQuestion::get("http://shop.example/".parse().unwrap());
            let auth = BasicAuth { user: "me".into(), password: Secret::Env("P".into()) };
            let mut proxy = HttpProxy { url: "http://proxy.example:3128".parse().unwrap(), auth: Some(auth) };
            change(&mut http, &mut proxy);
            http.proxy = Some(proxy);
            Check::new(Draft { question: Question::Http(Box::new(http)), ..draft() })
        };
        assert_eq!(asked(|_, _| {}).unwrap().question.secrets(), [&Secret::Env("P".into())]);
        let wrong: [fn(&mut HttpQuestion, &mut HttpProxy); 6] = [
            |_, proxy| proxy.url = "https://proxy.example".parse().unwrap(),
            |_, proxy| proxy.url = "http://me@proxy.example".parse().unwrap(),
            |_, proxy| proxy.url = "http://proxy.example/path".parse().unwrap(),
            |_, proxy| proxy.auth.as_mut().unwrap().user = "a\nb".to_owned(),
            |http, _| http.version = HttpVersion::Http2,
            |http, _| http.reach.family = Family::Ipv6,
        ];
        for change in wrong {
            assert_eq!(asked(change).unwrap_err()[0].key(), "http.proxy");
        }
    }

    #[test]
    fn a_question_without_secrets_is_written_as_before_there_were_any() {
        let http = HttpQuestion::get("https://shop.example/".parse().unwrap());
        let wire = serde_json::to_value(&http).unwrap();
        let keys: Vec<&String> = wire.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["expect", "max_body_bytes", "method", "redirects", "url", "version"]);
    }

    #[test]
    fn addresses_are_read_in_both_families() {
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
