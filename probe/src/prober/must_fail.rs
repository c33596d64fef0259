//! PURE: what an attempt of a check that must fail amounts to.

use nines_shared::check::MustFail;
use nines_shared::sample::{Outcome, Phase, Reason};

use super::failure::Failure;

/// What `failure`, or the success where it is `None`, means for a check that fails as it must where
/// `must_fail` says so. `last` is the last phase of the attempt, which a success came through.
pub(super) fn turned(must_fail: Option<&MustFail>, failure: Option<Failure>, last: Phase) -> Option<Failure> {
    let Some(must_fail) = must_fail else { return failure };
    match failure {
        Some(failure) if failure.outcome == Outcome::Down && must_fail.allows(&failure.reason) => None,
        Some(failure) => Some(failure),
        None => {
            let detail = match must_fail {
                MustFail::Anyhow => "the check must fail, and did not".to_owned(),
                MustFail::With(reasons) => {
                    let codes: Vec<&str> = reasons.iter().map(Reason::code).collect();
                    format!("the check must fail with {}, and did not fail", codes.join(" or "))
                }
            };
            Some(Failure::theirs(Reason::UnexpectedSuccess, last, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_fault_of_the_target_is_right() {
        let refused = || Some(Failure::theirs(Reason::ConnectRefused, Phase::Connect, ""));
        let expired = || Some(Failure::theirs(Reason::TlsExpired, Phase::Tls, ""));
        let ours = || Some(Failure::ours(Reason::NoRoute, Phase::Connect, ""));
        let with = MustFail::With(vec![Reason::ConnectRefused]);
        let reason = |must_fail, failure| turned(must_fail, failure, Phase::Transfer).map(|failure| failure.reason);
        for (must_fail, failure, wanted) in [
            (None, refused(), Some(Reason::ConnectRefused)),
            (None, None, None),
            (Some(&MustFail::Anyhow), refused(), None),
            (Some(&MustFail::Anyhow), expired(), None),
            (Some(&MustFail::Anyhow), ours(), Some(Reason::NoRoute)),
            (Some(&MustFail::Anyhow), None, Some(Reason::UnexpectedSuccess)),
            (Some(&with), refused(), None),
            (Some(&with), expired(), Some(Reason::TlsExpired)),
            (Some(&with), ours(), Some(Reason::NoRoute)),
            (Some(&with), None, Some(Reason::UnexpectedSuccess)),
        ] {
            assert_eq!(reason(must_fail, failure.clone()), wanted, "{must_fail:?} {failure:?}");
        }
        let success = turned(Some(&with), None, Phase::Tls).unwrap();
        assert_eq!((success.outcome, success.phase), (Outcome::Down, Phase::Tls));
        assert!(success.detail.contains("connect_refused"));
    }
}
