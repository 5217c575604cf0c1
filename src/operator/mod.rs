//! What operators and security teams see: metrics, the audit log, health, the key set, the control socket.

pub mod audit;
pub mod control;
pub mod health;
pub mod metrics;
pub mod quota;

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[operator]` as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where /metrics, /health/* and /.well-known/jwks.json are served. Loopback only.
    pub address: SocketAddr,
    /// The control socket.
    pub control: PathBuf,
    /// Whether acts that let more money move need a second person.
    pub second_person: SecondPerson,
}

/// Whether acts that let more money move need two people (LIM-28, OPS-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondPerson {
    /// One is enough.
    NotNeeded,
    /// Two Unix users must ask for the same.
    Needed,
}
