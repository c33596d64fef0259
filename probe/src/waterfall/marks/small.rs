//! PURE: what the questions expect that expect one thing.

use nines_shared::check::{GrpcQuestion, IcmpQuestion, TcpQuestion};
use nines_shared::sample::Reason;

use super::Mark;
use super::listed::held;
use crate::prober::Observation;

/// The words that a target must say are judged as one.
pub(super) fn of_tcp(tcp: &TcpQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let expect = &tcp.expect;
    let starts = expect.banner_starts.as_ref().map(|text| format!("banner starts with {text:?}"));
    let contains = expect.banner_contains.as_ref().map(|text| format!("banner contains {text:?}"));
    let matches = expect.banner_matches.as_ref().map(|pattern| format!("banner matches {pattern}"));
    let all: Vec<String> = [starts, contains, matches].into_iter().flatten().collect();
    if all.is_empty() {
        return Vec::new();
    }
    held(vec![(all.join(", "), &[Reason::TcpTimeout, Reason::TcpClosed, Reason::TcpBanner])], seen, worked)
}

/// How many echoes must come back.
pub(super) fn of_icmp(icmp: &IcmpQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let what = format!("{} of {} echoes come back", icmp.wanted(), icmp.count);
    held(vec![(what, &[Reason::IcmpTimeout, Reason::IcmpUnreachable])], seen, worked)
}

/// What the service must say.
pub(super) fn of_grpc(grpc: &GrpcQuestion, seen: &Observation, worked: bool) -> Vec<Mark> {
    let what = format!("the service says {}", grpc.expect.status.code());
    held(vec![(what, &[Reason::GrpcNotServing, Reason::UnexpectedSuccess])], seen, worked)
}
