//! A connection to the application with what was read from it and what is to be written to it.
//!
//! It has no task of its own: whoever holds the lease drives it, so that a request costs no change of task on its way
//! out and none on its way back.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use prometheus::IntGauge;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::{Instant, Sleep};

use super::stream::BankStream;

/// Read at once: at first what a page needs, more as an answer proves to be long.
const FIRST_READ: usize = 8 << 10;
const LARGEST_READ: usize = 64 << 10;

/// Parts of a body up to this size are written together with what stands before them.
const COPIED_PART: usize = 4 << 10;

/// What a connection keeps of its buffer for writing while it is idle.
const KEPT_OUTPUT: usize = 8 << 10;

pub(super) struct Connection {
    stream: BankStream,
    /// Read, and not yet understood.
    pub input: BytesMut,
    next_read: usize,
    /// To be written: first this, then the part, then its end.
    output: Vec<u8>,
    written: usize,
    part: Bytes,
    part_end: &'static [u8],
    is_flushed: bool,
    due: Overdue,
    open: IntGauge,
}

impl Connection {
    /// Takes a fresh stream; `open` counts it for as long as it lives.
    pub fn new(stream: BankStream, open: IntGauge) -> Self {
        open.inc();
        Self {
            stream,
            input: BytesMut::new(),
            next_read: FIRST_READ,
            output: Vec::new(),
            written: 0,
            part: Bytes::new(),
            part_end: b"",
            is_flushed: true,
            due: Overdue::default(),
            open,
        }
    }

    /// Whether the application has said nothing since its last answer. What it says unasked belongs to nobody, and if it
    /// has closed, no request must leave by here.
    pub fn is_quiet(&mut self) -> bool {
        self.input.is_empty() && self.stream.is_quiet()
    }

    /// Reads more, at least one byte unless the connection has ended.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.next_read);
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        if read == room {
            self.next_read = (self.next_read * 2).min(LARGEST_READ);
        }
        Poll::Ready(Ok(read))
    }

    /// What is written next, behind whatever is not written yet.
    pub fn output(&mut self) -> &mut Vec<u8> {
        self.is_flushed = false;
        &mut self.output
    }

    /// Queues a part of a body and what ends it. Only a long one stands apart; nothing may be queued behind it before it
    /// is written.
    pub fn queue(&mut self, part: Bytes, end: &'static [u8]) {
        let output = self.output();
        if part.len() <= COPIED_PART {
            output.extend_from_slice(&part);
            output.extend_from_slice(end);
        } else {
            (self.part, self.part_end) = (part, end);
        }
    }

    /// Whether another part can be queued.
    pub fn has_room(&self) -> bool {
        self.part.is_empty() && self.part_end.is_empty() && self.output.len() < COPIED_PART * 2
    }

    /// Writes all that is queued.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.stream);
        loop {
            let head = &self.output[self.written..];
            let written = match (head, &self.part[..], self.part_end) {
                ([], [], []) => break,
                // Most requests are one small head: a plain write costs the kernel less than a vector of one.
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
        self.output.clear();
        self.written = 0;
        if !self.is_flushed {
            ready!(stream.poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether `deadline` has passed; the task is woken when it does.
    pub fn is_past(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        self.due.is_past(deadline, cx)
    }

    /// Makes it small for the time that it is idle.
    pub fn rest(&mut self) {
        self.next_read = FIRST_READ;
        self.output.shrink_to(KEPT_OUTPUT);
        if self.input.capacity() > FIRST_READ * 2 {
            self.input = BytesMut::new();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("read", &self.input.len()).finish_non_exhaustive()
    }
}

/// A timer that is set once and then only looked at: almost every answer comes in time, and setting a timer for each
/// would cost more than the look. It fires at the deadline of an earlier answer, and is set anew only then.
#[derive(Debug, Default)]
struct Overdue(Option<Pin<Box<Sleep>>>);

impl Overdue {
    /// Whether `deadline` has passed; wakes the task when it does. Deadlines of one connection never go back.
    fn is_past(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline);
        }
        false
    }
}
