//! The signed header: a compact JWS bound to the request.

use std::time::Duration;

/// A signing or verifying key with its ID.
#[derive(Debug, Clone)]
pub struct Key {
    _private: (),
}

/// The signature algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256, a shared secret of 32 bytes or more.
    Hs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct KeyMistake(pub String);

impl Key {
    /// Reads a key: raw bytes for HS256 (32 or more), PKCS#8 PEM for the others.
    pub fn parse(id: &str, algorithm: Algorithm, content: &[u8]) -> Result<Self, KeyMistake> {
        let _ = (id, algorithm, content);
        todo!()
    }
}

/// `[assertion]` as values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the unchanged application reads, for example `X-Login-Id`.
    pub login_id_header: http::HeaderName,
    /// What proves it, for example `X-Login-Assertion`.
    pub header: http::HeaderName,
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
    /// The first signs; the others are served in the JWKS, so that keys can overlap. Never empty.
    pub keys: Vec<Key>,
    /// Optional headers that tell the application how the customer came (IDN-08); none is sent unless named.
    pub extra_headers: ExtraHeaders,
}

/// `[assertion]`'s optional headers, each sent only on certificate listeners and removed from every inbound request.
#[derive(Debug, Clone, Default)]
pub struct ExtraHeaders {
    /// `method-header`: `certificate`.
    pub method: Option<http::HeaderName>,
    /// `serial-header`: the certificate's serial in hexadecimal.
    pub serial: Option<http::HeaderName>,
    /// `not-after-header`: the certificate's end, RFC 3339.
    pub not_after: Option<http::HeaderName>,
    /// `organization-header`: the subject's O.
    pub organization: Option<http::HeaderName>,
}
