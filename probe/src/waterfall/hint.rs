//! PURE: what to try next, by reason: one line for whoever has to mend it now.

use nines_shared::check::Question;
use nines_shared::sample::Reason;

use super::Look;

/// What to try next where a check ends with a reason. `{host}`, `{address}` and `{port}` are those of the target as far
/// as they are known.
const NEXT: &[(Reason, &str)] = &[
    (Reason::Slow, "the longest bar says where; `--repeat 20` says whether it stays so"),
    (Reason::DnsNxdomain, "check the spelling of {host}, then its zone and whether the domain is still registered"),
    (Reason::DnsNoData, "{host} exists without such a record: add one, or ask for another type"),
    (
        Reason::DnsServfail,
        "ask the zone's own servers with `dns:{host} --server`; broken DNSSEC and dead servers look like this",
    ),
    (Reason::DnsRefused, "this server does not speak for the zone, or not to us: see its zones and its access list"),
    (Reason::DnsRcode, "compare with what the zone's own servers say: `dns:{host} --server`"),
    (Reason::DnsTimeout, "see whether the server answers over TCP or to others; a packet filter may drop port 53"),
    (Reason::DnsMalformed, "look at the raw answer with dig; something on the way may rewrite it"),
    (Reason::DnsAnswers, "compare the zone's serial on each server; an old answer lives as long as its TTL"),
    (Reason::DnsUnreachable, "no DNS server listens at {address}, or a packet filter rejects us"),
    (
        Reason::DnsWrongId,
        "not an answer to our question: suspect a forger, or a device on the way that answers for others",
    ),
    (Reason::DnsCnameLoop, "follow the CNAMEs in the zone: one of them leads back"),
    (Reason::DnsLame, "load the zone on that server, or take it out of the delegation at the parent"),
    (Reason::DnsTtl, "see the record's TTL in the zone; caches count it down, the zone's own servers do not"),
    (Reason::DnsFlags, "AA comes from the zone's own servers only, AD from validating resolvers only"),
    (Reason::DnsSections, "compare with the zone's own servers; some resolvers leave these sections out"),
    (Reason::DnsDisagree, "compare the SOA serials: a transfer to one of the servers may be stuck"),
    (Reason::DnssecBogus, "compare the DS at the parent with the zone's keys, and see the dates of the signatures"),
    (Reason::DnssecInsecure, "sign the zone, and have its DS published at the parent"),
    (Reason::DnsHttp, "see whether the URL is that of a DNS service; its path is often /dns-query"),
    (Reason::ConnectRefused, "nothing listens on port {port} of {address}: does the service run, and on this address?"),
    (Reason::ConnectReset, "something answers for {address} and hangs up: see its firewall and load balancer"),
    (
        Reason::ConnectTimeout,
        "packets to {address} port {port} are lost or dropped: is the host up, does a firewall let us in?",
    ),
    (Reason::ConnectUnreachable, "follow the way to it: `traceroute {address}`"),
    (
        Reason::TlsTimeout,
        "port {port} takes connections and stays silent: an overloaded server, or one that waits for another protocol",
    ),
    (Reason::TlsClosed, "the server hung up: its log says why; it may have no certificate for {host}"),
    (Reason::TlsMalformed, "port {port} does not seem to speak TLS: plain HTTP is asked with http://"),
    (Reason::TlsAlert, "the server refused the handshake: its log says why"),
    (Reason::TlsVersion, "let the server offer TLS 1.2 or 1.3 with a cipher of today"),
    (Reason::TlsExpired, "renew the certificate, and make the server load the new one"),
    (Reason::TlsNotYetValid, "serve the old certificate until then, and see that this machine's clock is right"),
    (Reason::TlsWrongName, "get a certificate that names {host}, or see why the server picks this one for it"),
    (Reason::TlsSelfSigned, "install a certificate of an authority, or trust this one: `--ca FILE`"),
    (Reason::TlsUnknownIssuer, "send the whole chain, or trust a private authority: `--ca FILE`"),
    (Reason::TlsRevoked, "get a new certificate for a new key"),
    (Reason::TlsBadCertificate, "issue it again without what is named above"),
    (Reason::TlsExpiresSoon, "renew it now; where that runs by itself, see why it has not"),
    (Reason::TlsMissingIntermediate, "serve the full chain (often fullchain.pem), not the certificate alone"),
    (Reason::TlsWeakSignature, "have it issued again with SHA-256"),
    (Reason::TlsIssuer, "see who renewed the certificate, and whether they meant to change the authority"),
    (
        Reason::TlsPin,
        "where the key was changed on purpose, pin the new one; where it was not, someone may be in between",
    ),
    (Reason::TlsOcsp, "see the server's stapling, and whether it can reach the authority's responder"),
    (Reason::TlsAlpn, "enable the protocol on the server, or expect the one that it offers"),
    (Reason::TlsOffers, "see the versions and ciphers in the server's configuration"),
    (Reason::TlsClientCertificate, "show a client certificate that the server trusts"),
    (Reason::StarttlsRefused, "enable STARTTLS on port {port}, or check the port that speaks TLS from the start"),
    (Reason::StarttlsMalformed, "see that port {port} speaks the protocol that --starttls names"),
    (Reason::ProxyConnect, "the proxy answers and can't reach the target: try it without the proxy"),
    (Reason::TcpTimeout, "port {port} takes connections and says too little: see whether the service behind it hangs"),
    (Reason::TcpClosed, "the service hung up: its log says why"),
    (Reason::TcpBanner, "see that the service on port {port} is the one that is meant, and its version"),
    (Reason::IcmpTimeout, "many hosts and firewalls drop pings: `tcp:HOST:PORT` says whether a service is there"),
    (Reason::IcmpUnreachable, "follow the way to it: `traceroute {address}`"),
    (Reason::GrpcStatus, "the status and the server's log of this moment say why"),
    (Reason::GrpcNotServing, "the server runs and says itself that it is not ready: see what it waits for"),
    (Reason::GrpcTimeout, "the server takes calls and does not answer in time: see whether it hangs"),
    (Reason::GrpcMalformed, "see that port {port} speaks gRPC, with the health service registered"),
    (Reason::HttpClosed, "the server hung up before it had answered: its log says whether it crashed or was restarted"),
    (Reason::HttpMalformed, "see that port {port} speaks HTTP; https:// and http:// want different ports"),
    (Reason::HttpHeadersTooLarge, "see which headers grow, often cookies"),
    (Reason::HttpTimeout, "connected, then nothing: the application behind the server hangs or is overloaded"),
    (Reason::BodyTimeout, "the answer began and stalled: see what it waits for, or give it longer: `--timeout`"),
    (Reason::BodyTooLarge, "raise the check's max_body, or expect what comes earlier in the body"),
    (Reason::BodyEncoding, "the body is not what its content-encoding says: see what compresses it"),
    (Reason::HttpStatus, "the application's log of this moment says why"),
    (Reason::HttpHeader, "see who sets the header: the application, the server or a cache before it"),
    (Reason::HttpBody, "see what the page says instead"),
    (Reason::HttpJson, "see what the body says instead"),
    (Reason::HttpVersion, "enable the version on the server, or ask for another: `--http`"),
    (Reason::RedirectLimit, "see where the redirects lead in a circle, above"),
    (Reason::RedirectInvalid, "mend the location that the last response gives"),
    (Reason::BodySize, "see whether the page is cut or has grown"),
    (Reason::Latency, "the longest bar says where; `--repeat 20` says whether it stays so"),
    (Reason::UnexpectedSuccess, "what must not be reachable is: see the rule that should stop it"),
    (Reason::NoRoute, "this machine has no way there: `ip route get {address}`; for IPv6 it may have none at all"),
    (Reason::AddressForbidden, "where it is meant to be contacted, allow it in the probe's own file: targets.allow"),
    (Reason::TooOften, "where the target is your own, say so in the probe's own file: targets.min_interval"),
    (Reason::SourceAddress, "look from an address that this machine has, of the target's family: `ip address`"),
    (Reason::Resources, "see what this machine has used up: `ulimit -n`, `ss -s`, memory"),
    (Reason::Saturated, "the probe has more to do than it can: see its load"),
    (Reason::Overrun, "the probe woke too late: see its load"),
    (Reason::Stalled, "the probe's machine stood still: see its load, its limits of CPU, its host"),
    (Reason::Clock, "set this machine's clock: `timedatectl`"),
    (Reason::Canary, "this machine's own network fails: see its uplink"),
    (Reason::Resolver, "see this machine's own resolver, named above: `dig . NS`"),
    (Reason::Unsupported, "see the detail above; a newer version may be able to"),
    (Reason::TlsLegacy, "let the target speak TLS 1.2 or newer; `openssl s_client` shows what it has"),
    (Reason::SecretMissing, "put the secret where the check looks for it, readable by whoever runs this"),
    (Reason::Proxy, "see that the proxy runs and lets this machine in"),
    (Reason::Stopped, "run it again"),
    (Reason::Internal, "run it again with `--json`, and report what it says"),
];

