//! A running gateway: bind, spawn workers, supervise, reload, drain.
//!
//! One thread and one runtime per worker, each with its own sockets (`SO_REUSEPORT`) and its own upstream pool; one more
//! for what is not on the request path: the operator address, the control socket, the watch over files.

mod bind;
mod control;
mod money;
mod reload;
mod steps;
mod watch;
mod worker;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch as signal;

use crate::config::{Config, Mistakes};
use crate::connection::census::Census;
use crate::connection::listener::Entrances;
use crate::connection::trust::{self, Books, Trust};
use crate::domain::Clock;
use crate::operator::health::View;
use crate::operator::metrics::Metrics;
use crate::pipeline::Rules;
use crate::policy::buffers::Buffers;
use crate::policy::rate_limit::RateLimits;
use crate::policy::route::{Enforcement, Route, Routes};
use crate::policy::session::{Memory, Sessions};
use crate::store;
use crate::store::RegistryActs;
use crate::store::blocks::{FileDefect, Keeper};
use crate::store::redis::{self, Courier, SharedBlocks, SharedBuckets, SharedRegistry};
use crate::store::registry::{self, Registry};
use crate::upstream::seal::Sealer;

use money::Money;
pub use money::MoneyError;
pub use reload::{ReloadError, Reloaded};

/// How to read the configuration again.
pub type Reloader = Arc<dyn Fn() -> Result<Config, Mistakes> + Send + Sync>;

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// CAs and revocation lists do not add up.
    #[error("{}", TrustMistakes(.0))]
    Trust(Vec<trust::Mistake>),
    /// An address cannot be listened on.
    #[error("{address} cannot be listened on: {error}")]
    Bind {
        /// The address, or the control socket's path.
        address: String,
        /// The system's reason.
        error: io::Error,
    },
    /// rustls refuses a certificate or key.
    #[error("a listener's TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// There is no key to sign with.
    #[error("assertion.keys: there is no key to sign with")]
    NoSigningKey,
    /// The ledger or the audit log cannot be used.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Who was shut out is not known.
    #[error(transparent)]
    Blocks(#[from] FileDefect),
    /// Who the customers are is not known.
    #[error(transparent)]
    Registry(#[from] registry::OpenError),
    /// The store of shared rate limits and blocks cannot be reached so.
    #[error(transparent)]
    SharedRates(#[from] redis::OpenError),
    /// The state directory cannot be made, or a thread cannot be started.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Two metrics share a name.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

struct TrustMistakes<'a>(&'a [trust::Mistake]);

impl fmt::Display for TrustMistakes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.0.iter().enumerate() {
            let key = match mistake.part {
                trust::Part::Ca => "trust.ca",
                trust::Part::Crl => "trust.crl",
            };
            let separator = if position == 0 { "" } else { "\n" };
            match &mistake.file {
                Some(file) => write!(f, "{separator}{key}: {}: {}", file.display(), mistake.text)?,
                None => write!(f, "{separator}{key}: {}", mistake.text)?,
            }
        }
        Ok(())
    }
}

/// How far the gateway's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    /// Nothing is accepted; requests finish.
    Draining,
    /// The workers have ended.
    Over,
}

/// What all threads share.
struct Shared {
    trust: Arc<ArcSwap<Trust>>,
    entrances: ArcSwap<Entrances>,
    rules: Arc<ArcSwap<Rules>>,
    census: Arc<Census>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    view: Arc<View>,
    money: Money,
    /// Who is shut out.
    blocks: Arc<Keeper>,
    /// Where gateways share that.
    shared_blocks: Option<Arc<SharedBlocks>>,
    /// Who the customers are.
    registry: RegistryActs,
    /// Where rate limits can be shared.
    buckets: Option<SharedBuckets>,
    /// What the running state was made from. Held while reloading, so that reloads come one after another.
    config: Mutex<Config>,
    reloader: Reloader,
}

