//! The operator address: metrics, health and the key set, over plain HTTP on loopback.
//!
//! It only tells. What changes something is on the control socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::connection::trust::Trust;
use crate::domain::Clock;
use crate::operator::metrics::Metrics;
use crate::pipeline::Rules;
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

    fn readiness(&self) -> Response<Full<Bytes>> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            reasons.push("draining");
        }
        if let Some(refusal) = self.trust.load().standstill(self.clock.unix_seconds()) {
            reasons.push(refusal.word());
        }
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
        respond(status, "application/json", format!("{body}\n"))
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
