//! `[session]`: whose the application's sessions are.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, duration, integer, parsed_by, text};
use crate::policy::session::{Names, Settings};
use crate::refusal::LocalLink;
use crate::store;

const IDLE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const LIFETIME: Duration = Duration::from_secs(8 * 3600);
const SPANS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);
const MAX_SESSIONS: u64 = 100_000;
const MAX_SESSIONS_PER_LOGIN_ID: usize = 50;
const UNWATCHED: &str =
    "no session is watched: one's own certificate and somebody else's session are enough to be somebody else";

/// Reads `[session]`, if it is there.
pub(in crate::config) fn read_session(
    root: &mut Section<'_>,
    store: Option<&store::Settings>,
) -> Read<Option<Settings>> {
    let Some(mut section) = root.optional_table("session")? else {
        root.warn("session", UNWATCHED.into());
        return Ok(None);
    };
    let cookies = section.list("cookies", name);
    let url_parameters = section.list("url-parameters", name);
    let query_parameters = section.list("query-parameters", name);
    if let Ok(Some(_)) = section.list("form-fields", text) {
        section.mistake("form-fields", "is not supported yet".into());
    }
    let login_page =
        section.required("login-page", parsed_by("a path of this host, such as /ib/login.do", LocalLink::of));
    let idle_timeout = section.or("idle-timeout", IDLE_TIMEOUT, duration(SPANS));
    let lifetime = section.or("lifetime", LIFETIME, duration(SPANS));
    let max_sessions = section.or("max-sessions", MAX_SESSIONS, integer(1..=10_000_000));
    let per_login_id = section.or("max-sessions-per-login-id", MAX_SESSIONS_PER_LOGIN_ID, integer(1..=10_000));
    let names = Names {
        cookies: cookies?.ok_or_else(|| section.mistake("cookies", "is missing".into()))?,
        url_parameters: url_parameters?.unwrap_or_default(),
        query_parameters: query_parameters?.unwrap_or_default(),
    };
    check(&section, &names)?;
    if !names.is_empty() && matches!(store, Some(store::Settings::Redis(_))) {
        let text = "each gateway knows only the sessions that began there: lead each customer to one of them, or they log in again";
        section.warn("cookies", text.into());
    }
    section.finish();
    Ok(Some(Settings {
        names,
        login_page: login_page?,
        idle_timeout: idle_timeout?,
        lifetime: lifetime?,
        max_sessions: max_sessions?,
        max_sessions_per_login_id: per_login_id?,
    }))
}

fn check(section: &Section<'_>, names: &Names) -> Read<()> {
    if names.is_empty() {
        section.warn("cookies", UNWATCHED.into());
        return Ok(());
    }
    if names.cookies.is_empty() {
        let text = "is empty: a session is learned from the cookie that begins it, and elsewhere only known again";
        return Err(section.mistake("cookies", text.into()));
    }
    let mut known = HashSet::new();
    let read_alike = |name: &str| name.replace(['-', '_', '.'], "").to_ascii_lowercase();
    match names.cookies.iter().find(|name| !known.insert(read_alike(name))) {
        Some(twice) => Err(section.mistake("cookies", format!("some readers take {twice:?} for another of them"))),
        None => Ok(()),
    }
}

/// A name as it can stand in a cookie and in a URL.
fn name(given: Given<'_>) -> Result<String, String> {
    let name = text(given)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain) {
        Ok(name)
    } else {
        Err(format!("is {name:?}, but must be at most 64 letters, digits, -, _ and ."))
    }
}
