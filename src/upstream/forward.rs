//! Sends a sealed request to the application and brings back the head of its answer.
//!
//! Nothing is ever sent twice (DESIGN 4.7: what moves money leaves once): a kept connection is looked at before it is used,
//! and what breaks after that may have been read.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;

use super::answer::Cleaner;
use super::body::AnswerBody;
use super::exchange::Exchange;
use super::head::AnswerHead;
use super::pool::Pool;
use super::seal::{Sealed, Sealer};
use super::settle::Answered;
use super::upload::{Bounds, Upload};
use crate::connection::body::Patience;
use crate::connection::trust::Trust;
use crate::operator::metrics::Metrics;
use crate::refusal::Refusal;

/// What forwarding needs, beside the request.
#[derive(Debug)]
pub struct Forward<'a> {
    /// This worker's connections.
    pub pool: &'a Arc<Pool>,
    /// For the last look at the visitor's standing.
    pub trust: &'a arc_swap::ArcSwap<Trust>,
    /// The time of day.
    pub clock: &'a dyn crate::domain::Clock,
    /// What cleans the answer.
    pub sealer: &'a Arc<Sealer>,
    /// Between two reads of the request's body.
    pub body_timeout: Duration,
    /// Counters.
    pub metrics: &'a Metrics,
}

impl Forward<'_> {
    /// Forwards a request; the answer is cleaned, its body still on its way.
    ///
    /// # Errors
    /// 502, 503 or 504, the client's failure to send its body, or the visitor's loss of standing, or the end of the day,
    /// while a connection was waited for.
    pub async fn send(&self, sealed: Sealed) -> Result<Answered, Refusal> {
        let Sealed {
            standing,
            head,
            host,
            body,
            length,
            max_body,
            route,
            mut consequence,
            on_trial,
            answer: expected,
            room,
            ..
        } = sealed;
        // Held until the application has answered: so long its body may be in memory.
        let _room = room;
        let lease = self.pool.take().await.inspect_err(|refusal| self.count(*refusal))?;
        let now = self.clock.now();
        let standing = standing.confirm(&self.trust.load(), now)?;
        consequence.leaves(now)?;
        let began = Instant::now();
        let progress = standing.visit().progress().clone();
        let bounds = Bounds { max_body, patience: Patience::new(self.body_timeout) };
        let upload = Upload::new(body, &head.method, length, bounds, progress);
        let mut exchange = Exchange::begin(lease, upload, &head, &host);
        let answered = poll_fn(|cx| exchange.poll_head(cx)).await;
        let answered = answered.and_then(|bytes| {
            let lease = exchange.lease();
            let cleaner = Cleaner::new(lease.settings(), lease.server(), &host, self.sealer.scrubber());
            Ok(AnswerHead::read(&bytes, &head.method, &cleaner)?)
        });
        match answered {
            Ok(answer) => {
                self.metrics.upstream_duration.observe(began.elapsed().as_secs_f64());
                Ok(Answered { response: self.receive(answer, exchange), consequence, on_trial, expected, route })
            }
            Err(failure) => {
                exchange.lease().count(&failure);
                Err(consequence.unanswered(failure.word()).unwrap_or_else(|| failure.refusal()))
            }
        }
    }

    fn receive(&self, answer: AnswerHead, exchange: Exchange) -> Response<AnswerBody> {
        let AnswerHead { status, headers, reason, framing, keeps_alive } = answer;
        let mut response = Response::new(AnswerBody::of_bank(exchange, framing, keeps_alive, self.sealer));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if let Some(reason) = reason {
            response.extensions_mut().insert(reason);
        }
        response
    }

    fn count(&self, refusal: Refusal) {
        let kind = match refusal {
            Refusal::UpstreamUnreachable => "connect",
            Refusal::UpstreamBusy => "busy",
            _ => return,
        };
        self.metrics.upstream_errors.with_label_values(&[kind]).inc();
    }
}
