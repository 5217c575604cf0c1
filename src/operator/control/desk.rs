//! What operators ask of the ledger, and what they correct in it (LIM-28). Whatever changes something, and each export,
//! stands in the audit log before it is answered, and is refused where the log cannot be written.
//!
//! Deliberately absent: a way to write a sum. Sums change by transfers that are reconciled, one by one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Refused;
use super::export::{Export, Format};
use super::order::{By, OwnLimit, Reconcile};
use super::view;
use crate::domain::{Clock, ContractId, JstDate, LoginId, TransferId};
use crate::operator::audit::{Action, Audit, OperatorAct, Record, StoreMark, TransferState};
use crate::operator::metrics::Metrics;
use crate::pipeline::Rules;
use crate::store::Ledger;
use crate::store::ledger::{ReconcileError, Verdict};

/// The ledger, and what acting on it takes.
#[derive(Debug, Clone)]
pub struct Desk {
    ledger: Ledger,
    audit: Audit,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    rules: Arc<ArcSwap<Rules>>,
    /// Acts come one after another, and the end of the gateway after the last.
    acting: Arc<Mutex<()>>,
}

impl Desk {
    /// The desk of a ledger.
    pub fn new(
        ledger: Ledger,
        audit: Audit,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        rules: Arc<ArcSwap<Rules>>,
    ) -> Self {
        Self { ledger, audit, metrics, clock, rules, acting: Arc::default() }
    }

    /// Waits until the act under way is on record.
    pub async fn finish(&self) {
        drop(self.acting.lock().await);
    }

    /// A contract's day; today where none is named.
    pub(super) async fn show(&self, contract: ContractId, day: Option<JstDate>) -> Result<Value, Refused> {
        let day = day.unwrap_or_else(|| JstDate::of(self.clock.now()));
        // Until a registry says otherwise, a contract is the one login ID of its name.
        let members: Vec<LoginId> = LoginId::parse(contract.as_str()).into_iter().collect();
        let statement = self.ledger.statement(contract.clone(), members.into(), day).await?;
        let rules = self.rules.load_full();
        let settings = rules.treasury.as_ref().map(|treasury| &treasury.settings);
        let mut answer = view::statement(&contract, day, &statement, settings);
        answer["awaits_acceptance"] = json!(self.ledger.awaits_acceptance().as_deref());
        Ok(answer)
    }

    /// Every transfer that waits for a decision.
    pub(super) async fn unknown(&self) -> Result<Value, Refused> {
        let transfers = self.ledger.unknown().await?;
        Ok(json!({ "transfers": transfers.iter().map(view::transfer).collect::<Vec<_>>() }))
    }

    /// Settles an unknown transfer by what was found out.
    pub(super) async fn reconcile(&self, id: TransferId, order: Reconcile) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let Reconcile { verdict, by } = order;
        let settled = self.ledger.reconcile(id, verdict, by.reason.clone(), self.clock.now()).await;
        let transfer = settled.map_err(|error| match error {
            ReconcileError::NotFound(_) => Refused::NotFound(error.to_string()),
            ReconcileError::NotUnknown(_) => Refused::Conflict(error.to_string()),
            ReconcileError::Store(error) => error.into(),
        })?;
        self.metrics.count_transfer(transfer.state.word(), transfer.amount);
        let state = match verdict {
            Verdict::Committed => TransferState::Committed,
            Verdict::Released => TransferState::Released,
        };
        let record = Record {
            login_id: Some(transfer.login_id.clone()),
            contract: Some(transfer.contract.clone()),
            route: Some(transfer.route.as_str().into()),
            amount: Some(transfer.amount),
            transfer: Some(id.to_string().into()),
            day: transfer.debits.first().map(|(_, day)| *day),
            ..self.act(OperatorAct::TransferReconciled(state), by)
        };
        self.record(record).await?;
        Ok(view::transfer(&transfer))
    }

    /// Imports a customer's own limit, or takes it back.
    pub(super) async fn set_own_limit(&self, contract: ContractId, order: OwnLimit) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let OwnLimit { own, by } = order;
        self.ledger.learn_own_limit(contract.clone(), own, self.clock.now()).await?;
        let answer = json!({ "contract": contract.as_str(), "own_limit": own.map(|own| own.get()) });
        let act = self.act(OperatorAct::OwnLimitSet, by);
        self.record(Record { contract: Some(contract), amount: own, ..act }).await?;
        Ok(answer)
    }

    /// Takes the store and the present clock for the right ones (LIM-41).
    pub(super) async fn accept(&self, by: By) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let waited = self.ledger.awaits_acceptance();
        self.ledger.accept(self.clock.now()).await?;
        tracing::warn!(operator = by.operator, reason = by.reason, "the store is accepted: money moves again");
        self.record(self.act(OperatorAct::StoreAccepted, by)).await?;
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
        let transfers = self.ledger.transfers(from, to).await?;
        let by = By { operator, reason: format!("the days from {from} to {to}") };
        self.record(self.act(OperatorAct::LedgerExported, by)).await?;
        Ok(Export::of(transfers, format))
    }

    /// Whether an act could be recorded now. Asked before anything is done.
    async fn can_record(&self) -> Result<(), Refused> {
        if !self.audit.is_writable() {
            return Err(Refused::Unavailable("the audit log cannot be written: nothing was done".into()));
        }
        let refused = |unwritten| Refused::Unavailable(format!("{unwritten}: nothing was done"));
        self.flush().await.map_err(refused)
    }

    /// What every record of an act holds. A store that waits to be accepted must not become the one that the audit log knows.
    fn act(&self, act: OperatorAct, by: By) -> Record {
        let mark = self.ledger.mark();
        let mark = StoreMark { id: mark.store, sequence: mark.sequence };
        Record {
            reason: Some(by.reason.into()),
            operator: Some(by.operator.into()),
            store: self.ledger.awaits_acceptance().is_none().then_some(mark),
            ..Record::new(Action::Operator(act))
        }
    }

    async fn record(&self, record: Record) -> Result<(), Refused> {
        self.audit.record(record);
        self.flush().await.map_err(|unwritten| {
            Refused::Failed(format!("it is done, but its record is not on the disk yet: {unwritten}"))
        })
    }

    async fn flush(&self) -> Result<(), String> {
        let audit = self.audit.clone();
        match tokio::task::spawn_blocking(move || audit.flush()).await {
            Ok(flushed) => flushed.map_err(|unwritten| unwritten.to_string()),
            Err(_) => Err("nothing writes the audit log".into()),
        }
    }
}
