//! A request with one meaning (REQUIREMENTS 2.11): what hyper's parser leaves open is closed here, before anything else
//! looks at it.
//!
//! Invariant: an [`Admitted`] request has one target, one host, a method that belongs to HTTP applications, and no
//! `Connection` header that takes end-to-end fields away.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request};
use hyper::body::Incoming;

use super::Limits;
use super::visit::Standing;
use crate::domain::HostName;
use crate::refusal::Refusal;

/// Tunnels and echoes. In any case: what one server takes for an unknown method, another takes for this one.
const REFUSED_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// Fields that `Connection` may nominate: they belong to the connection (RFC 9110 7.6.1). All are removed.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-authorization",
];

/// A request that may be looked at: of one meaning, by somebody with standing. Only [`admit`] makes one.
#[derive(Debug)]
pub struct Admitted<'v> {
    standing: Standing<'v>,
    /// The head, without the fields of the connection.
    pub(crate) parts: Parts,
    /// The body, unread.
    pub(crate) body: Incoming,
    target: PathAndQuery,
    host: HeaderValue,
}

impl<'v> Admitted<'v> {
    /// Path and query as they will be forwarded.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// The host as the client wrote it, perhaps with a port.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The parts, for the next stage.
    pub(crate) fn into_inner(self) -> (Standing<'v>, Parts, Incoming, PathAndQuery, HeaderValue) {
        (self.standing, self.parts, self.body, self.target, self.host)
    }
}

/// Admits a request, or says why it has no single meaning here.
///
/// # Errors
/// The refusal to answer with.
pub fn admit<'v>(standing: Standing<'v>, request: Request<Incoming>, limits: &Limits) -> Result<Admitted<'v>, Refusal> {
    let (mut parts, body) = request.into_parts();
    // HTTP/1 was counted by the parser; HTTP/2 only in bytes.
    if parts.headers.len() > limits.max_header_count {
        return Err(Refusal::TooManyHeaders);
    }
    if REFUSED_METHODS.iter().any(|refused| parts.method.as_str().eq_ignore_ascii_case(refused)) {
        return Err(Refusal::MethodNotAllowed);
    }
    settle_framing(&mut parts.headers)?;
    let host = host_of(&parts)?;
    let name = host.to_str().ok().and_then(HostName::parse_authority).ok_or(Refusal::BadHost)?;
    if !standing.visit().listener().serves(&name) {
        return Err(Refusal::MisdirectedRequest);
    }
    let target = target_of(&parts, limits.max_target_bytes)?;
    refuse_unknown_expectations(&parts.headers)?;
    remove_connection_fields(&mut parts.headers)?;
    Ok(Admitted { standing, parts, body, target, host })
}

/// One framing, written in one way. hyper undoes `chunked` and passes over whatever coding is named before it; HTTP/2
/// lets equal lengths stand twice.
fn settle_framing(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !codings.next().is_none_or(is_chunked) || codings.next().is_some() {
        return Err(Refusal::BadFraming);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    let is_number = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    let number = length.to_str().ok().filter(|_| is_number).and_then(|text| text.parse::<u64>().ok());
    match (number, lengths.next()) {
        (Some(number), None) => {
            headers.insert(CONTENT_LENGTH, number.into());
            Ok(())
        }
        (Some(_) | None, _) => Err(Refusal::BadFraming),
    }
}

/// The one host of a request: `Host`, `:authority`, and an absolute target must all say the same (HTP-05).
fn host_of(parts: &Parts) -> Result<HeaderValue, Refusal> {
    let mut fields = parts.headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::BadHost);
    }
    match (field, parts.uri.authority()) {
        (Some(field), None) => Ok(field.clone()),
        (Some(field), Some(authority)) if is_same(field, authority) => Ok(field.clone()),
        (None, Some(authority)) if parts.version == http::Version::HTTP_2 => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::BadHost)
        }
        (_, Some(_)) | (None, None) => Err(Refusal::BadHost),
    }
}

fn is_same(field: &HeaderValue, authority: &Authority) -> bool {
    field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
}

/// The target in origin form, or `*` for OPTIONS; visible ASCII only, and bounded.
fn target_of(parts: &Parts, max_bytes: usize) -> Result<PathAndQuery, Refusal> {
    if parts.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTPS) {
        return Err(Refusal::BadTarget);
    }
    let target = parts.uri.path_and_query().ok_or(Refusal::BadTarget)?;
    let text = target.as_str();
    if text.len() > max_bytes {
        return Err(Refusal::TargetTooLong);
    }
    let is_asterisk = text == "*" && parts.method == Method::OPTIONS;
    let is_visible = text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if is_visible && (text.starts_with('/') || is_asterisk) { Ok(target.clone()) } else { Err(Refusal::BadTarget) }
}

fn refuse_unknown_expectations(headers: &HeaderMap) -> Result<(), Refusal> {
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(EXPECT).iter().all(known) { Ok(()) } else { Err(Refusal::UnknownExpectation) }
}

/// Removes the connection's own fields. `Connection` may nominate those and fields that are not there; nominating any
/// field of this message, or one that a later hop might add, would take it away between our inspection and the
/// application, and is refused (IDN-11).
fn remove_connection_fields(headers: &mut HeaderMap) -> Result<(), Refusal> {
    for value in headers.get_all(CONNECTION) {
        let value = value.to_str().map_err(|_| Refusal::NominatedField)?;
        for token in value.split(',').map(str::trim).filter(|token| !token.is_empty()) {
            let is_known = |name: &&str| token.eq_ignore_ascii_case(name);
            if !is_known(&"close") && !HOP_BY_HOP.iter().any(is_known) {
                return Err(Refusal::NominatedField);
            }
        }
    }
    // Heads are short: one walk over the names costs less than looking each unwanted one up.
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| **name == EXPECT || HOP_BY_HOP.contains(&name.as_str())).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_may_nominate_only_what_belongs_to_the_connection() {
        for (value, allowed) in [
            ("keep-alive", true),
            ("close", true),
            ("Upgrade, HTTP2-Settings", true),
            ("TE, close", true),
            ("X-Login-Id", false),
            ("close, content-length", false),
            ("cookie", false),
            ("host", false),
            ("x-unheard-of", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, value.parse().unwrap());
            headers.insert("te", HeaderValue::from_static("trailers"));
            assert_eq!(remove_connection_fields(&mut headers).is_ok(), allowed, "{value}");
            assert!(!allowed || headers.is_empty());
        }
    }
}
