//! How transfers ended, by what the bank's books say: reconciled, corrected, or added where no gateway saw them (LIM-28).

use serde_json::{Value, json};

use super::{By, Desk};
use crate::domain::{ContractId, JstDate, LoginId, RequestId, TransferId};
use crate::operator::audit::{OperatorAct, Outcome, Record, TransferState};
use crate::operator::control::order::{Add, Reconcile};
use crate::operator::control::{Refused, view};
use crate::policy::ceiling;
use crate::store::ledger::{
    Addition, Basis, CorrectError, LEAST_RETENTION_DAYS, ReconcileError, StoreError, Transfer, Verdict,
};

/// Why a transfer stays as it is.
enum Stays {
    /// The ledger says no.
    Refused(Refused),
    /// The ledger cannot answer.
    InDoubt(StoreError),
}

impl From<ReconcileError> for Stays {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::NotFound(_) => Self::Refused(Refused::NotFound(error.to_string())),
            ReconcileError::NotUnknown(_) => Self::Refused(Refused::Conflict(error.to_string())),
            ReconcileError::Store(error) => Self::InDoubt(error),
        }
    }
}

impl From<CorrectError> for Stays {
    fn from(error: CorrectError) -> Self {
        match error {
            CorrectError::NotFound(_) => Self::Refused(Refused::NotFound(error.to_string())),
            CorrectError::NotSettled(_) | CorrectError::AlreadySo(_) => {
                Self::Refused(Refused::Conflict(error.to_string()))
            }
            CorrectError::Store(error) => Self::InDoubt(error),
        }
    }
}

impl Desk {
    /// Settles an unknown transfer by what was found out. Who did it stands in the ledger too, written with the state.
    pub(in super::super) async fn reconcile(&self, id: TransferId, order: Reconcile) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let Reconcile { verdict, by } = order;
        let (why, person) = (signature(&by), by.person());
        let act = self.act_on(id, OperatorAct::TransferReconciled(state_of(verdict)), by);
        let act = self.consent_to(verdict, act, &format!("reconcile {id} released"), person).await?;
        let done = self.ledger.reconcile(id, verdict, why, self.clock.now()).await;
        self.tell(act, done.map_err(Stays::from)).await
    }

    /// Puts a transfer that was settled to the other side.
    pub(in super::super) async fn correct(&self, id: TransferId, order: Reconcile) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let Reconcile { verdict, by } = order;
        let (why, person) = (signature(&by), by.person());
        let act = self.act_on(id, OperatorAct::TransferCorrected(state_of(verdict)), by);
        let act = self.consent_to(verdict, act, &format!("correct {id} released"), person).await?;
        let done = self.ledger.correct(id, verdict, why, self.clock.now()).await;
        self.tell(act, done.map_err(Stays::from)).await
    }

    /// Adds an order that the bank executed by hand, and tells what is left of its day.
    pub(in super::super) async fn add(
        &self,
        contract: ContractId,
        order: Add,
        rules: &ceiling::Settings,
    ) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let Add { amount, day, login_id, by } = order;
        let now = self.clock.now();
        let day = day_of_addition(day, JstDate::of(now))?;
        let bases = [Basis::Accepted, Basis::Designated];
        let addition = Addition {
            id: RequestId::new().transfer(),
            login_id: self.whose(&contract, login_id, rules.counted_on(day))?,
            contract: contract.clone(),
            amount,
            day,
            bases: bases.into_iter().filter(|basis| view::counts(rules.day_basis, *basis)).collect(),
            why: signature(&by),
            at: now,
        };
        // Told also where the store fails in the middle of it.
        let known = addition.transfer();
        let act = about(self.act_on(addition.id, OperatorAct::TransferAdded, by), &known);
        let mut answer = self.tell(act, self.ledger.add(addition).await.map_err(Stays::InDoubt)).await?;
        answer["day"] = json!(day.to_string());
        answer["sums"] = match self.show(contract, Some(day), Some(rules)).await {
            Ok(mut shown) => shown["sums"].take(),
            // It is done all the same.
            Err(_) => json!([]),
        };
        Ok(answer)
    }

    /// The login ID whose sum grows: the one that is named, or the contract's first. All of them count together.
    fn whose(&self, contract: &ContractId, named: Option<LoginId>, since: JstDate) -> Result<LoginId, Refused> {
        let unknown = || Refused::NotFound(format!("the registry knows no contract {contract}"));
        let members = (self.members.0)(contract, since).ok_or_else(unknown)?;
        match named {
            Some(named) if members.contains(&named) => Ok(named),
            Some(named) => Err(Refused::Conflict(format!("{named} is no login ID of the contract {contract}"))),
            None => members.first().cloned().ok_or_else(|| {
                Refused::Conflict(format!("the contract {contract} has no login ID whose sum could grow"))
            }),
        }
    }

    fn act_on(&self, id: TransferId, act: OperatorAct, by: By) -> Record {
        Record { transfer: Some(id.to_string().into()), ..self.act(act, by) }
    }

    /// Counts and records what became of a transfer.
    async fn tell(&self, act: Record, done: Result<Transfer, Stays>) -> Result<Value, Refused> {
        match done {
            Ok(transfer) => {
                self.metrics.count_transfer(transfer.state.word(), transfer.amount);
                // What was added has brought the store further.
                let store = act.store.is_some().then(|| self.mark());
                self.record(Record { store, ..about(act, &transfer) }).await?;
                Ok(view::transfer(&transfer))
            }
            Err(Stays::Refused(refused)) => {
                self.audit.record(Record { outcome: Outcome::Failure, ..act });
                Err(refused)
            }
            Err(Stays::InDoubt(error)) => Err(self.doubt(act, &error)),
        }
    }
}

/// The day of an addition: today where none is named. What is to come cannot have been executed.
fn day_of_addition(day: Option<JstDate>, today: JstDate) -> Result<JstDate, Refused> {
    let day = day.unwrap_or(today);
    if (today.plus_days(-i32::from(LEAST_RETENTION_DAYS))..=today).contains(&day) {
        Ok(day)
    } else {
        Err(Refused::Malformed(format!("{day} is not one of the last {LEAST_RETENTION_DAYS} days")))
    }
}

fn about(act: Record, transfer: &Transfer) -> Record {
    Record {
        login_id: Some(transfer.login_id.clone()),
        contract: Some(transfer.contract.clone()),
        route: Some(transfer.route.as_str().into()),
        amount: Some(transfer.amount),
        day: transfer.debits.first().map(|(_, day)| *day),
        ..act
    }
}

fn signature(by: &By) -> String {
    format!("{}: {}", by.operator, by.reason)
}

const fn state_of(verdict: Verdict) -> TransferState {
    match verdict {
        Verdict::Committed => TransferState::Committed,
        Verdict::Released => TransferState::Released,
    }
}
