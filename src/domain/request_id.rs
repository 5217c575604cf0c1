//! A request's name in the answer, in the assertion, in logs: unique, and in order of time (UUID version 7, RFC 9562).

use http::HeaderValue;

/// Made once per request, shared by whoever names it.
#[derive(Debug, Clone)]
pub struct RequestId {
    text: Box<str>,
}

impl RequestId {
    /// A new one.
    pub fn new() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        Self { text: (&*text).into() }
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
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}
