//! Whether this machine has a way to an address, as its kernel sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The port by which the way is looked up where the protocol has none.
const DISCARD: u16 = 9;

/// Whether the kernel would send from `source` to `to`. Nothing is sent: a datagram socket that is connected only
/// looks up its way. Where no socket can be had nobody knows, and it is taken for ours: there is none.
pub(super) fn is_there(to: SocketAddr, source: Option<IpAddr>) -> bool {
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let port = if to.port() == 0 { DISCARD } else { to.port() };
    UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0))
        .is_ok_and(|socket| socket.connect(SocketAddr::new(to.ip(), port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_a_way_and_an_address_of_nobody_has_none() {
        assert!(is_there("127.0.0.1:0".parse().unwrap(), None));
        assert!(is_there("127.0.0.1:443".parse().unwrap(), Some("127.0.0.11".parse().unwrap())));
        // Not ours to look from, and of another family than the source.
        assert!(!is_there("127.0.0.1:443".parse().unwrap(), Some("192.0.2.77".parse().unwrap())));
        assert!(!is_there("[::1]:443".parse().unwrap(), Some("127.0.0.1".parse().unwrap())));
    }
}
