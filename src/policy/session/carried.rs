//! Which sessions of the application a request names (BND-03, BND-10).
//!
//! Containers differ in which of two sessions they take, where they cut a `Cookie` field and which spellings of a name they
//! know. So whatever one of them might take for a session is one, and what is not the one plain spelling is refused.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

use super::SessionId;
use crate::policy::body::name::fold;
use crate::policy::route::CanonicalPath;
use crate::refusal::{NamedIn, SessionRefusal};

const AMBIGUOUS_COOKIE: SessionRefusal = SessionRefusal::Ambiguous(NamedIn::Cookie);
const AMBIGUOUS_TARGET: SessionRefusal = SessionRefusal::Ambiguous(NamedIn::Target);

/// Names under which the application looks for its sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Cookies. Each is a session of its own: a single sign-on has one beside the container's.
    pub cookies: Vec<String>,
    /// Path parameters: `;jsessionid=…`. Where there is one, the cookies' names are others: containers use either.
    pub url_parameters: Vec<String>,
    /// Parameters of the query.
    pub query_parameters: Vec<String>,
}

/// The sessions that a request names.
#[derive(Debug)]
pub(super) struct Carried {
    /// Nearly always none or one.
    pub ids: Vec<SessionId>,
    /// Whether one of them stands in the target, from where it cannot be taken out.
    pub in_target: bool,
    /// Whether they stand in cookies, or in the target alone.
    pub named_in: NamedIn,
}

impl Names {
    /// Whether there is no place where a session could stand.
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty() && self.url_parameters.is_empty() && self.query_parameters.is_empty()
    }

    /// Finds them.
    ///
    /// # Errors
    /// [`SessionRefusal::Ambiguous`].
    pub(super) fn carried(
        &self,
        headers: &HeaderMap,
        path: &str,
        query: Option<&str>,
    ) -> Result<Carried, SessionRefusal> {
        let mut cookies: Vec<&[u8]> = Vec::new();
        if headers.contains_key(COOKIE) {
            for name in &self.cookies {
                cookies.extend(cookie(name, headers)?);
            }
        }
        let mut in_target = self.in_path(path)?;
        in_target.extend(self.in_query(query)?);
        let named_in = if cookies.is_empty() { NamedIn::Target } else { NamedIn::Cookie };
        let mut carried =
            Carried { ids: Vec::with_capacity(cookies.len()), in_target: !in_target.is_empty(), named_in };
        // Of a cookie and a URL that differ, one container takes the first, another the one that it knows.
        let agrees = |value: &&str| cookies.contains(&value.as_bytes());
        let all_alike = in_target.windows(2).all(|pair| pair[0] == pair[1]);
        if !all_alike || (!cookies.is_empty() && !in_target.iter().all(agrees)) {
            return Err(AMBIGUOUS_TARGET);
        }
        carried.ids.extend(cookies.iter().map(|value| SessionId::of(value)));
        if cookies.is_empty() {
            carried.ids.extend(in_target.first().map(|value| SessionId::of(value.as_bytes())));
        }
        Ok(carried)
    }

    fn in_path<'t>(&self, path: &'t str) -> Result<Vec<&'t str>, SessionRefusal> {
        // Some servers decode before they cut; a semicolon that is encoded has no one reading.
        if self.url_parameters.is_empty() || !path.contains([';', '%', '\\']) {
            return Ok(Vec::new());
        }
        let path = CanonicalPath::of(path).map_err(|_| AMBIGUOUS_TARGET)?;
        let names = self.url_parameters.iter().chain(&self.cookies);
        values(names, path.parameters.into_iter(), Spelling::AnyCase)
    }

    fn in_query<'t>(&self, query: Option<&'t str>) -> Result<Vec<&'t str>, SessionRefusal> {
        match query {
            Some(query) if !self.query_parameters.is_empty() => {
                values(self.query_parameters.iter(), query.split(['&', ';']), Spelling::Exact)
            }
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// Takes the cookies that are sessions out of a request's head; the others stay as they are.
    pub(super) fn take_out(&self, headers: &mut HeaderMap) {
        let is_ours = |piece: &&[u8]| {
            let name = piece.split(|byte| *byte == b'=').next().unwrap_or_default();
            !self.cookies.iter().any(|cookie| cookie.as_bytes() == name.trim_ascii())
        };
        let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
        headers.remove(COOKIE);
        for line in lines {
            let kept: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == b';').filter(is_ours).collect();
            if let Ok(value) = HeaderValue::from_bytes(kept.join(&b';').trim_ascii())
                && !value.is_empty()
            {
                headers.append(COOKIE, value);
            }
        }
    }
}

