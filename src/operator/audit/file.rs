//! The file: opened for appending alone, locked against a second gateway, with space reserved beyond its end.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

/// What `st_blocks` counts in, whatever the file system does.
const BLOCK_BYTES: u64 = 512;

/// What the writer asks of a disk. A trait because no test can fill a real one: the tests' own disk fails when told to.
pub(super) trait Disk: Send {
    /// Appends bytes, perhaps not all of them; tells how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until everything appended is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Sets space aside from an offset on, without changing the file's length.
    fn reserve(&mut self, offset: u64, bytes: u64) -> io::Result<()>;
    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Goes over to a new file, if the old one was moved away.
    fn rotate(&mut self) -> Result<Rotation, RotateError>;
}

/// What became of a request to go over to a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The file is where it was; nothing to do.
    Unmoved,
    /// A new file goes on with the chain.
    Began,
}

/// Why there is no new file; the old one is still written.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The rest of the old file cannot be written yet.
    #[error("the rest of the old file cannot be written yet")]
    Unfinished,
    /// The new file cannot be made or locked.
    #[error("the new file cannot be opened")]
    Open(#[from] OpenError),
    /// Something already stands in the new file.
    #[error("the new file is not empty")]
    NotEmpty,
    /// The writer has ended.
    #[error("nothing writes the audit log")]
    Gone,
}

/// Why the audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refuses.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Another gateway writes it.
    #[error("another gateway writes {}", .0.display())]
    Locked(PathBuf),
    /// The chain cannot go on from what stands at its end. Move it away; a new file is begun where there is none.
    #[error("{} holds at byte {offset} what is no audit record: move the file away, and keep it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// The file system cannot set space aside, so a full disk would stop all transfers at once.
    #[error("the file system of {} cannot reserve space", path.display())]
    NoReserve {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The audit file on a real disk.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    pub file: File,
}

impl LogFile {
    /// Opens the file, making it (mode 0600) and its directory where they are missing, and locks it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let cannot = |source| OpenError::Io { path: path.to_owned(), source };
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(cannot)?;
        let known = metadata(path).map_err(cannot)?;
        // Opening a pipe would wait for its other end.
        if known.as_ref().is_some_and(|known| !known.is_file()) {
            return Err(OpenError::NotAFile(path.to_owned()));
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(cannot(source)),
        }
        if known.is_none() {
            // The name of a new file is on the disk only when its directory is.
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(cannot)?;
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Whether the name still stands for this file.
    fn is_in_place(&self) -> io::Result<bool> {
        let (ours, there) = (self.file.metadata()?, metadata(&self.path)?);
        Ok(there.is_some_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
    }
}

impl Disk for LogFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn reserve(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        // A disk that is too small for it would give all that it has, and to nobody else any more.
        let disk = rustix::fs::fstatvfs(&self.file)?;
        let set_aside = (self.file.metadata()?.blocks() * BLOCK_BYTES).saturating_sub(offset);
        if bytes.saturating_sub(set_aside) > disk.f_bavail.saturating_mul(disk.f_frsize) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, bytes)?)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn rotate(&mut self) -> Result<Rotation, RotateError> {
        let cannot = |source| OpenError::Io { path: self.path.clone(), source };
        if self.is_in_place().map_err(cannot)? {
            return Ok(Rotation::Unmoved);
        }
        let new = Self::open(&self.path)?;
        if new.length().map_err(cannot)? > 0 {
            return Err(RotateError::NotEmpty);
        }
        // Cutting a file to its own length gives the reserved space back. Nothing is lost where that fails.
        let _ = self.length().and_then(|length| self.file.set_len(length));
        *self = new;
        Ok(Rotation::Began)
    }
}

fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