/// A gateway that listens.
pub struct Gateway {
    shared: Arc<Shared>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    operator_address: SocketAddr,
    drain_timeout: Duration,
    stage: signal::Sender<Stage>,
    workers: Vec<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway and returns when it listens.
    ///
    /// # Errors
    /// Whatever keeps it from doing all of its work; nothing is left running then.
    pub fn start(config: Config, clock: Arc<dyn Clock>, reloader: Reloader) -> Result<Self, StartError> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let mut config = config;
        bind::fit_to_file_descriptors(&mut config.limits);
        let archive = reload::archive_of(&config.process)?;
        let metrics = Arc::new(Metrics::new(config.listeners.iter().map(|listener| &listener.name))?);
        let (blocks, shared_blocks) = open_blocks(&config, &metrics)?;
        let registry = open_registry(&config, &metrics)?;
        let books = Books { board: Arc::clone(blocks.board()), registry: Arc::clone(registry.registry()) };
        let (trust, reports) = Trust::establish(&config.trust, config.identity.clone(), &archive, &books, &*clock)
            .map_err(StartError::Trust)?;
        reload::report_lists(&reports, &trust, &metrics);
        let trust = Arc::new(ArcSwap::from_pointee(trust));
        let entrances = Entrances::new(&config.listeners, &config.limits, &trust, &trust.load(), &clock)?;
        let money = Money::open(&config, &metrics, &clock)?;
        let (buckets, courier) = shared_buckets(&config.store, &metrics)?.unzip();
        let rules = rules_of(&config, &money, (&metrics, buckets.as_ref()), &clock, None);
        let rules = rules.ok_or(StartError::NoSigningKey)?;
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let view = Arc::new(View {
            metrics: Arc::clone(&metrics),
            trust: Arc::clone(&trust),
            rules: Arc::clone(&rules),
            ledger: money.ledger.clone(),
            audit: money.audit.clone(),
            clock: Arc::clone(&clock),
            draining: AtomicBool::new(false),
        });
        let control = control::bind(&config.operator)?;
        let sockets = bind::listen(&entrances, config.process.workers)?;
        let addresses = sockets.addresses(&entrances);
        let (stage, staged) = signal::channel(Stage::Running);
        let settings = config.process.clone();
        let shared = Arc::new(Shared {
            entrances: ArcSwap::from_pointee(entrances),
            census: Arc::new(Census::default()),
            config: Mutex::new(config),
            trust,
            rules,
            metrics,
            clock,
            view,
            money,
            blocks,
            shared_blocks,
            registry,
            buckets,
            reloader,
        });
        let operator_address = control.address;
        let control = control.spawn(&shared, staged.clone(), courier)?;
        let mut gateway = Self {
            shared: Arc::clone(&shared),
            addresses,
            operator_address,
            drain_timeout: settings.drain_timeout,
            stage,
            workers: Vec::new(),
            control: Some(control),
        };
        for (number, listeners) in sockets.into_workers().into_iter().enumerate() {
            let worker = worker::spawn(number, Arc::clone(&shared), listeners, settings.drain_timeout, staged.clone())?;
            gateway.workers.push(worker);
        }
        Ok(gateway)
    }

    /// Where a listener listens; tells the port where the configuration says 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| &**name == listener).map(|(_, address)| *address)
    }

    /// Where the operator address listens.
    pub fn operator_address(&self) -> SocketAddr {
        self.operator_address
    }

    /// Reads everything anew: configuration, certificates, keys, CAs, revocation lists. All of it takes effect, or
    /// nothing does.
    ///
    /// # Errors
    /// What is wrong with the new state; the old one stays.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.shared.reload()
    }

    /// Stops accepting, lets requests finish for as long as `drain-timeout` allows, and ends.
    pub fn drain(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.view.draining.store(true, Ordering::Release);
        tracing::debug!(timeout = ?self.drain_timeout, "draining");
        // Fails only if every thread has ended already.
        let _ = self.stage.send(Stage::Draining);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a worker ended in a panic");
            }
        }
        let _ = self.stage.send(Stage::Over);
        // What was settled and told must be on the disk before this process may end.
        self.shared.money.close();
        if let Some(control) = self.control.take()
            && control.join().is_err()
        {
            tracing::error!("the control thread ended in a panic");
        }
    }
}

impl Drop for Gateway {
    /// A gateway that is let go of, also one that failed half-way to start, leaves no thread behind.
    fn drop(&mut self) {
        if self.control.is_some() {
            self.end();
        }
    }
}

