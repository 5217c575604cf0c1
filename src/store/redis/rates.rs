//! The buckets of rate limits that gateways share (RTL-01), in the Redis that has the ledger, and apart from it.
//!
//! ```text
//! requests of all workers ─ take, give back ─▶ bounded queue ─▶ courier ─ one pipeline ─ answers everybody
//! ```
//!
//! A rate limit is no money: nothing here is durable, replicated, or worth waiting for. Whoever asks is answered within
//! [`PATIENCE`], or decides alone; while Redis is away nobody waits at all. A call whose answer came too late may have
//! counted. It is never sent again.
//!
//! **Keys** share a hash slot, which is not the ledger's: a cluster may hold them elsewhere. No prefix of a ledger holds
//! the slash of theirs. They are hashes, so that neither a login ID's symbols nor its length matter, and each lives only
//! until its bucket is empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{IntCounter, IntGaugeVec};
use redis::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::call::Call;
use super::link::{Failure, Link, Way};
use super::{OpenError, Settings};
use crate::operator::metrics::Metrics;
use crate::store::ledger::EntryKey;

/// What one call does.
pub(super) const SCRIPT: &str = include_str!("script/rates.lua");

/// The longest that a request waits for a bucket; less where the store's own patience is shorter.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long to wait before Redis is asked again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Calls that may wait; who comes then decides alone.
const MAX_QUEUE: usize = 4096;

/// The most that one pipeline holds: the ledger shares the server, and must not wait behind more.
const BATCH: usize = 256;

/// What all keys begin with.
pub(super) fn prefix(settings: &Settings) -> String {
    format!("{{{}/rates}}:", settings.prefix)
}

/// A key in their slot.
pub(super) fn some_key(settings: &Settings) -> String {
    prefix(settings) + "some"
}

/// A bucket that is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedBucket {
    /// Half of a hash: enough that nobody finds two with the same.
    key: [u8; 16],
    interval: u64,
    burst: u32,
}

impl SharedBucket {
    /// The bucket of these words: a limit's name, what kind of key it has, and whose bucket it is. `interval` is in
    /// microseconds, between two requests at the steady rate.
    pub fn of(words: &[&str], interval: u64, burst: u32) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&EntryKey::of(words).as_bytes()[..16]);
        Self { key, interval, burst }
    }

    pub(super) fn call(&self, prefix: &str, verb: &str) -> Call {
        let key = prefix.to_owned() + &data_encoding::HEXLOWER.encode(&self.key);
        Call::on(key, vec![verb.to_owned(), self.interval.to_string(), self.burst.to_string()])
    }
}

/// What became of a request, at a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It conforms, and so many more would.
    Conforms(u32),
    /// It would after so many microseconds.
    Exceeds(u64),
}

/// The buckets. Copies are the same ones.
#[derive(Debug, Clone)]
pub struct SharedBuckets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Sender<Operation>,
    /// Some limit is shared: the courier may begin.
    wanted: Notify,
    is_reachable: AtomicBool,
    patience: Duration,
    fallbacks: IntCounter,
    available: IntGaugeVec,
}

#[derive(Debug)]
enum Operation {
    Take(Vec<SharedBucket>, oneshot::Sender<Vec<Taken>>),
    GiveBack(SharedBucket),
}

impl Operation {
    const fn gives_back(&self) -> bool {
        match self {
            Self::Take(..) => false,
            Self::GiveBack(_) => true,
        }
    }
}

impl SharedBuckets {
    /// The buckets in this server, and who carries to them what is asked. Nothing is connected yet.
    ///
    /// # Errors
    /// The CAs cannot be used.
    pub fn new(settings: &Settings, metrics: &Metrics) -> Result<(Self, Courier), OpenError> {
        Self::with_patience(settings, metrics, settings.response_timeout.min(PATIENCE))
    }

    /// The same, for which requests wait so long.
    pub(super) fn with_patience(
        settings: &Settings,
        metrics: &Metrics,
        patience: Duration,
    ) -> Result<(Self, Courier), OpenError> {
        let way = Way::to_rates(settings).map_err(|failure| OpenError::Tls(failure.to_string()))?;
        let (sender, queue) = channel(MAX_QUEUE);
        let shared = Arc::new(Shared {
            queue: sender,
            wanted: Notify::new(),
            is_reachable: AtomicBool::new(false),
            patience,
            fallbacks: metrics.rate_limit_fallbacks.clone(),
            available: metrics.rate_limit_store_available.clone(),
        });
        let courier = Courier { queue, way, prefix: prefix(settings), shared: Arc::clone(&shared), told: None };
        Ok((Self(shared), courier))
    }

    /// They are needed: from now on Redis is connected.
    pub fn begin(&self) {
        self.0.wanted.notify_one();
    }

    /// Takes from all of these buckets, each for itself. `None` where Redis does not answer: then the caller decides.
    pub async fn take(&self, buckets: Vec<SharedBucket>) -> Option<Vec<Taken>> {
        let taken = self.ask(buckets).await;
        if taken.is_none() {
            self.fall_back();
        }
        taken
    }

