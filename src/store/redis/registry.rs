//! The registry that gateways share (OPS-12), in the Redis that has the ledger: a log of changes, which each of them reads.
//!
//! ```text
//! registry (disk, index) ◀─ messenger ─ look, five times a second ─▶ one hash
//!                            ▲ act: operators, first logins
//! ```
//!
//! **Each has all of it.** Judging a customer asks nobody. What Redis keeps is the order in which acts were done: an act is
//! drafted on what its gateway has read, and put at the end only where that is still the end; otherwise it is drafted again.
//! So of two certificates that two gateways meet at once, one is the first.
//!
//! **All or nothing.** A long act is put there in parts, and is in force with the last of them. One that was given up half-way
//! is passed over.
//!
//! **Redis may forget** all of it, or its end. A gateway whose place in the log is not there any more reads it from the
//! beginning, takes what is later than its own, and puts back what is not there.

mod log;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::log::{Cursor, in_parts};
use super::blocks::{lines, new_token};
use super::call::Call;
use super::link::{Failure, Link, Way};
use super::{OpenError, Settings};
use crate::store::registry::{ActError, Draft, Key, Place, Reach, Registry, Version, Versioned, WRITTEN_AT_ONCE};

/// What one call does.
pub(super) const SCRIPT: &str = include_str!("script/registry.lua");

/// How often the gateway looks. The registry believes a look for a second.
const LOOK: Duration = Duration::from_millis(200);

/// How long the start waits for the first look; without one the gateway starts, and answers 503.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// For how long an act is drafted again because another gateway was faster, or is in the middle of a long one. It is longer than
/// that may be without another part of it.
pub(in crate::store) const OPERATORS_PATIENCE: Duration = Duration::from_secs(45);

/// How long a customer waits for that, who comes with a first certificate.
pub(in crate::store) const CUSTOMERS_PATIENCE: Duration = Duration::from_secs(4);

/// How long to wait where another gateway is in the middle of a long act.
const BUSY: Duration = Duration::from_millis(200);

/// The hash, in the ledger's slot: the rights that the ledger needs reach it.
pub(super) fn key(settings: &Settings) -> String {
    format!("{{{}}}:registry", settings.prefix)
}

/// The registry as it is shared. The messenger ends with this.
#[derive(Debug)]
pub struct SharedRegistry {
    registry: Arc<Registry>,
    requests: Option<Sender<Request>>,
    messenger: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Request {
    /// To read to the end of the log.
    CatchUp(oneshot::Sender<Result<(), ActError>>),
    Append(Act, oneshot::Sender<Result<Appended, ActError>>),
}

/// Rows to be put at the end of the log, where that is the place.
#[derive(Debug)]
struct Act {
    place: Place,
    rows: Vec<Versioned>,
    reach: Reach,
}

impl SharedRegistry {
    /// Begins to share what is kept; returns after the first look, or when that takes too long.
    ///
    /// # Errors
    /// The CAs cannot be used, or the system refuses a thread. A Redis that is away is no reason.
    pub fn open(settings: &Settings, registry: Arc<Registry>) -> Result<Self, OpenError> {
        let way = Way::to_registry(settings).map_err(|failure| OpenError::Tls(failure.to_string()))?;
        let (sender, requests) = channel(64);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let messenger = Messenger {
            registry: Arc::clone(&registry),
            way,
            key: key(settings),
            requests,
            link: None,
            // One that the log does not have any more is found out at the first look.
            cursor: Some(registry.place()).filter(|place| place.position > 0).map(Cursor::at),
            told: None,
        };
        let (looked, first) = mpsc::channel();
        let thread =
            thread::Builder::new().name("registry".into()).spawn(move || runtime.block_on(messenger.run(looked)))?;
        // Whatever came of it.
        let _ = first.recv_timeout(FIRST_LOOK);
        Ok(Self { registry, requests: Some(sender), messenger: Mutex::new(Some(thread)) })
    }

