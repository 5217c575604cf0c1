//! A request's name in the answer, in the assertion, in logs: unique, and in order of time (UUID version 7, RFC 9562).

use bytes::Bytes;
use http::HeaderValue;

/// Made once per request, shared by whoever names it.
#[derive(Debug, Clone)]
pub struct RequestId {
    text: Bytes,
}

impl RequestId {
    /// A new one.
    pub fn new() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        Self { text: Bytes::copy_from_slice(text.as_bytes()) }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits and dashes, written above.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// As `X-Request-Id`.
    pub fn to_header(&self) -> HeaderValue {
        // The same octets; they are visible ASCII, so this cannot fail.
        HeaderValue::from_maybe_shared(self.text.clone()).unwrap_or(HeaderValue::from_static("-"))
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}
