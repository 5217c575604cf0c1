//! Between the workers and the writer: a worker pushes a record and goes on.
//!
//! Records about money have no bound here: they stop coming because the gateway refuses money as soon as
//! [`Queue::is_writable`] says so, and what is under way is bounded by the connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Unwritten;
use super::action::Action;
use super::file::{RotateError, Rotation};
use super::record::{Importance, Record, StoreMark};
use crate::operator::metrics::AuditMetrics;

/// Records that wait here are written with one system call. It also bounds how often a worker has to wake the writer.
const GATHER: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);
/// How often it is told how far the ledger has come, where no transfer tells it.
const BETWEEN_MARKS: Duration = SECOND;

/// What the disk allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Everything.
    Good,
    /// Only what the reserved space is for.
    Scarce,
    /// Nothing for now.
    Refusing,
    /// The writer has ended.
    Gone,
}

/// What somebody waits for.
pub(super) enum Order {
    Flush(SyncSender<Result<(), Unwritten>>),
    Rotate(SyncSender<Result<Rotation, RotateError>>),
}

/// What the writer finds when it looks.
pub(super) struct Taken {
    pub records: Vec<(Timestamp, Record)>,
    /// Records left out since the last time, if it is time to say so.
    pub suppressed: u64,
    /// How far the ledger has come, if it is time to say so.
    pub store: Option<StoreMark>,
    pub orders: Vec<Order>,
    pub closing: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    writable: AtomicBool,
    /// With so many records waiting, the writer is too slow for money to go on.
    capacity: usize,
    per_second: u32,
    metrics: AuditMetrics,
}

#[derive(Debug)]
struct State {
    records: Vec<(Timestamp, Record)>,
    suppressed: u64,
    suppressed_since: Instant,
    store: Option<StoreMark>,
    /// The next time that the store may be told.
    tells_store_at: Instant,
    orders: Vec<Order>,
    notices: Window,
    strangers: Window,
    condition: Condition,
    overfull: bool,
    /// The writer waits without a deadline of milliseconds, and must be woken.
    idle: bool,
    closing: bool,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flush(_) => "Flush",
            Self::Rotate(_) => "Rotate",
        })
    }
}

/// How many of one kind there were in this second.
#[derive(Debug)]
struct Window {
    began: Instant,
    count: u32,
}

impl Window {
    fn allows(&mut self, now: Instant, per_second: u32) -> bool {
        if now.duration_since(self.began) >= SECOND {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= per_second
    }
}

impl Queue {
    pub fn new(capacity: usize, per_second: u32, metrics: AuditMetrics) -> Self {
        let began = Instant::now();
        let state = State {
            records: Vec::new(),
            suppressed: 0,
            suppressed_since: began,
            store: None,
            tells_store_at: began,
            orders: Vec::new(),
            notices: Window { began, count: 0 },
            strangers: Window { began, count: 0 },
            condition: Condition::Good,
            overfull: false,
            idle: false,
            closing: false,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            writable: AtomicBool::new(true),
            capacity,
            per_second,
            metrics,
        }
    }

    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    /// Leaves a record for the writer, or counts it as left out.
    pub fn push(&self, at: Timestamp, record: Record) {
        let importance = record.importance();
        let mut state = self.lock();
        let allowed = match importance {
            Importance::Money => true,
            Importance::Notice | Importance::Stranger
                if state.condition != Condition::Good || state.records.len() >= self.capacity =>
            {
                false
            }
            // Bounded where they are made, and told in a bunch.
            Importance::Notice if record.action == Action::Observed => true,
            Importance::Notice => state.notices.allows(Instant::now(), self.per_second),
            Importance::Stranger => state.strangers.allows(Instant::now(), self.per_second),
        };
        // Of records left out only the first wakes the writer, which then waits until it is time to tell their number.
        let tells = allowed || state.suppressed == 0;
        if allowed {
            state.records.push((at, record));
            self.count(importance);
        } else {
            if state.suppressed == 0 {
                state.suppressed_since = Instant::now();
            }
            state.suppressed += 1;
            self.metrics.suppressed.inc();
        }
        let overfull = state.records.len() >= self.capacity;
        if overfull && !state.overfull {
            state.overfull = true;
            self.publish(&state);
        }
        if overfull || (tells && state.idle) {
            state.idle = false;
            drop(state);
            self.work.notify_one();
        }
    }

