//! Bodies on their way: the request's towards the application, the answer's back. Streamed, with back-pressure, and
//! bounded in time between two reads; never collected.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::pool::Lease;
use super::seal::Sealer;
use crate::connection::visit::Progress;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client did not send for `body-timeout`.
    #[error("the client stopped sending")]
    ClientStalled,
    /// The client reset the stream before its end.
    #[error("the client gave its body up")]
    GivenUp,
    /// The application did not send for `response-timeout`.
    #[error("the application stopped sending")]
    BankStalled,
    /// The connection broke or the framing was wrong.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

/// How far a request's body has come, for whoever waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Upload {
    state: AtomicU8,
    frames: AtomicU64,
}

const SENDING: u8 = 0;
const COMPLETE: u8 = 1;
const STALLED: u8 = 2;
const BROKEN: u8 = 3;

impl Upload {
    pub fn is_complete(&self) -> bool {
        self.state.load(Ordering::Relaxed) == COMPLETE
    }

    pub fn is_stalled(&self) -> bool {
        self.state.load(Ordering::Relaxed) == STALLED
    }

    pub fn is_broken(&self) -> bool {
        self.state.load(Ordering::Relaxed) == BROKEN
    }

    pub fn is_sending(&self) -> bool {
        self.state.load(Ordering::Relaxed) == SENDING
    }

    /// Grows with every part of the body that was passed on.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

/// Waits for a body no longer than its limit between two frames. The timer exists only while there is waiting.
#[derive(Debug)]
struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Something came.
    fn renew(&mut self) {
        self.timer = None;
    }

    /// Nothing came; `true` when it has been too long.
    fn is_exhausted(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx).is_ready()
    }
}

/// A request's body. Trailers end here: applications of this age do not know them, and an identity might hide in one.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Option<Incoming>,
    /// Over HTTP/2 a body can be given up by the client with NO_ERROR, which hyper reports as its end.
    must_say_its_end: bool,
    patience: Patience,
    upload: Arc<Upload>,
    progress: Progress,
}

impl RequestBody {
    pub fn new(
        incoming: Incoming,
        came_by: http::Version,
        body_timeout: Duration,
        progress: Progress,
    ) -> (Self, Arc<Upload>) {
        let upload = Arc::new(Upload::default());
        let incoming = Some(incoming).filter(|body| !body.is_end_stream());
        if incoming.is_none() {
            upload.state.store(COMPLETE, Ordering::Relaxed);
        }
        let must_say_its_end = came_by == http::Version::HTTP_2;
        let patience = Patience::new(body_timeout);
        (Self { incoming, must_say_its_end, patience, upload: Arc::clone(&upload), progress }, upload)
    }

    /// Whether there is no body, so that the request can be made again.
    pub fn is_empty(&self) -> bool {
        self.incoming.is_none()
    }

    fn end(&mut self, state: u8) {
        self.incoming = None;
        self.upload.state.store(state, Ordering::Relaxed);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
            return match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => continue,
                Poll::Ready(Some(Ok(frame))) => {
                    this.patience.renew();
                    this.progress.made();
                    this.upload.frames.fetch_add(1, Ordering::Relaxed);
                    if this.incoming.as_ref().is_some_and(Body::is_end_stream) {
                        this.end(COMPLETE);
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
                Poll::Ready(Some(Err(error))) => {
                    this.end(BROKEN);
                    Poll::Ready(Some(Err(error.into())))
                }
                Poll::Ready(None)
                    if this.must_say_its_end && !this.incoming.as_ref().is_some_and(Body::is_end_stream) =>
                {
                    this.end(BROKEN);
                    Poll::Ready(Some(Err(BodyError::GivenUp)))
                }
                Poll::Ready(None) => {
                    this.end(COMPLETE);
                    Poll::Ready(None)
                }
                Poll::Pending if this.patience.is_exhausted(cx) => {
                    this.end(STALLED);
                    Poll::Ready(Some(Err(BodyError::ClientStalled)))
                }
                Poll::Pending => Poll::Pending,
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Ours: a page or problem details.
    Ours(Full<Bytes>),
    /// The application's, as it comes.
    Bank(Box<BankBody>),
}

/// The application's answer on its way to the client, with the connection it comes on.
#[derive(Debug)]
pub struct BankBody {
    incoming: Incoming,
    patience: Patience,
    lease: Option<Lease>,
    after: AfterAnswer,
    upload: Arc<Upload>,
    sealer: Arc<Sealer>,
}

/// What becomes of the connection when the answer is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterAnswer {
    Keep,
    /// The application said that it would close.
    Close,
}

impl AnswerBody {
    pub(super) fn bank(
        incoming: Incoming,
        response_timeout: Duration,
        lease: Lease,
        after: AfterAnswer,
        upload: Arc<Upload>,
        sealer: Arc<Sealer>,
    ) -> Self {
        let patience = Patience::new(response_timeout);
        let mut body = BankBody { incoming, patience, lease: Some(lease), after, upload, sealer };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        Self::Bank(Box::new(body))
    }
}

impl BankBody {
    /// The whole answer was read: the connection may serve again, if the whole request had been sent too. Otherwise
    /// the application answered early, and the rest of the request would be read as the next one (HTP-02).
    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.after == AfterAnswer::Keep
            && self.upload.is_complete()
        {
            lease.give_back();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.patience.renew();
                if let Some(trailers) = frame.trailers_mut() {
                    self.sealer.scrubber().clean_answer(trailers);
                }
                if self.incoming.is_end_stream() {
                    self.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Pending if self.patience.is_exhausted(cx) => {
                self.lease = None;
                Poll::Ready(Some(Err(BodyError::BankStalled)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Ours(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Bank(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ours(body) => body.is_end_stream(),
            Self::Bank(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ours(body) => body.size_hint(),
            Self::Bank(body) => body.incoming.size_hint(),
        }
    }
}
