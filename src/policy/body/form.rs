//! `application/x-www-form-urlencoded`, the body of HTML forms and the query string (LIM-12, A26, A29).
//!
//! The raw bytes are split at `&` and at the first `=`, then percent-decoded, then decoded in the route's charset, and
//! nothing is forgiven on the way. A `;` is refused because some parsers separate fields there.

use std::borrow::Cow;
use std::ops::Range;

use super::{Charset, Fault, Field, Value, clean_name, clean_value, is_visible_ascii};

/// The fields of a body.
pub(super) fn fields(body: &[u8], charset: Charset, max_fields: usize) -> Result<Vec<Field<'_>>, Fault> {
    let mut fields = Vec::with_capacity(16.min(max_fields));
    // Then what is not encoded is the same text in every charset.
    let visible = Some(body).filter(|body| is_visible_ascii(body)).and_then(|body| str::from_utf8(body).ok());
    let text = |span: Range<usize>| match visible.and_then(|text| text.get(span.clone())) {
        Some(text) if !is_encoded(text.as_bytes()) => Ok(Cow::Borrowed(text)),
        _ => charset.decode(percent_decoded(&body[span])?).ok_or(Fault::MalformedBody("not in the charset")),
    };
    for pair in pairs(body)? {
        let (name, value) = pair?;
        if fields.len() == max_fields {
            return Err(Fault::TooManyFields);
        }
        let name = clean_name(text(name)?)?;
        let span = value.clone();
        let value = Value::Text(clean_value(text(value)?)?);
        fields.push(Field { name: not_encoded_twice(name)?, value, span });
    }
    Ok(fields)
}

/// A name and its value in the query string or in a path parameter, in bytes: which charset the application reads them in
/// depends on its container, not on the route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside<'a> {
    pub name: Cow<'a, [u8]>,
    pub value: Cow<'a, [u8]>,
    pub place: Place,
}

/// Where a name stands that is not in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The query string, whose parameters a servlet returns before those of the body.
    Query,
    /// After a `;` in the path.
    PathParameter,
}

/// The names and values of a query string (without `?`) or of one path parameter (without `;`).
pub(super) fn outside(text: &str, place: Place) -> Result<Vec<Outside<'_>>, Fault> {
    pairs(text.as_bytes())?
        .map(|pair| {
            let (name, value) = pair?;
            let raw = text.as_bytes();
            let (name, value) = (percent_decoded(&raw[name])?, percent_decoded(&raw[value])?);
            if [&name, &value].iter().any(|bytes| bytes.iter().any(u8::is_ascii_control)) {
                return Err(Fault::MalformedBody("a control character in the query"));
            }
            if name.contains(&b'%') {
                return Err(ENCODED_TWICE);
            }
            Ok(Outside { name, value, place })
        })
        .collect()
}

/// Where a name and its value stand, undecoded.
type Pair = (Range<usize>, Range<usize>);

/// The pairs one by one. Empty pairs (`a=1&&b=2`) are nothing to every parser.
fn pairs(raw: &[u8]) -> Result<impl Iterator<Item = Result<Pair, Fault>>, Fault> {
    if memchr::memchr(b';', raw).is_some() {
        return Err(Fault::MalformedBody("a semicolon between fields"));
    }
    let mut start = 0;
    let ends = memchr::memchr_iter(b'&', raw).chain([raw.len()]);
    Ok(ends.filter_map(move |end| {
        let begin = std::mem::replace(&mut start, end + 1);
        let pair = &raw[begin..end];
        let equals = memchr::memchr(b'=', pair);
        let name = begin..equals.map_or(end, |at| begin + at);
        if name.is_empty() {
            return equals.map(|_| Err(Fault::MalformedBody("a value without a name")));
        }
        let value = equals.map_or(end, |at| begin + at + 1);
        Some(Ok((name, value..end)))
    }))
}

const ENCODED_TWICE: Fault = Fault::MalformedBody("a name that is encoded twice");

/// A name that still holds a percent sign would change again in an application that decodes twice.
fn not_encoded_twice(name: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    if name.contains('%') { Err(ENCODED_TWICE) } else { Ok(name) }
}

/// `%XX` and `+` as bytes. A percent sign without two hexadecimal digits (`%8`, `%u0031`) is refused.
fn percent_decoded(raw: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    let Some(first) = memchr::memchr2(b'%', b'+', raw) else { return Ok(Cow::Borrowed(raw)) };
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let (Some(high), Some(low)) = (hexadecimal(*high), hexadecimal(*low)) else {
                    return Err(Fault::MalformedBody("a percent sign without two digits"));
                };
                decoded.push(high << 4 | low);
                after
            }
            (b'%', _) => return Err(Fault::MalformedBody("a percent sign without two digits")),
            (b'+', _) => {
                decoded.push(b' ');
                after
            }
            (byte, _) => {
                decoded.push(*byte);
                after
            }
        };
    }
    Ok(Cow::Owned(decoded))
}

