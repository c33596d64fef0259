//! Targets that do as they are told, on ports that the kernel chose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// A target that does `serve` with every connection.
pub(super) async fn serving<F, S>(serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    serving_at("127.0.0.1:0", serve).await
}

/// As [`serving`], at an address of one's choice.
pub(super) async fn serving_at<F, S>(address: &str, serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads a request up to the end of its head.
pub(super) async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_closed) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A whole response.
pub(super) fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A response with further header lines, each with its line end.
pub(super) fn response_with(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Answers every request with `bytes`, and closes.
pub(super) async fn saying(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    turns(vec![bytes.into()]).await
}

/// Answers the nth connection with the nth of `answers`, further ones with the last.
pub(super) async fn turns(answers: Vec<Vec<u8>>) -> SocketAddr {
    turns_at("127.0.0.1:0", answers).await
}

/// As [`turns`], at an address of one's choice.
pub(super) async fn turns_at(address: &str, answers: Vec<Vec<u8>>) -> SocketAddr {
    let (answers, turn) = (Arc::new(answers), Arc::new(AtomicUsize::new(0)));
    serving_at(address, move |mut stream| {
        let (answers, turn) = (Arc::clone(&answers), Arc::clone(&turn));
        async move {
            let turn = turn.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            request(&mut stream).await;
            let _gone = stream.write_all(&answers[turn]).await;
            let _gone = stream.shutdown().await;
        }
    })
    .await
}

/// Answers with `bytes` once `after` has gone by.
pub(super) async fn late(after: Duration, bytes: Vec<u8>) -> SocketAddr {
    serving(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            request(&mut stream).await;
            tokio::time::sleep(after).await;
            let _gone = stream.write_all(&bytes).await;
        }
    })
    .await
}

/// Sends `first` and then one byte each 50 ms for ever.
pub(super) async fn dripping(first: &'static [u8]) -> SocketAddr {
    serving(move |mut stream| async move {
        request(&mut stream).await;
        let _gone = stream.write_all(first).await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

/// Sends `first` and then bytes as fast as they are taken, for ever.
pub(super) async fn endless(first: &'static [u8]) -> SocketAddr {
    serving(move |mut stream| async move {
        request(&mut stream).await;
        let _gone = stream.write_all(first).await;
        while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
    })
    .await
}

/// Sends `first` and then `again` as fast as it is taken, for ever.
pub(super) async fn repeating(first: &'static [u8], again: &'static [u8]) -> SocketAddr {
    serving(move |mut stream| async move {
        request(&mut stream).await;
        let _gone = stream.write_all(first).await;
        let again = again.repeat(4_096 / again.len());
        while stream.write_all(&again).await.is_ok() {}
    })
    .await
}

/// Takes connections and says nothing.
pub(super) async fn silent() -> SocketAddr {
    serving(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

/// Sends `first` after `read` bytes have come, then resets.
pub(super) async fn resetting(read: usize, first: &'static [u8]) -> SocketAddr {
    serving(move |mut stream| async move {
        let mut taken = vec![0; read];
        let _gone = stream.read_exact(&mut taken).await;
        let _gone = stream.write_all(first).await;
        // What came before must arrive before the reset overtakes it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.set_zero_linger().unwrap();
    })
    .await
}

/// An address that nobody listens on.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A listener whose queue is full, so that the kernel drops further SYNs; lives as long as what holds it.
pub(super) async fn full_at(address: &str) -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        queued.push(stream);
    }
    (address, listener, queued)
}

/// Answers well and tells who asked.
pub(super) async fn telling_peers() -> (SocketAddr, mpsc::Receiver<SocketAddr>) {
    let (tell, peers) = mpsc::channel(8);
    let address = serving(move |mut stream| {
        let tell = tell.clone();
        async move {
            request(&mut stream).await;
            tell.send(stream.peer_addr().unwrap()).await.unwrap();
            let _gone = stream.write_all(&response("200 OK", "")).await;
        }
    })
    .await;
    (address, peers)
}
