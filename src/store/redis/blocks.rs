//! Blocks that gateways share (TLS-18, OPS-12), in the Redis that has the ledger.
//!
//! ```text
//! keeper (disk, board) ◀─ messenger ─ look, five times a second ─▶ one hash
//!                          ▲ share, lift: operators
//! ```
//!
//! **Looked for, not announced.** A message that is lost would leave a customer in; a look that fails is known to have failed.
//! A look costs one call that says whether anything has changed. The board is told when the look began: a second later,
//! without another one, nobody's standing is known any more.
//!
//! **Redis may forget** all of it, or its end. Every change leaves another token, so each gateway notices, compares, and
//! puts back what it keeps on its own disk and is later. The latest act on a subject is the one with the highest number.
//!
//! **Who numbers.** Redis, above all that the asking gateway knows. A block that is done while Redis is away holds at
//! its gateway, and is numbered when Redis is back: whatever was lifted meanwhile, it holds then. A lift is done in Redis or
//! not at all, so that none undoes a block that its gateway has not seen.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redis::Value;
use tokio::runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::call::Call;
use super::link::{Failure, Link, Way};
use super::{OpenError, Settings};
use crate::store::blocks::{ActError, Draft, Entry, Keeper, State};

/// What one call does.
pub(super) const SCRIPT: &str = include_str!("script/blocks.lua");

/// How often the gateway looks. The board believes a look for a second.
const LOOK: Duration = Duration::from_millis(200);

/// How long an operator waits to hear that an act is shared.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the start waits for the first look; without one the gateway starts, and answers 503.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// The most that one pipeline puts back.
const BATCH: usize = 256;

/// A token that no store has.
const NO_TOKEN: &str = "none";

/// The hash, in the ledger's slot: the rights that the ledger needs reach it.
pub(super) fn key(settings: &Settings) -> String {
    format!("{{{}}}:blocks", settings.prefix)
}

/// Why a block is not lifted.
#[derive(Debug, thiserror::Error)]
pub enum LiftError {
    /// It is not there.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The store does not answer, and a lift is done there or not at all.
    #[error("Redis does not answer, so it is not lifted: {0}")]
    Away(String),
    /// It was asked, and nobody heard the answer.
    #[error(
        "Redis was asked to lift it, and its answer was not heard; look whether it was done before you try again: {0}"
    )]
    Unheard(String),
    /// It was blocked anew meanwhile.
    #[error("it was blocked anew meanwhile, at another gateway")]
    BlockedAnew,
}

/// The blocks as they are shared. The messenger ends with this.
#[derive(Debug)]
pub struct SharedBlocks {
    requests: Option<Sender<Request>>,
    messenger: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Request {
    Share(oneshot::Sender<bool>),
    Lift(Draft, oneshot::Sender<Result<Entry, LiftError>>),
}

impl SharedBlocks {
    /// Begins to share what is kept; returns after the first look, or when that takes too long.
    ///
    /// # Errors
    /// The CAs cannot be used, or the system refuses a thread. A Redis that is away is no reason.
    pub fn open(settings: &Settings, keeper: Arc<Keeper>) -> Result<Self, OpenError> {
        let way = Way::to_blocks(settings).map_err(|failure| OpenError::Tls(failure.to_string()))?;
        let (sender, requests) = channel(16);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let messenger =
            Messenger { keeper, way, key: key(settings), requests, link: None, token: NO_TOKEN.into(), told: None };
        let (looked, first) = mpsc::channel();
        let thread =
            thread::Builder::new().name("blocks".into()).spawn(move || runtime.block_on(messenger.run(looked)))?;
        // Whatever came of it.
        let _ = first.recv_timeout(FIRST_LOOK);
        Ok(Self { requests: Some(sender), messenger: Mutex::new(Some(thread)) })
    }

    /// Tells the store at once what it does not know; whether it knows it now.
    pub async fn share(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.requests.as_ref()?.send(Request::Share(reply)).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, asked).await.ok().flatten().unwrap_or(false)
    }

