//! `Content-Type` and `Content-Encoding` of an inspected body: exactly what the route declares (LIM-11, A28).
//!
//! A container that believes `charset=ibm037` reads other names in the same bytes; so a charset may only repeat the route's.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::{BodyFormat, Charset, Fault, MediaType};

/// Checks both fields. For multipart the boundary, which is at most 70 bytes of RFC 2046's `bchars`; else nothing.
pub(super) fn read<'a>(headers: &'a HeaderMap, format: &BodyFormat) -> Result<&'a str, Fault> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Fault::UnsupportedEncoding);
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Fault::UnsupportedMediaType);
    };
    let value = value.to_str().map_err(|_| Fault::UnsupportedMediaType)?;
    let (name, parameters) = value.split_once(';').map_or((value, None), |(name, rest)| (name, Some(rest)));
    let declared = match format.media {
        MediaType::Form => "application/x-www-form-urlencoded",
        MediaType::Multipart => "multipart/form-data",
        MediaType::Json => "application/json",
    };
    if !trimmed(name).eq_ignore_ascii_case(declared) {
        return Err(Fault::UnsupportedMediaType);
    }
    let Parameters { charset, boundary } = Parameters::read(parameters)?;
    if charset.is_some_and(|label| Charset::of_label(label) != Some(format.charset)) {
        return Err(Fault::UnsupportedCharset);
    }
    match (format.media, boundary) {
        (MediaType::Multipart, Some(boundary)) if is_boundary(boundary) => Ok(boundary),
        (MediaType::Form | MediaType::Json, None) => Ok(""),
        (MediaType::Multipart | MediaType::Form | MediaType::Json, _) => Err(Fault::UnsupportedMediaType),
    }
}

/// The parameter of a part's own `Content-Type`, if it has any: its charset.
pub(super) fn part_charset(parameters: Option<&str>) -> Result<Option<&str>, Fault> {
    match Parameters::read(parameters)? {
        Parameters { charset, boundary: None } => Ok(charset),
        Parameters { boundary: Some(_), .. } => Err(Fault::UnsupportedMediaType),
    }
}

/// The two parameters that anybody needs, each at most once. A third one is refused: nobody knows who believes it.
struct Parameters<'a> {
    charset: Option<&'a str>,
    boundary: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn read(text: Option<&'a str>) -> Result<Self, Fault> {
        let mut read = Self { charset: None, boundary: None };
        let Some(text) = text else { return Ok(read) };
        // No value that is accepted holds a `;`, so a quoted one cannot be cut in two unnoticed.
        for parameter in text.split(';') {
            let (name, value) = trimmed(parameter).split_once('=').ok_or(Fault::UnsupportedMediaType)?;
            let slot = match name.to_ascii_lowercase().as_str() {
                // Old containers keep the quotes as part of the charset's name, and fall back to another one.
                "charset" if value.starts_with('"') => return Err(Fault::UnsupportedCharset),
                "charset" => &mut read.charset,
                "boundary" => &mut read.boundary,
                _ => return Err(Fault::UnsupportedMediaType),
            };
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"').ok_or(Fault::UnsupportedMediaType)?,
                None if value.bytes().all(is_token) => value,
                None => return Err(Fault::UnsupportedMediaType),
            };
            if slot.replace(value).is_some() {
                return Err(Fault::UnsupportedMediaType);
            }
        }
        Ok(read)
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 2046 5.1.1, without the blank: parsers that cut the boundary there would find other parts.
fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read_as(media: MediaType, content_type: &[&'static str]) -> Result<String, Fault> {
        let mut headers = HeaderMap::new();
        for value in content_type {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        let charset = if media == MediaType::Json { Charset::Utf8 } else { Charset::Windows31J };
        read(&headers, &BodyFormat { media, charset, max_fields: 1 }).map(str::to_owned)
    }

    #[test]
    fn the_declared_media_type_and_charset_pass() {
        for value in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-URLEncoded ; Charset=Windows-31J",
            "application/x-www-form-urlencoded;charset=MS932",
            "application/x-www-form-urlencoded; charset=Shift_JIS",
        ] {
            assert_eq!(read_as(MediaType::Form, &[value]), Ok(String::new()), "{value}");
        }
        assert_eq!(read_as(MediaType::Json, &["application/json; charset=utf-8"]), Ok(String::new()));
        assert_eq!(read_as(MediaType::Multipart, &["multipart/form-data; boundary=--x'y"]), Ok("--x'y".into()));
        assert_eq!(read_as(MediaType::Multipart, &["multipart/form-data; boundary=\"a/b:c\""]), Ok("a/b:c".into()));
    }

    #[test]
    fn other_charsets_are_refused() {
        for value in [
            "application/x-www-form-urlencoded; charset=ibm037",
            "application/x-www-form-urlencoded; charset=utf-16",
            "application/x-www-form-urlencoded; charset=utf-7",
            "application/x-www-form-urlencoded; charset=iso-2022-jp",
            "application/x-www-form-urlencoded; charset=utf-8",
            "application/x-www-form-urlencoded; charset=\"windows-31j\"",
            "application/x-www-form-urlencoded; charset=",
        ] {
            assert_eq!(read_as(MediaType::Form, &[value]), Err(Fault::UnsupportedCharset), "{value}");
        }
    }

    #[test]
    fn other_media_types_are_refused() {
        for values in [
            &[][..],
            &["text/plain"],
            &["multipart/form-data; boundary=x"],
            &["application/x-www-form-urlencoded", "application/x-www-form-urlencoded"],
            &["application/x-www-form-urlencoded, text/plain"],
            &["application/x-www-form-urlencoded; boundary=x"],
            &["application/x-www-form-urlencoded; charset=sjis; charset=sjis"],
            &["application/x-www-form-urlencoded; q=1"],
            &["application/x-www-form-urlencoded;"],
            &["application/x-www-form-urlencoded; charset=sjis, text/plain"],
        ] {
            assert_eq!(read_as(MediaType::Form, values), Err(Fault::UnsupportedMediaType), "{values:?}");
        }
        for value in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a;b\"",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a b\"",
            "multipart/form-data; boundary=\"a\"x",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary*=a",
            "multipart/mixed; boundary=a",
        ] {
            assert_eq!(read_as(MediaType::Multipart, &[value]), Err(Fault::UnsupportedMediaType), "{value}");
        }
    }

    #[test]
    fn a_coded_body_is_refused() {
        let form = BodyFormat { media: MediaType::Form, charset: Charset::Utf8, max_fields: 1 };
        for (coding, expected) in [
            ("identity", Ok("")),
            ("gzip", Err(Fault::UnsupportedEncoding)),
            ("identity, gzip", Err(Fault::UnsupportedEncoding)),
            ("", Err(Fault::UnsupportedEncoding)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            assert_eq!(read(&headers, &form), expected, "{coding}");
        }
    }
}
