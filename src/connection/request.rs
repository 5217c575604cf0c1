//! A request with one meaning (REQUIREMENTS 2.11): what parsers leave open is closed here, before anything else looks at it.
//!
//! Invariant: an [`Understood`] request has one target, one host, one framing, a method that belongs to HTTP applications,
//! and no `Connection` header that takes end-to-end fields away.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Version};

use super::Limits;
use super::body::RequestBody;
use super::visit::Standing;
use crate::refusal::Refusal;
use crate::wire::framing::Framing;
use crate::wire::is_hop_by_hop;

/// Tunnels and echoes. In any case: what one server takes for an unknown method, another takes for this one.
const REFUSED_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// A request that may be looked at: of one meaning, by somebody with standing. Only [`understand`] makes one. It is large,
/// and handed on from stage to stage: they hand on its box.
#[derive(Debug)]
pub struct Understood {
    standing: Standing,
    /// The head as it came; which of its fields end here, [`ends_here`] says.
    pub(crate) parts: Parts,
    /// The body, unread.
    pub(crate) body: RequestBody,
    target: PathAndQuery,
    host: HeaderValue,
    /// The body's length, where the client announced one.
    pub(crate) length: Option<u64>,
    /// The longest body that its route takes, where there is such a bound.
    pub(crate) max_body: Option<u64>,
}

impl Understood {
    /// Path and query as they will be forwarded.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// The host as the client wrote it, perhaps with a port.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Who sends it.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The same target in its canonical form.
    pub(crate) fn set_target(&mut self, canonical: PathAndQuery) {
        self.target = canonical;
    }

    /// Bounds the body: at once where the client announced more, else while it is passed on.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`].
    pub(crate) fn limit_body(&mut self, max: Option<u64>) -> Result<(), Refusal> {
        self.max_body = max;
        match (self.length, max) {
            (Some(length), Some(max)) if length > max => Err(Refusal::BodyTooLarge),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The body as it was inspected; from now on this is what the request says.
    pub(crate) fn replace_body(&mut self, body: Bytes) {
        self.length = Some(body.len() as u64);
        self.body = RequestBody::Inspected(Some(body));
    }

    /// The parts, for the next stage.
    pub(crate) fn into_inner(self) -> (Standing, Parts, RequestBody, PathAndQuery, HeaderValue) {
        (self.standing, self.parts, self.body, self.target, self.host)
    }
}

/// Understands a request, or says why it has no single meaning here.
///
/// # Errors
/// The refusal to answer with.
pub fn understand(
    standing: Standing,
    request: Request<RequestBody>,
    limits: &Limits,
) -> Result<Box<Understood>, Refusal> {
    let (parts, body) = request.into_parts();
    // HTTP/1 was counted by the parser; HTTP/2 only in bytes.
    if parts.headers.len() > limits.max_header_count {
        return Err(Refusal::TooManyHeaders);
    }
    if REFUSED_METHODS.iter().any(|refused| parts.method.as_str().eq_ignore_ascii_case(refused)) {
        return Err(Refusal::MethodNotAllowed);
    }
    let survey = Survey::of(&parts.headers, parts.version)?;
    let host = host_of(survey.host, &parts)?;
    standing.visit().serves(&host)?;
    let target = target_of(&parts, limits.max_target_bytes)?;
    if let Some(refusal) = survey.lesser_fault {
        return Err(refusal);
    }
    let length = survey.length;
    Ok(Box::new(Understood { standing, parts, body, target, host, length, max_body: None }))
}

/// Whether a field of this name (in lower case) belongs to the connection with the client, or is written anew for the one
/// with the application: neither is passed on.
pub(crate) fn ends_here(name: &str) -> bool {
    is_hop_by_hop(name) || matches!(name, "host" | "content-length" | "expect")
}

/// How the body of a request of HTTP/1 is framed.
///
/// # Errors
/// A head that [`understand`] will refuse.
pub(super) fn framing_of(headers: &HeaderMap, version: Version) -> Result<Framing, Refusal> {
    let survey = Survey::of(headers, version)?;
    Ok(match survey.length {
        _ if survey.is_chunked => Framing::chunked(),
        Some(1..) => Framing::Length(survey.length.unwrap_or_default()),
        Some(0) | None => Framing::Nothing,
    })
}

/// The fields that decide what a message means, found in one walk over its head.
#[derive(Debug, Default)]
struct Survey<'h> {
    host: Option<&'h HeaderValue>,
    length: Option<u64>,
    is_chunked: bool,
    /// What is wrong, but says nothing about where the message ends.
    lesser_fault: Option<Refusal>,
}

impl<'h> Survey<'h> {
    fn of(headers: &'h HeaderMap, version: Version) -> Result<Self, Refusal> {
        let mut survey = Self::default();
        let mut second_host = false;
        for (name, value) in headers {
            match name.as_str() {
                "host" => second_host |= survey.host.replace(value).is_some(),
                "content-length" => survey.note_length(value)?,
                "transfer-encoding" => survey.note_coding(value)?,
                "expect" if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                    survey.lesser_fault = Some(Refusal::UnknownExpectation);
                }
                "connection" if !nominates_only_its_own(value) => {
                    survey.lesser_fault.get_or_insert(Refusal::NominatedField);
                }
                _ => {}
            }
        }
        // A length beside chunks is how smuggling begins; HTTP/1.0 knows no chunks (RFC 9112 6.1).
        if survey.is_chunked && (survey.length.is_some() || version != Version::HTTP_11) {
            return Err(Refusal::BadFraming);
        }
        if second_host { Err(Refusal::BadHost) } else { Ok(survey) }
    }

