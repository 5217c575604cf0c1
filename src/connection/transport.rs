//! The encrypted connection as hyper's HTTP/2 sees it: its frames are watched as they pass, and the roll is told when the
//! client stops listening.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncBufRead as _;
use tokio_rustls::server::TlsStream;

use super::frames::FrameReader;
use super::roll::{OpenConnection, Order};
use super::socket::Socket;

pub(super) struct Transport {
    stream: TokioIo<TlsStream<Socket>>,
    connection: Arc<OpenConnection>,
    received: FrameReader,
    sent: FrameReader,
    max_bytes_without_progress: u64,
    unread: bool,
}

impl Transport {
    /// Bytes of which nothing comes are too many at some time.
    pub fn new(stream: TlsStream<Socket>, connection: Arc<OpenConnection>, max_bytes_without_progress: u64) -> Self {
        let (received, sent) = (FrameReader::of_client(), FrameReader::of_server());
        Self { stream: TokioIo::new(stream), connection, received, sent, max_bytes_without_progress, unread: false }
    }

    /// So many bytes of these were taken.
    fn watch_sent(&mut self, slices: &[io::IoSlice<'_>], written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            let deadline = self.connection.write_deadline();
            let mut streams = self.connection.streams();
            let mut left = *bytes;
            for slice in slices {
                let taken = slice.len().min(left);
                left -= taken;
                self.sent.read(&slice[..taken], |frame| streams.sent(frame, deadline));
            }
        }
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
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // hyper's buffer can only be written to; so the bytes are looked at where they lie decrypted, and copied from there
        // as they would be anyway.
        let mut stream = Pin::new(this.stream.inner_mut());
        let bytes = ready!(stream.as_mut().poll_fill_buf(cx))?;
        let bytes = &bytes[..bytes.len().min(buffer.remaining())];
        let mut control_frames = 0;
        let mut streams = this.connection.streams();
        this.received.read(bytes, |frame| {
            control_frames += u32::from(frame.is_control());
            streams.received(frame);
        });
        drop(streams);
        let order = this.connection.heard_frames(bytes.len(), control_frames, this.max_bytes_without_progress);
        if order == Order::Cut {
            // hyper would go on with whatever has arrived before it lets anybody else have their say.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        buffer.put_slice(bytes);
        let length = bytes.len();
        stream.consume(length);
        Poll::Ready(Ok(()))
    }
}

impl Write for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch_sent(&[io::IoSlice::new(bytes)], &written);
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
        self.watch_sent(slices, &written);
        self.note(written)
    }
}
