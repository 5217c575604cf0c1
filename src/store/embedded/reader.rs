//! The thread that reads beside the writer: a statement of a busy day has many pages, and orders do not wait for it.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use redb::ReadTransaction;

/// Looks at the file, and answers. One that is dropped tells its waiter that the store does not answer.
pub(super) type Look = Box<dyn FnOnce(&ReadTransaction) + Send>;

/// Reads what it is given, one after the other. While one looks at a view, the file cannot reuse the room of what it shows.
#[derive(Debug)]
pub(super) struct Reader {
    looks: Option<Sender<(ReadTransaction, Look)>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start() -> io::Result<Self> {
        let (sender, looks) = channel::<(ReadTransaction, Look)>();
        let read = move || looks.into_iter().for_each(|(view, look)| look(&view));
        let thread = thread::Builder::new().name("ledger-reader".into()).spawn(read)?;
        Ok(Self { looks: Some(sender), thread: Some(thread) })
    }

    /// Looks at a view when those before are done.
    pub fn look(&self, view: ReadTransaction, look: Look) {
        if let Some(looks) = &self.looks {
            // A reader that has ended drops the look, which tells its waiter.
            drop(looks.send((view, look)));
        }
    }
}

/// The file is open for as long as a view of it lives.
impl Drop for Reader {
    fn drop(&mut self) {
        self.looks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the ledger's reader panicked");
        }
    }
}