    /// Does an act for all gateways. It may be drafted more than once.
    ///
    /// # Errors
    /// What the act says, or Redis does not take part.
    pub(in crate::store) async fn act<T: Send + 'static>(
        &self,
        now: Timestamp,
        (reach, patience): (Reach, Duration),
        act: impl Fn(&mut Draft<'_>) -> Result<T, ActError> + Send + Sync + 'static,
    ) -> Result<T, ActError> {
        let act = Arc::new(act);
        let began = Instant::now();
        while began.elapsed() < patience {
            self.ask(Request::CatchUp).await?;
            let (registry, again) = (Arc::clone(&self.registry), Arc::clone(&act));
            // It reads the disk, and may be long.
            let drafted = tokio::task::spawn_blocking(move || registry.draft(now, |draft| again(draft))).await;
            let (done, rows, place) = drafted.map_err(|_| ActError::Unkept("the act failed".into()))??;
            if rows.is_empty() {
                return Ok(done);
            }
            match self.ask(|reply| Request::Append(Act { place, rows, reach }, reply)).await? {
                Appended::Done => return Ok(done),
                Appended::Moved => {}
                Appended::Busy => sleep(BUSY).await,
            }
        }
        Err(ActError::Unkept("other gateways are changing it: try again".into()))
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ActError>>) -> Request,
    ) -> Result<T, ActError> {
        let (reply, answer) = oneshot::channel();
        let ended = || ActError::Unkept("nobody asks Redis any more".into());
        let requests = self.requests.as_ref().ok_or_else(ended)?;
        requests.send(request(reply)).await.map_err(|_| ended())?;
        // It is bounded: every call to Redis is.
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for SharedRegistry {
    fn drop(&mut self) {
        drop(self.requests.take());
        let messenger = self.messenger.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The next process may open the file: nobody may write it any more.
        if messenger.is_some_and(|messenger| messenger.join().is_err()) {
            tracing::error!("the thread that shares the registry panicked");
        }
    }
}

/// The one task that speaks with Redis about the registry.
struct Messenger {
    registry: Arc<Registry>,
    way: Way,
    key: String,
    requests: Receiver<Request>,
    link: Option<Link>,
    /// How far the log was read; `None` until all that is known here was held against it.
    cursor: Option<Cursor>,
    /// What the log knows: whether Redis takes part.
    told: Option<bool>,
}

/// Why a round, or an act, came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Redis(#[from] Failure),
    #[error(transparent)]
    Registry(#[from] ActError),
}

impl From<Trouble> for ActError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Registry(error) => error,
            Trouble::Redis(failure) => Self::Unkept(format!("Redis: {failure}")),
        }
    }
}

