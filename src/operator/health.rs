//! The operator address: metrics, health and the key set, over plain HTTP on loopback.
//!
//! It only tells. What changes something is on the control socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::connection::trust::Trust;
use crate::domain::Clock;
use crate::operator::audit::Audit;
use crate::operator::metrics::Metrics;
use crate::pipeline::Rules;
use crate::refusal::{Refusal, TransferRefusal};
use crate::store::Ledger;
use crate::upstream::assertion;

/// What the operator address can see.
#[derive(Debug)]
pub struct View {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// For the state of the revocation lists.
    pub trust: Arc<ArcSwap<Trust>>,
    /// For the public keys.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Whether money moves; none where the configuration has no `[transfer]`.
    pub ledger: Option<Ledger>,
    /// Whether decisions about money can be recorded.
    pub audit: Audit,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Set when the gateway has begun to drain.
    pub draining: AtomicBool,
}

impl View {
    /// Answers a request on the operator address.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "GET only\n");
        }
        match request.uri().path() {
            "/metrics" => respond(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.render()),
            "/health/live" => respond(StatusCode::OK, "application/json", "{\"live\":true}\n"),
            "/health/ready" => self.readiness(),
            "/.well-known/jwks.json" => {
                let keys = assertion::key_set(&self.rules.load().sealer.settings().keys);
                respond(StatusCode::OK, "application/jwk-set+json", keys.to_string())
            }
            _ => respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n"),
        }
    }

    /// Ready is who can serve pages. Without ledger or audit log only money is refused (LIM-23), and a load balancer that
    /// took this gateway away would take the pages too: that is told, and not a reason.
    fn readiness(&self) -> Response<Full<Bytes>> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            reasons.push("draining");
        }
        if let Some(refusal) = self.trust.load().standstill(self.clock.unix_seconds()) {
            reasons.push(refusal.word());
        }
        if !self.trust.load().knows_standing() {
            reasons.push(Refusal::StandingUnknown.code());
        }
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let degraded: BTreeMap<&str, &str> = self.degraded().collect();
        let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons, "degraded": degraded });
        respond(status, "application/json", format!("{body}\n"))
    }

    /// What keeps money from moving, each with the code that customers are answered.
    fn degraded(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let ledger = self.ledger.as_ref().and_then(|ledger| match ledger.awaits_acceptance() {
            _ if !ledger.is_available() => Some(TransferRefusal::StoreUnavailable),
            Some(_) => Some(TransferRefusal::StoreNotAccepted),
            None => None,
        });
        let audit = (!self.audit.is_writable()).then_some(TransferRefusal::AuditUnavailable);
        let told = [("ledger", ledger), ("audit", audit)].into_iter();
        told.filter_map(|(part, refusal)| Some((part, Refusal::Transfer(refusal?).code())))
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
