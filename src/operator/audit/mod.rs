//! The audit log: one line of JSON for every decision that matters, in a chain (OPS-03).
//!
//! [`Audit::record`] leaves a [`Record`] in a queue (`queue`) and returns; a thread of its own (`writer`) turns it into
//! a line (`line`) with the hash of the one before it (`chain`) and writes it to the file (`file`). A start goes on from
//! the file's end (`tail`, `told`), and [`verify`] reads all of it again.
//!
//! Records about money are never dropped. What comes in greater numbers than anybody can read is counted instead, and
//! space for money is set aside on the disk, so that strangers cannot fill it (OPS-13). Where records about money cannot
//! be written, [`Audit::is_writable`] says so, and the gateway refuses money.
//!
//! Deliberately absent: waiting for the disk on the request's path. The ledger does that; this log follows it by at most
//! [`Settings::sync_every`].

mod action;
mod chain;
mod file;
mod line;
pub mod observed;
mod queue;
mod record;
mod tail;
mod told;
pub mod verify;
mod writer;

#[cfg(test)]
pub(super) mod tests;

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use action::{Action, OperatorAct, Outcome, TransferState};
pub use chain::{Digest, Flaw, NotADigest};
pub use file::{OpenError, RotateError, Rotation};
pub use record::{Importance, Record, StoreMark, UrlPath};
use rustix::io::Errno;
pub use told::{GATEWAY_ENDED, RESTART, ToldLast};

use crate::domain::Clock;
use crate::operator::metrics::AuditMetrics;
use file::{Disk, LogFile};
use line::{Notice, append};
use observed::{Observation, Observations};
use queue::{Condition, Order, Queue};
use tail::{Tail, TailError};
use writer::{Health, Pace, Reserve, Unsynced, Writer};

/// `[audit]` as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file, made with mode 0600.
    pub file: PathBuf,
    /// Space set aside on the disk beyond the file's end; 0 for none.
    pub reserve_bytes: u64,
    /// How many records about customers, and how many about strangers, may be written in a second.
    pub notices_per_second: u32,
    /// The longest time that a record about money waits before it is on the disk.
    pub sync_every: Duration,
    /// How often a disk that refuses is tried again.
    pub retry_every: Duration,
    /// With so many records waiting, money is refused until the writer has caught up.
    pub max_waiting: usize,
}

impl Settings {
    /// The settings that an operator need not think about.
    pub fn of(file: PathBuf) -> Self {
        Self {
            file,
            reserve_bytes: 16 << 20,
            notices_per_second: 100,
            sync_every: Duration::from_millis(50),
            retry_every: Duration::from_secs(1),
            max_waiting: 65_536,
        }
    }
}

/// What was recorded before is not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritten {
    /// The disk refuses; the log says why.
    #[error("the disk refuses the audit log")]
    Refused,
    /// The writer has ended.
    #[error("nothing writes the audit log")]
    Gone,
}

/// Where decisions are recorded. Cloning it shares the log; the last clone that goes writes the rest and closes the file.
#[derive(Debug, Clone)]
pub struct Audit(Mode);

#[derive(Debug, Clone)]
enum Mode {
    Off,
    On(Arc<Log>),
}

#[derive(Debug)]
struct Log {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    last_store: Option<StoreMark>,
    writer: Option<JoinHandle<()>>,
    observations: Mutex<Observations>,
}

impl Audit {
    /// A log that keeps nothing, for a gateway without `[audit]`.
    pub const fn off() -> Self {
        Self(Mode::Off)
    }

    /// Opens the log, goes on with the chain of an existing file, and records the start.
    ///
    /// # Errors
    /// The file cannot be opened or locked, what stands at its end is not ours, or its file system cannot reserve space.
    /// A full disk is no error: the log opens and is not writable.
    pub fn open(
        settings: &Settings,
        configuration: Option<Digest>,
        clock: Arc<dyn Clock>,
        metrics: &AuditMetrics,
    ) -> Result<Self, OpenError> {
        let mut log = LogFile::open(&settings.file)?;
        let tail = Tail::read(&log.file).map_err(|error| match error {
            TailError::Io(source) => OpenError::Io { path: settings.file.clone(), source },
            TailError::Foreign(offset) => OpenError::Foreign { path: settings.file.clone(), offset },
        })?;
        if let Err(source) = reserve_at_start(&mut log, settings.reserve_bytes) {
            return Err(OpenError::NoReserve { path: settings.file.clone(), source });
        }
        Self::begin(settings, configuration, clock, metrics, Box::new(log), tail)
            .map_err(|source| OpenError::Io { path: settings.file.clone(), source })
    }

