//! Signing keys: an ID, an algorithm that never changes, and the secret.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

/// The signature algorithms (RFC 7518, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256, a shared secret of 32 bytes or more.
    Hs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Its name in JOSE and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct KeyMistake(pub String);

/// A signing key with its ID. Its secret is never printed.
#[derive(Clone)]
pub struct Key {
    id: Arc<str>,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Hmac(Arc<hmac::Key>),
    P256(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// A signature's bytes. The common case, HMAC, stays off the heap.
pub(super) enum Signature {
    Hmac(hmac::Tag),
    Public(Vec<u8>),
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Hmac(tag) => tag.as_ref(),
            Self::Public(octets) => octets,
        }
    }
}

impl Key {
    /// Reads a key: raw bytes for HS256 (32 or more), PKCS#8 PEM for the others.
    ///
    /// # Errors
    /// A short HMAC key; anything but one PKCS#8 key of the algorithm's kind.
    pub fn parse(id: &str, algorithm: Algorithm, content: &[u8]) -> Result<Self, KeyMistake> {
        let pkcs8 = || {
            PrivatePkcs8KeyDer::from_pem_slice(content)
                .map_err(|_| KeyMistake(format!("an {} key is a PKCS#8 PEM", algorithm.name())))
        };
        let wrong_kind = |_| KeyMistake(format!("the key is not an {} key", algorithm.name()));
        let secret = match algorithm {
            Algorithm::Hs256 if content.len() < 32 => {
                return Err(KeyMistake(format!(
                    "an HS256 key is 32 random bytes or more, this one has {}",
                    content.len()
                )));
            }
            Algorithm::Hs256 => Secret::Hmac(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, content))),
            Algorithm::Es256 => Secret::P256(Arc::new(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8()?.secret_pkcs8_der())
                    .map_err(wrong_kind)?,
            )),
            Algorithm::EdDsa => Secret::Ed25519(Arc::new(
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8()?.secret_pkcs8_der()).map_err(wrong_kind)?,
            )),
        };
        Ok(Self { id: id.into(), secret })
    }

    /// The `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The algorithm, fixed by the key and never by a token.
    pub fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::Hmac(_) => Algorithm::Hs256,
            Secret::P256(_) => Algorithm::Es256,
            Secret::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// `None` only if the system gives no randomness.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Signature> {
        Some(match &self.secret {
            Secret::Hmac(key) => Signature::Hmac(hmac::sign(key, message)),
            Secret::P256(key) => Signature::Public(key.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
            Secret::Ed25519(key) => Signature::Public(key.sign(message).as_ref().to_vec()),
        })
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.secret {
            Secret::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Secret::P256(key) => {
                let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref());
                public.verify(message, signature).is_ok()
            }
            Secret::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key.public_key().as_ref()).verify(message, signature).is_ok()
            }
        }
    }

    /// The public key as a JWK; `None` for a shared secret.
    pub(super) fn public_jwk(&self) -> Option<serde_json::Value> {
        let mut jwk = match &self.secret {
            Secret::Hmac(_) => return None,
            Secret::P256(key) => {
                // An uncompressed point: 0x04, x, y.
                let (x, y) = key.public_key().as_ref().get(1..65)?.split_at(32);
                serde_json::json!({ "kty": "EC", "crv": "P-256",
                    "x": BASE64_URL_SAFE_NO_PAD.encode(x), "y": BASE64_URL_SAFE_NO_PAD.encode(y) })
            }
            Secret::Ed25519(key) => serde_json::json!({ "kty": "OKP", "crv": "Ed25519",
                "x": BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref()) }),
        };
        for (name, value) in [("kid", self.id()), ("alg", self.algorithm().name()), ("use", "sig")] {
            jwk[name] = value.into();
        }
        Some(jwk)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}
