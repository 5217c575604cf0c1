//! The application's answer, cleaned for the outside (HTP-06). Its body is never touched.

use http::header::{HeaderName, HeaderValue, LOCATION, SET_COOKIE};

use super::scrub::Scrubber;
use super::{Server, Settings};

/// Cleans the fields of one answer.
#[derive(Debug)]
pub(super) struct Cleaner<'a> {
    settings: &'a Settings,
    /// The server that answers.
    server: &'a Server,
    /// What the client wrote in Host.
    host: &'a HeaderValue,
    scrubber: &'a Scrubber,
}

impl<'a> Cleaner<'a> {
    /// For an answer of `server` to a client that asked for `host`.
    pub fn new(settings: &'a Settings, server: &'a Server, host: &'a HeaderValue, scrubber: &'a Scrubber) -> Self {
        Self { settings, server, host, scrubber }
    }

    /// The field as it is passed on, if it is.
    pub fn clean(&self, name: &HeaderName, value: HeaderValue) -> Option<HeaderValue> {
        if self.scrubber.is_identity(name.as_str()) {
            return None;
        }
        if *name == SET_COOKIE && self.settings.secure_cookies {
            return secured(value);
        }
        if *name == LOCATION
            && self.settings.rewrite_location
            && let Some(location) = rewritten(&value, self.server, self.host)
        {
            return Some(location);
        }
        Some(value)
    }
}

/// Adds `Secure` to a cookie that lacks it: the application does not know that it is spoken to over TLS.
fn secured(cookie: HeaderValue) -> Option<HeaderValue> {
    let mut attributes = cookie.as_bytes().split(|byte| *byte == b';').skip(1);
    if attributes.any(|attribute| attribute.trim_ascii().eq_ignore_ascii_case(b"secure")) {
        return Some(cookie);
    }
    HeaderValue::from_bytes(&[cookie.as_bytes(), b"; Secure"].concat()).ok()
}

/// An absolute `Location` that names the application's server, or our host in plain HTTP, becomes our origin.
fn rewritten(location: &HeaderValue, server: &Server, host: &HeaderValue) -> Option<HeaderValue> {
    let (location, host) = (location.to_str().ok()?, host.to_str().ok()?);
    let (scheme, rest) = location.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let is_plain = scheme.eq_ignore_ascii_case("http");
    let is_web = is_plain || scheme.eq_ignore_ascii_case("https");
    let names_server =
        is_web && (authority.eq_ignore_ascii_case(&server.authority) || names_default_port(authority, server));
    let names_us_plainly = is_plain && authority.eq_ignore_ascii_case(host);
    (names_server || names_us_plainly).then(|| HeaderValue::from_str(&format!("https://{host}{path}")).ok()).flatten()
}

/// Whether `authority` is the server without its port, where that port is the scheme's own.
fn names_default_port(authority: &str, server: &Server) -> bool {
    matches!(server.port, 80 | 443)
        && server
            .authority
            .strip_suffix(&format!(":{}", server.port))
            .is_some_and(|name| authority.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::super::Scheme;
    use super::*;

    #[test]
    fn a_location_that_names_the_application_becomes_ours() {
        let server =
            Server { scheme: Scheme::Http, host: "10.0.0.5".into(), port: 9000, authority: "10.0.0.5:9000".into() };
        for (given, expected) in [
            ("http://10.0.0.5:9000/ib/menu.do?a=1", Some("https://bank.example:8443/ib/menu.do?a=1")),
            ("http://bank.example:8443/ib", Some("https://bank.example:8443/ib")),
            ("HTTP://10.0.0.5:9000", Some("https://bank.example:8443")),
            ("/ib/menu.do", None),
            ("https://other.example/", None),
            ("http://10.0.0.5:9000.evil.example/", None),
        ] {
            let location = HeaderValue::from_static(given);
            let location = rewritten(&location, &server, &HeaderValue::from_static("bank.example:8443"));
            assert_eq!(location.as_ref().map(|location| location.to_str().unwrap()), expected);
        }
    }

    #[test]
    fn cookies_become_secure_once() {
        for (given, expected) in [
            ("JSESSIONID=1; Path=/", "JSESSIONID=1; Path=/; Secure"),
            ("a=secure", "a=secure; Secure"),
            ("b=2; secure", "b=2; secure"),
        ] {
            assert_eq!(secured(HeaderValue::from_static(given)).unwrap(), expected);
        }
    }
}
