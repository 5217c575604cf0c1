//! The ledger on its way out, piece by piece: memory holds two chunks of it, however long it is.
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

use super::view;
use crate::store::Transfers;
use crate::store::ledger::{StoreError, Transfer};

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
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonl",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    fn write(self, transfer: &Transfer, out: &mut String) {
        match self {
            Self::JsonLines => {
                out.push_str(&view::transfer(transfer).to_string());
                out.push('\n');
            }
            Self::Csv => out.push_str(&view::csv_line(transfer)),
        }
    }
}

enum Piece {
    Lines(String),
    End,
}

/// The body of an export.
#[derive(Debug)]
pub struct Export {
    pieces: Receiver<Result<Piece, StoreError>>,
    is_whole: bool,
}

impl Export {
    /// Begins to read.
    pub(super) fn of(transfers: Transfers, format: Format) -> Self {
        let (sender, pieces) = channel(1);
        tokio::spawn(feed(transfers, format, sender));
        Self { pieces, is_whole: false }
    }
}

async fn feed(mut transfers: Transfers, format: Format, sender: Sender<Result<Piece, StoreError>>) {
    let mut lines = match format {
        Format::JsonLines => String::new(),
        Format::Csv => view::CSV_HEADER.to_owned(),
    };
    loop {
        let chunk = transfers.next_chunk().await;
        let ended = chunk.as_ref().map_or(true, Vec::is_empty);
        let piece = chunk.map(|chunk| {
            chunk.iter().for_each(|transfer| format.write(transfer, &mut lines));
            Piece::Lines(std::mem::take(&mut lines))
        });
        let failed = piece.is_err();
        if sender.send_timeout(piece, PATIENCE).await.is_err() || failed {
            return;
        }
        if ended {
            // Whoever has gone needs no end.
            let _ = sender.send_timeout(Ok(Piece::End), PATIENCE).await;
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
