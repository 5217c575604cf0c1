//! `[session]`: whose the application's sessions are.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::transfer::Transfer;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, duration, integer, parsed_by, text};
use crate::policy::route::{CanonicalPath, Class, Enforcement, Route, Routes};
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
        section.required("login-page", parsed_by("a path of this host as it is forwarded, such as /ib/login.do", page));
    let idle_timeout = section.or("idle-timeout", IDLE_TIMEOUT, duration(SPANS));
    let lifetime = section.or("lifetime", LIFETIME, duration(SPANS));
    let max_sessions = section.or("max-sessions", MAX_SESSIONS, integer(1..=10_000_000));
    let per_login_id = section.or("max-sessions-per-login-id", MAX_SESSIONS_PER_LOGIN_ID, integer(1..=500));
    let cookies = cookies?.ok_or_else(|| section.mistake("cookies", "is missing".into()))?;
    // Containers take a session out of the URL where nobody told them not to.
    let usual = || if cookies.is_empty() { Vec::new() } else { vec!["jsessionid".to_owned()] };
    let names = Names {
        url_parameters: url_parameters?.unwrap_or_else(usual),
        cookies,
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

/// A login page that is not shown, or that no form leads on from, would lead customers round in circles.
pub(in crate::config) fn check_login_page(
    root: &Section<'_>,
    settings: &Settings,
    (transfer, routes): (Option<&Transfer>, &[Route]),
) -> Read<()> {
    let (page, prefixes) = (settings.login_page.as_str(), transfer.map(|transfer| transfer.prefixes.as_slice()));
    if settings.names.is_empty() {
        return Ok(());
    }
    if !Routes::new(routes.to_vec(), prefixes.unwrap_or_default(), Enforcement::Enforce).shows(page) {
        let text = format!("{page:?} lies on a guarded path, and no route takes GET there");
        return Err(root.mistake("session.login-page", text));
    }
    if !routes.iter().any(|route| route.class == Class::Login) {
        let text =
            "no route has the class \"login\": a form that is sent with a session of before is led back to its page";
        root.warn("session", text.into());
    }
    Ok(())
}

/// A path that stays as it is when it is asked for.
fn page(text: &str) -> Option<LocalLink> {
    let path = CanonicalPath::of(text).ok()?;
    let is_plain = path.matched == text && path.forwarded == text && !text.contains(['?', '#']);
    LocalLink::of(text).filter(|_| is_plain)
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
