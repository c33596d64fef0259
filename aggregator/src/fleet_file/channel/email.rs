//! `email = { … }`: mail by an SMTP server.

use lettre::message::Mailbox;
use nines_shared::check::BasicAuth;
use url::{Host, Url};

use super::super::reader::{Table, Value};
use super::super::{ca, secret};
use crate::definition::channel::{Email, MailSecurity};

/// The most recipients of a channel; RFC 5321 lets a server refuse more than 100.
const MAX_RECIPIENTS: usize = 100;

/// The mail that `value` describes.
pub(super) fn read(value: &Value<'_>) -> Option<Email> {
    let table = value.table()?;
    let smtp =
        table.need("smtp", "write the server: smtp = \"smtps://mail.example:465\" or \"smtp://mail.example:587\"");
    let smtp = smtp.and_then(|value| server(&value));
    let starttls = table.get_if("starttls", Value::flag);
    let login = login(&table);
    let from = table.need("from", "write who it is from: from = \"Nines <nines@status.example>\"");
    let from = from.and_then(|value| mailbox(&value));
    let to = table.need("to", "write whom it is for: to = [\"oncall@shop.example\"]");
    let to = to.and_then(|value| recipients(&value));
    let ca_pem = table.get_if("ca", ca::read);
    table.finish();
    let (host, port, at_once) = smtp?;
    let security = match (at_once, starttls?) {
        (true, None) => MailSecurity::Tls,
        (true, Some(_)) => {
            said_at(&table, "starttls", "smtps:// is TLS from the first byte; leave starttls out");
            return None;
        }
        (false, None | Some(true)) => MailSecurity::StartTls,
        (false, Some(false)) => MailSecurity::None,
    };
    let login = login?;
    if security == MailSecurity::None && login.is_some() {
        said_at(&table, "password", "a password is never sent in the open; leave starttls out, or user and password");
        return None;
    }
    Some(Email { host, port, security, login, from: from?, to: to?, ca_pem: ca_pem? })
}

fn said_at(table: &Table<'_>, key: &str, message: &'static str) {
    let spot = table.spot_of(key).unwrap_or_else(|| table.spot.clone());
    table.notes.error(&spot, message, None);
}

/// Host and port, and whether TLS is spoken at once.
fn server(value: &Value<'_>) -> Option<(Host, u16, bool)> {
    let text = value.text()?;
    let read = || {
        let url = text.parse::<Url>().ok()?;
        let at_once = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return None,
        };
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let bare = bare && matches!(url.path(), "" | "/") && url.fragment().is_none();
        // URL leaves hosts of schemes that it does not know as they are written.
        let host = Host::parse(url.host_str().filter(|_| bare)?).ok()?;
        Some((host, url.port().unwrap_or(if at_once { 465 } else { 587 }), at_once))
    };
    let found = read();
    if found.is_none() {
        value.error(
            "this is not a mail server; write \"smtps://HOST:465\" or \"smtp://HOST:587\", and user and password beside it",
        );
    }
    found
}

/// `user` and `password`, or neither; `None` where it is wrong.
fn login(table: &Table<'_>) -> Option<Option<BasicAuth>> {
    let user = table.get_if("user", Value::words);
    let password = table.get_if("password", secret::read);
    match (user?, password?) {
        (Some(user), Some(password)) => Some(Some(BasicAuth { user, password })),
        (None, None) => Some(None),
        (Some(_), None) | (None, Some(_)) => {
            let mend = "write both: user = \"nines\", password = { env = \"NINES_SMTP_PASSWORD\" }".to_owned();
            table.notes.error(&table.spot, "a login is a user and a password", Some(mend));
            None
        }
    }
}

fn recipients(value: &Value<'_>) -> Option<Vec<Mailbox>> {
    let to = value.list(mailbox)?;
    if MAX_RECIPIENTS < to.len() {
        value.error(format!("{} recipients are more than {MAX_RECIPIENTS}; a list's address is one", to.len()));
        return None;
    }
    Some(to)
}

fn mailbox(value: &Value<'_>) -> Option<Mailbox> {
    let text = value.words()?;
    let read = text.parse::<Mailbox>().ok().filter(|mailbox| mailbox.email.to_string().is_ascii());
    let wrong =
        || format!("{text:?} is not a mail address in ASCII; write one such as \"Nines <nines@status.example>\"");
    value.accept(read.ok_or_else(wrong))
}
