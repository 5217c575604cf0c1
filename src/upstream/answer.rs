//! The application's answer, cleaned for the outside (HTP-06). Its body is never touched.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::response::Parts;

use super::scrub::Scrubber;
use super::{Server, Settings};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether an answer has one meaning: a status of HTTP, and one framing. hyper reads on where `Transfer-Encoding` stands
/// beside `Content-Length`, or names a coding that it does not undo; passed on, either would be another body.
pub(super) fn has_one_meaning(parts: &Parts) -> bool {
    let (headers, status) = (&parts.headers, parts.status.as_u16());
    let codings: Vec<&[u8]> =
        headers.get_all(TRANSFER_ENCODING).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    let is_number = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    let framing = match codings[..] {
        [] => length.is_none_or(is_number) && lengths.next().is_none(),
        [coding] => coding.eq_ignore_ascii_case(b"chunked") && length.is_none(),
        _ => false,
    };
    // 1xx never comes this far but for 101, and nobody asked for another protocol.
    framing && (200..600).contains(&status)
}

/// Cleans an answer's head. `host` is what the client wrote in Host.
pub(super) fn clean(parts: &mut Parts, server: &Server, host: &HeaderValue, settings: &Settings, scrubber: &Scrubber) {
    let headers = &mut parts.headers;
    remove_connection_fields(headers);
    scrubber.clean_answer(headers);
    if settings.secure_cookies {
        secure_cookies(headers);
    }
    if settings.rewrite_location {
        rewrite_location(headers, server, host);
    }
}

/// A Trailer field may stand: it only announces what follows.
fn remove_connection_fields(headers: &mut HeaderMap) {
    let of_connection = [&CONNECTION, &KEEP_ALIVE, &PROXY_CONNECTION, &TE, &TRANSFER_ENCODING, &UPGRADE];
    let mut unwanted: Vec<HeaderName> = headers.keys().filter(|name| of_connection.contains(name)).cloned().collect();
    let nominated = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| HeaderName::from_bytes(token.trim().as_bytes()).ok());
    unwanted.extend(nominated);
    for name in unwanted {
        headers.remove(name);
    }
}

/// Adds `Secure` to cookies that lack it: the application does not know that it is spoken to over TLS.
fn secure_cookies(headers: &mut HeaderMap) {
    let is_secure = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b';')
            .skip(1)
            .any(|attribute| attribute.trim_ascii().eq_ignore_ascii_case(b"secure"))
    };
    if headers.get_all(SET_COOKIE).iter().all(is_secure) {
        return;
    }
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        let secured = if is_secure(&cookie) {
            Some(cookie)
        } else {
            HeaderValue::from_bytes(&[cookie.as_bytes(), b"; Secure"].concat()).ok()
        };
        if let Some(cookie) = secured {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// An absolute `Location` that names the application's server, or our host in plain HTTP, becomes our origin.
fn rewrite_location(headers: &mut HeaderMap, server: &Server, host: &HeaderValue) {
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else { return };
    let Ok(host) = host.to_str() else { return };
    let Some((scheme, rest)) = location.split_once("://") else { return };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let is_plain = scheme.eq_ignore_ascii_case("http");
    let is_web = is_plain || scheme.eq_ignore_ascii_case("https");
    let names_server =
        is_web && (authority.eq_ignore_ascii_case(&server.authority) || names_default_port(authority, server));
    let names_us_plainly = is_plain && authority.eq_ignore_ascii_case(host);
    if (names_server || names_us_plainly)
        && let Ok(location) = HeaderValue::from_str(&format!("https://{host}{path}"))
    {
        headers.insert(LOCATION, location);
    }
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
            ("http://10.0.0.5:9000/ib/menu.do?a=1", "https://bank.example:8443/ib/menu.do?a=1"),
            ("http://bank.example:8443/ib", "https://bank.example:8443/ib"),
            ("HTTP://10.0.0.5:9000", "https://bank.example:8443"),
            ("/ib/menu.do", "/ib/menu.do"),
            ("https://other.example/", "https://other.example/"),
            ("http://10.0.0.5:9000.evil.example/", "http://10.0.0.5:9000.evil.example/"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, given.parse().unwrap());
            rewrite_location(&mut headers, &server, &HeaderValue::from_static("bank.example:8443"));
            assert_eq!(headers[LOCATION], expected);
        }
    }

    #[test]
    fn cookies_become_secure_and_keep_their_order() {
        let mut headers = HeaderMap::new();
        for cookie in ["JSESSIONID=1; Path=/", "a=secure", "b=2; secure"] {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        secure_cookies(&mut headers);
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().map(|c| c.to_str().unwrap()).collect();
        assert_eq!(cookies, ["JSESSIONID=1; Path=/; Secure", "a=secure; Secure", "b=2; secure"]);
    }
}
