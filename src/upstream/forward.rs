//! Sends a sealed request to the application and brings back the head of its answer.
//!
//! Nothing is sent twice, but for one case: a request without a body, of a safe method, that hyper gives back unsent
//! because the kept connection had died (DESIGN 4.7 will need this to stay true).

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::Uri;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::time::Instant;

use super::body::{AfterAnswer, AnswerBody, RequestBody, Upload};
use super::pool::{Lease, Pool};
use super::seal::{Sealed, Sealer};
use super::{HostHeader, answer};
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
    /// 502, 503 or 504, or the visitor's loss of standing while a connection was waited for.
    pub async fn send(&self, sealed: Sealed<'_>) -> Result<Response<AnswerBody>, Refusal> {
        let Sealed { mut standing, mut parts, body, target, host, .. } = sealed;
        let came_by = std::mem::replace(&mut parts.version, Version::HTTP_11);
        parts.uri = Uri::from(target);
        parts.extensions = http::Extensions::new();
        let is_safe = parts.method.is_safe();
        let progress = standing.visit().progress().clone();
        let (body, upload) = RequestBody::new(body, came_by, self.body_timeout, progress);
        let mut request = Request::from_parts(parts, body);
        loop {
            let mut lease = self.pool.take().await.inspect_err(|refusal| self.count(*refusal))?;
            if self.pool.settings().host == HostHeader::Upstream
                && let Ok(authority) = HeaderValue::from_str(&lease.server().authority)
            {
                request.headers_mut().insert(HOST, authority);
            }
            standing = standing.confirm(&self.trust.load(), self.now())?;
            let may_repeat = is_safe && request.body().is_empty() && lease.is_reused();
            let timer = self.metrics.upstream_duration.start_timer();
            match self.exchange(&mut lease, request, &upload).await {
                Ok(response) => {
                    timer.observe_duration();
                    return Ok(self.receive(response, lease, upload, &host));
                }
                Err(Failure::NeverLeft(unsent)) if may_repeat => {
                    timer.stop_and_discard();
                    self.metrics.upstream_retries.inc();
                    request = *unsent;
                }
                Err(failure) => {
                    timer.stop_and_discard();
                    let refusal = failure.refusal(&upload);
                    self.count(refusal);
                    return Err(refusal);
                }
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends the request and waits for the head of the answer. While the client is still sending, the application
    /// owes nothing.
    async fn exchange(
        &self,
        lease: &mut Lease,
        request: Request<RequestBody>,
        upload: &Upload,
    ) -> Result<Response<Incoming>, Failure> {
        let settings = self.pool.settings();
        let server = &settings.servers[lease.server_number()].authority;
        let mut answer = pin!(lease.sender().try_send_request(request));
        loop {
            let frames = upload.frames();
            let deadline = Instant::now() + settings.response_timeout;
            let answered = poll_fn(|cx| match answer.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending if lease.answers_due().is_past(deadline, cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match answered.await {
                Some(Ok(response)) => {
                    let (parts, body) = response.into_parts();
                    if !answer::has_one_meaning(&parts) {
                        tracing::warn!(%server, status = %parts.status, "the application's answer has no single meaning");
                        return Err(Failure::Broken);
                    }
                    return Ok(Response::from_parts(parts, body));
                }
                Some(Err(mut error)) => {
                    return Err(match error.take_message() {
                        Some(unsent) => Failure::NeverLeft(Box::new(unsent)),
                        None if upload.is_broken() || upload.is_stalled() => Failure::Broken,
                        None => {
                            tracing::warn!(%server, error = %error.error(), "the application's answer broke off");
                            Failure::Broken
                        }
                    });
                }
                None if upload.is_sending() && upload.frames() != frames => {}
                None => return Err(Failure::TooSlow),
            }
        }
    }

    fn receive(
        &self,
        response: Response<Incoming>,
        lease: Lease,
        upload: Arc<Upload>,
        host: &HeaderValue,
    ) -> Response<AnswerBody> {
        let settings = self.pool.settings();
        let (mut parts, body) = response.into_parts();
        let closes = parts.version == Version::HTTP_10 || has_close(&parts.headers);
        answer::clean(&mut parts, lease.server(), host, settings, self.sealer.scrubber());
        let after = if closes { AfterAnswer::Close } else { AfterAnswer::Keep };
        let body = AnswerBody::bank(body, settings.response_timeout, lease, after, upload, Arc::clone(self.sealer));
        Response::from_parts(parts, body)
    }

    fn count(&self, refusal: Refusal) {
        let kind = match refusal {
            Refusal::UpstreamUnreachable => "connect",
            Refusal::UpstreamBusy => "busy",
            Refusal::UpstreamTimeout => "timeout",
            Refusal::UpstreamBroken => "broken",
            _ => return,
        };
        self.metrics.upstream_errors.with_label_values(&[kind]).inc();
    }
}

/// Why an exchange brought no answer.
enum Failure {
    NeverLeft(Box<Request<RequestBody>>),
    Broken,
    TooSlow,
}

impl Failure {
    fn refusal(&self, upload: &Upload) -> Refusal {
        match self {
            _ if upload.is_stalled() => Refusal::BodyTimeout,
            _ if upload.is_broken() => Refusal::BadBody,
            Self::NeverLeft(_) | Self::Broken => Refusal::UpstreamBroken,
            Self::TooSlow => Refusal::UpstreamTimeout,
        }
    }
}

fn has_close(headers: &http::HeaderMap) -> bool {
    let tokens = |value: &HeaderValue| {
        value.to_str().is_ok_and(|text| text.split(',').any(|token| token.trim().eq_ignore_ascii_case("close")))
    };
    headers.get_all(CONNECTION).iter().any(tokens)
}
