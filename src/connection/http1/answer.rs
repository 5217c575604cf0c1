//! The answer to a client of HTTP/1.1, as it is written: one head, one framing.

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};
use http::response::Parts;
use http::{StatusCode, Version};
use hyper::ext::ReasonPhrase;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::head::{BadHead, Manners};
use crate::wire::write_field;

/// How an answer's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFraming {
    /// None is written, whatever there is.
    Nothing,
    /// So many bytes are still to be written.
    Length(u64),
    Chunked,
    /// For clients that know no chunks.
    UntilClose,
}

impl BodyFraming {
    /// `size` is that of the body, where it is known; else its head may have announced one.
    pub fn of(parts: &Parts, size: Option<u64>, manners: Manners) -> Self {
        let announced = || parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        match size.or_else(announced) {
            _ if manners.is_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
                Self::Nothing
            }
            Some(length) => Self::Length(length),
            None if manners.version == Version::HTTP_11 => Self::Chunked,
            None => Self::UntilClose,
        }
    }
}

/// Writes the head.
pub(super) fn write_head(parts: &Parts, framing: BodyFraming, manners: Manners, keeps_alive: bool, out: &mut Vec<u8>) {
    let version: &[u8] = if manners.version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " };
    let usual = || parts.status.canonical_reason().unwrap_or_default().as_bytes();
    let reason = parts.extensions.get::<ReasonPhrase>().map_or_else(usual, ReasonPhrase::as_bytes);
    for piece in [version, parts.status.as_str().as_bytes(), b" ", reason, b"\r\n"] {
        out.extend_from_slice(piece);
    }
    let mut has_date = false;
    for (name, value) in &parts.headers {
        has_date |= *name == DATE;
        let is_framing = *name == CONNECTION || *name == TRANSFER_ENCODING || *name == CONTENT_LENGTH;
        // What is not sent may still be announced (RFC 9110 8.6), but for 204.
        let announces_nothing = framing == BodyFraming::Nothing && parts.status != StatusCode::NO_CONTENT;
        if !is_framing || (*name == CONTENT_LENGTH && announces_nothing) {
            write_field(out, name.as_str(), value.as_bytes());
        }
    }
    match framing {
        BodyFraming::Nothing | BodyFraming::UntilClose => {}
        BodyFraming::Length(length) => {
            write_field(out, CONTENT_LENGTH.as_str(), itoa::Buffer::new().format(length).as_bytes())
        }
        BodyFraming::Chunked => write_field(out, TRANSFER_ENCODING.as_str(), b"chunked"),
    }
    match (keeps_alive, manners.version) {
        (false, _) => write_field(out, CONNECTION.as_str(), b"close"),
        (true, Version::HTTP_10) => write_field(out, CONNECTION.as_str(), b"keep-alive"),
        (true, _) => {}
    }
    if !has_date {
        write_field(out, DATE.as_str(), date().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The trailers that the head has announced.
pub(super) fn write_trailers(trailers: &HeaderMap, head: &Parts, out: &mut Vec<u8>) {
    let is_announced = |name: &HeaderName| {
        head.headers.get_all(TRAILER).iter().any(|value: &HeaderValue| {
            value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case(name.as_str())))
        })
    };
    for (name, value) in trailers.iter().filter(|(name, _)| is_announced(name)) {
        write_field(out, name.as_str(), value.as_bytes());
    }
}

/// The whole answer to a head that could not be read.
pub(super) fn write_bad_head(bad: BadHead, out: &mut Vec<u8>) {
    let status = match bad {
        BadHead::Malformed => "400 Bad Request",
        BadHead::TooLarge => "431 Request Header Fields Too Large",
    };
    let date = date();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: {date}\r\n\r\n");
    out.extend_from_slice(head.as_bytes());
}

fn date() -> String {
    // A time before the year 0 or after 9999 cannot be written; no clock shows one.
    DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now()).unwrap_or_default()
}
