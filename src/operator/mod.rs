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
    /// The control socket, mode 0600.
    pub control: PathBuf,
}
