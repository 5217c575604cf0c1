//! What the one who writes lets everybody see without asking it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, IntGauge};

use crate::operator::audit::{Audit, StoreMark};
use crate::operator::metrics::Metrics;
use crate::store::ledger::{Counts, State, StoreError};

/// Written by the writer, read by all.
#[derive(Debug)]
pub(super) struct Gauges {
    available: AtomicBool,
    sequence: AtomicU64,
    reserved: AtomicU64,
    unknown: AtomicU64,
    reason: Mutex<String>,
    /// Why an operator must accept the store.
    not_accepted: Mutex<Option<Arc<str>>>,
    /// Whose the sequence is, and where it is told.
    told: OnceLock<(Arc<str>, Audit)>,
    shown_reserved: IntGauge,
    shown_unknown: IntGauge,
    shown_available: IntGauge,
    commit_seconds: Histogram,
}

impl Gauges {
    /// Of a ledger that takes part, or that has yet to begin.
    pub fn new(metrics: &Metrics, available: bool) -> Self {
        let shown = |state: State| metrics.reservations.with_label_values(&[state.word()]);
        let no_labels: &[&str] = &[];
        let gauges = Self {
            available: AtomicBool::new(available),
            sequence: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            reason: Mutex::new(String::new()),
            not_accepted: Mutex::new(None),
            told: OnceLock::new(),
            shown_reserved: shown(State::Reserved),
            shown_unknown: shown(State::Unknown),
            shown_available: metrics.ledger_available.with_label_values(no_labels),
            commit_seconds: metrics.ledger_commit_duration.with_label_values(no_labels),
        };
        gauges.shown_available.set(i64::from(available));
        gauges
    }

    /// After a transaction.
    pub fn publish(&self, sequence: u64, counts: Counts, not_accepted: Option<&str>, committed_in: Option<Duration>) {
        let before = self.sequence.swap(sequence, Ordering::AcqRel);
        self.reserved.store(counts.reserved, Ordering::Release);
        self.unknown.store(counts.unknown, Ordering::Release);
        self.publish_acceptance(not_accepted);
        self.shown_reserved.set(i64::try_from(counts.reserved).unwrap_or(i64::MAX));
        self.shown_unknown.set(i64::try_from(counts.unknown).unwrap_or(i64::MAX));
        if sequence > before && not_accepted.is_none() {
            self.tell_mark();
        }
        if let Some(duration) = committed_in {
            self.commit_seconds.observe(duration.as_secs_f64());
        }
    }

    /// From now on, tells the audit log how far the store has come, before anybody hears of what brought it there.
    pub fn tell_marks(&self, store: Arc<str>, audit: &Audit) {
        // A second one would be the same.
        let _ = self.told.set((store, audit.clone()));
        if self.awaits_acceptance().is_none() {
            self.tell_mark();
        }
    }

    /// A store that waits to be accepted must not become the one that the audit log knows.
    fn tell_mark(&self) {
        if let Some((store, audit)) = self.told.get() {
            audit.note_store(StoreMark { id: Arc::clone(store), sequence: self.sequence() });
        }
    }

    fn publish_acceptance(&self, reason: Option<&str>) {
        let mut shown = self.not_accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_deref() != reason {
            *shown = reason.map(Arc::from);
        }
    }

    /// The store does not take part.
    pub fn fail(&self, now: String) {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        // Once for each cause, not once for each attempt.
        if self.available.swap(false, Ordering::AcqRel) || *reason != now {
            tracing::error!(reason = %now, "the ledger is not available: money is refused");
        }
        *reason = now;
        self.shown_available.set(0);
    }

    /// It takes part again.
    pub fn recover(&self) {
        self.available.store(true, Ordering::Release);
        self.shown_available.set(1);
        tracing::warn!("the ledger is available");
    }

    /// It will not take part again.
    pub fn close(&self) {
        self.available.store(false, Ordering::Release);
        self.shown_available.set(0);
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = "it was closed".into();
    }

    /// Whether the last transaction succeeded.
    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::Acquire)
    }

    /// Why it is away.
    pub fn unavailable(&self) -> StoreError {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        StoreError::Unavailable(if reason.is_empty() { "its writer has ended".into() } else { reason.clone() })
    }

    /// Why the store waits for an operator.
    pub fn awaits_acceptance(&self) -> Option<Arc<str>> {
        self.not_accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of the latest reservation.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// How many are not settled for good.
    pub fn counts(&self) -> Counts {
        Counts { reserved: self.reserved.load(Ordering::Acquire), unknown: self.unknown.load(Ordering::Acquire) }
    }
}
