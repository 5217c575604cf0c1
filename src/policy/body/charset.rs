//! The characters of a body: the charset that the route's application reads, and no other (LIM-11, LIM-12).
//!
//! Decoding is strict: bytes that mean nothing are refused, never replaced, because a decoder that replaces and one that
//! skips see two different texts. The charset is the route's, never the one that a client claims.
//!
//! Invariant: in all three charsets a byte below 0x40 is always the ASCII character it looks like, so `&`, `=`, `%`, `+`, `;`,
//! `"` and digits can be found before decoding. A backslash cannot: it is the second byte of 表 and ソ in Windows-31J.

use std::borrow::Cow;

use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS, UTF_8};

/// How an application writes characters as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// Shift_JIS as Windows has it (MS932, CP932), the charset of most Japanese forms of the time.
    Windows31J,
    /// EUC-JP.
    EucJp,
}

impl Charset {
    /// Every charset that a form may be read in; where nobody knows which one the application uses, all of them count.
    pub const ALL: [Self; 3] = [Self::Utf8, Self::Windows31J, Self::EucJp];

    /// The charset of a label as it stands in `Content-Type` or in the configuration; `None` where we do not read it.
    pub fn of_label(label: &str) -> Option<Self> {
        let labels: [(&str, Self); 8] = [
            ("utf-8", Self::Utf8),
            ("windows-31j", Self::Windows31J),
            ("ms932", Self::Windows31J),
            ("cp932", Self::Windows31J),
            ("shift_jis", Self::Windows31J),
            ("sjis", Self::Windows31J),
            ("x-sjis", Self::Windows31J),
            ("euc-jp", Self::EucJp),
        ];
        labels.iter().find(|(known, _)| known.eq_ignore_ascii_case(label)).map(|(_, charset)| *charset)
    }

    /// The text of a page as a browser shows it: what has no meaning becomes U+FFFD, and never markup.
    pub fn decode_page(self, bytes: &[u8]) -> String {
        self.encoding().decode_without_bom_handling(bytes).0.into_owned()
    }

    /// The text of some bytes, or `None` where a byte has no meaning: a lone lead byte, an overlong form, a surrogate.
    pub fn decode(self, bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
        if bytes.is_ascii() || matches!(self, Self::Utf8) {
            return match bytes {
                Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
                Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
            };
        }
        let encoding = self.encoding();
        match bytes {
            Cow::Borrowed(bytes) => encoding.decode_without_bom_handling_and_without_replacement(bytes),
            Cow::Owned(bytes) => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes)?;
                Some(Cow::Owned(text.into_owned()))
            }
        }
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Windows31J => SHIFT_JIS,
            Self::EucJp => EUC_JP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(charset: Charset, bytes: &[u8]) -> Option<String> {
        charset.decode(Cow::Borrowed(bytes)).map(Cow::into_owned)
    }

    #[test]
    fn the_usual_labels_are_known_in_any_case() {
        assert_eq!(Charset::of_label("Windows-31J"), Some(Charset::Windows31J));
        assert_eq!(Charset::of_label("SHIFT_JIS"), Some(Charset::Windows31J));
        assert_eq!(Charset::of_label("UTF-8"), Some(Charset::Utf8));
        for other in ["ibm037", "utf-16", "utf-7", "iso-2022-jp", "iso-8859-1", "us-ascii", "", "utf-8 ", "utf8x"] {
            assert_eq!(Charset::of_label(other), None, "{other}");
        }
    }

    #[test]
    fn bytes_without_a_meaning_are_refused() {
        assert_eq!(decode(Charset::Windows31J, b"\x82\x50\x81\x43"), Some("１，".into()));
        assert_eq!(decode(Charset::EucJp, b"\xa3\xb1\xa1\xa4"), Some("１，".into()));
        for (charset, bytes) in [
            (Charset::Windows31J, &b"\x83"[..]),
            (Charset::Windows31J, b"\x83\x26"),
            (Charset::Windows31J, b"\xff"),
            (Charset::Windows31J, b"\xa0"),
            (Charset::EucJp, b"\xa3"),
            (Charset::EucJp, b"\xa3\x31"),
            (Charset::Utf8, b"\xc0\xb1"),
            (Charset::Utf8, b"\xed\xa0\x80"),
            (Charset::Utf8, b"\xe3\x81"),
        ] {
            assert_eq!(decode(charset, bytes), None, "{charset:?} {bytes:x?}");
        }
    }

    /// Why names and values may be split before they are decoded, over every pair of bytes there is.
    #[test]
    fn no_second_byte_looks_like_a_separator_or_a_digit() {
        for charset in Charset::ALL {
            for (first, second) in (0x80..=0xff_u8).flat_map(|first| (0..=0xff_u8).map(move |second| (first, second))) {
                let Some(text) = decode(charset, &[first, second]) else { continue };
                let split = decode(charset, &[first]).zip(decode(charset, &[second])).map(|(a, b)| a + &b);
                assert!(second >= 0x40 || split.as_ref() == Some(&text), "{charset:?} {first:x} {second:x}");
            }
        }
    }

    #[test]
    fn a_backslash_can_be_the_second_half_of_a_character() {
        assert_eq!(decode(Charset::Windows31J, b"\x95\x5c\x83\x5c"), Some("表ソ".into()));
    }
}