    /// One length, in digits and nothing else.
    fn note_length(&mut self, value: &HeaderValue) -> Result<(), Refusal> {
        let is_number = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
        let number = value.to_str().ok().filter(|_| is_number).and_then(|text| text.parse().ok());
        match (number, self.length) {
            (Some(number), None) => self.length = Some(number),
            (Some(_) | None, _) => return Err(Refusal::BadFraming),
        }
        Ok(())
    }

    /// One coding, which is `chunked`.
    fn note_coding(&mut self, value: &HeaderValue) -> Result<(), Refusal> {
        let is_second = std::mem::replace(&mut self.is_chunked, true);
        if is_second || !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::BadFraming);
        }
        Ok(())
    }
}

/// The one host of a request: `Host`, `:authority`, and an absolute target must all say the same (HTP-05).
fn host_of(field: Option<&HeaderValue>, parts: &Parts) -> Result<HeaderValue, Refusal> {
    match (field, parts.uri.authority()) {
        (Some(field), None) => Ok(field.clone()),
        (Some(field), Some(authority)) if is_same(field, authority) => Ok(field.clone()),
        (None, Some(authority)) if parts.version == Version::HTTP_2 => {
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

/// `Connection` may nominate the connection's own fields (RFC 9110 7.6.1). Nominating any other, or one that a later hop might add, would
/// take it away between our inspection and the application (IDN-11).
fn nominates_only_its_own(value: &HeaderValue) -> bool {
    let is_own = |token: &str| token.eq_ignore_ascii_case("close") || is_hop_by_hop(&token.to_ascii_lowercase());
    value.to_str().is_ok_and(|text| text.split(',').map(str::trim).all(|token| token.is_empty() || is_own(token)))
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
            assert_eq!(nominates_only_its_own(&HeaderValue::from_static(value)), allowed, "{value}");
        }
    }

    #[test]
    fn the_fields_of_the_connection_end_here() {
        for name in ["connection", "te", "proxy-authorization", "host", "content-length", "expect"] {
            assert!(ends_here(name), "{name}");
        }
        assert!(!ends_here("cookie") && !ends_here("content-type"));
    }
}
