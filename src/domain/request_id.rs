//! A request's name in the answer, in the assertion, in logs: unique, and in order of time (UUID version 7, RFC 9562).

use std::fmt;

use http::HeaderValue;
use uuid::Uuid;

/// Made once per request, shared by whoever names it.
#[derive(Debug, Clone)]
pub struct RequestId {
    text: Box<str>,
    uuid: Uuid,
}

impl RequestId {
    /// A new one.
    pub fn new() -> Self {
        let uuid = Uuid::now_v7();
        let mut buffer = Uuid::encode_buffer();
        Self { text: (&*uuid.hyphenated().encode_lower(&mut buffer)).into(), uuid }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As `X-Request-Id`.
    pub fn to_header(&self) -> HeaderValue {
        // Hexadecimal digits and dashes, written above.
        HeaderValue::from_str(&self.text).unwrap_or(HeaderValue::from_static("-"))
    }

    /// The name of the transfer that this request is.
    pub fn transfer(&self) -> TransferId {
        TransferId(self.uuid)
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

/// A transfer's name in the ledger: its request's, so that one word finds it in every log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId(Uuid);

impl TransferId {
    /// Reads what [`TransferId`] displays.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().filter(|uuid| text == uuid.hyphenated().to_string()).map(Self)
    }

    /// As it is stored: sixteen octets, in the order of time.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The reverse.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}
