//! Who is there: from a socket to a visit by a verified customer.

pub mod census;
pub mod listener;
mod proxy_protocol;
mod socket;
pub mod handshake;
mod verifier;
mod sessions;
pub mod trust;
mod issuing_ca;
mod lists;
pub mod revocation;
mod der;
pub mod identity;
pub mod affiliation;
pub mod visit;
pub mod registrar;
pub mod http;
mod http1;
pub mod body;
pub mod request;
pub mod roll;
mod streams;
mod transport;
mod frames;

pub use visit::{Standing, Visit, Visitor};

use std::time::Duration;

/// `[limits]`: what one client may cost. Each has a default that survives the public internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From accepting the socket to the end of the TLS handshake, PROXY header included.
    pub handshake_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Between two reads of a request's body.
    pub body_timeout: Duration,
    /// From the beginning to the end of a body that is read before it is forwarded.
    pub inspection_timeout: Duration,
    /// Memory for such bodies, in all.
    pub max_inspected_bytes: usize,
    /// The same for one login ID, or one address where there is none.
    pub max_inspected_bytes_per_login_id: usize,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// Open connections in all.
    pub max_connections: usize,
    /// Open connections of one client address (IPv6: of one /64).
    pub max_connections_per_address: usize,
    /// Handshakes under way at once, per worker.
    pub max_handshakes: usize,
    /// Bytes of a request's head.
    pub max_header_bytes: usize,
    /// Header fields of a request.
    pub max_header_count: usize,
    /// Bytes of a request's path and query. The assertion repeats them, so they bound its size too: verifiers read
    /// tokens of up to 8 KiB.
    pub max_target_bytes: usize,
    /// Streams under way on one HTTP/2 connection.
    pub max_streams: u32,
    /// Requests of one HTTP/2 connection that a client may give up before their answer; ten a second are forgiven.
    pub max_resets: u32,
    /// Frames of one HTTP/2 connection that ask for work and bring nothing; a hundred a second are forgiven.
    pub max_control_frames: u32,
    /// Bytes kept for resumable TLS sessions, per listener.
    pub session_cache: u64,
    /// How long a TLS session can be resumed.
    pub session_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            inspection_timeout: Duration::from_secs(30),
            max_inspected_bytes: 64 << 20,
            max_inspected_bytes_per_login_id: 1 << 20,
            write_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            max_handshakes: 256,
            max_header_bytes: 16 << 10,
            max_header_count: 100,
            max_target_bytes: 4 << 10,
            max_streams: 100,
            max_resets: 100,
            max_control_frames: 1_000,
            session_cache: 32 << 20,
            session_lifetime: Duration::from_secs(3600),
        }
    }
}
