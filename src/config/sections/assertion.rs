//! `[assertion]`: the headers that tell the application who is there, and the keys that sign them.

use std::path::Path;
use std::time::Duration;

use http::HeaderName;

use crate::config::files;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, duration, text};
use crate::upstream::assertion::{Algorithm, ExtraHeaders, Key, Settings};

/// Long enough for a slow application, short enough that a leaked header is soon worthless.
const LIFETIME: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const DEFAULT_LIFETIME: Duration = Duration::from_secs(30);

/// Names that already mean something to HTTP, to the application or to this gateway.
const TAKEN: [&str; 32] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Reads `[assertion]`.
pub(in crate::config) fn read_assertion(mut section: Section<'_>) -> Read<Settings> {
    let login_id_header = section.or("login-id-header", HeaderName::from_static("x-login-id"), header_name);
    let header = section.or("header", HeaderName::from_static("x-login-assertion"), header_name);
    let method = section.optional("method-header", header_name);
    let serial = section.optional("serial-header", header_name);
    let not_after = section.optional("not-after-header", header_name);
    let organization = section.optional("organization-header", header_name);
    refuse_equal_names(
        &section,
        &[
            ("login-id-header", login_id_header.as_ref().ok()),
            ("header", header.as_ref().ok()),
            ("method-header", method.iter().flatten().next()),
            ("serial-header", serial.iter().flatten().next()),
            ("not-after-header", not_after.iter().flatten().next()),
            ("organization-header", organization.iter().flatten().next()),
        ],
    );
    let issuer = section.or("issuer", "sekisho".to_owned(), text);
    let audience = section.required("audience", text);
    let lifetime = section.or("lifetime", DEFAULT_LIFETIME, duration(LIFETIME));
    let keys = read_keys(&mut section);
    section.finish();
    Ok(Settings {
        login_id_header: login_id_header?,
        header: header?,
        issuer: issuer?,
        audience: audience?,
        lifetime: lifetime?,
        keys: keys?,
        extra_headers: ExtraHeaders {
            method: method?,
            serial: serial?,
            not_after: not_after?,
            organization: organization?,
        },
    })
}

/// A header's name that only we may use. Applications read `_` as `-`, so both spellings are taken.
fn header_name(given: Given<'_>) -> Result<HeaderName, String> {
    let name = text(given)?;
    if TAKEN.contains(&folded(&name).as_str()) {
        return Err(format!("is {name:?}, a header that already means something else"));
    }
    HeaderName::try_from(&name).map_err(|_| format!("is {name:?}, which is not a header's name"))
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn refuse_equal_names(section: &Section<'_>, names: &[(&str, Option<&HeaderName>)]) {
    for (index, (key, name)) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        let same = |other: &HeaderName| folded(other.as_str()) == folded(name.as_str());
        if let Some((other, _)) = names[..index].iter().find(|(_, other)| other.is_some_and(same)) {
            section.mistake(key, format!("{name} is already the name of {other}"));
        }
    }
}

fn read_keys(section: &mut Section<'_>) -> Read<Vec<Key>> {
    let mut ids: Vec<String> = Vec::new();
    let read: Vec<Read<Key>> = section
        .tables("keys")?
        .into_iter()
        .map(|mut entry| {
            let key = read_key(&mut entry, &mut ids);
            entry.finish();
            key
        })
        .collect();
    read.into_iter().collect()
}

fn read_key(entry: &mut Section<'_>, ids: &mut Vec<String>) -> Read<Key> {
    let id = entry.required("id", key_id);
    if let Ok(id) = &id {
        if ids.contains(id) {
            entry.mistake("id", format!("{id:?} is already the ID of an earlier key"));
        }
        ids.push(id.clone());
    }
    let algorithms = [("HS256", Algorithm::Hs256), ("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)];
    let algorithm = entry.required("algorithm", choice(&algorithms));
    let path = entry.path();
    let content = entry.required("file", path).and_then(|path| Ok((load(entry, &path)?, path)));
    let (id, algorithm, (content, path)) = (id?, algorithm?, content?);
    Key::parse(&id, algorithm, &content)
        .map_err(|mistake| entry.mistake("file", format!("{}: {mistake}", path.display())))
}

/// A key's ID stands in a JOSE header, a URL's answer and a log.
fn key_id(given: Given<'_>) -> Result<String, String> {
    let id = text(given)?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain && id.len() <= 64 {
        Ok(id)
    } else {
        Err(format!("is {id:?}, but must be at most 64 letters, digits, -, _ and ."))
    }
}

fn load(entry: &Section<'_>, path: &Path) -> Read<Vec<u8>> {
    entry.watch(path);
    files::secret(path).map_err(|defect| entry.defect("file", &defect))
}
