//! The DNS check: one question to one server or several, and what is expected of the answer.
//!
//! Asks with raw messages over sockets of its own, so that nothing retries, caches or hides a response
//! code. The exchange is the phase `resolve`; over TLS and HTTPS, `connect` and `tls` come before it.

mod answer;
mod dnssec;
mod exchange;
mod https;
mod judge;
mod present;
mod servers;

use std::net::IpAddr;

use hickory_proto::rr::Name;
use nines_shared::check::{DnsQuestion, DnsServer, DnsServers, RecordType};
use nines_shared::sample::{DnsEvidence, DnsFlags, MAX_DETAIL_LEN, Phase, Reason, detail};

use super::failure::Failure;
use super::record::Record;
use super::{Look, resolve};
use exchange::{Peer, Query, Reply};

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &DnsQuestion, record: &mut Record) -> Result<(), Failure> {
    let query = query_of(question)?;
    if let Some(several) = &question.servers {
        return servers::ask(look, question, (&query, several), record).await;
    }
    let machine;
    let server = match &question.server {
        Some(named) => named,
        None => {
            machine = machine_server(look)?;
            &machine
        }
    };
    if question.server.is_some() {
        permitted(look, server)?;
    }
    let peer = Peer { look, server, ca_pem: question.ca_pem.as_deref() };
    let reply = exchange::exchange(&query, peer, record).await?;
    record.leave();
    let (evidence, verdict) = judged(question, &query, &reply);
    let provable = matches!(evidence.rcode.as_str(), "NOERROR" | "NXDOMAIN");
    record.evidence.dns = Some(evidence);
    verdict?;
    let Some(wanted) = question.dnssec.as_ref().filter(|_| provable) else { return Ok(()) };
    let (proof, verdict) = dnssec::validate((&query, &reply.message), wanted, peer, record).await?;
    record.leave();
    if let Some(evidence) = &mut record.evidence.dns {
        evidence.dnssec = Some(proof);
    }
    verdict
}

/// What `reply` shows, and whether it is what `question` expects.
fn judged(question: &DnsQuestion, query: &Query, reply: &Reply) -> (DnsEvidence, Result<(), Failure>) {
    let mut found = answer::read(&reply.message, &query.name, question.record_type);
    let head = &reply.message.metadata;
    let section = |wanted: &[String], records| if wanted.is_empty() { Vec::new() } else { answer::section(records) };
    let mut evidence = DnsEvidence {
        transport: reply.transport.to_owned(),
        rcode: answer::rcode_name(head.response_code),
        answers: std::mem::take(&mut found.answers),
        ttl_s: found.ttl_s.as_ref().map(|ttl| *ttl.start()),
        flags: DnsFlags {
            aa: head.authoritative,
            ad: head.authentic_data,
            ra: head.recursion_available,
            tc: reply.truncated,
        },
        serial: found.serial,
        authority: section(&question.expect.authority, &reply.message.authorities),
        additional: section(&question.expect.additional, &reply.message.additionals),
        dnssec: None,
        servers: Vec::new(),
    };
    let verdict = judge::judge(question, &evidence, &found);
    let lists = [&mut evidence.answers, &mut evidence.authority, &mut evidence.additional];
    for text in lists.into_iter().flatten().filter(|text| MAX_DETAIL_LEN < text.len()) {
        *text = detail(text);
    }
    (evidence, verdict)
}

/// The machine's own resolver: the choice of the machine, which the rule is there to protect.
fn machine_server(look: &Look<'_>) -> Result<DnsServer, Failure> {
    let first = look.prober.resolver.first_server().ok_or_else(|| {
        let detail = "the check names no server and the machine has no resolver of its own";
        Failure::ours(Reason::Unsupported, Phase::Resolve, detail)
    })?;
    Ok(DnsServer::Udp(first))
}

/// Whether a server that the check names by address passes the rule. Those of HTTPS are held against it as
/// they are resolved.
fn permitted(look: &Look<'_>, server: &DnsServer) -> Result<(), Failure> {
    let (DnsServer::Udp(address) | DnsServer::Tcp(address) | DnsServer::Tls { address, .. }) = server else {
        return Ok(());
    };
    resolve::refusal_of(&look.prober.vantage, address.ip()).map_or(Ok(()), Err)
}

fn query_of(question: &DnsQuestion) -> Result<Query, Failure> {
    let record_type = present::proto_type(question.record_type);
    let name = match question.name.parse::<IpAddr>() {
        Ok(address) if question.record_type == RecordType::Ptr => Name::from(address),
        Ok(_) | Err(_) => name_of(&question.name)?,
    };
    let (dnssec, ad) = (question.dnssec.is_some(), question.expect.flags.ad.is_some());
    // Who speaks for a zone needs nobody else.
    let recursion = question.recursion && !matches!(question.servers, Some(DnsServers::Authoritative { .. }));
    Ok(Query { name, record_type, recursion, dnssec, ad })
}

fn name_of(name: &str) -> Result<Name, Failure> {
    let mut parsed = Name::from_ascii(name).map_err(|error| {
        Failure::ours(Reason::Unsupported, Phase::Resolve, format!("{name} can't be asked for: {error}"))
    })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}
