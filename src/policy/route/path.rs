//! A request's path as the application will read it (LIM-25): written once in its canonical form, matched and forwarded so.
//!
//! Servers differ in what they decode, when, and where they cut. What more than one of them could read differently (encoded
//! slashes, backslashes, `..;`, NUL, double encoding) is refused; what means the same to all (`%63` for `c`, `//`, `/./`) is
//! written in one way, and that way is forwarded.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::policy::body::name::plain;

/// A path that more than one server would read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path can be read in more than one way")]
pub struct AmbiguousPath;

/// A path in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath<'p> {
    /// As it is forwarded, with path parameters (`;jsessionid=…`).
    pub forwarded: Cow<'p, str>,
    /// As routes are matched: without them.
    pub matched: Cow<'p, str>,
    /// The parameters, without their semicolons.
    pub parameters: Vec<&'p str>,
}

impl<'p> CanonicalPath<'p> {
    /// Reads the path of a request target in origin form.
    ///
    /// # Errors
    /// A path with more than one reading.
    pub fn of(path: &'p str) -> Result<Self, AmbiguousPath> {
        if is_canonical(path.as_bytes()) {
            return Ok(Self { forwarded: path.into(), matched: path.into(), parameters: Vec::new() });
        }
        let rest = path.strip_prefix('/').ok_or(AmbiguousPath)?;
        let mut segments: Vec<(String, &str)> = Vec::new();
        let mut parameters = Vec::new();
        // What follows the last segment: nothing, or a slash, which may carry a directory's parameters.
        let mut end = None;
        let mut rest = rest.split('/').peekable();
        while let Some(segment) = rest.next() {
            let (name, suffix) = segment.split_at(segment.find(';').unwrap_or(segment.len()));
            let name = canonical_name(name)?;
            for parameter in suffix.split(';').skip(1) {
                check_parameter(parameter)?;
                parameters.push(parameter);
            }
            end = None;
            match name.as_str() {
                "" if rest.peek().is_none() => end = Some(suffix),
                // Where a dot segment or nothing carries parameters, servers disagree about what it is.
                "" | "." | ".." if !suffix.is_empty() => return Err(AmbiguousPath),
                "" | "." => end = Some(""),
                ".." => {
                    segments.pop().ok_or(AmbiguousPath)?;
                    end = Some("");
                }
                _ => segments.push((name, suffix)),
            }
        }
        let end = if segments.is_empty() { end.or(Some("")) } else { end };
        let mut forwarded = String::with_capacity(path.len());
        let mut matched = String::with_capacity(path.len());
        for (name, suffix) in &segments {
            forwarded.extend(["/", name, suffix]);
            matched.extend(["/", name]);
        }
        if let Some(suffix) = end {
            forwarded.extend(["/", suffix]);
            matched.push('/');
        }
        Ok(Self { forwarded: forwarded.into(), matched: matched.into(), parameters })
    }
}

/// Whether the path has nothing that could be written otherwise. Segments that begin with a dot are looked at closely.
fn is_canonical(path: &[u8]) -> bool {
    let plain = path.iter().all(|byte| byte.is_ascii() && !matches!(byte, b'%' | b';' | b'\\'));
    plain && path.first() == Some(&b'/') && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

/// A segment without parameters: unreserved characters as they are, all else percent-encoded in upper case (RFC 3986 6.2.2).
fn canonical_name(name: &str) -> Result<String, AmbiguousPath> {
    let mut canonical = String::with_capacity(name.len());
    let mut bytes = name.bytes();
    let mut before = 0;
    while let Some(written) = bytes.next() {
        let byte = match written {
            b'\\' => return Err(AmbiguousPath),
            b'%' => decoded(&mut bytes)?,
            _ => written,
        };
        if is_overlong(before, byte) {
            return Err(AmbiguousPath);
        }
        before = byte;
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_unreserved || (byte.is_ascii() && byte == written) {
            canonical.push(char::from(byte));
        } else {
            let _ = write!(canonical, "%{byte:02X}");
        }
    }
    Ok(canonical)
}

/// Whether two bytes begin a UTF-8 form that is longer than it needs to be: old decoders take `C1 A3` and `E0 81 A3` for
/// the `c` that they stand for (CVE-2008-2938).
fn is_overlong(first: u8, second: u8) -> bool {
    let shortest = match first {
        0xc0 | 0xc1 => 0xc0,
        0xe0 => 0xa0,
        0xf0 => 0x90,
        0xf8 => 0x88,
        0xfc => 0x84,
        _ => return false,
    };
    (0x80..shortest).contains(&second)
}

/// A segment of a canonical path as the most careless server compares it: decoded, of normal width, in lower case, without
/// dots and blanks at its end.
pub(super) fn folded(segment: &str) -> String {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        let digits = match byte {
            b'%' => bytes.next().zip(bytes.next()),
            _ => None,
        };
        let value = |(high, low): (u8, u8)| {
            let digit = |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(high)? << 4 | digit(low)?)
        };
        decoded.push(digits.and_then(value).unwrap_or(byte));
    }
    let mut folded: String = String::from_utf8_lossy(&decoded).chars().flat_map(plain).collect();
    let kept = folded.trim_end_matches(|end: char| end == '.' || end.is_whitespace()).len();
    folded.truncate(kept);
    folded
}

