//! The dialogue with a mail server: RFC 5321, STARTTLS (RFC 3207), AUTH (RFC 4954).
//!
//! Our own, and not a library's, because the address that was judged is the one that is dialled, because nothing that
//! came before TLS may be taken for an answer after it, and because the code of each answer decides whether it is tried
//! again: 4yz may change, 5yz will not. Nobody is written to twice where only some were refused.

use std::time::Duration;

use data_encoding::BASE64;
use nines_shared::sample::detail;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use super::addresses;
use crate::alert::channel::Refused;
use crate::alert::channel::client::{Client, ClientError};
use crate::definition::channel::{Email, MailSecurity};

/// How long all of it may take; mail servers keep strangers waiting on purpose.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// The longest line of an answer, in bytes; RFC 5321 allows 512.
const MAX_LINE_BYTES: usize = 1_024;
/// The most lines of one answer.
const MAX_LINES: usize = 64;
/// How much of what the server says is told, in characters.
const MAX_SAID: usize = 200;

/// An answer: its code, and its lines without it.
#[derive(Debug)]
struct Answer {
    code: u16,
    lines: Vec<String>,
}

impl Answer {
    /// Whether a keyword such as `STARTTLS` is among the extensions that it lists.
    fn offers(&self, keyword: &str) -> bool {
        self.words(keyword).is_some()
    }

    /// What stands after an extension's keyword.
    fn words(&self, keyword: &str) -> Option<Vec<String>> {
        let mut lines = self.lines.iter().map(|line| line.split_ascii_whitespace());
        lines.find_map(|mut words| {
            let named = words.next().is_some_and(|first| first.eq_ignore_ascii_case(keyword));
            named.then(|| words.map(str::to_ascii_uppercase).collect())
        })
    }

    fn refusal(&self, to: &str) -> Refused {
        let said: String = detail(&self.lines.join(" ")).trim().chars().take(MAX_SAID).collect();
        let why = format!("answered {} to {to}: {said}", self.code);
        if self.code / 100 == 5 { Refused::for_good(why) } else { Refused::because(why) }
    }
}

/// Hands `mail` over; gives those that it was refused for, where it was taken for others.
///
/// # Errors
/// [`Refused`] where it was taken for nobody.
pub(super) async fn send(
    client: &Client,
    email: &Email,
    login: Option<(String, String)>,
    mail: &[u8],
) -> Result<Vec<(String, String)>, Refused> {
    let exchange = exchange(client, email, login, mail);
    let late = || Refused::because(format!("no acceptance within {}s", DEADLINE.as_secs()));
    timeout(DEADLINE, exchange).await.unwrap_or_else(|_elapsed| Err(late()))
}

async fn exchange(
    client: &Client,
    email: &Email,
    login: Option<(String, String)>,
    mail: &[u8],
) -> Result<Vec<(String, String)>, Refused> {
    let failed = |error: ClientError| Refused::because(error.to_string());
    let stream = client.connect(&email.host, email.port).await.map_err(failed)?;
    let ca_pem = email.ca_pem.as_deref();
    match email.security {
        MailSecurity::None => {
            let (mut talk, hello) = Dialogue::begun(stream, true).await?;
            talk.deliver(email, login, (&hello, mail)).await
        }
        MailSecurity::Tls => {
            let stream = client.secure(&email.host, stream, ca_pem).await.map_err(failed)?;
            let (mut talk, hello) = Dialogue::begun(stream, true).await?;
            talk.deliver(email, login, (&hello, mail)).await
        }
        MailSecurity::StartTls => {
            let (mut talk, hello) = Dialogue::begun(stream, true).await?;
            if !hello.offers("STARTTLS") {
                return Err(Refused::because(
                    "the server offers no STARTTLS; write smtps://… where it speaks TLS at once",
                ));
            }
            talk.ask("STARTTLS", "STARTTLS", 2).await?;
            let stream = talk.into_bare()?;
            let stream = client.secure(&email.host, stream, ca_pem).await.map_err(failed)?;
            let (mut talk, hello) = Dialogue::begun(stream, false).await?;
            talk.deliver(email, login, (&hello, mail)).await
        }
    }
}

