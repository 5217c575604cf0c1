//! What a client may not say: identity, addresses and overrides are removed before ours are set.
//!
//! Names are compared as the application may read them: CGI, PHP and WSGI fold every character that is no letter or digit
//! into one, so `X-Login-Id`, `X_Login_Id` and `x.login.id` are the same field to them (IDN-05).

use std::borrow::Cow;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};

use super::UnderscoreHeaders;
use super::assertion::Settings;
use super::head::Fields;
use crate::connection::request::ends_here;
use crate::refusal::Refusal;

/// Beginnings of names by which platforms pass identities behind a proxy (IDN-09), folded.
const IDENTITY_PREFIXES: [&str; 15] = [
    "$ws",
    "wl-proxy-",
    "ssl-client-",
    "x-ssl-",
    "x-client-cert",
    "client-cert",
    "sm-",
    "iv-",
    // Ours, also those that this configuration does not send.
    "x-login-",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-verify",
    "x-tls-client-",
    "x-auth-request-",
    "x-amzn-mtls-",
];

/// Whole names of the same kind, folded.
const IDENTITY_NAMES: [&str; 9] = [
    "remote-user",
    "x-remote-user",
    "auth-user",
    "x-forwarded-user",
    "x-forwarded-client-cert",
    "proxy-user",
    "smuser",
    "x-arr-clientcert",
    "x-webauth-user",
];

/// Where the request came from and what it asks for is ours to tell, or the target's: removed, but no attack as such.
const OVERRIDE_PREFIXES: [&str; 1] = ["x-forwarded-"];

/// Whole names of the same kind.
const OVERRIDE_NAMES: [&str; 16] = [
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "proxy-client-ip",
    "client-ip",
    "x-request-id",
    "x-original-host",
    "x-original-method",
    "x-host",
];

/// Removes what a client may not say. Made once per configuration.
#[derive(Debug)]
pub struct Scrubber {
    /// The names that we set, folded.
    ours: Vec<String>,
    beginnings: Beginnings,
    underscores: UnderscoreHeaders,
}

/// What a field says, by its name.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Kind {
    /// Nothing that concerns us.
    Harmless,
    /// Who the client is: an attack, or a proxy that should not be there.
    Identity,
    /// Where the request came from or what it asks for.
    Override,
    /// Nothing by itself, but its name holds an underscore, which applications read as a dash.
    Unclean,
}

impl Scrubber {
    /// A scrubber for the headers that `settings` names and the platforms' own.
    pub fn new(settings: &Settings, underscores: UnderscoreHeaders) -> Self {
        let extra = &settings.extra_headers;
        let ours: Vec<String> = [Some(&settings.login_id_header), Some(&settings.header)]
            .into_iter()
            .chain([&extra.method, &extra.serial, &extra.not_after, &extra.organization].map(Option::as_ref))
            .flatten()
            .map(|name| fold(name.as_str()))
            .collect();
        Self::of(ours, underscores)
    }

    fn of(ours: Vec<String>, underscores: UnderscoreHeaders) -> Self {
        let lists = [&IDENTITY_PREFIXES[..], &IDENTITY_NAMES, &OVERRIDE_PREFIXES, &OVERRIDE_NAMES];
        let all = lists.into_iter().flatten().copied().chain(ours.iter().map(String::as_str));
        let beginnings = Beginnings::of(all);
        Self { ours, beginnings, underscores }
    }

    /// Writes what the client may say into the fields that will leave; how many of its fields claimed an identity.
    ///
    /// # Errors
    /// A name with an underscore, where those are refused.
    pub fn pass_on(&self, headers: &HeaderMap, fields: &mut Fields) -> Result<u64, Refusal> {
        let mut identities = 0;
        let mut cookies_are_passed = false;
        for (name, value) in headers {
            if ends_here(name.as_str()) {
                continue;
            }
            match self.kind_of(name.as_str()) {
                Kind::Harmless if *name == COOKIE => {
                    if !std::mem::replace(&mut cookies_are_passed, true) {
                        fields.add(name, &joined_cookies(headers));
                    }
                }
                Kind::Harmless => fields.add(name, value.as_bytes()),
                Kind::Identity => identities += 1,
                Kind::Unclean if self.underscores == UnderscoreHeaders::Refuse => {
                    return Err(Refusal::UnderscoreHeader);
                }
                Kind::Unclean | Kind::Override => {}
            }
        }
        Ok(identities)
    }

    /// Cleans an answer's trailers: an application that echoes what it was told tells it to nobody (IDN-10).
    pub fn clean_answer(&self, headers: &mut HeaderMap) {
        let unwanted: Vec<HeaderName> =
            headers.keys().filter(|name| self.is_identity(name.as_str())).cloned().collect();
        for name in unwanted {
            headers.remove(name);
        }
    }

    /// Whether an answer's field says who somebody is. Names are in lower case.
    pub(super) fn is_identity(&self, name: &str) -> bool {
        self.kind_on_lists(name) == Kind::Identity
    }

