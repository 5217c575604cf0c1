//! The ledger in Redis, shared by several gateways (OPS-12), with a journal on the disk of each (LIM-24).
//!
//! ```text
//!                ┌─ one pipeline    link, call, answer; the rules are in script/*.lua
//! inbox ─▶ clerk ─ one fdatasync   journal
//!                └─ answer everybody
//! ```
//!
//! **One slot.** All keys share one hash tag. Sums belong to login IDs and are added per contract when deciding
//! (LIM-36), and a login ID may move from one contract to another: with a slot per contract no script could see both.
//! On a cluster one primary serves the ledger, and a failover moves it; one primary decides far more orders than a
//! bank has.
//!
//! **Redis may forget.** Replication is asynchronous, disks are replaced, somebody types `FLUSHALL`. So the store has an
//! *epoch*: its life between two losses. Each call names the epoch that the gateway knows, and the script refuses it
//! unless that is the store's, the server is the very process that the epoch began with, in the same role, and the
//! sequence has not gone back. Then the first who sees it begins the next epoch, in which money stands still until
//! every member of the fleet has replayed its journal and said so (LIM-39). Who must come is known from Redis, and where
//! Redis knows nothing, from the journals: a new member begins an epoch too, so that nobody moves money before
//! everybody else has noted that it exists. An empty Redis waits a little besides, for those that no journal names.
//! A gateway that will not come back is written off by an operator.
//!
//! What this makes of common acts: a restart of Redis, a failover, its first replica, a moved slot or a new gateway stop
//! money for about a second, as long as all gateways run. A gateway that is down at such a moment stops it until it
//! is back or written off; otherwise the others go on without it.
//!
//! **Order of things.** Redis grants, then the journal is written, then (where `replicas` is set) replicas have it, and
//! only then the caller hears of it. A process that dies in between leaves a reservation that nobody forwarded; it is
//! owned by that gateway, which makes it unknown when it comes back. Nobody else touches it.
//!
//! **Clocks.** The gateways' clocks decide which day it is; one that differs from the server's decides nothing (`clock`).
//!
//! Deliberately absent: expiry of anything that counts, a day that the server's clock decides, a retry that nobody sees.
//!
//! Beside the ledger, and apart from all of it, lie the buckets of shared rate limits: see `rates`; who is shut out: see `blocks`;
//! and who the customers are: see `registry`.

mod answer;
mod blocks;
mod call;
mod clerk;
mod clock;
mod fleet;
mod heard;
mod journal;
mod link;
mod rates;
mod registry;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use tokio::runtime;
use tokio::time::Instant;

pub use self::blocks::{LiftError, SharedBlocks};
use self::call::Caller;
use self::clerk::{Clerk, Habits};
use self::journal::{Change, Journal};
use self::link::Way;
pub use self::rates::{Courier, SharedBucket, SharedBuckets, Taken};
pub use self::registry::SharedRegistry;
pub(in crate::store) use self::registry::{CUSTOMERS_PATIENCE, OPERATORS_PATIENCE};
use super::embedded;
use super::gauges::Gauges;
use super::inbox::Inbox;
use super::ledger::{Counts, Known, LEAST_RETENTION_DAYS};
use super::{Ledger, Opened, Shared};
use crate::domain::Clock;
use crate::operator::metrics::Metrics;
use crate::store::database::{self, OpenDatabase};

/// A server's place in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What Redis knows us by. It stands in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The content of a file.
    pub fn new(password: String) -> Self {
        Self(password)
    }

    /// To be sent to Redis, and nowhere else.
    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `[store]` of kind `redis`, as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Tried in this order: the first that is a primary, or names the one that holds our keys.
    pub servers: Vec<Server>,
    /// The CAs that may vouch for them; without any, nothing is encrypted.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// The name to log in with, where that is not `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Password>,
    /// The file of the journal.
    pub journal: PathBuf,
    /// What all keys begin with, in braces: one institution's.
    pub prefix: String,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// How many replicas must have a reservation before it is granted (LIM-39).
    pub replicas: u32,
    /// For how many days settled transfers and sums are kept, at least 40.
    pub retention_days: u16,
}