    /// Lifts a block, for all gateways.
    ///
    /// # Errors
    /// There is none, or Redis does not take part.
    pub async fn lift(&self, draft: Draft) -> Result<Entry, LiftError> {
        let (reply, answer) = oneshot::channel();
        let ended = || LiftError::Away("nobody asks it any more".into());
        let requests = self.requests.as_ref().ok_or_else(ended)?;
        requests.send(Request::Lift(draft, reply)).await.map_err(|_| ended())?;
        // It is bounded: every call to Redis is.
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for SharedBlocks {
    fn drop(&mut self) {
        drop(self.requests.take());
        let messenger = self.messenger.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The next process may open the file: nobody may write it any more.
        if messenger.is_some_and(|messenger| messenger.join().is_err()) {
            tracing::error!("the thread that shares blocks panicked");
        }
    }
}

/// The one task that speaks with Redis about blocks.
struct Messenger {
    keeper: Arc<Keeper>,
    way: Way,
    key: String,
    requests: Receiver<Request>,
    link: Option<Link>,
    /// Of the last change that is known here.
    token: String,
    /// What the log knows: whether Redis takes part.
    told: Option<bool>,
}

impl Messenger {
    async fn run(mut self, looked: mpsc::Sender<()>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let request = tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(request) => Some(request),
                    None => return,
                },
                _ = looks.tick() => None,
            };
            let round = self.round().await;
            self.tell(&round);
            // Only the first is waited for.
            let _ = looked.send(());
            // Whoever asked may have gone.
            match request {
                None => {}
                Some(Request::Share(reply)) => drop(reply.send(round.is_ok())),
                Some(Request::Lift(draft, reply)) => drop(reply.send(self.lift(draft, round).await)),
            }
        }
    }

    /// Looks, compares, tells what is missing.
    async fn round(&mut self) -> Result<(), Failure> {
        let done = self.try_round().await;
        if done.is_err() {
            self.link = None;
            self.token = NO_TOKEN.into();
        }
        done
    }

    async fn try_round(&mut self) -> Result<(), Failure> {
        if self.link.is_none() {
            self.link = Some(self.way.connect().await?);
        }
        let began = Instant::now();
        let mut answer = self.ask("look", self.token.clone(), Vec::new()).await?.into_iter();
        let token = answer.next().ok_or(NO_LINE)?;
        if token != self.token {
            let theirs: Option<Vec<Entry>> = answer.map(|line| Entry::read(&line)).collect();
            let missing = self.keeper.merge(theirs.ok_or(NO_LINE)?).missing;
            self.keeper.board().confirm(began);
            // What others put back at the same time is seen at the next look.
            self.token = if missing.is_empty() { token } else { NO_TOKEN.into() };
            self.put_back(&missing).await?;
        }
        self.keeper.board().confirm(began);
        // After the look: a block that waits is compared with what is there now.
        for entry in self.keeper.awaiting_store() {
            let subject = entry.act.subject.to_string();
            let numbered =
                self.change("block", vec![subject, self.keeper.highest().to_string(), entry.unnumbered()]).await?;
            self.keeper.adopt(numbered);
        }
        Ok(())
    }

    /// What the store has forgotten.
    async fn put_back(&mut self, missing: &[Entry]) -> Result<(), Failure> {
        for entries in missing.chunks(BATCH) {
            let arguments =
                |entry: &Entry| vec!["put-back".to_owned(), new_token(), entry.act.subject.to_string(), entry.line()];
            let calls: Vec<Call> = entries.iter().map(|entry| Call::on(self.key.clone(), arguments(entry))).collect();
            for answer in self.link()?.ask(&calls).await? {
                lines(answer)?;
            }
        }
        Ok(())
    }

    async fn lift(&mut self, draft: Draft, round: Result<(), Failure>) -> Result<Entry, LiftError> {
        round.map_err(|failure| LiftError::Away(failure.to_string()))?;
        let wanted = self.keeper.draft_of_lift(draft)?;
        let arguments = vec![wanted.act.subject.to_string(), self.keeper.highest().to_string(), wanted.unnumbered()];
        let lifted = self.change("lift", arguments).await.map_err(|failure| {
            self.link = None;
            LiftError::Unheard(failure.to_string())
        })?;
        let is_done = lifted.state == State::Lifted && lifted.block == wanted.block;
        self.keeper.adopt(lifted.clone());
        if is_done { Ok(lifted) } else { Err(LiftError::BlockedAnew) }
    }

    /// Changes one subject's entry, where the store does not hold a later one; what it holds then.
    async fn change(&mut self, verb: &str, arguments: Vec<String>) -> Result<Entry, Failure> {
        let answer = self.ask(verb, new_token(), arguments).await?;
        answer.first().and_then(|line| Entry::read(line)).ok_or(NO_LINE)
    }

    async fn ask(&mut self, verb: &str, token: String, arguments: Vec<String>) -> Result<Vec<String>, Failure> {
        let arguments = [verb.to_owned(), token].into_iter().chain(arguments).collect();
        let call = Call::on(self.key.clone(), arguments);
        let answers = self.link()?.ask(&[call]).await?;
        lines(answers.into_iter().next().unwrap_or(Value::Nil))
    }

    fn link(&mut self) -> Result<&mut Link, Failure> {
        self.link.as_mut().ok_or(Failure::Nonsense("there is no connection"))
    }

    /// Says once that Redis takes part, or that it does not.
    fn tell(&mut self, round: &Result<(), Failure>) {
        let before = self.told.replace(round.is_ok());
        match round {
            Ok(()) if before == Some(true) => {}
            Ok(()) => tracing::info!("blocks are shared through Redis"),
            Err(_) if before == Some(false) => {}
            Err(failure) => {
                tracing::error!(%failure, "Redis does not say who is blocked: without it, after a second, certificate listeners answer 503");
            }
        }
    }
}

const NO_LINE: Failure = Failure::Nonsense("what is stored as a block is none");

/// As unique as a change.
pub(super) fn new_token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

pub(super) fn lines(answer: Value) -> Result<Vec<String>, Failure> {
    match answer {
        Value::Array(lines) => lines.into_iter().map(text).collect(),
        Value::ServerError(error) => Err(Failure::Refused(error.to_string())),
        _ => Err(NO_LINE),
    }
}

fn text(value: Value) -> Result<String, Failure> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| NO_LINE),
        Value::SimpleString(text) => Ok(text),
        _ => Err(NO_LINE),
    }
}
