//! What goes back to the client: the page, and the ways in which its body may come.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use encoding_rs::SHIFT_JIS;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::faults::Gate;
use super::gzip;

/// A redirection has a body too, as servlet containers write it, so that it can be broken off.
const MOVED: &str = "<html><head><title>302</title></head><body><p>画面を移動します。</p></body></html>\n";

/// An answer of the application.
#[derive(Debug)]
pub(super) enum Reply {
    Page(StatusCode, String),
    Json(String),
    /// 302 to a path of its own.
    Redirect(String),
}

impl Reply {
    /// The answer as HTTP, its body whole.
    pub(super) fn into_response(self) -> Response<Paced> {
        let (status, content_type, location, body) = match self {
            Self::Page(status, html) => (status, "text/html; charset=Windows-31J", None, windows_31j(&html)),
            Self::Json(json) => (StatusCode::OK, "application/json; charset=UTF-8", None, Bytes::from(json)),
            Self::Redirect(to) => (StatusCode::FOUND, "text/html; charset=Windows-31J", Some(to), windows_31j(MOVED)),
        };
        let mut response = Response::new(Paced::whole(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(location.and_then(|to| HeaderValue::try_from(to).ok()).map(|to| (LOCATION, to)));
        response
    }
}

fn windows_31j(html: &str) -> Bytes {
    Bytes::from(SHIFT_JIS.encode(html).0.into_owned())
}

/// How a body comes.
#[derive(Debug)]
pub(super) enum Pace {
    Gzip,
    Chunked,
    /// The second half when the gate opens.
    Halves(Gate),
    /// The second half never.
    Half,
}

/// The same answer with its body at another pace.
pub(super) fn paced(response: Response<Paced>, pace: Pace) -> Response<Paced> {
    let (mut parts, body) = response.into_parts();
    let content = body.into_content();
    let (first, second) = (content.slice(..content.len() / 2), content.slice(content.len() / 2..));
    let announced = HeaderValue::from(content.len());
    let body = match pace {
        Pace::Gzip => {
            parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Paced::whole(Bytes::from(gzip::stored(&content)))
        }
        Pace::Chunked => Paced::of([Step::Data(first), Step::Breathe, Step::Data(second)]),
        Pace::Halves(gate) => {
            parts.headers.insert(CONTENT_LENGTH, announced);
            let gate = Box::pin(async move { gate.pass().await });
            Paced::of([Step::Data(first), Step::Breathe, Step::Wait(gate), Step::Data(second)])
        }
        Pace::Half => {
            parts.headers.insert(CONTENT_LENGTH, announced);
            Paced::of([Step::Data(first), Step::Breathe, Step::Break])
        }
    };
    Response::from_parts(parts, body)
}

enum Step {
    Data(Bytes),
    /// Lets the connection write out what it has: a body that breaks at once takes what was before it along.
    Breathe,
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    Break,
}

/// A body that comes in steps.
pub(super) struct Paced {
    steps: VecDeque<Step>,
    /// Whether its length is known to the connection, which then announces it.
    is_whole: bool,
}

impl Paced {
    fn whole(content: Bytes) -> Self {
        Self { steps: VecDeque::from([Step::Data(content)]), is_whole: true }
    }

    fn of(steps: impl Into<VecDeque<Step>>) -> Self {
        Self { steps: steps.into(), is_whole: false }
    }

    fn into_content(self) -> Bytes {
        let data = self.steps.into_iter().find_map(|step| match step {
            Step::Data(content) => Some(content),
            Step::Breathe | Step::Wait(_) | Step::Break => None,
        });
        data.unwrap_or_default()
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            match self.steps.front_mut() {
                None => return Poll::Ready(None),
                Some(Step::Data(content)) => {
                    let content = std::mem::take(content);
                    self.steps.pop_front();
                    if !content.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(content))));
                    }
                }
                Some(Step::Breathe) => {
                    self.steps.pop_front();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(gate)) => {
                    ready!(gate.as_mut().poll(context));
                    self.steps.pop_front();
                }
                Some(Step::Break) => return Poll::Ready(Some(Err(BrokenOff))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Data(content) if content.is_empty()))
    }

    fn size_hint(&self) -> SizeHint {
        let left = |step: &Step| match step {
            Step::Data(content) => u64::try_from(content.len()).unwrap_or(u64::MAX),
            Step::Breathe | Step::Wait(_) | Step::Break => 0,
        };
        if self.is_whole { SizeHint::with_exact(self.steps.iter().map(left).sum()) } else { SizeHint::default() }
    }
}

/// The bank closes the connection here.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bank broke off")
    }
}

impl std::error::Error for BrokenOff {}
