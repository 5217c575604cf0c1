//! An export: every transfer of some days, a chunk at a time.

use std::sync::Arc;

use redb::ReadTransaction;

use super::desk::guarded;
use super::read;
use super::shelf::{Failure, Place};
use crate::domain::JstDate;
use crate::store::ledger::{StoreError, Transfer};

/// How many transfers it holds in memory at a time.
const CHUNK: usize = 1_000;

/// An export: a view that stands still, read in chunks. While it lives the file cannot reuse room: read it or drop it.
#[derive(Debug)]
pub struct Transfers {
    view: Arc<ReadTransaction>,
    next: Option<Place>,
    to: JstDate,
}

impl Transfers {
    /// Those accepted from one day to another, both included.
    pub(super) fn of(view: ReadTransaction, from: JstDate, to: JstDate) -> Self {
        Self { view: Arc::new(view), next: Some((from.to_number(), 0)), to }
    }

    /// The next of them, in the order of their reservation; empty at the end.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn next_chunk(&mut self) -> Result<Vec<Transfer>, StoreError> {
        let Some(from) = self.next else { return Ok(Vec::new()) };
        let (view, to) = (Arc::clone(&self.view), self.to);
        let (chunk, next) = beside(move || read::chunk(&view, from, to, CHUNK)).await?;
        self.next = next;
        Ok(chunk)
    }
}

/// Looks at the file on a thread for blocking work.
pub(super) async fn beside<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    let looked = tokio::task::spawn_blocking(move || guarded(look)).await;
    match looked {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(failure)) => Err(StoreError::Unavailable(failure.to_string())),
        Err(_) => Err(StoreError::Unavailable("the runtime is shutting down".into())),
    }
}
