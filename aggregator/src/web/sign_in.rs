//! Who may act: people of the fleet file, by their token. The API takes it with every request; the page takes it once
//! and gives a cookie for [`SESSION`].
//!
//! Sessions are in memory and end with the process. A cookie is a random number that means nothing by itself; what is
//! kept of it is its digest. Tokens are compared by their digests, all of them, in constant time. Whoever guesses is
//! slowed down by address; behind a reverse proxy that is everybody's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::{constant_time, digest, rand};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use data_encoding::HEXLOWER;
use nines_shared::id::PersonId;
use tokio::time::Instant;

use crate::definition::{Fleet, Person};
use crate::secret_values;

/// How long a cookie counts.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 3_600);
/// Sessions at one time; the one that ends first goes when another comes.
pub(super) const MAX_SESSIONS: usize = 256;
/// Wrong tokens that an address may show within [`WINDOW`].
pub(super) const MAX_FAILURES: u32 = 10;
/// How long a wrong token is remembered.
pub(super) const WINDOW: Duration = Duration::from_secs(300);
/// Addresses whose wrong tokens are remembered; the oldest goes when another comes.
const MAX_ADDRESSES: usize = 4_096;
/// The shortest token that counts, in bytes: a shorter one can be guessed.
pub(super) const MIN_TOKEN: usize = 16;
/// The name of the cookie.
const NAME: &str = "nines";

type Digest = [u8; 32];

/// Whose connection it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Sessions, and who guessed.
#[derive(Debug, Default)]
pub(super) struct Doorkeeper(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    sessions: BTreeMap<Digest, Session>,
    failures: BTreeMap<IpAddr, Failures>,
}

#[derive(Clone, Debug)]
struct Session {
    person: PersonId,
    ends: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

/// Why a token gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody has it.
    #[error("this is nobody's token")]
    Unknown,
    /// Too many wrong ones came from there.
    #[error("too many wrong tokens; wait some minutes")]
    TooMany,
    /// No random number can be had.
    #[error("this machine has no random numbers")]
    NoDice,
}

impl Doorkeeper {
    /// Who has `token`. A wrong one counts against `peer`.
    pub(super) async fn person(&self, fleet: &Fleet, peer: Peer, token: &str) -> Result<PersonId, Refusal> {
        let address = neighbourhood(peer.0);
        if self.book().is_barred(address) {
            return Err(Refusal::TooMany);
        }
        let (people, shown) = (fleet.people.clone(), digest(token));
        // Reading a secret may read a file.
        let found = tokio::task::spawn_blocking(move || owner(&people, &shown)).await.ok().flatten();
        let Some(person) = found else {
            tracing::warn!(%address, "web.wrong_token");
            self.book().failed(address);
            return Err(Refusal::Unknown);
        };
        Ok(person)
    }

    /// Begins a session of `person`; what the cookie holds.
    pub(super) fn begin(&self, person: PersonId) -> Result<String, Refusal> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_none| Refusal::NoDice)?;
        let secret = HEXLOWER.encode(&bytes);
        let mut book = self.book();
        book.clear(Instant::now());
        if MAX_SESSIONS <= book.sessions.len()
            && let Some(first) = book.sessions.iter().min_by_key(|(_, session)| session.ends).map(|(key, _)| *key)
        {
            book.sessions.remove(&first);
        }
        book.sessions.insert(digest(&secret), Session { person, ends: Instant::now() + SESSION });
        Ok(secret)
    }

    /// Who is signed in by the cookie of `headers`, where the fleet file still knows them.
    pub(super) fn signed_in(&self, fleet: &Fleet, headers: &HeaderMap) -> Option<Person> {
        self.signed_in_at(fleet, headers, Instant::now())
    }

    fn signed_in_at(&self, fleet: &Fleet, headers: &HeaderMap, now: Instant) -> Option<Person> {
        let session = self.book().sessions.get(&digest(cookie(headers)?)).cloned()?;
        let counts = now < session.ends;
        fleet.people.iter().find(|person| counts && person.id == session.person).cloned()
    }

    /// Ends the session of `headers`.
    pub(super) fn end(&self, headers: &HeaderMap) {
        if let Some(secret) = cookie(headers) {
            self.book().sessions.remove(&digest(secret));
        }
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn is_barred(&self, address: IpAddr) -> bool {
        let counts = |failures: &Failures| failures.since.elapsed() < WINDOW && MAX_FAILURES <= failures.count;
        self.failures.get(&address).is_some_and(counts)
    }

    fn failed(&mut self, address: IpAddr) {
        let now = Instant::now();
        self.clear(now);
        if MAX_ADDRESSES <= self.failures.len()
            && let Some(first) = self.failures.iter().min_by_key(|(_, failures)| failures.since).map(|(key, _)| *key)
        {
            self.failures.remove(&first);
        }
        self.failures.entry(address).or_insert(Failures { count: 0, since: now }).count += 1;
    }

    /// Forgets what is over.
    fn clear(&mut self, now: Instant) {
        self.sessions.retain(|_, session| now < session.ends);
        self.failures.retain(|_, failures| now.duration_since(failures.since) < WINDOW);
    }
}