/// The value of a session's cookie, where there is one.
fn cookie<'h>(name: &str, headers: &'h HeaderMap) -> Result<Option<&'h [u8]>, SessionRefusal> {
    let (mut found, mut written, mut named) = (None, 0, 0);
    for line in headers.get_all(COOKIE) {
        let line = line.as_bytes();
        written += occurrences(name, line);
        // Some split at commas too.
        let names = line.split(|byte| matches!(byte, b';' | b',')).map(|piece| before_equals(piece).0);
        named += names.filter(|own| reads_as(name, own)).count();
        for piece in line.split(|byte| *byte == b';') {
            let (own, Some(value)) = before_equals(piece.trim_ascii()) else { continue };
            if own == name.as_bytes() {
                let is_second = found.replace(value).is_some();
                if is_second || !value.iter().all(|byte| is_cookie_octet(*byte)) {
                    return Err(AMBIGUOUS_COOKIE);
                }
            }
        }
    }
    // Behind a comma, in quotes, in another case or spelling: somebody finds it there.
    let once = usize::from(found.is_some());
    if (written, named) == (once, once) { Ok(found) } else { Err(AMBIGUOUS_COOKIE) }
}

/// A name and its value, where there is one.
fn before_equals(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    match piece.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&piece[..equals], Some(&piece[equals + 1..])),
        None => (piece, None),
    }
}

/// How often a name stands in a `Cookie` field where some parser could begin a cookie, in any case.
fn occurrences(name: &str, line: &[u8]) -> usize {
    let stands_before = |equals: &usize| {
        let before = &line[..*equals];
        let closing = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\\')).count();
        let Some(begin) = (equals - closing).checked_sub(name.len()) else { return false };
        let begins = begin == 0 || !is_token_octet(line[begin - 1]);
        begins && line[begin..equals - closing].eq_ignore_ascii_case(name.as_bytes())
    };
    memchr::memchr_iter(b'=', line).filter(stands_before).count()
}

/// Whether some reader takes a name for a configured one, which is letters, digits and a few signs.
fn reads_as(configured: &str, name: &[u8]) -> bool {
    let is_simple = name.iter().all(|byte| byte.is_ascii() && !matches!(byte, b'%' | b'[' | 0));
    if is_simple {
        // The same as below, of what nearly every name is.
        return letters(name).eq(letters(configured.as_bytes()));
    }
    carelessly_read(name).bytes().eq(letters(configured.as_bytes()))
}

/// The letters and digits of a name, in lower case.
fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase)
}

/// What is left of a name for the most careless reader: decoded, cut at a NUL, in any case and width, and of ASCII only letters
/// and digits. Jetty takes quotes and backslashes off names; PHP makes blanks of `+`, drops those in front, and cuts at NUL.
fn carelessly_read(name: &[u8]) -> String {
    let decoded = leniently_decoded(name);
    let cut = decoded.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut read = String::new();
    fold(&String::from_utf8_lossy(cut), &mut read);
    read.retain(|character| !character.is_ascii() || character.is_ascii_alphanumeric());
    read
}

/// Percent-decoded as far as it goes.
fn leniently_decoded(raw: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let code = digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                decoded.push(code);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

/// How a parameter's name must be written to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Exact,
    AnyCase,
}

/// The values of parameters that are sessions.
fn values<'n, 't>(
    names: impl Iterator<Item = &'n String>,
    parameters: impl Iterator<Item = &'t str>,
    spelling: Spelling,
) -> Result<Vec<&'t str>, SessionRefusal> {
    let names: Vec<&String> = names.collect();
    let mut found = Vec::new();
    for parameter in parameters {
        let (own, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(name) = names.iter().find(|name| reads_as(name, own.as_bytes())) else { continue };
        let is_plain = match spelling {
            Spelling::Exact => own == name.as_str(),
            Spelling::AnyCase => own.eq_ignore_ascii_case(name),
        };
        if !is_plain || !value.bytes().all(is_cookie_octet) {
            return Err(AMBIGUOUS_TARGET);
        }
        found.push(value);
    }
    Ok(found)
}

/// Whether a session's value can come back in a request.
pub(super) fn is_plain(value: &str) -> bool {
    value.bytes().all(is_cookie_octet)
}

