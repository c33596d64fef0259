//! One question to several servers at the same time: each must be right, and they may have to agree.
//!
//! Servers that speak for a zone are found by way of a resolver; what one of them does wrong is told as the
//! fault of a lame delegation. What an address of ours can't reach is on record, and decides only where nothing
//! else could be asked. Limit: [`MAX_SERVERS`] addresses, asked within the check's one deadline.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};
use nines_shared::check::{Agreement, DnsQuestion, DnsServer, DnsServers, MAX_SERVERS};
use nines_shared::sample::{DnsEvidence, DnsServerEvidence, Outcome, Phase, Reason, detail};
use tokio::time::Instant;

use super::super::Look;
use super::super::failure::Failure;
use super::super::record::Record;
use super::exchange::{Peer, Query, exchange};
use super::judge::list;
use super::present::shown_name;
use super::{judged, machine_server, permitted};

/// A server to ask.
struct Party {
    server: DnsServer,
    /// The name server's name, where it speaks for a zone.
    name: Option<String>,
}

impl Party {
    fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.server),
            None => self.server.to_string(),
        }
    }
}

/// What one server said.
struct Said {
    evidence: DnsEvidence,
    verdict: Result<(), Failure>,
    took_us: u64,
}

/// Asks every one of `servers`.
pub(super) async fn ask(
    look: &Look<'_>,
    question: &DnsQuestion,
    (query, servers): (&Query, &DnsServers),
    record: &mut Record,
) -> Result<(), Failure> {
    record.enter(Phase::Resolve);
    let parties: Vec<Party> = match servers {
        DnsServers::Named(named) => named.iter().map(|server| Party { server: server.clone(), name: None }).collect(),
        DnsServers::Authoritative { port } => delegated(look, question, (&query.name, *port), record).await?,
    };
    record.enter(Phase::Resolve);
    // Until it has spoken, a server counts as one that does not answer.
    let silent = |party: &Party| DnsServerEvidence {
        server: detail(&party.shown()),
        reason: Some(Reason::DnsTimeout),
        ..DnsServerEvidence::default()
    };
    let waiting = DnsEvidence { servers: parties.iter().map(silent).collect(), ..DnsEvidence::default() };
    record.evidence.dns = Some(waiting);
    let asked = parties.iter().map(|party| -> Asked<'_, Said> { Box::pin(one(look, question, query, party)) });
    let lame = matches!(servers, DnsServers::Authoritative { .. });
    let all = together(asked.collect(), |said: &[Option<Said>]| told(&parties, said, lame, record)).await;
    record.overdue = None;
    record.leave();
    let (chosen, verdict) = decide(question, &parties, &all);
    if let (Some(dns), Some(chosen)) = (&mut record.evidence.dns, all.into_iter().nth(chosen)) {
        let servers = std::mem::take(&mut dns.servers);
        *dns = DnsEvidence { servers, ..chosen.evidence };
    }
    verdict
}

/// Notes what has been said so far, and what it would mean if no more came.
fn told(parties: &[Party], said: &[Option<Said>], lame: bool, record: &mut Record) {
    let Some(dns) = &mut record.evidence.dns else { return };
    for (shown, said) in dns.servers.iter_mut().zip(said) {
        let Some(said) = said else { continue };
        shown.rcode = (!said.evidence.rcode.is_empty()).then(|| said.evidence.rcode.clone());
        shown.answers = said.evidence.answers.clone();
        shown.serial = said.evidence.serial;
        shown.duration_us = said.took_us;
        shown.reason = said.verdict.as_ref().err().map(|failure| failure.reason.clone());
    }
    let silent: Vec<String> =
        parties.iter().zip(said).filter(|(_, said)| said.is_none()).map(|(party, _)| party.shown()).collect();
    let reason = if lame { Reason::DnsLame } else { Reason::DnsTimeout };
    let why = format!("no answer from {}", list(&silent));
    record.overdue = Some(Failure::theirs(reason, Phase::Resolve, why));
}

/// One server's answer, and whether it is right.
async fn one(look: &Look<'_>, question: &DnsQuestion, query: &Query, party: &Party) -> Said {
    let started = Instant::now();
    let mut record = Record::start();
    let peer = Peer { look, server: &party.server, ca_pem: question.ca_pem.as_deref() };
    let ended = match permitted(look, &party.server) {
        Ok(()) => exchange(query, peer, &mut record).await,
        Err(refusal) => Err(refusal),
    };
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (evidence, verdict) = match ended {
        Ok(reply) => {
            let (evidence, verdict) = judged(question, query, &reply);
            let lame = if party.name.is_some() { lame(&reply.message, &evidence) } else { None };
            (evidence, lame.map_or(verdict, |why| Err(Failure::theirs(Reason::DnsLame, Phase::Resolve, why))))
        }
        Err(failure) if failure.outcome == Outcome::Down && party.name.is_some() => {
            (DnsEvidence::default(), Err(Failure { reason: Reason::DnsLame, ..failure }))
        }
        Err(failure) => (DnsEvidence::default(), Err(failure)),
    };
    let named = |failure: Failure| Failure { detail: format!("{}: {}", party.shown(), failure.detail), ..failure };
    Said { evidence, verdict: verdict.map_err(named), took_us }
}

/// Why a server that should speak for the zone does not.
fn lame(message: &Message, evidence: &DnsEvidence) -> Option<String> {
    if matches!(evidence.rcode.as_str(), "REFUSED" | "SERVFAIL" | "NOTAUTH") {
        return Some(format!("it answers {} for a zone that is delegated to it", evidence.rcode));
    }
    if evidence.flags.aa {
        return None;
    }
    let referral = message.authorities.iter().find(|record| record.record_type() == RecordType::NS);
    Some(match referral.filter(|_| message.answers.is_empty()) {
        Some(record) => format!("it refers to the servers of {} instead of answering", shown_name(&record.name)),
        None => "its answer is not authoritative (AA is clear)".to_owned(),
    })
}

/// Which server's evidence is the sample's, and the verdict. What a server did outweighs what we could not do.
fn decide(question: &DnsQuestion, parties: &[Party], all: &[Said]) -> (usize, Result<(), Failure>) {
    let failed = |wanted: Outcome| {
        let mut failures =
            all.iter().enumerate().filter_map(|(index, said)| Some((index, said.verdict.as_ref().err()?)));
        failures.find(|(_, failure)| failure.outcome == wanted)
    };
    if let Some((index, failure)) = failed(Outcome::Down) {
        return (index, Err(failure.clone()));
    }
    let right = all.iter().position(|said| said.verdict.is_ok());
    // An address of a family that this machine has no way to says nothing about a zone that others speak for.
    let no_way = |failure: &Failure| matches!(failure.reason, Reason::NoRoute | Reason::SourceAddress);
    if let Some((index, failure)) = failed(Outcome::Inconclusive)
        && (right.is_none() || !no_way(failure) || parties[index].name.is_none())
    {
        return (index, Err(failure.clone()));
    }
    let verdict = question.agree.map_or(Ok(()), |agree| agreed(agree, parties, all));
    (right.unwrap_or(0), verdict)
}

/// Whether all that are right say the same.
fn agreed(agree: Agreement, parties: &[Party], all: &[Said]) -> Result<(), Failure> {
    let says = |said: &Said| match agree {
        Agreement::Serial => said.evidence.serial.map_or_else(|| "nothing".to_owned(), |serial| serial.to_string()),
        Agreement::Answers => list(&said.evidence.answers),
    };
    let same = |one: &Said, other: &Said| match agree {
        Agreement::Serial => one.evidence.serial == other.evidence.serial,
        Agreement::Answers => one.evidence.answers == other.evidence.answers,
    };
    let mut right = parties.iter().zip(all).filter(|(_, said)| said.verdict.is_ok());
    let Some((first, one)) = right.next() else { return Ok(()) };
    match right.find(|(_, other)| !same(one, other)) {
        None => Ok(()),
        Some((second, other)) => {
            let why = format!("{} says {}; {} says {}", first.shown(), says(one), second.shown(), says(other));
            Err(Failure::theirs(Reason::DnsDisagree, Phase::Resolve, why))
        }
    }
}

/// Every address of every server of the zone that `name` is in, as the check's resolver knows them.
async fn delegated(
    look: &Look<'_>,
    question: &DnsQuestion,
    (name, port): (&Name, u16),
    record: &mut Record,
) -> Result<Vec<Party>, Failure> {
    let resolver = match &question.server {
        Some(named) => {
            permitted(look, named)?;
            named.clone()
        }
        None => machine_server(look)?,
    };
    let peer = Peer { look, server: &resolver, ca_pem: question.ca_pem.as_deref() };
    let (zone, names) = name_servers(name, peer, record).await?;
    let too_many = |what: usize| {
        let why = format!("{} has {what} name servers; at most {MAX_SERVERS} addresses are asked", shown_name(&zone));
        Failure::ours(Reason::Unsupported, Phase::Resolve, why)
    };
    if MAX_SERVERS < names.len() {
        return Err(too_many(names.len()));
    }
    let kinds = [RecordType::A, RecordType::AAAA];
    let asked = names.iter().flat_map(|name| kinds.map(|kind| (name, kind))).map(|(name, kind)| -> Asked<'_, _> {
        let query = lookup(name, kind);
        Box::pin(async move { exchange(&query, peer, &mut Record::start()).await })
    });
    let mut parties = Vec::new();
    for (index, reply) in together(asked.collect(), |_| {}).await.into_iter().enumerate() {
        let name = shown_name(&names[index / kinds.len()]);
        for address in reply?.message.answers.iter().filter_map(|answer| address(&answer.data)) {
            let server = DnsServer::Udp(SocketAddr::new(address, port));
            parties.push(Party { server, name: Some(name.clone()) });
        }
    }
    match parties.len() {
        0 => {
            let why = format!("no name server of {} with an address is known", shown_name(&zone));
            Err(Failure::theirs(Reason::DnsNoData, Phase::Resolve, why))
        }
        many if MAX_SERVERS < many => Err(too_many(many)),
        _ => Ok(parties),
    }
}

