//! The body of an answer on its way to the client: passed on as it comes, with the connection it comes on.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc;

use super::exchange::{Exchange, Failure};
use super::seal::Sealer;
use crate::wire::framing::{Framing, Part};

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Known in whole: ours, or a short one of the application.
    Whole(Full<Bytes>),
    /// The application's, as it comes.
    Streamed(Box<Download>),
    /// The same, while the request is still being sent.
    Relayed(mpsc::Receiver<Result<Frame<Bytes>, Failure>>),
    /// Longer than was read of it: what was read, then the rest.
    Resumed(Option<Bytes>, Box<AnswerBody>),
}

/// What was read of a page.
#[derive(Debug)]
pub(super) enum PageRead {
    /// All of it.
    Whole(Bytes),
    /// It is longer than may be read.
    TooLong,
}

/// The application's answer, with the exchange it is part of.
#[derive(Debug)]
pub struct Download {
    /// Until the end of the body.
    exchange: Option<Exchange>,
    framing: Framing,
    keeps_alive: bool,
    sealer: Arc<Sealer>,
}

impl AnswerBody {
    /// The body that follows a head.
    pub(super) fn of_bank(mut exchange: Exchange, framing: Framing, keeps_alive: bool, sealer: &Arc<Sealer>) -> Self {
        let is_sent = exchange.is_sent();
        let mut whole = None;
        if let Some(left) = framing.left()
            && let Ok(left) = usize::try_from(left)
            && left <= exchange.input().len()
        {
            whole = Some(exchange.input().split_to(left).freeze());
        }
        let mut download = Download { exchange: Some(exchange), framing, keeps_alive, sealer: Arc::clone(sealer) };
        match whole {
            Some(whole) => {
                download.finish();
                Self::Whole(Full::new(whole))
            }
            None if is_sent => Self::Streamed(Box::new(download)),
            None => Self::Relayed(relay(download)),
        }
    }
}

impl AnswerBody {
    /// Reads a page up to `max` bytes. It is still to be passed on as it came.
    ///
    /// # Errors
    /// It broke off.
    pub(super) async fn read_page(mut self, max: usize) -> Result<(Self, PageRead), Failure> {
        let mut page = BytesMut::new();
        while let Some(frame) = self.frame().await {
            // Trailers of a page that is passed on with a length have no place.
            let Ok(data) = frame?.into_data() else { continue };
            page.extend_from_slice(&data);
            if page.len() > max {
                return Ok((Self::Resumed(Some(page.freeze()), Box::new(self)), PageRead::TooLong));
            }
        }
        let page = page.freeze();
        Ok((Self::Whole(Full::new(page.clone())), PageRead::Whole(page)))
    }
}

impl Download {
    fn finish(&mut self) {
        if let Some(exchange) = self.exchange.take()
            && self.keeps_alive
        {
            exchange.finish();
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.lease().count(&failure);
        }
        Poll::Ready(Some(Err(failure)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
            match self.framing.next(exchange.input()) {
                Ok(Part::Data(data)) => {
                    if self.framing == Framing::Nothing {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Part::End(trailers)) => {
                    self.finish();
                    return Poll::Ready(trailers.map(|mut trailers| {
                        self.sealer.scrubber().clean_answer(&mut trailers);
                        Ok(Frame::trailers(trailers))
                    }));
                }
                Ok(Part::Wanting) => match ready!(exchange.poll_body(cx)) {
                    Ok(true) => {}
                    Ok(false) if self.framing.ends_with_connection() => {
                        self.exchange = None;
                        return Poll::Ready(None);
                    }
                    Ok(false) => return self.fail(Failure::Closed),
                    Err(failure) => return self.fail(failure),
                },
                Err(malformed) => return self.fail(malformed.into()),
            }
        }
    }
}

/// The application answers before it has the whole request. From here on the two directions must not wait for each other,
/// so the exchange gets a task of its own, which ends with the answer, or when nobody listens any more.
fn relay(mut download: Download) -> mpsc::Receiver<Result<Frame<Bytes>, Failure>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let mut room = pin!(sender.reserve());
            let room = poll_fn(|cx| match download.exchange.as_mut().map(|exchange| exchange.send_on(cx)) {
                Some(Err(failure)) => Poll::Ready(Err(failure)),
                Some(Ok(())) | None => room.as_mut().poll(cx).map(Ok),
            });
            let (room, frame) = match room.await {
                Ok(Ok(room)) => tokio::select! {
                    () = sender.closed() => return,
                    frame = poll_fn(|cx| download.poll(cx)) => (room, frame),
                },
                Ok(Err(_)) => return,
                Err(failure) => {
                    let _ = sender.send(Err(failure)).await;
                    return;
                }
            };
            let Some(frame) = frame else { return };
            room.send(frame);
        }
    });
    receiver
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streamed(download) => download.poll(cx),
            Self::Relayed(frames) => frames.poll_recv(cx),
            Self::Resumed(first, rest) => match first.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => Pin::new(&mut **rest).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(download) => download.exchange.is_none(),
            Self::Relayed(_) => false,
            Self::Resumed(first, rest) => first.is_none() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(download) => download.framing.left().map(SizeHint::with_exact).unwrap_or_default(),
            Self::Relayed(_) => SizeHint::default(),
            Self::Resumed(first, rest) => {
                let first = first.as_ref().map_or(0, |first| first.len() as u64);
                rest.size_hint().exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest))
            }
        }
    }
}
