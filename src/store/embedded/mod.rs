//! The ledger in a file of our own (redb): no server, one writer thread, one fdatasync for all that came together.
//!
//! ```text
//!                 ┌─ decide in memory   book, rules
//! inbox ─▶ writer ─ one transaction     desk, shelf
//!                 └─ answer everybody   what is only looked at: reader
//! ```
//!
//! The file is the truth; memory holds what is open and remembers sums that were read. The exclusive lock on the file
//! keeps a second gateway from counting beside this one (LIM-41). Deliberately absent: a time at which a reservation
//! ends by itself, and a way to lower a sum other than by releasing a transfer.

mod acted;
mod adjust;
mod book;
pub(super) mod desk;
mod entries;
mod open;
mod read;
mod reader;
pub(super) mod record;
mod rules;
pub(super) mod shelf;
mod sums;
mod writer;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::desk::Desk;
use self::reader::Reader;
use self::writer::Writer;
use super::gauges::Gauges;
use super::inbox::Inbox;
use super::ledger::LEAST_RETENTION_DAYS;
use super::{Ledger, Opened, Shared};
use crate::operator::metrics::Metrics;
use crate::store::database::{self, Failure, Occasion, OpenDatabase, guarded};

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

/// Opens the file, or makes it; what was reserved in it becomes unknown.
///
/// # Errors
/// When another process uses the file, or it cannot be read or written.
pub fn open(settings: &Settings, at: Timestamp) -> Result<Opened, OpenError> {
    open_with(settings, database::in_file(settings.path.clone()), at)
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
    .map_err(|failure| OpenError::of(failure, path()))?;
    let gauges = Arc::new(Gauges::new(&settings.metrics, true));
    let mark = desk.book().mark();
    gauges.publish(mark.sequence, desk.book().counts(), desk.book().standing.not_accepted.as_deref(), None);
    let store = mark.store.clone();
    let inbox = Arc::new(Inbox::default());
    let no_thread = |error: io::Error| OpenError::Unusable { path: path(), source: error.into() };
    let writer = Writer {
        inbox: Arc::clone(&inbox),
        desk: Some(desk),
        reader: Reader::start().map_err(no_thread)?,
        open_database,
        retention_days,
        retry: settings.retry,
        gauges: Arc::clone(&gauges),
        mark,
        owed: Vec::new(),
        retry_at: Instant::now(),
        next_at: Instant::now(),
    };
    let keeper = thread::Builder::new().name("ledger".into()).spawn(move || writer.run()).map_err(no_thread)?;
    let (max_queue, keeper) = (settings.max_queue, Mutex::new(Some(keeper)));
    let shared = Shared { inbox, gauges, store, is_shared: false, max_queue, keeper };
    Ok(Opened { ledger: Ledger(Arc::new(shared)), recovered, settled, is_new })
}

impl OpenError {
    /// Why a file could not be opened.
    pub(super) fn of(failure: Failure, path: PathBuf) -> Self {
        match failure {
            Failure::Disk(error) if matches!(*error, redb::Error::DatabaseAlreadyOpen) => Self::InUse { path },
            Failure::Disk(_) | Failure::Damage(_) | Failure::Format(_) | Failure::Replaced | Failure::Panic => {
                Self::Unusable { path, source: failure.into() }
            }
        }
    }
}
