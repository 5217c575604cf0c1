//! What security teams watch: Prometheus metrics.
//!
//! Labels have few values, all of them ours: never a login ID, an address, a path, a host or a serial (A63).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Bucket bounds in seconds: OpenTelemetry's for HTTP servers, with finer ones below for what a proxy adds.
const SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The route label until routes exist.
pub const OTHER_ROUTE: &str = "other";

/// The label of handshakes that ended before a listener was chosen, where several share the address.
pub const NO_LISTENER: &str = "none";

/// All metrics of a gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// `sekisho_handshakes_total{listener,result,kind}`
    pub handshakes: IntCounterVec,
    requests: IntCounterVec,
    /// `sekisho_request_duration_seconds{route}`, here of the only route.
    pub request_duration: Histogram,
    /// `sekisho_upstream_duration_seconds`: until the head of the application's answer.
    pub upstream_duration: Histogram,
    /// `sekisho_refusals_total{reason}`
    pub refusals: IntCounterVec,
    /// `sekisho_connections`
    pub connections: IntGauge,
    /// `sekisho_connections_rejected_total{reason}`: `limit`, `address_limit`
    pub connections_rejected: IntCounterVec,
    /// `sekisho_connections_ended_total{reason}`: `standing_lost`, `overdue`
    pub connections_ended: IntCounterVec,
    /// `sekisho_identity_headers_removed_total`
    pub identity_headers_removed: IntCounter,
    /// `sekisho_upstream_errors_total{kind}`: `connect`, `timeout`, `broken`, `busy`
    pub upstream_errors: IntCounterVec,
    /// `sekisho_upstream_connections`
    pub upstream_connections: IntGauge,
    /// `sekisho_crl_entries`
    pub crl_entries: IntGauge,
    /// `sekisho_crl_next_update_timestamp_seconds`
    pub crl_next_update: IntGauge,
    /// `sekisho_crl_loads_total{result}`: `ok`, `rejected`
    pub crl_loads: IntCounterVec,
    /// `sekisho_config_reloads_total{result}`: `ok`, `rejected`
    pub config_reloads: IntCounterVec,
    /// `sekisho_reservations{state}`: `reserved`, `unknown`
    pub reservations: IntGaugeVec,
    /// `sekisho_ledger_commit_duration_seconds`; without labels, and like the next one absent where there is no ledger.
    pub ledger_commit_duration: HistogramVec,
    /// `sekisho_ledger_available`: 0 while money is refused because the ledger does not answer
    pub ledger_available: IntGaugeVec,
    /// `sekisho_log_lines_suppressed_total`
    pub log_lines_suppressed: IntCounter,
    listeners: HashMap<Arc<str>, Arc<ListenerMetrics>>,
}

/// The counters that each request of a listener touches, found once per connection.
#[derive(Debug)]
pub struct ListenerMetrics {
    listener: Arc<str>,
    requests: IntCounterVec,
    /// By status, from 100 to 599.
    by_code: Vec<OnceLock<IntCounter>>,
}

impl ListenerMetrics {
    /// Counts an answered request.
    pub fn count_request(&self, status: http::StatusCode) {
        let child = || self.requests.with_label_values(&[&*self.listener, OTHER_ROUTE, status.as_str()]);
        match self.by_code.get(usize::from(status.as_u16()).wrapping_sub(100)) {
            Some(slot) => slot.get_or_init(child).inc(),
            None => child().inc(),
        }
    }
}

