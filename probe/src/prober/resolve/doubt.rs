//! Is it our own resolver? Where a name was not resolved, our resolvers are asked what they can answer whatever has
//! become of the target. Where one of them can't, its word about the target is worth nothing (INV-5).
//!
//! It costs a healthy check nothing. A resolver whose own way to the internet is cut may still know the root's servers:
//! that is what canaries are for.

use std::net::SocketAddr;
use std::time::Duration;

use nines_shared::check::{DnsServer, DnsServers, Question};
use nines_shared::sample::{Outcome, Phase, Reason};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::failure::Failure;
use super::Resolver;
use crate::root_servers;

/// How long our resolvers may take to answer what they know by heart.
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(2);
/// The response code of a resolver that failed (RFC 1035 §4.1.1).
const SERVFAIL: u8 = 2;
/// The response code of a resolver that does not answer us, or not this (RFC 1035 §4.1.1).
const REFUSED: u8 = 5;

/// What a resolver did when it was asked for the root's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// No answer, or nobody there.
    Silent,
    /// This response code.
    Code(u8),
}

impl Resolver {
    /// Whether `failure`, an attempt's at `question`, may be that of our own resolvers.
    pub(in super::super) fn may_be_to_blame(question: &Question, failure: &Failure) -> bool {
        let by_silence_or_failure = matches!(
            failure.reason,
            Reason::DnsTimeout | Reason::DnsServfail | Reason::DnsRefused | Reason::DnsUnreachable
        );
        failure.outcome == Outcome::Down
            && failure.phase == Phase::Resolve
            && by_silence_or_failure
            && asks_the_machine(question)
    }

    /// `failure`; or where one of our resolvers turns out to be unfit, our own. Any of them may have been asked. Takes
    /// at most [`RESOLVER_TIMEOUT`].
    pub(in super::super) async fn or_to_blame(&self, failure: Failure) -> Failure {
        let mut asked = JoinSet::new();
        for server in self.servers() {
            asked.spawn(async move { (server, word_of(server).await) });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok((server, word)) = answer
                && let Some(what) = unfit(word, &failure.reason)
            {
                let text =
                    format!("this machine's resolver {server} {what}; seen: {}: {}", failure.reason, failure.detail);
                return Failure::ours(Reason::Resolver, Phase::Resolve, text);
            }
        }
        failure
    }
}

/// Whether the machine's resolvers have a say in `question`: all do that may name a host, but a DNS question whose
/// servers are given by address.
fn asks_the_machine(question: &Question) -> bool {
    let Question::Dns(dns) = question else { return true };
    let by_name = |server: &DnsServer| matches!(server, DnsServer::Https(_));
    match (&dns.servers, &dns.server) {
        (Some(DnsServers::Named(servers)), _) => servers.iter().any(by_name),
        (Some(DnsServers::Authoritative { .. }) | None, Some(server)) => by_name(server),
        (Some(DnsServers::Authoritative { .. }) | None, None) => true,
    }
}

async fn word_of(server: SocketAddr) -> Word {
    match timeout(RESOLVER_TIMEOUT, root_servers::ask(server, None)).await {
        Ok(Ok(code)) => Word::Code(code),
        Ok(Err(_)) | Err(_) => Word::Silent,
    }
}

/// What is wrong with a resolver whose word this is, where something is. One that refuses the root may well answer
/// for others: that counts only where it refused the target's name too.
fn unfit(word: Word, seen: &Reason) -> Option<&'static str> {
    match word {
        Word::Silent => Some("does not answer, not even for the root's servers"),
        Word::Code(SERVFAIL) => Some("fails at every name, even the root's servers (SERVFAIL)"),
        Word::Code(REFUSED) if *seen == Reason::DnsRefused => {
            Some("refuses every question of ours, even for the root's servers")
        }
        Word::Code(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_that_tells_of_the_resolver_itself_clears_the_target() {
        let seen = [Reason::DnsTimeout, Reason::DnsServfail, Reason::DnsRefused, Reason::DnsUnreachable];
        for (word, cleared) in [
            (Word::Silent, [true; 4]),
            (Word::Code(SERVFAIL), [true; 4]),
            (Word::Code(REFUSED), [false, false, true, false]),
            // NOERROR, FORMERR, NXDOMAIN, NOTIMP: somebody is there and well.
            (Word::Code(0), [false; 4]),
            (Word::Code(1), [false; 4]),
            (Word::Code(3), [false; 4]),
            (Word::Code(4), [false; 4]),
        ] {
            assert_eq!(seen.each_ref().map(|reason| unfit(word, reason).is_some()), cleared, "{word:?}");
        }
    }

    #[test]
    fn our_resolvers_have_no_say_where_the_check_names_its_servers_by_address() {
        let failed = |outcome, reason, phase| Failure { outcome, reason, phase, detail: String::new() };
        let silent = failed(Outcome::Down, Reason::DnsTimeout, Phase::Resolve);
        for (question, wanted) in [
            (r#"{"http":{"url":"http://a/"}}"#, true),
            (r#"{"tcp":{"address":"a:1"}}"#, true),
            (r#"{"dns":{"name":"a.example","record_type":"A"}}"#, true),
            (r#"{"dns":{"name":"a.example","record_type":"A","server":"udp://127.0.0.1:53"}}"#, false),
            (r#"{"dns":{"name":"a.example","record_type":"A","server":"https://dns.example/dns-query"}}"#, true),
        ] {
            let question: Question = serde_json::from_str(question).unwrap();
            assert_eq!(Resolver::may_be_to_blame(&question, &silent), wanted, "{question:?}");
        }
        let http: Question = serde_json::from_str(r#"{"http":{"url":"http://a/"}}"#).unwrap();
        for innocent in [
            failed(Outcome::Down, Reason::DnsNxdomain, Phase::Resolve),
            failed(Outcome::Down, Reason::ConnectTimeout, Phase::Connect),
            failed(Outcome::Inconclusive, Reason::DnsTimeout, Phase::Resolve),
        ] {
            assert!(!Resolver::may_be_to_blame(&http, &innocent), "{innocent:?}");
        }
    }
}
