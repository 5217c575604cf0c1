//! Which transfers the end of a file tells of, so that a start finds those that the process before it could not tell any more.
//!
//! The ledger may be on the disk before the line is: a process that is killed takes the records that were still waiting
//! with it. They were written in the order in which they were made, so only what was settled shortly before the last line, or
//! after it, can be missing. Whoever tells something twice does no harm; what is never told cannot be found again.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::action::{Action, TransferState};
use super::chain::Sealed;
use super::line::{RECOVERED, STARTED};
use super::tail::{Backwards, TailError};

/// The reason of a transfer that was under way when its gateway ended: nobody knows what became of it.
pub const GATEWAY_ENDED: &str = "gateway_ended";
/// The reason of a transfer that its gateway had settled and did not tell before it ended.
pub const RESTART: &str = "restart";

/// How far a worker that settles and then records can lag behind another one.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);
/// The most that is read, so that no log makes a start slow. What was named before it is told again.
const MOST_BYTES: u64 = 64 << 20;

/// The transfers that were told last.
#[derive(Debug)]
pub struct ToldLast {
    since: Timestamp,
    named: HashSet<(String, String)>,
}

impl ToldLast {
    /// Reads the end of a file; `None` where no line stands in it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        let (mut named, mut last, mut earliest) = (HashSet::new(), None, None);
        for line in Backwards::from(&file, end) {
            let line = match line {
                Ok(line) => line,
                Err(TailError::Io(error)) => return Err(error),
                // What stands before it is not ours either.
                Err(TailError::Foreign(_)) => break,
            };
            // What a crash tore names nothing.
            let Ok(sealed) = Sealed::read(line.content()) else { continue };
            let Ok(at) = sealed.time().parse::<Timestamp>() else { continue };
            if last.is_none() && !is_of_a_start(&sealed) {
                last = Some(at);
            }
            let is_too_old = last.is_some_and(|last: Timestamp| last.duration_since(at) > MARGIN + MARGIN);
            if is_too_old || end - line.offset > MOST_BYTES {
                break;
            }
            earliest = Some(at);
            named.extend(sealed.transfer());
        }
        // Where nothing but starts stands there, all of them may have been cut short.
        let last = last.or(earliest);
        Ok(last.map(|last| Self { since: last.checked_sub(MARGIN).unwrap_or(Timestamp::MIN), named }))
    }

    /// What was settled before then is told.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether a transfer is told to have come into this state.
    pub fn names(&self, transfer: &str, state: TransferState) -> bool {
        self.named.contains(&(transfer.to_owned(), state.word().to_owned()))
    }
}

/// Whether a start writes it before everything that the process before left untold is told: it proves nothing.
fn is_of_a_start(line: &Sealed) -> bool {
    let transfer = Action::Transfer(TransferState::Unknown).word();
    match line.action() {
        STARTED | RECOVERED => true,
        action if action == transfer => [GATEWAY_ENDED, RESTART].contains(&line.reason()),
        _ => false,
    }
}