/// What `Set-Cookie` says for `secret`, or to forget it.
pub(super) fn set_cookie(fleet: &Fleet, secret: Option<&str>) -> String {
    let secure = fleet.aggregator.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let age = secret.map_or(0, |_| SESSION.as_secs());
    let value = secret.unwrap_or_default();
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether a browser says that a page of ours sent this. SameSite keeps the cookie from other sites; this keeps it from
/// other origins of the same site, and from browsers that say nothing at all.
pub(super) fn is_from_our_page(fleet: &Fleet, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()).and_then(|origin| url::Url::parse(origin).ok()) else { return false };
    let public = fleet.aggregator.public_url.as_ref().is_some_and(|url| url.origin() == origin.origin());
    let authority = match (origin.host_str(), origin.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    public || text(HOST.as_str()) == Some(authority.as_str())
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|one| one.trim().strip_prefix(NAME)?.strip_prefix('='))
}

/// Whose token has the digest `shown`. All are looked at, whichever it is.
fn owner(people: &[Person], shown: &Digest) -> Option<PersonId> {
    let mut found = None;
    for person in people {
        match secret_values::read(&person.token) {
            Ok(token) if token.reveal().len() < MIN_TOKEN => {
                tracing::error!(person = %person.id, "person.token_too_short: at least {MIN_TOKEN} bytes count");
            }
            Ok(token) => {
                if constant_time::verify_slices_are_equal(&digest(token.reveal()), shown).is_ok() {
                    found = Some(person.id.clone());
                }
            }
            Err(error) => tracing::error!(person = %person.id, %error, "secret.missing"),
        }
    }
    found
}

fn digest(text: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}

/// An address of IPv6 stands for its /64, which one machine has.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_another_site_is_not_from_our_page() {
        let (mut fleet, _) =
            crate::fleet_file::parse(super::super::tests::FLEET, std::path::Path::new("nines.toml")).unwrap();
        fleet.aggregator.public_url = Some("https://status.example/".parse().unwrap());
        let from = |pairs: &[(&'static str, &str)]| {
            let headers =
                pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap()));
            is_from_our_page(&fleet, &headers.collect())
        };
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        assert!(from(&[("origin", "https://status.example")]));
        assert!(from(&[("origin", "http://10.0.0.1:8080"), ("host", "10.0.0.1:8080")]));
        for foreign in [
            &[("sec-fetch-site", "cross-site"), ("origin", "https://status.example")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example"), ("host", "status.example")],
            &[("origin", "null"), ("host", "status.example")],
            &[("host", "status.example")],
        ] {
            assert!(!from(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn sessions_are_bounded_and_the_first_to_end_goes_first() {
        let keeper = Doorkeeper::default();
        let first = keeper.begin("ann".parse().unwrap()).unwrap();
        for _ in 0..MAX_SESSIONS {
            keeper.begin("bob".parse().unwrap()).unwrap();
        }
        assert_eq!(keeper.book().sessions.len(), MAX_SESSIONS);
        assert!(!keeper.book().sessions.contains_key(&digest(&first)));
    }

    #[test]
    fn a_session_ends_by_itself_and_with_its_person() {
        let keeper = Doorkeeper::default();
        let file = |person: &str| {
            let text =
                format!("{}[[person]]\nid = \"{person}\"\ntoken = {{ env = \"NONE\" }}\n", super::super::tests::FLEET);
            crate::fleet_file::parse(&text, std::path::Path::new("nines.toml")).unwrap().0
        };
        let secret = keeper.begin("ann".parse().unwrap()).unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, format!("a=b; nines={secret}").parse().unwrap())]);
        let now = Instant::now();
        assert!(keeper.signed_in_at(&file("ann"), &headers, now).is_some());
        assert!(keeper.signed_in_at(&file("bob"), &headers, now).is_none());
        assert!(keeper.signed_in_at(&file("ann"), &headers, now + SESSION).is_none());
    }

    #[test]
    fn addresses_of_one_machine_are_one() {
        let at = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }
}
