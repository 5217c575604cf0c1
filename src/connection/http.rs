//! HTTP on an encrypted connection, its version chosen by ALPN and never guessed: our own HTTP/1.1, hyper's HTTP/2 with every
//! bound set. Time-outs are the roll's.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::server::TlsStream;

use super::Limits;
use super::body::RequestBody;
use super::handshake::Protocol;
use super::http1;
use super::roll::{OpenConnection, Order};
use super::socket::Socket;
use super::streams::Turn;
use super::transport::Transport;

const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What a client may send about its streams without anything coming of it, beside what it sends on them.
const MAX_BYTES_ABOUT_STREAMS: u64 = 1 << 20;
const SEND_BUFFER_BYTES: usize = 128 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams reset by the client before we accepted them (rapid reset, CVE-2023-44487), and errors we answer with resets.
const MAX_PENDING_RESETS: usize = 20;
const MAX_OWN_RESETS: usize = 256;

/// How a connection ended that did not just end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A message that is none of HTTP.
    Malformed,
    /// A head beyond its limits.
    TooLarge,
}

/// Serves a connection until it ends. `answer` never fails: a refusal is an answer too.
///
/// # Errors
/// What was wrong with the client's messages.
pub async fn serve<A, F, B>(
    stream: TlsStream<Socket>,
    protocol: Protocol,
    connection: Arc<OpenConnection>,
    limits: &Limits,
    answer: A,
) -> Result<(), Ended>
where
    A: Fn(Request<RequestBody>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match protocol {
        Protocol::Http1 => http1::serve(stream, connection, limits, answer).await,
        // Large, and not everybody speaks it.
        Protocol::Http2 => {
            Box::pin(serve_http2(stream, connection, limits, answer)).await;
            Ok(())
        }
    }
}

async fn serve_http2<A, F, B>(stream: TlsStream<Socket>, connection: Arc<OpenConnection>, limits: &Limits, answer: A)
where
    A: Fn(Request<RequestBody>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let watched = Arc::clone(&connection);
    let service = service_fn(move |request: Request<Incoming>| {
        let under_way = UnderWay::begin(&watched);
        let asked_for = request.method().clone();
        let answer = answer(request.map(RequestBody::Http2));
        async move {
            let mut response = answer.await;
            if response.headers_mut().remove(CONNECTION).is_some_and(|value| value == "close") {
                // HTTP/2 has no such field; GOAWAY says it.
                under_way.connection.give(Order::Finish);
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Watched::new(body, under_way, &asked_for)))
        }
    });
    let transport = Transport::new(stream, Arc::clone(&connection), max_bytes_without_progress(limits));
    let header_bytes = u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX);
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(header_bytes)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_OWN_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(transport, service);
    // What broke is over, and h2 has told the client.
    let _ = drive(pin!(served), |served| served.graceful_shutdown(), &connection).await;
}

/// Polls the connection, obeying the roll's orders.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut served: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    connection: &OpenConnection,
) -> hyper::Result<()> {
    let mut told = false;
    poll_fn(|cx| {
        match connection.order(cx) {
            Order::Cut => return Poll::Ready(Ok(())),
            Order::Finish if !told => {
                told = true;
                finish(served.as_mut());
            }
            Order::Finish | Order::Stay => {}
        }
        served.as_mut().poll(cx)
    })
    .await
}

/// What an HTTP/2 client may have sent while nothing comes of it: the heads of all its streams, and a full window of
/// bodies that the application has no time for.
fn max_bytes_without_progress(limits: &Limits) -> u64 {
    let heads = u64::from(limits.max_streams).saturating_mul(limits.max_header_bytes as u64);
    heads.saturating_add(u64::from(CONNECTION_WINDOW) + MAX_BYTES_ABOUT_STREAMS)
}

/// A request under way, from its head to the end of its answer.
pub(super) struct UnderWay {
    connection: Arc<OpenConnection>,
    /// Whether its answer was delivered; else the client gave it up.
    pub is_over: bool,
}

impl UnderWay {
    pub fn begin(connection: &Arc<OpenConnection>) -> Self {
        connection.begin();
        Self { connection: Arc::clone(connection), is_over: false }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.connection.end();
        if !self.is_over {
            self.connection.abandoned();
        }
    }
}

/// An answer's body over HTTP/2 that tells the roll how it goes and when it is over.
///
/// hyper asks for more only when the client's window has taken a part of what it was given, so a body that is not asked is
/// an answer that is not read.
struct Watched<B: Body> {
    body: B,
    under_way: UnderWay,
    /// Whether the answer ends with its head, whatever body it would have: hyper sends a body after HEAD too.
    is_head: bool,
    /// Its number among the connection's answers.
    number: u64,
}

impl<B: Body> Watched<B> {
    fn new(body: B, mut under_way: UnderWay, asked_for: &Method) -> Self {
        let is_head = *asked_for == Method::HEAD;
        under_way.is_over = is_head;
        let number = under_way.connection.answer_begins();
        Self { body, under_way, is_head, number }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.is_head {
            return Poll::Ready(None);
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.under_way.is_over |= matches!(frame, Poll::Ready(None));
        let turn = match &frame {
            Poll::Ready(Some(Ok(_))) => Turn::Client,
            Poll::Ready(Some(Err(_)) | None) | Poll::Pending => Turn::Application,
        };
        self.under_way.connection.answer_goes_on(self.number, turn);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.is_head || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        // What has a known end is not always asked for it.
        self.under_way.is_over |= self.body.is_end_stream();
        self.under_way.connection.answer_ends(self.number);
    }
}
