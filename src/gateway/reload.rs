//! Reload: build everything new, check it, then swap once. A bad file keeps the old state and says so.
//!
//! Revocation lists have a way of their own: a list that became newer is installed even while somebody has left a mistake
//! in the configuration, because a revocation cannot wait for that.

use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, TryLockError};

use super::{Shared, bind, rules_of};
use crate::config::{Config, Mistakes, Process};
use crate::connection::listener::Entrances;
use crate::connection::trust::{self, ListOutcome, ListReport, Trust};
use crate::operator::audit::{Action, Outcome, Record, Rotation};
use crate::operator::metrics::Metrics;

/// What a reload did, in one line.
#[derive(Debug)]
pub struct Reloaded {
    listeners: usize,
    revoked: usize,
    defects: Vec<String>,
    audit: Option<String>,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reloaded: {} listeners, {} revoked certificates", self.listeners, self.revoked)?;
        for defect in &self.defects {
            write!(f, "\nkept the last good list: {defect}")?;
        }
        if let Some(audit) = &self.audit {
            write!(f, "\n{audit}")?;
        }
        Ok(())
    }
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// CAs and lists do not add up.
    #[error("{}", super::TrustMistakes(.0))]
    Trust(Vec<trust::Mistake>),
    /// A key that only a restart can change was changed.
    #[error("{0} cannot change while the gateway runs; restart it")]
    NeedsRestart(&'static str),
    /// rustls refuses a certificate or key.
    #[error("a listener's TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// There is no key to sign with.
    #[error("assertion.keys: there is no key to sign with")]
    NoSigningKey,
    /// The state directory cannot be used.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Shared {
    /// Reads everything anew. The audit log goes on in a new file where the old one was moved away, whatever comes of the
    /// rest: whoever moved it counts on that.
    pub(super) fn reload(&self) -> Result<Reloaded, ReloadError> {
        let audit = self.rotate_audit();
        let mut result = self.reload_all();
        match &mut result {
            Ok(reloaded) => {
                reloaded.audit = audit;
                self.metrics.config_reloads.with_label_values(&["ok"]).inc();
                tracing::info!("{reloaded}");
            }
            Err(error) => {
                self.metrics.config_reloads.with_label_values(&["rejected"]).inc();
                tracing::error!("the reload is rejected, the old state stays: {error}");
                let (reason, outcome) = (Some("rejected".into()), Outcome::Failure);
                self.money.audit.record(Record { reason, outcome, ..Record::new(Action::Reloaded) });
            }
        }
        result
    }

    /// What came of it, where there is something to tell.
    fn rotate_audit(&self) -> Option<String> {
        match self.money.audit.reopen() {
            Ok(Rotation::Unmoved) => None,
            Ok(Rotation::Began) => {
                tracing::info!("the audit log goes on in a new file");
                Some("the audit log goes on in a new file".to_owned())
            }
            Err(error) => {
                tracing::error!(%error, "the audit log goes on in the old file");
                Some(format!("the audit log goes on in the old file: {error}"))
            }
        }
    }

    fn reload_all(&self) -> Result<Reloaded, ReloadError> {
        let mut running = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut config = (self.reloader)().map_err(ReloadError::Mistakes)?;
        bind::fit_to_file_descriptors(&mut config.limits);
        refuse_what_needs_a_restart(&running, &config)?;
        let archive = archive_of(&config.process)?;
        let (trust, reports) = self
            .trust
            .load()
            .renew(&config.trust, config.identity.clone(), &archive, &*self.clock)
            .map_err(ReloadError::Trust)?;
        let entrances = Entrances::new(&config.listeners, &config.limits, &self.trust, &trust, &self.clock)?;
        let before = self.rules.load();
        let rules = rules_of(&config, &self.money, (&self.metrics, self.buckets.as_ref()), &self.clock, Some(&before));
        let rules = rules.ok_or(ReloadError::NoSigningKey)?;
        report_lists(&reports, &trust, &self.metrics);
        let reloaded = Reloaded {
            listeners: config.listeners.len(),
            revoked: trust.revoked_count(),
            audit: None,
            defects: reports.iter().filter(|report| report.outcome.is_defect()).map(ToString::to_string).collect(),
        };
        // Trust first: whoever meets the new listeners is judged by the new trust.
        self.trust.store(Arc::new(trust));
        let previous = self.entrances.swap(Arc::new(entrances));
        previous.give_way_to(&self.entrances.load());
        self.rules.store(Arc::new(rules));
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        self.money.audit.record(Record { configuration: Some(config.digest), ..Record::new(Action::Reloaded) });
        *running = config;
        Ok(reloaded)
    }

    /// Reads the revocation lists anew, with the sources of the running configuration.
    pub(super) fn reload_lists(&self) {
        let running = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let archive = archive_in(&running.process);
        let (trust, reports) = self.trust.load().with_lists(&running.trust.crl_sources, &archive, &*self.clock);
        report_lists(&reports, &trust, &self.metrics);
        self.trust.store(Arc::new(trust));
    }

    /// Looks at what the running state was made from; `None` while a reload is under way.
    pub(super) fn with_config<T>(&self, look: impl FnOnce(&Config) -> T) -> Option<T> {
        match self.config.try_lock() {
            Ok(running) => Some(look(&running)),
            Err(TryLockError::Poisoned(poisoned)) => Some(look(&poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Where accepted lists are kept, made if need be and closed to others.
pub(super) fn archive_of(settings: &Process) -> io::Result<PathBuf> {
    let archive = archive_in(settings);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&archive)?;
    Ok(archive)
}

/// The same, made or not: a state directory that cannot be used must not keep a revocation from being installed.
fn archive_in(settings: &Process) -> PathBuf {
    settings.state_directory.join("lists")
}

/// Tells logs and metrics what came of each list.
pub(super) fn report_lists(reports: &[ListReport], trust: &Trust, metrics: &Metrics) {
    for report in reports {
        if report.outcome.is_defect() {
            metrics.crl_loads.with_label_values(&["rejected"]).inc();
            tracing::error!("{report}; the last good list stays in force");
        } else if let ListOutcome::Accepted { .. } = report.outcome {
            metrics.crl_loads.with_label_values(&["ok"]).inc();
            tracing::info!("{report}");
        }
    }
    metrics.crl_entries.set(i64::try_from(trust.revoked_count()).unwrap_or(i64::MAX));
    metrics.crl_next_update.set(trust.next_update().unwrap_or(0));
}

fn refuse_what_needs_a_restart(running: &Config, new: &Config) -> Result<(), ReloadError> {
    let places = |config: &Config| -> Vec<_> {
        config.listeners.iter().map(|listener| (Arc::clone(&listener.name), listener.address)).collect()
    };
    let max_sessions = |config: &Config| config.session.as_ref().map(|session| session.max_sessions);
    let same_sessions = max_sessions(running).zip(max_sessions(new)).is_none_or(|(running, new)| running == new);
    let rules = [
        (running.process == new.process, "workers, state-directory or drain-timeout"),
        (places(running) == places(new), "the listeners' names and addresses"),
        (running.operator == new.operator, "[operator]"),
        (running.store == new.store, "[store]"),
        (running.audit == new.audit, "[audit]"),
        (running.transfer.is_some() == new.transfer.is_some(), "whether there is [transfer]"),
        (same_sessions, "session.max-sessions"),
        (running.limits.max_handshakes == new.limits.max_handshakes, "limits.max-handshakes"),
    ];
    match rules.into_iter().find(|(same, _)| !same) {
        Some((_, what)) => Err(ReloadError::NeedsRestart(what)),
        None => Ok(()),
    }
}
