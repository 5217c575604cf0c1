//! What a client may not say: identity, addresses and overrides are removed before ours are set.
//!
//! Names are compared as the application may read them: CGI, PHP and WSGI fold every character that is no letter or digit
//! into one, so `X-Login-Id`, `X_Login_Id` and `x.login.id` are the same field to them (IDN-05).

use http::header::{HeaderMap, HeaderName};

use super::UnderscoreHeaders;
use super::assertion::Settings;
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
    underscores: UnderscoreHeaders,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Kind {
    Harmless,
    Identity,
    Override,
    Unclean,
}

impl Scrubber {
    /// A scrubber for the headers that `settings` names and the platforms' own.
    pub fn new(settings: &Settings, underscores: UnderscoreHeaders) -> Self {
        let extra = &settings.extra_headers;
        let ours = [Some(&settings.login_id_header), Some(&settings.header)]
            .into_iter()
            .chain([&extra.method, &extra.serial, &extra.not_after, &extra.organization].map(Option::as_ref))
            .flatten()
            .map(|name| fold(name.as_str()))
            .collect();
        Self { ours, underscores }
    }

    /// Cleans a request's head; how many fields claimed an identity.
    ///
    /// # Errors
    /// A name with an underscore, where those are refused.
    pub fn clean_request(&self, headers: &mut HeaderMap) -> Result<u64, Refusal> {
        let mut unwanted: Vec<(HeaderName, Kind)> = Vec::new();
        for name in headers.keys() {
            match self.kind_of(name.as_str()) {
                Kind::Harmless => {}
                kind => unwanted.push((name.clone(), kind)),
            }
        }
        let mut identities = 0;
        for (name, kind) in unwanted {
            if kind == Kind::Unclean && self.underscores == UnderscoreHeaders::Refuse {
                return Err(Refusal::UnderscoreHeader);
            }
            if kind == Kind::Identity {
                identities += headers.get_all(&name).iter().count() as u64;
            }
            headers.remove(&name);
        }
        Ok(identities)
    }

    /// Cleans an answer's head or trailers: an application that echoes what it was told tells it to nobody (IDN-10).
    pub fn clean_answer(&self, headers: &mut HeaderMap) {
        let unwanted: Vec<HeaderName> =
            headers.keys().filter(|name| self.kind_of(name.as_str()) == Kind::Identity).cloned().collect();
        for name in unwanted {
            headers.remove(name);
        }
    }

    fn kind_of(&self, name: &str) -> Kind {
        // Names arrive in lower case. Most are letters and dashes, and need no folded copy.
        let clean = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit());
        if clean {
            return self.kind_of_folded(name);
        }
        match self.kind_of_folded(&fold(name)) {
            Kind::Harmless if name.contains('_') => Kind::Unclean,
            kind => kind,
        }
    }

    fn kind_of_folded(&self, name: &str) -> Kind {
        // Nearly all names differ from nearly all others in their first letter; comparing it first spares the call.
        let first = name.as_bytes().first();
        let begins = |prefixes: &[&str]| {
            prefixes.iter().any(|prefix| prefix.as_bytes().first() == first && name.starts_with(prefix))
        };
        let is_one_of = |names: &[&str]| names.iter().any(|other| other.as_bytes().first() == first && *other == name);
        if self.ours.iter().any(|ours| ours == name) || begins(&IDENTITY_PREFIXES) || is_one_of(&IDENTITY_NAMES) {
            Kind::Identity
        } else if begins(&OVERRIDE_PREFIXES) || is_one_of(&OVERRIDE_NAMES) {
            Kind::Override
        } else {
            Kind::Harmless
        }
    }
}

/// A name as a platform may read it. `$` stays, because `$WSCC` is a name of its own.
fn fold(name: &str) -> String {
    name.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || byte == b'$' { char::from(byte.to_ascii_lowercase()) } else { '-' }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber(underscores: UnderscoreHeaders) -> Scrubber {
        Scrubber { ours: vec!["x-login-id".into(), "x-login-assertion".into()], underscores }
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
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), "a".parse().unwrap());
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), "b".parse().unwrap());
            headers.append("accept", "c".parse().unwrap());
            assert_eq!(scrubber(UnderscoreHeaders::Drop).clean_request(&mut headers), Ok(2), "{name}");
            assert_eq!(headers.len(), 1, "{name}");
        }
    }

    #[test]
    fn overrides_go_uncounted_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for name in ["x-forwarded-for", "forwarded", "x-http-method-override", "x-original-url", "foo_bar"] {
            headers.append(HeaderName::from_static(name), "a".parse().unwrap());
        }
        for name in ["accept", "cookie", "x-requested-with", "smoke", "ivory", "traceparent"] {
            headers.append(HeaderName::from_static(name), "a".parse().unwrap());
        }
        assert_eq!(
            scrubber(UnderscoreHeaders::Refuse).clean_request(&mut headers.clone()),
            Err(Refusal::UnderscoreHeader)
        );
        assert_eq!(scrubber(UnderscoreHeaders::Drop).clean_request(&mut headers), Ok(0));
        assert_eq!(headers.len(), 6);
    }
}
