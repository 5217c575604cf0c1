//! Reads an audit log again and says whether its chain is whole.
//!
//! Found are lines that were changed, removed, inserted, swapped or torn. Not found, without a head that was kept
//! elsewhere, is an end that was cut off, or a chain that was hashed anew from some line on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::chain::{Chain, Digest, Flaw, Sealed};
use super::tail::{MAX_BYTES, Torn};

/// What a whole chain consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records it has.
    pub records: u64,
    /// The first record.
    pub first: Position,
    /// The last.
    pub last: Position,
    /// The hash of the line before the first one, or `None` where the chain itself begins.
    pub continues: Option<Digest>,
    /// Where a crash tore the end, and the gateway went on.
    pub recoveries: Vec<Recovery>,
    /// The hash of the last line, to be kept elsewhere.
    pub head: Digest,
    /// Bytes after the last whole line: being written, or torn by a crash.
    pub unfinished: Option<u64>,
    /// Where the head that was kept elsewhere stands.
    pub kept: Option<Kept>,
}

/// A record's place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub sequence: u64,
    /// Its `@timestamp`.
    pub time: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line's number, from 1.
    pub line: u64,
}

/// Torn bytes that the gateway told of when it started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The record that tells of them.
    pub told_at: Place,
    /// How many there are.
    pub bytes: u64,
}

/// Where a head that was kept elsewhere was found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The first line follows it.
    BeforeTheFirst,
    /// It is this line's hash.
    At(Place),
}

/// Why a log is not believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is not a single record.
    #[error("there is no record")]
    Empty,
    /// A line does not fit.
    #[error("the chain is broken at {} line {}", place.file.display(), place.line)]
    Broken {
        /// The first line that does not fit.
        place: Place,
        /// Why it does not.
        #[source]
        flaw: Flaw,
    },
    /// The chain is whole, but it is another one, or its end was cut off.
    #[error("the kept head {0} is the hash of no line: the end was cut off, or the chain was hashed anew")]
    HeadNotFound(Digest),
}

/// Reads files in the order given, as one chain, and looks for `kept` where it is given.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(files: &[PathBuf], kept: Option<Digest>) -> Result<Verified, VerifyError> {
    let mut check = Check { kept, ..Check::default() };
    let mut unfinished = None;
    for (number, path) in files.iter().enumerate() {
        let cannot = |source| VerifyError::Io { path: path.clone(), source };
        let mut reader = BufReader::new(File::open(path).map_err(cannot)?);
        let mut content = Vec::new();
        let mut line = 0;
        while next_line(&mut reader, &mut content).map_err(cannot)? {
            line += 1;
            let place = || Place { file: path.clone(), line };
            let ended = content.pop_if(|last| *last == b'\n').is_some();
            if !ended && content.len() > MAX_BYTES {
                return Err(VerifyError::Broken { place: place(), flaw: Flaw::TooLong });
            }
            if !ended && number + 1 == files.len() {
                unfinished = Some(content.len() as u64);
            } else {
                check.line(&content, path, line)?;
            }
        }
    }
    check.finish(unfinished)
}

/// The next line with its newline; without one where the file ends, or where the line is longer than any record.
fn next_line(reader: &mut impl BufRead, content: &mut Vec<u8>) -> io::Result<bool> {
    content.clear();
    Ok(reader.take(MAX_BYTES as u64 + 1).read_until(b'\n', content)? > 0)
}

/// The chain as far as it was read.
///
/// Torn bytes are known as such only by the record after them, so lines that do not fit wait for it. It may also come
/// after a line that did fit: one that a crash robbed of nothing but its newline. Hence the branches.
#[derive(Debug, Default)]
struct Check {
    state: State,
    /// What holds instead if the last line that fits turns out to be torn.
    branches: Vec<Branch>,
    /// Lines since then, which do not fit.
    waiting: Option<Waiting>,
    first: Option<(Position, Digest)>,
    last: Option<Position>,
    recoveries: Vec<Recovery>,
    kept: Option<Digest>,
    kept_at: Option<Kept>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// `None` before the first line.
    chain: Option<Chain>,
    records: u64,
    recoveries: usize,
}

#[derive(Debug)]
struct Branch {
    state: State,
    /// All bytes since, without the last newline.
    torn: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    first: Place,
    flaw: Flaw,
    bytes: Vec<u8>,
}

/// How a line goes on with the chain.
enum Way {
    /// After the last line, or after the torn bytes that wait.
    Next,
    /// After torn bytes that seemed to fit.
    Instead(usize),
}

