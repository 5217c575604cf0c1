//! The little DER that the revocation path needs: walking elements of a list of fifty megabytes without copying it.
//!
//! x509-parser and webpki read certificates; neither hands out a list's number, date and signed bytes.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `[0]`, constructed: the extensions of a list.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// id-ce-cRLNumber, 2.5.29.20.
pub(super) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
/// id-ce-issuingDistributionPoint, 2.5.29.28.
pub(super) const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];

const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// One DER element with a one-byte tag and a definite, minimal length.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element of `input`, and what follows it.
    pub fn read(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = input.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short if short < 0x80 => (usize::from(short), rest),
            long => {
                let (octets, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                if octets.is_empty() || octets.len() > 4 || octets[0] == 0 {
                    return None;
                }
                let length = octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
                if length < 0x80 {
                    return None;
                }
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = &input[..input.len() - rest.len()];
        (tag & 0x1f != 0x1f).then_some((Self { tag, content, whole }, rest))
    }

    /// The elements inside; `None` once for what cannot be read.
    pub fn children(&self) -> impl Iterator<Item = Option<Element<'a>>> + use<'a> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            match Element::read(rest) {
                Some((element, next)) => {
                    rest = next;
                    Some(Some(element))
                }
                None => {
                    rest = &[];
                    Some(None)
                }
            }
        })
    }

    /// An `Extension`: its OID's content octets and its value.
    pub fn as_extension(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut oid = None;
        let mut value = None;
        for child in self.children() {
            match child? {
                Element { tag: OBJECT_IDENTIFIER, content, .. } => oid = Some(content),
                Element { tag: OCTET_STRING, content, .. } => value = Some(content),
                _ => {}
            }
        }
        Some((oid?, value?))
    }

    /// A BIT STRING of whole octets.
    pub fn as_bit_string(&self) -> Option<&'a [u8]> {
        match self.content.split_first() {
            Some((0, octets)) if self.tag == BIT_STRING => Some(octets),
            _ => None,
        }
    }

    /// A `Time` of RFC 5280 4.1.2.5 (`YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`), as seconds since 1970.
    pub fn as_time(&self) -> Option<i64> {
        let digits = std::str::from_utf8(self.content).ok()?.strip_suffix('Z')?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match (self.tag, digits.len()) {
            (UTC_TIME, 12) => {
                let (year, rest) = digits.split_at(2);
                let year: i16 = year.parse().ok()?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            (GENERALIZED_TIME, 14) => {
                let (year, rest) = digits.split_at(4);
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
        let moment = DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
        Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    }
}

/// The content of a DER value, without its tag and length.
pub(super) fn content(der: &[u8]) -> Option<&[u8]> {
    Element::read(der).map(|(element, _)| element.content)
}

/// Whether `signature` over `message` was made by the key in `spki` (the content of a SubjectPublicKeyInfo), by one of
/// webpki's algorithms: no SHA-1, no RSA below 2048 bits.
pub(super) fn verify_signature(spki: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some((key_algorithm, rest)) = Element::read(spki) else { return false };
    let Some(key) = Element::read(rest).and_then(|(key, _)| key.as_bit_string()) else { return false };
    webpki::ALL_VERIFICATION_ALGS
        .iter()
        .filter(|candidate| *candidate.signature_alg_id() == *algorithm)
        .filter(|candidate| *candidate.public_key_alg_id() == *key_algorithm.content)
        .any(|candidate| candidate.verify_signature(key, message, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_definite_and_minimal() {
        assert!(Element::read(&[0x30, 0x01, 0x00]).is_some());
        for bad in [&[0x30][..], &[0x30, 0x80], &[0x30, 0x81, 0x01, 0x00], &[0x30, 0x02, 0x00], &[0x1f, 0x01, 0x00]] {
            assert!(Element::read(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let time = |tag, text: &str| Element { tag, content: text.as_bytes(), whole: &[] }.as_time();
        assert_eq!(time(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(time(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        for bad in ["7001010000Z", "700101000000+0900", "701301000000Z", "70010100000０Z"] {
            assert_eq!(time(UTC_TIME, bad), None, "{bad}");
        }
    }
}
