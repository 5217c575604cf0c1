//! What security teams watch: Prometheus metrics.
//!
//! Labels have few values, all of them ours: never a login ID, an address, a path, a host or a serial (A63).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::domain::Yen;
use crate::refusal::Alarm;

/// Bucket bounds in seconds: OpenTelemetry's for HTTP servers, with finer ones below for what a proxy adds.
const SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The route label of everything that is no route; its number is 0.
pub const OTHER_ROUTE: &str = "other";

/// The most routes that a gateway can tell apart, over all its reloads.
pub const MAX_ROUTES: usize = 1024;

/// The label of handshakes that ended before a listener was chosen, where several share the address.
pub const NO_LISTENER: &str = "none";

/// All metrics of a gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// `sekisho_handshakes_total{listener,result,kind}`
    pub handshakes: IntCounterVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    /// The same by the route's number.
    request_duration_of: Vec<OnceLock<Histogram>>,
    /// The routes' names by number.
    routes: Mutex<Vec<Arc<str>>>,
    /// `sekisho_refusals_observed_total{reason}`
    pub refusals_observed: IntCounterVec,
    /// `sekisho_rate_limited_total{limit}`
    pub rate_limited: IntCounterVec,
    /// `sekisho_rate_limit_fallbacks_total`
    pub rate_limit_fallbacks: IntCounter,
    /// `sekisho_rate_limit_store_available`; without labels, and absent where no limit is shared.
    pub rate_limit_store_available: IntGaugeVec,
    /// `sekisho_clock_steps_total{direction}`: `ahead`, `back`
    pub clock_steps: IntCounterVec,
    /// `sekisho_transfer_alarms_total{alarm}`
    pub transfer_alarms: IntCounterVec,
    /// `sekisho_limit_notices_total`
    pub limit_notices: IntCounter,
    sessions: IntGauge,
    /// `sekisho_sessions_ended_total{reason}`: `logout`, `idle`, `lifetime`
    pub sessions_ended: IntCounterVec,
    transfers: IntCounterVec,
    transfer_yen: IntCounterVec,
    exempt_orders: IntCounterVec,
    exempt_yen: IntCounterVec,
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
    /// `sekisho_blocks{kind}`: `serial`, `login_id`, `contract`
    pub blocks: IntGaugeVec,
    /// `sekisho_registered{kind}`: `contract`, `login_id`, `certificate`
    pub registered: IntGaugeVec,
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
    /// `sekisho_ledger_members_waiting`: gateways that have yet to replay their journal into the shared store
    pub ledger_members_waiting: IntGauge,
    /// `sekisho_ledger_clock_skew_seconds`: the gateway's clock less that of the shared store
    pub ledger_clock_skew: IntGauge,
    /// `sekisho_log_lines_suppressed_total`
    pub log_lines_suppressed: IntCounter,
    /// What the audit log counts.
    pub audit: AuditMetrics,
    listeners: HashMap<Arc<str>, Arc<ListenerMetrics>>,
}

/// What the audit log counts.
#[derive(Debug, Clone)]
pub struct AuditMetrics {
    /// `sekisho_audit_records_total{importance="money"}`
    pub money: IntCounter,
    /// `sekisho_audit_records_total{importance="notice"}`
    pub notice: IntCounter,
    /// `sekisho_audit_records_total{importance="stranger"}`
    pub stranger: IntCounter,
    /// `sekisho_audit_suppressed_total`
    pub suppressed: IntCounter,
    /// `sekisho_audit_writable`: 0 while money is refused because its records cannot be written.
    pub writable: IntGauge,
}

/// The counters that each request of a listener touches, found once per connection.
#[derive(Debug)]
pub struct ListenerMetrics {
    listener: Arc<str>,
    requests: IntCounterVec,
    /// By the route's number, made when the route is first used.
    by_route: Vec<OnceLock<ByCode>>,
}

/// By status, from 100 to 599.
type ByCode = Box<[OnceLock<IntCounter>]>;

/// A route as it is counted: its number and its name.
#[derive(Debug, Clone, Copy)]
pub struct CountedRoute<'r> {
    /// From [`Metrics::route_number`].
    pub number: usize,
    /// The label.
    pub name: &'r str,
}

