//! Protocols that begin in the clear and agree on TLS (STARTTLS).

use serde::{Deserialize, Serialize};

/// The protocol whose words lead to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartTls {
    /// SMTP, RFC 3207.
    Smtp,
    /// IMAP, RFC 9051.
    Imap,
    /// POP3, RFC 2595.
    Pop3,
    /// PostgreSQL's SSLRequest.
    Postgres,
}

impl StartTls {
    /// The port that the protocol is spoken at.
    pub const fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Postgres => 5432,
        }
    }
}