    fn begin(
        settings: &Settings,
        configuration: Option<Digest>,
        clock: Arc<dyn Clock>,
        metrics: &AuditMetrics,
        disk: Box<dyn Disk>,
        tail: Tail,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(settings.max_waiting, settings.notices_per_second, metrics.clone()));
        let now = clock.now();
        let Tail { mut chain, torn, open_ended, store } = tail;
        let mut buffer = Vec::new();
        if open_ended {
            buffer.push(b'\n');
        }
        if let Some(torn) = &torn {
            tracing::warn!(bytes = torn.bytes, "the end of the audit log was torn and is kept as it is");
            append(&mut buffer, &mut chain, |out| Notice::Recovered(torn).write(now, out));
        }
        let started = Notice::Started { configuration, store: store.as_ref() };
        append(&mut buffer, &mut chain, |out| started.write(now, out));
        let end = disk.length()?;
        let writer = Writer {
            queue: Arc::clone(&queue),
            clock: Arc::clone(&clock),
            disk,
            pace: Pace { sync: settings.sync_every, retry: settings.retry_every },
            chain,
            store: store.clone(),
            buffer,
            written: 0,
            reserve: Reserve { bytes: settings.reserve_bytes, end, until: end, refused: false },
            health: Health::Good,
            unsynced: Unsynced::Notices,
            last_sync: Instant::now(),
            retry_at: None,
            told: Condition::Good,
        };
        let thread = thread::Builder::new().name("audit".into()).spawn(move || writer.run())?;
        let audit = Self(Mode::On(Arc::new(Log {
            queue,
            clock,
            last_store: store,
            writer: Some(thread),
            observations: Mutex::default(),
        })));
        // The start is on the disk before the first customer comes. Where the disk refuses, the log is not writable and
        // has told why.
        let _ = audit.flush();
        Ok(audit)
    }

    /// Records a decision, now. It does not wait for the disk.
    pub fn record(&self, record: Record) {
        match &self.0 {
            Mode::Off => {}
            Mode::On(log) => log.queue.push(log.clock.now(), record),
        }
    }

    /// Leaves word how far the ledger has come (LIM-41). A transfer tells it when it ends; one that never ends must not be
    /// forgotten with an older copy of the store. It is told once a second at most.
    pub fn note_store(&self, mark: StoreMark) {
        match &self.0 {
            Mode::Off => {}
            Mode::On(log) => log.queue.note_store(mark),
        }
    }

    /// Records what would have been refused; of many that are alike the first, and how many there were.
    pub fn observe(&self, seen: &Observation<'_>) {
        let Mode::On(log) = &self.0 else { return };
        let now = log.clock.now();
        let told = log.observations.lock().unwrap_or_else(PoisonError::into_inner).take(seen, now);
        told.into_iter().for_each(|record| log.queue.push(now, record));
    }

    /// Whether a decision about money can be recorded. While it cannot, none may be taken.
    pub fn is_writable(&self) -> bool {
        match &self.0 {
            Mode::Off => true,
            Mode::On(log) => log.queue.is_writable(),
        }
    }

    /// How far the ledger had come by what stood in the file when it was opened (LIM-41).
    pub fn last_store(&self) -> Option<&StoreMark> {
        match &self.0 {
            Mode::Off => None,
            Mode::On(log) => log.last_store.as_ref(),
        }
    }

    /// Waits until everything recorded so far is on the disk. It blocks: not for the threads of requests.
    ///
    /// # Errors
    /// The disk refuses. What could not be written is kept and tried again.
    pub fn flush(&self) -> Result<(), Unwritten> {
        let Mode::On(log) = &self.0 else { return Ok(()) };
        let (reply, answer) = sync_channel(1);
        log.queue.order(Order::Flush(reply)).map_err(|_| Unwritten::Gone)?;
        answer.recv().map_err(|_| Unwritten::Gone)?
    }

    /// Goes on in a new file where the old one was moved away; does nothing where it was not. It blocks, as a flush does.
    ///
    /// Move the file within its file system: what is written between copying and removing would be lost.
    ///
    /// # Errors
    /// The rest of the old file cannot be written, or there can be no new one. The old one stays in use.
    pub fn reopen(&self) -> Result<Rotation, RotateError> {
        let Mode::On(log) = &self.0 else { return Ok(Rotation::Unmoved) };
        let (reply, answer) = sync_channel(1);
        log.queue.order(Order::Rotate(reply)).map_err(|_| RotateError::Gone)?;
        answer.recv().map_err(|_| RotateError::Gone)?
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let now = self.clock.now();
        let observations = self.observations.get_mut().unwrap_or_else(PoisonError::into_inner);
        observations.end().into_iter().for_each(|record| self.queue.push(now, record));
        self.queue.close();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the writer of the audit log failed");
        }
    }
}

/// Tries whether the file system can set space aside at all; whether there is enough is the writer's concern.
fn reserve_at_start(log: &mut LogFile, bytes: u64) -> std::io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let end = log.length()?;
    match log.reserve(end, bytes) {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::OPNOTSUPP | Errno::NOSYS)) => Err(error),
        // A full disk, a quota: the writer finds out and says so.
        Ok(()) | Err(_) => Ok(()),
    }
}
