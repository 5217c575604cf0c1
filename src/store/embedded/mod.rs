//! The ledger in a file of our own (redb): no server, one writer thread, one fdatasync for all that came together.
//!
//! ```text
//! requests ─ reserve, enter ─┐                ┌─ decide in memory   book, rules
//! pipeline ─ settle ─────────┼─▶ queue ─▶ writer ─ one transaction    desk, shelf
//! operators ─ reconcile … ───┘                └─ answer everybody
//! ```
//!
//! The file is the truth; memory holds what is open and remembers sums that were read. The exclusive lock on the file
//! keeps a second gateway from counting beside this one (LIM-41). Deliberately absent: a time at which a reservation
//! ends by itself, and a way to lower a sum other than by releasing a transfer.

mod adjust;
mod book;
pub(super) mod desk;
mod entries;
mod export;
mod inbox;
mod open;
mod operation;
mod operators;
mod read;
pub(super) mod record;
mod rules;
pub(super) mod shelf;
mod sums;
mod writer;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use self::export::Transfers;

use self::desk::{Desk, Occasion, OpenDatabase, guarded};
use self::inbox::Inbox;
use self::operation::Operation;
use self::shelf::Failure;
use self::writer::Writer;
use super::gauges::Gauges;
use super::ledger::{Counts, Decision, Entered, Entry, Mark, Order, Renewal, Settlement, State, StoreError, Transfer};
use super::reply::{self, Answer, Reply};
use crate::domain::{ContractId, Yen};
use crate::operator::audit::Audit;
use crate::operator::metrics::Metrics;

/// Sums go back at least so far, whatever is configured (LIM-22).
const LEAST_RETENTION_DAYS: u16 = 40;

/// `[store]` of kind `embedded`, as values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// How many may wait for the writer; who comes then is refused at once.
    pub max_queue: usize,
    /// For how many days settled transfers and sums are kept, at least 40.
    pub retention_days: u16,
    /// How long to wait before a file that failed is opened again.
    pub retry: Duration,
    /// What was settled from then on is told at the start.
    pub settled_since: Option<Timestamp>,
    /// What the ledger shows.
    pub metrics: Arc<Metrics>,
}

impl Settings {
    /// The usual ones.
    pub fn new(path: PathBuf, metrics: Arc<Metrics>) -> Self {
        let retry = Duration::from_secs(1);
        Self { path, max_queue: 4096, retention_days: 400, retry, settled_since: None, metrics }
    }
}

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is locked (LIM-41).
    #[error("another gateway uses the store {}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged, of another format, or the disk fails.
    #[error("the store {} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A ledger that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Embedded,
    /// What was reserved when the last process ended, and is unknown now.
    pub recovered: Vec<Transfer>,
    /// What was settled before, since the moment that was asked for.
    pub settled: Vec<Transfer>,
    /// Whether there was nothing before (LIM-41).
    pub is_new: bool,
}

/// The ledger. Copies are the same ledger; the file is closed with the last one.
#[derive(Debug, Clone)]
pub struct Embedded(Arc<Shared>);

struct Shared {
    inbox: Arc<Inbox>,
    gauges: Arc<Gauges>,
    store: Arc<str>,
    max_queue: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("store", &self.store).field("gauges", &self.gauges).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the file, or makes it; what was reserved in it becomes unknown.
    ///
    /// # Errors
    /// When another process uses the file, or it cannot be read or written.
    pub fn open(settings: &Settings, at: Timestamp) -> Result<Opened, OpenError> {
        Self::open_with(settings, desk::in_file(settings.path.clone()), at)
    }

    fn open_with(settings: &Settings, mut open_database: OpenDatabase, at: Timestamp) -> Result<Opened, OpenError> {
        let path = || settings.path.clone();
        let retention_days = i32::from(settings.retention_days.max(LEAST_RETENTION_DAYS));
        let (desk, settled, recovered, is_new) = guarded(|| {
            let (mut desk, is_new) = Desk::open(open_database(Occasion::Start)?, retention_days)?;
            let ((settled, recovered), _) = desk.act(|book, shelf| {
                let settled = settings.settled_since.map(|since| shelf.settled_since(since)).transpose()?;
                Ok((settled.unwrap_or_default(), book.recover(shelf, at)?))
            })?;
            Ok((desk, settled, recovered, is_new))
        })
        .map_err(|failure| match failure {
            Failure::Disk(error) if matches!(*error, redb::Error::DatabaseAlreadyOpen) => {
                OpenError::InUse { path: path() }
            }
            Failure::Disk(_) | Failure::Damage(_) | Failure::Format(_) | Failure::Replaced | Failure::Panic => {
                OpenError::Unusable { path: path(), source: failure.into() }
            }
        })?;
        let gauges = Arc::new(Gauges::new(&settings.metrics, true));
        let book = desk.book();
        gauges.publish(book.mark().sequence, book.counts(), book.standing.not_accepted.as_deref(), None);
        let mark = desk.book().mark();
        let store = mark.store.clone();
        let inbox = Arc::new(Inbox::default());
        let writer = Writer {
            inbox: Arc::clone(&inbox),
            desk: Some(desk),
            open_database,
            retention_days,
            retry: settings.retry,
            gauges: Arc::clone(&gauges),
            mark,
            carried: Vec::new(),
            abandoned: Vec::new(),
            renewals: Vec::new(),
            retry_at: Instant::now(),
            next_at: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Unusable { path: path(), source: error.into() })?;
        let thread = Mutex::new(Some(thread));
        let shared = Shared { inbox, gauges, store, max_queue: settings.max_queue, thread };
        Ok(Opened { ledger: Self(Arc::new(shared)), recovered, settled, is_new })
    }

