//! A line that is long: what goes in comes out later, in order, whichever way it goes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tokio::time::Instant;

use crate::net::Host;

/// How many pieces of up to [`PIECE`] bytes a line holds; whoever sends more waits.
const PIECES: usize = 256;
const PIECE: usize = 16 << 10;

/// Takes connections on a free port of `host` and passes them on to `to`, each byte `delay` later. Returns where
/// it listens; it runs until the process ends.
pub fn start(host: &Host, to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener: TcpListener = host.listen();
    let address = listener.local_addr().expect("a bound listener has an address");
    let host = host.clone();
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            // Nobody there is for the other end to find out: its connection closes.
            let Ok(far) = host.within(|| TcpStream::connect(to)) else { continue };
            for (from, into) in [(&near, &far), (&far, &near)] {
                pass(from, into, delay);
            }
        }
    });
    address
}

/// Passes on what comes from one stream into another, until either ends.
fn pass(from: &TcpStream, into: &TcpStream, delay: Duration) {
    let mut from = from.try_clone().expect("a stream can be shared");
    let into = into.try_clone().expect("a stream can be shared");
    let (line, end) = sync_channel(PIECES);
    std::thread::spawn(move || deliver(&end, into));
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if line.send((Instant::now() + delay, piece[..length].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn deliver(end: &Receiver<(Instant, Vec<u8>)>, mut into: TcpStream) {
    for (due, piece) in end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if into.write_all(&piece).is_err() {
            return;
        }
    }
    // It may have been shut down from the other side before, which comes to the same.
    let _shut = into.shutdown(Shutdown::Write);
}
