//! A connection to the application with what was read from it and what is to be written to it.
//!
//! It has no task of its own: whoever holds the lease drives it, so that a request costs no change of task on its way
//! out and none on its way back.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use prometheus::IntGauge;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, Sleep};

use super::stream::BankStream;
use crate::wire::outbox::Outbox;

/// Read at once: at first what a page needs, more as an answer proves to be long.
const FIRST_READ: usize = 8 << 10;
const LARGEST_READ: usize = 64 << 10;

pub(super) struct Connection {
    stream: BankStream,
    /// Read, and not yet understood.
    pub input: BytesMut,
    next_read: usize,
    /// Queued, and not yet written.
    pub outbox: Outbox,
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
            outbox: Outbox::default(),
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

    /// Writes all that is queued.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.poll_write(Pin::new(&mut self.stream), cx)
    }

    /// Whether `deadline` has passed; the task is woken when it does.
    pub fn is_past(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        self.due.is_past(deadline, cx)
    }

    /// Makes it small for the time that it is idle.
    pub fn rest(&mut self) {
        self.next_read = FIRST_READ;
        self.outbox.rest();
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
