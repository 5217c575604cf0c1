//! The body of a request on its way to the application: streamed as the client sends it, never collected.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::{Instant, Sleep};

use super::exchange::Failure;
use super::head::UploadFraming;
use crate::connection::body::RequestBody;
use crate::connection::visit::Progress;

/// A request's body. Trailers end here: applications of this age do not know them, and an identity might hide in one.
#[derive(Debug)]
pub(super) struct Upload {
    /// Until its end.
    incoming: Option<RequestBody>,
    framing: UploadFraming,
    /// Bytes passed on.
    passed: u64,
    /// The last part of an announced length, until the client says that it was the last: with it the request is complete
    /// for the application, and what is longer than announced must not be (RFC 9113 8.1.1).
    held: Option<Bytes>,
    patience: Patience,
    progress: Progress,
}

impl Upload {
    /// A body as it arrives. `length` is what the client announced.
    pub fn new(
        incoming: RequestBody,
        method: &http::Method,
        length: Option<u64>,
        body_timeout: Duration,
        progress: Progress,
    ) -> Self {
        let incoming = Some(incoming).filter(|body| !body.is_end_stream());
        let framing = match (length, &incoming) {
            (Some(length), _) => UploadFraming::Length(length),
            (None, Some(_)) => UploadFraming::Chunked,
            // These methods always have a body, though it be empty (RFC 9110 8.6).
            (None, None) if matches!(method.as_str(), "POST" | "PUT" | "PATCH") => UploadFraming::Length(0),
            (None, None) => UploadFraming::Nothing,
        };
        Self { incoming, framing, passed: 0, held: None, patience: Patience::new(body_timeout), progress }
    }

    /// How it is announced to the application.
    pub fn framing(&self) -> UploadFraming {
        self.framing
    }

    /// Whether the head alone would be a complete request, and the client has not said yet that it is.
    pub fn holds_back_the_head(&self) -> bool {
        self.framing == UploadFraming::Length(0) && self.incoming.is_some()
    }

    /// The next part; `None` at the end. Not to be asked again after an error.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            let Some(incoming) = &mut self.incoming else { return Poll::Ready(Ok(self.held.take())) };
            return Poll::Ready(match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.patience.renew();
                    let Ok(data) = frame.into_data() else { continue };
                    self.progress.made();
                    self.passed += data.len() as u64;
                    if self.incoming.as_ref().is_some_and(Body::is_end_stream) {
                        self.end()?;
                    }
                    match self.framing {
                        UploadFraming::Length(length) if self.passed > length => Err(Failure::ClientBroke),
                        _ if data.is_empty() => continue,
                        UploadFraming::Length(length) if self.passed == length && self.incoming.is_some() => {
                            self.held = Some(data);
                            continue;
                        }
                        _ => Ok(Some(data)),
                    }
                }
                Poll::Ready(Some(Err(_))) => Err(Failure::ClientBroke),
                Poll::Ready(None) => self.end().map(|()| self.held.take()),
                Poll::Pending if self.patience.is_exhausted(cx) => Err(Failure::ClientStalled),
                Poll::Pending => return Poll::Pending,
            });
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.incoming = None;
        match self.framing {
            UploadFraming::Length(length) if self.passed != length => Err(Failure::ClientBroke),
            UploadFraming::Length(_) | UploadFraming::Chunked | UploadFraming::Nothing => Ok(()),
        }
    }
}

/// Waits for a body no longer than its limit between two parts. The timer exists only while there is waiting.
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
