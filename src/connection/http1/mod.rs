//! HTTP/1.1 with clients: one request after the other, each with one meaning, each answered before the next is looked at.
//!
//! This is our own because hyper cleans silently what must be refused (bare LF, two lengths, a length beside chunks), and
//! because it is what every request passes. Heads are parsed by httparse, bodies framed as those of the application.
//! Time-outs are the roll's.

mod answer;
mod client;
mod head;

pub use client::Upload;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap};
use http::response::Parts;
use http::{Request, Response};
use http_body::Body;
use tokio_rustls::server::TlsStream;

use super::Limits;
use super::body::RequestBody;
use super::handshake::linger;
use super::http::{Ended, UnderWay};
use super::request::framing_of;
use super::roll::{OpenConnection, Order};
use super::socket::Socket;
use crate::wire::framing::Framing;
use answer::{BodyFraming, write_bad_head, write_head, write_trailers};
use client::{Client, lock};
use head::{BadHead, Manners};

/// Serves a connection until it ends.
///
/// # Errors
/// A head that could not be read; it has been answered.
pub(super) async fn serve<A, F, B>(
    stream: TlsStream<Socket>,
    connection: Arc<OpenConnection>,
    limits: &Limits,
    answer: A,
) -> Result<(), Ended>
where
    A: Fn(Request<RequestBody>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    let client = Arc::new(Mutex::new(Client::new(stream, Arc::clone(&connection))));
    let server = Server { client, connection: Arc::clone(&connection), limits };
    let mut served = pin!(server.serve(answer));
    poll_fn(|cx| match connection.order(cx) {
        Order::Cut => Poll::Ready(Ok(())),
        Order::Stay | Order::Finish => served.as_mut().poll(cx),
    })
    .await
}

/// What came instead of a head, or a head.
enum Next {
    Head(Bytes),
    Bad(BadHead),
    Goodbye,
    Cut,
}

/// What becomes of the connection after an exchange.
enum Then {
    Next,
    Goodbye,
    Cut,
}

struct Server<'l> {
    client: Arc<Mutex<Client>>,
    connection: Arc<OpenConnection>,
    limits: &'l Limits,
}

