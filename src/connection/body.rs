//! The body of a request, by whichever version it came.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::http1::Upload;
use super::visit::Progress;
use crate::refusal::Refusal;

/// The body of a request, unread.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// On an HTTP/1.1 connection.
    Http1(Upload),
    /// On a stream of HTTP/2.
    Http2(Incoming),
    /// Read in whole already; `None` once it has been passed on.
    Inspected(Option<Bytes>),
}

/// The client's body broke off, or was not framed as HTTP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's body broke off")]
pub struct BrokenBody;

impl RequestBody {
    /// Reads it in whole, up to `max` bytes and until `deadline`; trailers are left out.
    ///
    /// # Errors
    /// Too long, too slow, or broken off.
    pub async fn collect(
        mut self,
        max: usize,
        mut patience: Patience,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Bytes, Refusal> {
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        let mut overall = None;
        loop {
            let frame = poll_fn(|cx| match Pin::new(&mut self).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => {
                    let overall = overall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                    let too_slow = patience.is_exhausted(cx) || overall.as_mut().poll(cx).is_ready();
                    if too_slow { Poll::Ready(Err(Refusal::BodyTimeout)) } else { Poll::Pending }
                }
            });
            let Some(frame) = frame.await? else { break };
            patience.renew();
            let Ok(data) = frame.map_err(|BrokenBody| Refusal::BadBody)?.into_data() else { continue };
            progress.made();
            if first.len() + whole.len() + data.len() > max {
                return Err(Refusal::BodyTooLarge);
            }
            // Most bodies come in one part, which need not be copied.
            if first.is_empty() && whole.is_empty() {
                first = data;
            } else {
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&data);
            }
        }
        Ok(if whole.is_empty() { first } else { whole.freeze() })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Inspected(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Http1(upload) => upload.poll_frame(cx),
            Self::Http2(incoming) => match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BrokenBody))),
                // A stream can be given up by the client with NO_ERROR, which hyper reports as its end.
                Poll::Ready(None) if !incoming.is_end_stream() => Poll::Ready(Some(Err(BrokenBody))),
                Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(|_| BrokenBody))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Inspected(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Http1(upload) => upload.is_over(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }
}

/// Waits for a body no longer than its limit between two parts. The timer exists only while there is waiting.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// No longer than this between two parts.
    pub fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Something came.
    pub fn renew(&mut self) {
        self.timer = None;
    }

    /// Nothing came; `true` when it has been too long.
    pub fn is_exhausted(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx).is_ready()
    }
}
