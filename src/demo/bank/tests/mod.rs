//! The bank from outside: real sockets, a connection for each request unless the story needs it otherwise.

mod faults;
mod flows;
mod leniency;

use encoding_rs::SHIFT_JIS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::domain::ManualClock;

/// 2013-05-20, noon in Japan.
const NOON: &str = "2013-05-20T03:00:00Z";

async fn bank() -> Bank {
    bank_at(Arc::new(ManualClock::at(NOON.parse().unwrap()))).await
}

async fn bank_at(clock: Arc<dyn Clock>) -> Bank {
    Bank::open_at(TcpListener::bind("127.0.0.1:0").await.unwrap(), clock).unwrap()
}

fn day(text: &str) -> JstDate {
    JstDate::parse(text).unwrap()
}

/// The head and the body that came back, as far as they came.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.get(9..12).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn page(&self) -> String {
        let (text, _, garbled) = SHIFT_JIS.decode(&self.body);
        assert!(!garbled, "the page is Windows-31J");
        text.into_owned()
    }

    /// What the page says between `before` and the next `"` or `<`.
    fn after(&self, before: &str) -> String {
        let page = self.page();
        let rest = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1;
        rest.split(['"', '<']).next().unwrap().to_owned()
    }

    fn is_screen(&self, screen_id: &str) -> bool {
        self.status() == "200" && self.page().matches(&format!("<p>{screen_id}</p>")).count() == 1
    }

    fn redirects_to(&self, path: &str) -> bool {
        self.status() == "302" && self.header("location") == Some(path)
    }
}

/// Sends bytes on a connection of their own and reads until the bank closes it.
async fn send(bank: &Bank, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(bank.address()).await.unwrap();
    // A bank that dies may have closed before all is written.
    let _ = socket.write_all(request).await;
    received(&mut socket).await
}

async fn received(socket: &mut TcpStream) -> Answer {
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let body = answer.split_off(end);
    Answer { head: String::from_utf8(answer).unwrap(), body }
}

/// A customer of the bank: a login ID, and the headers that come with it.
#[derive(Clone)]
struct Customer<'b> {
    bank: &'b Bank,
    headers: String,
}

impl<'b> Customer<'b> {
    fn of(bank: &'b Bank, login_id: &str) -> Self {
        Self { bank, headers: format!("X-Login-Id: {login_id}\r\n") }
    }

    fn nobody(bank: &'b Bank) -> Self {
        Self { bank, headers: String::new() }
    }

    fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }

    /// Keeps the session that an answer began.
    fn in_session_of(self, answer: &Answer) -> Self {
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        self.with(&format!("Cookie: {cookie}"))
    }

    fn request(&self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{}Content-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            self.headers,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    async fn get(&self, target: &str) -> Answer {
        send(self.bank, &self.request("GET", target, "", b"")).await
    }

    async fn post(&self, target: &str, form: &str) -> Answer {
        self.post_as("application/x-www-form-urlencoded", target, form.as_bytes()).await
    }

    async fn post_as(&self, content_type: &str, target: &str, body: &[u8]) -> Answer {
        send(self.bank, &self.request("POST", target, content_type, body)).await
    }
}

fn amounts(bank: &Bank) -> Vec<i128> {
    bank.executed().iter().map(|order| order.amount).collect()
}

#[tokio::test]
async fn the_bank_greets_the_login_id_it_was_sent() {
    let bank = bank().await;
    let answer = Customer::of(&bank, "hanakodt").get("/ib/menu.do").await;
    assert_eq!(answer.header("content-type"), Some("text/html; charset=Windows-31J"));
    assert!(answer.is_screen("BPT001") && answer.page().contains("ようこそ hanakodt 様"), "{}", answer.page());
    assert!(answer.header("set-cookie").unwrap().starts_with("JSESSIONID="));
    assert_eq!(bank.received(), 1);
    assert_eq!(bank.last().unwrap().target, "/ib/menu.do");
}

#[tokio::test]
async fn without_a_login_id_there_is_a_login_page_and_nothing_happens() {
    let bank = bank().await;
    let nobody = Customer::nobody(&bank).with("Cookie: a=b; JSESSIONID=1");
    let answer = nobody.get("/ib/menu.do").await;
    assert!(answer.is_screen("BLGI001") && !answer.page().contains("ようこそ"), "{}", answer.page());
    assert_eq!(answer.header("set-cookie"), None, "the session it has is kept");
    assert!(nobody.post("/ib/transfer/commit.do", "amount=1").await.is_screen("BLGI001"));
    assert_eq!(amounts(&bank), []);
}

#[tokio::test]
async fn markup_in_a_header_stays_text() {
    let bank = bank().await;
    let answer = Customer::of(&bank, "<b>\"'&").get("/ib/menu.do").await;
    assert!(answer.page().contains("ようこそ &lt;b&gt;&quot;&#39;&amp; 様"), "{}", answer.page());
    assert!(!answer.page().contains("<b>"));
}

#[tokio::test]
async fn the_page_repeats_headers_as_an_application_server_names_them() {
    let bank = bank().await;
    let answer = Customer::nobody(&bank).with("X_Login_Id: forged1").get("/ib/menu.do").await;
    assert!(answer.page().contains("<tr><th>x-login-id</th><td>forged1</td></tr>"));
    assert!(answer.page().contains("ようこそ forged1 様"), "what a gateway lets through is believed");
}

#[tokio::test]
async fn pages_that_do_not_exist_are_not_found() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    assert_eq!(customer.get("/ib/style.css").await.status(), "404");
    assert_eq!(customer.get("/IB/menu.do").await.status(), "404");
    assert!(customer.get("/").await.redirects_to("/ib/menu.do"));
}

/// Everything that is read, also on an open connection, is noted with its body.
#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let bank = bank().await;
    let mut socket = TcpStream::connect(bank.address()).await.unwrap();
    let head = |method, rest| format!("{method} /ib/transfer/commit.do HTTP/1.1\r\nHost: b\r\nX-Login-Id: a\r\n{rest}");
    socket.write_all(head("POST", "Content-Length: 8\r\n\r\namount=5").as_bytes()).await.unwrap();
    bank.until_executed(1).await;
    assert_eq!(&bank.last().unwrap().body[..], b"amount=5");
    socket.write_all(head("GET", "Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let answers = received(&mut socket).await;
    assert!(String::from_utf8_lossy(&answers.body).contains("HTTP/1.1 200 OK"));
    bank.until_received(2).await;
    assert!(bank.last().unwrap().body.is_empty());
}