/// What a percent sign stands before; not what would change the path's shape when it is decoded, once or twice.
fn decoded(bytes: &mut std::str::Bytes<'_>) -> Result<u8, AmbiguousPath> {
    let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (Some(high), Some(low)) = (digit(), digit()) else { return Err(AmbiguousPath) };
    let byte = high << 4 | low;
    let changes_shape = matches!(byte, b'/' | b'\\' | b';' | b'%' | b'?' | b'#') || byte < 0x20 || byte == 0x7f;
    if changes_shape { Err(AmbiguousPath) } else { Ok(byte) }
}

/// Parameters are forwarded as they came; they must not hide a path.
fn check_parameter(parameter: &str) -> Result<(), AmbiguousPath> {
    let mut bytes = parameter.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return Err(AmbiguousPath),
            b'%' => drop(decoded(&mut bytes)?),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(path: &str) -> Option<String> {
        CanonicalPath::of(path).ok().map(|canonical| canonical.matched.into_owned())
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        for (path, expected) in [
            ("/ib/transfer/commit.do", "/ib/transfer/commit.do"),
            ("/", "/"),
            ("//", "/"),
            ("/ib//transfer///commit.do", "/ib/transfer/commit.do"),
            ("/ib/./transfer/commit.do", "/ib/transfer/commit.do"),
            ("/ib/bulk/../transfer/commit.do", "/ib/transfer/commit.do"),
            ("/ib/bulk/%2e%2E/transfer/commit.do", "/ib/transfer/commit.do"),
            ("/ib/transfer/%63ommit.do", "/ib/transfer/commit.do"),
            ("/ib/transfer/commit.do/", "/ib/transfer/commit.do/"),
            ("/ib/transfer/commit.do/.", "/ib/transfer/commit.do/"),
            ("/ib/transfer/..", "/ib/"),
            ("/.well-known/jwks.json", "/.well-known/jwks.json"),
            ("/ib/%e6%97%a5.pdf", "/ib/%E6%97%A5.pdf"),
            ("/ib/日.pdf", "/ib/%E6%97%A5.pdf"),
            ("/ib/%e0%a4%b9!$.pdf", "/ib/%E0%A4%B9!$.pdf"),
            ("/ib/a%21b", "/ib/a%21b"),
            ("/ib/transfer;jsessionid=1/commit.do;x=2", "/ib/transfer/commit.do"),
            ("/ib/;jsessionid=1", "/ib/"),
        ] {
            assert_eq!(matched(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for path in [
            "/ib/%2ftransfer",
            "/ib/%5ctransfer",
            "/ib\\transfer",
            "/ib/..;/transfer",
            "/ib/.;x/transfer",
            "/ib/;x/transfer",
            "/;/ib/transfer",
            "/ib/%00",
            "/ib/commit.do%00.html",
            "/ib/%252e%252e/transfer",
            "/ib%c0%aftransfer",
            "/ib/%C1%A3ommit.do",
            "/ib/%E0%81%A3ommit.do",
            "/ib/%F0%80%81%A3ommit.do",
            "/ib/%0a",
            "/ib/%7f",
            "/ib/commit.do%3bx",
            "/ib/commit%3f.do",
            "/ib/%8",
            "/ib/%u002e",
            "/ib/%+1",
            "/..",
            "/ib/../../x",
            "/ib/x;a=%2f..",
            "/ib/x;a=\\",
            "ib",
            "",
        ] {
            assert_eq!(matched(path), None, "{path}");
        }
    }

    #[test]
    fn parameters_are_forwarded_and_not_matched() {
        let canonical = CanonicalPath::of("/ib//menu.do;jsessionid=1;b").unwrap();
        assert_eq!(canonical.forwarded, "/ib/menu.do;jsessionid=1;b");
        assert_eq!(canonical.parameters, ["jsessionid=1", "b"]);
    }

    #[test]
    fn canonical_is_a_fixed_point() {
        for path in ["/ib//transfer/%63ommit.do;a=1", "/ib/%e6%97%a5/./x/", "/a/b/../c"] {
            let once = CanonicalPath::of(path).unwrap().forwarded.into_owned();
            assert_eq!(CanonicalPath::of(&once).unwrap().forwarded, once, "{path}");
        }
    }
}
