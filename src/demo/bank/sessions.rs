//! The application's sessions: a cookie, or `;jsessionid=` in the URL for browsers without cookies.
//!
//! Careless as many were: an ID that somebody made up becomes a session, and logging in does not change it.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use http::HeaderMap;
use http::header::COOKIE;

use super::orders::Draft;
use super::parameters::Parameters;

/// Bounds what visitors can leave behind; the session that began first has to go.
const MAX_SESSIONS: usize = 10_000;
const MAX_TOKENS: usize = 100;
const MAX_ENTRIES: usize = 100;

/// Where a request's session stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Cookie,
    Url,
    /// It brought none; this is a new one.
    Made,
}

/// A session as a request names it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) origin: Origin,
}

/// What the application remembers of a visitor.
#[derive(Debug, Default)]
pub(super) struct Session {
    began: u64,
    /// Who logged in by form.
    pub(super) login_id: Option<String>,
    /// For whom 証明書取得 began.
    pub(super) issue_to: Option<String>,
    /// The latest form entered, until another is: one transfer, or several lines.
    entered: Vec<Draft>,
    /// Forms entered, by their hidden number.
    entries: Vec<(String, Vec<Draft>)>,
    tokens: Vec<String>,
    /// Forms that are filled field by field, by their hidden number.
    forms: HashMap<String, Parameters>,
}

impl Session {
    /// The form with that number, or the one without, after one more request has filled it.
    pub(super) fn fill(&mut self, transaction: Option<&str>, form: &Parameters) -> Parameters {
        if self.forms.len() == MAX_ENTRIES {
            self.forms.clear();
        }
        let kept = self.forms.entry(transaction.unwrap_or_default().to_owned()).or_default();
        kept.fill(form);
        kept.clone()
    }

    /// Keeps what was entered until it is executed.
    pub(super) fn enter(&mut self, transaction: Option<&str>, drafts: Vec<Draft>) {
        if let Some(transaction) = transaction {
            self.entries.retain(|(other, _)| !is_same(other, transaction));
            if self.entries.len() == MAX_ENTRIES {
                self.entries.remove(0);
            }
            self.entries.push((transaction.to_owned(), drafts.clone()));
        }
        self.entered = drafts;
    }

    /// What was entered under that number, or latest where no number is given; empty where nothing was. It stays, so a
    /// second execution finds it again.
    pub(super) fn entry(&self, transaction: Option<&str>) -> &[Draft] {
        let Some(transaction) = transaction else { return &self.entered };
        let found = self.entries.iter().find(|(other, _)| is_same(other, transaction));
        found.map(|(_, drafts)| drafts.as_slice()).unwrap_or_default()
    }

    /// A form token that will be good once.
    pub(super) fn give_token(&mut self) -> String {
        if self.tokens.len() == MAX_TOKENS {
            self.tokens.remove(0);
        }
        let token = random_name();
        self.tokens.push(token.clone());
        token
    }

    /// Whether a token was given out and not taken yet.
    pub(super) fn take_token(&mut self, token: &str) -> bool {
        let at = self.tokens.iter().position(|other| other == token);
        at.map(|at| self.tokens.remove(at)).is_some()
    }
}

/// Every session.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Session>,
    begun: u64,
}

impl Sessions {
    /// The session that a request names: the first cookie that is known, else the URL's if that is known, else the first
    /// that it brought at all. Containers differ here; this is the most that any of them accepts.
    pub(super) fn name(&self, headers: &HeaderMap, url: Option<String>) -> Named {
        let cookies = cookies(headers).into_iter().map(|id| Named { id, origin: Origin::Cookie });
        let brought = cookies.chain(url.map(|id| Named { id, origin: Origin::Url }));
        let brought: Vec<Named> = brought.filter(|named| !named.id.is_empty()).collect();
        let known = brought.iter().find(|named| self.by_id.contains_key(&named.id));
        let made = || Named { id: random_name().to_uppercase(), origin: Origin::Made };
        known.or(brought.first()).cloned().unwrap_or_else(made)
    }

    /// What is known of a session, if anything was ever kept in it.
    pub(super) fn find(&self, named: &Named) -> Option<&Session> {
        self.by_id.get(&named.id)
    }

    /// The session, from now on a known one.
    pub(super) fn open(&mut self, named: &Named) -> &mut Session {
        if self.by_id.len() >= MAX_SESSIONS && !self.by_id.contains_key(&named.id) {
            let oldest = self.by_id.iter().min_by_key(|(_, session)| session.began).map(|(id, _)| id.clone());
            oldest.map(|id| self.by_id.remove(&id));
        }
        self.begun += 1;
        let began = self.begun;
        self.by_id.entry(named.id.clone()).or_insert_with(|| Session { began, ..Session::default() })
    }

    /// Logging out.
    pub(super) fn end(&mut self, named: &Named) {
        self.by_id.remove(&named.id);
    }
}

/// The values of `JSESSIONID`, also behind a comma and in quotes (RFC 2109).
fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(COOKIE).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    lines
        .flat_map(|line| {
            let pairs = line.split([';', ',']).filter_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
            pairs.map(|value| value.trim_matches('"').to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// 128 random bits in hexadecimal.
#[allow(clippy::expect_used, reason = "the operating system's generator does not fail once the process runs")]
pub(super) fn random_name() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("random numbers");
    HEXLOWER.encode(&bytes)
}

/// `Long.parseLong(text.trim())` where that succeeds, else the text: to this bank `01` is `1`.
fn is_same(one: &str, other: &str) -> bool {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    one == other || number(one).is_some_and(|one| number(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn named(sessions: &Sessions, cookie: &str, url: Option<&str>) -> (String, Origin) {
        let mut headers = HeaderMap::new();
        if !cookie.is_empty() {
            headers.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        let named = sessions.name(&headers, url.map(str::to_owned));
        (named.id, named.origin)
    }

    #[test]
    fn the_first_session_that_is_known_wins() {
        let mut sessions = Sessions::default();
        sessions.open(&Named { id: "known".to_owned(), origin: Origin::Made });
        assert_eq!(named(&sessions, "JSESSIONID=a; JSESSIONID=known", None), ("known".into(), Origin::Cookie));
        assert_eq!(named(&sessions, "JSESSIONID=a", Some("known")), ("known".into(), Origin::Url));
        assert_eq!(named(&sessions, "JSESSIONID=a; JSESSIONID=b", Some("c")), ("a".into(), Origin::Cookie));
        assert_eq!(named(&sessions, "x=1,JSESSIONID=\"known\"", None), ("known".into(), Origin::Cookie));
        for none in ["", "XJSESSIONID=known", "JSESSIONID=", "jsessionid=known"] {
            assert_eq!(named(&sessions, none, Some("")).1, Origin::Made, "{none}");
        }
    }

    #[test]
    fn what_visitors_leave_behind_is_bounded() {
        let mut sessions = Sessions::default();
        for number in 0..=MAX_SESSIONS {
            sessions.open(&Named { id: number.to_string(), origin: Origin::Made });
        }
        assert_eq!(sessions.by_id.len(), MAX_SESSIONS);
        assert!(!sessions.by_id.contains_key("0"), "the first to begin is the first to go");
    }

    #[test]
    fn a_token_is_good_once() {
        let mut session = Session::default();
        let token = session.give_token();
        assert!(session.take_token(&token));
        assert!(!session.take_token(&token));
    }
}
