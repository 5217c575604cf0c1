//! Checks an assertion, as the application's side should: for `sekisho assertion verify`, the tour and the tests.
//!
//! The rules and the refusal words are those of the verifiers in `deploy/verify/`, which run the same vectors.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Key, TYPE};

/// Longer than any token that we sign.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// What the application knows about the request that carried the assertion.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The gateway's `iss`.
    pub issuer: &'a str,
    /// The application's `aud`.
    pub audience: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The request's path and query.
    pub target: &'a str,
    /// The value of the login ID header, where it is to be compared.
    pub login_id: Option<&'a str>,
    /// The body, where it is to be compared with `bd`.
    pub body: Option<&'a [u8]>,
    /// Seconds since 1970.
    pub now: i64,
    /// Clock difference that is tolerated, in seconds.
    pub skew: i64,
}

/// What a good assertion says.
#[derive(Debug, Clone)]
pub struct Claims {
    /// `sub`: the login ID.
    pub subject: String,
    /// `exp`, seconds since 1970.
    pub expires_at: i64,
    /// `jti`: the request's ID.
    pub id: String,
    /// All claims.
    pub json: Value,
}

/// Why an assertion is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.word())]
#[allow(missing_docs, reason = "the words explain themselves and stand in deploy/verify/README.md")]
pub enum Invalid {
    Malformed,
    UnknownKey,
    WrongAlgorithm,
    BadSignature,
    WrongType,
    WrongIssuer,
    WrongAudience,
    NotYetValid,
    Expired,
    TooLongLived,
    WrongMethod,
    WrongTarget,
    WrongSubject,
    WrongBody,
}

impl Invalid {
    /// The word shared with the verifiers of `deploy/verify/`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::WrongType => "wrong_type",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::TooLongLived => "too_long_lived",
            Self::WrongMethod => "wrong_method",
            Self::WrongTarget => "wrong_target",
            Self::WrongSubject => "wrong_subject",
            Self::WrongBody => "wrong_body",
        }
    }
}

/// The longest life of an assertion, in seconds; the configuration allows no longer one.
pub const MAX_LIFETIME: i64 = 300;

/// Verifies `token` against the keys and the request it came with.
///
/// # Errors
/// The first rule that it breaks.
pub fn verify(keys: &[Key], expected: &Expected<'_>, token: &str) -> Result<Claims, Invalid> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Invalid::Malformed);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [encoded_header, encoded_claims, encoded_signature] = parts[..] else { return Err(Invalid::Malformed) };
    let header = object(encoded_header)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let kid = text(&header, "kid").ok_or(Invalid::Malformed)?;
    if header.as_object().is_none_or(|members| members.len() != 3) {
        return Err(Invalid::Malformed);
    }
    let key = keys.iter().find(|key| key.id() == kid).ok_or(Invalid::UnknownKey)?;
    if header.get("alg").and_then(Value::as_str) != Some(key.algorithm().name()) {
        return Err(Invalid::WrongAlgorithm);
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(encoded_signature.as_bytes()).map_err(|_| Invalid::Malformed)?;
    let signed = &token[..encoded_header.len() + 1 + encoded_claims.len()];
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(Invalid::BadSignature);
    }
    if header.get("typ").and_then(Value::as_str) != Some(TYPE) {
        return Err(Invalid::WrongType);
    }
    let claims = object(encoded_claims)?;
    let required = |name| text(&claims, name).ok_or(Invalid::Malformed);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_i64).ok_or(Invalid::Malformed);
    let (issued, expires) = (seconds("iat")?, seconds("exp")?);
    let (subject, id) = (required("sub")?, required("jti")?);
    let body_matches = match (text(&claims, "bd"), expected.body) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(digest), Some(body)) => {
            let actual = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
            digest == BASE64_URL_SAFE_NO_PAD.encode(actual.as_ref())
        }
    };
    let rules = [
        (required("iss")? == expected.issuer, Invalid::WrongIssuer),
        (required("aud")? == expected.audience, Invalid::WrongAudience),
        (issued <= expected.now.saturating_add(expected.skew), Invalid::NotYetValid),
        (expires > expected.now.saturating_sub(expected.skew), Invalid::Expired),
        (expires.saturating_sub(issued) <= MAX_LIFETIME, Invalid::TooLongLived),
        (required("htm")? == expected.method, Invalid::WrongMethod),
        (required("htu")? == expected.target, Invalid::WrongTarget),
        (expected.login_id.is_none_or(|login_id| login_id == subject), Invalid::WrongSubject),
        (body_matches, Invalid::WrongBody),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, broken)) => Err(broken),
        None => Ok(Claims { subject, expires_at: expires, id, json: claims }),
    }
}

/// Decodes one part, a JSON object.
fn object(encoded: &str) -> Result<Value, Invalid> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded.as_bytes()).map_err(|_| Invalid::Malformed)?;
    serde_json::from_slice::<UniqueMembers>(&bytes)
        .map(|members| Value::Object(members.0))
        .map_err(|_| Invalid::Malformed)
}

/// A JSON object in which no member stands twice: serde_json alone would keep the last, other readers the first.
struct UniqueMembers(serde_json::Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = UniqueMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueMembers, A::Error> {
                let mut members = serde_json::Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a member stands twice"));
                    }
                }
                Ok(UniqueMembers(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
