//! Heads on the wire between us and the application: ours written, its own read. Framing is decided here and nowhere else.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::answer::Cleaner;
use crate::wire::framing::Framing;
use crate::wire::{Malformed, write_field};

/// Fields of an answer's head.
const MAX_FIELDS: usize = 100;

/// How a request's body is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadFraming {
    Nothing,
    Length(u64),
    Chunked,
}

/// A request's head, but for `Host` and the framing, which depend on the connection it leaves by.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub method: Method,
    pub target: PathAndQuery,
    pub fields: Fields,
}

/// Header fields as they will be written.
#[derive(Debug)]
pub struct Fields {
    bytes: Vec<u8>,
    title_case: bool,
}

impl Fields {
    /// Room for a browser's fields and our own.
    pub fn new(title_case: bool) -> Self {
        Self { bytes: Vec::with_capacity(2 << 10), title_case }
    }

    /// What has been written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a field. Names and values come from types that hold no control characters.
    pub fn add(&mut self, name: &HeaderName, value: &[u8]) {
        add(&mut self.bytes, name.as_str(), value, self.title_case);
    }
}

impl RequestHead {
    /// Writes the whole head: one `Host`, one framing.
    pub fn write(&self, host: &[u8], framing: UploadFraming, out: &mut Vec<u8>) {
        let title_case = self.fields.title_case;
        for piece in [self.method.as_str(), " ", self.target.as_str(), " HTTP/1.1\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
        add(out, "host", host, title_case);
        out.extend_from_slice(&self.fields.bytes);
        match framing {
            UploadFraming::Nothing => {}
            UploadFraming::Length(length) => add(out, "content-length", length.to_string().as_bytes(), title_case),
            UploadFraming::Chunked => add(out, "transfer-encoding", b"chunked", title_case),
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn add(out: &mut Vec<u8>, name: &str, value: &[u8], title_case: bool) {
    if title_case {
        let mut begins_word = true;
        out.extend(name.bytes().map(|byte| {
            let byte = if begins_word { byte.to_ascii_uppercase() } else { byte };
            begins_word = byte == b'-';
            byte
        }));
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    } else {
        write_field(out, name, value);
    }
}

/// The head of the application's answer, cleaned for the outside.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// What the application says for the status, where it is not the usual.
    pub reason: Option<ReasonPhrase>,
    pub framing: Framing,
    /// Whether the connection may serve again when the answer is over.
    pub keeps_alive: bool,
}

/// The status of a head: enough to pass over interim answers.
pub(super) fn status_of(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl AnswerHead {
    /// Reads a whole head, in one walk over its fields.
    ///
    /// # Errors
    /// A head that does not have one meaning (RFC 9112 6.3): passed on, it would be another body for us than for the
    /// customer's browser.
    pub fn read(head: &Bytes, asked: &Method, cleaner: &Cleaner<'_>) -> Result<Self, Malformed> {
        let mut room = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, head, &mut room) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(Malformed("a head that does not end where it should")),
            Err(_) => return Err(Malformed("no head of HTTP/1")),
        }
        // 1xx does not come this far but for 101, and nobody asked for another protocol.
        let code = parsed.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).ok().filter(|_| (200..600).contains(&code));
        let status = status.ok_or(Malformed("a status that HTTP does not know"))?;
        let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        let mut connection = ConnectionFields { closes: version == Version::HTTP_10, ..ConnectionFields::default() };
        for field in parsed.headers.iter() {
            connection.note(field)?;
        }
        let announced = match connection.framing(version)? {
            Framing::Length(0) => Framing::Nothing,
            framing => framing,
        };
        let is_bodiless = *asked == Method::HEAD || matches!(code, 204 | 304);
        let framing = if is_bodiless { Framing::Nothing } else { announced };
        // An application that sends the body all the same sends it later: the next one's answer, if there were a next one.
        let announces_body = !matches!(announced, Framing::Nothing | Framing::UntilClose);
        let may_go_on = *asked == Method::HEAD || (is_bodiless && announces_body);
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for field in parsed.headers.iter().filter(|field| !connection.takes_away(field.name)) {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed("a field's name"))?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value))
                .map_err(|_| Malformed("a field's value"))?;
            if let Some(value) = cleaner.clean(&name, value) {
                headers.append(name, value);
            }
        }
        let reason = parsed.reason.filter(|reason| Some(*reason) != status.canonical_reason() && !reason.is_empty());
        Ok(Self {
            status,
            headers,
            reason: reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok()),
            framing,
            keeps_alive: !connection.closes && !may_go_on && framing != Framing::UntilClose,
        })
    }
}

/// What an answer's head says of its connection and its framing; none of it is passed on as it stands.
#[derive(Debug, Default)]
struct ConnectionFields<'h> {
    closes: bool,
    length: Option<u64>,
    chunked: bool,
    nominated: Vec<&'h str>,
}

impl<'h> ConnectionFields<'h> {
    fn note(&mut self, field: &httparse::Header<'h>) -> Result<(), Malformed> {
        let is = |name: HeaderName| field.name.eq_ignore_ascii_case(name.as_str());
        match field.name.len() {
            10 if is(CONNECTION) => {
                let value = std::str::from_utf8(field.value).unwrap_or_default();
                for token in value.split(',').map(str::trim).filter(|token| !token.is_empty()) {
                    if token.eq_ignore_ascii_case("close") {
                        self.closes = true;
                    } else if !token.eq_ignore_ascii_case("keep-alive") {
                        self.nominated.push(token);
                    }
                }
            }
            14 if is(CONTENT_LENGTH) => {
                let is_number = !field.value.is_empty() && field.value.iter().all(u8::is_ascii_digit);
                let text = std::str::from_utf8(field.value).ok().filter(|_| is_number);
                let length = text.and_then(|text| text.parse().ok()).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or(Malformed("Content-Length"))?);
            }
            17 if is(TRANSFER_ENCODING) => {
                if self.chunked || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("Transfer-Encoding"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Framing, Malformed> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Malformed("Transfer-Encoding beside Content-Length")),
            (true, None) if version == Version::HTTP_10 => Err(Malformed("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Ok(Framing::chunked()),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::UntilClose),
        }
    }

    /// A Trailer field may stand: it only announces what follows.
    fn takes_away(&self, name: &str) -> bool {
        is_of_connection(name) || self.nominated.iter().any(|nominated| nominated.eq_ignore_ascii_case(name))
    }
}

fn is_of_connection(name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 => is("te"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host_and_one_framing() {
        let framings = [
            (UploadFraming::Nothing, ""),
            (UploadFraming::Length(7), "content-length: 7\r\n"),
            (UploadFraming::Chunked, "transfer-encoding: chunked\r\n"),
        ];
        for (framing, field) in framings {
            let mut fields = Fields::new(false);
            fields.add(&HeaderName::from_static("x-a"), b"b");
            let head = RequestHead { method: Method::GET, target: PathAndQuery::from_static("/ib?a=1"), fields };
            let mut written = Vec::new();
            head.write(b"bank.example", framing, &mut written);
            let expected = format!("GET /ib?a=1 HTTP/1.1\r\nhost: bank.example\r\nx-a: b\r\n{field}\r\n");
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }

    #[test]
    fn names_can_be_written_as_old_servers_want_them() {
        let mut fields = Fields::new(true);
        fields.add(&HeaderName::from_static("x-login-id"), b"taroykdt");
        assert_eq!(fields.as_bytes(), b"X-Login-Id: taroykdt\r\n");
    }
}
