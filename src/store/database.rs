//! A file of ours (redb): how it is opened, and why it does not take part.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database};

/// What the file holds does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store is damaged: {0}")]
pub(in crate::store) struct Damage(pub &'static str);

/// Why the file does not take part.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Failure {
    /// The disk, or the database on it.
    #[error(transparent)]
    Disk(Box<redb::Error>),
    /// What is stored makes no sense.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// Written by another version of this program.
    #[error("the store has format {0}, which this version does not read")]
    Format(u32),
    /// Something else lies where the store was.
    #[error("another store lies in the place of this one, or an older copy of it")]
    Replaced,
    /// The database gave up on what it read.
    #[error("the database stopped at what it read")]
    Panic,
}

macro_rules! failure_from {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Self::Disk(Box::new(error.into()))
            }
        }
    )*};
}
failure_from!(StorageError, TableError, TransactionError, CommitError, DatabaseError);

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

/// Runs something that reads the file. The database panics at some kinds of damage; here that is an error like others.
pub(in crate::store) fn guarded<T>(act: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(Failure::Panic))
}