    /// Decides an order and reserves what it moves, durably. If the caller goes away before the answer, the
    /// reservation is taken back.
    ///
    /// # Errors
    /// Then the order must not be forwarded.
    pub async fn reserve(&self, order: Order) -> Result<Decision, StoreError> {
        self.admit()?;
        let (reply, answer) = reply::expect();
        let mut waiting = Waiting { answer, withdrawal: Some(order.withdrawal("abandoned")), ledger: self };
        self.push(Operation::Reserve(Box::new(order), reply));
        let heard = (&mut waiting.answer).await;
        waiting.withdrawal = None;
        heard.unwrap_or_else(|_| Err(self.0.gauges.unavailable()))
    }

    /// Settles a transfer; written with what comes next, and for as long as the process lives until it is written.
    pub fn settle(&self, settlement: Settlement) {
        self.push(Operation::Settle(settlement, None));
    }

    /// Settles a transfer, and tells where it stands then; `None` where nothing was recorded under its ID.
    ///
    /// # Errors
    /// When it is not durable yet. It is not lost: it is written as soon as the store answers again.
    pub async fn settle_and_wait(&self, settlement: Settlement) -> Result<Option<State>, StoreError> {
        self.ask_anyway(|reply| Operation::Settle(settlement, Some(reply))).await
    }

    /// Keeps an amount that another screen will commit, durably.
    ///
    /// # Errors
    /// Then the entry must not be forwarded.
    pub async fn enter(&self, entry: Entry) -> Result<Entered, StoreError> {
        self.ask(|reply| Operation::Enter(Box::new(entry), reply)).await
    }

    /// A login ID was active: its entries live on. Written with what comes next; whoever asks while the file is away
    /// asks again.
    pub fn renew(&self, renewal: Renewal) {
        self.push(Operation::Renew(renewal));
    }

    /// Keeps a customer's own limit; `None` where there is none any more.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn learn_own_limit(
        &self,
        contract: ContractId,
        own: Option<Yen>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.ask(|reply| Operation::Learn(contract, own, at, reply)).await
    }

    /// Which store this is, and how far it has come.
    pub fn mark(&self) -> Mark {
        Mark { store: Arc::clone(&self.0.store), sequence: self.0.gauges.sequence() }
    }

    /// From now on, tells the audit log how far it has come.
    pub fn tell_marks(&self, audit: &Audit) {
        self.0.gauges.tell_marks(Arc::clone(&self.0.store), audit);
    }

    /// Whether the last transaction succeeded.
    pub fn is_available(&self) -> bool {
        self.0.gauges.is_available()
    }

    /// Why it did not; `None` where it did.
    pub fn unavailable(&self) -> Option<StoreError> {
        (!self.is_available()).then(|| self.0.gauges.unavailable())
    }

    /// Why the store waits for an operator to accept it; `None` where it does not (LIM-41).
    pub fn awaits_acceptance(&self) -> Option<Arc<str>> {
        self.0.gauges.awaits_acceptance()
    }

    /// How many transfers are not settled for good.
    pub fn counts(&self) -> Counts {
        self.0.gauges.counts()
    }

    /// Writes what was asked for, and closes the file. What is asked afterwards is not done.
    pub async fn close(&self) {
        let (reply, closed) = reply::expect();
        self.push(Operation::Close(Some(reply)));
        // An error is a thread that has ended already.
        drop(closed.await);
    }

    fn admit(&self) -> Result<(), StoreError> {
        if !self.is_available() {
            return Err(self.0.gauges.unavailable());
        }
        if self.0.inbox.len() >= self.0.max_queue {
            return Err(StoreError::Unavailable("too many wait for it".into()));
        }
        Ok(())
    }

    async fn ask<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T, StoreError> {
        self.admit()?;
        self.ask_anyway(operation).await
    }

    async fn ask_anyway<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T, StoreError> {
        let (reply, answer) = reply::expect();
        self.push(operation(reply));
        answer.await.unwrap_or_else(|_| Err(self.0.gauges.unavailable()))
    }

    fn push(&self, operation: Operation) {
        if let Err(lost) = self.0.inbox.push(operation)
            && let Some(settlement) = lost.settlement()
        {
            // It is on record as reserved, and will be unknown at the next start.
            tracing::error!(transfer = %settlement.id, outcome = ?settlement.outcome, "settled after the ledger closed");
        }
    }
}

/// Somebody who waits for an order's answer.
struct Waiting<'a> {
    answer: Answer<Decision>,
    /// Until the answer has been heard.
    withdrawal: Option<Settlement>,
    ledger: &'a Embedded,
}

/// A customer who hangs up between the grant and its hearing must not leave a reservation behind for ever. A grant
/// that has not been given yet finds nobody, which the writer notices.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(withdrawal) = self.withdrawal.take() else { return };
        self.answer.close();
        if let Ok(Ok(Decision::Granted(_))) = self.answer.try_recv() {
            self.ledger.push(Operation::Abandon(withdrawal));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closed already, if this fails.
        drop(self.inbox.push(Operation::Close(None)));
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the ledger's writer panicked");
        }
    }
}
