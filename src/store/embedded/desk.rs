//! The open file and the state in memory that belongs to it: what one transaction needs.

use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::book::Book;
use super::shelf::Shelf;
use crate::store::database::Failure;

/// The open file and its state.
#[derive(Debug)]
pub(super) struct Desk {
    database: Database,
    book: Book,
}

impl Desk {
    /// Reads what is open in a file; the second value tells whether it is new.
    pub fn open(database: Database, retention_days: i32) -> Result<(Self, bool), Failure> {
        let transaction = database.begin_write()?;
        let (shelf, is_new) = Shelf::open(&transaction)?;
        let book = Book::load(&shelf, retention_days)?;
        drop(shelf);
        transaction.commit()?;
        Ok((Self { database, book }, is_new))
    }

    /// Does something in one transaction, durable when this returns; the second value tells whether it wrote.
    ///
    /// # Errors
    /// Then nobody knows whether it was written, and the book no longer fits the file: open it again.
    pub fn act<T>(
        &mut self,
        act: impl FnOnce(&mut Book, &mut Shelf<'_>) -> Result<T, Failure>,
    ) -> Result<(T, bool), Failure> {
        // The default durability is what we promise: one fdatasync before commit returns.
        let transaction = self.database.begin_write()?;
        let (mut shelf, _) = Shelf::open(&transaction)?;
        let value = act(&mut self.book, &mut shelf)?;
        self.book.finish(&mut shelf)?;
        let changed = shelf.changed();
        drop(shelf);
        if changed {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok((value, changed))
    }

    /// A view of everything committed so far.
    pub fn read(&self) -> Result<ReadTransaction, Failure> {
        Ok(self.database.begin_read()?)
    }

    /// The state.
    pub fn book(&self) -> &Book {
        &self.book
    }
}
