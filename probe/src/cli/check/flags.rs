//! What the command line says of the question: the habits of curl, dig and openssl, each with the targets that it goes
//! with.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nines_shared::check::{DnsServer, HttpVersion, StartTls};
use nines_shared::secret::{Secret, SecretValue, Secrets};

use url::Url;

use crate::cli::{Failure, IO};
use crate::prober::Vantage;

/// Stands for the password of `--proxy` among the secrets.
pub(super) const PROXY_PASSWORD: &str = "the password of --proxy";

/// The flags that shape the question and the place to look from. With `--from` the configuration says all of it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Flags {
    /// Take the check TARGET of this probe's file: its question, its secrets, its address rule
    #[arg(long, value_name = "CONFIG")]
    pub(super) from: Option<PathBuf>,
    /// The method [default: GET, with a body POST]
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = "For URLs", conflicts_with = "from")]
    pub(super) method: Option<String>,
    /// A header, such as 'Accept: text/html'; several times
    #[arg(short = 'H', long, value_name = "NAME: VALUE", help_heading = "For URLs", conflicts_with = "from")]
    pub(super) header: Vec<String>,
    /// The body to send
    #[arg(
        short = 'd',
        long,
        visible_alias = "data",
        value_name = "TEXT",
        help_heading = "For URLs",
        conflicts_with = "from"
    )]
    pub(super) body: Option<String>,
    /// Go through this proxy, such as http://proxy.example:3128
    #[arg(long, value_name = "URL", help_heading = "For URLs", conflicts_with = "from")]
    pub(super) proxy: Option<Url>,
    /// Show who we are: a user and a password
    #[arg(short = 'u', long, value_name = "USER:PASSWORD", help_heading = "For URLs", conflicts_with = "from")]
    pub(super) user: Option<String>,
    /// Speak this version of HTTP only
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "For URLs", conflicts_with = "from")]
    pub(super) http: Option<Http>,
    /// What the status must be, such as 204 or 2xx; several with commas [default: 2xx]
    #[arg(long, value_name = "STATUS", value_delimiter = ',', help_heading = "For URLs", conflicts_with = "from")]
    pub(super) expect_status: Vec<String>,
    /// How many redirects are followed [default: 10]
    #[arg(long, value_name = "N", help_heading = "For URLs", conflicts_with = "from")]
    pub(super) redirects: Option<u8>,
    /// The name to ask for and to verify, where it is not the host (SNI)
    #[arg(long, value_name = "NAME", help_heading = "For TLS", conflicts_with = "from")]
    pub(super) servername: Option<String>,
    /// Trust the roots of this PEM file instead of Mozilla's
    #[arg(long, value_name = "FILE", help_heading = "For TLS", conflicts_with = "from")]
    pub(super) ca: Option<PathBuf>,
    /// Begin with these words of another protocol, then TLS
    #[arg(long, value_enum, value_name = "PROTOCOL", help_heading = "For TLS", conflicts_with = "from")]
    pub(super) starttls: Option<Words>,
    /// Do not verify the chain; it is shown all the same
    #[arg(short = 'k', long, help_heading = "For TLS", conflicts_with = "from")]
    pub(super) insecure: bool,
    /// Show this certificate (PEM) where the server wants one
    #[arg(long, value_name = "FILE", help_heading = "For TLS", conflicts_with = "from", requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// The key of --cert (PEM)
    #[arg(long, value_name = "FILE", help_heading = "For TLS", conflicts_with = "from", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// Ask this server: udp://, tcp://, tls:// or https:// [default: this machine's resolver]
    #[arg(long, value_name = "SERVER", help_heading = "For dns:", conflicts_with = "from")]
    pub(super) server: Option<DnsServer>,
    /// The record type, as in dns:NAME/TYPE [default: A]
    #[arg(long = "type", value_name = "TYPE", help_heading = "For dns:", conflicts_with = "from")]
    pub(super) record_type: Option<String>,
    /// Say this first
    #[arg(long, value_name = "TEXT", help_heading = "For tcp: and grpc:", conflicts_with = "from")]
    pub(super) send: Option<String>,
    /// What the target must say first, or after --send
    #[arg(long, value_name = "TEXT", help_heading = "For tcp: and grpc:", conflicts_with = "from")]
    pub(super) expect_banner: Option<String>,
    /// Call without TLS
    #[arg(long, help_heading = "For tcp: and grpc:", conflicts_with = "from")]
    pub(super) plaintext: bool,
    /// The answer must be proven by DNSSEC, from the root's keys down
    #[arg(long, help_heading = "For dns:", conflicts_with = "from")]
    pub(super) dnssec: bool,
    /// Do not let the server ask others for the answer
    #[arg(long, help_heading = "For dns:", conflicts_with = "from")]
    pub(super) no_recursion: bool,
    /// Look from this address of the machine
    #[arg(long, value_name = "ADDRESS", conflicts_with = "from")]
    pub(super) source_address: Option<IpAddr>,
}

