//! Why a sample is not `up`: the closed set of stable codes.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($fault:expr => { $($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+ })+) => {
        /// Why a sample is not `up`: a stable code that alerts group by and reports print.
        ///
        /// The set is closed on the side that writes; the side that reads keeps a code it does not know
        /// as [`Reason::Other`], so that a newer probe keeps shipping to an older aggregator.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Reason {
            $($($(#[doc = $doc])+ $name,)+)+
            /// A code of another version or another product; `[a-z0-9_]{1,64}`.
            Other(Box<str>),
        }

        impl Reason {
            /// Every reason this version writes.
            pub const ALL: &'static [Self] = &[$($(Self::$name),+),+];

            /// Its stable code.
            pub fn code(&self) -> &str {
                match self {
                    $($(Self::$name => $code,)+)+
                    Self::Other(code) => code,
                }
            }

            /// What it means, in a sentence or two; `None` where the code is not known here.
            pub fn meaning(&self) -> Option<&'static str> {
                match self {
                    $($(Self::$name => Some(concat!($($doc),+).trim_ascii()),)+)+
                    Self::Other(_) => None,
                }
            }

            /// Whose fault it is; `None` where it is nobody's, or where the code is not known here.
            pub fn fault(&self) -> Option<Fault> {
                match self {
                    $($(Self::$name)|+ => $fault,)+
                    Self::Other(_) => None,
                }
            }

            fn known(code: &str) -> Option<Self> {
                match code {
                    $($($code => Some(Self::$name),)+)+
                    _ => None,
                }
            }
        }
    };
}

/// Whose fault a sample's reason is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The target's: the sample is `down`.
    Target,
    /// Ours: the sample is `inconclusive`.
    Probe,
}

