//! The body of a request on its way to the application: streamed as the client sends it, never collected.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;

use super::exchange::Failure;
use super::head::UploadFraming;
use crate::connection::body::{Patience, RequestBody};
use crate::connection::visit::Progress;

/// A request's body. Trailers end here: applications of this age do not know them, and an identity might hide in one.
#[derive(Debug)]
pub(super) struct Upload {
    /// Until its end.
    incoming: Option<RequestBody>,
    framing: UploadFraming,
    /// Bytes passed on.
    passed: u64,
    /// The longest body that the route takes.
    max_body: Option<u64>,
    /// The last part of an announced length, until the client says that it was the last: with it the request is complete
    /// for the application, and what is longer than announced must not be (RFC 9113 8.1.1).
    held: Option<Bytes>,
    patience: Patience,
    progress: Progress,
}

/// How long a body may be, and how slow.
#[derive(Debug)]
pub(super) struct Bounds {
    /// The longest body that the route takes.
    pub max_body: Option<u64>,
    /// How long it may pause.
    pub patience: Patience,
}

impl Upload {
    /// A body as it arrives. `length` is what the client announced.
    pub fn new(
        incoming: RequestBody,
        method: &http::Method,
        length: Option<u64>,
        bounds: Bounds,
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
        let Bounds { max_body, patience } = bounds;
        Self { incoming, framing, passed: 0, max_body, held: None, patience, progress }
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
                        _ if self.max_body.is_some_and(|max| self.passed > max) => Err(Failure::ClientExceeds),
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