/// What became of rows that were to be put at the end.
#[derive(Debug, PartialEq, Eq)]
enum Appended {
    /// They are there, and in force.
    Done,
    /// The end is elsewhere.
    Moved,
    /// Another gateway is in the middle of a long act.
    Busy,
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
                Some(Request::CatchUp(reply)) => drop(reply.send(round.map_err(ActError::from))),
                Some(Request::Append(act, reply)) => {
                    let done = match round {
                        Ok(()) => self.append_whole(act).await,
                        Err(trouble) => Err(trouble),
                    };
                    drop(reply.send(done.map_err(ActError::from)));
                }
            }
            self.write();
        }
    }

    /// Brings what was read to the disk, for as long as nothing waits for a look.
    fn write(&self) {
        let until = Instant::now() + LOOK / 2;
        loop {
            match self.registry.write_some(WRITTEN_AT_ONCE) {
                Ok(true) if Instant::now() < until => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(%error, "the registry is in force and cannot be kept on this disk");
                    return;
                }
            }
        }
    }

    /// Reads what is new; the first time, and where the log is another one, holds all of it against what is known here.
    async fn round(&mut self) -> Result<(), Trouble> {
        let done = self.try_round().await;
        if done.is_err() {
            self.link = None;
        }
        done
    }

    async fn try_round(&mut self) -> Result<(), Trouble> {
        if self.link.is_none() {
            self.link = Some(self.way.connect().await?);
        }
        if let Some(mut cursor) = self.cursor.take() {
            match self.read_on(&mut cursor, None).await {
                Ok(false) => {}
                Ok(true) => {
                    self.cursor = Some(cursor);
                    return Ok(());
                }
                // What was read and not taken over is read again.
                Err(trouble) => {
                    self.cursor = Some(Cursor::at(cursor.place));
                    return Err(trouble);
                }
            }
            tracing::warn!("the log of the registry in Redis is another one: it is compared with what is known here");
        }
        let (mut cursor, mut theirs) = (Cursor::default(), HashMap::new());
        if !self.read_on(&mut cursor, Some(&mut theirs)).await? {
            return Err(Failure::Nonsense("the log changed while it was read").into());
        }
        let missing = self.registry.later_than(&theirs)?;
        if !missing.is_empty() {
            tracing::warn!(rows = missing.len(), "the registry in Redis lacks what is known here: it is put back");
            match self.append(&mut cursor, missing, Reach::Everybody).await? {
                Appended::Done => {}
                // Somebody else has put something there: the next round compares again.
                Appended::Moved | Appended::Busy => {
                    return Err(Failure::Nonsense("the log changed while it was compared").into());
                }
            }
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Reads to the end of the log, and takes over what is in force there. False where the log is another one.
    async fn read_on(
        &mut self,
        cursor: &mut Cursor,
        mut theirs: Option<&mut HashMap<Key, Version>>,
    ) -> Result<bool, Trouble> {
        loop {
            let began = Instant::now();
            let arguments = vec![cursor.position.to_string(), cursor.known.clone()];
            let mut answer = self.ask("look", arguments).await?.into_iter();
            match answer.next().as_deref() {
                Some("at") => {}
                Some("lost") => return Ok(false),
                _ => return Err(NO_ANSWER.into()),
            }
            let end: u64 = answer.next().and_then(|end| end.parse().ok()).ok_or(NO_ANSWER)?;
            let mut found: Option<(Vec<Versioned>, Place, Reach)> = None;
            let before = cursor.position;
            for entry in answer {
                let ended = cursor.pending.read(&entry).ok_or(NO_ENTRY)?;
                cursor.position += 1;
                entry.lines().next().unwrap_or_default().clone_into(&mut cursor.known);
                let Some((rows, reach)) = ended else { continue };
                let place = Place { position: cursor.position, token: cursor.known.clone() };
                let (mut all, _, widest) = found.unwrap_or((Vec::new(), Place::default(), Reach::Nobody));
                all.extend(rows);
                found = Some((all, place, if widest == Reach::Nobody { reach } else { widest }));
            }
            if let Some((rows, place, reach)) = found {
                if let Some(theirs) = theirs.as_deref_mut() {
                    theirs.extend(rows.iter().map(|row| (row.change.key(), row.version.clone())));
                }
                // The first time, what is known here was never held against it.
                let reach = if theirs.is_some() { Reach::Everybody } else { reach };
                self.registry.take(rows, place.clone(), reach)?;
                cursor.place = place;
            }
            if cursor.position >= end {
                self.registry.confirm(began);
                return Ok(true);
            }
            if cursor.position == before {
                return Err(NO_ENTRY.into());
            }
        }
    }

    /// Puts an act's rows at the end, where that is still the place at which they were drafted.
    async fn append_whole(&mut self, Act { place, rows, reach }: Act) -> Result<Appended, Trouble> {
        let Some(mut cursor) = self.cursor.take() else { return Ok(Appended::Moved) };
        if cursor.place != place {
            self.cursor = Some(cursor);
            return Ok(Appended::Moved);
        }
        let appended = self.append(&mut cursor, rows, reach).await;
        match appended {
            Ok(appended) => {
                self.cursor = Some(cursor);
                Ok(appended)
            }
            Err(Trouble::Redis(failure)) => {
                // What became of it, the log says.
                (self.link, self.cursor) = (None, Some(Cursor::at(place)));
                Err(ActError::Unheard(failure.to_string()).into())
            }
            Err(registry) => Err(registry),
        }
    }

    async fn append(&mut self, cursor: &mut Cursor, rows: Vec<Versioned>, reach: Reach) -> Result<Appended, Trouble> {
        let (set, token) = (new_token(), new_token());
        // Behind a set that somebody gave up, too: it is not in force.
        let (mut position, mut last) = (cursor.position, String::new());
        let mut parts = in_parts(&rows).into_iter().peekable();
        while let Some(part) = parts.next() {
            let began = Instant::now();
            let kind = if parts.peek().is_some() { "part" } else { "whole" };
            let reach = match reach {
                Reach::Everybody => "everybody",
                Reach::Nobody => "nobody",
            };
            let arguments = vec![position.to_string(), set.clone(), kind.into(), part, token.clone(), reach.to_owned()];
            let mut answer = self.ask("append", arguments).await?.into_iter();
            match (answer.next().as_deref(), answer.next()) {
                (Some("done"), Some(known)) => (position, last) = (position + 1, known),
                (Some("moved"), _) => return Ok(Appended::Moved),
                (Some("busy"), _) => return Ok(Appended::Busy),
                (_, _) => return Err(NO_ANSWER.into()),
            }
            // Nobody else has put anything there.
            self.registry.confirm(began);
        }
        let place = Place { position, token: last };
        self.registry.take(rows, place.clone(), reach)?;
        *cursor = Cursor::at(place);
        Ok(Appended::Done)
    }

    async fn ask(&mut self, verb: &str, arguments: Vec<String>) -> Result<Vec<String>, Failure> {
        let arguments = [verb.to_owned()].into_iter().chain(arguments).collect();
        let call = Call::on(self.key.clone(), arguments);
        let link = self.link.as_mut().ok_or(Failure::Nonsense("there is no connection"))?;
        let answers = link.ask(&[call]).await?;
        lines(answers.into_iter().next().unwrap_or(redis::Value::Nil))
    }

    /// Says once that Redis takes part, or that it does not.
    fn tell(&mut self, round: &Result<(), Trouble>) {
        let before = self.told.replace(round.is_ok());
        match round {
            Ok(()) if before == Some(true) => {}
            Ok(()) => tracing::info!("the registry is shared through Redis"),
            Err(_) if before == Some(false) => {}
            Err(trouble) => {
                tracing::error!(%trouble, "Redis does not say who the customers are: where the registry decides, certificate listeners answer 503 after a second without it");
            }
        }
    }
}

const NO_ANSWER: Failure = Failure::Nonsense("an answer about the registry");
const NO_ENTRY: Failure = Failure::Nonsense("what is stored as the registry is none");
