//! Answers on their way from the thread that keeps a ledger to those who wait for them.
//!
//! To wake a worker that sleeps costs a system call and often a switch of threads, and one transaction answers dozens
//! of its requests. So they are handed over together: the first to ask in a thread leaves a letterbox there, which one
//! wake-up fills, and the requests are woken from within.

use std::cell::RefCell;
use std::mem;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::ledger::StoreError;

/// Where an answer goes. One that is dropped tells its waiter that the store does not answer.
#[derive(Debug)]
pub(super) struct Reply<T, E = StoreError> {
    waiter: oneshot::Sender<Result<T, E>>,
    letterbox: Option<Letterbox>,
}

/// Where an answer comes from.
pub(super) type Answer<T, E = StoreError> = oneshot::Receiver<Result<T, E>>;

/// The way of one answer, from the caller's point of view.
pub(super) fn expect<T, E>() -> (Reply<T, E>, Answer<T, E>) {
    let (waiter, answer) = oneshot::channel();
    (Reply { waiter, letterbox: Letterbox::here() }, answer)
}

impl<T: Send + 'static, E: Send + 'static> Reply<T, E> {
    /// Sends the answer by itself.
    pub fn send(self, answer: Result<T, E>) {
        // Whoever has gone needs no answer.
        drop(self.waiter.send(answer));
    }

    /// The answer as a letter. Where nobody waits for it any more, `unheard` is told.
    pub fn write(self, answer: Result<T, E>, unheard: impl FnOnce(Result<T, E>) + Send + 'static) -> Letter {
        let Self { waiter, letterbox } = self;
        let open = move || {
            if let Err(answer) = waiter.send(answer) {
                unheard(answer);
            }
        };
        Letter { letterbox, open: Some(Box::new(open)) }
    }

    /// A letter without an answer: it only lets the waiter know that there is none.
    pub fn forgo(self) -> Letter {
        let Self { waiter, letterbox } = self;
        Letter { letterbox, open: Some(Box::new(move || drop(waiter))) }
    }
}

/// An answer that waits for the others of its batch. It is opened when it is dropped, wherever that is: also when the
/// thread that it was for has ended, so that what nobody hears is noticed.
pub(super) struct Letter {
    letterbox: Option<Letterbox>,
    open: Option<Box<dyn FnOnce() + Send>>,
}

impl Drop for Letter {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open();
        }
    }
}

/// Sends letters, those to one thread together.
pub(super) fn dispatch(letters: impl IntoIterator<Item = Letter>) {
    let mut sacks: Vec<(Letterbox, Vec<Letter>)> = Vec::new();
    for mut letter in letters {
        // One from outside any runtime is opened here and now.
        let Some(letterbox) = letter.letterbox.take() else { continue };
        match sacks.iter_mut().find(|(known, _)| known.0.same_channel(&letterbox.0)) {
            Some((_, sack)) => sack.push(letter),
            None => sacks.push((letterbox, vec![letter])),
        }
    }
    for (letterbox, sack) in sacks {
        // What cannot be delivered is opened here.
        drop(letterbox.0.send(sack));
    }
}

/// The way into a thread.
#[derive(Debug, Clone)]
struct Letterbox(UnboundedSender<Vec<Letter>>);

thread_local! {
    static LETTERBOX: RefCell<Option<Letterbox>> = const { RefCell::new(None) };
}

impl Letterbox {
    /// This thread's; `None` outside a runtime. It is there for as long as the runtime is.
    fn here() -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        LETTERBOX.with_borrow_mut(|known| {
            if let Some(letterbox) = known.as_ref().filter(|known| !known.0.is_closed()) {
                return Some(letterbox.clone());
            }
            let (sender, mut letters) = unbounded_channel::<Vec<Letter>>();
            runtime.spawn(async move {
                while let Some(sack) = letters.recv().await {
                    mem::drop(sack);
                }
            });
            known.insert(Self(sender)).clone().into()
        })
    }
}
