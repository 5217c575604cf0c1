//! What waits for the writer.
//!
//! A channel of one's own making, for one thing that the usual ones cannot do: what is not urgent does not wake the
//! writer. It looks by itself before long, and every wake-up in between is a switch of threads for nothing.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::operation::Operation;

/// What waits for the writer, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    something_came: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Operation>,
    /// Whether somebody in it waits for an answer.
    is_urgent: bool,
    writer: Writer,
}

/// What the writer does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It will look by itself.
    #[default]
    Awake,
    WaitsForAnything,
    WaitsForUrgent,
    Gone,
}

impl Inbox {
    /// Leaves something for the writer.
    ///
    /// # Errors
    /// When it has ended; then nothing is done.
    pub fn push(&self, operation: Operation) -> Result<(), Operation> {
        let mut queue = self.lock();
        let is_urgent = operation.is_urgent();
        let wakes = match queue.writer {
            Writer::Awake => false,
            Writer::WaitsForAnything => true,
            Writer::WaitsForUrgent => is_urgent,
            Writer::Gone => return Err(operation),
        };
        queue.is_urgent |= is_urgent;
        queue.waiting.push(operation);
        if wakes {
            queue.writer = Writer::Awake;
            drop(queue);
            self.something_came.notify_one();
        }
        Ok(())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Waits until something is there, and at most until then.
    pub fn wait(&self, until: Option<Instant>) {
        self.sleep(Writer::WaitsForAnything, until, |queue| queue.waiting.is_empty());
    }

    /// Waits until there is somebody who waits for an answer, and at most until then.
    pub fn wait_for_urgent(&self, until: Instant) {
        self.sleep(Writer::WaitsForUrgent, Some(until), |queue| !queue.is_urgent);
    }

    fn sleep(&self, how: Writer, until: Option<Instant>, is_to_wait: impl Fn(&Queue) -> bool) {
        let mut queue = self.lock();
        while is_to_wait(&queue) {
            queue.writer = how;
            queue = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.something_came.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => self.something_came.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        queue.writer = Writer::Awake;
    }

    /// Takes out what is there, and no more than so many.
    pub fn take(&self, most: usize) -> Vec<Operation> {
        let mut queue = self.lock();
        if queue.waiting.len() <= most {
            queue.is_urgent = false;
            return mem::take(&mut queue.waiting);
        }
        let rest = queue.waiting.split_off(most);
        queue.is_urgent = rest.iter().any(Operation::is_urgent);
        mem::replace(&mut queue.waiting, rest)
    }

    /// Nothing can be left here any more; what is still there is dropped.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.writer = Writer::Gone;
        let rest = mem::take(&mut queue.waiting);
        drop(queue);
        drop(rest);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