reasons! {
    // Slow, but right.
    None => {
    /// Right, but slower than `degraded_after`.
    Slow = "slow",
    }
    // The target's fault: outcome `down`.
    Some(Fault::Target) => {
    /// The name does not exist.
    DnsNxdomain = "dns_nxdomain",
    /// The name exists but has no record of the type.
    DnsNoData = "dns_no_data",
    /// The server answered that it failed.
    DnsServfail = "dns_servfail",
    /// The server refused the question.
    DnsRefused = "dns_refused",
    /// Another response code than the one expected.
    DnsRcode = "dns_rcode",
    /// No answer within the deadline.
    DnsTimeout = "dns_timeout",
    /// An answer that can't be read, or that is not an answer to our question.
    DnsMalformed = "dns_malformed",
    /// The answers are not the expected ones.
    DnsAnswers = "dns_answers",
    /// The server's address did not take the question (refused or reset).
    DnsUnreachable = "dns_unreachable",
    /// The server answers within the deadline, but only with another question's id or name.
    DnsWrongId = "dns_wrong_id",
    /// The aliases (CNAME) lead back to one of themselves, or are too many.
    DnsCnameLoop = "dns_cname_loop",
    /// A server that the zone is delegated to does not speak for it.
    DnsLame = "dns_lame",
    /// A TTL outside the expected range.
    DnsTtl = "dns_ttl",
    /// A flag (AA, AD, …) is not as expected.
    DnsFlags = "dns_flags",
    /// The authority or additional section is not as expected.
    DnsSections = "dns_sections",
    /// Servers that should say the same do not.
    DnsDisagree = "dns_disagree",
    /// DNSSEC: signatures or the chain of trust are wrong.
    DnssecBogus = "dnssec_bogus",
    /// DNSSEC: the zone is not signed, and should be.
    DnssecInsecure = "dnssec_insecure",
    /// DNS over HTTPS: the server's HTTP answer is not one.
    DnsHttp = "dns_http",
    /// The target refused the connection.
    ConnectRefused = "connect_refused",
    /// The target reset the connection while it was being made.
    ConnectReset = "connect_reset",
    /// No connection within the deadline.
    ConnectTimeout = "connect_timeout",
    /// A router on the way says that the target can't be reached.
    ConnectUnreachable = "connect_unreachable",
    /// No TLS handshake within the deadline.
    TlsTimeout = "tls_timeout",
    /// The target ended or reset the connection within the handshake.
    TlsClosed = "tls_closed",
    /// What the target speaks is not TLS, or breaks its rules.
    TlsMalformed = "tls_malformed",
    /// The target sent an alert.
    TlsAlert = "tls_alert",
    /// No protocol version or cipher in common.
    TlsVersion = "tls_version",
    /// A certificate of the chain has expired.
    TlsExpired = "tls_expired",
    /// A certificate of the chain is not valid yet.
    TlsNotYetValid = "tls_not_yet_valid",
    /// The certificate is for other names.
    TlsWrongName = "tls_wrong_name",
    /// The certificate signed itself.
    TlsSelfSigned = "tls_self_signed",
    /// No known authority vouches for the chain.
    TlsUnknownIssuer = "tls_unknown_issuer",
    /// The certificate was revoked.
    TlsRevoked = "tls_revoked",
    /// The certificate can't be used for another reason, which the detail gives.
    TlsBadCertificate = "tls_bad_certificate",
    /// Valid, but for fewer days than the check wants.
    TlsExpiresSoon = "tls_expires_soon",
    /// The target did not send a certificate between its own and a trusted authority's.
    TlsMissingIntermediate = "tls_missing_intermediate",
    /// A signature of the chain is by an algorithm that nobody should trust any more.
    TlsWeakSignature = "tls_weak_signature",
    /// Another authority issued the certificate than the expected one.
    TlsIssuer = "tls_issuer",
    /// None of the chain's keys is one of those pinned.
    TlsPin = "tls_pin",
    /// The OCSP response that should be stapled is missing, out of date, or not good.
    TlsOcsp = "tls_ocsp",
    /// Another application protocol than the expected one.
    TlsAlpn = "tls_alpn",
    /// The target takes a version or cipher that it should refuse, or refuses one that it should take.
    TlsOffers = "tls_offers",
    /// The target wants a certificate of the client's, and got none or another.
    TlsClientCertificate = "tls_client_certificate",
    /// The server did not agree to begin TLS (STARTTLS).
    StarttlsRefused = "starttls_refused",
    /// The server's words before TLS (STARTTLS) break its protocol.
    StarttlsMalformed = "starttls_malformed",
    /// The proxy says that it can't reach the target.
    ProxyConnect = "proxy_connect",
    /// Nothing, or too little, came over the connection within the deadline.
    TcpTimeout = "tcp_timeout",
    /// The target closed or reset the connection before it said what is expected.
    TcpClosed = "tcp_closed",
    /// What the target says is not what is expected.
    TcpBanner = "tcp_banner",
    /// No echo within the deadline.
    IcmpTimeout = "icmp_timeout",
    /// A router or the target answered that the echo can't be delivered.
    IcmpUnreachable = "icmp_unreachable",
    /// The gRPC call ended with another status than OK.
    GrpcStatus = "grpc_status",
    /// The gRPC service says that it does not serve.
    GrpcNotServing = "grpc_not_serving",
    /// No answer to the gRPC call within the deadline.
    GrpcTimeout = "grpc_timeout",
    /// The answer is not one of the gRPC health protocol.
    GrpcMalformed = "grpc_malformed",
    /// The target closed or reset the connection before its response was complete.
    HttpClosed = "http_closed",
    /// The response breaks the rules of HTTP.
    HttpMalformed = "http_malformed",
    /// The response's head is larger than the limit.
    HttpHeadersTooLarge = "http_headers_too_large",
    /// No response head within the deadline.
    HttpTimeout = "http_timeout",
    /// The response's body did not end within the deadline.
    BodyTimeout = "body_timeout",
    /// The body is larger than the limit, and what came within it does not decide the expectation.
    BodyTooLarge = "body_too_large",
    /// The body can't be decoded as its `content-encoding` says.
    BodyEncoding = "body_encoding",
    /// Another status than the expected ones.
    HttpStatus = "http_status",
    /// A header is missing or different.
    HttpHeader = "http_header",
    /// The body does not say what is expected, or says what is not.
    HttpBody = "http_body",
    /// The body is not JSON, or its values are not the expected ones.
    HttpJson = "http_json",
    /// Another version of HTTP than the one asked for.
    HttpVersion = "http_version",
    /// More redirects than the limit.
    RedirectLimit = "redirect_limit",
    /// A redirect without a usable location.
    RedirectInvalid = "redirect_invalid",
    /// The body is smaller or larger than expected.
    BodySize = "body_size",
    /// A phase took longer than expected.
    Latency = "latency",
    /// The check must fail, and did not.
    UnexpectedSuccess = "unexpected_success",
    }
    // Our fault: outcome `inconclusive`.
    Some(Fault::Probe) => {
    /// The probe has no route to the target.
    NoRoute = "no_route",
    /// The probe's own file does not allow the address.
    AddressForbidden = "address_forbidden",
    /// The probe's own file does not let a target be asked that often.
    TooOften = "too_often",
    /// The probe's `source_address` can't be used.
    SourceAddress = "source_address",
    /// The probe ran out of descriptors, ports or memory.
    Resources = "resources",
    /// The probe had no permit to run the check before its latest start.
    Saturated = "saturated",
    /// The probe woke later than half an interval after the slot was due.
    Overrun = "overrun",
    /// The probe itself stood still for much of the time that it gave the target.
    Stalled = "stalled",
    /// The probe's clock stepped or is more than a second off.
    Clock = "clock",
    /// The probe can't reach its own canaries.
    Canary = "canary",
    /// The probe's own resolver is silent, or fails at every name.
    Resolver = "resolver",
    /// The probe can't run a check of this kind.
    Unsupported = "unsupported",
    /// The target speaks only what this prober does not: TLS before 1.2, or signatures by SHA-1.
    TlsLegacy = "tls_legacy",
    /// A secret that the check names can't be had.
    SecretMissing = "secret_missing",
    /// The proxy can't be reached, or does not let us through.
    Proxy = "proxy",
    /// The probe stopped while the check ran.
    Stopped = "stopped",
    /// A fault in the probe itself.
    Internal = "internal",
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        if let Some(known) = Self::known(&code) {
            return Ok(known);
        }
        let clean = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if clean && (1..=64).contains(&code.len()) {
            Ok(Self::Other(code.into()))
        } else {
            Err("a reason is 1 to 64 of the characters a-z, 0-9 and _")
        }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.code().to_owned()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reason, as the tables of `docs/REASONS.md` list them.
    fn listed() -> String {
        let mut tables = String::new();
        let groups = [
            ("The target's fault: `down`", Some(Fault::Target)),
            ("Slow, but right: `degraded`", None),
            ("Our fault: `inconclusive`", Some(Fault::Probe)),
        ];
        for (title, fault) in groups {
            tables.push_str(&format!("\n## {title}\n\n| reason | what it means |\n|---|---|\n"));
            for reason in Reason::ALL.iter().filter(|reason| reason.fault() == fault) {
                tables.push_str(&format!("| `{reason}` | {} |\n", reason.meaning().unwrap()));
            }
        }
        tables
    }

    #[test]
    fn the_page_of_reasons_lists_every_reason_with_its_meaning() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/REASONS.md")).unwrap();
        let tables = page.find("\n## ").map_or("", |start| &page[start..]);
        let wanted = listed();
        assert!(tables == wanted, "docs/REASONS.md is not what the reasons say; its tables should be:{wanted}");
    }
}
