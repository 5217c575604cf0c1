//! A worker: accepts, greets, serves and sweeps, on one thread.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch as signal};

use super::{Shared, Stage};
use crate::connection::Visitor;
use crate::connection::handshake::{Arrival, Failure, Greeter, Kind, Outcome, deadline, say_farewell};
use crate::connection::http::{self, Ended};
use crate::connection::registrar::Registrar;
use crate::connection::roll::{Order, Roll, SWEEP};
use crate::operator::audit::{Action, Record};
use crate::operator::metrics::NO_LISTENER;
use crate::operator::quota::LogQuota;
use crate::pipeline::Pipeline;
use crate::upstream::pool::Pool;

/// A kernel that is out of descriptors or memory is given this long before the next accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After the drain's time is over, connections that were cut may take this long to end.
const LAST_CALL: Duration = Duration::from_millis(500);

struct Worker {
    shared: Arc<Shared>,
    pipeline: Arc<Pipeline>,
    greeter: Greeter,
    roll: Arc<Roll>,
    handshakes: Arc<Semaphore>,
    quota: LogQuota,
}

/// Starts a worker on sockets that listen already.
pub(super) fn spawn(
    number: usize,
    shared: Arc<Shared>,
    listeners: Vec<StdListener>,
    drain_timeout: Duration,
    stage: signal::Receiver<Stage>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        runtime.block_on(async move {
            let worker = Arc::new(Worker::new(shared));
            worker.run(listeners, drain_timeout, stage).await;
        });
    })
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        let rules = shared.rules.load_full();
        let pool = Pool::new(Arc::clone(&rules.upstream), Arc::clone(&shared.metrics));
        let pipeline = Pipeline {
            trust: Arc::clone(&shared.trust),
            rules: Arc::clone(&shared.rules),
            pool: Arc::new(ArcSwap::new(pool)),
            clock: Arc::clone(&shared.clock),
            metrics: Arc::clone(&shared.metrics),
            audit: shared.money.audit.clone(),
            registrar: Registrar {
                registry: shared.registry.clone(),
                clock: Arc::clone(&shared.clock),
                audit: shared.money.audit.clone(),
            },
            detached: Arc::default(),
        };
        Self {
            pipeline: Arc::new(pipeline),
            greeter: Greeter { trust: Arc::clone(&shared.trust), clock: Arc::clone(&shared.clock) },
            roll: Roll::new(),
            handshakes: Arc::new(Semaphore::new(rules.limits.max_handshakes)),
            quota: LogQuota::new(shared.metrics.log_lines_suppressed.clone()),
            shared,
        }
    }

    async fn run(
        self: Arc<Self>,
        listeners: Vec<StdListener>,
        drain_timeout: Duration,
        mut stage: signal::Receiver<Stage>,
    ) {
        let mut accepting = Vec::new();
        for (entrance, listener) in listeners.into_iter().enumerate() {
            match TcpListener::from_std(listener) {
                Ok(listener) => accepting.push(tokio::spawn(Arc::clone(&self).accept(entrance, listener))),
                Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
            }
        }
        let sweeping = tokio::spawn(Arc::clone(&self).sweep());
        // An error means that the gateway itself is gone: drain as well.
        let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
        for task in accepting {
            task.abort();
        }
        self.drain(drain_timeout).await;
        sweeping.abort();
    }

    async fn drain(&self, timeout: Duration) {
        let end = Instant::now() + timeout;
        while !self.is_quiet() && Instant::now() < end {
            // Again each time: a handshake that was under way may have led to a new connection.
            self.roll.order_all(Order::Finish);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let end = Instant::now() + LAST_CALL;
        while !self.is_quiet() && Instant::now() < end {
            self.roll.order_all(Order::Cut);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Nobody is here, nobody is being greeted, and no money is on its way. Who still waits for a turn has not begun and is let go.
    fn is_quiet(&self) -> bool {
        self.roll.is_empty()
            && self.pipeline.detached.load(Ordering::Acquire) == 0
            && self.handshakes.available_permits() == self.shared.rules.load().limits.max_handshakes
    }

    async fn sweep(self: Arc<Self>) {
        let mut interval = tokio::time::interval(SWEEP);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let swept = self.roll.sweep(&self.shared.trust.load(), self.shared.clock.now());
            let ended = &self.shared.metrics.connections_ended;
            ended.with_label_values(&["standing_lost"]).inc_by(swept.condemned);
            ended.with_label_values(&["overdue"]).inc_by(swept.overdue);
            self.pipeline.pool.load().sweep();
        }
    }

    async fn accept(self: Arc<Self>, entrance: usize, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    tokio::spawn(Arc::clone(&self).receive(entrance, stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One client, from its socket to its last answer.
    async fn receive(self: Arc<Self>, entrance: usize, mut stream: TcpStream, peer: SocketAddr) {
        let metrics = &self.shared.metrics;
        let limits = Arc::clone(&self.shared.rules.load().limits);
        let Some(_seat) = self.shared.census.seat(limits.max_connections) else {
            metrics.connections_rejected.with_label_values(&["limit"]).inc();
            return;
        };
        let entrances = self.shared.entrances.load_full();
        let Some(entrance) = entrances.get(entrance) else { return };
        let until = deadline(limits.handshake_timeout);
        // Without it answers would wait for the client's acknowledgement; failing to set it costs only time.
        let _ = stream.set_nodelay(true);
        let greeted = async {
            let client = self.greeter.true_client(&mut stream, peer, entrance, until).await?;
            let Some(seat) = self.shared.census.seat_for(client.ip(), limits.max_connections_per_address) else {
                return Ok(None);
            };
            let hello = self.greeter.hear(stream, until).await?;
            // The place is taken when there is a ClientHello to work on: silence costs a seat, not a place.
            let place = self.place(until).await?;
            let arrival = self.greeter.greet(hello, client, entrance, deadline(limits.handshake_timeout)).await?;
            drop(place);
            Ok(Some((arrival, seat)))
        };
        // A handshake's state is larger than that of the connection it leads to, which may idle for long: each has its own
        // place on the heap, and for no longer than it needs it.
        let greeted: Result<_, Failure> = Box::pin(greeted).await;
        match greeted {
            Ok(Some((arrival, _address_seat))) => {
                self.count_arrival(&arrival);
                let _counted = Counted::open(&metrics.connections);
                Box::pin(self.serve(arrival, limits)).await;
            }
            Ok(None) => metrics.connections_rejected.with_label_values(&["address_limit"]).inc(),
            Err(failure) => {
                let only = entrance.only_listener();
                self.count_failure(&failure, only, peer);
                if let Some(stream) = failure.farewell {
                    say_farewell(stream).await;
                }
            }
        }
    }

    /// One of this worker's places for handshakes; who asks first gets it first.
    async fn place(&self, until: tokio::time::Instant) -> Result<OwnedSemaphorePermit, Failure> {
        match tokio::time::timeout_at(until, Arc::clone(&self.handshakes).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Failure::waited_in_vain()),
        }
    }

    async fn serve(&self, arrival: Arrival, limits: Arc<crate::connection::Limits>) {
        let Arrival { visit, protocol, stream, .. } = arrival;
        let connection = self.roll.enter(Arc::new(visit), Arc::clone(&limits));
        let pipeline = Arc::clone(&self.pipeline);
        let visit = Arc::clone(connection.visit());
        let counters = self.shared.metrics.listener(visit.listener().name());
        let answer = move |request| {
            // A large future: made on the heap at once, it is not moved through every layer above.
            Box::pin(Arc::clone(&pipeline).answer(Arc::clone(&visit), Arc::clone(&counters), request))
        };
        let _off_the_roll = OffTheRoll(&connection);
        if let Err(ended) = http::serve(stream, protocol, Arc::clone(&connection), &limits, answer).await {
            let reason = match ended {
                Ended::TooLarge => "header_too_large",
                Ended::Malformed => "malformed_request",
            };
            self.shared.metrics.refusals.with_label_values(&[reason]).inc();
        }
    }

    /// Counts and records who was let in.
    fn count_arrival(&self, arrival: &Arrival) {
        let visit = &arrival.visit;
        let listener = visit.listener().name();
        let outcome = match visit.visitor() {
            Visitor::Refused(reason) => Outcome::Refused(*reason),
            Visitor::Customer(_) | Visitor::Stranger => Outcome::Ok,
        };
        self.count_handshake(listener, outcome, arrival.kind);
        let entered =
            |action| Record { client: Some(visit.client()), listener: Some(listener.into()), ..Record::new(action) };
        match visit.visitor() {
            Visitor::Customer(who) => self.shared.money.audit.record(Record {
                login_id: Some(who.login_id().clone()),
                certificate: who.certificate_serial().cloned(),
                ..entered(Action::Login)
            }),
            Visitor::Refused(reason) => self
                .shared
                .money
                .audit
                .record(Record { reason: Some(reason.word().into()), ..entered(Action::HandshakeRefused) }),
            // Who it is, the application will ask.
            Visitor::Stranger => {}
        }
    }

    fn count_failure(&self, failure: &Failure, only: Option<&str>, peer: SocketAddr) {
        let chosen = failure.listener.as_ref().map(|listener| listener.name());
        let listener = chosen.or(only).unwrap_or(NO_LISTENER);
        self.count_handshake(listener, failure.outcome, failure.kind);
        if self.quota.allows_line() {
            tracing::info!(listener, %peer, result = failure.outcome.word(), cause = %failure.cause, "handshake refused");
        }
        self.shared.money.audit.record(Record {
            reason: Some(failure.outcome.word().into()),
            client: Some(peer.ip()),
            listener: Some(listener.into()),
            ..Record::new(Action::HandshakeRefused)
        });
    }

    fn count_handshake(&self, listener: &str, outcome: Outcome, kind: Kind) {
        let kind = match kind {
            Kind::Full => "full",
            Kind::Resumed => "resumed",
        };
        self.shared.metrics.handshakes.with_label_values(&[listener, outcome.word(), kind]).inc();
    }
}

/// Counts an open connection for as long as its task lives, however that ends.
struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    fn open(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Takes a connection off the roll however its task ends.
struct OffTheRoll<'a>(&'a crate::connection::roll::OpenConnection);

impl Drop for OffTheRoll<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
