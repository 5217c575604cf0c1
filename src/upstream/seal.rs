//! From an admitted request to one that may leave: scrubbed, told who sent it, signed.
//!
//! Invariant: a [`Sealed`] request carries exactly the identity headers made here, or none on a password listener.

use std::fmt::Write as _;

use http::header::{COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use hyper::body::Incoming;

use super::UnderscoreHeaders;
use super::assertion::{Bound, Settings, Signer};
use super::scrub::Scrubber;
use crate::connection::identity::VerifiedIdentity;
use crate::connection::request::Admitted;
use crate::connection::visit::Standing;
use crate::domain::RequestId;
use crate::refusal::Refusal;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The request's ID, towards the application and towards the client.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Seals requests. Made once per configuration.
#[derive(Debug)]
pub struct Sealer {
    settings: Settings,
    signer: Signer,
    scrubber: Scrubber,
    forwarded_headers: bool,
}

/// A request that may leave for the application. Only [`Sealer::seal`] makes one.
#[derive(Debug)]
pub struct Sealed<'v> {
    pub(super) standing: Standing<'v>,
    pub(super) parts: Parts,
    pub(super) body: Incoming,
    pub(super) target: PathAndQuery,
    pub(super) host: HeaderValue,
    /// Inbound fields that claimed an identity.
    pub identities_removed: u64,
}

impl Sealer {
    /// A sealer that signs with the first key; `None` where there is no key.
    pub fn new(settings: Settings, underscores: UnderscoreHeaders, forwarded_headers: bool) -> Option<Self> {
        let signer = Signer::new(&settings)?;
        let scrubber = Scrubber::new(&settings, underscores);
        Some(Self { settings, signer, scrubber, forwarded_headers })
    }

    /// What cleans the application's answers of the same names.
    pub fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Seals a request. `id` is its ID, `now` in seconds since 1970.
    ///
    /// # Errors
    /// A header name that the configuration refuses, or no randomness to sign with.
    pub fn seal<'v>(&self, admitted: Admitted<'v>, id: &RequestId, now: i64) -> Result<Sealed<'v>, Refusal> {
        let (standing, mut parts, body, target, host) = admitted.into_inner();
        let identities_removed = self.scrubber.clean_request(&mut parts.headers)?;
        join_cookies(&mut parts.headers);
        parts.headers.insert(HOST, host.clone());
        parts.headers.insert(X_REQUEST_ID, id.to_header());
        if self.forwarded_headers {
            parts.headers.insert(X_FORWARDED_FOR, standing.visit().client_header().clone());
            parts.headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
            parts.headers.insert(X_FORWARDED_HOST, host.clone());
        }
        if let Some(who) = standing.customer() {
            let listener = standing.visit().listener().name();
            let bound = Bound {
                method: parts.method.as_str(),
                target: target.as_str(),
                listener,
                id: id.as_str(),
                issued_at: now,
            };
            let assertion = self.signer.sign(who, bound).ok_or(Refusal::CannotSign)?;
            self.tell_identity(&mut parts.headers, who, assertion);
        }
        Ok(Sealed { standing, parts, body, target, host, identities_removed })
    }

    fn tell_identity(&self, headers: &mut HeaderMap, who: &VerifiedIdentity, assertion: HeaderValue) {
        headers.insert(&self.settings.login_id_header, who.login_id_header().clone());
        headers.insert(&self.settings.header, assertion);
        let extra = &self.settings.extra_headers;
        let mut tell = |name: &Option<HeaderName>, value: &dyn Fn() -> String| {
            if let Some(name) = name
                && let Ok(value) = HeaderValue::from_str(&value())
            {
                headers.insert(name, value);
            }
        };
        tell(&extra.method, &|| "certificate".into());
        tell(&extra.serial, &|| who.serial());
        tell(&extra.not_after, &|| who.not_after().to_string());
        tell(&extra.organization, &|| percent_encode(who.organization().unwrap_or_default()));
    }
}

/// HTTP/2 may send one Cookie field per pair (RFC 9113 8.2.3); HTTP/1.1 applications expect one field.
fn join_cookies(headers: &mut HeaderMap) {
    let mut fields = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (fields.next(), fields.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for field in std::iter::once(second).chain(fields) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(field.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Visible ASCII and blanks as they are, all else (and `%`) percent-encoded as UTF-8 (IDN-10).
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (0x20..=0x7e).contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
