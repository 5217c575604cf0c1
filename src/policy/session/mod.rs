//! Whose session is it? The application's sessions belong to the entrance, the certificate and the login ID that began them
//! (`[session]`, BND-02…08, BND-10, BND-12).
//!
//! ```text
//! request ─ which sessions does it name? ─ are they this visitor's? ─┬─ yes, or it names none ─▶ on its way
//!           (carried)                       (memory)                 └─ no ─▶ login page
//! answer ─ a new session? ─ it is this visitor's
//! ```
//!
//! A session is learned from the application's answer and from nowhere else: one that somebody made up, planted or kept from
//! before a restart is unknown, and never reaches the application (fixation, BND-04). A login page is shown all the same, without it.

mod carried;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, SET_COOKIE};
use http::{Method, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

pub use self::carried::Names;
use self::carried::is_plain;
pub use self::memory::Memory;
use self::memory::{Found, Owner, SessionId};
use super::inspect::Inspected;
use super::route::{CanonicalPath, Class};
use crate::connection::request::Understood;
use crate::connection::{Visit, Visitor};
use crate::domain::Clock;
use crate::operator::metrics::Metrics;
use crate::refusal::{LocalLink, NamedIn, Refusal, SessionRefusal};

/// `[session]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where sessions stand.
    pub names: Names,
    /// The application's login page, where those go whose session is not theirs.
    pub login_page: LocalLink,
    /// How long a session lives on without a request.
    pub idle_timeout: Duration,
    /// How long it lives at most.
    pub lifetime: Duration,
    /// How many sessions of customers are remembered, and as many of strangers.
    pub max_sessions: u64,
    /// How many of one login ID.
    pub max_sessions_per_login_id: usize,
}

/// The sessions, by the rules of a configuration.
#[derive(Debug)]
pub struct Sessions {
    /// `[session]`.
    pub settings: Settings,
    /// Whose they are.
    pub memory: Arc<Memory>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// A request whose sessions are its visitor's own. Only [`bind`] makes one.
#[derive(Debug)]
pub struct Bound {
    pub(super) inspected: Inspected,
    pub(super) answer: Expected,
}

impl Bound {
    /// The request.
    pub fn inspected(&self) -> &Inspected {
        &self.inspected
    }

    /// It is answered here, by what is no refusal.
    pub fn answered_here(self) {
        self.inspected.answered_here();
    }
}

/// Whose the sessions are that the answer may begin; nothing where none are watched.
#[derive(Debug, Default)]
pub struct Expected(Option<(Arc<Sessions>, Arc<Visit>)>);

/// Looks whether the sessions that a request names are its visitor's. On the login page and its form, what is not is taken out.
///
/// # Errors
/// More than one session, an unknown one, somebody else's.
pub fn bind(sessions: Option<&Arc<Sessions>>, mut inspected: Inspected) -> Result<Bound, Refusal> {
    let Some(sessions) = sessions else { return Ok(Bound { inspected, answer: Expected::default() }) };
    let visit = Arc::clone(inspected.request.standing().visit());
    let names = &sessions.settings.names;
    let request = &mut inspected.request;
    let target = request.target();
    let carried = names.carried(&request.parts.headers, target.path(), target.query()).map_err(Refusal::Session)?;
    if !carried.ids.is_empty() {
        let is_logout = inspected.route.class == Class::Logout;
        match sessions.look(&carried.ids, &visit) {
            Ok(()) if is_logout => carried.ids.iter().for_each(|id| sessions.log_out(id)),
            Ok(()) => {}
            Err(_) if !carried.in_target && sessions.logs_in(request, inspected.route.class) => {
                names.take_out(&mut request.parts.headers);
            }
            Err(refused) => return Err(Refusal::Session(refused(carried.named_in))),
        }
    }
    Ok(Bound { inspected, answer: Expected(Some((Arc::clone(sessions), visit))) })
}

impl Sessions {
    fn look(&self, ids: &[SessionId], visit: &Visit) -> Result<(), fn(NamedIn) -> SessionRefusal> {
        let (owner, now) = (owner(visit), self.clock.now());
        let mut worst: Result<(), fn(NamedIn) -> SessionRefusal> = Ok(());
        for id in ids {
            match self.memory.find(id, owner, now, &self.settings) {
                Found::Own => {}
                Found::Foreign => return Err(SessionRefusal::Foreign),
                Found::Unknown => worst = Err(SessionRefusal::Unknown),
                Found::Idle => {
                    self.count_end("idle");
                    worst = Err(SessionRefusal::Unknown);
                }
                Found::Old => {
                    self.count_end("lifetime");
                    worst = Err(SessionRefusal::Unknown);
                }
            }
        }
        worst
    }

