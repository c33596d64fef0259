//! Several servers that are asked the same, and whether they must say the same.

use serde::{Deserialize, Serialize};

use super::{DnsQuestion, DnsServer, RecordType};

/// The most servers that one check asks.
pub const MAX_SERVERS: usize = 16;

/// Servers of which each is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsServers {
    /// These.
    Named(Vec<DnsServer>),
    /// Every address of every name server of the zone, over UDP at this port. They are found by way of the check's
    /// `server`, and one that does not speak for the zone is lame.
    Authoritative {
        /// 53, but where a test has none of its own.
        port: u16,
    },
}

/// What servers must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The serial of the SOA record.
    Serial,
    /// The answers.
    Answers,
}

pub(super) fn errors(question: &DnsQuestion, push: &mut impl FnMut(&'static str, String)) {
    let Some(servers) = &question.servers else {
        if question.agree.is_some() {
            push("dns.agree", "one server agrees with itself; name several with servers".to_owned());
        }
        return;
    };
    if let DnsServers::Named(list) = servers {
        if !(2..=MAX_SERVERS).contains(&list.len()) {
            push("dns.servers", format!("name 2 to {MAX_SERVERS} servers, not {}; one is named by server", list.len()));
        }
        if question.server.is_some() {
            push("dns.server", "servers names who is asked already; leave server out".to_owned());
        }
    }
    if question.dnssec.is_some() {
        push("dns.dnssec", "an answer is proven of one server; use server, or a check of its own".to_owned());
    }
    if question.agree == Some(Agreement::Serial) && question.record_type != RecordType::Soa {
        let kind = question.record_type;
        push("dns.agree", format!("only SOA records have a serial to agree on, not {kind}; use type = \"SOA\""));
    }
}
