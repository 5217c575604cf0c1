//! What is opened once for money, and never on a reload: the ledger and the audit log.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Config;
use crate::domain::Clock;
use crate::operator::audit::{self, Action, Audit, OpenError, Record, StoreMark, ToldLast, TransferState};
use crate::operator::metrics::Metrics;
use crate::policy::activity::Activity;
use crate::policy::alarms;
use crate::policy::limit_notice::Shown;
use crate::policy::reserve::Treasury;
use crate::store::ledger::{Known, Mark, State, StoreError, Transfer};
use crate::store::{self, Ledger, Opened, embedded, redis};

/// Why money cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MoneyError {
    /// The audit log.
    #[error("the audit log: {0}")]
    Audit(#[from] OpenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] embedded::OpenError),
    /// The store that is shared.
    #[error(transparent)]
    Shared(#[from] redis::OpenError),
    /// The store was opened, and then did not answer.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// A directory cannot be made.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// The ledger, where a configuration has transfers, and the audit log.
#[derive(Debug, Clone)]
pub(super) struct Money {
    pub ledger: Option<Ledger>,
    pub audit: Audit,
    /// What alarms go by.
    memory: Arc<alarms::Memory>,
    /// Who was told today that the own limit is above the ceiling.
    shown: Arc<Shown>,
}

impl Money {
    /// Opens both. What was reserved when the last process ended is unknown now, and told (LIM-15), and so is what that
    /// process settled and could not tell any more. A store that the audit log knew to have come further, or does not know,
    /// waits for an operator (LIM-41).
    pub fn open(config: &Config, metrics: &Arc<Metrics>, clock: &Arc<dyn Clock>) -> Result<Self, MoneyError> {
        let audit = match &config.audit {
            Some(settings) => {
                make_directory_of(&settings.file)?;
                Audit::open(settings, Some(config.digest), Arc::clone(clock), &metrics.audit)?
            }
            None => Audit::off(),
        };
        if config.transfer.is_none() {
            return Ok(Self { ledger: None, audit, memory: Arc::default(), shown: Arc::default() });
        }
        let told = config.audit.as_ref().map(|settings| ToldLast::read(&settings.file)).transpose()?.flatten();
        let known = match (&config.audit, audit.last_store()) {
            (None, _) => Known::NoLog,
            (Some(_), None) => Known::Nothing,
            (Some(_), Some(mark)) => Known::Store(Mark { store: Arc::clone(&mark.id), sequence: mark.sequence }),
        };
        let settled_since = told.as_ref().map(ToldLast::since);
        let Opened { ledger, recovered, settled, .. } = open_store(config, metrics, clock, &known, settled_since)?;
        compare(&ledger, &known)?;
        if let Some(reason) = ledger.awaits_acceptance() {
            tracing::error!(%reason, "the store waits for an operator to accept it: no money moves");
        }
        for transfer in &settled {
            if told.as_ref().is_some_and(|told| !told.names(&transfer.id.to_string(), state_of(transfer))) {
                tracing::warn!(id = %transfer.id, "a transfer was settled and not told before the gateway ended");
                tell(transfer, audit::RESTART, &ledger, &audit);
            }
        }
        for transfer in &recovered {
            tracing::warn!(id = %transfer.id, "a transfer was under way when the gateway ended; its outcome is unknown");
            metrics.count_transfer(transfer.state.word(), transfer.amount);
            tell(transfer, audit::GATEWAY_ENDED, &ledger, &audit);
        }
        ledger.tell_marks(&audit);
        // Before the first customer comes. Where the disk refuses, the log is not writable and has told why.
        let _ = audit.flush();
        Ok(Self { ledger: Some(ledger), audit, memory: Arc::default(), shown: Arc::default() })
    }

    /// Writes what is left, and closes the store: nothing more can be reserved.
    pub fn close(&self) {
        if let Some(ledger) = &self.ledger
            && let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build()
        {
            runtime.block_on(ledger.close());
        }
        if let Err(unwritten) = self.audit.flush() {
            tracing::error!(%unwritten, "the end of the audit log is lost");
        }
    }

    /// Who asks the ledger by the rules of a configuration.
    pub fn treasury(&self, config: &Config, metrics: &Arc<Metrics>, clock: &Arc<dyn Clock>) -> Option<Arc<Treasury>> {
        let (ledger, transfer) = self.ledger.as_ref().zip(config.transfer.as_ref())?;
        Some(Arc::new(Treasury {
            settings: transfer.ceiling.clone(),
            ledger: ledger.clone(),
            audit: self.audit.clone(),
            metrics: Arc::clone(metrics),
            clock: Arc::clone(clock),
            alarms: transfer.alarms.clone(),
            memory: Arc::clone(&self.memory),
            limit_screen: transfer.limit_screen.clone(),
            shown: Arc::clone(&self.shown),
            activity: Activity::of(config.routes.iter()),
        }))
    }
}

/// Opens the store.
fn open_store(
    config: &Config,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
    known: &Known,
    settled_since: Option<Timestamp>,
) -> Result<Opened, MoneyError> {
    match &config.store {
        store::Settings::Embedded { path, retention_days } => {
            make_directory_of(path)?;
            let settings = embedded::Settings {
                retention_days: *retention_days,
                settled_since,
                ..embedded::Settings::new(path.clone(), Arc::clone(metrics))
            };
            Ok(embedded::open(&settings, clock.now())?)
        }
        store::Settings::Redis(settings) => {
            make_directory_of(&settings.journal)?;
            let tolerance = config.transfer.as_ref().map(|transfer| transfer.ceiling.backend_clock_skew);
            let usual = redis::Surroundings::new(Arc::clone(metrics), Arc::clone(clock));
            let around = redis::Surroundings {
                clock_tolerance: tolerance.unwrap_or(usual.clock_tolerance),
                known: known.clone(),
                settled_since,
                ..usual
            };
            Ok(redis::open(settings, around, clock.now())?)
        }
    }
}

/// Whether the store is the one that the audit log knows, and no older.
fn compare(ledger: &Ledger, known: &Known) -> Result<(), StoreError> {
    let Some(reason) = known.doubts(&ledger.mark()) else { return Ok(()) };
    // Opening happens outside of any runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    runtime.block_on(ledger.require_acceptance(reason))
}

/// Tells how a transfer of an earlier process stands.
fn tell(transfer: &Transfer, why: &'static str, ledger: &Ledger, audit: &Audit) {
    // A store that waits to be accepted must not become the one that the audit log knows.
    let mark = ledger.awaits_acceptance().is_none().then(|| ledger.mark());
    audit.record(Record {
        reason: Some(why.into()),
        login_id: Some(transfer.login_id.clone()),
        contract: Some(transfer.contract.clone()),
        route: Some(transfer.route.as_str().into()),
        amount: Some(transfer.amount),
        transfer: Some(transfer.id.to_string().into()),
        store: mark.map(|mark| StoreMark { id: mark.store, sequence: mark.sequence }),
        ..Record::new(Action::Transfer(state_of(transfer)))
    });
}

/// The word for it in the audit log.
const fn state_of(transfer: &Transfer) -> TransferState {
    match transfer.state {
        State::Reserved => TransferState::Reserved,
        State::Committed => TransferState::Committed,
        State::Released => TransferState::Released,
        State::Unknown => TransferState::Unknown,
    }
}

fn make_directory_of(file: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory),
        None => Ok(()),
    }
}
