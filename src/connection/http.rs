//! HTTP on an encrypted connection: hyper's servers with every bound set, chosen by ALPN and never guessed.
//!
//! Time-outs are the roll's (hyper has one timer for head and idleness, and none for bodies and answers).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::server::TlsStream;

use super::Limits;
use super::handshake::Protocol;
use super::roll::{OpenConnection, Order};
use super::socket::Socket;
use super::streams::Turn;
use super::transport::Transport;

/// hyper's own number of header fields; another one moves the parser's array to the heap.
const HYPER_MAX_HEADERS: usize = 100;

/// The read and write buffers of an HTTP/1 connection grow to this.
const MAX_BUFFER_BYTES: usize = 64 << 10;

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

/// Serves a connection until it ends. `answer` never fails: a refusal is an answer too.
///
/// # Errors
/// What hyper found wrong with the client's messages, or the connection.
pub async fn serve<A, F, B>(
    stream: TlsStream<Socket>,
    protocol: Protocol,
    connection: Arc<OpenConnection>,
    limits: &Limits,
    answer: A,
) -> hyper::Result<()>
where
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let watched = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let under_way = UnderWay::begin(&watched);
        let asked_for = Request::method(&request).clone();
        let answer = answer(request);
        async move {
            let mut response = answer.await;
            if protocol == Protocol::Http2 && ends_connection(&response) {
                // HTTP/2 has no such field; GOAWAY says it.
                response.headers_mut().remove(CONNECTION);
                under_way.connection.give(Order::Finish);
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Watched::new(body, under_way, protocol, &asked_for)))
        }
    });
    match protocol {
        Protocol::Http1 => {
            let transport = Transport::http1(stream, Arc::clone(&connection));
            let mut builder = http1::Builder::new();
            builder.max_header_size(limits.max_header_bytes).max_buf_size(MAX_BUFFER_BYTES).header_read_timeout(None);
            if limits.max_header_count != HYPER_MAX_HEADERS {
                builder.max_headers(limits.max_header_count);
            }
            let served = pin!(builder.serve_connection(transport, service));
            drive(served, |served| served.graceful_shutdown(), &connection).await
        }
        Protocol::Http2 => {
            let transport = Transport::http2(stream, Arc::clone(&connection), max_bytes_without_progress(limits));
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
            // Large, and not everybody speaks it.
            drive(Box::pin(served).as_mut(), |served| served.graceful_shutdown(), &connection).await
        }
    }
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

fn ends_connection<B>(response: &Response<B>) -> bool {
    response.headers().get(CONNECTION) == Some(&HeaderValue::from_static("close"))
}

/// A request under way, from its head to the end of its answer.
struct UnderWay {
    connection: Arc<OpenConnection>,
    is_over: bool,
}

impl UnderWay {
    fn begin(connection: &Arc<OpenConnection>) -> Self {
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

/// An answer's body that tells the roll how it goes and when it is over.
///
/// Over HTTP/2, hyper asks for more only when the client's window has taken a part of what it was given, so there a body that
/// is not asked is an answer that is not read. Over HTTP/1 the transport notices.
struct Watched<B: Body> {
    body: B,
    under_way: UnderWay,
    /// Its number among the answers of an HTTP/2 connection.
    number: Option<u64>,
}

impl<B: Body> Watched<B> {
    fn new(body: B, mut under_way: UnderWay, protocol: Protocol, asked_for: &Method) -> Self {
        under_way.is_over = *asked_for == Method::HEAD;
        let number = match protocol {
            Protocol::Http1 => None,
            Protocol::Http2 => Some(under_way.connection.answer_begins()),
        };
        Self { body, under_way, number }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.under_way.is_over |= matches!(frame, Poll::Ready(None));
        if let Some(number) = self.number {
            let turn = match &frame {
                Poll::Ready(Some(Ok(_))) => Turn::Client,
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => Turn::Application,
            };
            self.under_way.connection.answer_goes_on(number, turn);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        // What has a known end is not always asked for it.
        self.under_way.is_over |= self.body.is_end_stream();
        if let Some(number) = self.number {
            self.under_way.connection.answer_ends(number);
        }
    }
}
