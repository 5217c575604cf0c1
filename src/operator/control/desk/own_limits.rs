//! Customers' own limits as the institution knows them: of one contract, or of all when a gateway comes (LIM-06).
//!
//! Each contract's is one record in the audit log, also where thousands are imported at once.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{By, Desk};
use crate::domain::{ContractId, JstDate, Yen};
use crate::operator::SecondPerson;
use crate::operator::audit::{OperatorAct, Record};
use crate::operator::control::order::{OwnLimit, OwnLimits};
use crate::operator::control::{Refused, view};
use crate::policy::ceiling;
use crate::policy::own_limit::own_limit;
use crate::store::Ledger;
use crate::store::ledger::StoreError;

/// So many are asked of the ledger at once: a few of its transactions, and still room in its queue for customers.
const CHUNK: usize = 500;

/// A contract, and its own limit from now on.
type Limit = (ContractId, Option<Yen>);

impl Desk {
    /// Imports a customer's own limit, or takes it back.
    pub(in super::super) async fn set_own_limit(
        &self,
        contract: ContractId,
        order: OwnLimit,
        rules: Option<&ceiling::Settings>,
    ) -> Result<Value, Refused> {
        let OwnLimit { own, by } = order;
        let what = format!("limit {contract} {}", word(own));
        let answer = json!({ "contract": contract.as_str(), "own_limit": own.map(Yen::get) });
        self.set(&[(contract.clone(), own)], (&what, by), rules, |act| about(act, &contract, own)).await?;
        Ok(answer)
    }

    /// The same of many customers. Where two people are needed for one of them, they are for all.
    pub(in super::super) async fn import_own_limits(
        &self,
        order: OwnLimits,
        rules: Option<&ceiling::Settings>,
    ) -> Result<Value, Refused> {
        let OwnLimits { limits, by } = order;
        let what = format!("limits {}", fingerprint(&limits));
        let count = u64::try_from(limits.len()).ok();
        self.set(&limits, (&what, by), rules, |act| Record { count, ..act }).await?;
        let forgotten = limits.iter().filter(|(_, own)| own.is_none()).count();
        Ok(json!({ "imported": limits.len() - forgotten, "forgotten": forgotten }))
    }

    /// Sets them all. `what` is the act in words, and `proposed` its record, where it is only proposed.
    async fn set(
        &self,
        limits: &[Limit],
        (what, by): (&str, By),
        rules: Option<&ceiling::Settings>,
        proposed: impl FnOnce(Record) -> Record,
    ) -> Result<(), Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let person = by.person();
        let mut act = self.act(OperatorAct::OwnLimitSet, by);
        if self.raises(limits, rules).await? {
            act.proposer = self.consent(proposed(act.clone()), what, person).await?.proposer;
        }
        for (number, chunk) in limits.chunks(CHUNK).enumerate() {
            self.set_chunk(chunk, &act).await.map_err(|refused| match limits.len() {
                1 => refused,
                all => refused.after(number * CHUNK, all),
            })?;
        }
        Ok(())
    }

    async fn set_chunk(&self, chunk: &[Limit], act: &Record) -> Result<(), Refused> {
        let at = self.clock.now();
        let asked = self.ask_of_each(chunk, move |ledger, (contract, own)| async move {
            ledger.learn_own_limit(contract, own, at).await
        });
        let mut doubtful = None;
        for ((contract, own), set) in chunk.iter().zip(asked) {
            let act = about(act.clone(), contract, *own);
            match heard(set).await {
                Ok(()) => self.audit.record(act),
                Err(error) => doubtful = Some(self.doubt(act, &error)),
            }
        }
        match doubtful {
            Some(refused) => Err(refused),
            None => self.on_record().await,
        }
    }

    /// Whether a contract could move more with these limits: with a higher one, none, or one that is not blocked any more.
    async fn raises(&self, limits: &[Limit], rules: Option<&ceiling::Settings>) -> Result<bool, Refused> {
        if self.second_person == SecondPerson::NotNeeded {
            return Ok(false);
        }
        let today = JstDate::of(self.clock.now());
        let holds = |own: Option<Yen>| {
            let ceiling = rules.and_then(|rules| Some((rules, rules.on(today).ok()?)));
            ceiling.map(|(rules, ceiling)| view::limit(rules.over_limit, ceiling, own))
        };
        for chunk in limits.chunks(CHUNK) {
            let asked =
                self.ask_of_each(chunk, |ledger, (contract, _)| async move { own_limit(&ledger, contract).await });
            for ((_, after), before) in chunk.iter().zip(asked) {
                let (after, before) = (*after, heard(before).await?);
                if after.unwrap_or(Yen::MAX) > before.unwrap_or(Yen::MAX) || holds(after) > holds(before) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Asks the ledger about each at once, because it answers many with one transaction; the answers come in order.
    fn ask_of_each<T, F>(
        &self,
        chunk: &[Limit],
        ask: impl Fn(Ledger, Limit) -> F,
    ) -> Vec<JoinHandle<Result<T, StoreError>>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        chunk.iter().map(|limit| tokio::spawn(ask(self.ledger.clone(), limit.clone()))).collect()
    }
}

impl Refused {
    /// What somebody must know who gave an order of many, of which so many are done for certain.
    fn after(self, done: usize, all: usize) -> Self {
        let said =
            |why: String| format!("of {all} own limits the first {done} are imported, and perhaps some more: {why}");
        match self {
            Self::Unavailable(why) => Self::Unavailable(said(why)),
            Self::Failed(why) => Self::Failed(said(why)),
            other @ (Self::Proposed(_) | Self::Malformed(_) | Self::NotFound(_) | Self::Conflict(_)) => other,
        }
    }
}

async fn heard<T>(asked: JoinHandle<Result<T, StoreError>>) -> Result<T, StoreError> {
    asked.await.unwrap_or_else(|_| Err(StoreError::Unavailable("nobody asked the ledger".into())))
}

fn about(act: Record, contract: &ContractId, own: Option<Yen>) -> Record {
    Record { contract: Some(contract.clone()), amount: own, ..act }
}

fn word(own: Option<Yen>) -> String {
    own.map_or("none".into(), |own| own.to_string())
}

/// The same for the same limits, in whatever order.
fn fingerprint(limits: &[Limit]) -> String {
    let mut sorted: Vec<&Limit> = limits.iter().collect();
    sorted.sort();
    let mut lines = String::new();
    for (contract, own) in sorted {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{contract} {}", word(*own));
    }
    HEXLOWER.encode(digest(&SHA256, lines.as_bytes()).as_ref())
}