/// Whether percent-decoding changes it.
fn is_encoded(raw: &[u8]) -> bool {
    raw.iter().fold(false, |encoded, byte| encoded | matches!(byte, b'%' | b'+'))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &[u8], charset: Charset) -> Result<Vec<(String, String)>, Fault> {
        let fields = fields(body, charset, 100)?;
        Ok(fields.iter().map(|field| (field.name.to_string(), field.value.text().unwrap().to_owned())).collect())
    }

    #[test]
    fn bytes_are_split_first_and_decoded_in_the_charset_afterwards() {
        let read = read(b"%82P=%81C+%82%50&\x95\x5c=a%3Db&c=d=e&&f", Charset::Windows31J).unwrap();
        let pairs: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("１", "， １"), ("表", "a=b"), ("c", "d=e"), ("f", "")]);
    }

    #[test]
    fn a_value_is_found_again_in_the_body() {
        let body = b"a=1&amount=%31&&b";
        let fields = fields(body, Charset::Utf8, 3).unwrap();
        let spans: Vec<_> = fields.iter().map(|field| &body[field.span.clone()]).collect();
        assert_eq!(spans, [&b"1"[..], b"%31", b""]);
        assert_eq!(super::fields(body, Charset::Utf8, 2), Err(Fault::TooManyFields));
    }

    /// A29 and the bad inputs of LIM-12.
    #[test]
    fn what_parsers_read_in_two_ways_is_refused() {
        for (body, charset) in [
            (&b"name=%83&amount=1"[..], Charset::Windows31J),
            (b"name=\x83&amount=1", Charset::Windows31J),
            (b"\x83=1", Charset::Windows31J),
            (b"a=%8", Charset::Utf8),
            (b"a=%", Charset::Utf8),
            (b"a=%u0031", Charset::Utf8),
            (b"a=%+1", Charset::Utf8),
            (b"a=%-1", Charset::Utf8),
            (b"a=%C0%B1", Charset::Utf8),
            (b"a=%ED%A0%80", Charset::Utf8),
            (b"a=%00", Charset::Utf8),
            (b"a=\0", Charset::Utf8),
            (b"a=%C2%85", Charset::Utf8),
            (b"a%0D%0A=1", Charset::Utf8),
            (b"a%09=1", Charset::Utf8),
            (b"amount%00=1", Charset::Utf8),
            (b"a=1;amount=2", Charset::Utf8),
            (b"=1", Charset::Utf8),
            (b"a=1&=", Charset::Utf8),
            (b"%2561mount=1", Charset::Utf8),
        ] {
            assert!(matches!(read(body, charset), Err(Fault::MalformedBody(_))), "{}", body.escape_ascii());
        }
        assert_eq!(read(b"memo=a%0D%0Ab%09c", Charset::Utf8).unwrap()[0].1, "a\r\nb\tc");
    }

    /// Every pair of bytes that Windows-31J knows, raw and encoded, comes back whole beside a second field.
    #[test]
    fn no_character_of_the_charset_swallows_a_separator() {
        for charset in [Charset::Windows31J, Charset::EucJp] {
            for (first, second) in
                (0x80..=0xff_u8).flat_map(|first| (0x40..=0xff_u8).map(move |second| (first, second)))
            {
                let Some(text) = charset.decode(vec![first, second].into()) else { continue };
                if text.chars().any(char::is_control) {
                    continue;
                }
                let raw = [&b"a="[..], &[first, second], b"&amount=1"].concat();
                let encoded = format!("a=%{first:02X}%{second:02x}&amount=1").into_bytes();
                let half = [format!("a=%{first:02x}").as_bytes(), &[second], b"&amount=1"].concat();
                let expected = Ok(vec![("a".to_owned(), text.into_owned()), ("amount".to_owned(), "1".to_owned())]);
                for body in [raw, encoded, half] {
                    assert_eq!(read(&body, charset), expected, "{}", body.escape_ascii());
                }
            }
        }
    }

    proptest! {
        /// What we accept, the usual parser reads alike.
        #[test]
        fn an_accepted_body_has_the_pairs_that_others_see(
            body in proptest::collection::vec(proptest::sample::select(&b"ab=&%+0189CEe;\xe3\x81\x82\r "[..]), 0..40)
        ) {
            if let Ok(read) = read(&body, Charset::Utf8) {
                let theirs: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
                prop_assert_eq!(read, theirs);
            }
        }

        #[test]
        fn whatever_a_browser_encodes_is_read_back(pairs in proptest::collection::vec(("[^\\p{C}%]{1,8}", "[^\\p{C}]{0,8}"), 0..6)) {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(read(body.as_bytes(), Charset::Utf8), Ok(pairs));
        }
    }
}
