//! `[store]`: where transfers and their sums are kept.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use http::Uri;
use rustls::pki_types::CertificateDer;

use crate::config::files;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, duration, integer, text};
use crate::store::Settings;
use crate::store::ledger::LEAST_RETENTION_DAYS;
use crate::store::redis::{self, Password, Server};

const RETENTION_DAYS: u16 = 400;
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
const RESPONSE_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(10);
const PORT: u16 = 6379;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Embedded,
    Redis,
}

/// Reads `[store]`; without one it is the embedded store in the state directory.
pub(in crate::config) fn read_store(root: &mut Section<'_>, state_directory: &Path) -> Read<Settings> {
    let default = state_directory.join("sekisho.redb");
    let Some(mut section) = root.optional_table("store")? else {
        return Ok(Settings::Embedded { path: default, retention_days: RETENTION_DAYS });
    };
    let kind = section.required("kind", choice(&[("embedded", Kind::Embedded), ("redis", Kind::Redis)]));
    let retention_days = section.or("retention-days", RETENTION_DAYS, integer(LEAST_RETENTION_DAYS..=36_500));
    match kind? {
        Kind::Embedded => {
            let path = section.path();
            let path = section.or("path", default, path);
            section.finish();
            Ok(Settings::Embedded { path: path?, retention_days: retention_days? })
        }
        Kind::Redis => read_redis(section, state_directory, retention_days).map(Settings::Redis),
    }
}

fn read_redis(mut section: Section<'_>, state_directory: &Path, retention_days: Read<u16>) -> Read<redis::Settings> {
    let urls = section.one_or_more("url", url).and_then(|urls| match urls {
        Some(urls) if !urls.is_empty() => Ok(urls),
        Some(_) | None => Err(section.mistake("url", "is missing".into())),
    });
    let ca = read_ca(&mut section, urls.as_ref().ok().map(Vec::as_slice));
    let username = section.optional("username", text);
    let password = read_password(&mut section);
    if let (Ok(Some(_)), Ok(None)) = (&username, &password) {
        section.mistake("username", "needs password-file beside it".into());
    }
    let path = section.path();
    let journal = section.or("journal", state_directory.join("journal.redb"), path);
    let prefix = section.or("prefix", "sekisho".to_owned(), prefix);
    let response_timeout = section.or("response-timeout", RESPONSE_TIMEOUT, duration(RESPONSE_TIMEOUTS));
    let replicas = section.or("replicas", 0, integer(0..=16));
    section.finish();
    Ok(redis::Settings {
        servers: urls?.into_iter().map(|(_, server)| server).collect(),
        ca: ca?,
        username: username?,
        password: password?,
        journal: journal?,
        prefix: prefix?,
        response_timeout: response_timeout?,
        replicas: replicas?,
        retention_days: retention_days?,
    })
}

/// The CAs of `rediss://` servers; no other is trusted, and without encryption none is needed.
fn read_ca(section: &mut Section<'_>, urls: Option<&[(bool, Server)]>) -> Read<Option<Vec<CertificateDer<'static>>>> {
    let path = section.path();
    let path = section.optional("ca", path)?;
    let encrypted = urls.and_then(|urls| urls.iter().map(|(encrypted, _)| *encrypted).max());
    let mixed = urls.is_some_and(|urls| urls.windows(2).any(|pair| pair[0].0 != pair[1].0));
    match (path, encrypted) {
        _ if mixed => Err(section.mistake("url", "redis:// and rediss:// cannot stand side by side".into())),
        (Some(path), Some(true) | None) => {
            files::authorities(&path).map(Some).map_err(|defect| section.defect("ca", &defect))
        }
        (None, Some(true)) => Err(section.mistake("ca", "is missing: rediss:// needs the CA of the servers".into())),
        (Some(_), Some(false)) => Err(section.mistake("ca", "needs rediss:// in url".into())),
        (None, Some(false) | None) => Ok(None),
    }
}

fn read_password(section: &mut Section<'_>) -> Read<Option<Password>> {
    let path = section.path();
    let Some(path) = section.optional("password-file", path)? else { return Ok(None) };
    let content = files::secret(&path).map_err(|defect| section.defect("password-file", &defect))?;
    let text = String::from_utf8(content).ok();
    let line = text.as_deref().map(|text| text.trim_end_matches(['\r', '\n'])).filter(|line| !line.is_empty());
    match line {
        Some(line) if !line.chars().any(char::is_control) => Ok(Some(Password::new(line.to_owned()))),
        Some(_) | None => Err(section.mistake("password-file", format!("{} is not one line of text", path.display()))),
    }
}

/// `redis://HOST:PORT` or `rediss://HOST:PORT`, and nothing else: a password would be read by whoever reads the log.
fn url(given: Given<'_>) -> Result<(bool, Server), String> {
    let text = text(given)?;
    // Not told in full: what stands before the @ may be a password.
    if text.contains('@') {
        return Err("holds a name or a password: they belong into username and password-file".into());
    }
    let wrong =
        || format!("is {text:?}, but must be such as \"redis://127.0.0.1:6379\" or \"rediss://redis.internal\"");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let encrypted = match uri.scheme_str() {
        Some("redis") => false,
        Some("rediss") => true,
        Some(_) | None => return Err(wrong()),
    };
    let host =
        uri.host().map(|host| host.trim_matches(['[', ']'])).filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    if !matches!(uri.path_and_query().map(|rest| rest.as_str()), None | Some("" | "/")) {
        return Err(wrong());
    }
    Ok((encrypted, Server { host: host.to_owned(), port: uri.port_u16().unwrap_or(PORT) }))
}

/// What all keys begin with: between braces, so that they lie in one slot.
fn prefix(given: Given<'_>) -> Result<String, String> {
    let prefix = text(given)?;
    let plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    if plain && prefix.len() <= 64 {
        Ok(prefix)
    } else {
        Err(format!("is {prefix:?}, but must be at most 64 letters, digits, -, _, . and :"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_and_nothing_else() {
        let read = |text| url(Given::Text(text)).map(|(encrypted, server)| (encrypted, server.host, server.port));
        assert_eq!(read("redis://127.0.0.1:7000"), Ok((false, "127.0.0.1".into(), 7000)));
        assert_eq!(read("rediss://redis.internal/"), Ok((true, "redis.internal".into(), 6379)));
        assert_eq!(read("redis://[::1]:7000"), Ok((false, "::1".into(), 7000)));
        for wrong in ["http://host", "redis://", "redis://host/1", "redis://host?db=1", "host:6379", "unix:///socket"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let told = read("redis://:hunter2@host").unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_prefix_cannot_break_out_of_its_braces() {
        assert_eq!(prefix(Given::Text("bank-1")), Ok("bank-1".into()));
        for wrong in ["a}b", "{", "a b", ""] {
            assert!(prefix(Given::Text(wrong)).is_err(), "{wrong}");
        }
    }
}
