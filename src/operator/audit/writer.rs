//! The writer: one thread that turns records into lines, writes them in batches and waits for the disk.
//!
//! Bytes that the disk refuses stay here and are tried again, so a full or broken disk loses nothing as long as the
//! process lives. Meanwhile the gateway refuses money, because [`Queue::set`] says so.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Unwritten;
use super::action::{Action, OperatorAct};
use super::chain::Chain;
use super::file::{Disk, RotateError, Rotation};
use super::line::{Notice, append};
use super::queue::{Condition, Order, Queue, Taken};
use super::record::{Importance, StoreMark};
use crate::domain::Clock;

/// Memory that is kept for the next batch; what a jam needed beyond it is given back.
const MAX_KEPT_RECORDS: usize = 4096;
const MAX_KEPT_BYTES: usize = 1 << 20;

/// How often the writer troubles the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two waits for the disk while records about money come in.
    pub sync: Duration,
    /// Between two attempts on a disk that refuses.
    pub retry: Duration,
}

pub(super) struct Writer {
    pub queue: Arc<Queue>,
    pub clock: Arc<dyn Clock>,
    pub disk: Box<dyn Disk>,
    pub pace: Pace,
    pub chain: Chain,
    /// How far the ledger had come, for the first line of the next file.
    pub store: Option<StoreMark>,
    /// Whole lines, sealed, not yet written but for the first `written` bytes.
    pub buffer: Vec<u8>,
    pub written: usize,
    pub reserve: Reserve,
    pub health: Health,
    pub unsynced: Unsynced,
    pub last_sync: Instant,
    pub retry_at: Option<Instant>,
    /// What the queue was told last.
    pub told: Condition,
}

/// Space set aside beyond the end of the file.
#[derive(Debug)]
pub(super) struct Reserve {
    /// How much there should be; 0 where the operator wants none.
    pub bytes: u64,
    /// The end of the file.
    pub end: u64,
    /// The end of the space that is set aside.
    pub until: u64,
    /// The disk had no more at the last attempt.
    pub refused: bool,
}

impl Reserve {
    fn left(&self) -> u64 {
        self.until.saturating_sub(self.end)
    }
}

/// What the disk did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Good,
    /// A write failed; it is tried again.
    Refusing,
    /// A sync failed. The kernel may have dropped what it could not write and report success the next time, so only a new
    /// file can be trusted again.
    Doubtful,
}

/// What was written and may not be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsynced {
    Nothing,
    Notices,
    Money,
}

