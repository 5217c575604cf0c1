//! The path of a request, from a visitor with standing to the bank and back.
//!
//! Read this file first. Each stage consumes the evidence of the one before it, so leaving a stage out, or running two in
//! the wrong order, does not compile. Evidence has private fields and one constructor each:
//!
//! | evidence | says | from |
//! |---|---|---|
//! | [`Standing`](crate::connection::Standing) | this visitor may ask | `Visit::standing`, once a first certificate is registered |
//! | [`Understood`](crate::connection::request::Understood) | the head has one meaning | `request::understand` |
//! | [`Routed`](crate::policy::route::Routed) | what it is for | `Routes::find` |
//! | [`Admitted`](crate::policy::rate_limit::Admitted) | not too often | `RateLimits::admit` |
//! | [`Inspected`](crate::policy::inspect::Inspected) | its body has one meaning, where that matters | `inspect` |
//! | [`Bound`] | its session is the visitor's own | `bind` |
//! | [`Watched`](crate::policy::alarms::Watched) | looked at for alarms | `watch` |
//! | [`Reserved`] | the ledger grants it, where it moves money | `reserve` |
//! | [`Sealed`](crate::upstream::seal::Sealed) | scrubbed, told who sends it, signed | `Sealer::seal` |
//! | [`Answered`](crate::upstream::settle::Answered) | the bank has answered | `Forward::send` |
//!
//! One page of the gateway's own is no refusal: [`limit_notice`] shows it once a day before the first page of some customers.
//!
//! A request that nobody reserved cannot be sealed:
//!
//! ```compile_fail,E0308
//! use sekisho::{policy::inspect::Inspected, upstream::seal::Sealer};
//! fn skip_the_ledger(sealer: &Sealer, inspected: Inspected) {
//!     let _ = sealer.seal(inspected, &sekisho::domain::RequestId::new(), 0);
//! }
//! ```
//!
//! one that was not read has no place in the ledger:
//!
//! ```compile_fail,E0308
//! use sekisho::policy::{rate_limit::Admitted, reserve::reserve};
//! async fn skip_inspection(admitted: Admitted) {
//!     let _ = reserve(None, admitted, &sekisho::domain::RequestId::new()).await;
//! }
//! ```
//!
//! nor has one that the alarms did not see:
//!
//! ```compile_fail,E0308
//! use sekisho::policy::{reserve::reserve, session::Bound};
//! async fn skip_the_alarms(bound: Bound) {
//!     let _ = reserve(None, bound, &sekisho::domain::RequestId::new()).await;
//! }
//! ```
//!
//! nor one whose session may be another's:
//!
//! ```compile_fail,E0308
//! use sekisho::policy::{alarms::watch, inspect::Inspected};
//! fn skip_the_session(inspected: Inspected) {
//!     let _ = watch(None, inspected, &sekisho::domain::RequestId::new());
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response};

use crate::connection::body::RequestBody;
use crate::connection::registrar::Registrar;
use crate::connection::request;
use crate::connection::trust::Trust;
use crate::connection::{Limits, Visit, Visitor};
use crate::domain::{Clock, RequestId, Yen};
use crate::operator::audit::observed::Observation;
use crate::operator::audit::{Action, Audit, Record, TransferState, UrlPath};
use crate::operator::metrics::{CountedRoute, ListenerMetrics, Metrics, OTHER_ROUTE};
use crate::policy::alarms::watch;
use crate::policy::buffers::Buffers;
use crate::policy::inspect::{Time, inspect};
use crate::policy::limit_notice::limit_notice;
use crate::policy::rate_limit::{Admission, RateLimits, Told};
use crate::policy::reserve::{Reserved, Treasury, reserve};
use crate::policy::route::{Class, Route, Routes};
use crate::policy::session::{Bound, Sessions, bind};
use crate::refusal::{Guide, HelpDesk, Reader, Refusal, TransferRefusal};
use crate::upstream;
use crate::upstream::body::AnswerBody;
use crate::upstream::forward::Forward;
use crate::upstream::pool::Pool;
use crate::upstream::seal::{Sealer, X_REQUEST_ID};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What requests are measured by. Replaced whole on reload.
#[derive(Debug)]
pub struct Rules {
    /// What one client may cost.
    pub limits: Arc<Limits>,
    /// What the application's screens are.
    pub routes: Routes,
    /// How often each may be asked for.
    pub rates: RateLimits,
    /// Memory for bodies that are read.
    pub buffers: Arc<Buffers>,
    /// Whose the application's sessions are; without `[session]` nobody asks.
    pub sessions: Option<Arc<Sessions>>,
    /// Who asks the ledger; without `[transfer]` no route does.
    pub treasury: Option<Arc<Treasury>>,
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
    /// Where refusals are recorded.
    pub audit: Audit,
    /// Registers customers' first certificates.
    pub registrar: Registrar,
    /// Requests about money that run on by themselves.
    pub detached: Arc<AtomicUsize>,
}

