//! What waits for the keeper of a ledger.
//!
//! A channel of one's own making, for one thing that the usual ones cannot do: what is not urgent does not wake the
//! keeper. It looks by itself before long, and every wake-up in between is a switch of threads for nothing. The keeper may
//! be a thread or a task: either is woken by its waker.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use super::operation::Operation;

/// What waits for the keeper, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Operation>,
    /// Whether somebody in it waits for an answer.
    is_urgent: bool,
    keeper: Keeper,
}

/// What the keeper does.
#[derive(Debug, Default)]
enum Keeper {
    /// It will look by itself.
    #[default]
    Awake,
    Waits(For, Waker),
    Gone,
}

/// What a keeper waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Whatever comes.
    Anything,
    /// Somebody who waits for an answer.
    Urgent,
}

impl Queue {
    fn has(&self, what: For) -> bool {
        match what {
            For::Anything => !self.waiting.is_empty(),
            For::Urgent => self.is_urgent,
        }
    }

    /// Whether it is there; otherwise the keeper is woken when it comes.
    fn has_or_wakes(&mut self, what: For, waker: &Waker) -> bool {
        let has = self.has(what);
        self.keeper = if has { Keeper::Awake } else { Keeper::Waits(what, waker.clone()) };
        has
    }
}

impl Inbox {
    /// Leaves something for the keeper.
    ///
    /// # Errors
    /// When it has ended; then nothing is done.
    pub fn push(&self, operation: Operation) -> Result<(), Operation> {
        let mut queue = self.lock();
        let is_urgent = operation.is_urgent();
        let wakes = match queue.keeper {
            Keeper::Awake => false,
            Keeper::Waits(For::Anything, _) => true,
            Keeper::Waits(For::Urgent, _) => is_urgent,
            Keeper::Gone => return Err(operation),
        };
        queue.is_urgent |= is_urgent;
        queue.waiting.push(operation);
        if wakes && let Keeper::Waits(_, waker) = mem::take(&mut queue.keeper) {
            drop(queue);
            waker.wake();
        }
        Ok(())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Holds this thread until it is there, and at most until then.
    pub fn wait(&self, what: For, until: Option<Instant>) {
        let waker = Waker::from(Arc::new(Sleeper(thread::current())));
        while !self.lock().has_or_wakes(what, &waker) {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => break,
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Until it is there.
    pub async fn came(&self, what: For) {
        poll_fn(|context| match self.lock().has_or_wakes(what, context.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// Takes out what is there, and no more than so many.
    pub fn take(&self, most: usize) -> Vec<Operation> {
        let mut queue = self.lock();
        queue.keeper = Keeper::Awake;
        if queue.waiting.len() <= most {
            queue.is_urgent = false;
            return mem::take(&mut queue.waiting);
        }
        let rest = queue.waiting.split_off(most);
        queue.is_urgent = rest.iter().any(Operation::is_urgent);
        mem::replace(&mut queue.waiting, rest)
    }

    /// Nothing can be left here any more; what is still there is dropped, and a settlement told.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.keeper = Keeper::Gone;
        let rest = mem::take(&mut queue.waiting);
        drop(queue);
        rest.into_iter().for_each(Operation::miss);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that holds until it is woken.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
