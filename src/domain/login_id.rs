//! Who a customer is to the application: the login ID.
//!
//! The institution's own grammar (REQUIREMENTS IDN-03, 6 to 12 characters in the sources) is configuration and is applied
//! where the certificate is read; what no institution can relax stands here: visible ASCII, so that the value is the same
//! in a header, in a log and in the application (IDN-10).

use std::fmt;

use http::HeaderValue;

/// Longer than any institution's login ID; a bound for headers and logs.
const MAX_BYTES: usize = 64;

/// A login ID: 1 to 64 characters of visible ASCII (0x21 to 0x7E).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginId(Box<str>);

impl LoginId {
    /// Reads a login ID; `None` where it is empty, too long, or holds anything but visible ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|b| (0x21..=0x7e).contains(&b));
        ((1..=MAX_BYTES).contains(&text.len()) && visible).then(|| Self(text.into()))
    }

    /// The ID as a header's value.
    #[allow(clippy::expect_used, reason = "visible ASCII, which `parse` made sure of, is a header value")]
    pub fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("visible ASCII")
    }

    /// The ID as the application reads it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_is_a_login_id() {
        assert!(LoginId::parse("hanakodt").is_some());
        assert!(LoginId::parse("a.b~c\"d\\e").is_some());
        for bad in ["", "with blank", "tab\t", "nul\0", "ｈａｎａｋｏ", "é", &"x".repeat(65)] {
            assert_eq!(LoginId::parse(bad), None, "{bad:?}");
        }
    }
}