/// Tells the queue when the thread ends, however it ends.
struct Presence(Arc<Queue>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Writer {
    /// Writes until the queue is closed.
    pub fn run(mut self) {
        let _presence = Presence(Arc::clone(&self.queue));
        // Before the first record there is what `open` has to say.
        self.reach_disk(true);
        let mut emptied = Vec::new();
        loop {
            let mut taken = self.queue.take(self.deadline(), emptied);
            let waited_for = taken.closing || !taken.orders.is_empty();
            self.seal(&mut taken);
            self.reach_disk(waited_for);
            for order in taken.orders {
                self.obey(order);
            }
            if taken.closing {
                let lost = self.buffer.len() - self.written;
                if lost > 0 {
                    tracing::error!(bytes = lost, "the end of the audit log cannot be written");
                }
                return;
            }
            emptied = taken.records;
            emptied.shrink_to(MAX_KEPT_RECORDS);
        }
    }

    /// Turns what was taken into sealed lines.
    fn seal(&mut self, taken: &mut Taken) {
        for (at, record) in taken.records.drain(..) {
            if let Some(mark) = &record.store {
                let accepted = record.action == Action::Operator(OperatorAct::StoreAccepted);
                StoreMark::learn(&mut self.store, mark.clone(), accepted);
            }
            append(&mut self.buffer, &mut self.chain, |out| record.write(at, out));
            self.unsynced = self.unsynced.max(match record.importance() {
                Importance::Money => Unsynced::Money,
                Importance::Notice | Importance::Stranger => Unsynced::Notices,
            });
        }
        if let Some(mark) = taken.store.take().filter(|mark| mark.is_further_than(self.store.as_ref())) {
            StoreMark::learn(&mut self.store, mark.clone(), false);
            self.seal_notice(&Notice::Reached { store: &mark });
            self.unsynced = Unsynced::Money;
        }
        if taken.suppressed > 0 {
            self.seal_notice(&Notice::Suppressed(taken.suppressed));
        }
        if taken.closing {
            self.seal_notice(&Notice::Stopped);
        }
    }

    fn seal_notice(&mut self, notice: &Notice<'_>) {
        let now = self.clock.now();
        append(&mut self.buffer, &mut self.chain, |out| notice.write(now, out));
        self.unsynced = self.unsynced.max(Unsynced::Notices);
    }

    /// Writes and syncs what is due, or everything where somebody waits for it, and tells the queue how it went.
    fn reach_disk(&mut self, waited_for: bool) {
        let now = Instant::now();
        let retries = waited_for || self.retry_at.is_some_and(|at| at <= now);
        if retries {
            self.retry_at = None;
        }
        let mut failed = None;
        if retries || self.health != Health::Refusing {
            failed = self.write().err();
        }
        if failed.is_none() && (retries || !self.reserve.refused) {
            failed = self.renew_reserve().err();
        }
        let due = self.sync_at().is_some_and(|at| at <= now);
        let awaited = waited_for && self.unsynced > Unsynced::Nothing;
        if (due || awaited)
            && let Err(error) = self.sync()
        {
            failed = Some(error);
        }
        if failed.is_some() {
            // Not later than planned, however much comes in meanwhile.
            self.retry_at.get_or_insert(now + self.pace.retry);
        }
        self.tell(failed);
    }

    /// Writes the buffer, with one system call where the disk takes it at once.
    fn write(&mut self) -> io::Result<()> {
        while self.written < self.buffer.len() {
            match self.disk.append(&self.buffer[self.written..]) {
                Ok(0) => return Err(self.refused(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => {
                    self.written += bytes;
                    self.reserve.end += bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused(error)),
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(MAX_KEPT_BYTES);
        self.written = 0;
        if self.health == Health::Refusing {
            self.health = Health::Good;
        }
        Ok(())
    }

    fn refused(&mut self, error: io::Error) -> io::Error {
        if self.health == Health::Good {
            self.health = Health::Refusing;
        }
        error
    }

    /// Sets space aside again as the file grows.
    fn renew_reserve(&mut self) -> io::Result<()> {
        let length = self.disk.length()?;
        if length != self.reserve.end {
            tracing::error!(expected = self.reserve.end, length, "somebody else changed the audit file");
            // Cutting a file gives the space beyond its end back.
            self.reserve.end = length;
            self.reserve.until = length;
        }
        let reserve = &mut self.reserve;
        if reserve.bytes == 0 || (!reserve.refused && reserve.left() >= reserve.bytes - reserve.bytes / 4) {
            return Ok(());
        }
        let renewed = self.disk.reserve(reserve.end, reserve.bytes);
        reserve.refused = renewed.is_err();
        if renewed.is_ok() {
            reserve.until = reserve.end + reserve.bytes;
        }
        renewed
    }

    fn sync(&mut self) -> io::Result<()> {
        self.last_sync = Instant::now();
        let done = self.disk.sync();
        match &done {
            Ok(()) if self.buffer.is_empty() => self.unsynced = Unsynced::Nothing,
            Ok(()) => {}
            Err(_) => self.health = Health::Doubtful,
        }
        done
    }

    /// When records about money are to be on the disk.
    fn sync_at(&self) -> Option<Instant> {
        match (self.unsynced, self.health) {
            (Unsynced::Money, Health::Good | Health::Doubtful) => Some(self.last_sync + self.pace.sync),
            (Unsynced::Money, Health::Refusing) | (Unsynced::Nothing | Unsynced::Notices, _) => None,
        }
    }

    /// When the disk is to be troubled even if nothing comes in.
    fn deadline(&self) -> Option<Instant> {
        [self.sync_at(), self.retry_at].into_iter().flatten().min()
    }

    fn condition(&self) -> Condition {
        match self.health {
            Health::Refusing | Health::Doubtful => Condition::Refusing,
            Health::Good if !self.reserve.refused => Condition::Good,
            Health::Good if self.reserve.left() < self.reserve.bytes / 2 => Condition::Refusing,
            Health::Good => Condition::Scarce,
        }
    }

    fn tell(&mut self, failed: Option<io::Error>) {
        let condition = self.condition();
        if condition != self.told {
            let error = failed.map(tracing::field::display);
            match condition {
                Condition::Good => tracing::info!("the audit log is written again"),
                Condition::Scarce => tracing::error!(error, "no more space for the audit log: only money is recorded"),
                Condition::Refusing if self.health == Health::Doubtful => {
                    tracing::error!(error, "the audit log may not be on the disk: money waits for a new file");
                }
                Condition::Refusing | Condition::Gone => {
                    tracing::error!(error, "the audit log cannot be written: money waits");
                }
            }
            self.told = condition;
        }
        self.queue.set(condition);
    }

    fn obey(&mut self, order: Order) {
        // Whoever gave up waiting has dropped the other end.
        match order {
            Order::Flush(reply) => {
                let done = self.health == Health::Good && self.buffer.is_empty() && self.unsynced == Unsynced::Nothing;
                let _ = reply.send(if done { Ok(()) } else { Err(Unwritten::Refused) });
            }
            Order::Rotate(reply) => drop(reply.send(self.rotate())),
        }
    }

    /// Goes over to a new file. A doubtful disk does not hinder that: it is what a new file is for.
    fn rotate(&mut self) -> Result<Rotation, RotateError> {
        if !self.buffer.is_empty() {
            return Err(RotateError::Unfinished);
        }
        let rotation = self.disk.rotate()?;
        match rotation {
            Rotation::Unmoved => {}
            Rotation::Began => {
                self.health = Health::Good;
                self.unsynced = Unsynced::Nothing;
                self.reserve = Reserve { end: 0, until: 0, refused: false, ..self.reserve };
                let store = self.store.clone();
                self.seal_notice(&Notice::Rotated { store: store.as_ref() });
                self.reach_disk(true);
            }
        }
        Ok(rotation)
    }
}
