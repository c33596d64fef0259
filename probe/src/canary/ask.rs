//! Asking canaries, all at once; the first answer is enough.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpSocket, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{CANARY_TIMEOUT, Canary};

/// A question for the root's name servers, which every resolver can answer: RFC 1035 §4.1. The first two
/// bytes are the id.
const QUESTION: [u8; 17] = [0, 0, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
/// The bit of the third byte that tells a reply from a question.
const REPLY: u8 = 0x80;

/// Whether any of `list` answers within [`CANARY_TIMEOUT`].
pub(super) async fn any(list: &[Canary], source: Option<IpAddr>) -> bool {
    let mut asked = JoinSet::new();
    for canary in list.iter().copied() {
        asked.spawn(timeout(CANARY_TIMEOUT, one(canary, source)));
    }
    while let Some(answer) = asked.join_next().await {
        if matches!(answer, Ok(Ok(Ok(())))) {
            return true;
        }
    }
    false
}

async fn one(canary: Canary, source: Option<IpAddr>) -> io::Result<()> {
    match canary {
        Canary::Tcp(to) => connect(to, source).await,
        Canary::Dns(to) => question(to, source).await,
    }
}

async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(to).await.map(drop)
}

async fn question(to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0)).await?;
    socket.connect(to).await?;
    let mut packet = QUESTION;
    aws_lc_rs::rand::fill(&mut packet[..2]).map_err(io::Error::other)?;
    socket.send(&packet).await?;
    let mut reply = [0; 512];
    loop {
        let length = socket.recv(&mut reply).await?;
        if QUESTION.len() <= length && reply[..2] == packet[..2] && reply[2] & REPLY != 0 {
            return Ok(());
        }
    }
}
