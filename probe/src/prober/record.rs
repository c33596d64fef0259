//! What one attempt leaves behind: the time of each phase, and what the target showed.
//!
//! Owned by the caller of the attempt, so that it is still there when the deadline cuts the attempt off:
//! the phase that runs then is the one that timed out. Phases never overlap.

use std::net::SocketAddr;
use std::time::Duration;

use nines_shared::check::Question;
use nines_shared::sample::{Evidence, Hop, Outcome, Phase, Phases, Reason, Tried, detail};
use tokio::time::Instant;

use super::Observation;
use super::expect::{Body, Head};
use super::failure::{Failure, timeout_in};
use super::handshake::Session;

/// The notes of one attempt.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) evidence: Evidence,
    /// The last TLS session; becomes evidence in the end, where that is wanted.
    pub(crate) session: Option<Session>,
    /// What has failed already, while its cause is still looked for: the deadline does not change it.
    pub(crate) foregone: Option<Failure>,
    /// Something that the deadline's detail should mention.
    pub(crate) remark: Option<String>,
    /// What the deadline means, where that is known better than by the phase it falls in.
    pub(crate) overdue: Option<Failure>,
    /// The head of the last HTTP response.
    pub(crate) head: Option<Head>,
    /// Its body, where it was read as far as the check wants it, or as evidence of a failure.
    pub(crate) body: Option<Body>,
    /// Whether the body was read to its end, or to the check's limit.
    pub(crate) is_read: bool,
    phases: Phases,
    started: Instant,
    running: Option<(Phase, Instant)>,
    /// The last phase that began.
    last: Phase,
    /// When the attempt had failed, where evidence was still gathered after that.
    settled: Option<Instant>,
}

impl Record {
    /// A record of an attempt that starts now.
    pub(crate) fn start() -> Self {
        Self {
            evidence: Evidence::default(),
            session: None,
            foregone: None,
            remark: None,
            overdue: None,
            head: None,
            body: None,
            is_read: false,
            phases: Phases::default(),
            started: Instant::now(),
            running: None,
            last: Phase::Resolve,
            settled: None,
        }
    }

    /// A record of a part of this attempt, which began with it and shares what was done until now.
    pub(crate) fn branch(&self) -> Self {
        Self { phases: self.phases, started: self.started, ..Self::start() }
    }

