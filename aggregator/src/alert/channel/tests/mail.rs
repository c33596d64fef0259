//! Mail, against a scripted server that says what a script tells it to, in the open and over TLS.

use std::sync::{Arc, Mutex};

use nines_shared::check::BasicAuth;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::email;
use super::{delivered, outage, resolved, secret};
use crate::alert::channel::{Refused, Told};
use crate::alert::message::Message;
use crate::alert::text::Text;
use crate::definition::ChannelKind;
use crate::definition::channel::{Email, MailSecurity};

pub(super) fn at(port: u16, security: MailSecurity) -> ChannelKind {
    ChannelKind::Email(Box::new(Email { port, security, ..mail_channel() }))
}

fn mail_channel() -> Email {
    Email {
        host: url::Host::parse("127.0.0.1").unwrap(),
        port: 25,
        security: MailSecurity::Tls,
        login: None,
        from: "Nines <nines@status.example>".parse().unwrap(),
        to: vec!["Ann <ann@shop.example>".parse().unwrap(), "bob@shop.example".parse().unwrap()],
        ca_pem: None,
    }
}

/// The mail as it is sent.
pub(super) fn made(told: &Told<'_>) -> String {
    String::from_utf8(email::mail(&mail_channel(), told).unwrap()).unwrap()
}

/// Its page.
pub(super) fn page(message: &Message, text: &Text) -> String {
    email::page::html(message, text)
}

/// What a server does otherwise than a good one: the command that it is about, and what it says to it.
type Odd = &'static [(&'static str, &'static str)];

/// A server on loopback. It answers every command well but those in `odd`, and keeps what it was told.
struct Server {
    port: u16,
    ca_pem: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(security: MailSecurity, odd: Odd) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut talk = Talk { odd, heard: kept, tls: security == MailSecurity::StartTls };
                    if security == MailSecurity::Tls {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        talk.converse(stream, true).await;
                    } else if let Some(stream) = talk.converse(stream, true).await {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        talk.heard.lock().unwrap().push("TLS".to_owned());
                        talk.tls = false;
                        talk.converse(stream, false).await;
                    }
                });
            }
        });
        Self { port, ca_pem: cert.pem(), heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

struct Talk {
    odd: Odd,
    heard: Arc<Mutex<Vec<String>>>,
    tls: bool,
}

impl Talk {
    /// Talks until the other side goes, or gives the stream back where TLS is to begin.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: S, greets: bool) -> Option<S> {
        let mut stream = BufReader::new(stream);
        if greets {
            let greeting = self.said("greeting").unwrap_or("220 mail.example ready");
            stream.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            self.heard.lock().unwrap().push(line.clone());
            let starttls = if self.tls { "250-STARTTLS\r\n" } else { "" };
            let hello = format!("250-mail.example\r\n{starttls}250-SIZE 1000000\r\n250 AUTH PLAIN LOGIN");
            let good = match line.split(' ').next().unwrap() {
                "EHLO" => hello.as_str(),
                "STARTTLS" => "220 go on",
                "AUTH" => "235 welcome",
                "DATA" => "354 go on",
                _ => "250 ok",
            };
            let answer = self.said(&line).unwrap_or(good).to_owned();
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
            if line == "STARTTLS" && answer.starts_with("220") {
                return Some(stream.into_inner());
            }
            if line == "DATA" && answer.starts_with("354") {
                self.take_mail(&mut stream).await?;
            }
        }
    }

    async fn take_mail<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut BufReader<S>) -> Option<()> {
        let mut mail = String::new();
        while !mail.ends_with("\r\n.\r\n") {
            if stream.read_line(&mut mail).await.ok()? == 0 {
                return None;
            }
        }
        self.heard.lock().unwrap().push(mail);
        let answer = self.said("mail").unwrap_or("250 queued");
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()
    }

    fn said(&self, command: &str) -> Option<&'static str> {
        self.odd.iter().find(|(begins, _)| command.starts_with(begins)).map(|(_, answer)| *answer)
    }
}

/// Mail to `server`, which it trusts, logged in with a password from `folder`.
fn channel(server: &Server, security: MailSecurity, folder: &TempDir) -> ChannelKind {
    let login = BasicAuth { user: "nines".into(), password: secret(folder.path(), "password", "hunter2hunter2\n") };
    let login = (security != MailSecurity::None).then_some(login);
    let ca_pem = Some(server.ca_pem.clone());
    ChannelKind::Email(Box::new(Email { port: server.port, security, login, ca_pem, ..mail_channel() }))
}

async fn sent(security: MailSecurity, odd: Odd) -> (Result<(), Refused>, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let server = Server::start(security, odd).await;
    let answer = delivered(&channel(&server, security, &folder), &outage()).await;
    (answer, server.heard())
}

#[tokio::test]
async fn a_mail_is_handed_over_in_the_order_of_the_protocol_after_tls_and_the_login() {
    let (answer, heard) = sent(MailSecurity::StartTls, &[]).await;
    assert_eq!(answer, Ok(()));
    let commands: Vec<&str> = heard.iter().filter(|line| !line.contains('\n')).map(String::as_str).collect();
    // printf '\0nines\0hunter2hunter2' | base64
    let wanted = [
        "EHLO [127.0.0.1]",
        "STARTTLS",
        "TLS",
        "EHLO [127.0.0.1]",
        "AUTH PLAIN AG5pbmVzAGh1bnRlcjJodW50ZXIy",
        "MAIL FROM:<nines@status.example>",
        "RCPT TO:<ann@shop.example>",
        "RCPT TO:<bob@shop.example>",
        "DATA",
    ];
    assert_eq!(commands[..wanted.len()], wanted);
    for security in [MailSecurity::Tls, MailSecurity::None] {
        assert_eq!(sent(security, &[]).await.0, Ok(()), "{security:?}");
    }
}

