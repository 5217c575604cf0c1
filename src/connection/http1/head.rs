//! The head of a request, read without mercy: what two servers might read in two ways is refused, here or by
//! [`request::admit`](super::super::request::admit) (HTP-01).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use super::super::Limits;
use crate::wire::Malformed;

/// So many fields are read without a place on the heap.
const USUAL_FIELDS: usize = 100;

/// Why a head was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    Malformed,
    TooLarge,
}

impl From<Malformed> for BadHead {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Where the head ends, if it does; each of its lines ends with CR LF.
pub(super) fn end_of(input: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut line = 0;
    for end in memchr::memchr_iter(b'\n', input) {
        match input[line..=end] {
            [b'\r', b'\n'] => return Ok(Some(end + 1)),
            [.., b'\r', b'\n'] => line = end + 1,
            _ => return Err(Malformed("a line that ends without CR")),
        }
    }
    Ok(None)
}

/// Reads a whole head.
pub(super) fn read(head: &Bytes, limits: &Limits) -> Result<(Request<()>, Manners), BadHead> {
    if limits.max_header_count <= USUAL_FIELDS {
        let mut room = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
        read_into(head, &mut room[..limits.max_header_count])
    } else {
        read_into(head, &mut vec![MaybeUninit::uninit(); limits.max_header_count])
    }
}

fn read_into<'h>(
    head: &'h Bytes,
    room: &mut [MaybeUninit<httparse::Header<'h>>],
) -> Result<(Request<()>, Manners), BadHead> {
    let mut parsed = httparse::Request::new(&mut []);
    match httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, head, room) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
        Ok(_) | Err(_) => return Err(BadHead::Malformed),
    }
    let mut request = Request::new(());
    let target = parsed.path.unwrap_or_default();
    // What stands behind `#` is for browsers; the parser of targets would cut it off.
    if target.contains('#') {
        return Err(BadHead::Malformed);
    }
    *request.method_mut() =
        Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(|_| BadHead::Malformed)?;
    *request.uri_mut() = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_| BadHead::Malformed)?;
    *request.version_mut() = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut manners = Manners::before_fields(request.version(), request.method());
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadHead::Malformed)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(|_| BadHead::Malformed)?;
        manners.note(&name, &value);
        headers.append(name, value);
    }
    *request.headers_mut() = headers;
    Ok((request, manners))
}

/// What a request says of the connection it came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manners {
    pub version: Version,
    /// Whether the client will send another request.
    pub keeps_alive: bool,
    /// Whether it waits for 100 before it sends its body.
    pub expects_continue: bool,
    /// Whether it reads trailers.
    pub takes_trailers: bool,
    /// Whether an answer has no body, whatever its head says.
    pub is_head: bool,
    /// Whether a field says how a body is framed.
    pub frames_a_body: bool,
}

impl Manners {
    fn before_fields(version: Version, method: &Method) -> Self {
        Self {
            version,
            keeps_alive: version == Version::HTTP_11,
            expects_continue: false,
            takes_trailers: false,
            is_head: *method == Method::HEAD,
            frames_a_body: false,
        }
    }

    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        let is_current = self.version == Version::HTTP_11;
        let has = |token: &str| {
            value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case(token)))
        };
        match name.as_str() {
            "connection" if is_current => self.keeps_alive &= !has("close"),
            "connection" => self.keeps_alive |= has("keep-alive"),
            "expect" => self.expects_continue = is_current && has("100-continue"),
            "te" => self.takes_trailers = is_current && has("trailers"),
            "content-length" | "transfer-encoding" => self.frames_a_body = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line_and_has_no_bare_ends_of_lines() {
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(end_of(&whole[..length]), Ok(None), "after {length} bytes");
        }
        assert_eq!(end_of(&[whole, &b"next"[..]].concat()), Ok(Some(whole.len())));
        for bad in [&b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..], b"GET / HTTP/1.1\r\nHost: a\n\r\n", b"\n", b"G\r\nH\r\n\n"]
        {
            assert!(end_of(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
