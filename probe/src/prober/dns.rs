//! The DNS check: one question to one server, and what is expected of its answer.
//!
//! Asks with raw messages over sockets of its own, so that nothing retries, caches or hides a response
//! code. All of the exchange is the phase `resolve`.

mod answer;
mod exchange;

use std::net::SocketAddr;

use hickory_proto::rr::Name;
use nines_shared::check::{DnsQuestion, DnsServer};
use nines_shared::sample::{DnsEvidence, Phase, Reason};

use super::failure::Failure;
use super::record::Record;
use super::{Look, resolve};

/// The port that DNS servers listen on.
const PORT: u16 = 53;

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &DnsQuestion, record: &mut Record) -> Result<(), Failure> {
    let server = server_of(look, question)?;
    let name = name_of(&question.name)?;
    record.contact(server.address);
    record.enter(Phase::Resolve);
    let query = exchange::Query { name, record_type: answer::proto_type(question.record_type) };
    let reply = exchange::exchange(&query, server, look.prober.vantage.source, record).await?;
    record.leave();
    let found = answer::read(&reply.message, &query.name, question.record_type);
    let evidence = DnsEvidence {
        transport: if reply.tcp { "tcp" } else { "udp" }.to_owned(),
        rcode: answer::rcode_name(reply.message.metadata.response_code),
        answers: found.answers,
        ttl_s: found.ttl_s,
    };
    let verdict = answer::judge(question, &evidence);
    record.evidence.dns = Some(evidence);
    verdict
}

/// Who is asked. A server that the check names must pass the rule; the machine's own resolver is the
/// choice of the machine, which the rule is there to protect.
fn server_of(look: &Look<'_>, question: &DnsQuestion) -> Result<DnsServer, Failure> {
    match question.server {
        Some(named) => match resolve::refusal_of(&look.prober.vantage, named.address.ip()) {
            Some(refusal) => Err(refusal),
            None => Ok(named),
        },
        None => {
            let first = look.prober.resolver.first_server().ok_or_else(|| {
                let detail = "the check names no server and the machine has no resolver of its own";
                Failure::ours(Reason::Unsupported, Phase::Resolve, detail)
            })?;
            Ok(DnsServer { tcp: false, address: SocketAddr::new(first, PORT) })
        }
    }
}

fn name_of(name: &str) -> Result<Name, Failure> {
    let mut parsed = Name::from_ascii(name).map_err(|error| {
        Failure::ours(Reason::Unsupported, Phase::Resolve, format!("{name} can't be asked for: {error}"))
    })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}