    /// Begins `phase`, at the instant in which the phase before it ends.
    pub(crate) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.end_phase(now);
        self.running = Some((phase, now));
        self.last = phase;
    }

    /// Ends the phase that runs.
    pub(crate) fn leave(&mut self) {
        self.end_phase(Instant::now());
    }

    /// Ends the phase that runs as if it had taken `us`: one echo's time, where several were awaited.
    pub(crate) fn leave_after(&mut self, us: u64) {
        if let Some((phase, _since)) = self.running.take() {
            self.phases.add(phase, us);
        }
    }

    fn end_phase(&mut self, now: Instant) {
        let Some((phase, since)) = self.running.take() else { return };
        let us = micros(since, now);
        self.phases.add(phase, us);
        if let Some(hop) = self.evidence.hops.last_mut() {
            hop.phases_us.add(phase, us);
        }
    }

    /// Begins a request of an HTTP check: its phases are its own as well as the attempt's.
    pub(crate) fn hop(&mut self, url: String) {
        self.leave();
        (self.head, self.body, self.is_read) = (None, None, false);
        let phases_us = Phases::default();
        self.evidence.hops.push(Hop { url, proxy: None, address: None, status: None, version: None, phases_us });
    }

    /// Notes the address that is contacted now.
    pub(crate) fn contact(&mut self, address: SocketAddr) {
        self.evidence.address = Some(address);
        if let Some(hop) = self.evidence.hops.last_mut() {
            hop.address = Some(address);
        }
    }

    /// Notes one of several addresses, which is tried now.
    pub(crate) fn try_address(&mut self, address: SocketAddr) {
        self.contact(address);
        self.evidence.tried.push(Tried { address, reason: None, us: None });
    }

    /// Notes why `address`, which was tried, took no connection, and how long that took.
    pub(crate) fn gave_up(&mut self, address: SocketAddr, reason: &Reason, took: Duration) {
        let of_it = |tried: &&mut Tried| tried.address == address && tried.reason.is_none();
        if let Some(tried) = self.evidence.tried.iter_mut().rev().find(of_it) {
            tried.reason = Some(reason.clone());
            tried.us = Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Notes that `address`, which was tried, took the connection.
    pub(crate) fn connected(&mut self, address: SocketAddr) {
        self.contact(address);
        let of_it = |tried: &Tried| tried.address == address && tried.reason.is_none();
        if let Some(place) = self.evidence.tried.iter().rposition(of_it) {
            self.evidence.tried.remove(place);
        }
    }

    /// Notes that the attempt has failed, while evidence is still gathered: that takes no part in any phase
    /// nor in the duration, and where the deadline cuts it off it is this failure that counts.
    pub(crate) fn settle(&mut self, failure: Failure) {
        self.leave();
        self.foregone = Some(failure);
        self.settled = Some(Instant::now());
    }

    /// The last phase that began.
    pub(crate) const fn last_phase(&self) -> Phase {
        self.last
    }

    /// µs of each phase so far, and of all together.
    pub(crate) fn took(&self) -> (Phases, u64) {
        (self.phases, self.elapsed_us())
    }

    /// What the deadline means here: the target did not get the phase done that runs now.
    pub(crate) fn timed_out(&self, question: &Question) -> Failure {
        if let Some(foregone) = &self.foregone {
            return foregone.clone();
        }
        let phase = self.running.map_or(Phase::Resolve, |(phase, _since)| phase);
        let mut detail = format!("not done within the deadline, {} ms after the start", self.elapsed_us() / 1_000);
        if let Some(remark) = &self.remark {
            detail = format!("{detail}; {remark}");
        }
        if let Some(overdue) = &self.overdue {
            return Failure { detail: format!("{}; {detail}", overdue.detail), ..overdue.clone() };
        }
        Failure::theirs(timeout_in(phase, question), phase, detail)
    }

    fn elapsed_us(&self) -> u64 {
        let until = self.settled.unwrap_or_else(Instant::now);
        micros(self.started, until)
    }

    /// The observation that this attempt, the `attempt`th, amounts to. A success that took longer than
    /// `degraded_after_us` is `degraded`. What only a sample that is not `up` keeps is made for others only
    /// where `all` is wanted.
    pub(crate) fn conclude(
        mut self,
        failure: Option<Failure>,
        attempt: u8,
        degraded_after_us: Option<u64>,
        all: bool,
    ) -> Observation {
        self.leave();
        let duration_us = self.elapsed_us();
        let (outcome, reason, phase, text) = match failure {
            Some(failure) => (failure.outcome, Some(failure.reason), Some(failure.phase), Some(failure.detail)),
            None if degraded_after_us.is_some_and(|limit| limit < duration_us) => {
                (Outcome::Degraded, Some(Reason::Slow), None, Some(slow(duration_us, &self.phases)))
            }
            None => (Outcome::Up, None, None, None),
        };
        if all || outcome != Outcome::Up {
            self.evidence.tls = self.session.as_ref().map(Session::describe);
        }
        Observation {
            outcome,
            reason,
            phase,
            detail: text.as_deref().map(detail),
            duration_us,
            phases_us: self.phases,
            attempt,
            evidence: self.evidence,
        }
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

fn slow(duration_us: u64, phases: &Phases) -> String {
    let total = format!("took {} ms", duration_us / 1_000);
    match phases.longest() {
        Some((phase, us)) => format!("{total}, {} ms of it in {phase}", us / 1_000),
        None => total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn phases_follow_each_other_without_gap_or_overlap_and_hops_add_up() {
        let mut record = Record::start();
        for (phase, ms) in [(Phase::Connect, 3), (Phase::FirstByte, 7)] {
            record.hop(String::new());
            record.enter(phase);
            tokio::time::advance(Duration::from_millis(ms)).await;
        }
        record.enter(Phase::Connect);
        tokio::time::advance(Duration::from_millis(2)).await;
        let seen = record.conclude(None, 1, Some(5_000), true);
        assert_eq!(seen.phases_us.connect, Some(5_000));
        assert_eq!(seen.phases_us.first_byte, Some(7_000));
        assert_eq!(seen.duration_us, 12_000);
        assert_eq!(seen.evidence.hops[1].phases_us.connect, Some(2_000));
        assert_eq!((seen.outcome, seen.reason), (Outcome::Degraded, Some(Reason::Slow)));
        assert_eq!(seen.detail.unwrap(), "took 12 ms, 7 ms of it in first_byte");
    }

    #[tokio::test(start_paused = true)]
    async fn what_evidence_takes_is_no_phase_and_no_duration_and_the_deadline_does_not_hide_the_failure() {
        let mut record = Record::start();
        record.enter(Phase::FirstByte);
        tokio::time::advance(Duration::from_millis(5)).await;
        let failure = Failure::theirs(Reason::HttpStatus, Phase::FirstByte, "it is 500");
        record.settle(failure.clone());
        tokio::time::advance(Duration::from_millis(900)).await;
        let http = serde_json::from_str(r#"{"http":{"url":"http://a/"}}"#).unwrap();
        assert_eq!(record.timed_out(&http), failure);
        let seen = record.conclude(Some(failure), 1, None, true);
        assert_eq!((seen.duration_us, seen.phases_us.first_byte, seen.phases_us.transfer), (5_000, Some(5_000), None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_blamed_on_the_phase_that_runs_in_the_words_of_the_protocol() {
        let [http, tcp, icmp, grpc]: [Question; 4] = [
            r#"{"http":{"url":"http://a/"}}"#,
            r#"{"tcp":{"address":"a:1"}}"#,
            r#"{"icmp":{"host":"a"}}"#,
            r#"{"grpc":{"address":"a:1"}}"#,
        ]
        .map(|text| serde_json::from_str(text).unwrap());
        let table = [
            (Phase::Resolve, &grpc, Reason::DnsTimeout),
            (Phase::Connect, &tcp, Reason::ConnectTimeout),
            (Phase::Tls, &grpc, Reason::TlsTimeout),
            (Phase::FirstByte, &http, Reason::HttpTimeout),
            (Phase::Transfer, &http, Reason::BodyTimeout),
            (Phase::FirstByte, &tcp, Reason::TcpTimeout),
            (Phase::FirstByte, &icmp, Reason::IcmpTimeout),
            (Phase::FirstByte, &grpc, Reason::GrpcTimeout),
            (Phase::Transfer, &grpc, Reason::GrpcTimeout),
        ];
        let mut record = Record::start();
        for (phase, question, reason) in table {
            record.enter(phase);
            let failure = record.timed_out(question);
            assert_eq!((failure.phase, failure.reason), (phase, reason), "{}", question.protocol());
        }
    }
}