/// Who is shut out, as it stands on the disk and, where gateways share it, in the store.
fn open_blocks(config: &Config, metrics: &Metrics) -> Result<(Arc<Keeper>, Option<Arc<SharedBlocks>>), StartError> {
    let open =
        |is_shared| Keeper::open(config.process.state_directory.join("blocks"), is_shared, metrics).map(Arc::new);
    match &config.store {
        store::Settings::Embedded { .. } => Ok((open(false)?, None)),
        store::Settings::Redis(settings) => {
            let keeper = open(true)?;
            let shared = SharedBlocks::open(settings, Arc::clone(&keeper))?;
            Ok((keeper, Some(Arc::new(shared))))
        }
    }
}

/// Who the customers are, as it stands on the disk and, where gateways share it, in the store.
fn open_registry(config: &Config, metrics: &Metrics) -> Result<RegistryActs, StartError> {
    let path = config.process.state_directory.join("registry.redb");
    let open = |is_shared| Registry::open(path, is_shared, metrics).map(Arc::new);
    match &config.store {
        store::Settings::Embedded { .. } => Ok(RegistryActs::new(open(false)?, None)),
        store::Settings::Redis(settings) => {
            let registry = open(true)?;
            let shared = SharedRegistry::open(settings, Arc::clone(&registry))?;
            Ok(RegistryActs::new(registry, Some(Arc::new(shared))))
        }
    }
}

/// Where several gateways can share limits, and who carries to it what is asked; nothing is connected before a limit is.
fn shared_buckets(
    settings: &store::Settings,
    metrics: &Metrics,
) -> Result<Option<(SharedBuckets, Courier)>, redis::OpenError> {
    match settings {
        store::Settings::Embedded { .. } => Ok(None),
        store::Settings::Redis(settings) => SharedBuckets::new(settings, metrics).map(Some),
    }
}

/// The rules of a configuration; `None` where there is no key to sign with. What counts goes on from the rules before.
fn rules_of(
    config: &Config,
    money: &Money,
    (metrics, buckets): (&Arc<Metrics>, Option<&SharedBuckets>),
    clock: &Arc<dyn Clock>,
    before: Option<&Rules>,
) -> Option<Rules> {
    let upstream = &config.upstream;
    let sealer = Sealer::new(config.assertion.clone(), upstream)?;
    let transfer = config.transfer.as_ref();
    let numbered =
        config.routes.iter().cloned().map(|route| Route { number: metrics.route_number(&route.name), ..route });
    let prefixes = transfer.map(|transfer| transfer.prefixes.as_slice()).unwrap_or_default();
    let enforcement = transfer.map_or(Enforcement::Enforce, |transfer| transfer.ceiling.enforcement);
    let room = (config.limits.max_inspected_bytes, config.limits.max_inspected_bytes_per_login_id);
    let known = before.map(|before| Arc::clone(&before.buffers)).filter(|known| known.are_bounded_by(room.0, room.1));
    Some(Rules {
        limits: Arc::new(config.limits.clone()),
        routes: Routes::new(numbered.collect(), prefixes, enforcement),
        rates: RateLimits::new(&config.rate_limits, metrics, buckets, before.map(|before| &before.rates)),
        buffers: known.unwrap_or_else(|| Buffers::new(room.0, room.1)),
        sessions: sessions(config, metrics, clock, before),
        treasury: money.treasury(config, metrics, clock),
        sealer: Arc::new(sealer),
        upstream: Arc::new(upstream.clone()),
        help_desk: config.help_desk.clone(),
    })
}

/// Whose sessions are whose, by the rules of a configuration; what is known of them outlives a reload.
fn sessions(
    config: &Config,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
    before: Option<&Rules>,
) -> Option<Arc<Sessions>> {
    let settings = config.session.as_ref().filter(|settings| !settings.names.is_empty())?.clone();
    let known = before.and_then(|before| before.sessions.as_ref()).map(|sessions| Arc::clone(&sessions.memory));
    let memory = known.unwrap_or_else(|| Arc::new(Memory::new(settings.max_sessions)));
    Some(Arc::new(Sessions { settings, memory, clock: Arc::clone(clock), metrics: Arc::clone(metrics) }))
}
