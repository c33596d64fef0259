//! Which chain a target showed last: a sample that is `up` carries the chain only where its check has not told of it of
//! late.
//!
//! So the aggregator knows when certificates end and that they changed, and a check whose target shows what it
//! always shows pays for a few bytes hashed. Lost with the process: then each chain is told once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nines_shared::hash::fnv1a64;
use nines_shared::id::CheckId;
use nines_shared::time::Timestamp;
use rustls::pki_types::CertificateDer;

/// What was told is told again after so many ms, so that the aggregator can tell what is shown from what was.
const TOLD_EVERY_MS: i64 = 6 * 3_600_000;
/// One check tells at most once in so many ms, however often its target shows another chain.
const TOLD_AT_MOST_EVERY_MS: i64 = 600_000;
/// The most checks whose chains are remembered; with more of them all are forgotten, and told again.
const MAX_CHECKS: usize = 10_000;
/// So many bytes at the end of each certificate, a part of its signature, tell it from any other.
const TAIL: usize = 64;

/// What each check told last.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<HashMap<CheckId, Told>>);

#[derive(Clone, Copy, Debug)]
struct Told {
    mark: u64,
    at: Timestamp,
}

impl News {
    /// Whether `check` is to tell of `chain` at `now`; then it counts as told.
    pub(super) fn is_news(&self, check: &CheckId, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let mark = chain.iter().fold(0, |mark: u64, one| mark.rotate_left(7) ^ fnv1a64(tail(one)));
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = told.get(check).is_some_and(|last| {
            let quiet_ms = if last.mark == mark { TOLD_EVERY_MS } else { TOLD_AT_MOST_EVERY_MS };
            (0..quiet_ms).contains(&now.since(last.at))
        });
        if is_known {
            return false;
        }
        if MAX_CHECKS <= told.len() {
            told.clear();
        }
        told.insert(check.clone(), Told { mark, at: now });
        true
    }
}

fn tail(der: &[u8]) -> &[u8] {
    &der[der.len().saturating_sub(TAIL)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + ms)
    }

    #[test]
    fn a_chain_is_news_once_when_it_changes_and_after_a_while() {
        let news = News::default();
        let (home, api): (CheckId, CheckId) = ("home".parse().unwrap(), "api".parse().unwrap());
        let chain = |last: u8| [CertificateDer::from(vec![1; 100]), CertificateDer::from(vec![last; 3])];
        let soon = TOLD_AT_MOST_EVERY_MS;
        assert!(news.is_news(&home, &chain(1), at(0)));
        assert!(!news.is_news(&home, &chain(1), at(soon)));
        assert!(news.is_news(&api, &chain(1), at(2)), "each check tells for itself");
        assert!(!news.is_news(&home, &chain(2), at(soon - 1)), "it told just now");
        assert!(news.is_news(&home, &chain(2), at(soon)), "an intermediate changed");
        assert!(news.is_news(&home, &chain(1), at(2 * soon)), "and back");
        assert!(!news.is_news(&home, &chain(1), at(2 * soon + TOLD_EVERY_MS - 1)));
        assert!(news.is_news(&home, &chain(1), at(2 * soon + TOLD_EVERY_MS)));
        assert!(news.is_news(&home, &chain(1), at(0)), "the clock went back");
    }
}
