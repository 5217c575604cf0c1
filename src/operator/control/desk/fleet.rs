//! The gateways that share the ledger: who they are, and giving up one that will not come back (LIM-39, OPS-12).

use serde_json::{Value, json};

use super::{By, Desk};
use crate::operator::audit::{OperatorAct, Outcome, Record};
use crate::operator::control::Refused;
use crate::store::ledger::Member;

impl Desk {
    /// Who shares the store, and for whom money waits.
    pub(in super::super) async fn members(&self) -> Result<Value, Refused> {
        let members = self.ledger.members().await?;
        let rows = members.iter().map(|member| {
            json!({ "name": &*member.name, "is_this": member.is_this, "money_waits_for_it": !member.has_replayed })
        });
        let waits = self.ledger.awaits_acceptance().map(|reason| format!("the store waits to be accepted: {reason}"));
        let why = waits.or_else(|| self.ledger.unavailable().map(|error| error.to_string()));
        Ok(json!({
            "is_shared": self.ledger.is_shared(),
            "money_stands_still_because": why,
            "members": rows.collect::<Vec<_>>(),
        }))
    }

    /// Gives up a gateway. What only its own journal knew is not counted again, so somebody must have asked for it.
    pub(in super::super) async fn write_off(&self, name: String, by: By) -> Result<Value, Refused> {
        let _turn = self.acting.lock().await;
        self.can_record().await?;
        let person = by.person();
        let act = Record { member: Some(name.as_str().into()), ..self.act(OperatorAct::MemberWrittenOff, by) };
        let refuse = |refused| {
            self.audit.record(Record { outcome: Outcome::Failure, ..act.clone() });
            Err(refused)
        };
        if !self.ledger.is_shared() {
            return refuse(Refused::Conflict("the store is this gateway's own: no other one shares it".into()));
        }
        let members = self.ledger.members().await?;
        let unknown = || Refused::NotFound(format!("no gateway of the name {name} shares the store"));
        match members.iter().find(|member| *member.name == *name) {
            None => return refuse(unknown()),
            Some(Member { is_this: true, .. }) => {
                let said = "that is this gateway itself: stop it, and write it off at another one";
                return refuse(Refused::Conflict(said.into()));
            }
            Some(Member { is_this: false, .. }) => {}
        }
        let act = self.consent(act, &format!("write-off {name}"), person).await?;
        match self.ledger.write_off(&name, self.clock.now()).await {
            Ok(true) => {}
            Ok(false) => {
                self.audit.record(Record { outcome: Outcome::Failure, ..act });
                return Err(unknown());
            }
            Err(error) => return Err(self.doubt(act, &error)),
        }
        tracing::warn!(member = name, operator = act.operator.as_deref(), "a gateway is written off");
        self.record(act).await?;
        let others = members.iter().filter(|member| !member.has_replayed && *member.name != *name);
        let others: Vec<&str> = others.map(|member| &*member.name).collect();
        Ok(json!({ "member": name, "money_still_waits_for": others }))
    }
}
