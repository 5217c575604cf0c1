//! The bank's side: sign, forward, clean the answer, settle what it decides.

pub mod seal;
pub mod scrub;
pub mod assertion;
pub mod forward;
pub mod head;
pub mod pool;
mod stream;
mod connection;
mod upload;
mod exchange;
pub mod body;
mod answer;
pub mod outcome;
pub mod settle;

use std::sync::Arc;
use std::time::Duration;

/// Whose name the application reads in `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's, as it was sent.
    Preserve,
    /// The upstream server's own authority.
    Upstream,
}

/// What to do with a request whose header names hold an underscore (IDN-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderscoreHeaders {
    /// Remove the fields.
    Drop,
    /// Answer 400.
    Refuse,
}

/// How a server of the application is spoken to.
#[derive(Debug, Clone)]
pub enum Scheme {
    /// Plain HTTP, for a loopback or private network.
    Http,
    /// TLS that trusts only `[upstream.tls] ca`.
    Https(Arc<rustls::ClientConfig>),
}

/// One server of the application.
#[derive(Debug, Clone)]
pub struct Server {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// A DNS name or an IP literal, without brackets.
    pub host: String,
    /// The port, 80 or 443 where the URL names none.
    pub port: u16,
    /// `host:port` as it stands in `Host` and in the application's own links.
    pub authority: String,
}

/// `[upstream]` as values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The application's servers, in the order of preference (round robin among those that are up).
    pub servers: Vec<Server>,
    /// Until a connection to a server stands, TLS included.
    pub connect_timeout: Duration,
    /// Until the head of the answer, and then between two reads of its body.
    pub response_timeout: Duration,
    /// How long an unused connection is kept. Below the application's own keep-alive, else requests meet dying connections.
    pub idle_timeout: Duration,
    /// Connections to the application per worker, idle and in use.
    pub max_connections: usize,
    /// How long a server that refused a connection is passed over.
    pub down_time: Duration,
    /// Bytes of an answer's head.
    pub max_header_bytes: usize,
    /// Whose name stands in `Host`.
    pub host: HostHeader,
    /// Inbound names with an underscore.
    pub underscore_headers: UnderscoreHeaders,
    /// Send X-Forwarded-For, -Proto and -Host (ours alone).
    pub forwarded_headers: bool,
    /// Add `Secure` to the application's cookies.
    pub secure_cookies: bool,
    /// Rewrite a `Location` that names the upstream to the public origin.
    pub rewrite_location: bool,
    /// Write `Title-Case` header names for servers that want them (HTP-08).
    pub title_case_headers: bool,
}
