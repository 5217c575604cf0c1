//! The body of a request, by whichever version it came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::http1::Upload;

/// The body of a request, unread.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// On an HTTP/1.1 connection.
    Http1(Upload),
    /// On a stream of HTTP/2.
    Http2(Incoming),
}

/// The client's body broke off, or was not framed as HTTP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's body broke off")]
pub struct BrokenBody;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
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
            Self::Http1(upload) => upload.is_over(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }
}
