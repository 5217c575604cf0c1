//! A worker's connections to the application: kept between requests, bounded, and never shared in mid-message (HTP-02).
//!
//! No lock is contended: a pool belongs to one worker. A connection goes back only after a whole exchange; whatever else
//! happens to a `Lease`, the connection ends with it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::body::RequestBody;
use super::stream::BankStream;
use super::{Server, Settings};
use crate::refusal::Refusal;

/// The pool of one worker under one configuration.
#[derive(Debug)]
pub struct Pool {
    settings: Arc<Settings>,
    servers: Vec<ServerState>,
    permits: Arc<Semaphore>,
    turn: AtomicUsize,
    open: IntGauge,
}

#[derive(Debug, Default)]
struct ServerState {
    idle: Mutex<Vec<Idle>>,
    down_until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection and the task that drives it; the task ends with the value.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<RequestBody>,
    answers_due: Overdue,
    task: AbortHandle,
    open: IntGauge,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
        self.open.dec();
    }
}

/// A connection in use.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    connection: Connection,
    server: usize,
    is_reused: bool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// An empty pool.
    pub fn new(settings: Arc<Settings>, open: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            servers: settings.servers.iter().map(|_| ServerState::default()).collect(),
            permits: Arc::new(Semaphore::new(settings.max_connections)),
            turn: AtomicUsize::new(0),
            settings,
            open,
        })
    }

    /// What the pool was made from.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes a connection: the one used last, else a new one. A server that refuses is marked down for a while and the
    /// next is tried; the only server is never marked down.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease, Refusal> {
        let permit = self.permit().await?;
        for server in self.servers_in_turn() {
            let (connection, is_reused) = match self.reuse(server).await {
                Some(connection) => (connection, true),
                // Rare, and large where TLS is spoken: on the heap, so that the common request carries no room for it.
                None => match Box::pin(self.open(server)).await {
                    Ok(connection) => (connection, false),
                    Err(_) if self.servers.len() > 1 => {
                        let until = Instant::now() + self.settings.down_time;
                        *lock(&self.servers[server].down_until) = Some(until);
                        continue;
                    }
                    Err(refusal) => return Err(refusal),
                },
            };
            return Ok(Lease { pool: Arc::clone(self), connection, server, is_reused, _permit: permit });
        }
        Err(Refusal::UpstreamUnreachable)
    }

    /// The right to use one connection. Who waits longer than a connect may take is told so.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        match tokio::time::timeout(self.settings.connect_timeout, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refusal::UpstreamBusy),
        }
    }

    /// Drops what has been unused for too long. Called by the worker's sweep.
    pub fn sweep(&self) {
        let limit = self.settings.idle_timeout;
        for server in &self.servers {
            lock(&server.idle).retain(|idle| idle.since.elapsed() < limit && !idle.connection.sender.is_closed());
        }
    }

    /// Those that are up, round robin; where none is, all of them.
    fn servers_in_turn(&self) -> Vec<usize> {
        let count = self.servers.len();
        if count == 1 {
            return vec![0];
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let all: Vec<usize> = (0..count).map(|offset| (first + offset) % count).collect();
        let now = Instant::now();
        let is_up = |server: &usize| lock(&self.servers[*server].down_until).is_none_or(|until| until <= now);
        let up: Vec<usize> = all.iter().copied().filter(is_up).collect();
        if up.is_empty() { all } else { up }
    }

    async fn reuse(&self, server: usize) -> Option<Connection> {
        loop {
            let idle = lock(&self.servers[server].idle).pop()?;
            let mut connection = idle.connection;
            if idle.since.elapsed() >= self.settings.idle_timeout || connection.sender.is_closed() {
                continue;
            }
            if connection.sender.is_ready() {
                return Some(connection);
            }
            // Its last answer has just ended and its task has not run since. It is not waited for long.
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE_TIME, connection.sender.ready()).await {
                return Some(connection);
            }
        }
    }

    async fn open(&self, server: usize) -> Result<Connection, Refusal> {
        let target: &Server = &self.settings.servers[server];
        let unreachable = |error: &dyn std::fmt::Display| {
            tracing::warn!(server = %target.authority, %error, "the application cannot be reached");
            Refusal::UpstreamUnreachable
        };
        let connecting = BankStream::connect(target);
        let stream = match tokio::time::timeout(self.settings.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => return Err(unreachable(&"connect-timeout passed")),
        };
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(self.settings.title_case_headers)
            // Most requests are one small head: a plain write costs the kernel less than a vector of one.
            .writev(false)
            .max_header_size(self.settings.max_header_bytes)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&error))?;
        let task = tokio::spawn(async move {
            // Its errors reach whoever waits for the answer.
            let _ = connection.await;
        });
        self.open.inc();
        Ok(Connection { sender, answers_due: Overdue::default(), task: task.abort_handle(), open: self.open.clone() })
    }
}

/// A timer that is set once and then only looked at: almost every answer comes in time, and setting a timer for each
/// would cost more than the look. It fires at the deadline of an earlier answer, and is set anew only then.
#[derive(Debug, Default)]
pub(super) struct Overdue(Option<Pin<Box<Sleep>>>);

impl Overdue {
    /// Whether `deadline` has passed; wakes the task when it does. Deadlines of one connection never go back.
    pub fn is_past(&mut self, deadline: tokio::time::Instant, cx: &mut Context<'_>) -> bool {
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline);
        }
        false
    }
}

/// How long a connection may take to settle after its last answer ended.
const SETTLE_TIME: Duration = Duration::from_millis(50);

impl Lease {
    pub fn sender(&mut self) -> &mut SendRequest<RequestBody> {
        &mut self.connection.sender
    }

    /// The connection's timer for answers.
    pub fn answers_due(&mut self) -> &mut Overdue {
        &mut self.connection.answers_due
    }

    /// Which of the pool's servers it leads to.
    pub fn server_number(&self) -> usize {
        self.server
    }

    pub fn server(&self) -> &Server {
        &self.pool.settings.servers[self.server]
    }

    /// Whether the connection had served another request before.
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Gives the connection back after a whole exchange.
    pub fn give_back(self) {
        let idle = Idle { connection: self.connection, since: Instant::now() };
        lock(&self.pool.servers[self.server].idle).push(idle);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
