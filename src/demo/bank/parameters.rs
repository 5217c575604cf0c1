//! Request parameters as a servlet container hands them out: those of the query first, then those of the body, and
//! `getParameter` gives the first of a name (Servlet specification SRV.4.1).
//!
//! Lenient as such containers are: bytes that are no Windows-31J become U+FFFD, a parameter whose percent-encoding is
//! broken is left out, and a body is a form whatever its type says, unless it is multipart.

use encoding_rs::{Encoding, SHIFT_JIS};
use serde_json::Value;

use super::amounts::AmountParser;
use super::multipart;
use super::path::{Malformed, percent_decode};

/// What a request says.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    file: Option<Vec<u8>>,
}

impl Parameters {
    /// Reads the query, and the body in the charset that its type names, or in Windows-31J.
    pub(super) fn read(query: Option<&str>, content_type: &str, body: &[u8]) -> Self {
        let charset = attribute(content_type, "charset").and_then(|label| Encoding::for_label(label.as_bytes()));
        let mut parameters = Self::default();
        // `useBodyEncodingForURI`, without which Japanese in a query was never right.
        parameters.add_form(query.unwrap_or_default().as_bytes(), charset.unwrap_or(SHIFT_JIS));
        if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/") {
            parameters.add_multipart(content_type, body, charset.unwrap_or(SHIFT_JIS));
        } else {
            parameters.add_form(body, charset.unwrap_or(SHIFT_JIS));
        }
        parameters
    }

    /// Reads the query, and the scalars of a JSON object; of a name that is there twice, the object has the last.
    pub(super) fn read_json(query: Option<&str>, body: &[u8]) -> Self {
        let mut parameters = Self::read(query, "", b"");
        let object: serde_json::Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        parameters.pairs.extend(object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            // The library hands out a `BigDecimal`, of which the application takes `longValue`.
            Value::Number(number) => Some((name, AmountParser::BigDecimal.parse(&number.to_string())?.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }));
        parameters
    }

    /// Adds those of the path, behind all others, as containers do that take them for parameters of the request.
    pub(super) fn add_of_path(&mut self, parameters: &[String]) {
        parameters.iter().for_each(|parameter| self.add_form(parameter.as_bytes(), SHIFT_JIS));
    }

    /// A form that the session keeps is filled once more: what is left out stays.
    pub(super) fn fill(&mut self, form: &Self) {
        self.pairs.retain(|(name, _)| form.first(name).is_none());
        self.pairs.extend(form.pairs.iter().cloned());
    }

    /// `getParameter`.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The same where an empty field means that there is none.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// The first file of a multipart body.
    pub(super) fn file(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }

    /// Separators are looked for in the bytes as they were sent, so no lead byte can swallow one.
    fn add_form(&mut self, form: &[u8], charset: &'static Encoding) {
        for pair in form.split(|byte| *byte == b'&') {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            let decoded = |text: &[u8]| {
                let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
                let bytes = percent_decode(&spaced, Malformed::Refused)?;
                Some(decode(&bytes, charset))
            };
            if let (false, Some(name), Some(value)) = (name.is_empty(), decoded(name), decoded(value)) {
                self.pairs.push((name, value));
            }
        }
    }

    fn add_multipart(&mut self, content_type: &str, body: &[u8], charset: &'static Encoding) {
        let Some(boundary) = attribute(content_type, "boundary") else { return };
        for part in multipart::parts(&boundary, body) {
            let disposition = decode(part.disposition, charset);
            match (attribute(&disposition, "name"), attribute(&disposition, "filename")) {
                (_, Some(_)) => self.file = self.file.take().or_else(|| Some(part.content.to_owned())),
                (Some(name), None) => self.pairs.push((name, decode(part.content, charset))),
                (None, None) => {}
            }
        }
    }
}

/// A pair is decoded without a byte order mark being looked for: `new String(bytes, charset)`.
fn decode(bytes: &[u8], charset: &'static Encoding) -> String {
    charset.decode_without_bom_handling(bytes).0.into_owned()
}

/// `charset` of `text/html; Charset="utf-8"`.
fn attribute(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|attribute| {
        let (other, value) = attribute.split_once('=')?;
        other.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn form(body: &[u8]) -> Parameters {
        Parameters::read(None, FORM, body)
    }

    #[test]
    fn the_query_comes_first_and_the_first_value_wins() {
        let parameters = Parameters::read(Some("amount=1&amount=2"), FORM, b"amount=99999999&payee=a&payee=b");
        assert_eq!(parameters.first("amount"), Some("1"));
        assert_eq!(parameters.first("payee"), Some("a"));
        assert_eq!(parameters.first("Amount"), None, "names have a case");
    }

    #[test]
    fn names_and_values_are_decoded_bytes_first() {
        let cases: [(&[u8], &str, Option<&str>); 12] = [
            (b"%61mount=5", "amount", Some("5")),
            (b"amount=%82P%82%4F", "amount", Some("１０")),
            (b"n=%83&amount=5", "amount", Some("5")),
            (b"n=\x83&amount=5", "amount", Some("5")),
            (b"n=\x83&amount=5", "n", Some("\u{FFFD}")),
            (b"n=%83%26x", "n", Some("\u{FFFD}&x")),
            (b"n=a+b%2Bc", "n", Some("a b+c")),
            (b"amount=1%8&amount=2", "amount", Some("2")),
            (b"amount=%u0031", "amount", None),
            (b"amount", "amount", Some("")),
            (b"a=b=c", "a", Some("b=c")),
            (b"a=1;amount=2", "a", Some("1;amount=2")),
        ];
        for (body, name, value) in cases {
            assert_eq!(form(body).first(name), value, "{}", body.escape_ascii());
        }
        assert_eq!(form(b"=1&&amount=%00").first("amount"), Some("\0"));
    }

    #[test]
    fn a_charset_is_believed_where_it_is_known() {
        let read = |content_type: &str, body: &[u8]| {
            Parameters::read(None, content_type, body).first("amount").map(str::to_owned)
        };
        let utf8 = "amount=１".as_bytes();
        assert_eq!(read("application/x-www-form-urlencoded; Charset=\"UTF-8\"", utf8).as_deref(), Some("１"));
        assert_ne!(read(FORM, utf8).as_deref(), Some("１"));
        assert_eq!(read("text/plain; charset=nobody-knows", b"amount=7").as_deref(), Some("7"));
        assert_eq!(read("", b"amount=7").as_deref(), Some("7"));
    }

    #[test]
    fn a_multipart_body_gives_fields_and_a_file() {
        let body = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n100\r\n\
                     --b\r\ncontent-disposition: form-data; name=f; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nline\r\n\r\n--b--\r\n";
        let parameters = Parameters::read(Some("amount=1"), "Multipart/Form-Data; boundary=b", body);
        assert_eq!(parameters.first("amount"), Some("1"), "the query is still first");
        let parameters = Parameters::read(None, "multipart/form-data; boundary=\"b\"", body);
        assert_eq!(parameters.first("amount"), Some("100"));
        assert_eq!(parameters.file(), Some(&b"line\r\n"[..]));
        assert_eq!(parameters.first("f"), None, "a file is no parameter");
    }
}
