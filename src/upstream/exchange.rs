//! One request and its answer on one connection: sent while the client sends it, read while the application writes it.

use std::borrow::Cow;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use tokio::time::Instant;

use super::HostHeader;
use super::head::{RequestHead, UploadFraming, status_of};
use super::pool::Lease;
use super::upload::Upload;
use crate::refusal::Refusal;
use crate::wire::Malformed;

/// Interim answers (1xx) before the answer itself: a flood of them would keep a worker busy.
const MAX_INTERIM_ANSWERS: u32 = 16;

/// Why an exchange broke off.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client did not send for `body-timeout`.
    #[error("the client stopped sending")]
    ClientStalled,
    /// The client's body is longer than its route takes.
    #[error("the client's body is too long")]
    ClientExceeds,
    /// The client's body broke off, or was not as long as announced.
    #[error("the client's body broke off")]
    ClientBroke,
    /// The application did not answer, or did not go on, for `response-timeout`.
    #[error("the application took too long")]
    TooSlow,
    /// The connection to the application broke.
    #[error("the connection to the application broke: {0}")]
    Io(#[from] io::Error),
    /// The application closed the connection too early.
    #[error("the application closed the connection before the end of its answer")]
    Closed,
    /// The answer has no single meaning.
    #[error("the application's answer is malformed: {0}")]
    Malformed(#[from] Malformed),
}

impl Failure {
    /// The same in a word, for the record.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ClientStalled | Self::ClientExceeds | Self::ClientBroke => "client_broke",
            Self::TooSlow => "timeout",
            Self::Io(_) | Self::Closed => "connection_broke",
            Self::Malformed(_) => "answer_malformed",
        }
    }

    /// What the client is told, where it can still be told something.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::ClientStalled => Refusal::BodyTimeout,
            Self::ClientExceeds => Refusal::BodyTooLarge,
            Self::ClientBroke => Refusal::BadBody,
            Self::TooSlow => Refusal::UpstreamTimeout,
            Self::Io(_) | Self::Closed | Self::Malformed(_) => Refusal::UpstreamBroken,
        }
    }
}

/// An exchange under way. Dropped before its end, it takes the connection along.
#[derive(Debug)]
pub(super) struct Exchange {
    lease: Lease,
    upload: Upload,
    sending: Sending,
    interim_answers: u32,
    /// When the application will have been waited for too long; set while it is waited for.
    deadline: Option<Instant>,
}

/// How far the request is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// More of the body is to come.
    UnderWay,
    /// Its end is queued.
    End,
    /// The whole request has left.
    Done,
    /// The application takes no more. It may still answer.
    Stopped,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Client,
    Application,
}

impl Exchange {
    /// Queues the head; nothing leaves before the first poll.
    pub fn begin(mut lease: Lease, upload: Upload, head: &RequestHead, host: &HeaderValue) -> Self {
        let host = match lease.settings().host {
            HostHeader::Preserve => Cow::Borrowed(host.as_bytes()),
            HostHeader::Upstream => Cow::Owned(lease.server().authority.clone().into_bytes()),
        };
        head.write(&host, upload.framing(), lease.connection().outbox.head());
        Self { lease, upload, sending: Sending::UnderWay, interim_answers: 0, deadline: None }
    }

    /// The connection.
    pub fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }

    /// What has been read of the answer, and is not understood yet.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.lease.connection().input
    }

    /// Whether the whole request has left.
    pub fn is_sent(&self) -> bool {
        self.sending == Sending::Done
    }

    /// Ends a whole exchange: the connection may serve again, if nothing is left on it in either direction. Otherwise the
    /// application answered early, or said more than it was asked, and the rest would be read as the next one's (HTP-02).
    pub fn finish(mut self) {
        if self.is_sent() && self.input().is_empty() {
            self.lease.give_back();
        }
    }

    /// The head of the answer, in whole; interim answers are passed over.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
        let limit = self.lease.settings().max_header_bytes;
        loop {
            let input = self.input();
            let end = end_of_head(input);
            if end.unwrap_or(input.len()) > limit {
                return Poll::Ready(Err(Failure::Malformed(Malformed("a head beyond max-header-bytes"))));
            }
            if let Some(end) = end {
                let head = input.split_to(end).freeze();
                if !matches!(status_of(&head), Some(100 | 102..=199)) {
                    self.deadline = None;
                    return Poll::Ready(Ok(head));
                }
                self.interim_answers += 1;
                if self.interim_answers > MAX_INTERIM_ANSWERS {
                    return Poll::Ready(Err(Failure::Malformed(Malformed("too many interim answers"))));
                }
            } else if !begins_like_http(input) {
                return Poll::Ready(Err(Failure::Malformed(Malformed("no head of HTTP/1"))));
            } else if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Err(Failure::Closed));
            }
        }
    }

    /// Reads more of the answer's body; `false` at the end of the connection.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        let more = ready!(self.poll_more(cx));
        self.deadline = None;
        Poll::Ready(more)
    }

    /// Sends on while the answer is not asked for.
    pub fn send_on(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        self.send(cx).map(|_| ())
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        let turn = self.send(cx)?;
        if let Poll::Ready(read) = self.lease.connection().poll_read(cx)? {
            return Poll::Ready(Ok(read > 0));
        }
        // While the client is still sending, the application owes nothing.
        if turn == Turn::Client {
            return Poll::Pending;
        }
        let patience = self.lease.settings().response_timeout;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + patience);
        if self.lease.connection().is_past(deadline, cx) { Poll::Ready(Err(Failure::TooSlow)) } else { Poll::Pending }
    }

    /// Sends as much of the request as the client has sent and the application takes.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<Turn, Failure> {
        loop {
            let turn = match self.sending {
                Sending::UnderWay => self.queue(cx)?,
                Sending::End => Turn::Application,
                Sending::Done | Sending::Stopped => return Ok(Turn::Application),
            };
            if self.upload.holds_back_the_head() {
                return Ok(Turn::Client);
            }
            match self.lease.connection().poll_write(cx) {
                Poll::Pending => return Ok(Turn::Application),
                Poll::Ready(Err(_)) => self.sending = Sending::Stopped,
                Poll::Ready(Ok(())) if self.sending == Sending::End => self.sending = Sending::Done,
                Poll::Ready(Ok(())) if turn == Turn::Client => return Ok(Turn::Client),
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    /// Queues what the client has sent, as far as there is room: this is the back-pressure.
    fn queue(&mut self, cx: &mut Context<'_>) -> Result<Turn, Failure> {
        let is_chunked = self.upload.framing() == UploadFraming::Chunked;
        while self.lease.connection().outbox.has_room() {
            let Poll::Ready(part) = self.upload.poll_part(cx)? else { return Ok(Turn::Client) };
            self.deadline = None;
            let outbox = &mut self.lease.connection().outbox;
            match part {
                Some(part) if is_chunked => outbox.queue_chunk(part),
                Some(part) => outbox.queue(part, b""),
                None => {
                    if is_chunked {
                        outbox.head().extend_from_slice(b"0\r\n\r\n");
                    }
                    self.sending = Sending::End;
                    break;
                }
            }
        }
        Ok(Turn::Application)
    }
}

/// Where the first empty line ends. Every reader of HTTP takes LF for a line's end; it is never passed on as one.
fn end_of_head(input: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', input).find_map(|at| match input[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn begins_like_http(input: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"HTTP/1.";
    let compared = input.len().min(BEGINNING.len());
    input[..compared] == BEGINNING[..compared]
}
