//! The entrances: addresses, and the listeners behind each, picked by SNI.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::sign::CertifiedKey;

use crate::domain::HostName;

/// How a listener learns who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// By a client certificate; without a good one the visitor is refused in the given manner.
    Certificate(RefusalManner),
    /// Not here: the application asks for a password, and no identity header is ever set.
    Password,
}

/// How a certificate listener says no (TLS-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalManner {
    /// End the handshake with an alert.
    Close,
    /// Finish the handshake, answer one page that names the reason, close. Never proxy.
    Page,
}

/// One `[[listener]]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in metrics, audit records and the assertion.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The names it answers to: SNI and Host must both be among them.
    pub server_names: Vec<HostName>,
    /// The server's certificate chain and key, loaded and matched.
    pub certificate: Arc<CertifiedKey>,
    /// How it learns who is there.
    pub authentication: Authentication,
    /// Networks whose connections must start with a PROXY v2 header; from others one is an error.
    pub proxy_protocol_from: Vec<IpNet>,
}