/// The zone that `name` is in, and the names of its servers.
async fn name_servers(name: &Name, peer: Peer<'_>, record: &mut Record) -> Result<(Name, Vec<Name>), Failure> {
    let mut zone = name.clone();
    let mut reply = exchange(&lookup(&zone, RecordType::NS), peer, record).await?;
    let servers = |message: &Message| -> Vec<Name> {
        message
            .answers
            .iter()
            .filter_map(|answer| if let RData::NS(ns) = &answer.data { Some(ns.0.clone()) } else { None })
            .collect()
    };
    if servers(&reply.message).is_empty()
        && let Some(soa) = reply.message.authorities.iter().find(|above| above.record_type() == RecordType::SOA)
    {
        zone = soa.name.clone();
        reply = exchange(&lookup(&zone, RecordType::NS), peer, record).await?;
    }
    let mut names = servers(&reply.message);
    names.sort();
    names.dedup();
    Ok((zone, names))
}

fn lookup(name: &Name, record_type: RecordType) -> Query {
    Query { name: name.clone(), record_type, recursion: true, dnssec: false, ad: false }
}

fn address(data: &RData) -> Option<IpAddr> {
    if let RData::A(a) = data {
        return Some(IpAddr::V4(a.0));
    }
    if let RData::AAAA(aaaa) = data { Some(IpAddr::V6(aaaa.0)) } else { None }
}

type Asked<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All of `asked` at the same time, in their order; `told` sees what there is whenever there is more.
async fn together<T>(mut asked: Vec<Asked<'_, T>>, mut told: impl FnMut(&[Option<T>])) -> Vec<T> {
    let mut said: Vec<Option<T>> = asked.iter().map(|_| None).collect();
    told(&said);
    poll_fn(move |cx| {
        let mut more = false;
        for (asked, said) in asked.iter_mut().zip(&mut said) {
            if said.is_none()
                && let Poll::Ready(now) = asked.as_mut().poll(cx)
            {
                *said = Some(now);
                more = true;
            }
        }
        if more {
            told(&said);
        }
        if said.iter().all(Option::is_some) {
            Poll::Ready(said.iter_mut().filter_map(Option::take).collect())
        } else {
            Poll::Pending
        }
    })
    .await
}
