//! HTTP/1.1 on the wire (RFC 9112): what is read and written alike towards clients and towards the application.

pub mod framing;
pub mod outbox;

/// A message that is not written as RFC 9112 says, or can be read in two ways; the text says what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Fields that belong to a connection between two neighbours (RFC 9110 7.6.1), in lower case. `Trailer` may pass towards
/// clients: it only announces what follows.
pub const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-authorization",
];