/// A version of HTTP, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Http {
    /// HTTP/1.1
    #[value(name = "1.1")]
    One,
    /// HTTP/2
    #[value(name = "2")]
    Two,
}

impl From<Http> for HttpVersion {
    fn from(version: Http) -> Self {
        match version {
            Http::One => Self::Http1,
            Http::Two => Self::Http2,
        }
    }
}

/// A protocol that TLS is begun from, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Words {
    Smtp,
    Imap,
    Pop3,
    Postgres,
}

impl From<Words> for StartTls {
    fn from(words: Words) -> Self {
        match words {
            Words::Smtp => Self::Smtp,
            Words::Imap => Self::Imap,
            Words::Pop3 => Self::Pop3,
            Words::Postgres => Self::Postgres,
        }
    }
}

/// A kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A URL.
    Http,
    /// `tls:`.
    Tls,
    /// `dns:`.
    Dns,
    /// `tcp:`.
    Tcp,
    /// `icmp:`.
    Icmp,
    /// `grpc:`.
    Grpc,
}

impl Flags {
    /// Where to look from: every address may be contacted.
    pub(super) fn vantage(&self) -> Vantage {
        Vantage { source: self.source_address, ..super::anywhere() }
    }

    /// The secrets that the command line names: the key of `--cert`, the password of `--proxy`.
    ///
    /// # Errors
    /// The key's file can't be read (74).
    pub(super) fn secrets(&self) -> Result<Secrets, Failure> {
        let mut all = Vec::new();
        if let Some(path) = &self.key {
            all.push((Secret::File(path.clone()), SecretValue::new(read(path)?)));
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| !proxy.username().is_empty()) {
            let password = percent_decoded(proxy.password().unwrap_or_default());
            all.push((Secret::Env(PROXY_PASSWORD.to_owned()), SecretValue::new(password)));
        }
        Ok(all.into_iter().collect())
    }

    /// Refuses flags that a target of `kind` can do nothing with, so that none is silently ignored.
    ///
    /// # Errors
    /// The flag, and what it goes with.
    pub(super) fn fit(&self, kind: Kind) -> Result<(), String> {
        use Kind::{Dns, Grpc, Http, Tcp, Tls};
        let given: [(&str, bool, &[Kind], &str); 20] = [
            ("--method", self.method.is_some(), &[Http], "a URL"),
            ("--header", !self.header.is_empty(), &[Http, Grpc], "a URL or grpc:HOST:PORT"),
            ("--body", self.body.is_some(), &[Http], "a URL"),
            ("--user", self.user.is_some(), &[Http], "a URL"),
            ("--http", self.http.is_some(), &[Http], "a URL"),
            ("--expect-status", !self.expect_status.is_empty(), &[Http], "a URL"),
            ("--redirects", self.redirects.is_some(), &[Http], "a URL"),
            ("--proxy", self.proxy.is_some(), &[Http], "a URL"),
            ("--starttls", self.starttls.is_some(), &[Tls], "tls:HOST"),
            ("--insecure", self.insecure, &[Tls], "tls:HOST"),
            ("--servername", self.servername.is_some(), &[Tls], "tls:HOST"),
            ("--ca", self.ca.is_some(), &[Http, Tls, Dns, Grpc], "what speaks TLS"),
            ("--cert", self.cert.is_some(), &[Http], "a URL"),
            ("--server", self.server.is_some(), &[Dns], "dns:NAME"),
            ("--send", self.send.is_some(), &[Tcp], "tcp:HOST:PORT"),
            ("--expect-banner", self.expect_banner.is_some(), &[Tcp], "tcp:HOST:PORT"),
            ("--plaintext", self.plaintext, &[Grpc], "grpc:HOST:PORT"),
            ("--dnssec", self.dnssec, &[Dns], "dns:NAME"),
            ("--no-recursion", self.no_recursion, &[Dns], "dns:NAME"),
            ("--type", self.record_type.is_some(), &[Dns], "dns:NAME"),
        ];
        match given.into_iter().find(|(_, given, kinds, _)| *given && !kinds.contains(&kind)) {
            Some((flag, _, _, goes)) => Err(format!("{flag} goes with {goes} only")),
            None => Ok(()),
        }
    }
}

/// `text` of a URL's user or password, as it was meant.
pub(super) fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text of the file at `path`.
///
/// # Errors
/// It can't be read (74).
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::new(IO, format!("can't read {}: {error}", path.display())))
}
