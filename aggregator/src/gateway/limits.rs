//! The limits of the probes' door, each with its name (INV-9).

use std::time::Duration;

/// Connections at one time; further ones wait in the kernel's queue. A probe has three: it delivers, and waits for work
/// and for asks.
pub const MAX_CONNECTIONS: usize = 1_536;
/// Connections at one time from one address, or one /64 of IPv6; further ones are closed at once. Half of all: 256
/// probes may sit behind one address, and whoever storms from there leaves room for the rest.
pub const MAX_CONNECTIONS_OF_ONE: usize = 768;
/// How long a connection may take for its TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may take to send a request's head, idle time between requests included.
pub const HEAD: Duration = Duration::from_secs(60);
/// How long a request's body may take.
pub const BODY: Duration = Duration::from_secs(30);
/// How long a connection without a certificate may last: long enough to join.
pub const STRANGER: Duration = Duration::from_secs(30);
/// Connections without a certificate at one time; further ones are closed at once. A sixth of all: whoever may be
/// anybody leaves the rest to the fleet, and as many machines may join at once.
pub const MAX_STRANGERS: usize = 256;
/// Requests to join that are being looked at at one time; further ones wait. They share readers and writer with the
/// fleet.
pub const JOINS_AT_WORK: usize = 2;
/// How long a connection with a certificate may last; then it is closed in order and made anew, so that
/// a certificate that has ended does not live on in a connection.
pub const CONNECTION: Duration = Duration::from_secs(3_600);
/// How long a connection that is being closed may take to finish what it is at.
pub const CLOSING: Duration = Duration::from_secs(5);
/// How long a batch may wait for its turn and its commit before the probe is told to come again.
pub const COMMIT: Duration = Duration::from_secs(10);
/// Batches decompressed, read and checked at one time; each may need some 30 MiB while it is.
pub const BATCHES_AT_WORK: usize = 8;
/// Batches that wait for their commit at one time, those among them that nobody waits for any more; further ones wait
/// within [`COMMIT`], and are given up with their request.
pub const DELIVERIES_AT_WORK: usize = 128;
/// The most bytes of a request's head.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most header fields of a request.
pub const MAX_HEADERS: usize = 64;
/// The most requests that one HTTP/2 connection may have open.
pub const MAX_STREAMS: u32 = 8;
/// The most bytes of a request to join.
pub const MAX_JOIN_BYTES: usize = 16 << 10;
/// When a probe is to come again after a 503, in seconds.
pub const RETRY_AFTER_S: u64 = 2;

/// The limits that tests make shorter. The default is the constants above.
#[derive(Clone, Debug)]
pub struct Limits {
    /// See [`MAX_CONNECTIONS`].
    pub connections: usize,
    /// See [`MAX_CONNECTIONS_OF_ONE`].
    pub connections_of_one: usize,
    /// See [`HANDSHAKE`].
    pub handshake: Duration,
    /// See [`HEAD`].
    pub head: Duration,
    /// See [`BODY`].
    pub body: Duration,
    /// See [`STRANGER`].
    pub stranger: Duration,
    /// See [`MAX_STRANGERS`].
    pub strangers: usize,
    /// See [`CONNECTION`].
    pub connection: Duration,
    /// See [`CLOSING`].
    pub closing: Duration,
    /// See [`COMMIT`].
    pub commit: Duration,
    /// See [`BATCHES_AT_WORK`].
    pub batches_at_work: usize,
    /// See [`DELIVERIES_AT_WORK`].
    pub deliveries_at_work: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            connections_of_one: MAX_CONNECTIONS_OF_ONE,
            handshake: HANDSHAKE,
            head: HEAD,
            body: BODY,
            stranger: STRANGER,
            strangers: MAX_STRANGERS,
            connection: CONNECTION,
            closing: CLOSING,
            commit: COMMIT,
            batches_at_work: BATCHES_AT_WORK,
            deliveries_at_work: DELIVERIES_AT_WORK,
        }
    }
}
