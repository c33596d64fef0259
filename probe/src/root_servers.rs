//! The question that every resolver can answer, whoever its customers are: which servers serve the root.
//!
//! Canaries are asked it, and our own resolver where a name could not be resolved.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

/// The root's NS records, wanted with recursion: RFC 1035 §4.1. The first two bytes are the id.
const QUESTION: [u8; 17] = [0, 0, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
/// The bit of the third byte that tells a reply from a question.
const REPLY: u8 = 0x80;
/// The bits of the fourth byte that are the response code.
const RCODE: u8 = 0x0f;

/// The response code of `server`'s reply over UDP, asked once from the address `source`. Waits for as long as it is
/// let.
///
/// # Errors
///
/// Fails where the question can't be sent, and where the server's machine says that nobody listens.
pub(crate) async fn ask(server: SocketAddr, source: Option<IpAddr>) -> io::Result<u8> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0)).await?;
    socket.connect(server).await?;
    let mut packet = QUESTION;
    aws_lc_rs::rand::fill(&mut packet[..2]).map_err(io::Error::other)?;
    socket.send(&packet).await?;
    let mut reply = [0; 512];
    loop {
        let length = socket.recv(&mut reply).await?;
        if QUESTION.len() <= length && reply[..2] == packet[..2] && reply[2] & REPLY != 0 {
            return Ok(reply[3] & RCODE);
        }
    }
}
