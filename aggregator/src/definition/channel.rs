//! Channels: where alerts go, and how each is reached.

use std::str::FromStr;

use lettre::message::Mailbox;
use nines_shared::check::{BasicAuth, HttpAuth};
use nines_shared::id::ChannelId;
use nines_shared::secret::Secret;
use url::{Host, Url};

use super::template::Template;

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// How it is reached.
    pub kind: ChannelKind,
    /// What stands in the place of the default texts.
    pub template: Texts,
}

/// The operator's own texts; `None` where the default is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The first line.
    pub title: Option<Template>,
    /// What follows it, in the place of the facts.
    pub body: Option<Template>,
}

/// How a channel is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// A signed POST.
    Webhook {
        /// To where.
        url: Address,
        /// The key of the signature.
        secret: Option<Secret>,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Its address, which lets anybody write to it.
        url: Secret,
    },
    /// PagerDuty's Events API v2.
    Pagerduty {
        /// The integration's key.
        routing_key: Secret,
        /// The endpoint.
        url: Url,
    },
    /// Alertmanager's API v2.
    Alertmanager(Server),
    /// A Microsoft Teams workflow.
    Teams {
        /// Its address, which lets anybody write to it.
        url: Secret,
    },
    /// A Discord webhook.
    Discord {
        /// Its address, which lets anybody write to it.
        url: Secret,
    },
    /// A topic of ntfy; it is the last part of the address's path.
    Ntfy(Server),
    /// Mail.
    Email(Box<Email>),
    /// A program of the machine that `nines serve` runs on.
    Exec {
        /// The program and its arguments; never empty. No shell reads them.
        command: Vec<String>,
        /// How long it may take, in ms.
        timeout_ms: i64,
    },
}

/// A server that an operator may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub url: Address,
    /// What it is told of who asks.
    pub auth: Option<HttpAuth>,
    /// Roots to trust in the place of Mozilla's, as PEM.
    pub ca_pem: Option<String>,
}

/// A web address, which may itself be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// As the file says it.
    Open(Url),
    /// Where it is to be found.
    Secret(Secret),
}

impl FromStr for Address {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Open)
    }
}

/// Mail: from whom, to whom, by which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The server that takes it.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from strangers.
    pub security: MailSecurity,
    /// Who sends it.
    pub login: Option<BasicAuth>,
    /// From whom; its address is ASCII.
    pub from: Mailbox,
    /// To whom, at least one; their addresses are ASCII.
    pub to: Vec<Mailbox>,
    /// Roots to trust in the place of Mozilla's, as PEM.
    pub ca_pem: Option<String>,
}

/// How a connection to a mail server is kept from strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte: `smtps://`.
    Tls,
    /// TLS before anything is said, by STARTTLS; never without: `smtp://`.
    StartTls,
    /// Not at all: `smtp://` with `starttls = false`.
    None,
}

impl ChannelKind {
    /// The key that it is written with.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Pagerduty { .. } => "pagerduty",
            Self::Alertmanager(_) => "alertmanager",
            Self::Teams { .. } => "teams",
            Self::Discord { .. } => "discord",
            Self::Ntfy(_) => "ntfy",
            Self::Email(_) => "email",
            Self::Exec { .. } => "exec",
        }
    }

    /// The secrets without which nothing is delivered.
    pub fn secrets(&self) -> Vec<&Secret> {
        fn of_address(url: &Address) -> Option<&Secret> {
            match url {
                Address::Open(_) => None,
                Address::Secret(secret) => Some(secret),
            }
        }
        match self {
            Self::Webhook { url, secret } => of_address(url).into_iter().chain(secret).collect(),
            Self::Slack { url } | Self::Teams { url } | Self::Discord { url } => vec![url],
            Self::Pagerduty { routing_key, .. } => vec![routing_key],
            Self::Alertmanager(server) | Self::Ntfy(server) => {
                of_address(&server.url).into_iter().chain(server.auth.as_ref().map(HttpAuth::secret)).collect()
            }
            Self::Email(email) => email.login.iter().map(|login| &login.password).collect(),
            Self::Exec { .. } => Vec::new(),
        }
    }

    /// The host that is dialled, where the file says it.
    pub fn host(&self) -> Option<Host> {
        let of_url = |url: &Url| url.host().map(|host| host.to_owned());
        match self {
            Self::Webhook { url: Address::Open(url), .. }
            | Self::Pagerduty { url, .. }
            | Self::Alertmanager(Server { url: Address::Open(url), .. })
            | Self::Ntfy(Server { url: Address::Open(url), .. }) => of_url(url),
            Self::Email(email) => Some(email.host.clone()),
            Self::Webhook { .. }
            | Self::Slack { .. }
            | Self::Alertmanager(_)
            | Self::Teams { .. }
            | Self::Discord { .. }
            | Self::Ntfy(_)
            | Self::Exec { .. } => None,
        }
    }
}

/// The server and the topic of an ntfy address such as `https://ntfy.sh/topic`; `None` where it has not exactly one
/// part of a path.
pub fn ntfy_topic(url: &Url) -> Option<(Url, String)> {
    let parts: Vec<&str> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
    let [topic] = parts.as_slice() else { return None };
    let topic = (*topic).to_owned();
    let mut server = url.clone();
    server.set_path("/");
    server.set_query(None);
    server.set_fragment(None);
    Some((server, topic))
}
