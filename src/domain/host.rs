//! A host name as it stands in SNI, `Host` and `:authority`: without a port, in lower case.

use std::{fmt, net::IpAddr};

/// A DNS name or an IP literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostName {
    /// A DNS name in lower case, without a trailing dot.
    Dns(Box<str>),
    /// An IP literal; it can match `Host`, never SNI (RFC 6066 section 3).
    Ip(IpAddr),
}

impl HostName {
    /// Reads a name from a configuration or an SNI: no port, no brackets around IPv6.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Ip(address));
        }
        let label_is_valid = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let numeric_end = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        (text.len() <= 253 && !numeric_end && text.split('.').all(label_is_valid))
            .then(|| Self::Dns(text.to_ascii_lowercase().into()))
    }

    /// Reads the value of `Host` or `:authority`: a name, perhaps with a port; anything else (user info, paths, blanks) is `None`.
    pub fn parse_authority(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            return address.parse().ok().map(|v6| Self::Ip(IpAddr::V6(v6)));
        }
        let name = match text.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return None,
            None => text,
        };
        match Self::parse(name)? {
            Self::Ip(IpAddr::V6(_)) => None,
            host => Some(host),
        }
    }
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_name_and_perhaps_a_port() {
        let localhost = HostName::parse("localhost");
        assert_eq!(HostName::parse_authority("LOCALHOST:8443"), localhost);
        assert_eq!(HostName::parse_authority("localhost"), localhost);
        assert_eq!(HostName::parse_authority("[::1]:443"), HostName::parse("::1"));
        for bad in [
            "",
            "a@b",
            "localhost:",
            "localhost:99999",
            "localhost:+1",
            "a b",
            "localhost/",
            "::1",
            "[::1",
            "[::1]x",
            "a,b",
            "localhost.",
            "1.2.3",
        ] {
            assert_eq!(HostName::parse_authority(bad), None, "{bad}");
        }
    }
}
