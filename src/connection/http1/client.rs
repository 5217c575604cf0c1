//! The client's end of an HTTP/1.1 connection: bytes in and bytes out, with the roll told of both.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncBufRead as _, AsyncWrite as _};
use tokio_rustls::server::TlsStream;

use super::super::body::BrokenBody;
use super::super::roll::OpenConnection;
use super::super::socket::Socket;
use crate::wire::Malformed;
use crate::wire::framing::{Framing, Part};
use crate::wire::outbox::Outbox;

/// The connection with a client.
pub(super) struct Client {
    stream: TlsStream<Socket>,
    /// Read, and not yet understood.
    pub input: BytesMut,
    /// Queued, and not yet written.
    pub outbox: Outbox,
    /// What is still to come of the body of the request under way.
    upload: Framing,
    /// Whether that body was not framed as it should be: then nobody knows where the next request begins.
    is_lost: bool,
    /// Which request that is: an older one's body is not read from here any more.
    request: u64,
    /// Whether the client waits to be told that its body is wanted (RFC 9110 10.1.1).
    expects_continue: bool,
    connection: Arc<OpenConnection>,
    is_unread: bool,
}

impl Client {
    pub fn new(stream: TlsStream<Socket>, connection: Arc<OpenConnection>) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            outbox: Outbox::default(),
            upload: Framing::Nothing,
            is_lost: false,
            request: 0,
            expects_continue: false,
            connection,
            is_unread: false,
        }
    }

    /// Reads more; `false` at the end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut stream = Pin::new(&mut self.stream);
        let bytes = ready!(stream.as_mut().poll_fill_buf(cx))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(false));
        }
        self.connection.heard();
        self.input.extend_from_slice(bytes);
        let read = bytes.len();
        stream.consume(read);
        Poll::Ready(Ok(true))
    }

    /// Ready when the client has gone. What it sends meanwhile begins its next request, and is read up to `limit`.
    pub fn poll_gone(&mut self, limit: usize, cx: &mut Context<'_>) -> Poll<()> {
        while self.upload == Framing::Nothing && self.input.len() <= limit {
            match ready!(self.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Writes all that is queued.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.outbox.poll_write(Pin::new(&mut self.stream), cx);
        if written.is_pending() != self.is_unread {
            self.is_unread = written.is_pending();
            if self.is_unread { self.connection.unread() } else { self.connection.read() }
        }
        written
    }

    /// Says goodbye.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// The socket, when nothing more is said on it.
    pub fn into_socket(self) -> Socket {
        self.stream.into_inner().0
    }

    /// A request begins whose body is framed like this.
    pub fn begin_upload(&mut self, framing: Framing, expects_continue: bool) {
        self.upload = framing;
        self.request += 1;
        self.expects_continue = expects_continue;
    }

    /// Whether the body of the request under way has been read to its end. What of it has arrived, and was not asked for, is
    /// passed over; whoever still holds the body learns that it is broken.
    pub fn passes_upload(&mut self) -> bool {
        self.request += 1;
        loop {
            match self.next_part() {
                Ok(Part::End(_)) => return true,
                Ok(Part::Data(_)) => {}
                Ok(Part::Wanting) | Err(_) => return false,
            }
        }
    }

    /// After one mistake nothing is understood any more.
    fn next_part(&mut self) -> Result<Part, Malformed> {
        if self.is_lost {
            return Err(Malformed("a body behind a mistake"));
        }
        let part = self.upload.next(&mut self.input);
        self.is_lost = part.is_err();
        part
    }
}

/// A request's body on an HTTP/1.1 connection: read when it is asked for, which is the back-pressure.
#[derive(Clone)]
pub struct Upload {
    client: Arc<Mutex<Client>>,
    request: u64,
}

impl Upload {
    pub(super) fn of(client: &Arc<Mutex<Client>>) -> Self {
        let request = lock(client).request;
        Self { client: Arc::clone(client), request }
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        let client = lock(&self.client);
        client.request != self.request || client.upload == Framing::Nothing
    }

    /// The next part. Trailers are read, and end here.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let client = &mut *lock(&self.client);
        if client.request != self.request {
            return Poll::Ready(Some(Err(BrokenBody)));
        }
        loop {
            match client.next_part() {
                Ok(Part::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Part::End(_)) => return Poll::Ready(None),
                Ok(Part::Wanting) => {}
                Err(_) => return Poll::Ready(Some(Err(BrokenBody))),
            }
            if std::mem::take(&mut client.expects_continue) && client.input.is_empty() {
                client.outbox.head().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                // What does not go out now goes out with the answer. Only here: who writes is woken when the socket takes
                // more, and later that must be who writes the answer.
                if matches!(client.poll_write(cx), Poll::Ready(Err(_))) {
                    return Poll::Ready(Some(Err(BrokenBody)));
                }
            }
            match ready!(client.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Some(Err(BrokenBody))),
            }
        }
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("request", &self.request).finish_non_exhaustive()
    }
}

pub(super) fn lock(client: &Mutex<Client>) -> MutexGuard<'_, Client> {
    client.lock().unwrap_or_else(PoisonError::into_inner)
}