    /// Whether a request is for logging in, where a session of before does not matter.
    fn logs_in(&self, request: &Understood, class: Class) -> bool {
        let page = self.settings.login_page.as_str();
        let is_page = || CanonicalPath::of(request.target().path()).is_ok_and(|path| path.matched == page);
        class == Class::Login || (matches!(request.parts.method, Method::GET | Method::HEAD) && is_page())
    }

    fn log_out(&self, id: &SessionId) {
        self.memory.log_out(id);
        self.count_end("logout");
    }

    fn count_end(&self, reason: &'static str) {
        self.metrics.sessions_ended.with_label_values(&[reason]).inc();
        self.metrics.show_sessions(self.memory.count());
    }
}

impl Expected {
    /// Keeps the sessions that an answer begins, before the client hears of them.
    ///
    /// # Errors
    /// The application hands out a session that belongs to somebody else: it must not be heard.
    pub fn learn<B>(&self, answer: &Response<B>) -> Result<(), Refusal> {
        let Some((sessions, visit)) = &self.0 else { return Ok(()) };
        let headers = answer.headers();
        if !headers.contains_key(SET_COOKIE) {
            return Ok(());
        }
        let now = sessions.clock.now();
        for id in begun(&sessions.settings.names, headers, now) {
            if !sessions.memory.bind(id, owner(visit), now, &sessions.settings) {
                tracing::error!("the application answers with a session that belongs to somebody else");
                return Err(Refusal::Session(SessionRefusal::Conflict));
            }
        }
        sessions.metrics.show_sessions(sessions.memory.count());
        Ok(())
    }
}

/// The sessions that an answer gives its client. Links and redirects give none: what stands there, a client may have written.
fn begun(names: &Names, headers: &HeaderMap, now: Timestamp) -> Vec<SessionId> {
    let lines = headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    let begun = lines.filter_map(|line| {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let is_session = names.cookies.iter().any(|cookie| cookie == name.trim());
        if !is_session || value.trim_matches('"').is_empty() || is_deletion(attributes, now) {
            return None;
        }
        if !is_plain(value) {
            tracing::error!(
                cookie = name.trim(),
                "the application writes a session in a way that requests must not: refused when it comes back"
            );
            return None;
        }
        Some(SessionId::of(value.as_bytes()))
    });
    begun.collect()
}

/// Whether a cookie ends with the answer that sets it: every customer who logs out may be given the same value then.
fn is_deletion(attributes: &str, now: Timestamp) -> bool {
    let last = |wanted: &str| {
        let mut named = attributes.split(';').filter_map(|attribute| attribute.split_once('='));
        named.rfind(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    // RFC 6265 5.3: where there is a Max-Age, it alone decides.
    if let Some(seconds) = last("max-age").and_then(|value| value.parse::<i64>().ok()) {
        return seconds <= 0;
    }
    // Netscape's form has dashes in the date, and whole names of days; which day of the week it is does not matter.
    let date =
        last("expires").map(|value| value.split_once(',').map_or(value, |(_, date)| date).trim().replace('-', " "));
    date.and_then(|date| rfc2822::parse(&date).ok()).is_some_and(|until| until.timestamp() <= now)
}

fn owner(visit: &Visit) -> Owner<'_> {
    let holder = match visit.visitor() {
        Visitor::Customer(who) => Some((who.login_id(), who.fingerprint())),
        Visitor::Stranger | Visitor::Refused(_) => None,
    };
    Owner { listener: visit.listener().name(), holder }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_deleted_or_cannot_come_back_begins_nothing() {
        let names = Names { cookies: vec!["JSESSIONID".into()], ..Names::default() };
        let now: Timestamp = "2013-05-20T00:00:00Z".parse().unwrap();
        for (line, begins) in [
            ("JSESSIONID=A; Path=/ib; HttpOnly", true),
            ("JSESSIONID=A", true),
            ("JSESSIONID=A; Max-Age=60; Expires=Tue, 21 May 2013 00:00:00 GMT", true),
            ("JSESSIONID=A; Expires=nonsense", true),
            ("jsessionid=A", false),
            ("JSESSIONID=", false),
            ("JSESSIONID=\"\"; Path=/", false),
            ("JSESSIONID=\"A\"", false),
            ("JSESSIONID=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/", false),
            ("JSESSIONID=deleted; Expires=Sun, 19 May 2013 23:00:00 GMT", false),
            ("JSESSIONID=deleted; Max-Age=0", false),
            ("JSESSIONID=deleted; Expires=Thursday, 01-Jan-70 00:00:00 GMT", false),
            ("JSESSIONID=deleted; Expires=Mon, 01 Jan 1970 00:00:00 GMT", false),
            ("JSESSIONID=A; Max-Age=3600; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, HeaderValue::from_static(line));
            assert_eq!(begun(&names, &headers, now).len(), usize::from(begins), "{line}");
        }
    }
}
