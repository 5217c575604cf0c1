//! A disk that fails when told to, and that can lose its power.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::store::database::{OpenDatabase, builder};
use redb::StorageBackend;

/// Power is lost in blocks of this size: of a write that was not synced, some blocks may arrive and others not.
const BLOCK: usize = 512;

#[derive(Debug, Default)]
struct Content {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What survives for certain.
    synced: Vec<u8>,
    /// How many more calls succeed.
    left: Option<u64>,
    /// How many calls were made.
    calls: u64,
    /// The largest size, if the disk is full there.
    size: Option<u64>,
}

/// A disk in memory. Copies are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Content>>);

impl Disk {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    /// How the ledger opens it.
    pub fn opening(&self) -> OpenDatabase {
        let disk = self.clone();
        Box::new(move |_| Ok(builder().create_with_backend(disk.clone())?))
    }

    /// Writes, syncs and changes of size so far.
    pub fn calls(&self) -> u64 {
        self.content().calls
    }

    /// Every call after so many more fails.
    pub fn fail_after(&self, calls: u64) {
        self.content().left = Some(calls);
    }

    /// The disk has no room beyond its present size.
    pub fn fill(&self) {
        let mut content = self.content();
        content.size = Some(content.seen.len() as u64);
    }

    /// Everything works again.
    pub fn mend(&self) {
        let mut content = self.content();
        (content.left, content.size) = (None, None);
    }

    /// The same disk after a loss of power: what was synced, and of the rest the blocks that `seed` picks.
    pub fn after_a_crash(&self, seed: u64) -> Self {
        let content = self.content();
        let mut left = content.synced.clone();
        left.resize(content.synced.len().max(content.seen.len()), 0);
        for (number, block) in left.chunks_mut(BLOCK).enumerate() {
            let at = number * BLOCK;
            let mut hasher = DefaultHasher::new();
            (seed, number).hash(&mut hasher);
            let Some(written) = content.seen.get(at..(at + block.len()).min(content.seen.len())) else { continue };
            // Seed 0 loses all of it, seed 1 nothing.
            if seed == 1 || (seed > 1 && hasher.finish().is_multiple_of(2)) {
                block[..written.len()].copy_from_slice(written);
            }
        }
        Self(Arc::new(Mutex::new(Content { seen: left.clone(), synced: left, ..Content::default() })))
    }
}

impl Content {
    fn call(&mut self) -> Result<(), Error> {
        self.calls += 1;
        match &mut self.left {
            Some(0) => Err(Error::other("the disk failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.content().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let at = usize::try_from(offset).unwrap();
        let content = self.content();
        let from = content.seen.get(at..at + out.len()).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut content = self.content();
        content.call()?;
        if content.size.is_some_and(|size| len > size) {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        content.seen.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut content = self.content();
        content.call()?;
        content.synced = content.seen.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut content = self.content();
        let outcome = content.call();
        let at = usize::try_from(offset).unwrap();
        // A write that fails may have been done in part.
        let done = if outcome.is_ok() { data.len() } else { data.len() / 2 };
        content.seen[at..at + done].copy_from_slice(&data[..done]);
        outcome
    }
}
