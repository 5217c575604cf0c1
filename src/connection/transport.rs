//! The encrypted connection as hyper sees it, telling the roll when the client speaks and when it stops listening.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio_rustls::server::TlsStream;

use super::roll::OpenConnection;
use super::socket::Socket;

pub(super) struct Transport {
    stream: TokioIo<TlsStream<Socket>>,
    connection: Arc<OpenConnection>,
    /// On HTTP/1, bytes between two requests begin a head. On HTTP/2 they may be anything, and only requests count.
    heads_are_timed: bool,
    unread: bool,
}

impl Transport {
    pub fn new(stream: TlsStream<Socket>, connection: Arc<OpenConnection>, heads_are_timed: bool) -> Self {
        Self { stream: TokioIo::new(stream), connection, heads_are_timed, unread: false }
    }

    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        match (&written, self.unread) {
            (Poll::Pending, false) => {
                self.unread = true;
                self.connection.unread();
            }
            (Poll::Ready(_), true) => {
                self.unread = false;
                self.connection.read();
            }
            (Poll::Pending, true) | (Poll::Ready(_), false) => {}
        }
        written
    }
}

impl Read for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(result, Poll::Ready(Ok(()))) {
            if self.heads_are_timed {
                self.connection.heard();
            } else {
                self.connection.heard_without_progress();
            }
        }
        result
    }
}

impl Write for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }
}
