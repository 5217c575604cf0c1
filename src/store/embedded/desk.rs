//! The open file and the state in memory that belongs to it: what one transaction needs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadTransaction, ReadableDatabase as _};

use super::book::Book;
use super::shelf::{Failure, Shelf};

/// What the database may keep in memory. The rows that matter are in the book; this is for the trees above them.
const CACHE_BYTES: usize = 64 << 20;

/// When a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Occasion {
    /// At the start: what is not there is made.
    Start,
    /// After a failure: what is not there has been taken away, and an empty store must not take its place.
    Again,
}

/// How the file is opened: a function, so that tests can put a failing disk under it.
pub(in crate::store) type OpenDatabase = Box<dyn FnMut(Occasion) -> Result<Database, Failure> + Send>;

/// Opens a file that only we can read, under an exclusive lock.
pub(in crate::store) fn in_file(path: PathBuf) -> OpenDatabase {
    Box::new(move |occasion| match occasion {
        Occasion::Start => {
            make(&path).map_err(redb::DatabaseError::from)?;
            Ok(builder().create(&path)?)
        }
        Occasion::Again => Ok(builder().open(&path)?),
    })
}

/// Makes the file if there is none, and its name durable: a store that vanishes with the power is an older one.
fn make(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// With our settings.
pub(in crate::store) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

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

/// Runs something that reads the file. The database panics at some kinds of damage; here that is an error like others.
pub(in crate::store) fn guarded<T>(act: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(Failure::Panic))
}