impl Metrics {
    /// The metrics of a gateway with these listeners.
    ///
    /// # Errors
    /// Only where two metrics share a name, which a test would find.
    #[allow(clippy::too_many_lines, reason = "a list of metrics, which reads best as one")]
    pub fn new<'a>(listeners: impl Iterator<Item = &'a Arc<str>>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let register = Register(&registry);
        let requests = register.counters(
            "requests_total",
            "Answered requests by listener, route and status.",
            &["listener", "route", "code"],
        )?;
        let request_duration = register.seconds(
            "request_duration_seconds",
            "From a request's head to the head of its answer.",
            &["route"],
        )?;
        let upstream_duration = register.seconds(
            "upstream_duration_seconds",
            "From forwarding a request to the head of the application's answer.",
            &[],
        )?;
        let no_labels: &[&str] = &[];
        let metrics = Self {
            handshakes: register.counters(
                "handshakes_total",
                "TLS handshakes by listener, result and kind.",
                &["listener", "result", "kind"],
            )?,
            request_duration: request_duration.with_label_values(&[OTHER_ROUTE]),
            upstream_duration: upstream_duration.with_label_values(no_labels),
            refusals: register.counters(
                "refusals_total",
                "Requests answered by the gateway itself, by reason.",
                &["reason"],
            )?,
            connections: register.gauge("connections", "Open client connections.")?,
            connections_rejected: register.counters(
                "connections_rejected_total",
                "Connections closed at once because of a limit.",
                &["reason"],
            )?,
            connections_ended: register.counters(
                "connections_ended_total",
                "Open connections ended by the gateway.",
                &["reason"],
            )?,
            identity_headers_removed: register.counter(
                "identity_headers_removed_total",
                "Inbound header fields that claimed an identity and were removed.",
            )?,
            upstream_errors: register.counters(
                "upstream_errors_total",
                "Failures towards the application by kind.",
                &["kind"],
            )?,
            upstream_connections: register.gauge("upstream_connections", "Open connections to the application.")?,
            crl_entries: register.gauge("crl_entries", "Revoked certificates in the lists in force.")?,
            crl_next_update: register.gauge(
                "crl_next_update_timestamp_seconds",
                "When the first of the lists in force is due to be replaced.",
            )?,
            crl_loads: register.counters("crl_loads_total", "Revocation lists read, by result.", &["result"])?,
            config_reloads: register.counters(
                "config_reloads_total",
                "Configuration reloads by result.",
                &["result"],
            )?,
            reservations: register.gauges(
                "reservations",
                "Transfers that are not settled for good, by state.",
                &["state"],
            )?,
            ledger_commit_duration: register.seconds(
                "ledger_commit_duration_seconds",
                "One transaction of the ledger, with all that came together, until it is durable.",
                &[],
            )?,
            ledger_available: register.gauges("ledger_available", "Whether the ledger of transfers answers.", &[])?,
            log_lines_suppressed: register.counter(
                "log_lines_suppressed_total",
                "Log lines about refused handshakes left out because there were too many.",
            )?,
            listeners: listeners
                .map(|name| (Arc::clone(name), Arc::new(ListenerMetrics::new(name, &requests))))
                .collect(),
            requests,
            registry,
        };
        // Alerts need the series from the start, not from the first event.
        for result in ["ok", "rejected"] {
            metrics.crl_loads.with_label_values(&[result]);
            metrics.config_reloads.with_label_values(&[result]);
        }
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// The counters of a listener.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        match self.listeners.get(name) {
            Some(known) => Arc::clone(known),
            None => Arc::new(ListenerMetrics::new(&name.into(), &self.requests)),
        }
    }

    /// The text exposition format, version 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory does not fail, and a family that cannot be encoded is left out.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        text
    }
}

impl ListenerMetrics {
    fn new(listener: &Arc<str>, requests: &IntCounterVec) -> Self {
        Self {
            listener: Arc::clone(listener),
            requests: requests.clone(),
            by_code: (100..600).map(|_| OnceLock::new()).collect(),
        }
    }
}

struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(named(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.keep(IntCounter::with_opts(named(name, help))?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::with_opts(named(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(named(name, help), labels)?)
    }

    fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::from(named(name, help)).buckets(SECONDS.to_vec());
        self.keep(HistogramVec::new(options, labels)?)
    }

    fn keep<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("sekisho_{name}"), help)
}
