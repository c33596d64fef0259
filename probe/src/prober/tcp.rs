//! The TCP check: a connection, and where something is expected, the first bytes that the target says.
//!
//! Limit: [`MAX_BANNER_BYTES`].

mod banner;

use std::io;

use nines_shared::check::TcpQuestion;
use nines_shared::sample::{Phase, Reason};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::failure::{self, Failure};
use super::handshake::{self, Terms};
use super::record::Record;
use super::{Look, connect};
use banner::{Banner, Verdict};

/// The most bytes of a target's words that are read.
pub(crate) const MAX_BANNER_BYTES: usize = 4 << 10;

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &TcpQuestion, record: &mut Record) -> Result<(), Failure> {
    let (host, port) = question.address.endpoint();
    let stream = connect::open(look, &host, port, question.reach, record).await?;
    if !question.tls {
        return talk(stream, question, record).await;
    }
    let terms = Terms { ca_pem: question.ca_pem.as_deref(), ..Terms::with(&host) };
    let stream = handshake::secure(look, stream, terms, record).await?;
    talk(stream, question, record).await
}

async fn talk<S>(mut stream: S, question: &TcpQuestion, record: &mut Record) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if question.send.is_none() && question.expect.is_empty() {
        return Ok(());
    }
    record.enter(Phase::FirstByte);
    if let Some(words) = &question.send {
        let sent = async {
            stream.write_all(words.as_bytes()).await?;
            stream.flush().await
        };
        sent.await.map_err(|error| of_io(&error, &Banner::default()))?;
    }
    if !question.expect.is_empty() {
        listen(&mut stream, question, record).await?;
    }
    record.leave();
    Ok(())
}

/// Reads until what the target says is as expected, or can't be any more.
async fn listen<S: AsyncRead + Unpin>(
    stream: &mut S,
    question: &TcpQuestion,
    record: &mut Record,
) -> Result<(), Failure> {
    let mut banner = Banner::default();
    let mut bytes = [0; MAX_BANNER_BYTES];
    let theirs = |reason, detail| Failure::theirs(reason, Phase::FirstByte, detail);
    loop {
        let read = stream.read(&mut bytes).await.map_err(|error| of_io(&error, &banner))?;
        if read == 0 {
            let reason = if banner.is_empty() { Reason::TcpClosed } else { Reason::TcpBanner };
            return Err(theirs(reason, format!("the target closed the connection; {banner}")));
        }
        match banner.add(&bytes[..read], &question.expect) {
            Verdict::Holds => return Ok(()),
            Verdict::Open => record.remark = Some(banner.to_string()),
            Verdict::Fails(why) => return Err(theirs(Reason::TcpBanner, format!("{why}; {banner}"))),
        }
    }
}

/// Why the words stopped after `banner`.
fn of_io(error: &io::Error, banner: &Banner) -> Failure {
    if let Some(tls) = handshake::tls_error(error) {
        return Failure::theirs(handshake::reason_of(tls), Phase::FirstByte, format!("{tls}; {banner}"));
    }
    let ours = failure::our_own(error, Phase::FirstByte);
    ours.unwrap_or_else(|| Failure::theirs(Reason::TcpClosed, Phase::FirstByte, format!("{error}; {banner}")))
}
