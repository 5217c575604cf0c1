//! How the bank can misbehave, set while it runs (REQUIREMENTS 2.16, A37).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

/// Whether the bank does what it was asked for before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// The order is in the books.
    Done,
    /// It is not.
    NotDone,
}

/// One way to misbehave.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Closes the connection without reading: when it is opened, or, on an open one, when a request begins.
    DieBeforeReading,
    /// Reads the whole request, then closes without an answer.
    Die(Execution),
    /// Reads the whole request, waits at the gate, then goes on as ever, also where the client is gone by then.
    HoldRequest(Gate),
    /// Executes, then waits at the gate with the answer.
    HoldAnswer(Gate),
    /// Executes, then breaks off in the middle of the announced body.
    Truncate,
    /// Executes; the body is `Content-Encoding: gzip`, whatever the client accepts.
    Gzip,
    /// Executes; the body has no length, in chunks.
    Chunked,
    /// Executes; the second half of the body waits at the gate.
    HoldHalf(Gate),
    /// 500 with a page of its own.
    InternalError(Execution),
    /// Nothing is executed; the error page BTRE900 with status 200.
    ErrorPage,
    /// Nothing is executed; 302 to the error page.
    RedirectToErrorPage,
}

impl Fault {
    /// What happens to the order.
    pub(super) fn execution(&self) -> Execution {
        match self {
            Self::Die(execution) | Self::InternalError(execution) => *execution,
            Self::HoldRequest(_)
            | Self::HoldAnswer(_)
            | Self::Truncate
            | Self::Gzip
            | Self::Chunked
            | Self::HoldHalf(_) => Execution::Done,
            Self::DieBeforeReading | Self::ErrorPage | Self::RedirectToErrorPage => Execution::NotDone,
        }
    }
}

/// Where requests wait until somebody lets them through. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Barrier>);

#[derive(Debug)]
struct Barrier {
    arrived: watch::Sender<u64>,
    passes: Semaphore,
}

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Self {
        Self(Arc::new(Barrier { arrived: watch::Sender::new(0), passes: Semaphore::new(0) }))
    }

    /// Waits until so many have come to the gate, whether they are through or not.
    pub async fn arrived(&self, count: u64) {
        // The sender lives as long as the gate.
        let _ = self.0.arrived.subscribe().wait_for(|arrived| *arrived >= count).await;
    }

    /// Lets so many through, those that wait first.
    pub fn admit(&self, count: usize) {
        self.0.passes.add_permits(count);
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.0.passes.close();
    }

    pub(super) async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        // Closed means open: then there is no permit to spend.
        if let Ok(permit) = self.0.passes.acquire().await {
            permit.forget();
        }
    }
}

/// What the bank is going to do wrong.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    next: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Faults {
    pub(super) fn add(&self, fault: Fault) {
        self.plan(|plan| plan.next.push_back(fault));
    }

    pub(super) fn set(&self, fault: Option<Fault>) {
        self.plan(|plan| *plan = Plan { next: VecDeque::new(), always: fault });
    }

    /// The fault for a request that came.
    pub(super) fn take(&self) -> Option<Fault> {
        self.plan(|plan| plan.next.pop_front().or_else(|| plan.always.clone()))
    }

    /// Whether a connection that came is to be dropped at once.
    pub(super) fn take_for_connection(&self) -> bool {
        self.plan(|plan| match plan.next.front().or(plan.always.as_ref()) {
            Some(Fault::DieBeforeReading) => {
                plan.next.pop_front();
                true
            }
            Some(_) | None => false,
        })
    }

    fn plan<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
