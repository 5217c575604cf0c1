//! A customer who moves money: a browser with one connection, its session and verbs.

use super::bank::{COMMIT, Said};
use super::customer::{Connection, Customer, Http2};
use super::wire::Answer;

pub const FORM: &str = "application/x-www-form-urlencoded";

/// More than any contract may move: what is asked to learn what is counted.
const TOO_MUCH: u64 = 999_999_999_999_999;

/// A customer at a browser.
#[derive(Debug)]
pub struct Payer {
    customer: Customer,
    login_id: String,
    version: Version,
    line: Option<Line>,
    cookie: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

#[derive(Debug)]
enum Line {
    Http1(Box<Connection>),
    Http2(Box<Http2>),
}

impl Payer {
    pub fn over_http1(login_id: &str, customer: Customer) -> Self {
        Self { customer, login_id: login_id.to_owned(), version: Version::Http1, line: None, cookie: None }
    }

    pub fn over_http2(login_id: &str, customer: Customer) -> Self {
        Self { version: Version::Http2, ..Self::over_http1(login_id, customer) }
    }

    pub fn login_id(&self) -> &str {
        &self.login_id
    }

    /// The same browser and session on a connection of its own: another tab.
    pub fn tab(&self) -> Self {
        let (customer, login_id, cookie) = (self.customer.clone(), self.login_id.clone(), self.cookie.clone());
        Self { customer, login_id, version: self.version, line: None, cookie }
    }

    /// Goes on in the bank's session of another browser.
    pub fn adopt_session(&mut self, other: &Self) {
        self.cookie.clone_from(&other.cookie);
    }

    /// Its own copy of another browser's session.
    pub fn with(mut self, other: &Self) -> Self {
        self.adopt_session(other);
        self
    }

    /// The session's cookie, as it is sent.
    pub fn session(&self) -> Option<String> {
        self.cookie.clone()
    }

    /// Sends this cookie from now on.
    pub fn take_session(&mut self, cookie: &str) {
        self.cookie = Some(cookie.to_owned());
    }

    /// Who it is, without the browser.
    pub fn customer(&self) -> &Customer {
        &self.customer
    }

    /// What becomes of a transfer of this amount.
    pub async fn transfer(&mut self, yen: u64) -> Said {
        self.submit(COMMIT, &format!("branch=001&account=7654321&payee=yamada&amount={yen}")).await
    }

    /// Sends a form.
    pub async fn submit(&mut self, path: &str, form: &str) -> Said {
        Said::of(&self.post(path, &[("Content-Type", FORM)], form.as_bytes()).await)
    }

    pub async fn get(&mut self, path: &str) -> Said {
        Said::of(&self.ask("GET", path, &[], b"").await)
    }

    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let headers = [&[("Content-Length", length.as_str())], headers].concat();
        self.ask("POST", path, &headers, body).await
    }

    /// One request, with the session's cookie, by a program: refusals come as problem details. Where the session has ended,
    /// it begins another one, as a browser that is led to the login page.
    pub async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.ask_once(method, path, headers, body).await;
        let has_ended = answer.status == 403 && answer.text().contains("session_unknown");
        if !has_ended {
            return answer;
        }
        self.cookie = None;
        self.ask_once(method, path, headers, body).await
    }

    /// The same, and whatever comes back is the answer.
    pub async fn ask_once(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let cookie = self.cookie.clone();
        let cookie = cookie.as_deref().map(|cookie| ("Cookie", cookie));
        let accepts = headers.iter().all(|(name, _)| *name != "Accept").then_some(("Accept", "application/json"));
        let headers: Vec<_> = headers.iter().copied().chain(cookie).chain(accepts).collect();
        if self.line.is_none() {
            self.line = Some(match self.version {
                Version::Http1 => Line::Http1(Box::new(self.customer.connect().await)),
                Version::Http2 => Line::Http2(Box::new(self.customer.connect_http2().await)),
            });
        }
        let answer = match self.line.as_mut().unwrap() {
            Line::Http1(connection) => connection.request(method, path, &headers, body).await,
            Line::Http2(connection) => connection.request(method, path, &headers, body).await,
        };
        // What says that the sender cannot be followed ends the connection, which HTTP/2 has no field to tell.
        if answer.status == 400 || answer.header("Connection").is_some_and(|connection| connection == "close") {
            self.line = None;
        }
        for cookie in answer.all("Set-Cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        answer
    }

    /// What the ledger counts for this login ID today, as its refusal of more tells.
    pub async fn counted(&mut self) -> u64 {
        let form = format!("amount={TOO_MUCH}");
        let refusal = self.post(COMMIT, &[("Content-Type", FORM)], form.as_bytes()).await;
        assert_eq!(Said::of(&refusal), Said::refused(403, "over_ceiling"));
        refusal.json()["used"].as_u64().unwrap()
    }
}