/// What surrounds a ledger in Redis.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// What the ledger shows.
    pub metrics: Arc<Metrics>,
    /// The gateway's clock.
    pub clock: Arc<dyn Clock>,
    /// How far the clock of Redis may be from it before money is refused (LIM-22).
    pub clock_tolerance: Duration,
    /// What the audit log knows of the journal; one that has not come so far waits for an operator (LIM-41).
    pub known: Known,
    /// What the journal knows to be settled from then on is told at the start.
    pub settled_since: Option<Timestamp>,
    /// How many may wait; who comes then is refused at once.
    pub max_queue: usize,
    /// How long to wait before Redis is asked again after a failure.
    pub retry: Duration,
    /// How often the gateway looks whether the store is still what it was, and who else shares it.
    pub look: Duration,
    /// How long an empty Redis waits for gateways that no journal names: several times `look`.
    pub grace: Duration,
}

impl Surroundings {
    /// The usual ones.
    pub fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self {
            metrics,
            clock,
            clock_tolerance: Duration::from_secs(5),
            known: Known::NoLog,
            settled_since: None,
            max_queue: 4096,
            retry: Duration::from_secs(1),
            look: Duration::from_secs(1),
            grace: Duration::from_secs(4),
        }
    }
}

/// Why the ledger cannot be opened. A Redis that is away is no reason: money waits for it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its journal cannot.
    #[error(transparent)]
    Journal(#[from] embedded::OpenError),
    /// The CAs cannot be used.
    #[error("the store's ca: {0}")]
    Tls(String),
    /// The system refuses a thread.
    #[error("the ledger's thread: {0}")]
    Thread(#[from] io::Error),
}

/// Opens the journal, and asks Redis once. If it does not take part, the ledger waits for it.
///
/// # Errors
/// When another process uses the journal, or it cannot be read or written.
pub fn open(settings: &Settings, around: Surroundings, at: Timestamp) -> Result<Opened, OpenError> {
    open_with(settings, around, database::in_file(settings.journal.clone()), at)
}

fn open_with(
    settings: &Settings,
    around: Surroundings,
    open_journal: OpenDatabase,
    at: Timestamp,
) -> Result<Opened, OpenError> {
    let path = || settings.journal.clone();
    let way = Way::to_ledger(settings).map_err(|failure| OpenError::Tls(failure.to_string()))?;
    let (mut journal, found) = Journal::open(open_journal, at, around.settled_since)
        .map_err(|failure| embedded::OpenError::of(failure, path()))?;
    let journal::Found { recovered, settled, is_new } = found;
    let mark = journal.mark();
    if let Some(reason) = around.known.doubts(&mark) {
        let changes = [Change::NotAccepted(Some(reason))];
        journal.write(&changes).map_err(|failure| embedded::OpenError::of(failure, path()))?;
    }
    let gauges = Arc::new(Gauges::new(&around.metrics, false));
    gauges.publish(mark.sequence, Counts::default(), journal.not_accepted(), None);
    let inbox = Arc::new(Inbox::default());
    let max_queue = around.max_queue;
    let clerk = Clerk {
        inbox: Arc::clone(&inbox),
        way,
        journal,
        gauges: Arc::clone(&gauges),
        caller: Caller {
            member: mark.store.to_string(),
            process: uuid::Uuid::now_v7().simple().to_string(),
            ..Caller::default()
        },
        link: None,
        is_open: false,
        left_behind: Some(recovered),
        members: Vec::new(),
        carried: Vec::new(),
        unwritten: Vec::new(),
        pruned: None,
        next_look: Instant::now(),
        habits: Habits {
            replicas: settings.replicas,
            retention_days: i32::from(settings.retention_days.max(LEAST_RETENTION_DAYS)),
            retry: around.retry,
            look: around.look,
            grace: around.grace,
            clock: around.clock,
            clock_tolerance: around.clock_tolerance,
            metrics: around.metrics,
        },
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (begun, first) = mpsc::channel();
    let keeper = thread::Builder::new().name("ledger".into()).spawn(move || runtime.block_on(clerk.run(at, begun)))?;
    // A clerk that has gone tells nothing, and every call says that its writer has ended.
    let recovered = first.recv().unwrap_or_default();
    let keeper = Mutex::new(Some(keeper));
    let shared = Shared { inbox, gauges, store: mark.store, is_shared: true, max_queue, keeper };
    Ok(Opened { ledger: Ledger(Arc::new(shared)), recovered, settled, is_new })
}
