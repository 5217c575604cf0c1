//! A worker's connections to the application: kept between requests, bounded, and never shared in mid-message (HTP-02).
//!
//! No lock is contended: a pool belongs to one worker. A connection goes back only after a whole exchange; whatever else
//! happens to a `Lease`, the connection ends with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::exchange::Failure;
use super::stream::BankStream;
use super::{Server, Settings};
use crate::operator::metrics::Metrics;
use crate::refusal::Refusal;

/// The pool of one worker under one configuration.
#[derive(Debug)]
pub struct Pool {
    settings: Arc<Settings>,
    servers: Vec<ServerState>,
    permits: Arc<Semaphore>,
    turn: AtomicUsize,
    /// The last sweep.
    swept: Mutex<Instant>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct ServerState {
    idle: Mutex<Vec<Idle>>,
    down_until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    /// As of the sweep before: what is kept for seconds needs no clock of its own.
    since: Instant,
}

/// A connection in use.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    /// On the heap, because a lease moves through every step of an exchange.
    connection: Box<Connection>,
    server: usize,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// An empty pool.
    pub fn new(settings: Arc<Settings>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            servers: settings.servers.iter().map(|_| ServerState::default()).collect(),
            permits: Arc::new(Semaphore::new(settings.max_connections)),
            turn: AtomicUsize::new(0),
            swept: Mutex::new(Instant::now()),
            settings,
            metrics,
        })
    }

    /// What the pool was made from.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes a connection: the one used last, else a new one. A server that refuses is marked down for a while and the
    /// next is tried; the only server is never marked down.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease, Refusal> {
        let turn = if self.servers.len() == 1 { 0 } else { self.turn.fetch_add(1, Ordering::Relaxed) };
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let server = self.servers_from(turn).next().unwrap_or_default();
            return match self.reuse(server) {
                Some(connection) => Ok(self.lease(connection, server, permit)),
                // Rare, and large where TLS is spoken: on the heap, so that the common request carries no room for it.
                None => Box::pin(self.open_one(turn, permit)).await,
            };
        }
        // Who waits longer than a connect may take is told so.
        let waiting = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.settings.connect_timeout, waiting).await {
            Ok(Ok(permit)) => Box::pin(self.open_one(turn, permit)).await,
            Ok(Err(_)) | Err(_) => Err(Refusal::UpstreamBusy),
        }
    }

    /// A connection to the first server that has one or takes one.
    async fn open_one(self: &Arc<Self>, turn: usize, permit: OwnedSemaphorePermit) -> Result<Lease, Refusal> {
        let servers: Vec<usize> = self.servers_from(turn).collect();
        for server in servers {
            let connection = match self.reuse(server) {
                Some(connection) => connection,
                None => match self.open(server).await {
                    Ok(connection) => connection,
                    Err(_) if self.servers.len() > 1 => {
                        let until = Instant::now() + self.settings.down_time;
                        *lock(&self.servers[server].down_until) = Some(until);
                        continue;
                    }
                    Err(refusal) => return Err(refusal),
                },
            };
            return Ok(self.lease(connection, server, permit));
        }
        Err(Refusal::UpstreamUnreachable)
    }

    fn lease(self: &Arc<Self>, connection: Box<Connection>, server: usize, permit: OwnedSemaphorePermit) -> Lease {
        Lease { pool: Arc::clone(self), connection, server, _permit: permit }
    }

    /// Drops what has been unused for too long, and what the application has closed. Called by the worker's sweep.
    pub fn sweep(&self) {
        let limit = self.settings.idle_timeout;
        *lock(&self.swept) = Instant::now();
        for server in &self.servers {
            lock(&server.idle).retain_mut(|idle| idle.since.elapsed() < limit && idle.connection.is_quiet());
        }
    }

    /// Those that are up, round robin; where none is, all of them.
    fn servers_from(&self, turn: usize) -> impl Iterator<Item = usize> {
        let count = self.servers.len();
        let now = (count > 1).then(Instant::now);
        let is_up = move |server: &usize| {
            now.is_none_or(|now| lock(&self.servers[*server].down_until).is_none_or(|until| until <= now))
        };
        let none_is_up = !(0..count).any(|server| is_up(&server));
        (0..count).map(move |offset| (turn % count + offset) % count).filter(move |server| none_is_up || is_up(server))
    }

    fn reuse(&self, server: usize) -> Option<Box<Connection>> {
        let mut idle = lock(&self.servers[server].idle);
        while let Some(Idle { mut connection, .. }) = idle.pop() {
            // What is too old, the sweep takes away.
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    async fn open(&self, server: usize) -> Result<Box<Connection>, Refusal> {
        let target: &Server = &self.settings.servers[server];
        let unreachable = |error: &dyn std::fmt::Display| {
            tracing::warn!(server = %target.authority, %error, "the application cannot be reached");
            Refusal::UpstreamUnreachable
        };
        match tokio::time::timeout(self.settings.connect_timeout, BankStream::connect(target)).await {
            Ok(Ok(stream)) => Ok(Box::new(Connection::new(stream, self.metrics.upstream_connections.clone()))),
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_) => Err(unreachable(&"connect-timeout passed")),
        }
    }
}

impl Lease {
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub fn settings(&self) -> &Settings {
        &self.pool.settings
    }

    pub fn server(&self) -> &Server {
        &self.pool.settings.servers[self.server]
    }

    /// Gives the connection back after a whole exchange.
    pub fn give_back(self) {
        let mut connection = self.connection;
        connection.rest();
        lock(&self.pool.servers[self.server].idle).push(Idle { connection, since: *lock(&self.pool.swept) });
    }

    /// Counts and tells a failure of the application; a client's failure is the client's.
    pub fn count(&self, failure: &Failure) {
        let kind = match failure {
            Failure::ClientStalled | Failure::ClientExceeds | Failure::ClientBroke => return,
            Failure::TooSlow => "timeout",
            Failure::Io(_) | Failure::Closed | Failure::Malformed(_) => "broken",
        };
        tracing::warn!(server = %self.server().authority, error = %failure, "the application did not answer as it should");
        self.pool.metrics.upstream_errors.with_label_values(&[kind]).inc();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
