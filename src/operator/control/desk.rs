//! What operators ask of the ledger, and what they correct in it (LIM-28). Whatever changes something, and each export,
//! stands in the audit log before it is answered, and is refused where the log cannot be written.
//!
//! Deliberately absent: a way to write a sum. Sums change by transfers that are added, reconciled or corrected, one by one.

mod consent;
mod fleet;
mod own_limits;
mod settled;

use std::fmt;
use std::sync::{Arc, Mutex as Lock};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Refused;
use super::export::{Export, Format, Listed};
use super::order::By;
use super::recording::{can_record, on_record};
use super::second_person::Proposals;
use super::view;
use crate::domain::{Clock, ContractId, JstDate, LoginId};
use crate::operator::SecondPerson;
use crate::operator::audit::{Action, Audit, OperatorAct, Outcome, Record, StoreMark};
use crate::operator::metrics::Metrics;
use crate::policy::ceiling;
use crate::store::Ledger;
use crate::store::ledger::StoreError;

/// Whose sums are a contract's on days from one on, by whoever knows; `None` where there is no such contract.
#[derive(Clone)]
pub struct Members(Arc<CountedIn>);

type CountedIn = dyn Fn(&ContractId, JstDate) -> Option<Arc<[LoginId]>> + Send + Sync;

impl Members {
    /// By what this says.
    pub fn new(counted_in: impl Fn(&ContractId, JstDate) -> Option<Arc<[LoginId]>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(counted_in))
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members")
    }
}

/// The ledger, and what acting on it takes.
#[derive(Debug, Clone)]
pub struct Desk {
    ledger: Ledger,
    members: Members,
    audit: Audit,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// Acts come one after another, and the end of the gateway after the last.
    acting: Arc<Mutex<()>>,
    second_person: SecondPerson,
    proposals: Arc<Lock<Proposals>>,
}

impl Desk {
    /// The desk of a ledger.
    pub fn new(
        ledger: Ledger,
        members: Members,
        audit: Audit,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        second_person: SecondPerson,
    ) -> Self {
        let (acting, proposals) = (Arc::default(), Arc::default());
        Self { ledger, members, audit, metrics, clock, acting, second_person, proposals }
    }

    /// Waits until the act under way is on record.
    pub async fn finish(&self) {
        drop(self.acting.lock().await);
    }

    /// A contract's day, today where none is named, and what is left of it by the rules in force.
    pub(super) async fn show(
        &self,
        contract: ContractId,
        day: Option<JstDate>,
        rules: Option<&ceiling::Settings>,
    ) -> Result<Value, Refused> {
        let day = day.unwrap_or_else(|| JstDate::of(self.clock.now()));
        // One that the registry does not know may have been a login ID's before there was one.
        let alone = || LoginId::parse(contract.as_str()).into_iter().collect();
        let since = rules.map_or(day, |rules| rules.counted_on(day));
        let members = (self.members.0)(&contract, since).unwrap_or_else(alone);
        let statement = self.ledger.statement(contract.clone(), members, day).await?;
        let mut answer = view::statement(&contract, day, &statement, rules);
        answer["awaits_acceptance"] = json!(self.ledger.awaits_acceptance().as_deref());
        Ok(answer)
    }

    /// Every transfer that waits for a decision.
    pub(super) async fn unknown(&self) -> Result<Value, Refused> {
        let transfers = self.ledger.unknown().await?;
        Ok(json!({ "transfers": transfers.iter().map(view::transfer).collect::<Vec<_>>() }))
    }

    /// Takes the store and the present clock for the right ones (LIM-41).
    pub(super) async fn accept(&self, by: By) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let waited = self.ledger.awaits_acceptance();
        let person = by.person();
        let act = self.act(OperatorAct::StoreAccepted, by);
        let act = self.consent(act, &format!("accept {waited:?}"), person).await?;
        if let Err(error) = self.ledger.accept(self.clock.now()).await {
            return Err(self.doubt(act, &error));
        }
        tracing::warn!(operator = act.operator.as_deref(), "the store is accepted: money moves");
        self.record(Record { store: Some(self.mark()), ..act }).await?;
        let mark = self.ledger.mark();
        Ok(json!({ "store": &*mark.store, "sequence": mark.sequence, "waited": waited.as_deref() }))
    }

    /// The transfers accepted between two days, both included, as they stand now.
    pub(super) async fn export(
        &self,
        days: (JstDate, JstDate),
        format: Format,
        operator: String,
    ) -> Result<Export, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let (from, to) = days;
        let transfers = self.ledger.transfers(from, to);
        let by = By { operator, reason: format!("the days from {from} to {to}"), user: None };
        self.record(self.act(OperatorAct::LedgerExported, by)).await?;
        Ok(Export::of(Listed::new(transfers, format)))
    }

    /// Whether an act could be recorded now. Asked before anything is done.
    async fn can_record(&self) -> Result<(), Refused> {
        can_record(&self.audit).await
    }

    /// What every record of an act holds. A store that waits to be accepted must not become the one that the audit log knows.
    fn act(&self, act: OperatorAct, by: By) -> Record {
        Record {
            reason: Some(by.reason.into()),
            operator: Some(by.operator.into()),
            store: self.ledger.awaits_acceptance().is_none().then(|| self.mark()),
            ..Record::new(Action::Operator(act))
        }
    }

    fn mark(&self) -> StoreMark {
        let mark = self.ledger.mark();
        StoreMark { id: mark.store, sequence: mark.sequence }
    }

    /// A store that fails may have kept what it was asked for: that it was asked is on record, and nothing is learnt from it.
    fn doubt(&self, act: Record, error: &StoreError) -> Refused {
        self.audit.record(Record { outcome: Outcome::Unknown, store: None, ..act });
        Refused::Unavailable(format!("{error}; look whether it was done before you try again"))
    }

    async fn record(&self, record: Record) -> Result<(), Refused> {
        self.audit.record(record);
        self.on_record().await
    }

    /// What was done and told is on the disk.
    async fn on_record(&self) -> Result<(), Refused> {
        on_record(&self.audit).await
    }
}

#[cfg(test)]
mod tests;