    async fn ask(&self, buckets: Vec<SharedBucket>) -> Option<Vec<Taken>> {
        if !self.0.is_reachable.load(Ordering::Relaxed) {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.0.queue.try_send(Operation::Take(buckets, reply)).ok()?;
        timeout(self.0.patience, answer).await.ok()?.ok()
    }

    /// A request under a shared limit was decided, or given back, without Redis.
    pub fn fall_back(&self) {
        self.0.fallbacks.inc();
    }

    /// Gives back what was taken from a bucket. Nobody waits for it; while Redis is away it is lost, and the customer has
    /// that much less until the bucket is empty. Tried again, one that had arrived would be given back twice.
    pub fn give_back(&self, bucket: SharedBucket) {
        if self.0.queue.try_send(Operation::GiveBack(bucket)).is_err() {
            self.fall_back();
        }
    }
}

/// The one task that speaks with Redis about rates.
pub struct Courier {
    queue: Receiver<Operation>,
    way: Way,
    prefix: String,
    shared: Arc<Shared>,
    /// What the log knows: whether Redis takes part.
    told: Option<bool>,
}

impl Courier {
    /// Carries to Redis what is asked, connecting again and again; ends with the runtime that it runs on.
    pub async fn run(mut self) {
        self.shared.wanted.notified().await;
        loop {
            let failure = match self.connect().await {
                Ok(link) => {
                    self.tell(true, "it answers");
                    self.serve(link).await
                }
                Err(failure) => failure,
            };
            self.tell(false, &failure.to_string());
            // Who waits for an answer that does not come decides at once.
            while let Ok(operation) = self.queue.try_recv() {
                self.lose(usize::from(operation.gives_back()));
            }
            sleep(RETRY).await;
        }
    }

    /// A connection on which a first bucket was taken from: what we may not do is better learned here.
    async fn connect(&self) -> Result<Link, Failure> {
        let mut link = self.way.connect().await?;
        let first = SharedBucket::of(&[], 1, 1);
        let answers = link.ask(&[first.call(&self.prefix, "take")]).await?;
        answers.into_iter().try_for_each(|answer| taken(answer).map(drop))?;
        Ok(link)
    }

    /// Says once that Redis takes part, or that it does not.
    fn tell(&mut self, is_reachable: bool, why: &str) {
        self.shared.is_reachable.store(is_reachable, Ordering::Relaxed);
        self.shared.available.with_label_values::<&str>(&[]).set(i64::from(is_reachable));
        match (is_reachable, self.told.replace(is_reachable)) {
            (true, Some(true)) | (false, Some(false)) => {}
            (true, _) => tracing::info!("rate limits are shared through Redis"),
            (false, _) => {
                tracing::warn!(why, "Redis does not take part: shared rate limits hold for each gateway alone")
            }
        }
    }

    /// Answers what is asked, until it cannot.
    async fn serve(&mut self, mut link: Link) -> Failure {
        let mut batch = Vec::new();
        loop {
            self.queue.recv_many(&mut batch, BATCH).await;
            // Whoever has decided alone has not asked.
            batch.retain(|operation| !matches!(operation, Operation::Take(_, reply) if reply.is_closed()));
            let given_back = batch.iter().filter(|operation| operation.gives_back()).count();
            if let Err(failure) = self.deliver(&mut link, batch.drain(..)).await {
                self.lose(given_back);
                return failure;
            }
        }
    }

    /// So much that was given back may not have arrived.
    fn lose(&self, given_back: usize) {
        self.shared.fallbacks.inc_by(given_back as u64);
    }

    async fn deliver(&self, link: &mut Link, batch: impl Iterator<Item = Operation>) -> Result<(), Failure> {
        let batch: Vec<Operation> = batch.collect();
        let mut calls = Vec::new();
        for operation in &batch {
            match operation {
                Operation::Take(buckets, _) => {
                    calls.extend(buckets.iter().map(|bucket| bucket.call(&self.prefix, "take")));
                }
                Operation::GiveBack(bucket) => calls.push(bucket.call(&self.prefix, "give-back")),
            }
        }
        if calls.is_empty() {
            return Ok(());
        }
        let answers = timeout(self.shared.patience, link.ask(&calls)).await.map_err(|_| Failure::TimedOut)??;
        let mut answers = answers.into_iter().map(taken);
        for operation in batch {
            match operation {
                Operation::Take(buckets, reply) => {
                    let taken: Result<Vec<Taken>, Failure> = answers.by_ref().take(buckets.len()).collect();
                    // Whoever has gone meanwhile counts.
                    drop(reply.send(taken?));
                }
                Operation::GiveBack(_) => {
                    answers.next().transpose()?;
                }
            }
        }
        Ok(())
    }
}

/// What the script says to one call.
pub(super) fn taken(answer: Value) -> Result<Taken, Failure> {
    const NONSENSE: Failure = Failure::Nonsense("not the shape that was expected");
    match answer {
        Value::Array(parts) => match parts[..] {
            [Value::Int(0), Value::Int(remaining)] => {
                u32::try_from(remaining).map(Taken::Conforms).map_err(|_| NONSENSE)
            }
            [Value::Int(wait), Value::Int(_)] => u64::try_from(wait).map(Taken::Exceeds).map_err(|_| NONSENSE),
            _ => Err(NONSENSE),
        },
        Value::ServerError(error) => Err(Failure::Refused(error.to_string())),
        _ => Err(NONSENSE),
    }
}
