//! HTTP/1.1 on the wire (RFC 9112): what is read and written alike towards clients and towards the application.

pub mod framing;
pub mod outbox;

/// A message that is not written as RFC 9112 says, or can be read in two ways; the text says what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Whether a field of this name (in lower case) belongs to a connection between two neighbours (RFC 9110 7.6.1). `Trailer`
/// may pass towards clients: it only announces what follows.
pub fn is_hop_by_hop(name: &str) -> bool {
    // Literals: the compiler compares them by length first, without a call.
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy-authorization"
    )
}

/// Writes one header field. Names and values come from types that hold no control characters.
pub fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}