impl Server<'_> {
    async fn serve<A, F, B>(self, answer: A) -> Result<(), Ended>
    where
        A: Fn(Request<RequestBody>) -> F,
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes> + Unpin,
    {
        let ended = loop {
            match self.next_head().await {
                Next::Head(head) => match head::read(&head, self.limits) {
                    Ok((request, manners)) => match self.exchange(request, manners, &answer).await {
                        Then::Next => {}
                        Then::Goodbye => break Ok(()),
                        Then::Cut => return Ok(()),
                    },
                    Err(bad) => break self.refuse(bad),
                },
                Next::Bad(bad) => break self.refuse(bad),
                Next::Goodbye => break Ok(()),
                Next::Cut => return Ok(()),
            }
        };
        self.say_goodbye().await;
        ended
    }

    async fn next_head(&self) -> Next {
        if !lock(&self.client).input.is_empty() {
            // The client did not wait for the answer: its next head has begun.
            self.connection.heard();
        }
        poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let client = &mut *lock(&self.client);
        loop {
            // Empty lines before a head are passed over (RFC 9112 2.2).
            while client.input.starts_with(b"\r\n") {
                client.input.advance(2);
            }
            let end = match head::end_of(&client.input) {
                Ok(end) => end,
                Err(malformed) => return Poll::Ready(Next::Bad(malformed.into())),
            };
            if end.unwrap_or(client.input.len()) > self.limits.max_header_bytes {
                return Poll::Ready(Next::Bad(BadHead::TooLarge));
            }
            if let Some(end) = end {
                return Poll::Ready(Next::Head(client.input.split_to(end).freeze()));
            }
            if client.input.is_empty() {
                if self.connection.order_given() > Order::Stay {
                    return Poll::Ready(Next::Goodbye);
                }
                // An idle connection keeps no buffer.
                client.input = BytesMut::new();
            }
            match client.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Next::Goodbye),
                Poll::Ready(Err(_)) => return Poll::Ready(Next::Cut),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// One request and its answer.
    async fn exchange<A, F, B>(&self, request: Request<()>, manners: Manners, answer: &A) -> Then
    where
        A: Fn(Request<RequestBody>) -> F,
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes> + Unpin,
    {
        let mut under_way = UnderWay::begin(&self.connection);
        let framing = match manners.frames_a_body {
            true => framing_of(request.headers(), request.version()),
            false => Ok(Framing::Nothing),
        };
        let body = match framing {
            // A framing with two readings is refused by the pipeline, and what follows is not read.
            Err(_) | Ok(Framing::Nothing) => RequestBody::Empty,
            Ok(framing) => {
                lock(&self.client).begin_upload(framing, manners.expects_continue);
                RequestBody::Http1(Upload::of(&self.client))
            }
        };
        let Some(response) = self.answered(answer(request.map(|()| body))).await else { return Then::Cut };
        let (head, body) = response.into_parts();
        let size = body.size_hint().exact();
        // Of a request that is answered in whole, nobody reads any more.
        let will_be_read = size.is_none() || lock(&self.client).passes_upload();
        let keeps_alive = manners.keeps_alive
            && framing.is_ok()
            && will_be_read
            && !ends_connection(&head.headers)
            && self.connection.order_given() == Order::Stay;
        let framing = BodyFraming::of(&head, size, manners);
        write_head(&head, framing, manners, keeps_alive, lock(&self.client).outbox.head());
        if !self.deliver(&head, body, framing, manners).await {
            return Then::Cut;
        }
        under_way.is_over = true;
        let is_framed = framing != BodyFraming::UntilClose;
        if keeps_alive && is_framed && lock(&self.client).passes_upload() { Then::Next } else { Then::Goodbye }
    }

    /// Waits for the answer, minding the client; `None` when nobody waits for it any more.
    async fn answered<B>(&self, answer: impl Future<Output = Response<B>>) -> Option<Response<B>> {
        let mut answer = pin!(answer);
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => lock(&self.client).poll_gone(self.limits.max_header_bytes, cx).map(|()| None),
        })
        .await
    }

    /// Writes the answer's body as it comes, behind its head; whether all of it went.
    async fn deliver<B>(&self, head: &Parts, body: B, framing: BodyFraming, manners: Manners) -> bool
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let is_whole = matches!(framing, BodyFraming::Nothing | BodyFraming::Length(0));
        let mut delivery = Delivery { body, framing, is_whole };
        poll_fn(|cx| {
            loop {
                // The body may ask this very connection for more of the request: no lock is held meanwhile.
                let turn = if lock(&self.client).outbox.has_room() { delivery.poll_part(cx) } else { Turn::Ours };
                let is_theirs = matches!(turn, Turn::Theirs);
                let client = &mut *lock(&self.client);
                match turn {
                    Turn::Part(Some(part)) => delivery.queue(part, client),
                    // Short of what was announced: only the end of the connection says so.
                    Turn::Part(None) if matches!(delivery.framing, BodyFraming::Length(_)) => {
                        return Poll::Ready(false);
                    }
                    Turn::Part(None) => delivery.end(None, head, client),
                    Turn::Trailers(trailers) => {
                        delivery.end(Some(trailers).filter(|_| manners.takes_trailers), head, client);
                    }
                    Turn::Broken => return Poll::Ready(false),
                    Turn::Ours | Turn::Theirs => {}
                }
                match client.poll_write(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(())) if delivery.is_whole => return Poll::Ready(true),
                    Poll::Ready(Ok(())) if is_theirs => {
                        return client.poll_gone(self.limits.max_header_bytes, cx).map(|()| false);
                    }
                    Poll::Ready(Ok(())) => {}
                }
            }
        })
        .await
    }

    fn refuse(&self, bad: BadHead) -> Result<(), Ended> {
        write_bad_head(bad, lock(&self.client).outbox.head());
        Err(match bad {
            BadHead::Malformed => Ended::Malformed,
            BadHead::TooLarge => Ended::TooLarge,
        })
    }

    /// Writes what is left, and lets the client read it before the connection ends.
    async fn say_goodbye(self) {
        let is_said = poll_fn(|cx| {
            let client = &mut *lock(&self.client);
            match client.poll_write(cx) {
                Poll::Ready(Ok(())) => client.poll_shutdown(cx).map(|shut| shut.is_ok()),
                Poll::Ready(Err(_)) => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        });
        if is_said.await
            && let Some(client) = Arc::into_inner(self.client)
        {
            let client = client.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            // While it sends, it may still be reading.
            let _ = tokio::time::timeout(self.limits.write_timeout, linger(client.into_socket(), usize::MAX)).await;
        }
    }
}

fn ends_connection(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// An answer's body on its way.
struct Delivery<B> {
    body: B,
    framing: BodyFraming,
    is_whole: bool,
}

/// Who has to do something next.
enum Turn {
    /// There is a part to write; `None` at the end.
    Part(Option<Bytes>),
    /// The end, with trailers.
    Trailers(HeaderMap),
    /// What is queued must go first.
    Ours,
    /// The application must send more.
    Theirs,
    Broken,
}

impl<B: Body<Data = Bytes> + Unpin> Delivery<B> {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Turn {
        if self.is_whole {
            return Turn::Ours;
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => Turn::Theirs,
            Poll::Ready(None) => Turn::Part(None),
            Poll::Ready(Some(Err(_))) => Turn::Broken,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Turn::Part(Some(data)),
                Err(frame) => Turn::Trailers(frame.into_trailers().unwrap_or_default()),
            },
        }
    }

    fn queue(&mut self, part: Bytes, client: &mut Client) {
        match &mut self.framing {
            BodyFraming::Length(left) => {
                // What is more than announced would be read as the next answer.
                let part = part.slice(..part.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                *left -= part.len() as u64;
                client.outbox.queue(part, b"");
                self.is_whole = *left == 0;
            }
            BodyFraming::Chunked => {
                client.outbox.queue_chunk(part);
                if self.body.is_end_stream() && client.outbox.has_room() {
                    client.outbox.head().extend_from_slice(b"0\r\n\r\n");
                    self.is_whole = true;
                }
            }
            BodyFraming::UntilClose => {
                client.outbox.queue(part, b"");
                self.is_whole = self.body.is_end_stream();
            }
            BodyFraming::Nothing => {}
        }
    }

    fn end(&mut self, trailers: Option<HeaderMap>, head: &Parts, client: &mut Client) {
        if self.framing == BodyFraming::Chunked {
            let out = client.outbox.head();
            out.extend_from_slice(b"0\r\n");
            if let Some(trailers) = trailers {
                write_trailers(&trailers, head, out);
            }
            out.extend_from_slice(b"\r\n");
        }
        self.is_whole = true;
    }
}
