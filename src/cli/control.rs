//! Talks to the running process over its control socket: HTTP/1.1 on a Unix socket.
//!
//! Whoever may open the socket may give orders; its file mode is the only lock, so nothing is sent to prove who asks.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// A reload reads a revocation list of a million entries; that takes seconds, not minutes.
const DEADLINE: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// What the process answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

/// Sends one order and waits for the answer.
pub(super) async fn ask(socket: &Path, method: Method, path: &str) -> anyhow::Result<Answer> {
    tokio::time::timeout(DEADLINE, exchange(socket, method, path)).await.context("it took too long")?
}

async fn exchange(socket: &Path, method: Method, path: &str) -> anyhow::Result<Answer> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header(HOST, "sekisho").body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|error| anyhow!(error))?;
    driver.abort();
    Ok(Answer { status, text: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
}