/// RFC 6265 4.1.1.
const fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// RFC 9110 5.6.2.
const fn is_token_octet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let one = |name: &str| vec![name.to_owned()];
        Names {
            cookies: vec!["JSESSIONID".into(), "LtpaToken2".into()],
            url_parameters: one("jsessionid"),
            query_parameters: one("sid"),
        }
    }

    fn carried(cookies: &[&str], target: &str) -> Result<Vec<SessionId>, SessionRefusal> {
        let mut headers = HeaderMap::new();
        for line in cookies {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        names().carried(&headers, path, query).map(|carried| carried.ids)
    }

    fn ids(values: &[&str]) -> Result<Vec<SessionId>, SessionRefusal> {
        Ok(values.iter().map(|value| SessionId::of(value.as_bytes())).collect())
    }

    #[test]
    fn one_session_is_found_wherever_it_is() {
        for (cookies, target, expected) in [
            (&[][..], "/ib/menu.do", &[][..]),
            (&["a=1; b=\"2\""], "/ib/menu.do?x=1", &[]),
            (&["JSESSIONID=A1!2.node"], "/", &["A1!2.node"]),
            (&["a=1;JSESSIONID=A;b=2"], "/", &["A"]),
            (&["a=1", "JSESSIONID=A"], "/", &["A"]),
            (&["XJSESSIONID=B; JSESSIONID2=C; JSESSIONID=A"], "/", &["A"]),
            (&["a=MYJSESSIONID=7; JSESSIONID=A"], "/", &["A"]),
            (&["LtpaToken2=t/+=; JSESSIONID=A"], "/", &["A", "t/+="]),
            (&[], "/ib/menu.do;jsessionid=A?x=1", &["A"]),
            (&[], "/ib;x=1/menu.do;JSESSIONID=A", &["A"]),
            (&["JSESSIONID=A"], "/ib/menu.do;jsessionid=A", &["A"]),
            (&[], "/ib/menu.do;ltpatoken2=A", &["A"]),
            (&[], "/ib/menu.do?a=1&sid=A", &["A"]),
            (&["JSESSIONID="], "/", &[""]),
        ] {
            assert_eq!(carried(cookies, target), ids(expected), "{cookies:?} {target}");
        }
    }

    /// A04, A05, BND-10.
    #[test]
    fn what_containers_could_read_differently_is_refused() {
        for (cookies, target) in [
            (&["JSESSIONID=A; JSESSIONID=B"][..], "/"),
            (&["JSESSIONID=A; JSESSIONID=A"], "/"),
            (&["JSESSIONID=A", "JSESSIONID=B"], "/"),
            (&["JSESSIONID=\"A\""], "/"),
            (&["a=b,JSESSIONID=B"], "/"),
            (&["a=b, JSESSIONID=B; JSESSIONID=A"], "/"),
            (&["a=\"x; JSESSIONID=B\"; JSESSIONID=A"], "/"),
            (&["JSESSIONID=A,b"], "/"),
            (&["JSESSIONID=A b"], "/"),
            (&["JSESSIONID =A"], "/"),
            (&["JSESSIONID"], "/"),
            (&["jsessionid=A"], "/"),
            (&["JSESSIONID=A; jsessionid=B"], "/"),
            (&["%4aSESSIONID=A"], "/"),
            (&["%4ASESSIONID=B; JSESSIONID=A"], "/"),
            (&["J_SESSIONID=B; JSESSIONID=A"], "/"),
            (&["$Version=1, JSESSIONID=B"], "/"),
            (&["\"JSESSIONID\"=B"], "/"),
            (&["\"JSESSIONID\"=B; JSESSIONID=A"], "/"),
            (&["\"J\\SESSIONID\"=B"], "/"),
            (&["a=b,\"JSESSIONID\"=B"], "/"),
            (&["a=b,%4aSESSIONID=B; JSESSIONID=A"], "/"),
            (&["+JSESSIONID=B"], "/"),
            (&["%20JSESSIONID=B; JSESSIONID=A"], "/"),
            (&["JSESSIONID%00x=B"], "/"),
            (&["JSESSIONID[0]=B; JSESSIONID=A"], "/"),
            (&[], "/ib/menu.do?+sid=A"),
            (&[], "/ib/menu.do?sid%00x=A"),
            (&[], "/x%c0%bbjsessionid=B"),
            (&["JSESSIONID=A"], "/ib/menu.do;jsessionid=B"),
            (&["JSESSIONID=A"], "/ib/menu.do?sid=B"),
            (&["JSESSIONID="], "/ib/menu.do;jsessionid=B"),
            (&[], "/ib/menu.do;jsessionid=A;jsessionid=B"),
            (&[], "/ib;jsessionid=A/menu.do;jsessionid=B"),
            (&[], "/ib/menu.do;%6asessionid=B"),
            (&[], "/ib/menu.do%3bjsessionid=B"),
            (&["JSESSIONID=A"], "/ib/menu.do%253Bjsessionid=B"),
            (&[], "/ib/menu.do;jsession_id=B"),
            (&[], "/ib/menu.do;jsessionid=A,B"),
            (&[], "/ib/menu.do?sid=A&sid=B"),
            (&[], "/ib/menu.do?SID=A"),
            (&[], "/ib/menu.do;jsessionid=A?sid=B"),
        ] {
            assert!(matches!(carried(cookies, target), Err(SessionRefusal::Ambiguous(_))), "{cookies:?} {target}");
        }
    }

    #[test]
    fn a_session_is_taken_out_and_other_cookies_stay() {
        for (before, after) in [
            (&["JSESSIONID=A"][..], &[][..]),
            (&["a=1; JSESSIONID=A; b=2"], &["a=1; b=2"]),
            (&["JSESSIONID=A; b=2", "LtpaToken2=t", "c=3"], &["b=2", "c=3"]),
        ] {
            let mut headers = HeaderMap::new();
            for line in before {
                headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
            }
            names().take_out(&mut headers);
            let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(left, after.to_vec(), "{before:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_to_read_a_name_says_what_the_long_way_says(name in "[A-Za-z0-9_.!$+\"\\\\ \\-\\]]{0,8}(sid)?[_ \"+-]{0,3}") {
            let long = carelessly_read(name.as_bytes()).bytes().eq(letters(b"s_id"));
            proptest::prop_assert_eq!(reads_as("s_id", name.as_bytes()), long);
        }
    }
}
