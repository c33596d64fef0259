//! From a protocol in the clear to TLS (STARTTLS): the words up to the go-ahead, and not a byte more.
//!
//! What a server says is taken line by line, bounded in length and number. Whatever arrives together with its
//! go-ahead was written before TLS, by whoever: it is refused, never read as if TLS had protected it
//! (CVE-2011-0411, CVE-2021-23222).

mod dialogue;

use std::io;

use nines_shared::check::StartTls;
use nines_shared::sample::{Phase, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::dialogue::{Broken, Dialogue, Next};
use super::refusal;
use crate::prober::failure::Failure;

/// PostgreSQL's SSLRequest: its length, and a number where the version would be.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Leads `stream` to where TLS begins.
pub(super) async fn agree(stream: &mut TcpStream, protocol: StartTls) -> Result<(), Failure> {
    if protocol == StartTls::Postgres {
        return postgres(stream).await;
    }
    let us = stream.local_addr().map_err(|error| refusal::of_io(&error))?.ip();
    let mut dialogue = Dialogue::new(protocol, us);
    let (mut buffer, mut read) = ([0; 1_024], 0);
    loop {
        match dialogue.take(&buffer[..read]).map_err(failure)? {
            Next::Listen => read = heard(stream, &mut buffer).await?,
            Next::Say(words) => {
                stream.write_all(words.as_bytes()).await.map_err(|error| refusal::of_io(&error))?;
                read = 0;
            }
            Next::Begin => return Ok(()),
        }
    }
}

async fn postgres(stream: &mut TcpStream) -> Result<(), Failure> {
    stream.write_all(&SSL_REQUEST).await.map_err(|error| refusal::of_io(&error))?;
    let mut answer = [0; 2];
    let read = heard(stream, &mut answer).await?;
    dialogue::postgres(&answer[..read]).map_err(failure)
}

async fn heard(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize, Failure> {
    match stream.read(buffer).await {
        Ok(0) => {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the target closed before it agreed to TLS");
            Err(refusal::of_io(&error))
        }
        Ok(read) => Ok(read),
        Err(error) => Err(refusal::of_io(&error)),
    }
}

fn failure(broken: Broken) -> Failure {
    match broken {
        Broken::Refused(why) => Failure::theirs(Reason::StarttlsRefused, Phase::Tls, why),
        Broken::Malformed(why) => Failure::theirs(Reason::StarttlsMalformed, Phase::Tls, why),
    }
}
