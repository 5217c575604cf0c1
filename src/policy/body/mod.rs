//! One meaning? The bodies of inspected routes, read so that the application cannot read them otherwise, or refused.
//!
//! 1. [`Submission::read`] takes a request apart into names and values: `content_type` says whether it is what the route
//!    declares, then `form`, `multipart` or `json` read the bytes in the route's [`charset`].
//! 2. [`Submission::carries`] says whether it belongs to a route, where several share a path.
//! 3. [`Submission::inspect`] finds what the route's [`rules`] declare, each once and in its place, and refuses every
//!    `name` that an application could take for a declared one; then [`amount`] and [`date`] read the values.
//!
//! Pure: no I/O, no clock, nothing remembered. Deliberately absent: repairing. What is malformed is refused, never cleaned.
//!
//! Invariant: the bytes of [`Inspection::body`] are the bytes that were inspected; only spellings of an amount are replaced,
//! and only by the digits that were counted.

use std::borrow::Cow;
use std::ops::Range;

pub mod amount;
pub mod charset;
mod content_type;
pub mod date;
mod form;
mod inspection;
mod json;
mod multipart;
pub(super) mod name;
pub(super) mod reference;
pub mod rules;
mod submission;

#[cfg(test)]
mod tests;

pub use amount::AmountFormat;
pub use charset::Charset;
pub use date::DateFormat;
pub use inspection::{Amount, Inspection, Typed};
pub use rules::{BodyRules, Dispatch, ParameterValue, Settings, Unusable};
pub use submission::{Head, Submission};

/// The one media type that a route declares (LIM-37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data` (RFC 7578).
    Multipart,
    /// `application/json` (RFC 8259), always UTF-8.
    Json,
}

/// How a route's bodies are written. Routes that share a path share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BodyFormat {
    /// The media type.
    pub media: MediaType,
    /// The charset in which the application reads it.
    pub charset: Charset,
    /// The most names in body, query and path parameters together; for JSON, the most values.
    pub max_fields: usize,
}

/// Why a body cannot be forwarded. Says nothing of what the customer wrote; the texts are for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not written as its media type demands, or so that parsers differ. 400.
    #[error("malformed: {0}")]
    MalformedBody(&'static str),
    /// A declared field twice, in the wrong place, or a name that can be taken for one. 400.
    #[error("ambiguous: {0}")]
    AmbiguousField(&'static str),
    /// An amount in a spelling that parsers read differently, or a sum beyond counting. 400.
    #[error("not an amount")]
    BadAmount,
    /// Not a day of the calendar in the route's format. 400.
    #[error("not a date")]
    BadDate,
    /// A field that must be there is not. 400.
    #[error("a declared field is missing")]
    MissingField,
    /// A field that must have one value has another. 400.
    #[error("a fixed field has another value")]
    WrongFixedValue,
    /// A field outside the route's closed list. 400.
    #[error("a field that the route does not know")]
    UnknownField,
    /// More fields than the route allows. 400.
    #[error("too many fields")]
    TooManyFields,
    /// No media type, several, or not the route's. 415.
    #[error("not the media type of the route")]
    UnsupportedMediaType,
    /// A charset that is not the route's. 415.
    #[error("not the charset of the route")]
    UnsupportedCharset,
    /// A compressed or otherwise coded body. 415.
    #[error("a content encoding")]
    UnsupportedEncoding,
}

/// One name and its value in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field<'a> {
    /// The decoded name; in JSON a pointer (RFC 6901) in which `*` stands for the elements of an array.
    name: Cow<'a, str>,
    value: Value<'a>,
    /// Where the value stands in the body, undecoded.
    span: Range<usize>,
}

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    /// Decoded text.
    Text(Cow<'a, str>),
    /// A JSON number, `true` or `false`, as it is written.
    Token(&'a str),
    /// JSON's `null`: there is nothing.
    Null,
    /// A JSON object; its members are fields of their own.
    Object,
    /// A JSON array; its elements are fields of their own.
    Array,
    /// A file in a multipart body, opaque.
    File,
}

impl Value<'_> {
    /// The scalar as text, `null` as nothing; `None` for what is not a scalar.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Token(token) => Some(token),
            Self::Null => Some(""),
            Self::Object | Self::Array | Self::File => None,
        }
    }
}

/// A decoded name: never a control character in it, so that no parser ends it early.
fn clean_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    if name.is_empty() {
        return Err(Fault::MalformedBody("a value without a name"));
    }
    if holds_control(&name, |_| false) {
        return Err(Fault::MalformedBody("a control character in a name"));
    }
    Ok(name)
}

/// A decoded value: line breaks and tabs are what text areas send, other control characters are not text.
fn clean_value(value: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    if holds_control(&value, |control| matches!(control, '\r' | '\n' | '\t')) {
        return Err(Fault::MalformedBody("a control character in a value"));
    }
    Ok(value)
}

fn holds_control(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    // Most text is visible ASCII, and that is seen many bytes at a time.
    !is_visible_ascii(text.as_bytes()) && text.chars().any(|character| character.is_control() && !allowed(character))
}

/// Whether there is nothing but letters, digits, signs and blanks. Looks at everything: without a way out, many bytes are
/// compared at once.
fn is_visible_ascii(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |other, byte| other | !matches!(byte, 0x20..=0x7e))
}
