//! The end of an existing file: where the chain goes on, what a crash tore, how far the ledger had come.
//!
//! The file is read backwards, so that a start does not take longer as the log grows.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

use super::chain::{Chain, Digest, Sealed};
use super::line::{OPENING, name};
use super::record::StoreMark;

/// The most that is read to find one line, and the most that a crash can tear.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Marks of the ledger are compared this far back: workers record them slightly out of order.
const MARKS_WITHIN_BYTES: u64 = 1 << 20;
const BLOCK_BYTES: u64 = 64 << 10;

/// Bytes after the last whole line, without a newline that ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Torn {
    pub bytes: u64,
    pub digest: Digest,
}

impl Torn {
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, digest: Digest::of(bytes) }
    }
}

/// What the end of a file tells.
#[derive(Debug)]
pub(super) struct Tail {
    pub chain: Chain,
    pub torn: Option<Torn>,
    /// The file does not end with a newline.
    pub open_ended: bool,
    pub store: Option<StoreMark>,
}

/// Why the end of a file cannot be read.
#[derive(Debug)]
pub(super) enum TailError {
    Io(io::Error),
    /// What stands at this offset was never a line of this log.
    Foreign(u64),
}

impl From<io::Error> for TailError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Tail {
    /// Reads the end of a file.
    pub fn read(file: &File) -> Result<Self, TailError> {
        let length = file.metadata()?.len();
        let mut torn_from = length;
        let mut open_ended = false;
        let mut chain = Chain::START;
        for line in Backwards::from(file, length) {
            let line = line?;
            let content = line.content();
            if line.is_ended() {
                if let Ok(sealed) = Sealed::read(content) {
                    chain = sealed.chain();
                    break;
                }
                // A crash between the newline and the line that tells of the torn bytes leaves a beginning of ours.
                let ours = content.starts_with(OPENING) || (!content.is_empty() && OPENING.starts_with(content));
                if !ours {
                    return Err(TailError::Foreign(line.offset));
                }
            } else {
                open_ended = true;
            }
            if length - line.offset > MAX_BYTES as u64 {
                return Err(TailError::Foreign(line.offset));
            }
            torn_from = line.offset;
        }
        let mut bytes = vec![0; usize::try_from(length - torn_from).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, torn_from)?;
        let torn = (!bytes.is_empty()).then(|| Torn::of(bytes.strip_suffix(b"\n").unwrap_or(&bytes)));
        Ok(Self { chain, torn, open_ended, store: last_mark(file, torn_from)? })
    }
}

/// The ledger's mark in the last records that carry one, wherever they are.
fn last_mark(file: &File, end: u64) -> Result<Option<StoreMark>, TailError> {
    let finder = memmem::Finder::new(name::STORE_SEQUENCE);
    let mut found = Vec::new();
    for line in Backwards::from(file, end) {
        let line = line?;
        if !found.is_empty() && end - line.offset > MARKS_WITHIN_BYTES {
            break;
        }
        if finder.find(&line.bytes).is_some() {
            found.extend(Sealed::read(line.content()).ok().and_then(|sealed| sealed.store()));
        }
    }
    let mut known = None;
    for (mark, accepted) in found.into_iter().rev() {
        StoreMark::learn(&mut known, mark, accepted);
    }
    Ok(known)
}

/// The lines of a file, the last first.
pub(super) struct Backwards<'a> {
    file: &'a File,
    /// Where `window` begins in the file.
    start: u64,
    /// What was read and not yet given out; it ends where a line ends.
    window: Vec<u8>,
}

pub(super) struct LineAt {
    pub offset: u64,
    bytes: Vec<u8>,
}

impl LineAt {
    fn is_ended(&self) -> bool {
        self.bytes.last() == Some(&b'\n')
    }

    pub fn content(&self) -> &[u8] {
        self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes)
    }
}

impl<'a> Backwards<'a> {
    pub fn from(file: &'a File, end: u64) -> Self {
        Self { file, start: end, window: Vec::new() }
    }

    /// Reads one block more, in front of the window.
    fn widen(&mut self) -> io::Result<()> {
        let size = self.start.min(BLOCK_BYTES);
        let mut block = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut block, self.start - size)?;
        block.append(&mut self.window);
        self.window = block;
        self.start -= size;
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<LineAt>, TailError> {
        loop {
            let before_last = self.window.len().saturating_sub(1);
            if let Some(newline) = memchr::memrchr(b'\n', &self.window[..before_last]) {
                let bytes = self.window.split_off(newline + 1);
                return Ok(Some(LineAt { offset: self.start + newline as u64 + 1, bytes }));
            }
            if self.start == 0 {
                let bytes = std::mem::take(&mut self.window);
                return Ok((!bytes.is_empty()).then_some(LineAt { offset: 0, bytes }));
            }
            if self.window.len() > MAX_BYTES {
                return Err(TailError::Foreign(self.start));
            }
            self.widen()?;
        }
    }
}

impl Iterator for Backwards<'_> {
    type Item = Result<LineAt, TailError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}
