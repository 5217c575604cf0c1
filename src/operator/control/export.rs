//! The ledger, or the registry, on its way out, piece by piece: memory holds two pages of it, however long it is.
//!
//! An export that breaks off never looks whole: its last piece says that it is the last one, and where that piece is
//! missing the connection ends without the end of the answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Refused;
use super::view;
use crate::store::Transfers;

/// Whoever does not read for so long is left: the view of an export keeps the store from reusing room.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object per line.
    JsonLines,
    /// RFC 4180, with a header.
    Csv,
}

impl Format {
    /// The one that a query names; JSON lines where it names none.
    pub fn of(name: Option<String>) -> Result<Self, Refused> {
        match name.as_deref() {
            None | Some("jsonl") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(Refused::Malformed("\"format\" is \"jsonl\" or \"csv\"".into())),
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonl",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// What is exported, page by page; `None` is the end.
pub(super) trait Pages: Send + 'static {
    /// The next page, which may be empty.
    fn next_page(&mut self) -> impl Future<Output = Result<Option<String>, String>> + Send;
}

/// The ledger's transfers.
#[derive(Debug)]
pub(super) struct Listed {
    transfers: Transfers,
    format: Format,
    header: Option<&'static str>,
}

impl Listed {
    pub fn new(transfers: Transfers, format: Format) -> Self {
        let header = match format {
            Format::JsonLines => None,
            Format::Csv => Some(view::CSV_HEADER),
        };
        Self { transfers, format, header }
    }
}

impl Pages for Listed {
    async fn next_page(&mut self) -> Result<Option<String>, String> {
        let chunk = self.transfers.next_chunk().await.map_err(|error| error.to_string())?;
        let mut lines = self.header.take().map(str::to_owned);
        if !chunk.is_empty() {
            let out = lines.get_or_insert_default();
            for transfer in &chunk {
                match self.format {
                    Format::JsonLines => out.push_str(&format!("{}\n", view::transfer(transfer))),
                    Format::Csv => out.push_str(&view::csv_line(transfer)),
                }
            }
        }
        Ok(lines)
    }
}

enum Piece {
    Lines(String),
    End,
}

/// The body of an export.
#[derive(Debug)]
pub struct Export {
    pieces: Receiver<Result<Piece, String>>,
    is_whole: bool,
}

impl Export {
    /// Begins to read.
    pub(super) fn of(pages: impl Pages) -> Self {
        let (sender, pieces) = channel(1);
        tokio::spawn(feed(pages, sender));
        Self { pieces, is_whole: false }
    }
}

async fn feed(mut pages: impl Pages, sender: Sender<Result<Piece, String>>) {
    loop {
        let page = pages.next_page().await;
        let (failed, ended) = (page.is_err(), matches!(page, Ok(None)));
        let piece = page.map(|lines| lines.map_or(Piece::End, Piece::Lines));
        // Whoever has gone needs no end.
        if sender.send_timeout(piece, PATIENCE).await.is_err() || failed || ended {
            return;
        }
    }
}

impl Body for Export {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_whole {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Ok(Piece::Lines(lines))) => Some(Ok(Frame::data(lines.into()))),
            Some(Ok(Piece::End)) => {
                self.is_whole = true;
                None
            }
            Some(Err(error)) => {
                tracing::error!(%error, "an export broke off");
                Some(Err(io::Error::other(error)))
            }
            None => Some(Err(io::Error::other("the export broke off"))),
        })
    }
}
