//! Blocks of certificates and customers, by hand and at once (TLS-08, TLS-18).
//!
//! A block is done also where the audit log cannot be written, which is then said: a lost certificate must not wait for a
//! full disk. Lifting one waits.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::order::{By, OnSubject};
use super::recording::{can_record, on_record};
use super::{Done, Refused, not_found, signed, target};
use crate::domain::Clock;
use crate::domain::jst_date::in_japan;
use crate::operator::audit::{Action, Audit, OperatorAct, Outcome, Record};
use crate::store::blocks::{ActError, Draft, Entry, Keeper, Subject};
use crate::store::redis::{LiftError, SharedBlocks};

/// What can be asked about blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockVerb {
    List,
    Block,
    Lift,
}

impl BlockVerb {
    /// The verb that a request's head names.
    pub fn of(method: &Method, path: &[&str], query: Option<&str>) -> Result<Self, Refused> {
        let verb = match (method, path) {
            (&Method::GET, []) => Self::List,
            (&Method::POST, []) => Self::Block,
            (&Method::POST, ["lift"]) => Self::Lift,
            _ => return Err(not_found()),
        };
        let [] = target::parameters(query, [])?;
        Ok(verb)
    }

    /// Does it.
    pub async fn follow(self, desk: &BlockDesk, body: &[u8], user: Option<u32>) -> Result<Done, Refused> {
        let read = || OnSubject::read(body).map(|order| OnSubject { by: by(order.by, user), ..order });
        let answer = match self {
            Self::List => desk.list().await?,
            Self::Block => desk.block(read()?).await?,
            Self::Lift => desk.lift(read()?).await?,
        };
        Ok(Done::Json(answer))
    }
}

fn by(by: By, user: Option<u32>) -> By {
    By { operator: signed(Some(&by.operator), user), user, ..by }
}

/// The blocks, and what acting on them takes.
#[derive(Debug, Clone)]
pub struct BlockDesk {
    keeper: Arc<Keeper>,
    /// Where gateways share them.
    shared: Option<Arc<SharedBlocks>>,
    audit: Audit,
    clock: Arc<dyn Clock>,
    /// Acts come one after another, and the end of the gateway after the last.
    acting: Arc<Mutex<()>>,
}

impl BlockDesk {
    /// The desk of the blocks that this keeper keeps.
    pub fn new(keeper: Arc<Keeper>, shared: Option<Arc<SharedBlocks>>, audit: Audit, clock: Arc<dyn Clock>) -> Self {
        Self { keeper, shared, audit, clock, acting: Arc::default() }
    }

    /// Waits until the act under way is on record.
    pub async fn finish(&self) {
        drop(self.acting.lock().await);
    }

    async fn list(&self) -> Result<Value, Refused> {
        let entries = self.ask(Keeper::in_force).await?;
        Ok(json!({ "blocks": entries.iter().map(view).collect::<Vec<_>>() }))
    }

    async fn block(&self, order: OnSubject) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        let (draft, act) = self.draft(OperatorAct::CertificateBlocked, order);
        let subject = draft.subject.clone();
        let done = self.ask(move |keeper| keeper.block(draft)).await?;
        let entry = done.map_err(|error| self.refuse(act.clone(), &subject, error))?;
        tracing::warn!(%subject, number = entry.number, operator = act.operator.as_deref(), "blocked");
        self.audit.record(act);
        // Here it holds already.
        if let Some(shared) = &self.shared {
            let _is_shared = shared.share().await;
        }
        on_record(&self.audit).await?;
        let entry = self.ask(move |keeper| keeper.entry(&subject)).await?.unwrap_or(entry);
        Ok(view(&entry))
    }

    async fn lift(&self, order: OnSubject) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        can_record(&self.audit).await?;
        let (draft, act) = self.draft(OperatorAct::CertificateUnblocked, order);
        let subject = draft.subject.clone();
        let done = match &self.shared {
            None => self.ask(move |keeper| keeper.lift(draft)).await?.map_err(LiftError::Act),
            Some(shared) => shared.lift(draft).await,
        };
        let entry = done.map_err(|error| self.refuse_lift(act.clone(), &subject, error))?;
        tracing::warn!(%subject, number = entry.number, operator = act.operator.as_deref(), "a block is lifted");
        self.audit.record(act);
        on_record(&self.audit).await?;
        Ok(view(&entry))
    }

    /// An order as the keeper takes it, and its record.
    fn draft(&self, act: OperatorAct, OnSubject { subject, by }: OnSubject) -> (Draft, Record) {
        let mut record = Record {
            reason: Some(by.reason.clone().into()),
            operator: Some(by.operator.clone().into()),
            ..Record::new(Action::Operator(act))
        };
        match &subject {
            Subject::Serial(serial) => record.certificate = Some(serial.clone()),
            Subject::LoginId(login_id) => record.login_id = Some(login_id.clone()),
            Subject::Contract(contract) => record.contract = Some(contract.clone()),
        }
        let draft = Draft { subject, at: self.clock.now(), operator: by.operator.into(), reason: by.reason.into() };
        (draft, record)
    }

    /// The attempt stands in the log too.
    fn refuse(&self, act: Record, subject: &Subject, error: ActError) -> Refused {
        self.audit.record(Record { outcome: Outcome::Failure, ..act });
        let subject = spoken(subject);
        match error {
            ActError::Blocked(entry) => Refused::Conflict(format!(
                "{subject} is blocked already, by number {} since {} ({}): nothing has changed",
                entry.number,
                in_japan(entry.act.at),
                entry.act.reason
            )),
            ActError::NotBlocked => Refused::Conflict(format!("{subject} is not blocked: nothing has changed")),
            error @ (ActError::TooMany | ActError::Unwritten(_)) => {
                Refused::Unavailable(format!("{subject}: nothing has changed: {error}"))
            }
        }
    }

    fn refuse_lift(&self, act: Record, subject: &Subject, error: LiftError) -> Refused {
        let spoken = spoken(subject);
        match error {
            LiftError::Act(error) => self.refuse(act, subject, error),
            LiftError::BlockedAnew => {
                self.audit.record(Record { outcome: Outcome::Failure, ..act });
                Refused::Conflict(format!("{spoken}: {error}"))
            }
            LiftError::Away(_) => {
                self.audit.record(Record { outcome: Outcome::Failure, ..act });
                Refused::Unavailable(format!("{spoken}: nothing has changed: {error}"))
            }
            LiftError::Unheard(_) => {
                self.audit.record(Record { outcome: Outcome::Unknown, ..act });
                Refused::Unavailable(format!("{spoken}: {error}"))
            }
        }
    }

    /// The keeper waits for its disk; the control thread must not.
    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Keeper) -> T + Send + 'static) -> Result<T, Refused> {
        let keeper = Arc::clone(&self.keeper);
        let asked = tokio::task::spawn_blocking(move || ask(&keeper)).await;
        asked.map_err(|_| Refused::Failed("it failed; look whether it was done".into()))
    }
}

fn view(entry: &Entry) -> Value {
    let Draft { subject, at, operator, reason } = &entry.act;
    json!({
        "number": entry.number,
        "kind": subject.kind(),
        "name": subject.name(),
        "state": entry.state.word(),
        "since": in_japan(*at).to_string(),
        "operator": &**operator,
        "reason": &**reason,
        "awaits_store": entry.awaits_store,
    })
}

fn spoken(subject: &Subject) -> String {
    match subject {
        Subject::Serial(serial) => format!("the certificate {serial}"),
        Subject::LoginId(login_id) => format!("the login ID {login_id}"),
        Subject::Contract(contract) => format!("the contract {contract}"),
    }
}
