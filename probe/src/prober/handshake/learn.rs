//! Asking a target with a hello of our own what it would take, on a connection of its own.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use nines_shared::sample::{Phase, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Host;

use super::answer::{Answer, Reader};
use super::hello::{self, Asked, RANDOM_BYTES};
use super::{Terms, refusal, starttls};
use crate::prober::failure::Failure;
use crate::prober::{Look, connect};

/// A farewell: the warning `close_notify`, in the clear.
const FAREWELL: [u8; 7] = [21, 3, 1, 0, 2, 1, 0];

/// What the target at `to`, which was contacted before, answers to `asked`.
pub(crate) async fn learn(look: &Look<'_>, to: SocketAddr, terms: &Terms<'_>, asked: Asked) -> Result<Answer, Failure> {
    let mut random = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_unspecified| Failure::ours(Reason::Internal, Phase::Tls, "no random numbers can be had"))?;
    let name = match terms.name {
        Host::Domain(name) => Some(name.strip_suffix('.').unwrap_or(name)),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    };
    let hello = hello::hello(asked, name, &random);
    let mut stream = connect::dial(to, look.prober.vantage.source).await?;
    if let Some(protocol) = terms.starttls {
        starttls::agree(&mut stream, protocol).await?;
    }
    // What is not TLS comes as invalid data, which is `tls_malformed`.
    let answer = exchange(&mut stream, &hello).await.map_err(|error| refusal::of_io(&error))?;
    if matches!(answer, Answer::Takes { .. }) {
        // So that the target's log shows no broken handshake. It need not arrive.
        let _gone_already = stream.write_all(&FAREWELL).await;
    }
    Ok(answer)
}

async fn exchange(stream: &mut TcpStream, hello: &[u8]) -> io::Result<Answer> {
    if let Err(error) = stream.write_all(hello).await {
        return closed(error);
    }
    let (mut reader, mut buffer) = (Reader::default(), [0; 4_096]);
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) => return Ok(Answer::Closed),
            Ok(read) => read,
            Err(error) => return closed(error),
        };
        let taken = reader.take(&buffer[..read]);
        if let Some(answer) = taken.map_err(|broken| io::Error::new(ErrorKind::InvalidData, broken))? {
            return Ok(answer);
        }
    }
}

/// A reset is a refusal as well.
fn closed(error: io::Error) -> io::Result<Answer> {
    let closed =
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe);
    if closed { Ok(Answer::Closed) } else { Err(error) }
}
