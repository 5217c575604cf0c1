//! The roll of a worker's open connections: who is here, until when, and who has to go.
//!
//! No connection has a timer of its own. Each keeps one deadline, an atomic that every step of a request moves; the
//! worker's sweep walks the roll ten times a second, ends what is overdue and, when trust has changed, judges everybody
//! again (TLS-17). So a request costs two atomic stores, and a new revocation list reaches every open connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Limits;
use super::streams::{Streams, Turn};
use super::trust::{Generation, Trust};
use super::visit::Visit;
use crate::refusal::Refusal;

/// How often the roll is walked: the grain of every time-out below.
pub const SWEEP: Duration = Duration::from_millis(100);

/// A visitor who lost standing may still be told so: the next request within this time is answered 403 (TLS-07). Then an
/// idle connection is closed, and soon after whatever is left of it is cut, all within a second of the list.
const FAREWELL: Duration = Duration::from_millis(300);
const CUT_AFTER_FAREWELL: Duration = Duration::from_millis(200);

/// How long a connection that was asked to finish may take to say goodbye, when it was idle.
const GOODBYE: Duration = Duration::from_secs(1);

/// Control frames of an HTTP/2 connection that are forgiven per sweep. Requests forgive none: a flood may have some.
const CONTROL_FRAMES_FORGIVEN: u32 = 10;

const NEVER: u64 = u64::MAX;

/// What a connection is told to do. It only ever gets graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Go on.
    Stay = 0,
    /// Finish the request under way, then close.
    Finish = 1,
    /// End now.
    Cut = 2,
}

/// What a connection is doing; decides what its deadline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle = 0,
    /// In the middle of a request's head (HTTP/1).
    Head = 1,
    /// A request is being answered.
    Busy = 2,
}

/// The connections of one worker.
#[derive(Debug)]
pub struct Roll {
    started: Instant,
    /// Milliseconds since `started`, as of the last sweep.
    tick: AtomicU64,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<OpenConnection>>>,
    generation: Mutex<Generation>,
}

/// One connection on the roll.
#[derive(Debug)]
pub struct OpenConnection {
    roll: Arc<Roll>,
    number: u64,
    visit: Arc<Visit>,
    limits: Arc<Limits>,
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
    phase: AtomicU8,
    deadline: AtomicU64,
    /// Until when the client must have taken something of what has been written; [`NEVER`] where nothing waits for it.
    unread_until: AtomicU64,
    under_way: AtomicU32,
    condemned: AtomicBool,
    /// HTTP/2 requests that the client gave up before their answer, less what time has forgiven.
    abandoned: AtomicU32,
    /// HTTP/2 frames that asked for work and brought nothing, less what time has forgiven.
    control_frames: AtomicU32,
    /// Of an HTTP/2 connection; otherwise there are none.
    streams: Mutex<Streams>,
}

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Visitors who have lost standing since the last sweep.
    pub condemned: u64,
    /// Connections ended because they were idle or too slow.
    pub overdue: u64,
}