/// Questions and answers over one stream.
struct Dialogue<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    /// A dialogue up to the answer to EHLO; a server that was greeted before STARTTLS does not greet again.
    async fn begun(stream: S, greets: bool) -> Result<(Self, Answer), Refused> {
        let mut talk = Self { stream: BufReader::new(stream) };
        if greets {
            let greeting = talk.answer().await?;
            if greeting.code != 220 {
                return Err(greeting.refusal("the connection"));
            }
        }
        // Who we are is nobody's business; an address literal is always allowed (RFC 5321 §4.1.4).
        let hello = talk.ask("EHLO [127.0.0.1]", "EHLO", 2).await?;
        Ok((talk, hello))
    }

    /// From the login to the end. What comes after the acceptance changes nothing.
    async fn deliver(
        &mut self,
        email: &Email,
        login: Option<(String, String)>,
        (hello, mail): (&Answer, &[u8]),
    ) -> Result<Vec<(String, String)>, Refused> {
        if let Some(login) = login {
            self.log_in(hello, login).await?;
        }
        self.ask(&format!("MAIL FROM:<{}>", email.from.email), "MAIL FROM", 2).await?;
        let mut refused = Vec::new();
        let mut last = None;
        for to in addresses(&email.to) {
            if let Err(why) = self.ask(&format!("RCPT TO:<{to}>"), "RCPT TO", 2).await {
                refused.push((to.to_owned(), why.why.clone()));
                last = Some(why);
            }
        }
        if let Some(why) = last.filter(|_| refused.len() == email.to.len()) {
            return Err(why);
        }
        self.ask("DATA", "DATA", 3).await?;
        self.write(&stuffed(mail)).await?;
        let taken = self.answer().await?;
        if taken.code / 100 != 2 {
            return Err(taken.refusal("the message"));
        }
        // It has the mail: that it does not hear our farewell takes nothing from that.
        let _gone = self.write(b"QUIT\r\n").await;
        Ok(refused)
    }

    async fn log_in(&mut self, hello: &Answer, (user, password): (String, String)) -> Result<(), Refused> {
        let offered = hello.words("AUTH").unwrap_or_default();
        let offers = |mechanism: &str| offered.iter().any(|known| known == mechanism);
        if offers("PLAIN") {
            let said = BASE64.encode(format!("\0{user}\0{password}").as_bytes());
            self.ask(&format!("AUTH PLAIN {said}"), "AUTH PLAIN", 2).await?;
            return Ok(());
        }
        if offers("LOGIN") {
            self.ask("AUTH LOGIN", "AUTH LOGIN", 3).await?;
            self.ask(&BASE64.encode(user.as_bytes()), "the user", 3).await?;
            self.ask(&BASE64.encode(password.as_bytes()), "the password", 2).await?;
            return Ok(());
        }
        Err(Refused::because("the server takes a login neither by AUTH PLAIN nor by AUTH LOGIN"))
    }

    /// Says `line`, which is called `name` in messages, and wants an answer whose code begins with `wanted`.
    async fn ask(&mut self, line: &str, name: &str, wanted: u16) -> Result<Answer, Refused> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        let answer = self.answer().await?;
        if answer.code / 100 == wanted { Ok(answer) } else { Err(answer.refusal(name)) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|why| Refused::because(format!("the connection broke off: {why}")))
    }

    async fn answer(&mut self) -> Result<Answer, Refused> {
        let mut lines = Vec::new();
        while lines.len() < MAX_LINES {
            let line = self.line().await?;
            let garbage =
                || Refused::because(format!("no SMTP: {:?}", detail(&line).chars().take(60).collect::<String>()));
            let code = line.get(..3).filter(|code| code.bytes().all(|digit| digit.is_ascii_digit()));
            let code: u16 = code.and_then(|code| code.parse().ok()).ok_or_else(garbage)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            match line.as_bytes().get(3) {
                Some(b'-') => {}
                Some(b' ') | None => return Ok(Answer { code, lines }),
                Some(_) => return Err(garbage()),
            }
        }
        Err(Refused::because(format!("the server's answer has more than {MAX_LINES} lines")))
    }

    async fn line(&mut self) -> Result<String, Refused> {
        let mut line = Vec::new();
        let limit = MAX_LINE_BYTES as u64;
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut line).await;
        read.map_err(|why| Refused::because(format!("the connection broke off: {why}")))?;
        match line.last() {
            Some(b'\n') => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Some(_) if line.len() == MAX_LINE_BYTES => {
                Err(Refused::because(format!("the server's answer has a line of more than {MAX_LINE_BYTES} bytes")))
            }
            Some(_) | None => Err(Refused::because("the server closed the connection")),
        }
    }

    /// The stream, for TLS. What came after the answer to STARTTLS was said in the open, by whomever.
    fn into_bare(self) -> Result<S, Refused> {
        if self.stream.buffer().is_empty() {
            return Ok(self.stream.into_inner());
        }
        Err(Refused::because("the server said more in the open after STARTTLS: somebody may be between us and it"))
    }
}

/// `mail` with every line that begins with a dot begun with two, and the line that ends it (RFC 5321 §4.5.2).
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    let mut begins = true;
    for byte in mail {
        if begins && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        begins = *byte == b'\n';
    }
    if !begins {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_mail_ends_it() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\nc"), b"a\r\n..\r\n...b\r\nc\r\n.\r\n");
        assert_eq!(stuffed(b".\r\n"), b"..\r\n.\r\n");
    }

    #[test]
    fn extensions_are_known_by_their_first_word_whatever_its_case() {
        let answer =
            Answer { code: 250, lines: vec!["mail.example".into(), "auth login Plain".into(), "SIZE 1".into()] };
        assert_eq!(answer.words("AUTH").unwrap(), ["LOGIN", "PLAIN"]);
        assert!(!answer.offers("STARTTLS"));
    }
}
