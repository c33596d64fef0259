//! Asking canaries, all at once; the first answer is enough.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{CANARY_TIMEOUT, Canary};
use crate::root_servers;

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
        Canary::Dns(to) => root_servers::ask(to, source).await.map(drop),
    }
}

async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(to).await.map(drop)
}