impl Roll {
    /// An empty roll.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            tick: AtomicU64::new(0),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            generation: Mutex::default(),
        })
    }

    /// Puts a connection on the roll, until the value is dropped from it by [`OpenConnection::leave`].
    pub fn enter(self: &Arc<Self>, visit: Arc<Visit>, limits: Arc<Limits>) -> Arc<OpenConnection> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(OpenConnection {
            roll: Arc::clone(self),
            number,
            visit,
            order: AtomicU8::new(Order::Stay as u8),
            waker: Mutex::new(None),
            phase: AtomicU8::new(Phase::Idle as u8),
            deadline: AtomicU64::new(self.after(limits.idle_timeout)),
            streams: Mutex::new(Streams::new(limits.max_streams)),
            limits,
            unread_until: AtomicU64::new(NEVER),
            under_way: AtomicU32::new(0),
            condemned: AtomicBool::new(false),
            abandoned: AtomicU32::new(0),
            control_frames: AtomicU32::new(0),
        });
        self.connections().insert(number, Arc::clone(&connection));
        connection
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.connections().len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives everybody an order.
    pub fn order_all(&self, order: Order) {
        let open: Vec<_> = self.connections().values().cloned().collect();
        for connection in open {
            connection.give(order);
        }
    }

    /// Walks the roll once.
    pub fn sweep(&self, trust: &Trust, now: Timestamp) -> Swept {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER - 1);
        self.tick.store(elapsed, Ordering::Relaxed);
        let generation = trust.generation();
        let mut judged_by = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let trust_changed = std::mem::replace(&mut *judged_by, generation) != generation;
        drop(judged_by);
        let open: Vec<_> = self.connections().values().cloned().collect();
        let mut swept = Swept::default();
        for connection in open {
            if trust_changed && !connection.condemned.load(Ordering::Relaxed) {
                match connection.visit.judge(trust, now) {
                    Ok(_) => {}
                    Err(reason) => swept.condemned += u64::from(connection.condemn(reason)),
                }
            }
            swept.overdue += u64::from(connection.end_if_overdue(elapsed));
            connection.forgive();
        }
        swept
    }

    fn after(&self, time: Duration) -> u64 {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(NEVER);
        self.tick.load(Ordering::Relaxed).saturating_add(milliseconds).min(NEVER - 1)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<OpenConnection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    /// The visitor.
    pub fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    /// The order in force; the task is woken when it changes.
    pub fn order(&self, context: &Context<'_>) -> Order {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        drop(waker);
        self.order_given()
    }

    /// The order in force, for a look.
    pub(super) fn order_given(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Stay,
            1 => Order::Finish,
            _ => Order::Cut,
        }
    }

    /// Tells the connection what to do, unless it was told something graver.
    pub fn give(&self, order: Order) {
        if self.order.fetch_max(order as u8, Ordering::AcqRel) < order as u8 {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Takes the connection off the roll.
    pub fn leave(&self) {
        self.roll.connections().remove(&self.number);
    }

    /// Bytes arrived. Between two requests they begin a head, whose time is counted from its first byte.
    pub(super) fn heard(&self) {
        if self.phase.load(Ordering::Relaxed) == Phase::Idle as u8 {
            self.phase.store(Phase::Head as u8, Ordering::Relaxed);
            self.due_in(self.limits.header_timeout);
        }
    }

    /// The client does not take what we write. This has a deadline of its own, which no further request puts off.
    pub(super) fn unread(&self) {
        self.unread_until.store(self.write_deadline(), Ordering::Relaxed);
    }

    /// The client took it; only now it is idle, if nothing else is under way.
    pub(super) fn read(&self) {
        self.unread_until.store(NEVER, Ordering::Relaxed);
        if self.phase.load(Ordering::Relaxed) == Phase::Idle as u8 {
            self.due_in(self.limits.idle_timeout);
        }
    }

    /// A request begins. While the application works on it the client owes nothing.
    pub(super) fn begin(&self) {
        self.visit.progress().made();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.phase.store(Phase::Busy as u8, Ordering::Relaxed);
        self.due(NEVER);
    }

    /// The client gave a request up after the application had begun on it: each costs the application a connection, and
    /// costs the client one frame (CVE-2023-44487 and its kin).
    pub(super) fn abandoned(&self) {
        if self.abandoned.fetch_add(1, Ordering::Relaxed) >= self.limits.max_resets {
            self.give(Order::Cut);
        }
    }

    /// An HTTP/2 connection was read from: so many bytes, so many control frames in them. Too many of those frames are a
    /// flood, and so are more than so many bytes of which nothing came. Returns what to do about it.
    pub(super) fn heard_frames(&self, bytes: usize, control_frames: u32, max_bytes_without_progress: u64) -> Order {
        let bytes = self.visit.progress().heard(bytes as u64);
        let control_frames = self.control_frames.fetch_add(control_frames, Ordering::Relaxed) + control_frames;
        if bytes <= max_bytes_without_progress && control_frames <= self.limits.max_control_frames {
            return Order::Stay;
        }
        self.give(Order::Cut);
        Order::Cut
    }

    /// A request is over.
    pub(super) fn end(&self) {
        if self.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.phase.store(Phase::Idle as u8, Ordering::Relaxed);
            self.due_in(self.limits.idle_timeout);
        }
    }

    /// An HTTP/2 answer begins.
    pub(super) fn answer_begins(&self) -> u64 {
        let number = self.roll.next.fetch_add(1, Ordering::Relaxed);
        self.streams().answer_begins(number, self.write_deadline());
        number
    }

    /// The client has taken enough of an HTTP/2 answer for hyper to ask for more; whose turn is it now?
    pub(super) fn answer_goes_on(&self, number: u64, turn: Turn) {
        self.visit.progress().made();
        self.streams().answer_goes_on(number, turn, self.write_deadline());
    }

    /// An HTTP/2 answer is over for hyper.
    pub(super) fn answer_ends(&self, number: u64) {
        self.visit.progress().made();
        self.streams().answer_ends(number);
    }

    /// The streams of an HTTP/2 connection.
    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the client must have taken what is being written now.
    pub(super) fn write_deadline(&self) -> u64 {
        self.roll.after(self.limits.write_timeout)
    }

    fn due_in(&self, time: Duration) {
        self.due(self.roll.after(time));
    }

    fn due(&self, deadline: u64) {
        if !self.condemned.load(Ordering::Relaxed) {
            self.deadline.store(deadline, Ordering::Relaxed);
        }
    }

    /// Whether this was news.
    fn condemn(&self, reason: Refusal) -> bool {
        if let super::visit::Visitor::Refused(_) = self.visit.visitor() {
            return false;
        }
        tracing::info!(listener = self.visit.listener().name(), client = %self.visit.client(), %reason, "a visitor lost standing; the connection is being closed");
        self.deadline.store(self.roll.after(FAREWELL), Ordering::Relaxed);
        self.condemned.store(true, Ordering::Relaxed);
        true
    }

    /// One abandoned request is forgiven per sweep: a browser that leaves a page gives up many at once. So are some control
    /// frames: a client may look after its connection for as long as it lives.
    fn forgive(&self) {
        for (count, forgiven) in [(&self.abandoned, 1), (&self.control_frames, CONTROL_FRAMES_FORGIVEN)] {
            let held_against = count.load(Ordering::Relaxed);
            if held_against > 0 {
                count.store(held_against.saturating_sub(forgiven), Ordering::Relaxed);
            }
        }
    }

    fn end_if_overdue(&self, now: u64) -> bool {
        let unread_until = self.unread_until.load(Ordering::Relaxed);
        let client_is_overdue = self.streams().is_client_overdue(now, unread_until == NEVER);
        if unread_until <= now || client_is_overdue {
            let news = self.order.load(Ordering::Relaxed) < Order::Cut as u8;
            self.give(Order::Cut);
            return news;
        }
        let told_to_finish = self.order.load(Ordering::Relaxed) >= Order::Finish as u8;
        let condemned = self.condemned.load(Ordering::Relaxed);
        let is_idle = self.phase.load(Ordering::Relaxed) == Phase::Idle as u8;
        // Who still has an answer to read is not idle yet.
        let is_reading = is_idle && unread_until != NEVER && !told_to_finish && !condemned;
        if is_reading || self.deadline.load(Ordering::Relaxed) > now {
            return false;
        }
        let may_say_goodbye = condemned || is_idle;
        if may_say_goodbye && !told_to_finish {
            let patience = if condemned { CUT_AFTER_FAREWELL } else { GOODBYE };
            self.deadline.store(self.roll.after(patience), Ordering::Relaxed);
            self.give(Order::Finish);
            return !condemned;
        }
        self.give(Order::Cut);
        !told_to_finish
    }
}