#[tokio::test]
async fn the_code_of_a_refusal_decides_whether_it_is_tried_again() {
    const REFUSALS: [(&str, &str, bool, &str); 9] = [
        ("greeting", "554 not from here", true, "answered 554 to the connection: not from here"),
        ("greeting", "421 too busy", false, "answered 421 to the connection"),
        ("AUTH", "535 5.7.8 no: AG5pbmVzAGh1bnRlcjJodW50ZXIy", true, "answered 535 to AUTH PLAIN"),
        ("MAIL", "451 later", false, "answered 451 to MAIL FROM: later"),
        ("RCPT", "550 no such user", true, "answered 550 to RCPT TO: no such user"),
        ("RCPT", "450 greylisted", false, "answered 450 to RCPT TO"),
        ("mail", "552 too large", true, "answered 552 to the message"),
        ("EHLO", "HTTP/1.1 400 Bad Request", false, "no SMTP"),
        ("DATA", "250 what?", false, "answered 250 to DATA"),
    ];
    for refusal in REFUSALS {
        let (about, says, permanent, told) = refusal;
        let odd: Odd = Box::leak(Box::new([(about, says)]));
        let (answer, _) = sent(MailSecurity::Tls, odd).await;
        let refused = answer.unwrap_err();
        assert!(refused.why.contains(told) && refused.permanent == permanent, "{refusal:?}: {refused:?}");
        assert!(!refused.why.contains("aHVudGVy") && !refused.why.contains("h1bnRlcj"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_mail_that_some_may_have_is_sent_to_them_once() {
    let (answer, heard) = sent(MailSecurity::Tls, &[("RCPT TO:<ann", "550 no such user")]).await;
    assert_eq!(answer, Ok(()));
    assert!(heard.iter().any(|line| line.contains("Subject: ")));
}

#[tokio::test]
async fn nothing_is_said_in_the_open_where_tls_is_wanted() {
    let none: Odd = &[("EHLO", "250 mail.example")];
    let (answer, heard) = sent(MailSecurity::StartTls, none).await;
    assert!(answer.unwrap_err().why.contains("offers no STARTTLS"));
    assert_eq!(heard, ["EHLO [127.0.0.1]"]);
    let more: Odd = &[("STARTTLS", "220 go on\r\n250 AUTH PLAIN")];
    let (answer, heard) = sent(MailSecurity::StartTls, more).await;
    let refused = answer.unwrap_err();
    assert!(refused.why.contains("said more in the open"), "{refused:?}");
    assert!(!heard.iter().any(|line| line.contains("AUTH")));
}

#[tokio::test]
async fn a_server_that_can_not_prove_who_it_is_gets_nothing() {
    for security in [MailSecurity::Tls, MailSecurity::StartTls] {
        let server = Server::start(security, &[]).await;
        let refused = delivered(&at(server.port, security), &outage()).await.unwrap_err();
        assert!(refused.why.contains("no TLS with 127.0.0.1"), "{refused:?}");
        assert!(!server.heard().iter().any(|line| line.contains("MAIL")));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let long: Odd = Box::leak(Box::new([("EHLO", &*Box::leak("x".repeat(100_000).into_boxed_str()))]));
    let refused = sent(MailSecurity::None, long).await.0.unwrap_err();
    assert!(refused.why.contains("a line of more than 1024 bytes"), "{refused:?}");
    let many: Odd = Box::leak(Box::new([("EHLO", &*Box::leak("250-x\r\n".repeat(100).into_boxed_str()))]));
    let refused = sent(MailSecurity::None, many).await.0.unwrap_err();
    assert!(refused.why.contains("more than 64 lines"), "{refused:?}");
}

#[test]
fn the_mails_of_one_incident_make_a_thread_and_each_attempt_is_the_same_mail() {
    let header = |mail: &str, name: &str| {
        let line = mail.lines().find(|line| line.starts_with(&format!("{name}: ")));
        line.map(|line| line.split_once(": ").unwrap().1.to_owned())
    };
    let mail = |message: &Message, revision| {
        let letter = super::letter(message, revision);
        made(&Told {
            letter: &letter,
            message: message.clone(),
            text: crate::alert::text::of(message, &super::Texts::default()),
        })
    };
    let (opened, over) = (mail(&outage(), 1), mail(&resolved(), 2));
    assert_eq!(header(&opened, "References").unwrap(), "<shop-20260921T141320Z.oncall@status.example>");
    assert_eq!(header(&over, "References"), header(&opened, "References"));
    assert_eq!(header(&over, "In-Reply-To"), header(&opened, "References"));
    assert_eq!(header(&opened, "Message-ID").unwrap(), "<shop-20260921T141320Z.1.oncall@status.example>");
    assert_ne!(header(&opened, "Message-ID"), header(&over, "Message-ID"));
    assert_eq!(header(&opened, "Date").unwrap(), "Mon, 21 Sep 2026 14:13:20 +0000");
    assert_eq!(header(&opened, "Auto-Submitted").unwrap(), "auto-generated");
    assert!(opened.contains("multipart/alternative") && opened.contains("text/plain") && opened.contains("text/html"));
}
