//! The path of a request, from a visitor with standing to the bank and back.
//!
//! Read this file first. Each stage consumes the evidence of the one before it, so leaving a stage out, or running two in
//! the wrong order, does not compile. Evidence has private fields and one constructor each:
//! [`Standing`](crate::connection::Standing) comes from `Visit::standing`, [`Understood`](crate::connection::request::Understood)
//! from `request::understand`, [`Sealed`](crate::upstream::seal::Sealed) from `Sealer::seal`.
//!
//! A request that was not understood cannot be sealed:
//!
//! ```compile_fail,E0308
//! use sekisho::{connection::Standing, upstream::seal::Sealer};
//! fn skip_understanding(sealer: &Sealer, standing: Standing) {
//!     let _ = sealer.seal(standing, &sekisho::domain::RequestId::new(), 0);
//! }
//! ```
//!
//! and standing cannot be made up:
//!
//! ```compile_fail,E0451
//! use sekisho::connection::{Standing, Visit};
//! fn make_up(visit: std::sync::Arc<Visit>) -> Standing {
//!     Standing { visit }
//! }
//! ```

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{Request, Response};

use crate::connection::body::RequestBody;
use crate::connection::request;
use crate::connection::trust::Trust;
use crate::connection::{Limits, Visit};
use crate::domain::{Clock, RequestId};
use crate::operator::metrics::{ListenerMetrics, Metrics};
use crate::refusal::{HelpDesk, Reader, Refusal};
use crate::upstream;
use crate::upstream::body::AnswerBody;
use crate::upstream::forward::Forward;
use crate::upstream::pool::Pool;
use crate::upstream::seal::{Sealer, X_REQUEST_ID};

/// What requests are measured by. Replaced whole on reload.
#[derive(Debug)]
pub struct Rules {
    /// What one client may cost.
    pub limits: Arc<Limits>,
    /// Scrubs and signs.
    pub sealer: Arc<Sealer>,
    /// The application.
    pub upstream: Arc<upstream::Settings>,
    /// Text for refusal pages.
    pub help_desk: HelpDesk,
}

/// The request path of one worker.
#[derive(Debug)]
pub struct Pipeline {
    /// Whom the bank has vouched for.
    pub trust: Arc<ArcSwap<Trust>>,
    /// What requests are measured by.
    pub rules: Arc<ArcSwap<Rules>>,
    /// This worker's connections to the application.
    pub pool: Arc<ArcSwap<Pool>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Pipeline {
    /// Answers one request. Never fails: a refusal is an answer too.
    pub fn answer(
        self: Arc<Self>,
        visit: Arc<Visit>,
        counters: Arc<ListenerMetrics>,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<AnswerBody>> + Send {
        let began = Instant::now();
        let id = RequestId::new();
        let rules = self.rules.load_full();
        let (parts, body) = request.into_parts();
        let reader = Reader::of(&parts.headers);
        async move {
            let mut answer = match self.pass(&rules, visit, &id, parts, body).await {
                Ok(answer) => answer,
                Err(refusal) => {
                    self.metrics.refusals.with_label_values(&[refusal.code()]).inc();
                    tracing::debug!(request_id = id.as_str(), %refusal, "request refused");
                    refusal.into_response(reader, id.as_str(), &rules.help_desk).map(AnswerBody::Whole)
                }
            };
            answer.headers_mut().insert(X_REQUEST_ID, id.to_header());
            counters.count_request(answer.status());
            self.metrics.request_duration.observe(began.elapsed().as_secs_f64());
            answer
        }
    }

    async fn pass(
        &self,
        rules: &Rules,
        visit: Arc<Visit>,
        id: &RequestId,
        parts: Parts,
        body: RequestBody,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let now = self.clock.now();
        let standing = visit.standing(&self.trust.load(), now)?;
        let understood = request::understand(standing, parts, body, &rules.limits)?;
        let sealed = rules.sealer.seal(understood, id, now.as_second())?;
        self.metrics.identity_headers_removed.inc_by(sealed.identities_removed);
        let forward = Forward {
            pool: &self.pool_for(rules),
            trust: &self.trust,
            clock: &*self.clock,
            sealer: &rules.sealer,
            body_timeout: rules.limits.body_timeout,
            metrics: &self.metrics,
        };
        forward.send(sealed).await
    }

    /// This worker's pool; a new one as soon as the rules name other upstream settings.
    fn pool_for(&self, rules: &Rules) -> Arc<Pool> {
        let pool = self.pool.load_full();
        if Arc::ptr_eq(pool.settings(), &rules.upstream) {
            return pool;
        }
        let pool = Pool::new(Arc::clone(&rules.upstream), Arc::clone(&self.metrics));
        self.pool.store(Arc::clone(&pool));
        pool
    }
}