impl Check {
    fn line(&mut self, content: &[u8], file: &Path, line: u64) -> Result<(), VerifyError> {
        let place = || Place { file: file.to_owned(), line };
        match Sealed::read(content).and_then(|sealed| self.fits(&sealed).map(|way| (sealed, way))) {
            Ok((sealed, way)) => {
                self.accept(&sealed, &way, content, place);
                Ok(())
            }
            Err(flaw) => self.wait(content, flaw, place),
        }
    }

    fn fits(&self, line: &Sealed) -> Result<Way, Flaw> {
        let follows = |state: State| state.chain.unwrap_or_else(|| line.claimed()).check(line);
        match (&self.waiting, line.recovery()) {
            (None, None) => follows(self.state).map(|()| Way::Next),
            (Some(waiting), None) => Err(waiting.flaw),
            (Some(waiting), Some(torn)) if torn == Torn::of(&waiting.bytes) => follows(self.state).map(|()| Way::Next),
            (Some(_), Some(_)) => Err(Flaw::WrongRecovery),
            (None, Some(torn)) => {
                let told = |branch: &Branch| torn == Torn::of(&branch.torn) && follows(branch.state).is_ok();
                self.branches.iter().position(told).map(Way::Instead).ok_or(Flaw::WrongRecovery)
            }
        }
    }

    fn accept(&mut self, sealed: &Sealed, way: &Way, content: &[u8], place: impl Fn() -> Place) {
        let before = self.state;
        let (state, torn) = match way {
            Way::Next => (before, self.waiting.take().map(|waiting| waiting.bytes)),
            Way::Instead(number) => {
                let branch = self.branches.swap_remove(*number);
                (branch.state, Some(branch.torn))
            }
        };
        self.recoveries.truncate(state.recoveries);
        if let Some(torn) = &torn {
            self.recoveries.push(Recovery { told_at: place(), bytes: torn.len() as u64 });
        }
        self.state =
            State { chain: Some(sealed.chain()), records: state.records + 1, recoveries: self.recoveries.len() };
        let since = torn.map_or_else(Vec::new, |torn| [&torn, &b"\n"[..]].concat());
        self.branches.clear();
        self.branches.push(Branch { state, torn: [&since, content].concat() });
        if let Way::Instead(_) = way {
            // To a gateway that starts after this line was torn too, the line before it is a whole one.
            self.branches.push(Branch { state: before, torn: content.to_vec() });
        }
        self.tell(sealed, state.records == 0, place);
    }

    fn tell(&mut self, sealed: &Sealed, is_first: bool, place: impl Fn() -> Place) {
        let position = Position { sequence: sealed.sequence, time: sealed.time().to_owned() };
        if is_first {
            self.first = Some((position.clone(), sealed.previous));
            if self.kept == Some(sealed.previous) {
                self.kept_at = Some(Kept::BeforeTheFirst);
            }
        }
        self.last = Some(position);
        if self.kept == Some(sealed.head) {
            self.kept_at = Some(Kept::At(place()));
        }
    }

    fn wait(&mut self, content: &[u8], flaw: Flaw, place: impl Fn() -> Place) -> Result<(), VerifyError> {
        match &mut self.waiting {
            None => self.waiting = Some(Waiting { first: place(), flaw, bytes: content.to_vec() }),
            Some(waiting) => {
                waiting.bytes.push(b'\n');
                waiting.bytes.extend_from_slice(content);
            }
        }
        match self.waiting.take_if(|waiting| waiting.bytes.len() > MAX_BYTES) {
            None => Ok(()),
            Some(waiting) => Err(waiting.into()),
        }
    }

    fn finish(self, unfinished: Option<u64>) -> Result<Verified, VerifyError> {
        if let Some(waiting) = self.waiting {
            return Err(waiting.into());
        }
        let (Some((first, previous)), Some(last), Some(chain)) = (self.first, self.last, self.state.chain) else {
            return Err(VerifyError::Empty);
        };
        if let (Some(kept), None) = (self.kept, &self.kept_at) {
            return Err(VerifyError::HeadNotFound(kept));
        }
        Ok(Verified {
            records: self.state.records,
            first,
            last,
            continues: (previous != Digest::NOTHING).then_some(previous),
            recoveries: self.recoveries,
            head: chain.head,
            unfinished,
            kept: self.kept_at,
        })
    }
}

impl From<Waiting> for VerifyError {
    fn from(waiting: Waiting) -> Self {
        Self::Broken { place: waiting.first, flaw: waiting.flaw }
    }
}
