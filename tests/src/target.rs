//! A target whose truth is known: it behaves as it is told, and tells regions apart by their source address.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nines_shared::time::{Clock, Timestamp};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// 200 at once.
    Well,
    /// 200 after so many ms.
    Slow(u64),
    /// A status at once.
    Status(u16),
    /// A status after so many ms.
    SlowStatus(u64, u16),
    /// Takes the connection and closes it without a word.
    Hangup,
    /// Takes the connection and says nothing until the asker gives up.
    Mute,
}

/// An HTTP server.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    moods: Arc<Mutex<Moods>>,
    gone: Arc<AtomicBool>,
    /// Who accepts connections, and tells when it ceased to listen.
    acceptor: Mutex<Option<JoinHandle<Timestamp>>>,
}

#[derive(Debug)]
struct Moods {
    all: Mood,
    by_source: BTreeMap<IpAddr, Mood>,
    asked: u64,
}

impl Target {
    /// A target that is well, on a free port of loopback.
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"))
    }

    /// A target that is well, on `listener`, wherever it listens.
    pub fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let moods = Arc::new(Mutex::new(Moods { all: Mood::Well, by_source: BTreeMap::new(), asked: 0 }));
        let gone = Arc::new(AtomicBool::new(false));
        let acceptor = Mutex::new(Some(serve(listener, Arc::clone(&moods), Arc::clone(&gone))));
        Self { address, moods, gone, acceptor }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on all get `mood`. Returns the moment of the change.
    pub fn all(&self, mood: Mood) -> Timestamp {
        let mut moods = self.moods.lock().expect("no holder panics");
        moods.all = mood;
        moods.by_source.clear();
        Clock::system().now()
    }

    /// From now on who comes from `source` gets `mood`. Returns the moment of the change.
    pub fn for_source(&self, source: &str, mood: Mood) -> Timestamp {
        let source = source.parse().expect("a source is an address");
        self.moods.lock().expect("no holder panics").by_source.insert(source, mood);
        Clock::system().now()
    }

    /// Stops listening, so that connections are refused, until [`Target::listen`]. On loopback only. Returns the moment
    /// of the change.
    pub fn refuse(&self) -> Timestamp {
        self.gone.store(true, Ordering::SeqCst);
        let acceptor = self.acceptor.lock().expect("no holder panics").take().expect("it listens");
        // The acceptor sits in accept(): a connection of our own makes it look at the flag. One that meets the end of
        // the listener may be left without any answer.
        while !acceptor.is_finished() {
            let _woken = TcpStream::connect_timeout(&self.address, Duration::from_millis(50));
        }
        acceptor.join().expect("the acceptor does not panic")
    }

    /// Listens again, on the same port, after [`Target::refuse`].
    pub fn listen(&self) -> Timestamp {
        self.gone.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).expect("the port is still ours");
        let acceptor = serve(listener, Arc::clone(&self.moods), Arc::clone(&self.gone));
        *self.acceptor.lock().expect("no holder panics") = Some(acceptor);
        Clock::system().now()
    }

    /// How many requests it has had.
    pub fn asked(&self) -> u64 {
        self.moods.lock().expect("no holder panics").asked
    }
}

/// Serves `listener` until it is `gone`; gives the moment from which connections are refused.
fn serve(listener: TcpListener, moods: Arc<Mutex<Moods>>, gone: Arc<AtomicBool>) -> JoinHandle<Timestamp> {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if gone.load(Ordering::SeqCst) {
                break;
            }
            let moods = Arc::clone(&moods);
            std::thread::spawn(move || {
                // A connection that breaks is the asker's business; the truth is what the mood was.
                let _broken = answer(stream, &moods);
            });
        }
        drop(listener);
        Clock::system().now()
    })
}

fn answer(mut stream: TcpStream, moods: &Mutex<Moods>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let source = stream.peer_addr()?.ip();
    let mood = {
        let mut moods = moods.lock().expect("no holder panics");
        moods.asked += 1;
        moods.by_source.get(&source).copied().unwrap_or(moods.all)
    };
    if mood == Mood::Hangup {
        return Ok(());
    }
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            n => head.extend_from_slice(&chunk[..n]),
        }
    }
    let status = match mood {
        Mood::Well | Mood::Hangup => 200,
        Mood::Status(status) => status,
        Mood::Slow(ms) => {
            std::thread::sleep(Duration::from_millis(ms));
            200
        }
        Mood::SlowStatus(ms, status) => {
            std::thread::sleep(Duration::from_millis(ms));
            status
        }
        Mood::Mute => {
            while stream.read(&mut chunk)? != 0 {}
            return Ok(());
        }
    };
    write!(stream, "HTTP/1.1 {status} Scripted\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n")
}
