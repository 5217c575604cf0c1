//! The stand-in bank: a plain Windows-31J site, the kind that cannot be changed.
//!
//! It believes `X-Login-Id` without a question, as the real one does, and shows every header it received. It counts the
//! requests that reach it and keeps the last one, so that a story can tell what did *not* arrive. It checks nothing:
//! whatever is refused was refused before it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use encoding_rs::SHIFT_JIS;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const MAX_BODY_BYTES: usize = 1 << 20;
/// After a failed accept (out of file descriptors), the time for others to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request as the bank read it.
#[derive(Debug, Clone)]
pub struct Received {
    /// GET, POST, …
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Every header, also the repeated ones.
    pub headers: HeaderMap,
}

#[derive(Debug, Default)]
struct Ledger {
    count: AtomicU64,
    last: Mutex<Option<Received>>,
}

/// A bank that is open for as long as this value lives.
#[derive(Debug)]
pub struct Bank {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    counter: JoinHandle<()>,
}

impl Bank {
    /// Opens on `listener`, in a task of the current runtime.
    pub fn open(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger::default());
        let counter = tokio::spawn(accept(listener, Arc::clone(&ledger)));
        Ok(Self { address, ledger, counter })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    pub fn received(&self) -> u64 {
        self.ledger.count.load(Ordering::SeqCst)
    }

    /// The last of them.
    pub fn last(&self) -> Option<Received> {
        self.ledger.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.counter.abort();
    }
}

async fn accept(listener: TcpListener, ledger: Arc<Ledger>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(serve(socket, Arc::clone(&ledger)))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(socket: TcpStream, ledger: Arc<Ledger>) {
    let service = service_fn(|request| answer(&ledger, request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service);
    // A client that hangs up is no news to a bank.
    let _ = connection.await;
}

async fn answer(ledger: &Ledger, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    ledger.count.fetch_add(1, Ordering::SeqCst);
    *ledger.last.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Received { method: parts.method.clone(), target: parts.uri.to_string(), headers: parts.headers.clone() });
    // Read to its end so that the connection can be used again; what it says is nobody's business here.
    let _ = Limited::new(body, MAX_BODY_BYTES).collect().await;
    Ok(page(&parts))
}

fn page(request: &Parts) -> Response<Full<Bytes>> {
    let (status, html) = match request.uri.path() {
        "/" => (StatusCode::FOUND, String::new()),
        path if path.starts_with("/ib/") && path.ends_with(".do") => (StatusCode::OK, screen(&request.headers)),
        _ => (StatusCode::NOT_FOUND, not_found()),
    };
    let (body, _, _) = SHIFT_JIS.encode(&html);
    let mut response = Response::new(Full::new(Bytes::from(body.into_owned())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=Windows-31J"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::FOUND {
        headers.insert(LOCATION, HeaderValue::from_static("/ib/menu.do"));
    }
    if status == StatusCode::OK && !has_session(&request.headers) {
        headers.extend(new_session().map(|cookie| (SET_COOKIE, cookie)));
    }
    response
}

fn has_session(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).any(|cookie| cookie.trim_start().starts_with("JSESSIONID="))
}

/// Without `Secure`, as applications wrote it when TLS ended elsewhere.
fn new_session() -> Option<HeaderValue> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).ok()?;
    HeaderValue::try_from(format!("JSESSIONID={}; Path=/ib; HttpOnly", HEXLOWER.encode(&id).to_uppercase())).ok()
}

/// The menu for a customer whom the header names, the login page for everybody else.
fn screen(headers: &HeaderMap) -> String {
    let (screen_id, title, greeting) = match headers.get("x-login-id") {
        Some(login_id) => ("BPT001", "メインメニュー", format!("ようこそ {} 様", escaped(login_id))),
        None => ("BLGI001", "ログイン", "ログインIDとパスワードを入力してください。".to_owned()),
    };
    let rows: String = headers
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name.as_str()), escaped(value)))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"ja\">\n<head><meta charset=\"Windows-31J\"><title>{screen_id} {title}</title>\n\
         <style>th {{ text-align: left; vertical-align: top }} td {{ word-break: break-all }}</style></head>\n<body>\n\
         <p>{screen_id}</p>\n<h1>大空信組 インターネットバンキング {title}</h1>\n<p>{greeting}</p>\n\
         <p><a href=\"/ib/menu.do\">メニュー</a> <a href=\"/ib/balance.do\">残高照会</a></p>\n\
         <table>\n<caption>受信ヘッダ</caption>\n{rows}</table>\n</body>\n</html>\n"
    )
}

fn not_found() -> String {
    "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"Windows-31J\"><title>404</title></head>\n\
     <body><p>指定されたページは存在しません。</p></body></html>\n"
        .to_owned()
}

fn escaped(value: &HeaderValue) -> String {
    escape(&String::from_utf8_lossy(value.as_bytes()))
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut html, character| {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
        html
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(bank: &Bank, request: &str) -> String {
        let mut socket = TcpStream::connect(bank.address()).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let (text, _, garbled) = SHIFT_JIS.decode(&answer);
        assert!(!garbled, "the page is Windows-31J");
        text.into_owned()
    }

    async fn bank() -> Bank {
        Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_bank_greets_the_login_id_it_was_sent() {
        let bank = bank().await;
        let answer =
            ask(&bank, "GET /ib/menu.do HTTP/1.1\r\nHost: b\r\nConnection: close\r\nX-Login-Id: hanakodt\r\n\r\n")
                .await;
        assert!(answer.contains("text/html; charset=Windows-31J"));
        assert!(answer.contains("BPT001") && answer.contains("ようこそ hanakodt 様"), "{answer}");
        assert!(answer.contains("JSESSIONID="));
        assert_eq!(bank.received(), 1);
        assert_eq!(bank.last().unwrap().target, "/ib/menu.do");
    }

    #[tokio::test]
    async fn without_a_login_id_there_is_a_login_page() {
        let bank = bank().await;
        let request = "GET /ib/menu.do HTTP/1.1\r\nHost: b\r\nConnection: close\r\nCookie: a=b; JSESSIONID=1\r\n\r\n";
        let answer = ask(&bank, request).await;
        assert!(answer.contains("BLGI001") && !answer.contains("ようこそ"), "{answer}");
        assert!(!answer.contains("set-cookie"), "the session it has is kept");
    }

    #[tokio::test]
    async fn markup_in_a_header_stays_text() {
        let bank = bank().await;
        let request = "GET /ib/menu.do HTTP/1.1\r\nHost: b\r\nConnection: close\r\nX-Login-Id: <b>\"'&\r\n\r\n";
        let answer = ask(&bank, request).await;
        assert!(answer.contains("ようこそ &lt;b&gt;&quot;&#39;&amp; 様") && !answer.contains("<b>"), "{answer}");
    }
}
