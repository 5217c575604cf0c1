//! What is to be written, in the order it was queued.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Parts of a body up to this size are written together with what stands before them.
const COPIED_PART: usize = 4 << 10;

/// What is kept of the buffer while nothing is written.
const KEPT_BYTES: usize = 8 << 10;

/// Heads and small parts, copied together; behind them a long part, as it came, and its end.
#[derive(Debug, Default)]
pub struct Outbox {
    head: Vec<u8>,
    written: usize,
    part: Bytes,
    part_end: &'static [u8],
    is_unflushed: bool,
}

impl Outbox {
    /// What is written next, behind whatever is not written yet. Only while there [is room](Self::has_room).
    pub fn head(&mut self) -> &mut Vec<u8> {
        self.is_unflushed = true;
        &mut self.head
    }

    /// Queues a part of a body and what ends it. Only a long one stands apart; nothing may be queued behind it before it
    /// is written.
    pub fn queue(&mut self, part: Bytes, end: &'static [u8]) {
        let head = self.head();
        if part.len() <= COPIED_PART {
            head.extend_from_slice(&part);
            head.extend_from_slice(end);
        } else {
            (self.part, self.part_end) = (part, end);
        }
    }

    /// Queues a chunk (RFC 9112 7.1); an empty one would end the body.
    pub fn queue_chunk(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.head().extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            self.queue(part, b"\r\n");
        }
    }

    /// Whether another part can be queued.
    pub fn has_room(&self) -> bool {
        self.part.is_empty() && self.part_end.is_empty() && self.head.len() < COPIED_PART * 2
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_write<S: AsyncWrite>(&mut self, mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let head = &self.head[self.written..];
            let written = match (head, &self.part[..], self.part_end) {
                ([], [], []) => break,
                // Most messages are one small head: a plain write costs the kernel less than a vector of one.
                (head, [], []) => ready!(stream.as_mut().poll_write(cx, head))?,
                (head, part, end) => {
                    let slices = [head, part, end].map(IoSlice::new);
                    ready!(stream.as_mut().poll_write_vectored(cx, &slices))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(head.len());
            let of_part = (written - of_head).min(self.part.len());
            self.written += of_head;
            self.part.advance(of_part);
            self.part_end = &self.part_end[written - of_head - of_part..];
        }
        self.head.clear();
        self.written = 0;
        if self.is_unflushed {
            ready!(stream.poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes it small for the time that nothing is written.
    pub fn rest(&mut self) {
        self.head.shrink_to(KEPT_BYTES);
    }
}