    /// Leaves word how far the ledger has come. The first one after a while is told at once, the next ones together.
    pub fn note_store(&self, mark: StoreMark) {
        let mut state = self.lock();
        let is_first = state.store.replace(mark).is_none();
        if is_first && state.idle {
            state.idle = false;
            drop(state);
            self.work.notify_one();
        }
    }

    /// Hands an order to the writer; gives it back where there is none.
    pub fn order(&self, order: Order) -> Result<(), Order> {
        let mut state = self.lock();
        if state.condition == Condition::Gone {
            return Err(order);
        }
        state.orders.push(order);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Asks the writer to write what is here, and end.
    pub fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    /// Waits for work, no longer than until `deadline`, and takes all there is. It leaves `emptied` for the next records,
    /// so that no worker has to allocate.
    pub fn take(&self, deadline: Option<Instant>, emptied: Vec<(Timestamp, Record)>) -> Taken {
        let mut state = self.lock();
        let gathered = self.work.wait_timeout_while(state, GATHER, |state| !state.is_urgent());
        state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        loop {
            let now = Instant::now();
            let until = [deadline, state.tells_suppressed_at(), state.tells_store_at()].into_iter().flatten().min();
            if state.is_urgent() || !state.records.is_empty() || until.is_some_and(|until| until <= now) {
                break;
            }
            state.idle = true;
            state = match until {
                Some(until) => {
                    let waited = self.work.wait_timeout(state, until - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.idle = false;
        let now = Instant::now();
        let tells = state.is_urgent() || state.tells_suppressed_at().is_some_and(|at| at <= now);
        let tells = tells && state.condition == Condition::Good;
        let tells_store = state.is_urgent() || state.tells_store_at().is_some_and(|at| at <= now);
        let taken = Taken {
            records: std::mem::replace(&mut state.records, emptied),
            suppressed: if tells { std::mem::take(&mut state.suppressed) } else { 0 },
            store: if tells_store { state.store.take() } else { None },
            orders: std::mem::take(&mut state.orders),
            closing: state.closing,
        };
        if taken.store.is_some() {
            state.tells_store_at = now + BETWEEN_MARKS;
        }
        if state.overfull {
            state.overfull = false;
            self.publish(&state);
        }
        taken
    }

    /// Makes known what the disk allows.
    pub fn set(&self, condition: Condition) {
        let mut state = self.lock();
        if state.condition != condition {
            state.condition = condition;
            self.publish(&state);
        }
    }

    /// The writer has ended: nobody will answer the orders.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.condition = Condition::Gone;
        state.orders.clear();
        self.publish(&state);
    }

    fn count(&self, importance: Importance) {
        match importance {
            Importance::Money => self.metrics.money.inc(),
            Importance::Notice => self.metrics.notice.inc(),
            Importance::Stranger => self.metrics.stranger.inc(),
        }
    }

    fn publish(&self, state: &State) {
        let disk = match state.condition {
            Condition::Good | Condition::Scarce => true,
            Condition::Refusing | Condition::Gone => false,
        };
        let writable = disk && !state.overfull;
        self.writable.store(writable, Ordering::Release);
        self.metrics.writable.set(i64::from(writable));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the writer should not wait for more.
    fn is_urgent(&self) -> bool {
        self.overfull || self.closing || !self.orders.is_empty()
    }

    /// When to write how far the ledger has come.
    fn tells_store_at(&self) -> Option<Instant> {
        self.store.is_some().then_some(self.tells_store_at)
    }

    /// When to write how many records were left out.
    fn tells_suppressed_at(&self) -> Option<Instant> {
        (self.suppressed > 0 && self.condition == Condition::Good).then(|| self.suppressed_since + SECOND)
    }
}