impl ListenerMetrics {
    /// Counts an answered request.
    pub fn count_request(&self, route: CountedRoute<'_>, status: http::StatusCode) {
        let child = || self.requests.with_label_values(&[&*self.listener, route.name, status.as_str()]);
        let by_code = || (100..600).map(|_| OnceLock::new()).collect::<ByCode>();
        let codes = self.by_route.get(route.number).map(|codes| codes.get_or_init(by_code));
        match codes.and_then(|codes| codes.get(usize::from(status.as_u16()).wrapping_sub(100))) {
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
            request_duration,
            request_duration_of: (0..MAX_ROUTES).map(|_| OnceLock::new()).collect(),
            routes: Mutex::new(vec![OTHER_ROUTE.into()]),
            refusals_observed: register.counters(
                "refusals_observed_total",
                "Requests that would have been refused, were the rules about money enforced, by reason.",
                &["reason"],
            )?,
            rate_limited: register.counters(
                "rate_limited_total",
                "Requests refused because their sender asks too often, by limit.",
                &["limit"],
            )?,
            rate_limit_fallbacks: register.counter(
                "rate_limit_fallbacks_total",
                "Requests under a shared rate limit that were decided, or given back, by this gateway alone.",
            )?,
            rate_limit_store_available: register.gauges(
                "rate_limit_store_available",
                "Whether the store of the shared rate limits takes part.",
                &[],
            )?,
            clock_steps: register.counters(
                "clock_steps_total",
                "Times that the clock of the day was set by more than five seconds.",
                &["direction"],
            )?,
            transfer_alarms: register.counters(
                "transfer_alarms_total",
                "Transfers that look like those that frauds make, by what makes them so.",
                &["alarm"],
            )?,
            limit_notices: register
                .counter("limit_notices_total", "Pages that told customers to lower an own limit above the ceiling.")?,
            sessions: register.gauge("sessions", "Sessions of the application whose owner is known, about.")?,
            sessions_ended: register.counters(
                "sessions_ended_total",
                "Sessions of the application that the gateway ended.",
                &["reason"],
            )?,
            transfers: register.counters("transfers_total", "Transfers that came into a state.", &["state"])?,
            transfer_yen: register.counters("transfer_yen_total", "The same in yen.", &["state"])?,
            exempt_orders: register.counters(
                "exempt_orders_total",
                "Answered orders of classes that count against no ceiling.",
                &["class"],
            )?,
            exempt_yen: register.counters(
                "exempt_yen_total",
                "The same in yen, as far as their forms say how much.",
                &["class"],
            )?,
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
            blocks: register.gauges("blocks", "Blocks in force, by what they name.", &["kind"])?,
            registered: register.gauges(
                "registered",
                "What the registry holds, retired certificates too.",
                &["kind"],
            )?,
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
            ledger_members_waiting: register.gauge(
                "ledger_members_waiting",
                "Gateways that have yet to replay their journal into the shared store; money waits for them.",
            )?,
            ledger_clock_skew: register
                .gauge("ledger_clock_skew_seconds", "The gateway's clock less that of the shared store.")?,
            log_lines_suppressed: register.counter(
                "log_lines_suppressed_total",
                "Log lines about refused handshakes left out because there were too many.",
            )?,
            audit: register.audit()?,
            listeners: listeners
                .map(|name| (Arc::clone(name), Arc::new(ListenerMetrics::new(name, &requests))))
                .collect(),
            requests,
            registry,
        };
        // Alerts need the series from the start, not from the first event.
        for direction in ["ahead", "back"] {
            metrics.clock_steps.with_label_values(&[direction]);
        }
        for alarm in Alarm::ALL {
            metrics.transfer_alarms.with_label_values(&[alarm.word()]);
        }
        for state in ["reserved", "committed", "released", "unknown", "refused"] {
            metrics.transfers.with_label_values(&[state]);
            metrics.transfer_yen.with_label_values(&[state]);
        }
        for result in ["ok", "rejected"] {
            metrics.crl_loads.with_label_values(&[result]);
            metrics.config_reloads.with_label_values(&[result]);
        }
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// The number of a route, by which its counters are found without a lock. The same name has the same number after a reload.
    pub fn route_number(&self, name: &str) -> usize {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.iter().position(|known| **known == *name).unwrap_or_else(|| {
            routes.push(name.into());
            routes.len() - 1
        })
    }

    /// Notes how long a request took.
    pub fn observe_duration(&self, route: CountedRoute<'_>, seconds: f64) {
        let child = || self.request_duration.with_label_values(&[route.name]);
        match self.request_duration_of.get(route.number) {
            Some(slot) => slot.get_or_init(child).observe(seconds),
            None => child().observe(seconds),
        }
    }

    /// Counts a transfer that came into a state, with its amount.
    pub fn count_transfer(&self, state: &str, amount: Yen) {
        self.transfers.with_label_values(&[state]).inc();
        self.transfer_yen.with_label_values(&[state]).inc_by(amount.get());
    }

    /// Shows how many sessions of the application have an owner.
    pub fn show_sessions(&self, count: u64) {
        self.sessions.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts an order that counts against no ceiling.
    pub fn count_exempt(&self, class: &str, amount: Yen) {
        self.exempt_orders.with_label_values(&[class]).inc();
        self.exempt_yen.with_label_values(&[class]).inc_by(amount.get());
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
            by_route: (0..MAX_ROUTES).map(|_| OnceLock::new()).collect(),
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

    fn audit(&self) -> Result<AuditMetrics, prometheus::Error> {
        let records = self.counters("audit_records_total", "Audit records by importance.", &["importance"])?;
        let writable = self.gauge("audit_writable", "Whether records about money can be written.")?;
        // A gateway without a log must not look like one whose log fails.
        writable.set(1);
        Ok(AuditMetrics {
            money: records.with_label_values(&["money"]),
            notice: records.with_label_values(&["notice"]),
            stranger: records.with_label_values(&["stranger"]),
            suppressed: self.counter(
                "audit_suppressed_total",
                "Audit records left out because there were too many, or because the disk is full.",
            )?,
            writable,
        })
    }

    fn keep<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("sekisho_{name}"), help)
}
