//! A DNS server on loopback that knows one answer: every A question gets 192.0.2.10.

use std::net::{SocketAddr, UdpSocket};

/// Starts the server on a free port of loopback; it runs until the process ends.
pub fn start() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut question) {
            if let Some(answer) = answer(&question[..length]) {
                // An asker that has gone is not the server's business.
                let _gone = socket.send_to(&answer, asker);
            }
        }
    });
    address
}

/// The question sent back as an answer (RFC 1035 §4.1): one A record whose name points at the question's.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name = question.get(HEADER..)?.iter().position(|byte| *byte == 0)? + 1;
    let end = HEADER + name + 4;
    let mut answer = question.get(..end)?.to_vec();
    answer[2..HEADER].copy_from_slice(&[0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 10]);
    Some(answer)
}