/// What to try next; `None` where all is well or nobody knows.
pub(super) fn next(look: Look<'_>) -> Option<String> {
    let reason = look.seen.reason.as_ref()?;
    let (_, text) = NEXT.iter().find(|(known, _)| known == reason)?;
    let address = look.seen.evidence.address;
    let known = [
        ("{host}", host(look.question)),
        ("{address}", address.map(|address| address.ip().to_string())),
        ("{port}", address.map(|address| address.port().to_string())),
    ];
    let fill = |text: String, (key, value): (&str, Option<String>)| {
        let value = value.unwrap_or_else(|| "the target".to_owned());
        if text.contains(key) { text.replace(key, &value) } else { text }
    };
    Some(known.into_iter().fold((*text).to_owned(), fill))
}

fn host(question: &Question) -> Option<String> {
    match question {
        Question::Http(http) => http.url.host_str().map(str::to_owned),
        Question::Dns(dns) => Some(dns.name.clone()),
        Question::Tcp(tcp) => Some(tcp.address.host.to_string()),
        Question::Icmp(icmp) => Some(icmp.host.to_string()),
        Question::Grpc(grpc) => Some(grpc.address.host.to_string()),
        Question::Tls(tls) => Some(tls.server_name.clone().unwrap_or_else(|| tls.address.host.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_line_that_says_what_to_try_next() {
        for reason in Reason::ALL {
            let lines = NEXT.iter().filter(|(known, _)| known == reason).count();
            assert_eq!(lines, 1, "{reason}");
        }
        for (reason, text) in NEXT {
            let holes: Vec<&str> =
                text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(hole, _)| hole).collect();
            assert!(holes.iter().all(|hole| ["host", "address", "port"].contains(hole)), "{reason}: {text}");
            assert!(text.chars().count() < 130 && !text.ends_with('.'), "{reason}: {text}");
        }
    }
}
