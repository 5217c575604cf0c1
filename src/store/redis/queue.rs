//! What waits for the clerk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::operation::Operation;

/// The way in.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    sender: UnboundedSender<Operation>,
    waiting: Arc<AtomicUsize>,
}

/// The way out.
#[derive(Debug)]
pub(super) struct Waiting {
    pub operations: UnboundedReceiver<Operation>,
    count: Arc<AtomicUsize>,
}

/// An empty one.
pub(super) fn queue() -> (Queue, Waiting) {
    let (sender, operations) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Queue { sender, waiting: Arc::clone(&waiting) }, Waiting { operations, count: waiting })
}

impl Queue {
    /// Leaves something for the clerk.
    ///
    /// # Errors
    /// When it has ended; then nothing is done.
    pub fn push(&self, operation: Operation) -> Result<(), SendError<Operation>> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.sender.send(operation)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

impl Waiting {
    /// So many no longer wait.
    pub fn taken(&self, count: usize) {
        self.count.fetch_sub(count, Ordering::AcqRel);
    }
}