    /// What a request's field says.
    fn kind_of(&self, name: &str) -> Kind {
        match self.kind_on_lists(name) {
            Kind::Harmless if name.as_bytes().contains(&b'_') => Kind::Unclean,
            kind => kind,
        }
    }

    fn kind_on_lists(&self, name: &str) -> Kind {
        // Nearly all names differ from all on the lists in how they begin.
        if !self.beginnings.may_include(name) {
            Kind::Harmless
        } else if name.bytes().all(|byte| fold_byte(byte) == byte) {
            self.kind_of_folded(name)
        } else {
            self.kind_of_folded(&fold(name))
        }
    }

    fn kind_of_folded(&self, name: &str) -> Kind {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if self.ours.iter().any(|ours| ours == name) || begins(&IDENTITY_PREFIXES) || IDENTITY_NAMES.contains(&name) {
            Kind::Identity
        } else if begins(&OVERRIDE_PREFIXES) || OVERRIDE_NAMES.contains(&name) {
            Kind::Override
        } else {
            Kind::Harmless
        }
    }
}

/// How the names on all lists begin: a set of bits by their first two octets. Another name may share a bit with one of
/// them; it costs a closer look.
#[derive(Debug, Default)]
struct Beginnings([u64; 16]);

impl Beginnings {
    fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut set = Self::default();
        for name in names {
            let (word, bit) = Self::place_of(name);
            set.0[word] |= bit;
        }
        set
    }

    fn may_include(&self, name: &str) -> bool {
        let (word, bit) = Self::place_of(name);
        self.0[word] & bit != 0
    }

    /// Ten bits out of the two octets, which are folded.
    fn place_of(name: &str) -> (usize, u64) {
        let at = |index| name.as_bytes().get(index).map_or(0, |byte| usize::from(fold_byte(*byte)));
        let place = (at(0) * 32 + at(1)) % 1024;
        (place / 64, 1 << (place % 64))
    }
}

/// HTTP/2 may send one Cookie field per pair (RFC 9113 8.2.3); HTTP/1.1 applications expect one field.
fn joined_cookies(headers: &HeaderMap) -> Cow<'_, [u8]> {
    let mut fields = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    match (fields.next().unwrap_or_default(), fields.next()) {
        (only, None) => Cow::Borrowed(only),
        (first, Some(second)) => {
            let all: Vec<&[u8]> = [first, second].into_iter().chain(fields).collect();
            Cow::Owned(all.join(&b"; "[..]))
        }
    }
}

/// A name as a platform may read it.
fn fold(name: &str) -> String {
    name.bytes().map(|byte| char::from(fold_byte(byte))).collect()
}

/// `$` stays, because `$WSCC` is a name of its own.
const fn fold_byte(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || byte == b'$' { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber(underscores: UnderscoreHeaders) -> Scrubber {
        Scrubber::of(vec!["x-login-id".into(), "x-login-assertion".into()], underscores)
    }

    fn passed_on(names: &[&str], underscores: UnderscoreHeaders) -> Result<(u64, String), Refusal> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("a"));
        }
        let mut fields = Fields::new(false);
        let removed = scrubber(underscores).pass_on(&headers, &mut fields)?;
        Ok((removed, String::from_utf8(fields.as_bytes().to_vec()).unwrap()))
    }

    #[test]
    fn every_spelling_of_an_identity_is_removed_and_counted() {
        for name in [
            "x-login-id",
            "x_login_id",
            "x-login_id",
            "x.login.id",
            "X-LOGIN-ID",
            "x-login-assertion",
            "$wscc",
            "$WSRA",
            "wl-proxy-client-cert",
            "ssl_client_s_dn",
            "ssl-client-verify",
            "client-cert",
            "client-cert-chain",
            "sm_user",
            "sm-user",
            "remote-user",
            "remote_user",
            "iv-user",
            "x-ssl-client-cn",
            "x-forwarded-user",
        ] {
            let passed = passed_on(&[name, "accept", name], UnderscoreHeaders::Drop);
            assert_eq!(passed, Ok((2, "accept: a\r\n".to_owned())), "{name}");
        }
    }

    #[test]
    fn overrides_go_uncounted_and_the_rest_stays() {
        let gone = ["x-forwarded-for", "forwarded", "x-http-method-override", "x-original-url", "foo_bar", "te"];
        let kept = ["accept", "x-requested-with", "smoke", "ivory", "traceparent", "a"];
        let all = [&gone[..], &kept[..]].concat();
        assert_eq!(passed_on(&all, UnderscoreHeaders::Refuse), Err(Refusal::UnderscoreHeader));
        let expected: String = kept.iter().map(|name| format!("{name}: a\r\n")).collect();
        assert_eq!(passed_on(&all, UnderscoreHeaders::Drop), Ok((0, expected)));
    }

    #[test]
    fn cookies_become_one_field_in_their_order() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1", "b=2; c=3", "d=4"] {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        let mut fields = Fields::new(true);
        scrubber(UnderscoreHeaders::Drop).pass_on(&headers, &mut fields).unwrap();
        assert_eq!(fields.as_bytes(), b"Cookie: a=1; b=2; c=3; d=4\r\n");
    }
}
