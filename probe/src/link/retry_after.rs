//! PURE: how long an answer asks to be left alone.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{DATE, HeaderName, RETRY_AFTER};

/// What `Retry-After` says: seconds, or a date, which is counted from the answer's own. So only the clock of whoever
/// answered has a say. `None` where it can't be read, or is no time to wait.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let said = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let told = said(RETRY_AFTER)?;
    if let Ok(seconds) = told.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, answered) = (httpdate::parse_http_date(told).ok()?, httpdate::parse_http_date(said(DATE)?).ok()?);
    until.duration_since(answered).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        date.map(|date| headers.insert(DATE, date.parse().unwrap()));
        of(&headers)
    }

    #[test]
    fn seconds_and_dates_are_understood_and_nonsense_is_no_time_at_all() {
        const NOON: Option<&str> = Some("Mon, 23 Nov 2026 12:00:00 GMT");
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(told("7", None), seconds(7));
        assert_eq!(told(" 0 ", None), seconds(0));
        assert_eq!(told("Mon, 23 Nov 2026 12:00:09 GMT", NOON), seconds(9));
        assert_eq!(told("Mon, 23 Nov 2026 11:59:59 GMT", NOON), None, "that is over");
        assert_eq!(told("Mon, 23 Nov 2026 12:00:09 GMT", None), None, "against which clock?");
        for nonsense in ["soon", "-1", "1.5", "99999999999999999999", ""] {
            assert_eq!(told(nonsense, NOON), None, "{nonsense}");
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }
}
