//! From a granted request to one that may leave: scrubbed, told who sent it, signed.
//!
//! Invariant: a [`Sealed`] request carries exactly the identity headers made here, or none on a password listener.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{
    ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};

use super::assertion::{Bound, Settings, Signer, claims_of};
use super::head::{Fields, RequestHead};
use super::scrub::Scrubber;
use crate::connection::body::RequestBody;
use crate::connection::identity::VerifiedIdentity;
use crate::connection::visit::Standing;
use crate::domain::RequestId;
use crate::policy::buffers::Room;
use crate::policy::consequence::Consequence;
use crate::policy::rate_limit::OnTrial;
use crate::policy::reserve::Reserved;
use crate::policy::route::Route;
use crate::policy::session::Expected;
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
    title_case: bool,
}

/// A request that may leave for the application. Only [`Sealer::seal`] makes one.
#[derive(Debug)]
pub struct Sealed {
    pub(super) standing: Standing,
    pub(super) head: RequestHead,
    /// What the client wrote in Host.
    pub(super) host: HeaderValue,
    pub(super) body: RequestBody,
    /// The body's length, where the client announced one.
    pub(super) length: Option<u64>,
    /// The longest body that its route takes.
    pub(super) max_body: Option<u64>,
    pub(super) route: Arc<Route>,
    /// What the answer will decide.
    pub(super) consequence: Consequence,
    pub(super) on_trial: OnTrial,
    /// Whose the sessions are that the answer begins.
    pub(super) answer: Expected,
    /// The memory that an inspected body takes.
    pub(super) room: Option<Room>,
    /// Inbound fields that claimed an identity.
    pub identities_removed: u64,
}

impl Sealer {
    /// A sealer that signs with the first key; `None` where there is no key.
    pub fn new(settings: Settings, upstream: &super::Settings) -> Option<Self> {
        let signer = Signer::new(&settings)?;
        let scrubber = Scrubber::new(&settings, upstream.underscore_headers);
        let super::Settings { forwarded_headers, title_case_headers: title_case, .. } = *upstream;
        Some(Self { settings, signer, scrubber, forwarded_headers, title_case })
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
    pub fn seal(&self, reserved: Reserved, id: &RequestId, now: i64) -> Result<Sealed, Refusal> {
        let Reserved { request, route, consequence, on_trial, answer, room, .. } = reserved;
        let (length, max_body) = (request.length, request.max_body);
        let (standing, mut parts, body, target, host) = request.into_inner();
        let digest = inspected_digest(&body);
        if route.treatment.markers().is_some() {
            ask_for_a_whole_plain_page(&mut parts.headers);
        }
        let mut fields = Fields::new(self.title_case);
        let identities_removed = self.scrubber.pass_on(&parts.headers, &mut fields)?;
        fields.add(&X_REQUEST_ID, id.as_str().as_bytes());
        if self.forwarded_headers {
            fields.add(&X_FORWARDED_FOR, standing.visit().client_header().as_bytes());
            fields.add(&X_FORWARDED_PROTO, b"https");
            fields.add(&X_FORWARDED_HOST, host.as_bytes());
        }
        let told =
            standing.told_claims(|who, affiliation| claims_of(who, affiliation, standing.visit().listener().name()));
        if let Some((who, visitor)) = standing.customer().zip(told) {
            let bound = Bound {
                method: parts.method.as_str(),
                target: target.as_str(),
                body_digest: digest.as_deref(),
                id: id.as_str(),
                issued_at: now,
            };
            let assertion = self.signer.sign(visitor, bound).ok_or(Refusal::CannotSign)?;
            self.tell_identity(&mut fields, who, &assertion);
        }
        let head = RequestHead { method: parts.method, target, fields };
        Ok(Sealed {
            standing,
            head,
            host,
            body,
            length,
            max_body,
            route,
            consequence,
            on_trial,
            answer,
            room,
            identities_removed,
        })
    }

    fn tell_identity(&self, fields: &mut Fields, who: &VerifiedIdentity, assertion: &str) {
        fields.add(&self.settings.login_id_header, who.login_id_header().as_bytes());
        fields.add(&self.settings.header, assertion.as_bytes());
        let extra = &self.settings.extra_headers;
        let mut tell = |name: &Option<HeaderName>, value: &dyn Fn() -> String| {
            if let Some(name) = name {
                fields.add(name, value().as_bytes());
            }
        };
        tell(&extra.method, &|| "certificate".into());
        tell(&extra.serial, &|| who.serial());
        tell(&extra.not_after, &|| who.not_after().to_string());
        tell(&extra.organization, &|| percent_encode(who.organization().unwrap_or_default()));
    }
}

/// `bd`: the SHA-256 of an inspected body in base64url. A streamed body is not known when its head leaves.
fn inspected_digest(body: &RequestBody) -> Option<String> {
    match body {
        RequestBody::Inspected(Some(bytes)) => Some(BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes).as_ref())),
        RequestBody::Inspected(None) | RequestBody::Empty | RequestBody::Http1(_) | RequestBody::Http2(_) => None,
    }
}

/// A page that is compressed, a part of one, or none because the client has it already, shows no marker (HTP-07).
fn ask_for_a_whole_plain_page(headers: &mut HeaderMap) {
    for name in [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
        headers.remove(name);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
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
