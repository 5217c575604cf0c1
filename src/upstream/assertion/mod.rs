//! The signed header: a compact JWS (RFC 7515) bound to one request (REQUIREMENTS IDN-06).
//!
//! JOSE header `{"alg","typ":"sekisho+jwt","kid"}`; the claims stand in DESIGN 5. HS256 costs about a microsecond; an
//! ES256 signature costs more than the rest of the request and is for verifiers that must not be able to sign.
//!
//! Invariant: a signature is made only from a [`VerifiedIdentity`], never from text.

mod key;
mod verify;

pub use key::{Algorithm, Key, KeyMistake};
pub use verify::{Claims, Expected, Invalid, verify};

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderName;

use crate::connection::affiliation::Affiliation;
use crate::connection::identity::VerifiedIdentity;

/// The `typ` of every assertion (RFC 8725 3.11: explicit typing).
pub const TYPE: &str = "sekisho+jwt";

/// `[assertion]` as values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the unchanged application reads, for example `X-Login-Id`.
    pub login_id_header: HeaderName,
    /// What proves it, for example `X-Login-Assertion`.
    pub header: HeaderName,
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
    pub method: Option<HeaderName>,
    /// `serial-header`: the certificate's serial in hexadecimal.
    pub serial: Option<HeaderName>,
    /// `not-after-header`: the certificate's end, RFC 3339.
    pub not_after: Option<HeaderName>,
    /// `organization-header`: the subject's O, percent-encoded outside visible ASCII.
    pub organization: Option<HeaderName>,
}

/// Signs what leaves for the application.
#[derive(Debug)]
pub struct Signer {
    key: Key,
    /// The JOSE header, the dot behind it and the claims that never change, in base64url.
    beginning: String,
    lifetime: i64,
}

/// The request that an assertion is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// `htm`.
    pub method: &'a str,
    /// `htu`: path and query as forwarded.
    pub target: &'a str,
    /// `bd`: base64url SHA-256 of the body, where it was inspected.
    pub body_digest: Option<&'a str>,
    /// `jti`: the request's ID.
    pub id: &'a str,
    /// `iat`, seconds since 1970.
    pub issued_at: i64,
}

impl Signer {
    /// A signer with the first of the settings' keys; `None` where there is none.
    pub fn new(settings: &Settings) -> Option<Self> {
        let key = settings.keys.first()?.clone();
        let header = serde_json::json!({ "alg": key.algorithm().name(), "typ": TYPE, "kid": key.id() }).to_string();
        let (issuer, audience) = (json_text(&settings.issuer), json_text(&settings.audience));
        let constant_claims = encode_part(format!("{{\"iss\":{issuer},\"aud\":{audience},"));
        Some(Self {
            key,
            beginning: format!("{}.{constant_claims}", BASE64_URL_SAFE_NO_PAD.encode(header.as_bytes())),
            lifetime: i64::try_from(settings.lifetime.as_secs()).unwrap_or(i64::MAX),
        })
    }

    /// The assertion that a visitor sends this request. `visitor` is what [`claims_of`] made.
    pub fn sign(&self, visitor: &str, request: Bound<'_>) -> Option<String> {
        let mut claims = String::with_capacity(256);
        let (issued, expires) = (request.issued_at, request.issued_at.saturating_add(self.lifetime));
        let (mut issued_text, mut expires_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (issued, expires) = (issued_text.format(issued), expires_text.format(expires));
        for piece in ["\"iat\":", issued, ",\"exp\":", expires, ",\"jti\":\"", request.id, "\",\"htm\":"] {
            claims.push_str(piece);
        }
        push_json(&mut claims, request.method);
        claims.push_str(",\"htu\":");
        push_json(&mut claims, request.target);
        if let Some(digest) = request.body_digest {
            claims.extend([",\"bd\":\"", digest, "\""]);
        }
        claims.push('}');

        let length = self.beginning.len() + visitor.len() + claims.len() * 4 / 3 + 100;
        let mut token = String::with_capacity(length);
        token.push_str(&self.beginning);
        token.push_str(visitor);
        BASE64_URL_SAFE_NO_PAD.encode_string(claims.as_bytes(), &mut token);
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Some(token)
    }
}

/// The claims about a visitor that are the same in every request, in base64url: encoded once for a connection.
pub fn claims_of(who: &VerifiedIdentity, affiliation: &Affiliation, listener: &str) -> String {
    let (subject, listener) = (json_text(who.login_id().as_str()), json_text(listener));
    let thumbprint = who.thumbprint();
    let registered = affiliation.registered().map_or_else(String::new, |(contract, role)| {
        format!("\"contract\":{},\"role\":\"{role}\",", json_text(contract.as_str()))
    });
    encode_part(format!(
        "{registered}\"sub\":{subject},\"cnf\":{{\"x5t#S256\":\"{thumbprint}\"}},\"amr\":[\"cert\"],\"listener\":{listener},"
    ))
}

/// A part of the claims in base64url. Blanks fill it up to whole groups of three octets, so that what follows can be encoded
/// by itself; JSON allows them between its tokens.
fn encode_part(mut claims: String) -> String {
    while !claims.len().is_multiple_of(3) {
        claims.push(' ');
    }
    BASE64_URL_SAFE_NO_PAD.encode(claims.as_bytes())
}

/// The public keys as a JWK set (RFC 7517). HS256 keys are secrets and never stand in it.
pub fn key_set(keys: &[Key]) -> serde_json::Value {
    serde_json::json!({ "keys": keys.iter().filter_map(Key::public_jwk).collect::<Vec<_>>() })
}

fn json_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    push_json(&mut quoted, text);
    quoted
}

/// Appends `text` as a JSON string. Almost nothing of it ever needs an escape, so the plain stretch is copied at once.
fn push_json(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                control if control < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(control));
                }
                plain => out.push(plain),
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_what_serde_would_write() {
        for text in ["", "plain", "a\"b", "a\\b", "tab\tnl\n\0\u{1f}", "日本語"] {
            let read: String = serde_json::from_str(&json_text(text)).unwrap();
            assert_eq!(read, text);
        }
    }
}