impl Rules {
    /// What the pages can point to.
    fn guide(&self) -> Guide<'_> {
        let limit_screen = self.treasury.as_ref().and_then(|treasury| treasury.limit_screen.as_ref());
        let session = self.sessions.as_ref().map(|sessions| &sessions.settings);
        let login_page = session.map(|settings| &settings.login_page);
        let session_cookies = session.map(|settings| settings.names.cookies.as_slice()).unwrap_or_default();
        Guide { help_desk: &self.help_desk, limit_screen, login_page, session_cookies }
    }
}

/// What became of a request on its way, for the record.
#[derive(Debug, Default)]
struct Trace {
    /// Until it is known, none.
    route: Option<Arc<Route>>,
    told: Option<Told>,
    /// What it would move.
    moves: Option<Yen>,
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
        let target = parts.uri.path_and_query().cloned();
        async move {
            let mut trace = Trace::default();
            let passed = self.pass(&rules, &visit, &id, Request::from_parts(parts, body), &mut trace).await;
            let mut answer = match passed {
                Ok(answer) => answer,
                Err(refusal) => {
                    self.note_refusal(refusal, &visit, &id, target.as_ref(), &trace);
                    refusal.into_response(reader, id.as_str(), rules.guide()).map(AnswerBody::Whole)
                }
            };
            answer.headers_mut().insert(X_REQUEST_ID, id.to_header());
            if let Some(told) = &trace.told {
                tell(told, &mut answer);
            }
            let route = trace.counted();
            counters.count_request(route, answer.status());
            self.metrics.observe_duration(route, began.elapsed().as_secs_f64());
            answer
        }
    }

    async fn pass(
        self: &Arc<Self>,
        rules: &Arc<Rules>,
        visit: &Arc<Visit>,
        id: &RequestId,
        request: Request<RequestBody>,
        trace: &mut Trace,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let asked = visit.standing(&self.trust.load(), self.clock.now());
        let standing = match asked {
            Err(Refusal::StandingUnknown) if visit.awaits_registration() && self.trust.load().knows_standing() => {
                // On the heap: a customer's first request ever.
                Box::pin(self.registrar.register(visit)).await?;
                visit.standing(&self.trust.load(), self.clock.now())?
            }
            asked => asked?,
        };
        let understood = request::understand(standing, request, &rules.limits)?;
        let routed = rules.routes.find(understood)?;
        trace.route = routed.candidates().first().cloned();
        let mut admitted = match rules.rates.admit(routed, Instant::now())? {
            Admission::Decided(admitted) => admitted,
            // On the heap: most requests ask nobody else.
            Admission::Asked(asked) => Box::pin(asked.decide()).await?,
        };
        trace.told = admitted.told.take();
        let inspected = inspect(admitted, &rules.buffers, Time::of(&rules.limits), rules.routes.enforcement()).await?;
        trace.route = Some(Arc::clone(inspected.route()));
        trace.moves = inspected.moves();
        let bound = bind(rules.sessions.as_ref(), inspected)?;
        let inspected = bound.inspected();
        if inspected.route().class == Class::Top
            && let Some(notice) = Box::pin(limit_notice(rules.treasury.as_ref(), inspected, id)).await
        {
            bound.answered_here();
            return Ok(notice.into_response(id.as_str(), &rules.help_desk).map(AnswerBody::Whole));
        }
        if inspected.concerns_the_ledger() {
            // On the heap, as all that only some requests need.
            return Box::pin(self.conclude_detached(rules, bound, id)).await;
        }
        self.conclude(rules, bound, id).await
    }

    /// From the ledger to the bank's answer.
    async fn conclude(&self, rules: &Rules, bound: Bound, id: &RequestId) -> Result<Response<AnswerBody>, Refusal> {
        let watched = watch(rules.treasury.as_ref(), bound, id)?;
        let reserved = reserve(rules.treasury.as_ref(), watched, id).await?;
        if let Some(refusal) = reserved.observed {
            self.note_observed(refusal, &reserved);
        }
        let exempt = reserved.exempt.map(|amount| (reserved.route.class, amount));
        let sealed = rules.sealer.seal(reserved, id, self.clock.unix_seconds())?;
        self.metrics.identity_headers_removed.inc_by(sealed.identities_removed);
        let forward = Forward {
            pool: &self.pool_for(rules),
            trust: &self.trust,
            clock: &*self.clock,
            sealer: &rules.sealer,
            body_timeout: rules.limits.body_timeout,
            metrics: &self.metrics,
        };
        let answered = forward.send(sealed).await?;
        if let Some((class, amount)) = exempt {
            self.metrics.count_exempt(class.word(), amount);
        }
        answered.settle().await
    }

    /// The same, on its own: a client that hangs up, or a connection that ends, must not stop what moves money (LIM-16).
    async fn conclude_detached(
        self: &Arc<Self>,
        rules: &Arc<Rules>,
        bound: Bound,
        id: &RequestId,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let (pipeline, rules, id) = (Arc::clone(self), Arc::clone(rules), id.clone());
        let detached = Detached::begin(&self.detached);
        let concluded = tokio::spawn(async move {
            let _detached = detached;
            // On the heap from the beginning: a task is moved when it is made.
            Box::pin(pipeline.conclude(&rules, bound, &id)).await
        });
        // What panicked had left, or not: its reservation says so.
        concluded.await.unwrap_or(Err(Refusal::Transfer(TransferRefusal::OutcomeUnknown)))
    }

    /// What would have been refused goes on; that it would have been is counted and told (LIM-29).
    fn note_observed(&self, refusal: Refusal, reserved: &Reserved) {
        self.metrics.refusals_observed.with_label_values(&[refusal.code()]).inc();
        self.audit.observe(&Observation {
            reason: refusal.code(),
            method: reserved.request.parts.method.as_str(),
            target: reserved.request.target().path(),
            route: &reserved.route.name,
        });
    }

    fn note_refusal(
        &self,
        refusal: Refusal,
        visit: &Visit,
        id: &RequestId,
        target: Option<&PathAndQuery>,
        trace: &Trace,
    ) {
        self.metrics.refusals.with_label_values(&[refusal.code()]).inc();
        tracing::debug!(request_id = id.as_str(), listener = visit.listener().name(), %refusal, "request refused");
        let is_refused_transfer =
            matches!(refusal, Refusal::Transfer(reason) if trace.moves.is_some() && reason.is_before_forwarding());
        if is_refused_transfer {
            self.metrics.count_transfer(TransferState::Refused.word(), trace.moves.unwrap_or_default());
        }
        let customer = match visit.visitor() {
            Visitor::Customer(who) => Some(who),
            Visitor::Stranger | Visitor::Refused(_) => None,
        };
        self.audit.record(Record {
            reason: Some(refusal.code().into()),
            login_id: customer.map(|who| who.login_id().clone()),
            certificate: customer.and_then(|who| who.certificate_serial().cloned()),
            contract: visit.contract(),
            client: Some(visit.client()),
            request: Some(id.clone()),
            path: target.map(|target| UrlPath::of(target.as_str())),
            listener: Some(visit.listener().name().into()),
            route: trace.route.as_ref().map(|route| Arc::clone(&route.name)),
            amount: trace.moves.filter(|amount| *amount > Yen::ZERO),
            ..Record::new(if is_refused_transfer { Action::Transfer(TransferState::Refused) } else { Action::Refused })
        });
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

impl Trace {
    fn counted(&self) -> CountedRoute<'_> {
        match &self.route {
            Some(route) => CountedRoute { number: route.number, name: &route.name },
            None => CountedRoute { number: 0, name: OTHER_ROUTE },
        }
    }
}

/// Counts a request that runs by itself, so that a drain waits for it.
struct Detached(Arc<AtomicUsize>);

impl Detached {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn tell(told: &Told, answer: &mut Response<AnswerBody>) {
    for (name, value) in [(RATE_LIMIT_POLICY, told.policy()), (RATE_LIMIT, told.state())] {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
}
