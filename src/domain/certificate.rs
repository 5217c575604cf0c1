//! How a certificate is named: by the hash of its bytes, and by its serial number.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;

/// SHA-256 of a certificate's DER, the `x5t#S256` of RFC 8705.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate given in DER.
    pub fn of(der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits in either case, with colons between octets or without, as `openssl x509 -fingerprint -sha256`
    /// prints them. `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
        let mut digits: String = text.split(':').collect();
        digits.make_ascii_lowercase();
        let is_spelt = matches!(text.len(), 64 | 95);
        let octets = HEXLOWER.decode(digits.as_bytes()).ok().filter(|_| is_spelt)?;
        octets.try_into().ok().map(Self)
    }

    /// The fingerprint whose raw digest this is.
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The raw digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// base64url without padding, as it stands in the assertion.
    pub fn to_base64url(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A certificate's serial number: 1 to 20 octets, big-endian, without leading zeros (RFC 5280 4.1.2.2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(Box<[u8]>);

impl Serial {
    /// Reads the content octets of a DER INTEGER. `None` where it is empty, zero, negative or longer than 20 octets.
    pub fn from_der_content(content: &[u8]) -> Option<Self> {
        Self::normalise(content).map(|octets| Self(octets.into()))
    }

    /// The same without owning: the octets that identify the serial, or `None` as above.
    pub fn normalise(content: &[u8]) -> Option<&[u8]> {
        if content.first()? & 0x80 != 0 {
            return None;
        }
        let start = content.iter().position(|octet| *octet != 0)?;
        let octets = &content[start..];
        (octets.len() <= 20).then_some(octets)
    }

    /// Reads what people copy: hexadecimal in either case, with colons or without, also as `openssl x509 -serial` prints it.
    /// `None` where it is anything else, zero, or longer than 20 octets.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.strip_prefix("serial=").unwrap_or(text);
        let mut digits: String = text.chars().filter(|letter| *letter != ':').collect();
        digits.make_ascii_lowercase();
        // A positive number, whatever its first digit.
        let padding = if digits.len().is_multiple_of(2) { "00" } else { "000" };
        let is_spelt = text.starts_with(|letter: char| letter.is_ascii_hexdigit()) && !text.ends_with(':');
        let octets = HEXLOWER.decode((padding.to_owned() + &digits).as_bytes()).ok().filter(|_| is_spelt)?;
        Self::from_der_content(&octets)
    }

    /// The octets, most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_read_as_people_copy_it() {
        for text in ["0a1bff", "A1BFF", "0A:1B:FF", "serial=0A1BFF", "00:00:0a1bff"] {
            assert_eq!(Serial::from_hex(text).map(|serial| serial.to_string()), Some("0a1bff".into()), "{text}");
        }
        assert_eq!(Serial::from_hex("ff"), Serial::from_der_content(&[0, 0xff]), "no sign");
        assert!(Serial::from_hex(&"ff".repeat(20)).is_some());
        let long = "ff".repeat(21);
        for bad in ["", "0", "00", "0x0a", "0a 1b", " 0a", "0a:", ":0a", "-0a", "０ａ", "hanakodt", "serial=", &long]
        {
            assert_eq!(Serial::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_read_as_people_copy_it() {
        let fingerprint = Fingerprint::of(b"");
        let plain = fingerprint.to_string();
        let pairs: Vec<String> =
            plain.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        let printed = format!("sha256 Fingerprint={}", pairs.join(":"));
        for text in [plain.clone(), plain.to_uppercase(), pairs.join(":"), printed] {
            assert_eq!(Fingerprint::from_hex(&text), Some(fingerprint), "{text}");
        }
        let bad = ["", "e3b0", &plain[1..], &format!("{plain}00"), &plain.replace('e', "g"), &format!(" {plain}")];
        for bad in bad {
            assert_eq!(Fingerprint::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_serial_has_one_spelling() {
        assert_eq!(Serial::from_der_content(&[0, 0x80]), Serial::from_der_content(&[0, 0, 0x80]));
        assert_eq!(Serial::from_der_content(&[0x01, 0x02]).map(|s| s.to_string()), Some("0102".into()));
    }

    #[test]
    fn zero_negative_empty_and_oversized_serials_are_no_serials() {
        for content in [&[][..], &[0], &[0x80], &[0xff, 1], &[1; 21]] {
            assert_eq!(Serial::from_der_content(content), None, "{content:?}");
        }
    }
}
